"""`limpid --help` answers at once: nothing heavy is loaded for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "timm", "sklearn", "scipy", "polars", "pandas", "plotly", "PIL", "onnx")
CODE = """
import sys
from limpid.cli import main
sys.argv = ["limpid", *{arguments!r}]
try:
    code = main()
except SystemExit as stop:
    code = stop.code
heavy = [name for name in {heavy!r} if name in sys.modules]
if heavy:
    print("loaded:", *heavy, file=sys.stderr)
sys.exit(99 if heavy else code or 0)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["report", "--help"]], ids=" ".join)
def test_help_needs_nothing_heavy(arguments: list[str]) -> None:
    code = CODE.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout or "--" in done.stdout
