"""Who may import whom inside limpid/, what may stand at the top of a module, and how large a file may be and how named.

The sources are read, not imported, so that the rules hold for modules that cannot be imported here too.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "limpid"
FILES = sorted(HOME.rglob("*.py"))

BASE = {"errors", "catalogue", "config", "spec", "cores", "device"}
FOLDERS = {
    "catalogue",
    "commands",
    "data",
    "doctor",
    "interpret",
    "models",
    "objectives",
    "optim",
    "population",
    "practice",
    "probes",
    "record",
    "training",
    "reporting",
    "search",
    "deploy",
}
PARTS = FOLDERS - {"commands", "interpret", "population", "practice", "search"}  # what a run is wired from
# Folder, or module at the root -> the folders and root modules that it may import; itself is always allowed.
MAY_IMPORT = {
    "__init__": BASE
    | FOLDERS
    # types only; test_public_list.py holds it to that
    | {"config_reader", "estimators", "finished", "several", "workbench"},
    "__main__": {"cli"},
    "errors": set(),
    "catalogue": {"errors"},
    "section": {"errors", "catalogue"},
    "config": {"errors", "catalogue", "section"},
    "config_reader": {"errors", "config", "population_words", "section"},
    "population_words": {"errors"},
    "recipe": {"errors", "section", "config", "config_reader"},
    "spec": {"errors", "config"},
    "cores": set(),
    "fork_server": {"cores"},
    "device": {"errors", "config", "cores"},
    "data": BASE,
    "models": BASE,
    "objectives": BASE,
    "optim": BASE,
    "record": {"errors", "config"},
    "training": BASE | {"optim", "record"},
    "reporting": {"errors", "spec", "record"},
    "doctor": {"errors", "catalogue", "record"},
    "probes": BASE | {"data", "models", "objectives", "optim", "training"},
    "deploy": BASE | {"config_reader", "data", "models", "objectives", "record", "training"},
    "defaults": BASE,
    "start": BASE | {"models", "optim", "record", "training"},
    "wiring": BASE | PARTS | {"defaults", "start"},
    "scoring": BASE | PARTS | {"wiring"},
    "opening": BASE | PARTS | {"config_reader", "recipe", "start", "wiring"},
    "population": BASE | PARTS | {"fork_server", "config_reader", "opening", "scoring", "start", "wiring"},
    "practice": BASE | PARTS | {"config_reader", "opening", "population", "start", "wiring"},
    "search": BASE
    | PARTS
    | {
        "config_reader",
        "defaults",
        "fork_server",
        "opening",
        "population",
        "practice",
        "scoring",
        "section",
        "start",
        "wiring",
    },
    "workbench": BASE | FOLDERS | {"config_reader", "opening", "practice", "scoring", "wiring"},
    "several": BASE | PARTS | {"config_reader", "fork_server", "opening", "population", "wiring", "workbench"},
    "interpret": BASE | {"data", "deploy", "models", "opening", "record", "training"},
    "finished": {"record", "reporting", "deploy", "interpret"},
    "fitting": BASE | PARTS | {"wiring"},
    "estimators": BASE | PARTS | {"config_reader", "fitting"},
    "commands": {
        "errors",
        "catalogue",
        "config",
        "config_reader",
        "recipe",
        "record",
        "doctor",
        "finished",
        "fork_server",
        "practice",
        "search",
        "workbench",
        "reporting",
        "deploy",
    },
    "cli": {
        "errors",
        "commands",
        "config",
        "config_reader",
        "fork_server",
        "population_words",
        "record",
        "workbench",
        "finished",
        "reporting",
    },
}
# Parts that can be read and run without torch.
NO_TORCH = {
    "__init__",
    "__main__",
    "errors",
    "catalogue",
    "config",
    "config_reader",
    "cores",
    "fork_server",
    "population_words",
    "recipe",
    "spec",
    "doctor",
    "record",
    "reporting",
    "cli",
}
# They cost start-up time, so they are imported inside the function that needs them. numpy and pydantic are not here;
# torch is the business of NO_TORCH.
HEAVY = {
    *(
        "PIL",
        "jinja2",
        "mlflow",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "optuna",
        "pandas",
        "plotly",
        "polars",
        "pyarrow",
        "ray",
        "rich",
    ),
    *("safetensors", "scipy", "sklearn", "tensorboard", "timm", "torchvision", "typer"),
}
HEAVY_BY_NATURE = {
    "cli": {"typer"},  # it is a typer application
    "commands": {"typer"},
    "estimators": {"sklearn"},  # they are scikit-learn classes, and the file itself is loaded on first use
    "search": {"optuna"},
    "training": {"safetensors"},
    "deploy": {"safetensors"},
}
MAX_LINES = 300
# file -> why it is still one noun
LONGER_BECAUSE: dict[str, str] = {}
NO_NOUNS = {"base", "common", "helper", "helpers", "misc", "tools", "util", "utils"}


class Import(NamedTuple):
    module: str  # full dotted name
    line: int
    at_top: bool  # executed when the file is imported
    for_types: bool  # under `if TYPE_CHECKING:`


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str:
    """`limpid.data.loader` -> data; `limpid.cli` -> cli; `limpid` -> __init__."""
    return module.split(".")[1] if "." in module else "__init__"


MODULES = {module_name(path): path for path in FILES}


@functools.cache
def imports_of(path: Path) -> list[Import]:
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    return list(_imports(ast.parse(path.read_text(encoding="utf-8")), package, at_top=True, for_types=False))


def _imports(node: ast.AST, package: list[str], *, at_top: bool, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for name in child.names:
                yield Import(name.name, child.lineno, at_top, for_types)
        elif isinstance(child, ast.ImportFrom):
            above = package[: len(package) - child.level + 1] if child.level else []
            origin = ".".join([*above, *([child.module] if child.module else [])])
            for name in child.names:
                full = f"{origin}.{name.name}"
                is_module = full in MODULES or (origin == "limpid" and full.split(".")[1] in MAY_IMPORT)
                yield Import(full if is_module else origin, child.lineno, at_top, for_types)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            yield from _imports(child, package, at_top=False, for_types=True)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports(child, package, at_top=False, for_types=for_types)
        else:
            yield from _imports(child, package, at_top=at_top, for_types=for_types)


def is_ours(module: str) -> bool:
    return module == "limpid" or module.startswith("limpid.")


def found_wrong(objections: Callable[[Path], Iterator[str]]) -> str:
    """What is to be said against any file, a line each."""
    return "\n".join(text for path in FILES for text in objections(path))


def test_imports_follow_the_table() -> None:
    def objections(path: Path) -> Iterator[str]:
        part = part_of(module_name(path))
        if part not in MAY_IMPORT:
            yield f"limpid/{part} has no row in the table: decide what it may import."
            return
        for found in imports_of(path):
            if is_ours(found.module) and part_of(found.module) not in (part, "__init__", *MAY_IMPORT[part]):
                yield f"{path}:{found.line}: {part} must not use {found.module}"

    wrong = found_wrong(objections)
    assert not wrong, wrong


def test_nothing_heavy_at_the_top() -> None:
    def objections(path: Path) -> Iterator[str]:
        part = part_of(module_name(path))
        banned = HEAVY - HEAVY_BY_NATURE.get(part, set())
        for found in imports_of(path):
            library = found.module.split(".")[0]
            if found.at_top and library in banned:
                yield f"{path}:{found.line}: import {library} inside the function that needs it"
            if part in NO_TORCH and library in ("torch", "torchvision"):
                yield f"{path}:{found.line}: {part} works without torch"

    wrong = found_wrong(objections)
    assert not wrong, wrong


def test_one_noun_per_file() -> None:
    def objections(path: Path) -> Iterator[str]:
        name = str(path.relative_to(ROOT))
        num_lines = len(path.read_text(encoding="utf-8").splitlines())
        if num_lines > MAX_LINES and name not in LONGER_BECAUSE:
            yield f"{name} has {num_lines} lines: split it by noun."
        nouns = {part.strip("_") for part in path.relative_to(HOME).with_suffix("").parts}
        if nouns & NO_NOUNS:
            yield f"{name}: name it for what it holds."

    wrong = found_wrong(objections)
    assert not wrong, wrong


def test_excuses_are_still_needed() -> None:
    for name in LONGER_BECAUSE:
        path = ROOT / name
        assert path.is_file(), f"{name} is gone; so should be its excuse."
        assert len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES, f"{name} needs no excuse any more."


def test_folders_only_where_the_table_says() -> None:
    for folder in HOME.iterdir():
        if folder.is_dir() and any(folder.glob("*.py")):
            assert folder.name in FOLDERS, f"limpid/{folder.name}/ has no row in the table."


def test_no_cycles() -> None:
    graph = {
        module: {found.module for found in imports_of(path) if not found.for_types and found.module in MODULES}
        - {module}
        for module, path in MODULES.items()
        if module != "limpid"
    }
    for module in graph:
        graph[module].discard("limpid")
    cycle = find_cycle(graph)
    assert cycle is None, "these import one another: " + " -> ".join(cycle or [])


def find_cycle(graph: dict[str, set[str]]) -> list[str] | None:
    """A closed path through the graph, or None."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str] | None:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return None
        for other in sorted(graph.get(node, ())):
            found = visit(other, [*path, node])
            if found:
                return found
        done.add(node)
        return None

    return next((found for start in sorted(graph) if (found := visit(start, []))), None)


def test_the_reader_of_imports_sees_what_it_should() -> None:
    path = HOME / "data" / "imaginary.py"
    tree = ast.parse(
        "import torch\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import polars\n"
        "try:\n    import rich\nexcept ImportError:\n    pass\n"
        "def read():\n    from limpid import spec\n    from . import dataset\n    from ..errors import DataError\n"
    )
    found = {
        one.module: one for one in _imports(tree, list(path.relative_to(ROOT).parts[:-1]), at_top=True, for_types=False)
    }
    assert found["torch"].at_top
    assert found["rich"].at_top
    assert found["polars"].for_types
    assert not found["polars"].at_top
    assert not found["limpid.spec"].at_top
    assert {"limpid.data.dataset", "limpid.errors"} <= set(found)
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None
