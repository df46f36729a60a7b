"""A fault at every single operation of making a run, saving into it and going back: always the old state or the new."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from limpid.errors import DiskFull, RecordError
from limpid.record import Run, files
from tests.record.faults import CRASHED, LossyDisk, PowerFailure, crash_at, fail_at, hook, in_child, list_operations

KEEP = 2


def contents(step: int) -> dict[str, bytes]:
    return {"model.safetensors": bytes([step]) * 300, "state.json": json.dumps({"step": step}).encode()}


def make(path: Path, steps: list[int]) -> Path:
    with Run.create(path, {"id": "x"}) as run:
        for step in steps:
            run.add("metric", step=step)
            run.write_checkpoint(step, contents(step), keep=KEEP)
    return path


def save(path: Path, step: int) -> None:
    with Run.open(path, write=True) as run:
        run.add("metric", step=step)
        run.write_checkpoint(step, contents(step), keep=KEEP)
        run.add("checkpoint", step=step)


def check(path: Path, old: int | None, new: int) -> int | None:
    """The run opens, holds `old` or `new` whole, tidies up, and takes another checkpoint. Returns the step it held."""
    with Run.open(path, write=True) as run:
        found = run.latest_checkpoint()
        step = None if found is None else found.step
        assert step in (old, new)
        if found is not None:
            assert found.skipped == []
            assert {name: found.read(name) for name in found.files} == contents(found.step)
        steps = [row["step"] for row in run.events("metric")]
        assert steps[: len(steps)] == [*range(1, len(steps) + 1)]
        assert step is None or step in steps, "a checkpoint came to the disk before the rows it stands on"
        run.truncate_after(step or 0)
        next_step = (step or 0) + 1
        run.add("metric", step=next_step)
        run.write_checkpoint(next_step, contents(next_step), keep=KEEP)
        assert run.latest_checkpoint().step == next_step  # type: ignore[union-attr]
        assert [row["step"] for row in run.events("metric")] == [*range(1, next_step + 1)]
    for folder in (path, path / "checkpoints"):
        assert not [child for child in folder.iterdir() if files.is_temporary(child.name)]
    assert len(list((path / "checkpoints").iterdir())) <= KEEP
    return step


# What is there before: nothing (first save), one, as many as are kept (rotation), and the same step (save again).
CASES = {"first": ([], 1), "second": ([1], 2), "rotation": ([1, 2], 3), "again": ([1, 2], 2)}


def each_fault(tmp_path: Path, case: str) -> tuple[list[str], Callable[[int], Path]]:
    before, step = CASES[case]
    base = make(tmp_path / "base", before)

    def fresh(n: int) -> Path:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return shutil.copytree(base, tmp_path / "run")

    path = fresh(0)
    return list_operations(lambda: save(path, step)), fresh


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize(
    "case", ["first", "rotation", *(pytest.param(case, marks=pytest.mark.slow) for case in ("second", "again"))]
)
def test_a_crash_at_any_operation_of_a_save_leaves_old_or_new(tmp_path: Path, case: str, torn: bool) -> None:
    before, step = CASES[case]
    operations, fresh = each_fault(tmp_path, case)
    assert len(operations) > 15
    held = []
    for n in range(1, len(operations) + 1):
        if torn and operations[n - 1] != "write":
            continue
        path = fresh(n)
        with hook(crash_at(n, torn=torn)):
            assert in_child(lambda path=path: save(path, step)) == CRASHED
        if case == "again":  # rows are not rolled back by `save`; only the checkpoint matters here
            found = Run.open(path).latest_checkpoint()
            assert found is not None
            assert (found.step, found.read("model.safetensors")) == (2, contents(2)["model.safetensors"])
        else:
            held.append(check(path, before[-1] if before else None, step))
    if case != "again":
        assert held == sorted(held, key=lambda value: value or 0), "once committed, always committed"
        assert torn or set(held) == {before[-1] if before else None, step}


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("case", ["first", "rotation"])
def test_an_error_at_any_operation_of_a_save_is_said(tmp_path: Path, case: str, number: int, persistent: bool) -> None:
    before, step = CASES[case]
    operations, fresh = each_fault(tmp_path, case)
    num_raised = 0
    for n in range(1, len(operations) + 1):
        path = fresh(n)
        said = None
        with hook(fail_at(n, number, persistent=persistent)):
            try:
                save(path, step)
            except RecordError as error:
                said = error
        if said is not None:
            num_raised += 1
            assert isinstance(said, DiskFull) == (number == errno.ENOSPC)
            assert str(path) in str(said)
            check(path, before[-1] if before else None, step)
        else:  # only the removal of an old checkpoint may fail without failing the save, and then it is noted
            assert not persistent
            assert "could not be removed" in Run.open(path).events("note")[0]["text"]
            assert check(path, step, step) == step
    assert num_raised >= len(operations) - 8


def test_after_a_full_disk_the_same_run_saves_again(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", {}) as run:
        run.write_checkpoint(1, contents(1), keep=1)
        with hook(fail_at(1, errno.ENOSPC, persistent=True)), pytest.raises(DiskFull):
            run.write_checkpoint(2, contents(2), keep=1)
        assert run.latest_checkpoint().step == 1  # type: ignore[union-attr]
        run.write_checkpoint(2, contents(2), keep=1)
        assert run.latest_checkpoint().step == 2  # type: ignore[union-attr]


def test_a_disk_full_from_the_start_leaves_no_folder(tmp_path: Path) -> None:
    operations = list_operations(lambda: Run.create(tmp_path / "whole", {}).close())
    for n in range(1, len(operations) + 1):
        with hook(fail_at(n, errno.ENOSPC, persistent=False)), pytest.raises(RecordError):
            Run.create(tmp_path / "run", {}).close()
        assert not (tmp_path / "run").exists() or (tmp_path / "run" / "run.json").exists()
        shutil.rmtree(tmp_path / "run", ignore_errors=True)


@pytest.mark.parametrize("case", CASES)
def test_power_loss_at_any_operation_of_a_save_leaves_old_or_new(tmp_path: Path, case: str) -> None:
    before, step = CASES[case]
    operations, fresh = each_fault(tmp_path, case)
    for n in range(1, len(operations) + 1):
        for state in states_after_power_loss(fresh(n), step, n, tmp_path / "states"):
            found = Run.open(state).latest_checkpoint()
            assert (found.step if found else None) in (before[-1] if before else None, step)
            if case != "again":
                check(state, before[-1] if before else None, step)


def states_after_power_loss(path: Path, step: int, n: int, target: Path, *, forces: bool = True) -> Iterator[Path]:
    disk = LossyDisk(path, n, target, num_states=4)
    disk.forces = forces
    with hook(disk.step), pytest.raises(PowerFailure):
        save(path, step)
    disk.close()
    return target.iterdir()


def test_on_a_disk_that_does_not_force_power_loss_would_show(tmp_path: Path) -> None:
    """The control of the test above: it would fail if nothing were forced."""
    operations, fresh = each_fault(tmp_path, "rotation")
    num_broken = 0
    for n in range(1, len(operations) + 1):
        for state in states_after_power_loss(fresh(n), 3, n, tmp_path / "states", forces=False):
            try:
                check(state, 2, 3)
            except (AssertionError, RecordError):
                num_broken += 1
    assert num_broken > 0


def test_a_crash_while_making_a_run_leaves_a_run_or_a_free_folder(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "run"
    for n in range(1, 40):
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        with hook(crash_at(n)):
            status = in_child(lambda: Run.create(path, {"id": "x"}).close())
        if (path / "run.json").exists():
            Run.open(path, write=True).close()
        else:
            Run.create(path, {"id": "x"}).close()
        assert Run.open(path).id == "x"
        assert {child.name for child in path.iterdir()} == {".lock", "run.json", "events.jsonl"}
        if status == 0:
            return
        assert status == CRASHED
    pytest.fail("the last operation was never reached")


def test_a_crash_while_going_back_leaves_a_log_that_goes_back_again(tmp_path: Path) -> None:
    base = make(tmp_path / "base", [1, 2])
    with Run.open(base, write=True) as run:
        run.add("metric", step=3)
        run.add("end", status="stopped")

    def go_back(path: Path) -> None:
        with Run.open(path, write=True) as run:
            run.truncate_after(2)

    for n in range(1, 40):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        path = shutil.copytree(base, tmp_path / "run")
        with hook(crash_at(n)):
            status = in_child(lambda path=path: go_back(path))
        assert len(Run.open(path).events()) in (2, 4)
        go_back(path)
        assert [row["step"] for row in Run.open(path).events()] == [1, 2]
        if status == 0:
            return
        assert status == CRASHED
    pytest.fail("the last operation was never reached")
