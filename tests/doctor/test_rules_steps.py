"""Batch size, momentum, warm-up, curvature and forgetting, from rows."""

from __future__ import annotations

import math
from typing import Any

import pytest

from limpid.doctor import rules_batch, rules_steps
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.doctor.rules_batch import batch_too_large, batch_too_small
from limpid.doctor.rules_steps import curvature, forgetting, momentum, warm_up

Row = dict[str, Any]
DONE: Row = {"kind": "end", "status": "finished"}


def probe(name: str, **values: Any) -> Row:
    return {"kind": "probe", "name": name, "values": values}


def found(rule: Any, *rows: Row, header: Row | None = None) -> Finding | None:
    verdict = rule(Evidence(header or {}, rows))
    assert verdict is not None
    assert verdict.statistics
    return verdict.findings[0] if verdict.findings else None


def batches(own: list[float], *, large: Any = None, small: Any = None) -> Row:
    return probe("batch_race", batch_size=8, num_steps=50, starts=[2.3] * 3, own=own, large=large, small=small)


def test_larger_batches_that_win_in_half_the_steps() -> None:
    finding = found(batch_too_small, batches([2.2, 2.3, 2.4], large=[1.0, 1.1, 1.2]))
    assert finding is not None
    assert finding.sure == "confirmed"
    assert found(batch_too_small, batches([1.0, 1.1, 1.0], large=[1.0, 1.2, 0.9])) is None
    assert found(batch_too_small, batches([2.0, 2.1, 2.0], large=[1.8, 1.9, 1.8])) is None
    assert batch_too_small(Evidence({}, [batches([1.0] * 3, small=[0.5] * 3)])) is None


def test_smaller_batches_that_win_on_the_same_rows() -> None:
    raced = batches([2.0] * 3, small=[0.5, 0.6, 0.5])
    assert found(batch_too_large, raced) is not None
    assert found(batch_too_large, raced, probe("plan", batches_per_epoch=40)) is None  # it has many steps to an epoch
    assert found(batch_too_large, batches([0.5] * 3, small=[0.45, 0.4, 0.49])) is None


@pytest.mark.parametrize(("value", "num_steps", "fires"), [(0.999, 800, True), (0.9, 800, False), (0.9, 20, False)])
def test_momentum_is_held_against_the_length_of_the_run(value: float, num_steps: int, fires: bool) -> None:
    header = {"config": {"optim": {"options": {"momentum": value}}}}
    finding = found(momentum, probe("plan", num_steps=num_steps), DONE, header=header)
    assert (finding is not None) == fires


def race(own: list[float | None], warmed: list[float | None]) -> Row:
    losses: list[list[float | None]] = [[1.0] * 3, own, [None] * 3]
    return probe("rate_race", lr=0.1, factors=[0.1, 1.0, 10.0], losses=losses, starts=[2.3] * 3, warmed=warmed)


def test_a_warm_up_that_saves_the_run() -> None:
    assert found(warm_up, race([2.3, None, 2.2], [0.5, 0.6, 0.5])) is not None
    assert found(warm_up, race([0.8] * 3, [0.5, 0.6, 0.5])) is None  # it does well without
    assert found(warm_up, race([2.3, None, 2.2], [None, 2.3, 2.2])) is None  # it does not help


def test_curvature_counts_at_the_last_rate() -> None:
    def rates(last: float) -> list[Row]:
        rates = (0.1, last)
        return [
            {"kind": "metric", "split": "train_step", "step": i, "loss": 1.0, "lr": lr} for i, lr in enumerate(rates)
        ]

    sharp = probe("curvature", product=1.5, lambda_max=60.0)
    finding = found(curvature, sharp, *rates(0.1))
    assert finding is not None
    assert finding.level == "note"
    assert found(curvature, sharp, *rates(0.001)) is None


def fine_tuned(*valid: float, start: float = 0.3) -> list[Row]:
    rows = [probe("loss_at_start", loss=start, chance=2.3)]
    for epoch, loss in enumerate(valid, 1):
        common = {"kind": "metric", "epoch": epoch, "step": epoch * 10, "loss": loss}
        rows += [{**common, "split": "train", "lr": 0.1}, {**common, "split": "valid"}]
    return [*rows, DONE]


def test_weights_that_knew_the_task_and_lost_it() -> None:
    header = {"model": {"start": {"text": "all tensors"}}}
    finding = found(forgetting, *fine_tuned(2.3, 1.8, 1.5), header=header)
    assert finding is not None
    assert "0.3" in finding.symptom
    assert found(forgetting, *fine_tuned(0.9, 0.35, 0.28), header=header) is None  # a dip that was made good
    assert found(forgetting, *fine_tuned(2.3, 1.8, 1.5, start=2.3), header=header) is None  # a new head
    assert forgetting(Evidence({}, fine_tuned(2.3, 1.8))) is None  # not fine-tuned


@pytest.mark.parametrize("check", [*rules_batch.CHECKS, *rules_steps.CHECKS], ids=lambda check: check.code)
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_odd_numbers_are_survived(check: Any, value: float | None) -> None:
    header = {"config": {"optim": {"options": {"momentum": value}}}, "model": {"start": {}}}
    rows = [
        batches([value] * 3, large=[value] * 3, small=[value] * 3),  # type: ignore[list-item]
        race([value] * 3, [value] * 3),
        probe("curvature", product=value),
        probe("plan", num_steps=value),
        *fine_tuned(value or 0.0),
        probe("loss_at_start", loss=value, chance=value),
    ]
    check.rule(Evidence(header, rows))
    check.rule(Evidence(header, [probe(name, x=1) for name in ("rate_race", "batch_race", "curvature")]))
