"""The tree in README.md: every source file with the first sentence of its docstring. `make readme` writes it.

The block stands between the two marker comments, in a fenced code block; nothing else in README.md is touched.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START = "<!-- tree: `make readme` writes it -->"
END = "<!-- end of tree -->"
# In the order of the flow; what is not named here follows, sorted.
ORDER = [
    *("__init__", "errors", "config", "spec", "device", "defaults"),
    *("data", "models", "objectives", "optim", "training", "record", "interpret", "reporting", "deploy"),
    *("wiring", "scoring", "workbench", "estimators", "cli", "__main__"),
]
COLUMN = 29  # where the descriptions start
WIDTH = 120


def sources(home: Path) -> list[Path]:
    """Source files of the package's top two levels, folders in the order of the flow; empty __init__ files left out."""

    def place(path: Path) -> tuple[int, str]:
        return (ORDER.index(path.stem) if path.stem in ORDER else len(ORDER), path.name)

    found = []
    for path in sorted(home.iterdir(), key=place):
        if path.suffix == ".py":
            found.append(path)
        elif path.is_dir():
            found += [file for file in sorted(path.glob("*.py"), key=place) if file.stem != "__init__"]
    return found


def first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring on one line, cut at a clause where it is too long."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    sentence = re.split(r"(?<!et al)(?<!e\.g)(?<!i\.e)\. ", paragraph)[0].rstrip(".:")
    room = WIDTH - COLUMN
    if len(sentence) <= room:
        return sentence
    for marks in (":;", ","):
        ends = [match.start() for match in re.finditer(f"[{marks}] ", sentence) if 20 <= match.start() <= room]
        whole = [sentence[:end] for end in ends if sentence[:end].count("(") == sentence[:end].count(")")]
        if whole:
            return whole[-1]
    return textwrap.shorten(sentence, room, placeholder=" ...")


def tree(home: Path = ROOT / "limpid") -> str:
    """The block as it stands in README.md, without the markers."""
    lines = [f"{home.name}/"]
    folder = home
    for path in sources(home):
        if path.parent != folder:
            folder = path.parent
            if folder != home:
                package = folder / "__init__.py"
                about = first_sentence(package) if package.is_file() else ""
                lines.append(f"  {folder.name + '/':<{COLUMN - 2}}{about}".rstrip())
        indent = "  " if folder == home else "    "
        lines.append(f"{indent + path.name:<{COLUMN - 1}} {first_sentence(path)}".rstrip())
    return "```text\n" + "\n".join(lines) + "\n```"


def block_of(readme: str) -> str:
    """What stands between the markers."""
    return readme.partition(START)[2].partition(END)[0].strip()


def main(path: Path = ROOT / "README.md") -> int:
    readme = path.read_text(encoding="utf-8")
    if START not in readme or END not in readme:
        print(f"{path} lacks the markers {START} and {END}.", file=sys.stderr)
        return 1
    before, after = readme.partition(START)[0], readme.partition(END)[2]
    path.write_text(f"{before}{START}\n\n{tree()}\n\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
