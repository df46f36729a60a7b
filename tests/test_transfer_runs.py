"""Runs that start from others, and runs of which parts are frozen and thawed, through the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.errors import Stopped
from limpid.record.run import Run
from limpid.reporting.facts import layer_rows, model_lines
from limpid.reporting.reading import read_run
from limpid.training.checkpoint import load_weights
from limpid.training.history import Silence
from limpid.workbench import train

SMALL = ("--model", "mlp", "--hidden", "16,8", "--epochs", "2", "--device", "cpu", "--precision", "float32")


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    checkpoint = Run.open(path).latest_checkpoint()
    assert checkpoint is not None
    return load_weights(checkpoint)


def digits(path: Path, low: int, high: int) -> Path:
    from sklearn.datasets import load_digits

    data = load_digits()
    keep = (data.target >= low) & (data.target < high)
    np.savez(path, x=data.images[keep].astype(np.float32), y=np.array([f"d{k}" for k in data.target[keep]]))
    return path


@pytest.mark.spec("A60", "F8", "E15")
def test_a_run_starts_from_another_with_a_new_head(limpid: Callable[..., Any], tmp_path: Path) -> None:
    low, high = digits(tmp_path / "low.npz", 0, 5), digits(tmp_path / "high.npz", 5, 10)
    assert limpid("train", low, *SMALL, "--out", "a").code == 0
    done = limpid("train", high, *SMALL, "--from", "a", "--freeze", "backbone", "--out", "b")
    assert done.code == 0, done.err
    assert "started from a: " in done.out
    assert "frozen: " in done.out
    before, after = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert len(changed) == 2  # the head: as many classes, but others
    reading = read_run(Run.open(tmp_path / "b"))
    start = reading.header["model"]["start"]
    assert {*start["new"]} == changed | {"scale.mean", "scale.inv_std"}
    assert {*start["taken"]} == before.keys() - {*start["new"]}
    frozen = [row["frozen"] for row in layer_rows(reading)[0] if row["parameters"] not in ("", "0")]
    assert frozen == [True, True, False]
    assert len(model_lines(reading)) == 2
    assert "(frozen)" in (tmp_path / "b" / "report.html").read_text(encoding="utf-8")


def test_embeddings_of_other_tokens_are_new(tmp_path: Path) -> None:
    for name, letters in (("a", "abcdefgh "), ("b", "stuvwxyz ")):
        rng = np.random.default_rng(0)
        (tmp_path / f"{name}.txt").write_text("".join(rng.choice(list(letters), 3000)))
    options: dict[str, Any] = {
        "model": "gpt", "model__width": 32, "model__heads": 2, "model__layers": 1, "context": 8, "tokens": "char",
        "training__steps": 3, "device": "cpu", "record__report": False, "batch_size": 8, "precision": "float32",
        "training__matmul": "default",
    }  # fmt: skip
    one = train(str(tmp_path / "a.txt"), out=tmp_path / "one", **options)
    again = train(str(tmp_path / "a.txt"), out=tmp_path / "again", start=str(one.path), **options)
    other = train(str(tmp_path / "b.txt"), out=tmp_path / "other", start=str(one.path), **options)
    scale = {"scale.mean", "scale.inv_std"}
    assert {*again.header["model"]["start"]["new"]} == scale
    new = {*other.header["model"]["start"]["new"]} - scale
    assert new == {name for name, tensor in weights_of(one.path).items() if len(tensor) == 13}  # 9 and 4 special ones
    assert new


def test_what_cannot_be_started_from_is_told(limpid: Callable[..., Any], tmp_path: Path) -> None:
    low = digits(tmp_path / "low.npz", 0, 5)
    done = limpid("train", low, *SMALL, "--from", "nowhere", "--out", "b")
    assert done.code == 2
    assert "nowhere" in done.err
    assert limpid("train", low, *SMALL, "--out", "a").code == 0
    done = limpid("train", low, "--model", "linear", "--from", "a", "--out", "b")
    assert done.code == 2
    assert "Nothing of a fits" in done.err
    assert not (tmp_path / "b").exists()
    assert limpid("train", low, *SMALL, "--set", "model.thaw=1", "--out", "b").code == 2


@pytest.mark.spec("A60")
def test_blocks_thaw_on_schedule_and_a_resumed_run_gives_the_same_bits(tmp_path: Path) -> None:
    data = digits(tmp_path / "low.npz", 0, 5)
    options: dict[str, Any] = {
        "model": "mlp", "hidden": (16, 8), "epochs": 4, "freeze": "backbone", "model__thaw": 2, "lr": 0.01,
        "device": "cpu", "precision": "float32", "training__checkpoint_steps": 5, "batch_size": 64,
    }  # fmt: skip

    class Watch(Silence):
        """Notes which weights have moved by the end of each epoch, and can stop the run."""

        def __init__(self, stop_at: int | None = None) -> None:
            self.moved: list[list[bool]] = []
            self.stop_at = stop_at

        def wired(self, wiring: Any, run: Any) -> None:
            self.parameters = [p for p in wiring.network.parameters() if p.ndim > 1]
            self.before = [p.detach().clone() for p in self.parameters]

        def step(self, step: int, loss: float) -> None: ...

        def epoch(self, row: Any, valid_row: Any) -> None:
            self.moved.append([not torch.equal(p, b) for p, b in zip(self.parameters, self.before, strict=True)])
            if row["epoch"] == self.stop_at:
                import os
                import signal

                os.kill(os.getpid(), signal.SIGTERM)

        def close(self) -> None: ...

    watch = Watch()
    whole = train(str(data), observer=watch, out=tmp_path / "whole", **options)
    assert watch.moved == [[False, False, True]] * 2 + [[False, True, True]] * 2
    with pytest.raises(Stopped):
        train(str(data), observer=Watch(stop_at=3), out=tmp_path / "cut", **options)
    again = train(resume=tmp_path / "cut")
    one, other = weights_of(whole.path), weights_of(again.path)
    assert all(torch.equal(one[name], other[name]) for name in one)


QUICK: dict[str, Any] = {
    "model": "mlp", "hidden": (16, 8), "device": "cpu", "precision": "float32", "training__matmul": "default",
    "epochs": 1, "batch_size": 64, "record__report": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Data, and a run on them to start from."""
    folder = tmp_path_factory.mktemp("first")
    data = str(digits(folder / "low.npz", 0, 5))
    return data, train(data, out=folder / "first", **QUICK).path


