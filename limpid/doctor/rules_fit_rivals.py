"""Is the network worth its trouble: is it better than a simple rival, and surely so? G14, G15."""

from __future__ import annotations

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.fit_figures import Estimate, FitFigures
from limpid.doctor.rival_figures import RivalFigures, called

SURE = Threshold(3.0, "standard errors", "USERS: 2 SE; 3 keeps four rivals at 1 % together", "paired where it can be")
TIE = Threshold(2.0, "standard errors", "USERS G14", "of the rows' luck; that of the seed comes on top")
LOST = Threshold(0.1, "share of the rival's gain over knowing nothing", "deepchecks: 10 % gain", "tasks near chance")


def worse_than_a_rival(evidence: Evidence) -> Verdict | None:
    """network's error - best rival's, in pairs on the same validation rows where they were compared there."""
    fit, rivals = FitFigures(evidence), RivalFigures(evidence)
    found = _behind(fit, rivals)
    constant = rivals.constant
    if found is None or constant is None:
        return None
    name, own, rival, difference = found
    possible = max(constant - rival.value, 1e-12)
    statistics = {
        "rival": name,
        "error": own.value,
        "rival_error": rival.value,
        "behind": difference.value,
        "z": difference.value / max(difference.se, 1e-12),
        "lost": difference.value / possible,
    }
    if difference.value <= SURE.value * difference.se or difference.value <= LOST.value * possible:
        return Verdict(statistics)
    finding = Finding(
        level="warning",
        symptom=f"{called(name).capitalize()} errs at {fit.text(rival.value)}, the network at {fit.text(own.value)} "
        f"({fit.unit}), on the same validation rows.",
        value=difference.value,
        threshold=SURE.value * difference.se,
        n=rivals.n,
        sure="confirmed" if rivals.gain_over(name) else "established",
        picture=_bars(own, rivals),
    )
    return Verdict(statistics, (finding,))


def no_surer_than_luck(evidence: Evidence) -> Verdict | None:
    """|difference to the best rival| < 2 standard errors: a tie."""
    fit, rivals = FitFigures(evidence), RivalFigures(evidence)
    found = _behind(fit, rivals)
    if found is None or rivals.source == "quick_rivals":
        return None
    name, own, rival, difference = found
    statistics = {"rival": name, "gain": -difference.value, "se": difference.se}
    if abs(difference.value) >= TIE.value * difference.se:
        return Verdict(statistics)
    half = TIE.value * difference.se
    finding = Finding(
        level="note",
        symptom=f"The network ({fit.text(own.value)} {fit.unit}) and {called(name)} ({fit.text(rival.value)}) tie: "
        f"these {rivals.n} validation rows cannot tell them apart by less than {fit.text(half)}.",
        value=-difference.value,
        threshold=half,
        n=rivals.n,
    )
    return Verdict(statistics, (finding,))


def _behind(fit: FitFigures, rivals: RivalFigures) -> tuple[str, Estimate, Estimate, Estimate] | None:
    """(name, network's error, rival's error, difference) for the best rival; None where they cannot be compared."""
    best, own = rivals.best, rivals.network or fit.valid
    if best is None or own is None or rivals.score != fit.score:
        return None
    name, rival = best
    pair = rivals.gain_over(name)
    if pair is None:
        return name, own, rival, own.minus(rival)
    mean, se = -pair[0], max(pair[1], 1 / max(rivals.n, 1) ** 1.5)
    return name, own, rival, Estimate(mean, mean - 1.96 * se, mean + 1.96 * se, rivals.n)


def _bars(own: Estimate, rivals: RivalFigures) -> Picture:
    bars = {"network": own.value, **{name: error.value for name, error in rivals.errors.items()}}
    return Picture("error on validation rows", {"error": tuple(bars.values())}, tuple(bars), "", limit=own.value)


CHECKS = (
    Check(
        code="G14",
        name="tie",
        question="Can the gain over the best simple rival be told from luck?",
        rule=no_surer_than_luck,
        when="after",
        cause="The validation rows are too few for so small a difference, or there is none.",
        remedy="Prefer the simpler model, or measure with more rows, folds and seeds.",
        thresholds={"tie": TIE},
        reads=("rivals", "rivals_after"),
    ),
    Check(
        code="G15",
        name="worse-than-rival",
        question="Is the network at least as good as a simple rival?",
        rule=worse_than_a_rival,
        when="after",
        cause="The data suit the rival (tables with steps suit trees), the rows are too few for the network, or it is "
        "badly trained.",
        remedy="Use the rival, or give the network its features: piecewise numbers, regularisation, more rows.",
        thresholds={"sure": SURE, "lost": LOST},
        treatments=("more-decay", "dropout", "raise-rate", "longer"),
        reads=("quick_rivals", "rivals", "rivals_after"),
    ),
)
