"""Checks of the fit on records written by hand: each speaks for its fault, and is silent for what looks like it."""

from __future__ import annotations

import math

import pytest

from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import judge
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from tests.doctor.fit_rows import record, rivals

FALLING = [2.0, 1.0, 0.5, 0.3, 0.2, 0.12, 0.08, 0.05]
MINE = [code for code in CHECKS if code[0] in "GT"]


def found(code: str, evidence: Evidence) -> list[Finding]:
    """Findings of one check; it must have been able to judge."""
    verdict = CHECKS[code].rule(evidence)
    assert verdict is not None
    assert verdict.statistics
    return list(verdict.findings)


@pytest.mark.spec("G18")
def test_over_fitting_is_said_with_its_remedies() -> None:
    valid = [2.0, 1.2, 0.6, 0.9, 1.0, 1.3, 1.4, 1.5]
    config = {"model": {"dropout": 0.1}, "optim": {"weight_decay": 0.01}}
    run = record(train=FALLING, valid=valid, fixed=FALLING, config=config, spec={"kind": "image"})
    (finding,) = found("G02", run)
    assert (finding.level, finding.where, finding.step) == ("warning", "confidence", 60)
    assert finding.value == pytest.approx(1.3 / 0.6 - 1)  # the least of the last three, above the best
    assert "rises by 117 %, from 0.6 to 1.5" in finding.symptom
    remedies = ["augment", "L2 penalty", "now 0.01", "dropout", "now 0.1", "--patience 5"]
    assert [word for word in remedies if word not in finding.remedy] == []
    assert finding.picture is not None


def test_answers_that_get_worse_are_told_from_mere_confidence() -> None:
    valid = [2.0, 1.2, 0.8, 0.9, 1.0, 1.2, 1.3, 1.4]
    right = [0.5, 0.7, 0.85, 0.84, 0.80, 0.78, 0.77, 0.75]
    (finding,) = found("G02", record(train=FALLING, valid=valid, fixed=FALLING, accuracy=right))
    assert (finding.level, finding.where) == ("warning", "answers")
    (milder,) = found("G02", record(train=FALLING, valid=valid, fixed=FALLING))
    assert (milder.level, milder.where) == ("note", "confidence")  # by half, and no answer is lost


@pytest.mark.parametrize(
    ("train", "valid"),
    [
        (FALLING, [2.1, 1.1, 0.6, 0.4, 0.3, 0.2, 0.16, 0.14]),  # a good fit
        ([2.0, 1.9, 1.85, 1.8], [2.0, 1.9, 1.88, 1.85]),  # too small a network
        ([2.0, 0.5, 0.1, 0.01], [1.0, 0.6, 0.55, 0.5]),  # a gap, but validation gains
        ([2.0, 1.0, 2.5, 3.0, 3.2], [2.0, 1.0, 2.8, 3.3, 3.5]),  # a rate that is too high: both rise
        (FALLING, [2.0, 1.0, 0.50, 0.52, 0.55, 0.54, 0.53, 0.55]),  # the wobble of a small split
        (FALLING, [2.0, 0.8, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9]),  # noise that is as large as the rise
    ],
)
def test_what_looks_like_over_fitting_is_no_warning(train: list[float], valid: list[float]) -> None:
    assert [f for f in found("G02", record(train=train, valid=valid, fixed=train)) if f.level != "note"] == []


def test_few_wrong_answers_cannot_show_over_fitting() -> None:
    valid = [2.0, 1.2, 0.08, 0.09, 0.10, 0.12, 0.13, 0.14]
    run = record(train=FALLING, valid=valid, fixed=[0.01] * 8, accuracy=[0.995] * 8)
    assert [finding.level for finding in found("G02", run)] == ["note"]


@pytest.mark.parametrize(
    ("valid", "right", "level"),
    [
        ([2.0, 1.0, 0.6, 0.55, 0.53, 0.52, 0.52, 0.53], 0.93, "note"),
        ([2.0, 1.0, 0.6, 0.55, 0.53, 0.52, 0.51, 0.50], 0.8, "note"),  # it still improves
        ([2.0, 1.0, 0.6, 0.55, 0.53, 0.52, 0.52, 0.53], 0.8, "warning"),
    ],
)
def test_a_gap_without_a_rise(valid: list[float], right: float, level: str) -> None:
    run = record(train=FALLING, valid=valid, fixed=FALLING, accuracy=[right] * 8, fixed_accuracy=[1.0] * 8)
    (finding,) = found("G02", run)
    assert (finding.level, finding.where) == (level, "gap")
    assert finding.value == pytest.approx(1 - right)


