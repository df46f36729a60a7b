"""Rules of signal, units, weights and numbers on rows that are written down here, and on small runs that are sick."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import limpid
from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import judge
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.errors import NonFiniteLoss
from limpid.record.run import Run

MINE = ("B09", "B10", "N01", "N02", "N03", "O10", *(f"S0{i}" for i in range(1, 10)))
Rows = list[dict[str, Any]]


def ask(code: str, rows: Rows, header: dict[str, Any] | None = None) -> tuple[Finding, ...]:
    verdict = CHECKS[code].rule(Evidence(header or {}, rows))
    assert verdict is not None
    assert verdict.statistics
    return verdict.findings


def probe(name: str, values: Any) -> dict[str, Any]:
    return {"kind": "probe", "name": name, "values": values}


def monitor(name: str, *readings: Any) -> Rows:
    return [{"kind": "monitor", "name": name, "step": 10 * i, "values": values} for i, values in enumerate(readings)]


def losses(*values: float) -> Rows:
    chance = probe("loss_at_start", {"loss": 2.3, "chance": 2.3, "n": 64})
    return [chance] + [
        {"kind": "metric", "split": "train_step", "step": i + 1, "loss": v, "lr": 0.1} for i, v in enumerate(values)
    ]


STUCK, LEARNED = losses(*[2.3] * 30), losses(*[2.3 * 0.8**i for i in range(30)])


def profile(signals: list[float], gradients: list[float], **more: Any) -> dict[str, Any]:
    """A fresh network of linear layers and a head."""
    pairs = zip(signals, gradients, strict=True)
    layers = {str(i): {"kind": "linear", "units": 8, "signal": s, "gradient": g} for i, (s, g) in enumerate(pairs)}
    return {
        "layers": {"input": {"kind": "input", "signal": 1.0}, **layers, "head": {"kind": "linear"}, **more},
        "n": 64,
    }


def test_twins_are_found_and_a_zero_head_is_not() -> None:
    sick = {"layers": {"0": {"kind": "linear", "units": 64, "twins": 1.0}, "2": {"kind": "linear", "twins": 0.0}}}
    (finding,) = ask("S01", [probe("signal_at_start", sick)])
    assert (finding.where, finding.value, finding.n) == ("0", 1.0, 64)
    assert not ask("S01", [probe("signal_at_start", {"layers": {"0": {"kind": "linear", "twins": 0.4}}})])


@pytest.mark.parametrize(("last", "sick"), [(1e-5, True), (1e4, True), (5e-4, False), (40.0, False), (math.nan, False)])
def test_signal_at_start(last: float, sick: bool) -> None:
    assert bool(ask("S02", [probe("signal_at_start", profile([1.0, 0.5, last], [1, 1, 1]))])) == sick


def test_a_signal_that_ends_in_dead_units_is_theirs() -> None:
    values = profile([1.0, 0.0], [1.0, 1.0])
    values["layers"]["1"] |= {"kind": "relu", "dead": 1.0}
    assert not ask("S02", [probe("signal_at_start", values)])


def test_a_vanished_gradient_counts_where_nothing_is_learned() -> None:
    values = probe("signal_at_start", profile([1, 1, 1], [1e-6, 1e-3, 1]))
    (finding,) = ask("S03", [values, *STUCK])
    assert finding.value == pytest.approx(1e-6)
    assert not ask("S03", [values, *LEARNED])
    assert not ask("S03", [probe("signal_at_start", profile([1, 1, 1], [0.2, 0.5, 1])), *STUCK])
    in_time = profile([1, 1], [1, 1], read={"kind": "embedding", "gradient_early": 1e-9, "gradient_most": 1.0})
    assert ask("S03", [probe("signal_at_start", in_time), *STUCK])[0].where == "time"


def test_exploding_gradients() -> None:
    assert ask("S04", [probe("signal_at_start", profile([1, 1], [1e5, 1.0]))])
    steady, bursts = [{"w": 900.0}] * 20, [{"w": 900.0 if i in (8, 11, 14) else 1.0} for i in range(20)]
    grown = [{"w": 0.01 if i < 6 else 1.0} for i in range(20)]
    assert not ask("S04", monitor("grad_norm", *steady))
    assert not ask("S04", monitor("grad_norm", *grown))
    assert ask("S04", monitor("grad_norm", *bursts))[0].value == 3
    first = [{"w": 700.0 if i == 0 else 1.0} for i in range(10)]
    thrown = monitor("grad_norm", *first) + monitor("weight_norm", *[{"w": 5.0}] * 10)
    assert not ask("S04", thrown + monitor("update_norm", *[{"w": 0.1}] * 10))
    assert ask("S04", thrown + monitor("update_norm", {"w": 60.0}, *[{"w": 0.1}] * 9))[0].step == 0


def activations(key: str, *shares: float, kind: str = "relu") -> Rows:
    return monitor(
        "activation", *({"0": {"kind": "linear"}, "1": {"kind": kind, key: s}, "2": {"kind": "linear"}} for s in shares)
    )


def test_dead_units() -> None:
    (finding,) = ask("S05", activations("dead", 0.0, 0.0, 0.7, 0.8) + STUCK)
    assert (finding.level, finding.where, finding.step) == ("warning", "1", 20)
    assert "since step 20" in finding.symptom
    (born,) = ask("S05", activations("dead", 0.9, 0.9) + STUCK)
    assert "first step" in born.symptom
    assert born.treatments[0] == "he-init"
    assert ask("S05", activations("dead", 0.7, 0.7) + LEARNED)[0].level == "note"
    assert not ask("S05", activations("dead", 0.15, 0.15) + STUCK)
    assert not ask("S05", activations("dead", 0.0, 0.9, 0.0) + STUCK)


def test_saturated_units_but_not_the_output() -> None:
    assert ask("S06", activations("saturated", 0.1, 0.6, 0.7, kind="tanh"))
    assert not ask("S06", activations("saturated", 0.1, 0.7, 0.2, kind="tanh"))
    output = monitor("activation", *[{"0": {"kind": "linear"}, "1": {"kind": "sigmoid", "saturated": 1.0}}] * 3)
    assert CHECKS["S06"].rule(Evidence({}, output)) is None


def test_collapse() -> None:
    ten = {"data": {"task": "classification", "classes": list("0123456789")}}

    def hidden(**values: float) -> Rows:
        return monitor("activation", *[{"0": {"kind": "linear", "signal": 1.0, **values}, "1": {"kind": "linear"}}] * 4)

    assert ask("S07", hidden(cosine=0.99, rank=3.0) + STUCK)
    assert ask("S07", hidden(cosine=0.1, rank=1.0) + STUCK, ten)
    assert not ask(
        "S07", hidden(cosine=0.1, rank=1.0) + STUCK, {"data": {"task": "classification", "classes": ["a", "b"]}}
    )
    assert not ask("S07", hidden(cosine=0.99, rank=1.0) + LEARNED, ten)
    assert not ask("S07", hidden(cosine=0.6, rank=5.0) + STUCK, ten)
    assert ask("S07", hidden(cosine=math.nan, signal=0.0) + STUCK)


def test_attention() -> None:
    def heads(narrow: float, even: float) -> Rows:
        return monitor("activation", *[{"a": {"kind": "attention", "units": 4, "narrow": narrow, "even": even}}] * 4)

    assert "a place or two" in ask("S09", heads(1.0, 0.0) + STUCK)[0].symptom
    assert "alike" in ask("S09", heads(0.0, 1.0) + STUCK)[0].symptom
    assert not ask("S09", heads(1.0, 0.0) + LEARNED)
    assert not ask("S09", heads(0.5, 0.5) + STUCK)


WEIGHTS = probe(
    "parameters",
    {
        name: {"numel": 100, "trainable": True, "in_optimizer": True, "kind": "weight", "random": False}
        for name in ("body.a", "body.b")
    },
)


def test_sizes_of_weights() -> None:
    def sizes(*b: float) -> Rows:
        return [WEIGHTS, *monitor("weight_norm", *({"body.a": 1.0, "body.b": size} for size in b))]

    assert "grown to 20" in ask("S08", sizes(1, 5, 20) + STUCK)[0].symptom
    assert ask("S08", sizes(1, 0.3, 0.2, 0.1) + STUCK)[0].treatments == ("less-decay",)
    assert not ask("S08", sizes(0.01, 0.1, 0.5) + STUCK)  # a small head may grow
    assert not ask("S08", sizes(1, 5, 20) + LEARNED)
    normed = monitor("activation", {"n": {"kind": "norm"}})
    assert not ask("S08", sizes(1, 5, 20) + STUCK + normed)
    assert not ask("S08", sizes(1, 0.9, 1.2) + STUCK)


def test_untrained_parameters() -> None:
    moving = monitor("grad_norm", *[{"body.a": 1.0, "body.b": 1.0}] * 4)
    moving += monitor("update_norm", *[{"body.a": 1.0, "body.b": 1.0}] * 4)
    assert not ask("B09", [WEIGHTS, *moving])
    cut = monitor("grad_norm", *[{"body.a": None, "body.b": 1.0}] * 4)
    assert "body" not in (finding := ask("B09", [WEIGHTS, *cut])[0]).symptom
    assert finding.where == "a"
    assert not ask(
        "B09", [WEIGHTS, *monitor("grad_norm", *[{"body.a": None, "body.b": None}] * 4)]
    )  # a rule of its own
    assert not ask("B09", [WEIGHTS, *monitor("grad_norm", *[{"body.a": None, "body.b": 1.0}] * 2)])  # too early
    values = WEIGHTS["values"]
    left_out = probe("parameters", {**values, "body.b": {**values["body.b"], "in_optimizer": False}})
    assert "not in the optimiser" in ask("B09", [left_out])[0].symptom
    drawn = probe("parameters", {**values, "body.b": {**values["body.b"], "trainable": False, "random": True}})
    assert "frozen" in ask("B09", [drawn])[0].symptom
    assert not ask("B09", [drawn], {"config": {"model": {"name": "mlp", "freeze": "b"}}})
    still = monitor("grad_norm", *[{"body.a": 0.0, "body.b": 1.0}] * 4)
    still += monitor("update_norm", *[{"body.a": 0.0, "body.b": 1.0}] * 4)
    assert ask("B09", [WEIGHTS, *still])
    assert not ask("B09", [WEIGHTS, *still, *activations("dead", 1.0, 1.0)])  # dead units say so themselves


def test_frozen_yet_moving() -> None:
    assert not ask("B10", monitor("frozen_norm", {"a": 1.0}, {"a": 1.0}, {}))
    (finding,) = ask("B10", monitor("frozen_norm", {"n.running_mean": 1.0}, {"n.running_mean": 1.5}))
    assert finding.step == 10
    assert "model.freeze" in finding.remedy


def test_unequal_speed() -> None:
    def speeds(b: float) -> Rows:
        norms = monitor("weight_norm", *[{"body.a": 1.0, "body.b": 1.0}] * 6)
        return [WEIGHTS, *norms, *monitor("update_norm", *[{"body.a": 1e-6, "body.b": b}] * 6)]

    assert ask("O10", speeds(1e-3))[0].level == "note"
    assert not ask("O10", speeds(1e-4))
    assert not ask("O10", speeds(1e-3), {"config": {"optim": {"layer_decay": 0.5}}})


def test_a_layer_with_a_far_higher_rate_runs_off() -> None:
    """It grows, and its steps are then small beside it, so that the ratio of speeds hides what the rates did."""

    def run(rate: float) -> Rows:
        _, facts = WEIGHTS["name"], WEIGHTS["values"]
        rates = probe(
            "parameters", {"body.a": {**facts["body.a"], "rate": rate}, "body.b": {**facts["body.b"], "rate": 1.0}}
        )
        norms = [{"body.a": 1.0, "body.b": 1.0 + 10 * i} for i in range(8)]
        changes = [{"body.a": 0.002, "body.b": 0.5}] * 8
        return [rates, *monitor("weight_norm", *norms), *monitor("update_norm", *changes)]

    (finding,) = ask("O10", run(1e-3))
    assert (finding.level, finding.where, round(finding.value)) == ("note", "a", 250)
    assert "1000 times the lowest" in finding.symptom
    assert not ask("O10", run(0.1))  # a tenth, as in fine-tuning
    assert not ask("O10", run(1.0))  # one rate: gradients differ, which is no fault


def test_numbers() -> None:
    assert not ask("N01", LEARNED)
    (finding,) = ask("N01", losses(2.3, 2.2, math.nan))
    assert (finding.level, finding.step) == ("stop", 3)
    assert ask("N01", monitor("grad_norm", {"a": 1.0}, {"a": math.inf}))[0].where == "a"
    reason = "The loss became NaN or infinite after step 7. The input holds NaN or infinite values in row 3: repair."
    ended = [{"kind": "end", "status": "failed", "reason": reason}]
    assert ask("N01", LEARNED + ended)[0].treatments == ("drop-rows",)
    assert ask("N02", monitor("lost_update", *[{"a": 0.8}] * 3))
    assert not ask("N02", monitor("lost_update", *[{"a": 0.2}] * 3))
    drowned = monitor("weight_norm", *[{"a": 1.0}] * 3) + monitor("update_norm", *[{"a": 1e-8}] * 3)
    assert ask("N02", drowned)
    assert ask("N03", monitor("small_moment", *[{"a": 1.0}] * 3))[0].level == "note"
    assert not ask("N03", monitor("small_moment", *[{"a": 0.01}] * 3))


@pytest.mark.parametrize("code", MINE)
@pytest.mark.parametrize("value", [None, math.nan, math.inf, 0.0, "what", {}])
def test_odd_values_are_survived(code: str, value: Any) -> None:
    odd = {"a": value, "b": {"kind": "relu", "dead": value, "cosine": value, "signal": value, "units": value}}
    names = ("activation", "grad_norm", "weight_norm", "update_norm", "frozen_norm", "small_moment", "lost_update")
    rows = [row for name in names for row in monitor(name, odd, odd, odd, odd)] + losses(2.0, math.nan, 1.0)
    fact = {"numel": value, "trainable": True, "kind": "weight", "in_optimizer": value}
    rows += [probe("parameters", {"a": fact, "b": value}), probe("signal_at_start", {"layers": odd, "n": value})]
    CHECKS[code].rule(Evidence({}, rows))


class Detached(nn.Module):
    """The way from the loss to the first layer is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x).relu().detach())


