"""README's tree names every source file, says what each holds, and names nothing that is gone."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from tools import readme_tree
from tools.readme_tree import END, ROOT, START, block_of, first_sentence, main, sources, tree


def entries(block: str) -> dict[str, str]:
    """Path below limpid/ -> description, read back from the indentation of a tree."""
    found, folder = {}, ""
    for line in block.splitlines():
        if not line.startswith("  "):
            continue
        name, _, about = line.strip().partition(" ")
        if line.startswith("    "):
            name = folder + name
        elif name.endswith("/"):
            folder = name
        found[name] = about.strip()
    return found


def test_tree_is_complete_and_true() -> None:
    listed = entries(block_of((ROOT / "README.md").read_text(encoding="utf-8")))
    home = ROOT / "limpid"
    files = {str(path.relative_to(home)) for path in sources(home)}
    assert {name for name in listed if name.endswith(".py")} == files, "run: make readme"
    assert {name for name in listed if name.endswith("/")} == {f"{Path(name).parent}/" for name in files if "/" in name}
    assert [name for name, about in listed.items() if not about] == [], "these lack a docstring or a description"


def test_every_source_is_within_two_levels() -> None:
    home = ROOT / "limpid"
    assert [path for path in home.rglob("*.py") if len(path.relative_to(home).parts) > 2] == []


def test_tree_of_a_small_package(tmp_path: Path) -> None:
    home = tmp_path / "limpid"
    (home / "data").mkdir(parents=True)
    (home / "__init__.py").write_text('"""The map. More.\n\nAnd more."""\n')
    (home / "workbench.py").write_text('"""Wires one\nrun: in order."""\n')
    (home / "data" / "__init__.py").write_text('"""What goes in."""\n')
    (home / "data" / "loader.py").write_text('"""Batches."""\n')
    block = tree(home)
    assert entries(block) == {
        "__init__.py": "The map",
        "data/": "What goes in",
        "data/loader.py": "Batches",
        "workbench.py": "Wires one run: in order",
    }
    assert block.splitlines()[2].startswith("  __init__.py   ")


def test_only_the_block_is_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme_tree, "tree", functools.cache(tree))  # parses every source
    readme = tmp_path / "README.md"
    readme.write_text(f"# Before\n\n{START}\nstale\n{END}\n\nAfter.\n")
    assert main(readme) == 0
    text = readme.read_text()
    assert text.startswith(f"# Before\n\n{START}\n")
    assert text.endswith(f"{END}\n\nAfter.\n")
    assert block_of(text) == readme_tree.tree()
    assert main(readme) == 0
    assert readme.read_text() == text
    readme.write_text("no markers\n")
    assert main(readme) == 1


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Nets of LeCun et al. of 1998. More.", "Nets of LeCun et al. of 1998"),
        ("Short: and sweet.", "Short: and sweet"),
        (
            "A first clause that fits: " + "and a long tail, " * 9,
            "A first clause that fits",
        ),
        ("word " * 40, None),
        ("", ""),
    ],
)
def test_first_sentence(docstring: str, sentence: str | None, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(f'"""{docstring}"""\n')
    found = first_sentence(path)
    assert len(found) <= 120 - 29
    if sentence is None:
        assert found.endswith(" ...")
    else:
        assert found == sentence
