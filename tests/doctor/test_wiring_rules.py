"""What the wiring rules say of rows: each finds its fault, and stays silent where only the looks are alike."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from limpid.doctor.checks import CHECKS
from limpid.doctor.evidence import Evidence

Row = dict[str, Any]


def probe(name: str, **values: Any) -> Row:
    return {"kind": "probe", "name": name, "values": values}


def monitor(name: str, step: int, **values: Any) -> Row:
    return {"kind": "monitor", "name": name, "step": step, "values": values}


def rates(lrs: list[float]) -> list[Row]:
    rows: list[Row] = [
        {"kind": "metric", "split": "train_step", "step": i, "loss": 1.0, "lr": lr} for i, lr in enumerate(lrs)
    ]
    return [*rows, {"kind": "end", "status": "finished"}]


def outputs(**values: Any) -> Row:
    return probe("outputs", **({"shape": [16, 10], "target_shape": [16], "head": "4", "n": 16} | values))


def levels(code: str, *rows: Row, header: Row | None = None, arrays: Any = None) -> list[str]:
    verdict = CHECKS[code].rule(Evidence(header or {}, rows, arrays))
    assert verdict is not None, "the rows hold what the rule reads"
    return [finding.level for finding in verdict.findings]


STOP, WARNING, NOTE, SILENT = ["stop"], ["warning"], ["note"], []

CASES: list[tuple[str, str, list[Row], list[str]]] = [
    ("B01", "head 60 times too large", [probe("loss_at_start", loss=5.5, chance=2.3, equal=2.3, n=128)], WARNING),
    ("B01", "He's weights everywhere", [probe("loss_at_start", loss=4.2, chance=2.3, equal=2.3, n=128)], NOTE),
    ("B01", "He's weights, two classes", [probe("loss_at_start", loss=2.1, chance=0.69, equal=0.69, n=128)], NOTE),
    ("B01", "He's weights, numbers", [probe("loss_at_start", loss=8.7, chance=1.0, n=128)], NOTE),
    ("B01", "target of another scale", [probe("loss_at_start", loss=90.0, chance=1.0, n=128)], WARNING),
    ("B01", "below, by a leak", [probe("loss_at_start", loss=0.1, chance=2.3, equal=2.3, n=128)], NOTE),
    ("B01", "usual", [probe("loss_at_start", loss=2.35, chance=2.3, n=128)], SILENT),
    ("B01", "rare class, equal logits", [probe("loss_at_start", loss=0.69, chance=0.06, equal=0.69, n=128)], SILENT),
    ("B01", "between the two", [probe("loss_at_start", loss=0.3, chance=0.06, equal=0.69, n=128)], SILENT),
    ("B01", "not a number", [probe("loss_at_start", loss=math.nan, chance=2.3, n=128)], WARNING),
    ("B02", "sum", [probe("loss_at_start", loss=300.0, chance=2.3, doubled=2.0, n=128)], WARNING),
    ("B02", "mean", [probe("loss_at_start", loss=2.3, chance=2.3, doubled=1.0, n=128)], SILENT),
    ("B02", "contrastive", [probe("loss_at_start", loss=2.3, chance=2.3, doubled=1.3, n=128)], SILENT),
    ("B03", "softmax", [outputs(wants="logits", low=0.0, high=1.0, sum_distance=1e-7)], STOP),
    ("B03", "softmax seen only", [outputs(wants="logits", low=0.0, high=0.4, sum_distance=1e-7, head="")], STOP),
    ("B03", "sigmoid", [outputs(wants="logit", low=0.0, high=1.0, sum_distance=4.0)], STOP),
    ("B03", "logits that are positive", [outputs(wants="logits", low=-900.0, high=900.0, sum_distance=9.0)], SILENT),
    ("B03", "small logits", [outputs(wants="logit", low=0.1, high=0.4, sum_distance=9.0, head="")], SILENT),
    ("B03", "log-softmax", [outputs(wants="logits", low=-900.0, high=0.0, sum_distance=9.0)], SILENT),
    ("B03", "head that is all zero", [outputs(wants="logit", low=0.0, high=0.0)], SILENT),
    ("B04", "logits to NLL", [outputs(wants="log-probabilities", min=-1.0, max=2.0, exp_sum_distance=9.0)], STOP),
    ("B04", "log-softmax", [outputs(wants="log-probabilities", min=-9.0, max=-0.1, exp_sum_distance=1e-7)], SILENT),
    ("B04", "logits to BCE", [outputs(wants="probabilities", min=-1.0, max=2.0)], STOP),
    ("B04", "sigmoid", [outputs(wants="probabilities", min=0.0, max=1.0)], SILENT),
    ("B05", "softmax over one", [outputs(wants="logits", shape=[16, 1], low=-9.0, high=9.0)], STOP),
    ("B05", "tanh logits", [outputs(wants="logits", low=-1.0, high=1.0)], WARNING),
    ("B05", "several labels", [outputs(wants="logits", low=-9.0, high=9.0, target_sum_distance=2.0)], WARNING),
    (
        "B05",
        "ReLU head, negative target",
        [outputs(wants="numbers", low=0.0, high=99.0, held_min=-2.0, held_max=2.0)],
        WARNING,
    ),
    (
        "B05",
        "ReLU head, positive target",
        [outputs(wants="numbers", low=0.0, high=99.0, held_min=0.0, held_max=9.0)],
        SILENT,
    ),
    (
        "B05",
        "class codes as numbers",
        [outputs(wants="numbers", shape=[16, 1], low=-9.0, high=9.0, target_codes=True, target_distinct=3)],
        NOTE,
    ),
    ("B06", "(B, 1) and (B)", [outputs(shape=[16, 1], loss=1.4, reshaped_loss=0.9)], STOP),
    ("B06", "squeezed by the loss", [outputs(shape=[16, 1], loss=0.9, reshaped_loss=0.9)], SILENT),
    ("B06", "several targets", [outputs(shape=[16, 3], target_shape=[16, 3])], SILENT),
    ("B07", "dropout alive", [probe("modes", repeat=3.0, layers={})], WARNING),
    ("B07", "steady", [probe("modes", repeat=1e-7, layers={})], SILENT),
    ("B07", "no eval()", [monitor("passes", 9, train_no_grad=6, eval_no_grad=0, layers={"3": "dropout"})], WARNING),
    ("B07", "no eval(), no dropout", [monitor("passes", 9, train_no_grad=6, eval_no_grad=0, layers={})], SILENT),
    ("B07", "statistics anew", [monitor("passes", 9, train_no_grad=6, eval_no_grad=4, layers={"1": "norm"})], SILENT),
    (
        "B07",
        "no train() after eval()",
        [monitor("passes", 9, train_grad=20, eval_grad=40, latest_eval_grad=40, layers={"1": "norm"})],
        WARNING,
    ),
    (
        "B07",
        "fine-tuning in evaluation mode",
        [monitor("passes", 9, train_grad=0, eval_grad=40, latest_eval_grad=40, layers={"1": "norm"})],
        SILENT,
    ),
    ("B11", "never cleared", [monitor("accumulation", 99, steps=99, stale=98)], STOP),
    ("B11", "accumulation of four", [monitor("accumulation", 99, steps=99, stale=0)], SILENT),
    ("B11", "too early", [monitor("accumulation", 5, steps=5, stale=4)], SILENT),
    ("B12", "mixed", [probe("dependency", others=1.0, n=8)], WARNING),
    ("B12", "rounding", [probe("dependency", others=1e-6, n=8)], SILENT),
    ("B13", "no mask", [probe("dependency", future=0.4, future_varies=True, is_next=1.0, is_same=0.0)], STOP),
    ("B13", "mask", [probe("dependency", future=0.0, future_varies=True, is_next=1.0, is_same=0.0)], SILENT),
    ("B13", "tags", [probe("dependency", future=0.4, future_varies=True, is_next=0.1, is_same=0.1)], SILENT),
    ("B13", "not shifted", [probe("dependency", future=0.0, future_varies=True, is_next=0.1, is_same=1.0)], STOP),
    ("B13", "one token", [probe("dependency", future=0.0, future_varies=False, is_next=1.0, is_same=1.0)], SILENT),
    (
        "B14",
        "multiplied by zero",
        [probe("dependency", input_varies=2.0, output_varies=0.0, cut="0", given=0.0, before_cut=2.0)],
        STOP,
    ),
    ("B14", "one row", [probe("dependency", input_varies=0.0, output_varies=0.0)], WARNING),
    (
        "B14",
        "dead layer",
        [probe("dependency", input_varies=2.0, output_varies=0.0, cut="1", given=1.0, before_cut=2.0)],
        SILENT,
    ),
    ("B14", "answers nothing", [probe("input_matters", own=2.3, gain=1e-4, error=1e-3, n=256)], NOTE),
    ("B14", "weak signal", [probe("input_matters", own=0.68, gain=0.01, error=0.003, n=256)], SILENT),
    ("B15", "sorted", [monitor("batches", 50, seen=50, distinct=50, low_entropy=0.9)], WARNING),
    ("B15", "shuffled", [monitor("batches", 50, seen=50, distinct=50, low_entropy=0.0)], SILENT),
    ("B15", "full batch", [monitor("batches", 50, seen=50, distinct=1, low_entropy=0.0)], NOTE),
    ("B15", "same order", [monitor("batches", 50, seen=50, distinct=10, low_entropy=0.0, repeats=True)], NOTE),
    ("B16", "over too soon", rates([0.1 * 0.7**i for i in range(50)]), WARNING),
    ("B16", "cosine", rates([0.05 * (1 + math.cos(math.pi * i / 50)) for i in range(50)]), SILENT),
    ("B16", "cosine that climbs back", rates([0.05 * (1 + math.cos(math.pi * i / 10)) for i in range(100)]), WARNING),
    ("B16", "warm-up", rates([0.1 * min(1, i / 20) for i in range(100)]), SILENT),
    ("B16", "restarts", rates([0.05 * (1 + math.cos(math.pi * (i % 20) / 20)) for i in range(100)]), SILENT),
    ("B19", "factor of two", [probe("gradient_check", errors={"a.weight": 0.5, "b.weight": 1e-9})], STOP),
    ("B19", "kinks", [probe("gradient_check", errors={"a.weight": 1e-4})], SILENT),
    ("B21", "stuck", [probe("overfit_batch", share=0.4, first=2.3, last=1.46, floor=0.0, n=16, steps=400)], WARNING),
    ("B21", "slow machine", [probe("overfit_batch", share=0.4, n=16, steps=40, out_of_time=True)], SILENT),
    ("B21", "memorised", [probe("overfit_batch", share=0.99, n=16, steps=100)], SILENT),
]


@pytest.mark.parametrize(("code", "what", "rows", "expected"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_a_fault_is_found_and_its_look_alike_is_not(code: str, what: str, rows: list[Row], expected: list[str]) -> None:
    assert levels(code, *rows) == expected


def modes_over(steps: int, train: float, held: float) -> list[Row]:
    rows = [monitor("modes", i, train=train, eval=held) for i in range(1, steps)]
    return [probe("modes", repeat=0.0, layers={"1": "norm"}), monitor("modes", 0, train=2.3, eval=2.3), *rows]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (modes_over(5, 0.5, 2.0), WARNING),
        (modes_over(5, 0.5, 0.6), SILENT),
        (modes_over(5, 0.001, 0.05), SILENT),  # fifty times as much, and nothing beside what was learned
    ],
)
def test_statistics_that_do_not_fit(rows: list[Row], expected: list[str]) -> None:
    assert levels("B08", *rows) == expected


@pytest.mark.parametrize(("share", "expected"), [(0.9, NOTE), (0.1, SILENT)])
def test_clipping_of_most_updates(share: float, expected: list[str]) -> None:
    rows = [monitor("grad_norm", i, a=2.0 if i < 40 * share else 0.5) for i in range(40)]
    assert levels("B17", *rows, header={"config": {"optim": {"clip_norm": 1.0}}}) == expected


@pytest.mark.parametrize(("optimizer", "expected"), [("sgd", WARNING), ("adamw", NOTE)])
def test_clipping_far_below_the_usual_norm(optimizer: str, expected: list[str]) -> None:
    rows = [monitor("grad_norm", i, a=2.0) for i in range(10)]
    assert levels("B17", *rows, header={"config": {"optim": {"clip_norm": 1e-3, "name": optimizer}}}) == expected


@pytest.mark.parametrize(("stated", "expected"), [(0.75, SILENT), (0.80, WARNING)])
def test_the_accuracy_of_the_predictions_is_the_stated_one(stated: float, expected: list[str]) -> None:
    arrays = {"target": np.array([[1], [0], [1], [1]]), "prediction": np.array([1, 0, 1, 0])}
    header = {"data": {"task": "binary"}}
    assert levels("B18", {"kind": "result", "accuracy": stated}, header=header, arrays=arrays) == expected


LAYERS = [
    {"name": "0", "type": "Linear", "after": "", "bias": True, "ndim": 2},
    {"name": "1", "type": "Linear", "after": "0", "bias": True, "ndim": 2},
    {"name": "2", "type": "BatchNorm1d", "after": "1", "bias": True, "ndim": 1},
    {"name": "3", "type": "Dropout", "after": "2", "p": 0.8},
]


def test_odd_drawings_are_notes() -> None:
    rows = [probe("structure", layers=LAYERS, unused=["spare"], again=[], decayed=[])]
    verdict = CHECKS["B20"].rule(Evidence({}, rows))
    assert verdict is not None
    assert {finding.where for finding in verdict.findings} == {"1", "2", "3", "spare"}
    assert {finding.level for finding in verdict.findings} == {"note"}


@pytest.mark.parametrize("value", [math.nan, None, math.inf, "nan"])
@pytest.mark.parametrize("code", [code for code in CHECKS if code[0] == "B" and code not in ("B09", "B10")])
def test_rules_survive_what_is_no_number(code: str, value: Any) -> None:
    keys = {
        "loss_at_start": ("loss", "chance", "equal", "doubled"),
        "outputs": ("low", "high", "min", "max", "sum_distance", "loss", "reshaped_loss", "held_min"),
        "modes": ("repeat",),
        "dependency": ("others", "future", "is_next", "input_varies", "given", "before_cut"),
        "input_matters": ("own", "gain", "error"),
        "overfit_batch": ("share", "first", "last"),
    }
    rows = [probe(name, wants="logits", **dict.fromkeys(keys[name], value)) for name in keys]
    rows += [probe("gradient_check", errors={"a": value}), probe("structure", layers=[{"name": "a", "p": value}])]
    rows += [monitor(name, i, train=value, eval=value) for name in ("modes", "grad_norm") for i in range(30)]
    rows += [monitor("accumulation", 9, steps=value, stale=value), monitor("batches", 9, seen=value, distinct=value)]
    rows += [monitor("passes", 9, train_no_grad=value, layers={"1": "norm"})]
    CHECKS[code].rule(Evidence({"config": {"optim": {"clip_norm": 1.0}}}, rows))
