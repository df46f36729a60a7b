"""Kill, interrupt and resume real processes: the final weights must be those of the run that was left alone.

What is not stopped itself runs in the tests' own process, which saves the import and is yet another process.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.cli import main
from limpid.finished import predict
from limpid.record.run import Run

# Dropout, weight averaging, momentum, validation and partial batches: everything that a checkpoint could forget.
OPTIONS = (
    "train moons --size 900 --noise 0.2 --hidden 32,32 --dropout 0.2 --batch-size 16 --epochs 16 --seed 4 "
    "--set optim.ema=0.9 --set training.checkpoint_steps=13 --set record.report=false"
).split()
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "limpid", *map(str, arguments)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], expected: int = 0) -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == expected, f"exit {process.returncode}\n{output}\n{errors}"
    assert "Traceback" not in errors
    return errors


@pytest.fixture
def here(limpid: Callable[..., Any]) -> Callable[..., str]:
    """Run the command in this process; what it wrote to the error stream."""

    def run(*arguments: str | Path, expected: int = 0) -> str:
        done = limpid(*arguments)
        assert done.code == expected, f"exit {done.code}\n{done.out}\n{done.err}"
        assert "Traceback" not in done.err
        return str(done.err)

    return run


def wait_for(path: Path, *, rows: int, process: subprocess.Popen[str]) -> None:
    """Until the run's log holds so many rows; the process must still be alive."""
    log = path / "events.jsonl"
    for _ in range(6000):
        if log.exists() and log.read_bytes().count(b"\n") >= rows:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError(f"{log} did not grow to {rows} rows")


def end_of(path: Path) -> dict[str, Any]:
    return Run.open(path).events("end")[-1]


def curve(path: Path) -> list[tuple[int, float]]:
    rows = Run.open(path).events("metric")
    return [(row["step"], row["loss"]) for row in rows if row["split"] == "train_step"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch, suppress(SystemExit):
        patch.setattr(sys, "argv", ["limpid", *OPTIONS, "--out", str(path)])
        main()
    assert end_of(path)["status"] == "finished"
    return path


def interrupted(path: Path, stop: signal.Signals, code: int) -> str:
    """Send a run this signal; what it says. Beside it stands a copy "killed" as SIGKILL would have left it just before.

    A process that is halted has written what a killed one has, so that one process serves for both.
    """
    process = start(*OPTIONS, "--out", path)
    wait_for(path, rows=70, process=process)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    shutil.copytree(path, path.parent / "killed")
    process.send_signal(stop)
    process.send_signal(signal.SIGCONT)
    return finish(process, code)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run after Ctrl-C, and what it said."""
    path = tmp_path_factory.mktemp("interrupted") / "stopped"
    return path, interrupted(path, signal.SIGINT, 130)


@pytest.mark.slow
def test_two_runs_of_one_seed_have_the_same_bits(whole: Path, tmp_path: Path) -> None:
    finish(start(*OPTIONS, "--out", tmp_path / "twin"))
    assert end_of(tmp_path / "twin")["digest"] == end_of(whole)["digest"]
    assert curve(tmp_path / "twin") == curve(whole)


@pytest.mark.slow
def test_a_terminated_run_says_so_and_resumes_to_the_same_bits(
    whole: Path, tmp_path: Path, here: Callable[..., str]
) -> None:
    message = interrupted(tmp_path / "stopped", signal.SIGTERM, 143)
    check_stopped(tmp_path / "stopped", message, "SIGTERM", whole, here)


def test_a_stopped_run_says_so_and_resumes_to_the_same_bits(
    whole: Path, stopped: tuple[Path, str], here: Callable[..., str]
) -> None:
    check_stopped(*stopped, "SIGINT", whole, here)


def check_stopped(path: Path, message: str, signal_name: str, whole: Path, here: Callable[..., str]) -> None:
    assert f"Stopped by {signal_name} after step" in message
    assert f"--resume {path}" in message
    assert end_of(path)["status"] == "stopped"

    here("train", "--resume", path)
    assert end_of(path)["digest"] == end_of(whole)["digest"]
    assert curve(path) == curve(whole), "no step is lost and none is logged twice"
    before = (path / "events.jsonl").read_bytes()
    here("train", "--resume", path)
    assert (path / "events.jsonl").read_bytes() == before, "a finished run is left as it is"


def test_a_damaged_checkpoint_is_passed_over_and_that_is_said(
    whole: Path, stopped: tuple[Path, str], here: Callable[..., str]
) -> None:
    path = stopped[0].parent / "killed"
    newest = sorted((path / "checkpoints").glob("[0-9]*"))[-1] / "model.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    here("train", "--resume", path)
    assert end_of(path)["digest"] == end_of(whole)["digest"]
    notes = " ".join(row["text"] for row in Run.open(path).events("note"))
    assert newest.parent.name in notes


def test_two_processes_cannot_write_one_run(tmp_path: Path, here: Callable[..., str]) -> None:
    path = tmp_path / "contested"
    process = start(*OPTIONS, "--out", path)
    wait_for(path, rows=5, process=process)
    assert str(process.pid) in here("train", "--resume", path, expected=5)
    assert "holds a run already" in here(*OPTIONS, "--out", path, expected=2)
    finish(process)


def test_a_diverging_run_ends_with_its_own_exit_code(tmp_path: Path, here: Callable[..., str]) -> None:
    path = tmp_path / "diverged"
    options = ["--optimizer", "sgd", "--lr", "1e12", "--schedule", "constant"]
    message = here(*OPTIONS, *options, "--out", path, expected=4)
    assert "became NaN or infinite after step" in message
    assert end_of(path)["status"] == "failed"
    answers = predict(path, np.zeros((2, 2), np.float32))
    assert np.isfinite(answers.probabilities).all(), "the last good weights can be used"


@pytest.mark.slow
def test_thirty_kills_at_random_moments(whole: Path, tmp_path: Path) -> None:
    """SIGKILL again and again, also while resuming; the end is the end of the undisturbed run."""
    chance = random.Random(0)
    started = time.perf_counter()
    finish(start(*OPTIONS, "--out", tmp_path / "timed"))
    lifetime = time.perf_counter() - started
    kills = 0
    number = 0
    while kills < 30:
        path = tmp_path / f"run-{number}"
        number += 1
        arguments: list[str | Path] = [*OPTIONS, "--out", path]
        while kills < 30:
            process = start(*arguments)
            try:
                process.communicate(timeout=chance.uniform(0.3, 1.0) * lifetime)
                break  # it finished before its time
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
            if (path / "run.json").exists():
                arguments = ["train", "--resume", path]
        if not (path / "run.json").exists():
            continue
        finish(start("train", "--resume", path))
        assert end_of(path)["digest"] == end_of(whole)["digest"], f"run {number} after {kills} kills"
        assert curve(path) == curve(whole)
