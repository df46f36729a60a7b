"""Does the network even fit its training rows, and if not, is regularisation to blame? G01, G09."""

from __future__ import annotations

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.fit_category import category_of
from limpid.doctor.fit_figures import Estimate, FitFigures
from limpid.doctor.numbers import finite
from limpid.doctor.rival_figures import RivalFigures, called

SURE = Threshold(3.0, "standard errors", "USERS: 2 SE; 3 keeps three rivals at 1 % together", "splits below 30 rows")
LOST = Threshold(0.1, "share of the rival's gain over knowing nothing", "ours", "a harmless 5 % is not a fault")
SMOOTHED = Threshold(0.4, "label smoothing", "ours; Szegedy et al. 2016 use 0.1", "-")
LEAST_FREED = 0.02  # of the error: 2 points of accuracy, or of R2
FREED = Threshold(0.1, "share of the error that goes with the regulariser", "ours", "two trainings of one seed")


def avoidable_bias(evidence: Evidence) -> Verdict | None:
    """train error - max(noise floor, best rival's validation error), with the errors of fixed rows, evaluation mode.

    A rival that was fitted to other rows answers new ones better than the network answers those that it learned.
    """
    fit, rivals = FitFigures(evidence), RivalFigures(evidence)
    train, best, constant = fit.train, rivals.best, rivals.constant
    if train is None or best is None or constant is None or not _same_unit(fit, rivals):
        return None
    name, rival = best
    floor = noise_floor(evidence)
    reference = rival if floor is None or rival.value >= floor.value else floor
    bias = train.minus(reference)
    spread = abs(fit.valid.value - train.value) if fit.valid is not None else 0.0
    possible = max(constant - reference.value, 1e-12)
    statistics = {
        "train_error": train.value,
        "reference": reference.value,
        "rival": name,
        "bias": bias.value,
        "z": bias.value / max(bias.se, 1e-12),
        "gap": spread,
        "category": _category(fit),
    }
    lost = bias.value / possible
    if bias.value <= SURE.value * bias.se or lost <= LOST.value or bias.value <= spread:
        return Verdict(statistics)
    finding = Finding(
        level="warning",
        symptom=f"On rows that it learned from the network errs at {fit.text(train.value)} ({fit.unit}), "
        f"{called(name)} at only {fit.text(rival.value)} on new ones.",
        value=bias.value,
        threshold=SURE.value * bias.se,
        n=train.n,
        picture=_losses(fit),
    )
    return Verdict(statistics, (finding,))


def over_regularised(evidence: Evidence) -> Verdict | None:
    """Error of the same training with and without its strong regularisers, in pairs on validation rows."""
    probe = evidence.probe("unregularised")
    if probe is None or not all(isinstance(probe.get(key), int | float) for key in ("error", "gain", "se")):
        return _smoothed(evidence)
    gain, se, error = probe["gain"], max(probe["se"], 1e-12), probe["error"]
    named = ", ".join(probe.get("options") or ())
    statistics = {"gain": gain, "se": se, "z": gain / se, "options": named}
    if gain <= SURE.value * se or gain <= max(FREED.value * error, LEAST_FREED):
        smoothed = _smoothed(evidence)
        return Verdict(statistics, () if smoothed is None else smoothed.findings)
    finding = Finding(
        level="warning",
        symptom=f"With hardly any {named} the validation error is {probe['free_error']:.3g} in place of {error:.3g}, "
        f"after {probe['steps']} steps each.",
        value=gain,
        threshold=SURE.value * se,
        where=named,
        n=probe.get("n"),
        sure="confirmed",
        treatments=tuple(_treatments(probe.get("options") or ())),
    )
    return Verdict(statistics, (finding,))


