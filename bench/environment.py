"""The peers' own virtual environment, .bench/venv, so that none of them is a dependency of Limpid."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".bench"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def peer_python() -> Path:
    """The interpreter that runs the peers."""
    folder = WORK / "venv"
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def is_ready() -> bool:
    """Whether the environment was made from the present list of requirements."""
    stamp = WORK / "venv" / "requirements.installed"
    return stamp.exists() and stamp.read_text(encoding="utf-8") == REQUIREMENTS.read_text(encoding="utf-8")


def prepare() -> None:
    """Make the environment, or bring it up to date; takes minutes and some gigabytes the first time."""
    if is_ready():
        return
    if not peer_python().exists():
        subprocess.run([sys.executable, "-m", "venv", str(WORK / "venv")], check=True)
    pip = [str(peer_python()), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)]
    subprocess.run(pip, check=True)
    text = REQUIREMENTS.read_text(encoding="utf-8")
    (WORK / "venv" / "requirements.installed").write_text(text, encoding="utf-8")