def test_under_fitting_is_measured_against_a_rival() -> None:
    high = [1.5] * 8
    run = record(train=high, valid=high, fixed=high, accuracy=[0.6] * 8, fixed_accuracy=[0.61] * 8)
    assert CHECKS["G01"].rule(run) is None  # nothing to hold it against
    sick = record(
        train=high,
        valid=high,
        fixed=high,
        accuracy=[0.6] * 8,
        fixed_accuracy=[0.61] * 8,
        probes={"quick_rivals": rivals(0.95)},
    )
    (finding,) = found("G01", sick)
    assert finding.value == pytest.approx(0.34)
    assert "boosted trees" in finding.symptom
    diagnosis = judge(sick)
    assert [f.code for f in diagnosis.findings if f.level == "warning"][:1] == ["G01"]
    assert all(f.because == "G01" for f in diagnosis.findings if f.code == "G15")


@pytest.mark.parametrize(
    ("train_accuracy", "rival", "noise"),
    [
        (0.93, 0.95, None),  # within the noise of the rows
        (0.99, 0.95, None),  # better than the rival
        (0.80, 0.95, {"share": 0.2, "low": 0.18, "high": 0.22, "n": 2000}),  # wrong labels are its floor
    ],
)
def test_no_under_fitting_near_the_reference(train_accuracy: float, rival: float, noise: dict[str, float]) -> None:
    probes = {"quick_rivals": rivals(rival)} | ({} if noise is None else {"label_noise": noise})
    run = record(
        train=[0.5] * 8,
        valid=[0.5] * 8,
        fixed=[0.5] * 8,
        accuracy=[train_accuracy] * 8,
        fixed_accuracy=[train_accuracy] * 8,
        probes=probes,
    )
    assert found("G01", run) == []


def test_regularisation_is_to_blame_where_the_free_twin_is_better() -> None:
    values = {"options": ["optim.weight_decay"], "n": 400, "steps": 300, "error": 0.4, "free_error": 0.1, "gain": 0.3}
    (finding,) = found("G09", record(train=[1.0], valid=[1.0], probes={"unregularised": {**values, "se": 0.02}}))
    assert (finding.sure, finding.treatments) == ("confirmed", ("less-decay",))
    assert found("G09", record(train=[1.0], valid=[1.0], probes={"unregularised": {**values, "se": 0.2}})) == []


def test_a_better_rival_is_said_plainly_and_a_tie_too() -> None:
    base = {"train": FALLING, "valid": FALLING, "accuracy": [0.8] * 8}
    paired = {"network": {"score": 0.8, "low": 0.76, "high": 0.84}}
    behind = rivals(0.95, gain={"trees": {"mean": -0.15, "se": 0.02}}, **paired)
    (finding,) = found("G15", record(**base, probes={"rivals_after": behind}))
    assert finding.sure == "confirmed"
    assert "Boosted trees errs at 5 %, the network at 20 %" in finding.symptom
    tie = rivals(0.81, gain={"trees": {"mean": -0.01, "se": 0.02}}, **paired)
    assert found("G15", record(**base, probes={"rivals_after": tie})) == []
    (note,) = found("G14", record(**base, probes={"rivals_after": tie}))
    assert note.level == "note"
    assert "tie" in note.symptom


def test_a_test_split_of_its_own_shows_a_mismatch() -> None:
    base = {"train": FALLING, "valid": FALLING, "fixed": FALLING, "accuracy": [0.95] * 8}
    (finding,) = found("G03", record(**base, test_accuracy=0.7, config={"data": {"test": "there.csv"}}))
    assert "come from elsewhere" in finding.cause or finding.cause == ""
    (over_tuned,) = found("G03", record(**base, test_accuracy=0.7))
    assert "chose the best epoch" in over_tuned.cause
    assert found("G03", record(**base, test_accuracy=0.94)) == []


