"""What is recommended after a search: a space that tune reads, which mends what was found."""

from __future__ import annotations

import math
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from clinic.conditions_searches import NARROW_LOW, SICK, rate
from clinic.invented_search import BATCH, DECAY, DROPOUT, HIDDEN, LR, Sweep
from limpid.doctor.diagnosis import judge
from limpid.doctor.evidence import Evidence
from limpid.errors import ConfigError
from limpid.record.run import Run
from limpid.record.trial_table import TrialTable
from limpid.search.examination import NEXT, conclude_search, diagnose_search
from limpid.search.next_search import NextSearch, next_search, space_toml
from limpid.search.space import Space
from limpid.search.space_file import load_space, space_of


def recommended(sweep: Sweep, seed: int = 0) -> NextSearch | None:
    rows = sweep.rows(seed)
    diagnosis = judge(Evidence(sweep.head(), rows))
    return next_search(Space.from_dict(sweep.head()["space"]), TrialTable(sweep.head(), rows), diagnosis)


def knob_of(found: NextSearch | None, path: str) -> Any:
    assert found is not None
    return next(knob for knob in found.space.knobs if knob.path == path)


@pytest.mark.parametrize("name", SICK)
def test_every_recommended_space_is_one_that_tune_reads(name: str, tmp_path: Path) -> None:
    for seed in range(3):
        found = recommended(SICK[name][1], seed)
        if found is None:
            continue
        file = tmp_path / "next.toml"
        file.write_text(space_toml(found.space, found.changes), encoding="utf-8")
        read = {knob.path: knob for knob in load_space(file).knobs}
        assert read == {knob.path: knob for knob in found.space.knobs}


def test_a_range_that_ended_too_early_goes_on() -> None:
    knob = knob_of(recommended(Sweep(knobs=NARROW_LOW, budget=30)), "optim.lr")
    assert (knob.low, knob.high) == (1e-6, 1e-4)


def test_a_range_ends_where_the_configuration_does() -> None:
    """Dropout is a share below 1: half a width beyond 0.8 would be 1.1."""
    knobs = (LR, {**DROPOUT, "low": 0.2, "high": 0.8}, HIDDEN)
    found = recommended(Sweep(knobs=knobs, surface=lambda params: 0.3 + 0.6 * params["model.dropout"], budget=40))
    assert found is None or knob_of(found, "model.dropout").high == 0.8


def test_sizes_to_choose_from_get_one_more() -> None:
    def surface(params: Any) -> float:
        return 0.7 + 0.03 * math.log2(params["training.batch_size"])

    knob = knob_of(recommended(Sweep(knobs=(LR, BATCH, DECAY), surface=surface, budget=40)), "training.batch_size")
    assert knob.choices == (16, 32, 64, 128, 256)


def test_what_keeps_training_stable_joins() -> None:
    found = recommended(SICK["best beside breakdown"][1])
    assert knob_of(found, "optim.clip_norm").kind == "log"
    assert knob_of(found, "optim.warmup").choices == (0.0, 0.1, 0.2)


def test_where_training_breaks_down_the_range_ends() -> None:
    sweep = Sweep(breaks=lambda params, draw: rate(params) > -2.5, budget=40)
    assert knob_of(recommended(sweep), "optim.lr").high == pytest.approx(3 * 10**-2.5, rel=0.4)


def test_rate_and_decay_join_the_batch_size() -> None:
    sweep = Sweep(knobs=(DROPOUT, BATCH, HIDDEN), config={"optim": {"lr": 0.003}})
    found = recommended(sweep)
    rate_knob = knob_of(found, "optim.lr")
    assert (rate_knob.low, rate_knob.high) == pytest.approx((0.0003, 0.03))
    assert knob_of(found, "optim.weight_decay").kind == "log"


def test_more_trials_another_pruner_other_epochs() -> None:
    few, blind, long = (recommended(SICK[name][1]) for name in ("eight trials", "let go blindly", "best at once"))
    assert few is not None
    assert few.options == {"budget": 25}
    barren = recommended(Sweep(breaks=lambda params, draw: draw.random() < 0.7))
    assert barren is None or "budget" not in barren.options
    assert blind is not None
    assert blind.options == {"pruner": "none"}
    assert long is not None
    assert 5 <= long.options["epochs"] <= 15


def test_what_does_nothing_is_held_and_what_matters_tightened() -> None:
    found = recommended(Sweep(budget=60))
    held = [knob for knob in found.space.knobs if knob.kind == "choice" and len(knob.choices) == 1] if found else []
    assert held
    assert "optim.lr" not in {knob.path for knob in held}
    tight = knob_of(found, "optim.lr")
    assert LR["low"] < tight.low < 10**-1.7 < tight.high < LR["high"]


