"""What every test may rely on: one thread, no settings, no network, no waiting for disks; and the command line."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: each worker of a parallel test run has one core


@pytest.fixture(autouse=True)
def _no_local_settings(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Forget LIMPID_... variables, except in slow tests, which may use the data of LIMPID_DATA."""
    slow = request.node.get_closest_marker("slow") is not None
    for name in [name for name in os.environ if name.startswith("LIMPID_")]:
        if not (slow and name == "LIMPID_DATA"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine, so that no test can come to need one."""
    connect = socket.socket.connect

    def refuse_strangers(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise OSError(f"tests use no network, and this one called {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse_strangers)


@pytest.fixture(autouse=True)
def _virtual_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Force nothing to the disk: it takes long and changes nothing that is seen while the machine runs.

    Where forcing matters, tests count the record's operations (tests/record), which stand before the call.
    """
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """Give small numbers back after a training run, which flushes them to zero in the whole process."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name cases of raw bytes by their argument: a gzip header holds the time, and parallel workers must agree."""
    return argname if isinstance(val, bytes) else None


class Finished(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def limpid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Finished]:
    """Run the command in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)
    from limpid.cli import main

    def run(*arguments: str | Path) -> Finished:
        monkeypatch.setattr(sys, "argv", ["limpid", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        printed = capsys.readouterr()
        return Finished(code, printed.out, printed.err)

    return run