def test_validation_of_another_kind_is_judged_where_training_rows_are_learned() -> None:
    """Validation chose the first epoch, at which both kinds are answered alike; what was learned later tells."""
    valid, right, learned = [1.5, 1.8, 2.2, 2.6], [0.55, 0.55, 0.5, 0.5], [0.56, 0.8, 0.95, 0.99]
    curves = {"train": FALLING[:4], "valid": valid, "fixed": FALLING[:4], "accuracy": right, "fixed_accuracy": learned}
    (finding,) = found("G03", record(**curves, probes={"shift": {"auc": 1.0, "p": 1e-30}}))
    assert (finding.where, finding.level) == ("validation", "warning")
    assert finding.value == pytest.approx(0.99 - 0.5)
    for shift in ({"auc": 0.6, "p": 1e-30}, {"auc": 0.9, "p": 0.2}):  # over-fitting to rows of one kind
        assert found("G03", record(**curves, probes={"shift": shift})) == []
    alike = curves | {"accuracy": [0.55, 0.8, 0.94, 0.98]}
    assert found("G03", record(**alike, probes={"shift": {"auc": 1.0, "p": 1e-30}})) == []  # told apart, answered alike


def test_under_fitting_is_surer_of_more_training_rows() -> None:
    """Fixed rows are as many as those of validation; `limpid diagnose` asks the trained network of up to 2,000."""
    high, probes = [0.4] * 4, {"quick_rivals": rivals(0.93)}
    curves = {"train": high, "valid": high, "fixed": high, "accuracy": [0.84] * 4, "fixed_accuracy": [0.84] * 4}
    curves["spec"] = {"num_valid": 150}
    assert found("G01", record(**curves, probes=probes)) == []
    surer = {**probes, "train_error": {"n": 2000, "loss": 0.4, "accuracy": 0.84}}
    (finding,) = found("G01", record(**curves, probes=surer))
    assert finding.n == 2000
    assert "train_error" in CHECKS["G01"].reads


def test_validation_better_than_training_is_odd() -> None:
    import numpy as np

    losses = np.abs(np.random.default_rng(0).normal(0.5, 0.3, 400))
    base = {"train": [1.0] * 4, "predictions": {"losses": losses}}
    odd = record(**base, valid=[0.5] * 4, fixed=[1.0] * 4, accuracy=[0.95] * 4, fixed_accuracy=[0.7] * 4)
    assert [finding.level for finding in found("G04", odd)] == ["warning"]
    usual = record(**base, valid=[0.98] * 4, fixed=[1.0] * 4, accuracy=[0.9] * 4, fixed_accuracy=[0.9] * 4)
    assert found("G04", usual) == []


def test_too_good_asks() -> None:
    noise = {"share": 0.1, "low": 0.08, "high": 0.12, "n": 2000}
    run = record(train=FALLING, valid=FALLING, accuracy=[0.99] * 8, probes={"label_noise": noise})
    assert [f.level for f in found("G05", run)] == ["note"]
    easy = record(train=FALLING, valid=FALLING, accuracy=[1.0] * 8, probes={"quick_rivals": rivals(0.999)})
    assert [f.level for f in found("G05", easy)] == ["note"]
    assert found("G05", record(train=FALLING, valid=FALLING, accuracy=[0.5, *[0.99] * 7])) == []


@pytest.mark.spec("I39")
def test_the_end_of_training() -> None:
    early = [2.0, 1.5, 1.1, 0.8]
    (finding,) = found("G06", record(train=early, valid=early))
    assert (finding.level, finding.where) == ("warning", "too early")
    flat = [2.0, 1.0, 0.6, 0.5, 0.48, 0.475, 0.473, 0.472]
    assert found("G06", record(train=flat, valid=flat)) == []
    late = [2.0, 0.5, *(0.6 + 0.01 * i for i in range(38))]
    (note,) = found("G06", record(train=[1 / (i + 1) for i in range(40)], valid=late))
    assert (note.level, note.where) == ("note", "too late")
    verdict = CHECKS["G06"].rule(record(train=[1 / (i + 1) for i in range(40)], valid=late))
    assert verdict is not None
    assert verdict.statistics["best_epoch"] == late.index(min(late)) + 1


def test_the_best_epoch_of_a_flat_course_is_anywhere() -> None:
    falling = [1 / (i + 1) for i in range(40)]
    flat = [2.0, 0.5, *(0.5 - 1e-4 * i for i in range(38))]  # the last epoch is the best, by next to nothing
    (note,) = found("G06", record(train=falling, valid=flat))
    assert (note.where, note.step) == ("too late", 40)
    assert "After 2 of 40" in note.symptom
    slow = [0.5 + 1.5 * 0.7**i for i in range(40)]  # all but a hundredth is reached in epoch 16
    assert found("G06", record(train=falling, valid=slow)) == []