def test_a_knob_that_others_depend_on_is_not_held() -> None:
    name = {"path": "optim.name", "kind": "choice", "choices": ["sgd", "adamw"]}
    momentum = {"path": "optim.momentum", "kind": "linear", "low": 0.5, "high": 0.99, "when": {"optim.name": ["sgd"]}}
    for seed in range(5):
        found = recommended(Sweep(knobs=(LR, name, momentum, DECAY), budget=60), seed)
        assert knob_of(found, "optim.name").choices == ("sgd", "adamw")


def write(path: Path, sweep: Sweep, seed: int = 0) -> Run:
    run = Run.create(path, sweep.head())
    for row in sweep.rows(seed):
        if row["kind"] != "end":
            run.add(row["kind"], **{key: value for key, value in row.items() if key != "kind"})
    return run


def test_a_concluded_search_holds_findings_importance_and_the_next_search(tmp_path: Path) -> None:
    sweep = Sweep(knobs=NARROW_LOW, budget=30, header={"given": {"data": {"source": "digits"}, "optim": {"ema": 0.9}}})
    with write(tmp_path / "s", sweep) as run:
        diagnosis = conclude_search(run)
        assert [row["code"] for row in run.events("finding")] == [finding.code for finding in diagnosis.findings]
        assert {row["knob"] for row in run.events("importance")} == {knob["path"] for knob in NARROW_LOW}
        (told,) = run.events("next")
    text = (run.path / NEXT).read_text(encoding="utf-8")
    assert told["space"] == text
    assert space_of(tomllib.loads(text), origin="next").paths == tuple(knob["path"] for knob in NARROW_LOW)
    assert told["arguments"] == ["digits", "--budget", "30", "--metric", "accuracy", "--set", "optim.ema=0.9"]
    assert str(tmp_path) not in (run.path / "events.jsonl").read_text(encoding="utf-8")
    again = diagnose_search(Run.open(run.path))
    assert again.findings == diagnosis.findings
    assert str(run.path / NEXT) in again.notes[-1]


def test_the_next_command_keeps_what_was_given(tmp_path: Path) -> None:
    """Options of one kind of model too, and how many seeds the finalists get."""
    given = {"data": {"source": "my data.csv"}, "model": {"name": "lstm", "options": {"units": 64}}}
    sweep = Sweep(knobs=NARROW_LOW, budget=30, header={"given": given, "seeds": 5})
    with write(tmp_path / "s", sweep) as run:
        conclude_search(run)
    command = diagnose_search(run).notes[-1].removeprefix("next search: ")
    words = ["my data.csv", "--budget", "30", "--metric", "accuracy", "--seeds", "5", "--set", "model.name=lstm"]
    words += ["--set", "model.units=64", "--space", str(run.path / NEXT)]
    assert shlex.split(command) == ["limpid", "tune", *words]


def test_after_architectures_only_what_is_asked_for_beside_them_changes(tmp_path: Path) -> None:
    network = {"path": "model.name", "kind": "pattern", "high": 1e5, "shape": [4], "outputs": 2}
    sweep = Sweep(knobs=NARROW_LOW, budget=30, best_at=0.02, speed=0.01)
    sweep.header = {"given": {"data": {"source": "moons"}}, "sampler": "evolution"}
    head = sweep.head() | {"space": {"origin": "", "knobs": [network, *sweep.head()["space"]["knobs"]]}}
    rows = [{**row, "params": {"model.name": f"fc{i} fc", **row["params"]}} if "params" in row else row
            for i, row in enumerate(sweep.rows(0))]  # fmt: skip
    with Run.create(tmp_path / "s", head) as run:
        for row in rows:
            if row["kind"] != "end":
                run.add(row["kind"], **{key: value for key, value in row.items() if key != "kind"})
        diagnosis = conclude_search(run)
    assert {"H01", "H06"} <= {finding.code for finding in diagnosis.findings}
    (told,) = run.events("next")
    assert [change.partition(":")[0] for change in told["changes"]] == ["epochs"]
    assert told["space"] == ""
    assert not (run.path / NEXT).exists()
    words = shlex.split(diagnose_search(run).notes[-1].removeprefix("next search: "))
    assert "--architectures" in words
    assert "--space" not in words


def test_a_search_is_not_treated(tmp_path: Path) -> None:
    with write(tmp_path / "s", Sweep()) as run, pytest.raises(ConfigError, match="another search"):
        diagnose_search(run, treat=True)
