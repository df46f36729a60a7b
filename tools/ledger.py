"""Which items of docs/LEDGER.tsv the tests prove, and why the others are not. `make ledger` prints it.

A test proves an item by naming it: `@pytest.mark.spec("A18")`, or several, `@pytest.mark.spec("A18", "X22")`, also
within `pytest.param(..., marks=pytest.mark.spec("B12"))` and as a module's `pytestmark`. The marks are read from the
sources, so that nothing is imported or run; whether the tests pass is for `make test` to say.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = {
    "A": "models and systems",
    "B": "layers and activations",
    "C": "losses and metrics",
    "O": "optimisation",
    "E": "initialisation",
    "F": "data",
    "G": "regularisation",
    "H": "practice",
    "I": "pictures",
    "J": "claims as experiments",
    "K": "published numbers",
    "L": "frameworks",
    "M": "history and context",
    "X": "contradictions settled",
}


class Mark(NamedTuple):
    item: str | None  # None: not written as a literal text
    test: str  # tests/models/test_zoo.py::test_counts
    where: str  # tests/models/test_zoo.py:41


def read_ledger(path: Path = ROOT / "docs" / "LEDGER.tsv") -> dict[str, str]:
    """Item id -> title, in the order of the file."""
    return {item: title for item, title, *_ in _cells(path)}


def read_reasons(path: Path = ROOT / "docs" / "LEDGER.tsv") -> dict[str, str]:
    """Item id -> why no test proves it, where there is such a reason."""
    return {item: rest[0] for item, _, *rest in _cells(path) if rest}


def _cells(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def read_marks(folder: Path = ROOT / "tests") -> list[Mark]:
    """Every item that a `pytest.mark.spec(...)` under the folder names."""
    marks = []
    for path in sorted(folder.rglob("test_*.py")):
        name = str(path.relative_to(folder.parent))
        marks += _marks_in(ast.parse(path.read_text(encoding="utf-8")), name, owner="")
    return marks


def _marks_in(node: ast.AST, file: str, owner: str) -> Iterator[Mark]:
    """Marks below a node; a mark in a decorator belongs to what it decorates."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        owner = f"{owner}::{node.name}"
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.spec"):
        for argument in node.args:
            item = argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else None
            yield Mark(item, file + owner, f"{file}:{node.lineno}")
    for child in ast.iter_child_nodes(node):
        yield from _marks_in(child, file, owner)


def mistakes(ledger: dict[str, str], marks: list[Mark]) -> list[str]:
    """Marks that name no item, one message each."""
    return [
        f"{mark.where}: write each id as a literal text"
        if mark.item is None
        else f"{mark.where}: {mark.item} is not in docs/LEDGER.tsv"
        for mark in marks
        if mark.item not in ledger
    ]


def summary(ledger: dict[str, str], marks: list[Mark], reasons: dict[str, str]) -> str:
    """Per section: how many items are proven, by which tests; why others cannot be, and which are still missing."""
    tests: dict[str, list[str]] = defaultdict(list)
    for mark in marks:
        if mark.item is not None and mark.test not in tests[mark.item]:
            tests[mark.item].append(mark.test)
    lines = []
    for letter, section in SECTIONS.items():
        items = [item for item in ledger if item[0] == letter]
        proven = [item for item in items if tests[item]]
        lines.append(f"\n{letter}  {section}: {len(proven)} of {len(items)}")
        for item in proven:
            lines.append(f"   {item:<4} {ledger[item]}")
            lines += [f"          {test}" for test in tests[item]]
        unproven = [item for item in items if not tests[item]]
        lines += [f"   {item:<4} {ledger[item]}: not tested, {reasons[item]}" for item in unproven if item in reasons]
        missing = [item for item in unproven if item not in reasons]
        if missing:
            lines.append(f"   missing: {' '.join(missing)}")
    num_proven = sum(bool(tests[item]) for item in ledger)
    lines.append(f"\nProven: {num_proven} of {len(ledger)} items.")
    return "\n".join(lines).lstrip("\n")


def main() -> int:
    ledger, marks = read_ledger(), read_marks()
    print(summary(ledger, marks, read_reasons()))
    wrong = mistakes(ledger, marks)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
