"""One writer per run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limpid.errors import RecordError, RunLocked
from limpid.record import Run

WRITER = """
import sys, time
from pathlib import Path
from limpid.errors import RunLocked
from limpid.record import Run
print("ready", flush=True)
sys.stdin.readline()
try:
    run = Run.open(Path(sys.argv[1]), write=True)
except RunLocked as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
print("mine", flush=True)
time.sleep(60)
"""


def start(path: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(path)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_of_eight_processes_exactly_one_writes_and_the_others_name_it(tmp_path: Path) -> None:
    path = tmp_path / "run"
    Run.create(path, {}).close()
    processes = [start(path) for _ in range(8)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
        answers = [process.stdout.readline().strip() for process in processes]  # type: ignore[union-attr]
        assert answers.count("mine") == 1
        winner = processes[answers.index("mine")]
        for process, answer in zip(processes, answers, strict=True):
            if process is not winner:
                assert process.wait(timeout=20) == 5
                assert str(path) in answer
                assert f"process {winner.pid}" in answer
        with pytest.raises(RunLocked, match=f"process {winner.pid}"):
            Run.open(path, write=True)
        assert Run.open(path).events() == []  # reading needs no lock

        winner.send_signal(signal.SIGKILL)
        winner.wait(timeout=20)
        with Run.open(path, write=True) as run:  # the lock of a dead process is nobody's
            run.add("note", text="taken over")
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


def test_a_second_writer_in_the_same_process_is_refused_until_the_first_closes(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", {})
    with pytest.raises(RunLocked, match="this process"):
        Run.open(tmp_path / "run", write=True)
    run.close()
    run.close()
    Run.open(tmp_path / "run", write=True).close()


def test_two_writers_cannot_create_the_same_run(tmp_path: Path) -> None:
    from limpid.record.lock import RunLock

    lock = RunLock(tmp_path)
    with pytest.raises(RunLocked):
        Run.create(tmp_path, {})
    lock.release()
    Run.create(tmp_path, {}).close()


def test_the_number_of_a_dead_process_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between taking the lock and writing its number, the holder's file shows that of the one before."""
    from limpid.record import lock

    monkeypatch.setattr(lock, "_PATIENCE", 0.05)
    held = lock.RunLock(tmp_path)
    for text in ("99999999", "9" * 20, "", "x"):
        (tmp_path / lock.NAME).write_text(text)
        with pytest.raises(RunLocked, match="another process is writing"):
            lock.RunLock(tmp_path)
    held.release()


def test_a_folder_that_cannot_be_locked_is_an_error(tmp_path: Path) -> None:
    from limpid.record.lock import NAME, RunLock

    (tmp_path / NAME).mkdir()
    with pytest.raises(RecordError, match="cannot be opened for writing"):
        RunLock(tmp_path)


def test_a_forked_worker_that_outlives_its_parent_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "run"
    Run.create(path, {}).close()
    out, into = os.pipe()
    parent = os.fork()
    if parent == 0:
        run = Run.open(path, write=True)
        worker = os.fork()
        if worker == 0:
            time.sleep(30)
            os._exit(0)
        os.write(into, str(worker).encode())
        time.sleep(30)
        run.close()
        os._exit(0)
    worker = int(os.read(out, 20))
    try:
        with pytest.raises(RunLocked):
            Run.open(path, write=True)
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        time.sleep(0.1)
        Run.open(path, write=True).close()
    finally:
        os.kill(worker, signal.SIGKILL)
        os.close(out)
        os.close(into)