def _smoothed(evidence: Evidence) -> Verdict | None:
    """A note on label smoothing under which the right answer is asked for with hardly more than an even chance."""
    smoothing = finite(evidence.option("objective.label_smoothing"))
    if smoothing is None or smoothing <= SMOOTHED.value:
        return None
    finding = Finding(
        level="note",
        symptom=f"Label smoothing of {smoothing:.2g} asks for a probability of {1 - smoothing:.2g} of the right answer "
        "at most: its probabilities mean little, even where its answers are right.",
        value=smoothing,
        threshold=SMOOTHED.value,
        where="objective.label_smoothing",
    )
    return Verdict({"label_smoothing": smoothing}, (finding,))


def noise_floor(evidence: Evidence) -> Estimate | None:
    """Share of answers that nobody can get right, where it was looked for: wrong labels as estimated, or rows that are
    equal and have other labels, whichever are more."""
    noise = evidence.probe("label_noise_after") or evidence.probe("label_noise") or {}
    share, low, high = (finite(noise.get(key)) for key in ("share", "low", "high"))
    rows = int(finite(noise.get("rows")) or 0)
    ceiling = finite((evidence.probe("duplicates") or {}).get("ceiling"))
    conflicts = 0.0 if ceiling is None else max(1 - ceiling, 0.0)
    if share is None or low is None or high is None:
        return None if conflicts <= 0 else Estimate(conflicts, conflicts, conflicts, rows)
    share = max(share, conflicts)
    return Estimate(share, min(max(low, conflicts), share), max(high, share), rows)


def _same_unit(fit: FitFigures, rivals: RivalFigures) -> bool:
    return fit.score == rivals.score


def _treatments(options: tuple[str, ...]) -> list[str]:
    return ["less-dropout" if "dropout" in option else "less-decay" for option in options if "smoothing" not in option]


def _category(fit: FitFigures) -> str:
    """The kind of fit by the curves of the losses alone; "" where they are too short."""
    pairs = [(e.fixed["loss"], e.valid["loss"]) for e in fit.evaluated if e.fixed and e.valid]
    chance = fit.result.get("chance_loss")
    if not isinstance(chance, int | float) or not all(isinstance(loss, int | float) for loss, _ in pairs):
        return ""
    return category_of([loss for loss, _ in pairs], [loss for _, loss in pairs], float(chance)) or ""


def _losses(fit: FitFigures) -> Picture | None:
    """Training and validation loss by epoch, both in evaluation mode."""
    epochs = [e for e in fit.evaluated if e.fixed and e.valid]
    if len(epochs) < 2:
        return None
    lines = {
        "training rows": tuple(float((e.fixed or {})["loss"]) for e in epochs),
        "validation": tuple(float((e.valid or {})["loss"]) for e in epochs),
    }
    return Picture("loss, evaluation mode", lines, tuple(float(e.epoch) for e in epochs), "epoch")


CHECKS = (
    Check(
        code="G01",
        name="underfit",
        question="Does the network fit its own training rows as well as a simple rival fits new ones?",
        rule=avoidable_bias,
        when="after",
        cause="The network is too small, was trained too short or too slowly, or is held back.",
        remedy="Make it wider or train longer, after the learning rate and the wiring are known to be right.",
        thresholds={"sure": SURE, "lost": LOST},
        treatments=("wider", "longer", "raise-rate", "less-decay", "less-dropout"),
        explains=("G08", "G15"),
        reads=("quick_rivals", "rivals", "rivals_after", "train_error"),
    ),
    Check(
        code="G09",
        name="over-regularised",
        question="Does the network answer better with hardly any regularisation?",
        rule=over_regularised,
        when="after",
        cause="Weight decay, dropout, label smoothing or a penalty is so strong that the network cannot learn.",
        remedy="Weaken the regularisers that are named, by a factor of ten or to nothing.",
        thresholds={"sure": SURE, "freed": FREED, "smoothed": SMOOTHED},
        treatments=("less-decay", "less-dropout"),
        explains=("G01", "G08", "G15"),
        reads=("unregularised",),
    ),
)
