"""What a pruner may let go, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

import limpid
from limpid.errors import ConfigError
from limpid.search.knob import Knob
from limpid.search.pruners import build_pruner
from limpid.search.samplers import build_sampler
from limpid.search.space import Space
from limpid.search.study import Study

OPTIONS = {"model__name": "mlp", "training__threads": 1, "data__size": 100, "record__report": False}


def test_a_trial_that_had_all_its_epochs_is_never_let_go(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Study, "report", lambda *heard: False)  # a pruner that likes nothing
    asked = {"budget": 2, "seeds": 0, "pruner": "median", "on": "one-by-one", **OPTIONS}
    search = limpid.tune("moons", epochs=1, out=str(tmp_path / "one"), **asked)
    assert [(row["state"], row["epochs"]) for row in search.trials] == [("finished", 1)] * 2
    with pytest.raises(ConfigError):  # after the first of two epochs it may
        limpid.tune("moons", epochs=2, out=str(tmp_path / "two"), **asked)


def opened(path: Path, pruner: str) -> Study:
    sampler = build_sampler("random", 0, Space((Knob("optim.lr", "log", 1e-3, 1e-1),)), 4)
    return Study(path, "pruned", sampler, build_pruner(pruner, 9), higher_is_better=False)


def heard(study: Study, number: int) -> list[bool]:
    """Whether a trial, the worse the later it was asked, goes on after each epoch until it is let go."""
    said: list[bool] = []
    while len(said) < 9 and all(said):
        said.append(study.report(number, len(said) + 1, 1.0 + number))
    return said


@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband"])
def test_killed_before_the_row_is_written_a_trial_is_let_go_after_the_same_epoch(tmp_path, pruner: str) -> None:
    """Halving takes a trial that it has judged at a rung for one that has passed it."""
    path = tmp_path / "study.log"
    study = opened(path, pruner)
    before: dict[int, list[bool]] = {}
    for _ in range(8):
        number = study.ask().number
        before[number] = heard(study, number)
        if all(before[number]):
            study.tell(number, "finished", 1.0 + number)
    study.close()
    let_go = [number for number, said in before.items() if not all(said)]
    assert let_go, "the pruner is to let one go"
    again = opened(path, pruner)
    assert [asked.number for asked in again.left_over(range(8))] == let_go
    assert {number: heard(again, number) for number in let_go} == {number: before[number] for number in let_go}
    again.close()
