"""A population in processes that is interrupted, or whose owner is killed: nobody is left behind, and nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limpid.fork_server import main_unseen, worker_context
from limpid.population.worker import work

# A script as a user writes it: without `if __name__ == "__main__"`, with work at its top that must not be done anew.
SCRIPT = """
import sys
print("started", flush=True)
from limpid.config import Config
from limpid.config_reader import with_options
from limpid.errors import Stopped
from limpid.population.ground import Ground
from limpid.population.host import Listed
from limpid.population.member import Member
from limpid.population.processes import train_in_processes
from limpid.training.signals import StopRequest

config = with_options(Config(), {"data__source": "moons", "model__name": "mlp", "model__hidden": (8,),
                                 "epochs": int(sys.argv[1]), "training__threads": 1})

class Loud(Listed):
    def epochs(self, told):
        return [self.epoch(*one) for one in told]
    def epoch(self, member, row, valid_row):
        if row["epoch"] == 1:
            print("epoch", member.number, flush=True)
        return True

host = Loud([Member(i, config) for i in range(2)])
try:
    with StopRequest() as stop:
        train_in_processes(host, Ground(), stop=stop, jobs=2)
except Stopped as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
print("finished", len(host.outcomes), flush=True)
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


def start(folder: Path, epochs: int) -> subprocess.Popen[str]:
    """The script in a session of its own, as a terminal has, with its shared data in `folder`."""
    (folder / "script.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, str(folder / "script.py"), str(epochs)],
        env=os.environ | {"TMPDIR": str(folder), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_both(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    heard = {process.stdout.readline().strip() for _ in range(3)}
    assert heard == {"started", "epoch 0", "epoch 1"}


def living(session: int) -> list[str]:
    """Command lines of the session's processes that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append((path / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def assert_nobody_left(session: int, folder: Path) -> None:
    deadline = time.monotonic() + 20
    while living(session) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert living(session) == []
    assert list(folder.glob("limpid-data-*")) == []


def test_ctrl_c_ends_everybody(tmp_path: Path) -> None:
    process = start(tmp_path, epochs=1_000_000)
    wait_for_both(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everybody
    out, err = process.communicate(timeout=30)
    assert out == "Stopped by SIGINT; 2 member(s) in training were given up.\n"
    assert err == ""
    assert process.returncode == 130
    assert_nobody_left(process.pid, tmp_path)


def test_workers_do_not_outlive_a_killed_owner(tmp_path: Path) -> None:
    process = start(tmp_path, epochs=1_000_000)
    wait_for_both(process)
    process.kill()
    _, err = process.communicate(timeout=30)
    assert err == ""
    assert_nobody_left(process.pid, tmp_path)


def test_a_worker_whose_connection_was_closed_removes_the_shared_data_before_it_ends(tmp_path: Path) -> None:
    """The thread that waits for the owner's death may come too late: the worker itself hears of it first."""
    folder = tmp_path / "limpid-data-x"
    folder.mkdir()
    (folder / "0.data").write_bytes(b"shared")
    ours, theirs = worker_context().Pipe()
    worker = worker_context().Process(target=work, args=(theirs, 1, str(folder)), daemon=True)
    with main_unseen():
        worker.start()
    theirs.close()
    ours.close()
    worker.join(30)
    assert worker.exitcode == 0
    assert not folder.exists()


@pytest.mark.slow
def test_a_script_without_main_guard_runs_once_and_quietly(tmp_path: Path) -> None:
    process = start(tmp_path, epochs=2)
    wait_for_both(process)
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("finished 2\n", "", 0)
    assert_nobody_left(process.pid, tmp_path)


@pytest.mark.slow
def test_sigterm_ends_everybody(tmp_path: Path) -> None:
    process = start(tmp_path, epochs=1_000_000)
    wait_for_both(process)
    process.terminate()  # as a scheduler does: to the owner alone
    out, err = process.communicate(timeout=30)
    assert out.startswith("Stopped by SIGTERM")
    assert (err, process.returncode) == ("", 143)
    assert_nobody_left(process.pid, tmp_path)
