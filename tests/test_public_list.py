"""The public list of limpid: complete, resolvable, and free until used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import limpid

PUBLIC = {
    *("train", "train_step", "load_data", "load_config", "Config", "Run", "Classifier", "Regressor"),
    *("predict", "export", "generate", "forecast", "find_rate", "compare", "report", "__version__"),
    *("audit", "check", "diagnose", "Doctor", "Population", "ensemble", "explain", "race", "translate", "tune"),
}


def test_the_list_is_exactly_this() -> None:
    assert set(limpid.__all__) == PUBLIC
    assert len(limpid.__all__) == len(PUBLIC)
    assert set(dir(limpid)) >= PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_every_name_resolves_and_is_explained(name: str) -> None:
    value = getattr(limpid, name)
    assert callable(value)
    assert value.__doc__, f"limpid.{name} has no docstring"
    assert getattr(limpid, name) is value


def test_an_unknown_name_is_refused_with_the_list() -> None:
    with pytest.raises(AttributeError, match=r"no public name 'fit'.*train"):
        _ = limpid.fit
    with pytest.raises(ImportError):
        exec("from limpid import no_such_thing", {})


def test_no_public_name_is_a_submodule() -> None:
    """A function with a sub-module's name would be overwritten when that is imported."""
    home = Path(limpid.__file__).parent
    assert not PUBLIC & {path.stem for path in home.iterdir()}


def test_types_and_homes_agree() -> None:
    """What a type checker sees is what `__getattr__` loads."""
    tree = ast.parse(Path(limpid.__file__).read_text(encoding="utf-8"))
    typed = {
        name.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("limpid.")
        for name in node.names
    }
    assert typed == limpid._HOMES
    assert set(typed) == PUBLIC - {"__version__"}


def test_importing_limpid_loads_nothing_else() -> None:
    code = "import sys; old = set(sys.modules); import limpid; print(*sorted(set(sys.modules) - old))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("limpid")}
    assert ours == {"limpid"}
    assert not {"torch", "numpy", "pydantic", "sklearn", "typer", "rich"} & set(done.stdout.split())


def test_version_is_the_projects() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert limpid.__version__ == project["version"]
