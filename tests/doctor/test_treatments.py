"""What each treatment would change, from the options and rows of a record alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from limpid.config import Config
from limpid.config_reader import known_keys, with_options
from limpid.doctor.checks import CHECKS
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.doctor.treatment import Treatment
from limpid.doctor.treatments import TREATMENTS, second_line

SPEC = {"task": "classification", "kind": "image", "input_shape": [3, 32, 32], "num_train": 4000}
SICK: dict[str, Any] = {
    "data": {"scale": "none", "drop": [], "leave_out": []},
    "augment": {"flip": False, "crop": 0, "scale": 0.1, "rotation": 0.0, "mixup": 3.0},
    "model": {"name": "mlp", "hidden": [8, 8], "activation": "relu", "init": "zeros", "bias_init": "own"}
    | {"embedding_init": "own", "norm": "none", "dropout": 0.2, "freeze": "backbone", "thaw": None, "options": {}},
    "objective": {"label_smoothing": 0.05, "class_weights": None, "standardise": True},
    "optim": {"name": "sgd", "lr": 1.0, "weight_decay": 0.1, "warmup": 0.0, "clip_norm": None}
    | {"options": {"momentum": 0.999}},
    "regularize": {"l1": 0.1, "l2": 0.0, "l2_sum": 0.0, "max_norm": None, "input_noise": 0.0, "stochastic_depth": 0.0},
    "training": {"epochs": 10, "steps": None, "batch_size": 256, "restore_best": False, "patience": 0},
}
FINDING = Finding(level="warning", symptom="s", value=1.0, threshold=0.0, where="age", rows=("row 3", "row 9"))

every_treatment = pytest.mark.parametrize("treatment", TREATMENTS.values(), ids=list(TREATMENTS))


def evidence(
    changes: Mapping[str, Any] | None = None, *, rows: list[dict[str, Any]] | None = None, **spec: Any
) -> Evidence:
    config = {section: dict(values) for section, values in SICK.items()}
    for path, value in (changes or {}).items():
        section, key = path.split(".")
        config[section][key] = value
    summary = {"columns": [{"name": "age"}, {"name": "fare"}]}
    return Evidence({"config": config, "data": {**SPEC, **spec}, "summary": summary}, rows or [])


def patches(name: str, of: Evidence, finding: Finding = FINDING) -> list[dict[str, Any]]:
    return [dict(patch) for patch in TREATMENTS[name].patches(of, finding)]


@every_treatment
def test_a_treatment_is_described(treatment: Treatment) -> None:
    assert all((treatment.what, treatment.why, treatment.source))
    assert treatment.why.endswith(".")


@every_treatment
def test_a_treatment_changes_options_that_exist(treatment: Treatment) -> None:
    spec: dict[str, Any] = {"task": "regression"} if treatment.name == "standardise-target" else {}
    other = {"raise-rate": {"optim.lr": 1e-6}, "less-smoothing": {"objective.label_smoothing": 0.7}}
    other["larger-batch"] = {"training.batch_size": 4}
    sick = evidence({"objective.standardise": False} | other.get(treatment.name, {}), **spec)
    found = treatment.patches(sick, FINDING)
    assert bool(found) != bool(treatment.by_hand)
    for patch in found:
        assert set(patch) <= set(known_keys()) | {"model.input_dropout"}
        with_options(Config(), {path.replace(".", "__"): value for path, value in patch.items()})


@every_treatment
def test_a_record_of_somebody_elses_loop_needs_no_options(treatment: Treatment) -> None:
    treatment.patches(Evidence({}, []), FINDING)


def test_what_checks_propose_exists() -> None:
    proposed = {name: check.code for check in CHECKS.values() for name in check.treatments}
    assert {name: code for name, code in proposed.items() if name not in TREATMENTS} == {}


def test_rates_go_the_right_way_and_begin_with_what_won_a_race() -> None:
    race = {"kind": "probe", "name": "rate_race", "values": {"best": 0.1}}
    momentum, *rates = patches("lower-rate", evidence(rows=[race]))
    assert momentum == {"optim.momentum": 0.9}  # 0.999 multiplies the rate by 1000
    lower = [patch["optim.lr"] for patch in rates]
    assert lower[0] == pytest.approx(0.1)
    assert 0.05 in lower  # the optimiser's usual one
    assert all(rate < 1.0 for rate in lower)
    raised = [patch["optim.lr"] for patch in patches("raise-rate", evidence({"optim.lr": 1e-5}))]
    assert raised[0] == 0.05
    assert all(rate > 1e-5 for rate in raised)


def test_clipping_at_the_ninetieth_percentile() -> None:
    rows = [
        {"kind": "monitor", "name": "grad_norm", "step": i, "values": {"a": 3.0 * i, "b": 4.0 * i}}
        for i in range(1, 12)
    ]
    assert patches("clip", evidence(rows=rows))[0] == {"optim.clip_norm": 50.0}
    assert patches("clip", evidence({"optim.clip_norm": 0.5}, rows=rows)) == []


def test_what_is_as_it_should_be_is_left_alone() -> None:
    healthy = evidence(
        {
            "data.scale": "auto",
            "model.init": None,
            "optim.warmup": 0.25,
            "model.freeze": "",
            "training.restore_best": True,
        }
    )
    for name in ("standardise-inputs", "he-init", "warm-up", "unfreeze", "early-stop", "standardise-target"):
        assert patches(name, healthy) == [], name


def test_penalties_fall_to_the_usual_and_to_nothing() -> None:
    usual, none = patches("less-decay", evidence())
    assert usual == {"optim.weight_decay": 5e-4, "regularize.l1": 0.0}
    assert none == {"optim.weight_decay": 0.0, "regularize.l1": 0.0}


def test_the_end_is_put_where_validation_was_best() -> None:
    rows = [
        {"kind": "metric", "split": split, "epoch": epoch, "step": epoch, "loss": abs(epoch - 4) + 1.0}
        for epoch in range(1, 11)
        for split in ("train", "valid")
    ]
    keep, shorter = patches("early-stop", evidence(rows=rows))
    assert keep == {"training.restore_best": True, "training.patience": 3}
    assert shorter == {"training.epochs": 5, "training.restore_best": True}


@pytest.mark.parametrize("where", ["age", "column age", "'age'", "column 'age'"])
def test_the_column_is_read_off_the_finding(where: str) -> None:
    finding = Finding(level="warning", symptom="s", value=1.0, threshold=0.0, where=where)
    assert patches("drop-column", evidence({"data.drop": ["name"]}), finding) == [{"data.drop": ("name", "age")}]


def test_columns_that_are_not_there_and_findings_without_rows_change_nothing() -> None:
    finding = Finding(level="warning", symptom="s", value=1.0, threshold=0.0, where="layers.0")
    assert patches("drop-column", evidence(), finding) == []
    assert patches("drop-rows", evidence(), finding) == []


def test_rows_join_those_that_are_out_already() -> None:
    assert patches("drop-rows", evidence({"data.leave_out": ["row 3", "row 1"]})) == [
        {"data.leave_out": ("row 3", "row 1", "row 9")}
    ]


def test_mirrors_are_for_colour_photographs() -> None:
    assert patches("augment", evidence())[0] == {"augment.crop": 4, "augment.flip": True}
    assert patches("augment", evidence(input_shape=[1, 28, 28]))[0] == {"augment.crop": 3}
    assert patches("augment", evidence(kind="table", input_shape=[10])) == []


def test_what_is_unusual_is_suspected_in_the_second_line() -> None:
    assert second_line(evidence()) == (
        "standardise-inputs",
        "he-init",
        "lower-rate",
        "less-momentum",
        "less-decay",
    )
    usual = {
        "data.scale": "auto",
        "model.init": None,
        "optim.lr": 0.05,
        "optim.weight_decay": 5e-4,
        "regularize.l1": 0.0,
    }
    assert second_line(evidence({**usual, "optim.options": {"momentum": 0.9}})) == ()
    assert second_line(Evidence({}, [])) == ()
