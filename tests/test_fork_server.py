"""When the process that workers are forked from is begun: before torch is loaded, and only where it is of use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from limpid import fork_server

# The command line with a server that says what was loaded when it was begun, and goes no further.
CODE = """
import sys
import limpid.fork_server as server

def begin():
    print("begun", *[name for name in ("torch", "numpy") if name in sys.modules])
    sys.exit(0)

server.usable_cores = lambda: {cores}
server.start_fork_server = begin
from limpid.cli import main
sys.argv = ["limpid", *{arguments!r}]
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["tune", "digits", "--budget", "250"],
        ["train", "digits", "--seeds", "64"],
        ["train", "digits", "--sizes", "3", "--on", "stacks"],
    ],
    ids=" ".join,
)
def test_it_is_begun_before_torch_is_loaded(arguments: list[str]) -> None:
    code = CODE.format(arguments=arguments, cores=2)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("begun\n", 0), done.stderr


@pytest.mark.parametrize(
    ("arguments", "cores"),
    [
        (["tune", "no/such.csv", "--budget", "250", "--on", "stacked"], 2),
        (["tune", "no/such.csv", "--budget", "25"], 2),
        (["tune", "no/such.csv", "--budget", "250", "--on", "one-by-one"], 2),
        (["tune", "--show", "no/such/folder"], 2),
        (["train", "no/such.csv"], 2),
        (["tune", "no/such.csv", "--budget", "250"], 1),
    ],
    ids=str,
)
def test_it_is_not_begun_where_nobody_needs_it(
    arguments: list[str], cores: int, limpid: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = []
    monkeypatch.setattr(fork_server, "usable_cores", lambda: cores)
    monkeypatch.setattr(fork_server, "start_fork_server", lambda: begun.append(True))
    assert limpid(*arguments).code == 2, "it went on to look for the data"
    assert not begun


def test_it_would_be_seen(limpid: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bool] = []
    monkeypatch.setattr(fork_server, "usable_cores", lambda: 2)
    monkeypatch.setattr(fork_server, "start_fork_server", lambda: begun.append(True))
    assert limpid("tune", "no/such.csv", "--budget", "250").code == 2
    assert begun


def test_what_remains_of_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "_begun_at", None)
    assert fork_server.seconds_until_ready() == fork_server.IMPORT_SECONDS
    monkeypatch.setattr(fork_server.time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(fork_server, "_begun_at", 99.5)
    assert fork_server.seconds_until_ready() == fork_server.IMPORT_SECONDS - 0.5
    monkeypatch.setattr(fork_server, "_begun_at", 10.0)
    assert fork_server.seconds_until_ready() == 0.0
