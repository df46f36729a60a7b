"""The error is taken apart into what was measured of it, and what was not measured says so."""

from __future__ import annotations

from typing import Any

import pytest

from limpid.doctor.error_budget import budget_of, data_curve
from limpid.doctor.evidence import Evidence
from limpid.doctor.fit_figures import share_estimate
from limpid.reporting.budget_lines import budget_lines
from tests.doctor.fit_rows import record, rivals

FLAT = [1.0, 0.5, 0.4, 0.4]
OWN_TEST = {"data": {"test": "there.csv"}}


def terms_of(evidence: Evidence) -> dict[str, dict[str, Any]]:
    budget = budget_of(evidence)
    assert budget is not None
    return {term["name"]: term for term in budget["terms"]}


def run(train: float, valid: float, test: float | None = None, **more: Any) -> Evidence:
    """A run with these accuracies."""
    return record(
        train=FLAT,
        valid=FLAT,
        fixed=FLAT,
        accuracy=[valid] * 4,
        fixed_accuracy=[train] * 4,
        test_accuracy=valid if test is None else test,
        **more,
    )


def test_the_terms_add_up_to_the_error() -> None:
    noise = {"share": 0.05, "low": 0.03, "high": 0.07, "rows": 2000}
    terms = terms_of(run(0.85, 0.75, 0.6, probes={"label_noise": noise}, config=OWN_TEST))
    chain = [terms[name]["value"] for name in ("irreducible", "avoidable bias", "variance", "mismatch")]
    assert chain == pytest.approx([0.05, 0.10, 0.10, 0.15])
    assert sum(chain) == pytest.approx(0.4)
    assert terms["evaluation noise"]["value"] == pytest.approx(1.96 * (0.4 * 0.6 / 400) ** 0.5)


@pytest.mark.parametrize(
    ("evidence", "largest", "branch"),
    [
        (run(0.6, 0.58, probes={"rivals": rivals(0.95)}), "avoidable bias", "bias"),
        (run(1.0, 0.8, probes={"rivals": rivals(0.8)}), "variance", "variance"),
        (run(0.96, 0.95, 0.7, probes={"rivals": rivals(0.95)}, config=OWN_TEST), "mismatch", "mismatch"),
        (run(0.96, 0.95, 0.95, probes={"rivals": rivals(0.95)}), "evaluation noise", "done"),
    ],
)  # fmt: skip
def test_the_largest_certain_term_is_attacked(evidence: Evidence, largest: str, branch: str) -> None:
    budget = budget_of(evidence)
    assert budget is not None
    assert budget["largest"] == largest
    assert budget["chart"]["branch"] == branch
    assert any(largest in line and ("<-" in line) for line in budget_lines(budget))


def test_what_was_not_measured_says_so() -> None:
    evidence = record(train=FLAT, valid=FLAT)
    terms = terms_of(evidence)
    for name in ("irreducible", "avoidable bias", "optimisation gap", "variance"):
        assert terms[name]["value"] is None
        assert terms[name]["basis"].startswith("not measured")
    assert terms["mismatch"]["basis"].startswith("none")
    budget = budget_of(evidence)
    assert budget is not None
    assert budget["chart"] is None
    assert budget_of(Evidence({}, [])) is None


def test_the_race_of_rates_bounds_what_optimisation_loses() -> None:
    race = {"factors": [0.3, 1.0, 3.0], "losses": [[0.9, 0.92], [0.8, 0.82], [0.4, 0.42]], "num_steps": 100}
    terms = terms_of(run(0.6, 0.58, probes={"rate_race": race}))
    gap = terms["optimisation gap"]
    assert gap["part_of"] == "avoidable bias"
    assert gap["value"] == pytest.approx((1 - 0.41 / 0.81) * 0.4)
    assert gap["low"] < gap["value"] < gap["high"]


@pytest.mark.spec("H8")
def test_a_power_law_says_what_more_rows_would_bring() -> None:
    sizes = [{"rows": rows, "score": 1 - 2 * rows**-0.5, "loss": 1.0} for rows in (100, 200, 400)]
    curve = data_curve(record(train=FLAT, valid=FLAT, probes={"data_size": {"score": "accuracy", "sizes": sizes}}))
    assert curve is not None
    assert curve["exponent"] == pytest.approx(0.5)
    assert curve["doubled"] == pytest.approx(2 * 800**-0.5)
    assert data_curve(record(train=FLAT, valid=FLAT)) is None


def test_an_interval_contains_its_share() -> None:
    for right in (0, 1, 5, 10):
        estimate = share_estimate(right / 10, 10)
        assert estimate.low <= estimate.value <= estimate.high
