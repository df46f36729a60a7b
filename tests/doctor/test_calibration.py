"""Calibration figures equal their definitions, and tell a calibrated network from one that is too sure."""

from __future__ import annotations

import numpy as np
import pytest

from limpid.doctor.calibration import calibration_of, excess_of_brier, fit_temperature, log_losses
from limpid.doctor.checks import CHECKS
from tests.doctor.fit_rows import record


def answers(factor: float, size: int = 3000, num_classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of logits that are `factor` times those that the targets were drawn from."""
    random = np.random.default_rng(0)
    logits = 1.5 * random.standard_normal((size, num_classes))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = np.array([random.choice(num_classes, p=row) for row in p])
    sharp = np.exp(factor * logits)
    return sharp / sharp.sum(axis=1, keepdims=True), target


def test_a_calibrated_network_stays_within_the_noise() -> None:
    found = calibration_of(*answers(1.0))
    assert found is not None
    assert found.error < 2 * found.noise
    assert found.temperature == pytest.approx(1.0, abs=0.1)
    assert abs(found.gain) < 3 * found.gain_se + 1e-3


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_the_temperature_undoes_the_factor(factor: float) -> None:
    found = calibration_of(*answers(factor))
    assert found is not None
    assert found.temperature == pytest.approx(factor, rel=0.1)
    assert found.error > 3 * found.noise
    assert found.gain > 2 * found.gain_se


def test_the_excess_of_the_brier_score_is_standard_normal_where_probabilities_are_right() -> None:
    random = np.random.default_rng(1)
    logits = 2 * random.standard_normal((300, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    draws = [excess_of_brier(p, (random.random((300, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)) for _ in range(2000)]
    assert np.mean(draws) == pytest.approx(0.0, abs=0.08)
    assert np.std(draws) == pytest.approx(1.0, abs=0.05)
    too_sure, target = answers(2.0, 600)
    assert excess_of_brier(too_sure, target) > 5
    too_modest, target = answers(0.5, 600)
    assert excess_of_brier(too_modest, target) < -5
    sure = np.eye(2)[[0, 1]]
    assert excess_of_brier(sure, np.array([0, 1])) == 0
    assert excess_of_brier(sure, np.array([1, 1])) == np.inf


def test_figures_by_hand() -> None:
    p = np.full((40, 2), 0.5)
    p[:20] = [0.9, 0.1]
    target = np.array([0] * 18 + [1] * 2 + [0, 1] * 10)
    found = calibration_of(p, target)
    assert found is not None
    assert found.brier == pytest.approx((18 * 0.02 + 2 * 1.62 + 20 * 0.5) / 40)
    assert log_losses(np.log(p), target) == pytest.approx(-np.log(p[np.arange(40), target]))
    best = min((log_losses(np.log(p) / t, target).mean(), t) for t in np.linspace(0.2, 5, 400))[1]
    assert fit_temperature(np.log(p), target) == pytest.approx(best, abs=0.05)


def test_only_sure_and_large_errors_are_warned_of() -> None:
    def levels(factor: float, size: int = 3000) -> list[str]:
        p, target = answers(factor, size)
        arrays = {
            "probabilities": p,
            "target": target,
            "prediction": p.argmax(axis=1),
            "losses": -np.log(p.max(axis=1)),
        }
        verdict = CHECKS["G07"].rule(record(train=[1.0], valid=[1.0], predictions=arrays))
        assert verdict is not None
        return [finding.level for finding in verdict.findings]

    assert levels(3.0) == ["warning"]
    assert levels(0.5) == ["note"]  # too modest, as label smoothing makes it
    assert levels(1.0) == []
    assert levels(3.0, size=200) == []  # too few rows to tell


@pytest.mark.parametrize("arrays", [(np.ones((5, 2)), np.zeros(5)), (np.full((50, 2), np.nan), np.zeros(50))])
def test_what_cannot_be_judged_is_not(arrays: tuple[np.ndarray, np.ndarray]) -> None:
    assert calibration_of(*arrays) is None


@pytest.mark.spec("H8")
def test_a_class_that_fails_is_named() -> None:
    random = np.random.default_rng(0)
    target = np.repeat(np.arange(4), 100)
    guess = np.where(random.random(400) < 0.05, (target + 1) % 4, target)
    guess[:100][random.random(100) < 0.7] = 3
    spec = {"classes": ["ape", "bee", "cat", "dog"]}
    arrays = {"prediction": guess, "target": target}
    verdict = CHECKS["G08"].rule(record(train=[1.0], valid=[1.0], predictions=arrays, spec=spec))
    assert verdict is not None
    (finding,) = verdict.findings
    assert (finding.level, finding.where) == ("warning", "class ape")
    even = np.where(random.random(400) < 0.3, (target + 1) % 4, target)
    silent = CHECKS["G08"].rule(
        record(train=[1.0], valid=[1.0], predictions={"prediction": even, "target": target}, spec=spec)
    )
    assert silent is not None
    assert silent.findings == ()


def test_a_slice_that_fails_is_named_and_many_slices_need_more_proof() -> None:
    worst = {"name": "town = Bern", "n": 60, "error": 0.5, "rest": 0.08, "se": 0.06}
    evidence = record(train=[1.0], valid=[1.0], probes={"slices": {"examined": 20, "n": 400, "slices": [worst]}})
    verdict = CHECKS["G08"].rule(evidence)
    assert verdict is not None
    assert [(f.level, f.where) for f in verdict.findings] == [("warning", "town = Bern")]
    milder = {**worst, "error": 0.2, "se": 0.035}
    levels = {}
    for examined in (1, 2000):
        probe = {"examined": examined, "n": 400, "slices": [milder]}
        told = CHECKS["G08"].rule(record(train=[1.0], valid=[1.0], probes={"slices": probe}))
        assert told is not None
        levels[examined] = len(told.findings)
    assert levels == {1: 0, 2000: 0}  # 12 points more, but less than a fifth of the right answers