def changed_tensors(before: Path, after: Path) -> set[str]:
    one, other = weights_of(before), weights_of(after)
    return {key for key in one if "scale" not in key and not torch.equal(one[key], other[key])}


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "none"])
def test_every_optimiser_leaves_alone_what_is_frozen(name: str, first: tuple[str, Path], tmp_path: Path) -> None:
    data, start = first
    options = {**QUICK, "optimizer": name, "optim__layer_decay": 0.5}
    run = train(data, out=tmp_path / "run", start=str(start), freeze="1", **options)
    names = {key.removeprefix("body.").rpartition(".")[0] for key in changed_tensors(start, run.path)}
    learning = {row["name"] for row in run.header["model"]["layers"] if row["trainable"]}
    assert names == learning
    assert len(learning) == 2


# Of each make one every day: a rule with momentum, with two averages, for matrices, and with weights of its own.
THAWED = ("sgd", "adamw", "muon", "schedule_free_adamw")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in THAWED else pytest.mark.slow) for name in OPTIMIZERS if name != "none"],
)
def test_every_optimiser_takes_what_thaws(name: str, first: tuple[str, Path], tmp_path: Path) -> None:
    options = {**QUICK, "optimizer": name, "optim__layer_decay": 0.5, "epochs": 3}
    run = train(first[0], out=tmp_path / "thawed", freeze="backbone", model__thaw=1, **options)
    assert run.events("end")[-1]["status"] == "finished"


@pytest.mark.parametrize(
    "companion", [{"ema": 0.9}, {"optim__swa": 0.5}, {"optim__sam_rho": 0.05}, {"optim__lookahead": 5}]
)
def test_companions_of_optimisers_leave_alone_what_is_frozen(
    companion: dict[str, Any], first: tuple[str, Path], tmp_path: Path
) -> None:
    data, start = first
    options = {**QUICK, **companion, "epochs": 2}
    run = train(data, out=tmp_path / "run", start=str(start), freeze="backbone", **options)
    assert len(changed_tensors(start, run.path)) == 2
    train(data, out=tmp_path / "thawed", freeze="backbone", model__thaw=1, **options)
