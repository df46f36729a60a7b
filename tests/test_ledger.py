"""The ledger is whole, and every mark of a test names one of its items."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.ledger import SECTIONS, Mark, mistakes, read_ledger, read_marks, read_reasons, summary

# Items per section, in the order of the letters.
SIZES = dict(zip("ABCOEFGHIJKLMX", (64, 39, 22, 36, 16, 21, 20, 20, 64, 96, 73, 6, 7, 42), strict=True))


@pytest.fixture(scope="module")
def marks() -> list[Mark]:
    """Those of all tests."""
    return read_marks()


def test_ledger_is_whole() -> None:
    ledger = read_ledger()
    assert set(ledger) == {f"{letter}{number}" for letter, size in SIZES.items() for number in range(1, size + 1)}
    assert len(ledger) == 526
    assert set(SECTIONS) == set(SIZES)
    assert all(re.fullmatch(r"\S.*\S", title) for title in ledger.values())
    assert len(set(ledger.values())) == len(ledger)


def test_every_mark_names_an_item(marks: list[Mark]) -> None:
    assert mistakes(read_ledger(), marks) == []


def test_marks_are_found_wherever_they_stand(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_some.py").write_text(
        "import pytest\n"
        "pytestmark = pytest.mark.spec('F1')\n"
        "@pytest.mark.spec('A18', 'X22')\n"
        "def test_one(): ...\n"
        "class TestTwo:\n"
        "    @pytest.mark.parametrize('n', [pytest.param(1, marks=pytest.mark.spec('B2'))])\n"
        "    def test_two(self, n): ...\n"
        "@pytest.mark.spec(NAME, 'Z9')\n"
        "def test_three(): ...\n"
    )
    marks = read_marks(folder)
    assert [(mark.item, mark.test.removeprefix("tests/test_some.py")) for mark in marks] == [
        ("F1", ""),
        ("A18", "::test_one"),
        ("X22", "::test_one"),
        ("B2", "::TestTwo::test_two"),
        (None, "::test_three"),
        ("Z9", "::test_three"),
    ]
    wrong = mistakes(read_ledger(), marks)
    assert len(wrong) == 2
    assert "literal" in wrong[0]
    assert "tests/test_some.py:8: Z9" in wrong[1]


def test_summary_counts() -> None:
    ledger = {"A1": "one", "A2": "two", "B1": "three"}
    text = summary(ledger, [Mark("A2", "tests/t.py::test", "tests/t.py:1")] * 2, {"B1": "a share price"})
    assert "models and systems: 1 of 2" in text
    assert "missing: A1" in text
    assert text.count("tests/t.py::test") == 1
    assert "B1   three: not tested, a share price" in text
    assert text.endswith("Proven: 1 of 3 items.")


def test_no_item_is_proven_and_excused(marks: list[Mark]) -> None:
    assert not {mark.item for mark in marks} & set(read_reasons())