def frozen_but_moving() -> nn.Module:
    net = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
    net[:2].requires_grad_(False)
    return net


def learn_digits(folder: Path, **options: Any) -> list[str]:
    """Codes of the warnings about a short run, root causes first."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    given = {"epochs": 3, "batch_size": 64, "lr": 3e-3, "record__report": False, "training__threads": 1, **options}
    if not isinstance(given.get("model"), nn.Module):
        given = {"model": "mlp", "hidden": (32, 32), "dropout": 0.0, **given}
    with contextlib.suppress(NonFiniteLoss):
        limpid.train((x / 16).astype(np.float32), y=y, out=str(folder), **given)
    checks = [CHECKS[code] for code in MINE]
    findings = judge(Evidence.of(Run.open(folder)), checks).findings
    return [finding.code for finding in findings if finding.level != "note"]


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("N01", {"optimizer": "sgd", "lr": 1e6}),
        ("S01", {"model__init": "constant(0.1)"}),
        ("S02", {"hidden": (32,) * 12, "model__init": "normal(0, 0.02)"}),
        ("S03", {"hidden": (32,) * 12, "model__activation": "sigmoid", "model__init": "xavier_uniform"}),
        ("S05", {"model__bias_init": "constant(-10)"}),
        ("S06", {"model__activation": "tanh", "model__init": "normal(0, 2)"}),
        ("S08", {"optimizer": "adamw", "lr": 3.0, "schedule": "constant", "weight_decay": 0.0}),
        ("B09", {"model": Detached()}),
        ("B10", {"model": frozen_but_moving()}),
    ],
)
def test_a_sick_run_is_told(tmp_path: Path, code: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    assert code in learn_digits(tmp_path / "run", **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model__activation": "tanh", "model__init": "xavier_uniform"},
        {"hidden": (32,) * 6, "model__norm": "batch"},
        {"optimizer": "sgd", "lr": 0.1},
        {"freeze": "0.*"},
    ],
)
def test_a_healthy_run_is_left_alone(tmp_path: Path, options: dict[str, Any]) -> None:
    assert learn_digits(tmp_path / "run", **options) == []
