"""The error of a run taken apart: one chain from what nobody can get right to what was measured on test rows.

    error = irreducible + avoidable bias (of it: optimisation gap) + variance + mismatch,   +- evaluation noise

Each term is the difference of two measured errors, with the 95 % interval of two independent samples; a term that was
not measured says so, and is then part of its neighbour. Source: Ng, Machine Learning Yearning, chapters 20 to 43.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass
from typing import Any

from limpid.doctor.decision_chart import GAP, walk
from limpid.doctor.evidence import Evidence
from limpid.doctor.fit_figures import SHARES, Estimate, FitFigures
from limpid.doctor.numbers import finite
from limpid.doctor.rival_figures import RivalFigures, called
from limpid.doctor.rules_fit_bias import noise_floor

SURE = 2.0  # standard errors by which an error must lie above another for the chart to call it high


@dataclass(frozen=True)
class Term:
    """One part of the error; `value` is None where it was not measured, and `basis` says why, or from what."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    basis: str
    action: str
    part_of: str = ""

    @property
    def certain(self) -> bool:
        """Whether it is surely more than nothing."""
        return self.value is not None and self.low is not None and self.low > 0


def budget_of(evidence: Evidence) -> dict[str, Any] | None:
    """{unit, score, total, terms, largest, action, chart}; None before there is a validation error.

    `largest` names the largest term that is surely more than nothing, and `action` what attacks it.
    """
    fit, rivals = FitFigures(evidence), RivalFigures(evidence)
    total = fit.test or fit.valid
    if total is None or not fit.score:
        return None
    floor = noise_floor(evidence) if fit.score in SHARES else None
    terms = [
        _irreducible(floor),
        bias := _bias(fit, rivals, floor),
        _optimisation(evidence, bias),
        _variance(evidence, fit),
        _mismatch(fit),
        _noise(fit, total),
    ]
    certain = [term for term in terms if term.certain and not term.part_of and term.name != "evaluation noise"]
    largest = max(certain, key=lambda term: term.value or 0.0, default=terms[-1])
    return {
        "unit": fit.unit,
        "score": fit.score,
        "split": "test" if fit.test else "validation",
        "total": total.to_row(),
        "terms": [asdict(term) for term in terms],
        "largest": largest.name,
        "action": largest.action,
        "chart": _chart(evidence, fit, rivals, floor),
    }


def _irreducible(floor: Estimate | None) -> Term:
    action = "correct the labels that `limpid audit` lists, and ask whether the inputs tell enough"
    if floor is None:
        return Term("irreducible", None, None, None, "not measured: labels were not audited; part of the bias", action)
    return Term("irreducible", floor.value, floor.low, floor.high, "share of labels that look wrong", action)


def _bias(fit: FitFigures, rivals: RivalFigures, floor: Estimate | None) -> Term:
    action = "a wider network or longer training; less regularisation"
    if fit.train is None:
        return Term("avoidable bias", None, None, None, "not measured: no training rows in evaluation mode", action)
    above = fit.train if floor is None else fit.train.minus(floor)
    value, low, high = max(above.value, 0.0), max(above.low, 0.0), max(above.high, 0.0)
    basis = "error of training rows" + ("" if floor is None else " above what is irreducible")
    best = rivals.best if rivals.score == fit.score else None
    if best is not None:
        shown = fit.train.minus(best[1])
        basis += f"; {fit.text(max(shown.value, 0.0))} of it surely, by {called(best[0])}" if shown.low > 0 else ""
    if floor is None:  # some of it may be irreducible: sure is only what a rival shows to be avoidable
        low = 0.0 if best is None else min(max(shown.low, 0.0), value)
    return Term("avoidable bias", value, low, high, basis, action)


def _optimisation(evidence: Evidence, bias: Term) -> Term:
    """The share of the loss that the best rate of the race saves, taken of the bias: an estimate, as losses are no
    errors and the race is short."""
    name, action = "optimisation gap", "the rate that won the race: see O01 and O02"
    race = evidence.probe("rate_race") or evidence.probe("start_race") or {}
    factors, losses = race.get("factors") or (), race.get("losses") or ()
    medians = [_median(values) for values in losses]
    reached = [(loss, factor) for loss, factor in zip(medians, factors, strict=False) if loss is not None]
    own = next((k for k, factor in enumerate(factors) if factor == 1), None)
    if own is None or own >= len(medians) or not medians[own] or bias.value is None:
        return Term(name, None, None, None, "not measured: no race of rates", action, "avoidable bias")
    before = medians[own] or 1.0
    best, rate = min(reached)
    saved, spread = max(1 - best / before, 0.0), _spread(losses[own]) / before
    low, high = max(saved - 2 * spread, 0.0), min(saved + 2 * spread, 1.0)
    basis = f"of the bias, by the share of the loss that {rate:g} times the rate saves in {race.get('num_steps')} steps"
    return Term(name, saved * bias.value, low * bias.value, high * bias.value, basis, action, "avoidable bias")


