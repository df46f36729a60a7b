"""Rates that are too high or too low, told from the record alone; and what looks like them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from limpid.doctor.diagnosis import judge
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.doctor.rules_course import divergence, plateau_from_start, plateau_late
from limpid.doctor.rules_rate import too_high, too_low

NUM = 400
Row = dict[str, Any]


def curve(
    loss_at: Callable[[float], float], *, num: int = NUM, noise: float = 0.03, end: str = "finished"
) -> list[Row]:
    """A run of 20 epochs, its loss as a function of the share of it that is over."""
    draw = random.Random(0)
    rows: list[Row] = [
        {"kind": "probe", "name": "plan", "values": {"num_steps": NUM, "num_epochs": 20, "batches_per_epoch": 20}},
        {"kind": "probe", "name": "loss_at_start", "values": {"loss": 2.3, "chance": 2.3, "n": 256}},
    ]
    for t in range(num):
        loss = loss_at(t / NUM) * math.exp(noise * draw.gauss(0, 1))
        rows.append({"kind": "metric", "split": "train_step", "step": t + 1, "loss": loss, "lr": 0.1})
        if t % 20 == 19:
            epoch: Row = {"kind": "metric", "step": t + 1, "epoch": t // 20 + 1, "loss": loss}
            rows += [{**epoch, "split": "train", "lr": 0.1}, {**epoch, "split": "valid"}]
    if end:
        rows.append({"kind": "end", "status": end, "reason": "The loss became NaN or infinite."})
    return rows


def steps(update: Sequence[float], weight: Sequence[float]) -> list[Row]:
    """Readings of one weight matrix."""
    rows: list[Row] = []
    for i, (change, norm) in enumerate(zip(update, weight, strict=True)):
        at = i * NUM // len(update)
        rows.append({"kind": "monitor", "name": "weight_norm", "step": at, "values": {"a.weight": norm, "a.bias": 0.0}})
        rows.append({"kind": "monitor", "name": "update_norm", "step": at, "values": {"a.weight": change}})
    return rows


def race(losses: dict[float, Sequence[float | None]]) -> Row:
    values = {
        "lr": 0.1,
        "num_steps": 100,
        "factors": list(losses),
        "losses": [list(tried) for tried in losses.values()],
        "starts": [2.3, 2.3, 2.3],
    }
    return {"kind": "probe", "name": "rate_race", "values": values}


FITS = steps([0.02, 0.01, 0.005, 0.003], [1.0, 1.1, 1.2, 1.2])
CRAWLS = steps([1e-5] * 4, [1.0] * 4)
LEAPS = steps([0.5, 0.2, 0.1, 0.1], [1.0, 8.0, 20.0, 30.0])


def healthy(share: float) -> float:
    return 0.05 + 2.25 * math.exp(-10 * share)


def straight(share: float) -> float:
    return 2.3 - 0.4 * share


def thrown(share: float) -> float:
    return 2.3 + 30 * math.exp(-40 * share)


def level(share: float) -> float:
    return 2.3


def found(rule: Callable[[Evidence], Any], rows: Sequence[Row], header: Row | None = None) -> Finding | None:
    verdict = rule(Evidence(header or {}, rows))
    assert verdict is not None
    assert verdict.statistics
    return verdict.findings[0] if verdict.findings else None


ALL = (too_high, too_low, divergence, plateau_from_start, plateau_late)


@pytest.mark.parametrize("rule", ALL[:4])
def test_a_healthy_run_is_left_alone(rule: Callable[[Evidence], Any]) -> None:
    assert found(rule, curve(healthy) + FITS) is None
    assert found(rule, curve(healthy)) is None


def test_a_loss_that_was_thrown_up_and_stays_there() -> None:
    finding = found(too_high, curve(thrown) + LEAPS)
    assert finding is not None
    assert (finding.level, finding.sure) == ("warning", "established")
    assert found(too_high, curve(thrown)) is not None


def test_a_run_that_broke_after_a_leap() -> None:
    rows = [{"kind": "end", "status": "failed", "reason": "The loss became NaN or infinite after step 3."}]
    finding = found(too_high, rows + LEAPS)
    assert finding is not None
    assert (finding.level, finding.sure) == ("warning", "established")
    lower = race({0.1: [0.5] * 3, 1.0: [None] * 3, 10.0: [None] * 3})
    finding = found(too_high, [*rows, *LEAPS, lower])
    assert finding is not None
    assert (finding.level, finding.sure) == ("stop", "confirmed")
    assert found(too_high, rows + FITS) is None  # something else broke it


def test_a_stuck_run_with_small_steps_has_another_cause() -> None:
    """Shuffled labels, dead units: nothing falls, and nothing is hurled."""
    assert found(too_high, curve(level) + FITS) is None
    assert found(too_low, curve(level) + FITS) is None
    finding = found(plateau_from_start, curve(level) + FITS)
    assert finding is not None
    assert finding.level == "warning"


def test_a_jolt_at_the_start_that_heals_is_none() -> None:
    assert found(too_high, curve(lambda s: healthy(s) + 6 * math.exp(-300 * s)) + FITS) is None


def test_a_one_cycle_peak_gives_a_little_back() -> None:
    def peak(share: float) -> float:
        return healthy(share) + 0.2 * math.exp(-(((share - 0.4) / 0.08) ** 2))

    assert found(too_high, curve(peak) + FITS) is None
    assert found(divergence, curve(peak) + FITS) is None


@pytest.mark.parametrize("monitors", [CRAWLS, []], ids=["monitors", "none"])
def test_a_straight_slow_line_is_too_low_a_rate(monitors: list[Row]) -> None:
    finding = found(too_low, curve(straight, noise=0.005) + monitors)
    assert finding is not None
    assert finding.level == "warning"
    assert found(plateau_from_start, curve(straight, noise=0.005)) is None


def test_a_network_that_is_too_small_is_no_low_rate() -> None:
    """Underfit: high, but flat, and the weights have moved."""
    assert found(too_low, curve(lambda s: 1.5 + 0.8 * math.exp(-15 * s)) + FITS) is None


def test_the_beginning_of_a_run_is_not_judged() -> None:
    for num in (20, 60, 120):
        for shape in (healthy, straight, level):
            for rule in ALL[:4]:
                verdict = rule(Evidence({}, curve(shape, num=num, end="")))
                assert verdict is None or not verdict.findings


def test_a_race_confirms_and_names_the_better_rate() -> None:
    low = race({0.1: [2.3] * 3, 1.0: [2.29] * 3, 10.0: [2.2] * 3, 100.0: [1.6] * 3, 1000.0: [0.2, 0.3, 0.2]})
    finding = found(too_low, [*curve(straight, noise=0.005), *CRAWLS, low])
    assert finding is not None
    assert finding.sure == "confirmed"
    assert "1e+02" in finding.remedy
    high = race({0.01: [0.2, 0.3, 0.2], 0.1: [0.5] * 3, 1.0: [2.3, None, 2.4], 10.0: [None] * 3})
    finding = found(too_high, [*curve(thrown), *LEAPS, high])
    assert finding is not None
    assert finding.sure == "confirmed"
    assert found(too_high, [high]) is not None  # before the first step
    assert found(too_low, [low]) is not None


def test_a_race_that_the_own_rate_does_well_in_refutes() -> None:
    even = race({0.1: [1.5] * 3, 1.0: [0.4, 0.5, 0.4], 3.0: [0.3, 0.3, 0.4], 10.0: [0.9] * 3})
    assert found(too_low, [even]) is None
    assert found(too_high, [even]) is None
    assert found(too_low, [*curve(straight, noise=0.005), *CRAWLS, even]) is None


def test_a_gain_of_nearly_all_may_leave_many_times_the_loss() -> None:
    """Of 2.3 the own rate gains 0.88 as much as a tenth of it does, and stands at 28 times its loss."""
    slow = {0.1: [0.01, 0.01, 0.01], 1.0: [0.28, 0.3, 0.27], 10.0: [2.3, 2.3, 2.3]}
    finding = found(too_high, [*curve(healthy), *FITS, race(slow)])
    assert finding is not None
    assert (finding.level, finding.sure, round(finding.value)) == ("warning", "confirmed", 28)
    near = {0.1: [0.01, 0.01, 0.01], 1.0: [0.05, 0.05, 0.05], 10.0: [2.3, 2.3, 2.3]}
    assert found(too_high, [*curve(healthy), *FITS, race(near)]) is None, "both are next to nothing"
    third = {0.3: [0.01, 0.01, 0.01], 1.0: [0.28, 0.3, 0.27], 10.0: [2.3, 2.3, 2.3]}
    assert found(too_high, [*curve(healthy), *FITS, race(third)]) is None, "healthy rates lie within a factor of three"


def test_a_race_of_seeds_that_disagree_says_nothing() -> None:
    rows = [race({0.1: [0.2, 2.0, 0.2], 1.0: [1.9, 1.9, 1.9], 10.0: [None] * 3})]
    assert found(too_high, rows) is None


def test_pretrained_weights_may_move_little() -> None:
    finding = found(too_low, curve(lambda s: 0.5 - 0.05 * s, noise=0.005) + CRAWLS, {"model": {"start": {"text": "x"}}})
    assert finding is None or finding.level == "note"


def test_divergence_says_since_when() -> None:
    def climbs(share: float) -> float:
        return healthy(share) if share < 0.5 else 0.05 + 3 * (share - 0.5)

    finding = found(divergence, curve(climbs))
    assert finding is not None
    assert finding.step is not None
    assert 150 <= finding.step <= 260


def test_a_loss_back_at_chance_has_diverged_however_little_it_had_fallen() -> None:
    finding = found(divergence, curve(lambda share: 2.3 - 2 * share if share < 0.5 else 2.3, noise=0.01))
    assert finding is not None
    assert "of what had been gained is lost" in finding.symptom
    assert finding.value > 0.9
    half = curve(lambda share: 2.3 - 2 * share if share < 0.5 else 1.9, noise=0.01)
    assert found(divergence, half) is None


def test_what_follows_is_folded_under_the_rate() -> None:
    diagnosis = judge(Evidence({}, curve(thrown) + LEAPS))
    root = diagnosis.root
    assert root is not None
    assert root.code == "O01"
    assert all(f.because == "O01" for f in diagnosis.findings if f.code in ("O03", "O04", "O05"))


def test_a_fork_with_shorter_steps_confirms_a_late_plateau() -> None:
    flat = curve(lambda s: 0.6 + 1.7 * math.exp(-30 * s), noise=0.1)
    assert plateau_late(Evidence({}, flat)) is None

    def fork(short: list[float]) -> list[Row]:
        values = {"train": [[0.3] * 3, [0.4] * 3], "valid": [short, [0.61, 0.58, 0.62]], "before": {"valid": 0.6}}
        return [*flat, {"kind": "probe", "name": "rate_fork", "values": values}]

    gained = found(plateau_late, fork([0.45, 0.46, 0.44]))
    assert gained is not None
    assert (gained.level, gained.sure) == ("warning", "confirmed")
    assert found(plateau_late, fork([0.60, 0.62, 0.59])) is None  # the floor is reached
    assert found(plateau_late, fork([0.50, 0.51, 0.85])) is None  # luck
    falling = [row for row in fork([0.45, 0.46, 0.44]) if row.get("split") != "valid"]
    rows = [{**row, "split": "valid", "loss": 1 / row["epoch"]} for row in flat if row.get("split") == "valid"]
    assert found(plateau_late, falling + rows) is None  # it still falls: a tenth of the rate gains in any case


@pytest.mark.parametrize("rule", ALL)
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_odd_numbers_are_survived(rule: Callable[[Evidence], Any], value: float | None) -> None:
    rows = curve(healthy)
    for row in rows[10:300:7]:
        row["loss"] = value
    rows += steps([0.1, 0.2], [1.0, 1.0])
    rows[-1]["values"] = {"a.weight": value}
    rows += [
        race({0.1: [value] * 3, 1.0: [value] * 3}),
        {"kind": "probe", "name": "rate_fork", "values": {"valid": [[value], [value]]}},
    ]
    rule(Evidence({}, rows))
    rule(Evidence({}, [race({}), {"kind": "probe", "name": "rate_fork", "values": {"x": 1}}]))