def test_wrong_labels_learned_by_heart() -> None:
    noise = {"share": 0.2, "low": 0.17, "high": 0.23, "n": 2000}
    base = {"train": FALLING, "valid": FALLING, "fixed": FALLING}
    (finding,) = found("G10", record(**base, fixed_accuracy=[0.99] * 8, probes={"label_noise": noise}))
    assert finding.level == "note"
    assert found("G10", record(**base, fixed_accuracy=[0.8] * 8, probes={"label_noise": noise})) == []


def test_labels_at_random_learned_by_heart() -> None:
    """Labels that have nothing to do with the inputs show no noise; all but the lucky ones are wrong then."""
    probes = {
        "label_noise": {"share": 0.0, "low": 0.0, "high": 0.0, "rows": 1000},
        "label_signal": {"rows": 1000, "near": 0.0, "near_z": 0.5, "linear": 0.0, "linear_z": -0.4},
    }
    base = {"train": FALLING, "valid": FALLING, "fixed": FALLING, "accuracy": [0.1] * 8, "probes": probes}
    (finding,) = found("G10", record(**base, fixed_accuracy=[1.0] * 8))
    assert "90 % of the labels" in finding.symptom
    assert found("G10", record(**base, fixed_accuracy=[0.2] * 8)) == []


def test_dropout_in_front_of_batch_normalisation() -> None:
    layers = [{"name": "0", "kind": "Dropout"}, {"name": "1", "kind": "Linear"}, {"name": "2", "kind": "BatchNorm1d"}]
    (finding,) = found(
        "G11", record(train=[1.0], valid=[1.0], model={"layers": layers}, config={"model": {"dropout": 0.5}})
    )
    assert (finding.level, finding.where) == ("note", "2")
    behind = list(reversed(layers))
    assert (
        found("G11", record(train=[1.0], valid=[1.0], model={"layers": behind}, config={"model": {"dropout": 0.5}}))
        == []
    )


def test_one_part_that_all_hangs_on() -> None:
    def probe(*errors: float) -> dict[str, object]:
        parts = [{"name": f"part {i}", "share": 0.03, "border": True, "error": e} for i, e in enumerate(errors)]
        return {"n": 256, "error": 0.02, "constant": 0.9, "parts": parts}

    image = {"train": [1.0], "valid": [1.0], "spec": {"kind": "image"}}
    (finding,) = found("G13", record(**image, probes={"shortcut": probe(0.88, 0.05, 0.04)}))
    assert (finding.level, finding.where) == ("warning", "part 0")
    assert found("G13", record(**image, probes={"shortcut": probe(0.88, 0.7, 0.6)})) == []
    assert found("G13", record(**image, probes={"shortcut": probe(0.2, 0.1, 0.1)})) == []


def test_time_is_only_ever_noted() -> None:
    run = record(train=[1.0], valid=[1.0], machine={"device": "cuda", "precision": "float32"})
    slow = {"seconds_training": 100.0, "seconds_total": 300.0, "share_of_floor": 0.01}
    run.rows.append({"kind": "throughput", **slow})
    assert [[f.level for f in found(code, run)] for code in ("T02", "T04", "T07")] == [["note"]] * 3


@pytest.mark.parametrize("code", MINE)
def test_broken_rows_are_survived(code: str) -> None:
    bad = [math.nan, None, math.inf, 1.0, "x"]
    rows: list[dict[str, object]] = [
        {"kind": "metric", "split": split, "epoch": i, "step": i, "loss": value, "accuracy": value}
        for i, value in enumerate(bad)
        for split in ("train", "valid", "train_fixed")
    ]
    rows += [
        {"kind": "result", "split": "test", "loss": None, "accuracy": math.nan, "interval": {"accuracy": [None, 1]}}
    ]
    names = ["rivals_after", "unregularised", "slices", "shortcut", "label_noise", "data_size", "rate_race"]
    rows += [{"kind": "probe", "name": name, "values": {"share": None, "error": math.nan}} for name in names]
    rows += [{"kind": "throughput", "seconds_total": None}]
    CHECKS[code].rule(Evidence({"data": {"num_valid": None, "task": "classification"}}, rows))