def _variance(evidence: Evidence, fit: FitFigures) -> Term:
    action = "more data or augmentation, then weight decay, dropout or a smaller network"
    if fit.train is None or fit.fresh is None:
        return Term("variance", None, None, None, "not measured: it takes training rows in evaluation mode", action)
    gap = fit.fresh.minus(fit.train)
    basis = "error of new rows above that of training rows"
    curve = data_curve(evidence)
    if curve is not None:
        basis += f"; twice the rows would take {fit.text(curve['now'])} to about {fit.text(curve['doubled'])}"
    return Term("variance", gap.value, gap.low, gap.high, basis, action)


def _mismatch(fit: FitFigures) -> Term:
    action = "training rows that are like the test rows"
    if not fit.own_test:
        return Term("mismatch", None, None, None, "none: the splits were drawn from the same rows at random", action)
    if fit.valid is None or fit.test is None:
        return Term("mismatch", None, None, None, "not measured: it takes a test split of its own", action)
    shift = fit.test.minus(fit.valid)
    return Term("mismatch", shift.value, shift.low, shift.high, "test error above validation error", action)


def _noise(fit: FitFigures, total: Estimate) -> Term:
    half = (total.high - total.low) / 2
    basis = f"half of the 95 % interval, from {total.n:,} rows"
    return Term("evaluation noise", half, half, half, basis, "more rows to measure with, folds, or several seeds")


def data_curve(evidence: Evidence) -> dict[str, float] | None:
    """{now, doubled, exponent} of a power law E = a n^-b through the errors on half and all of the rows; None unless
    they were measured and fall."""
    probe = evidence.probe("data_size") or {}
    sizes, score = probe.get("sizes") or (), probe.get("score")
    points = [(finite(size.get("rows")), finite(size.get("score"))) for size in sizes]
    known = [(rows, value if score == "loss" else 1 - value) for rows, value in points if rows and value is not None]
    if len(known) < 2 or min(error for _, error in known) <= 0:
        return None
    (first, before), (last, after) = known[0], known[-1]
    exponent = max(math.log(before / after) / math.log(last / first), 0.0)
    return {"now": after, "doubled": after * 2**-exponent, "exponent": exponent}


def _chart(evidence: Evidence, fit: FitFigures, rivals: RivalFigures, floor: Estimate | None) -> dict[str, Any] | None:
    """Ng's chart; a gap is at least 2 points, or of what can be lost, and two standard errors."""
    if fit.train is None or fit.valid is None:
        return None
    own_test, test = fit.own_test, fit.test
    best = rivals.best if rivals.score == fit.score else None
    target = min(best[1].value if best else 0.0, fit.train.value) if floor is None else floor.value
    errors = [fit.train, fit.valid, test if own_test else fit.valid, None if own_test else test]
    least = GAP * (1.0 if fit.score in SHARES else fit.chance or 1.0)
    gaps, before = [], None
    for estimate in errors:
        noise = 0.0 if estimate is None else math.hypot(estimate.se, before.se if before else 0.0)
        gaps.append(max(least, SURE * noise))
        before = estimate or before
    found = walk([None if error is None else error.value for error in errors], target, gaps).to_row()
    known = "the share of wrong labels" if floor else f"what {called(best[0])} reaches" if best else "nothing: 0"
    return {**found, "target": target, "target_is": known}


def _median(values: Any) -> float | None:
    numbers = [number for value in values or () if (number := finite(value)) is not None]
    return statistics.median(numbers) if numbers and len(numbers) == len(values) else None


def _spread(values: Any) -> float:
    """Standard error of the mean of a few seeds."""
    numbers = [number for value in values or () if (number := finite(value)) is not None]
    return statistics.stdev(numbers) / math.sqrt(len(numbers)) if len(numbers) > 1 else 0.0
