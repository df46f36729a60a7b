"""Runs with regularisers, answering schedules and early stopping, as a user starts, breaks off and resumes them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from limpid.catalogue.part import load_home
from limpid.catalogue.regularizers import REGULARIZERS
from limpid.deploy.trained import load_trained
from limpid.errors import ConfigError, Stopped
from limpid.record.run import Run
from limpid.training.history import Silence
from limpid.workbench import train

QUICK: dict[str, Any] = {"model": "mlp", "hidden": (16,), "epochs": 5, "batch_size": 64, "record__report": False}
CASES: dict[str, dict[str, Any]] = {
    "elastic": {"regularize__l1": 1e-3, "regularize__l2": 1e-2, "regularize__max_norm": 1.0},
    "proximal": {"optimizer": "sgd", "regularize__l1": 0.02, "regularize__proximal": True},
    "noise": {"regularize__input_noise": 0.3, "dropout": 0.3, "model__dropout_form": "classic", "ema": 0.9},
    "plateau": {"schedule": "plateau", "optim__plateau_patience": 0, "optim__threshold": 0.5, "optim__factor": 0.5},
    "stopping": {"patience": 2, "training__evaluate_every": 2, "training__baseline": 0.01, "epochs": 9},
    "last": {"training__restore_best": False, "training__monitor": "accuracy", "training__mode": "min"},
    "depth": {"model": "resnet20", "regularize__stochastic_depth": 0.5, "epochs": 2},
}

SLOW = pytest.mark.slow  # seconds of a residual network


class Breaking(Silence):
    """Asks the run to stop after its second epoch (or first, of a short run), as the system would."""

    def __init__(self, epoch: int) -> None:
        self.epoch_of_stop = epoch

    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None:
        if row["epoch"] == self.epoch_of_stop:
            os.kill(os.getpid(), signal.SIGTERM)


def end_of(run: Run) -> dict[str, Any]:
    return list(run.events("end"))[-1]


def rows_of(run: Run) -> list[dict[str, Any]]:
    timed = ("time", "seconds", "samples_per_second")
    return [{key: row[key] for key in row if key not in timed} for row in run.events("metric")]


@pytest.mark.parametrize("case", [pytest.param(case, marks=SLOW if case == "depth" else ()) for case in CASES])
def test_broken_off_and_resumed_it_ends_with_the_same_bits(case: str, tmp_path: Path) -> None:
    options = {**QUICK, **CASES[case]}
    source = "digits"
    if case == "depth":
        options.pop("hidden")
        options |= {"batch_size": 256, "precision": "float32"}
    whole = train(source, out=str(tmp_path / "whole"), **options)
    broken = tmp_path / "broken"
    with pytest.raises(Stopped):
        train(source, out=str(broken), observer=Breaking(1 if case == "depth" else 2), **options)
    resumed = train(resume=broken)
    assert end_of(resumed)["digest"] == end_of(whole)["digest"]
    assert rows_of(resumed) == rows_of(whole)
    if case == "plateau":
        rates = [row["lr"] for row in rows_of(whole) if row["split"] == "train"]
        assert len(set(rates)) > 2, "the rate must fall to show anything"
    if case == "stopping":
        assert end_of(whole)["reason"] == "early stopping"
        assert [row["epoch"] for row in rows_of(whole) if row["split"] == "valid"] == [1, 3]


def test_a_penalty_limits_and_sparsifies_what_comes_out(tmp_path: Path) -> None:
    def weights(name: str, **options: Any) -> list[torch.Tensor]:
        run = train("digits", out=str(tmp_path / name), **{**QUICK, **options})
        return [p.detach() for p in load_trained(run).network.parameters() if p.ndim > 1]

    free = weights("free", optimizer="sgd")
    limited = weights("limited", regularize__max_norm=0.5)
    assert max(w.norm(dim=1).max() for w in limited) <= 0.5 + 1e-6 < max(w.norm(dim=1).max() for w in free)
    sparse = weights("sparse", **CASES["proximal"])
    assert sum(int((w == 0).sum()) for w in sparse) > 30
    assert not any((w == 0).any() for w in free[1:])
    small = weights("small", regularize__l2=0.1, optimizer="sgd")
    assert sum(w.square().sum() for w in small) < 0.9 * sum(w.square().sum() for w in free)


@pytest.mark.spec("G3")
def test_the_direction_of_a_figure_is_known_or_told(tmp_path: Path) -> None:
    """mode auto: accuracy is to rise, a loss to fall; told the other way, the worst epoch is kept."""

    def kept(name: str, **options: Any) -> tuple[int, list[float]]:
        figure = options["training__monitor"]
        run = train("digits", out=str(tmp_path / name), **{**QUICK, **options})
        return next(iter(run.events("result")))["epoch"], [
            row[figure] for row in run.events("metric") if row["split"] == "valid"
        ]

    epoch, accuracies = kept("accuracy", training__monitor="accuracy")
    assert accuracies[epoch - 1] == max(accuracies)
    epoch, losses = kept("loss", training__monitor="loss")
    assert losses[epoch - 1] == min(losses)
    epoch, accuracies = kept("upside_down", training__monitor="accuracy", training__mode="min")
    assert accuracies[epoch - 1] == min(accuracies) < max(accuracies)


@pytest.mark.parametrize("name", list(REGULARIZERS))
def test_every_entry_names_a_thing_that_is_there(name: str) -> None:
    part = REGULARIZERS[name]
    assert load_home(part.home) is not None
    assert part.source
    assert part.what


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "regularize.on=nothing.here", "--set", "regularize.l2=1"], "names no parameter of the model"),
        (["--set", "regularize.proximal=true"], r"set regularize.l1"),
        (["--set", "regularize.stochastic_depth=0.1"], "no residual branch"),
        (["--set", "model.keep=0.5", "--dropout", "0.5"], "two words for one share"),
        (["--schedule", "plateou"], "Did you mean plateau?"),
        (["--schedule", "cosine", "--set", "optim.factor=0.5"], "It belongs to plateau"),
        (["--schedule", "cyclic", "--set", "optim.cycle_form=round"], "use triangular or triangular2"),
        (["--schedule", "multistep", "--set", "optim.milestones=3,late"], "milestones holds 'late'"),
        (["--model", "ridge", "--set", "regularize.l2=1"], "which ridge does not take"),
        (["--set", "training.evaluate_every=0"], "training.evaluate_every"),
    ],
)
def test_what_cannot_be_is_one_message(limpid: Callable[..., Any], options: list[str], message: str) -> None:
    model = [] if "--model" in options else ["--model", "mlp"]
    done = limpid("train", "digits", *model, *options)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_proximal_needs_a_strength_in_python_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="l1"):
        train("digits", regularize__proximal=True, out=str(tmp_path / "none"), **QUICK)
