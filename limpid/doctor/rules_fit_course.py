"""Did training end at the right moment, and with the right weights? G06."""

from __future__ import annotations

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.fit_category import course_of
from limpid.doctor.fit_figures import FitFigures
from limpid.doctor.numbers import finite

# A loss that falls at an even pace from knowing nothing has a quarter of its fall in the last quarter.
UNFINISHED = Threshold(0.2, "of the whole fall, in the last quarter", "Playbook: best in the last 25 %", "-")
STILL = Threshold(0.03, "share of the last loss", "ours: less is not worth another run", "moderate")
EARLY = Threshold(0.1, "of the epochs", "USERS: best in the first 10 %", "restarts of the rate")
ALL_BUT = Threshold(
    0.01,
    "of the whole fall",
    "ours: the least of a course that lies flat for 200 epochs is anywhere; healthy runs of 20 epochs need over 10 %",
    "goals for which the last percent counts",
)
LATE_EPOCHS = 20  # fewer are over soon in any case
BENT = 8  # evaluations
LOST = Threshold(0.2, "share of the best validation loss", "as over-fitting", "small validation splits")


def ended_well(evidence: Evidence) -> Verdict | None:
    """Position of the least validation loss, and of the first that lacks but a hundredth of the fall from knowing
    nothing; the share of that fall that came in the last quarter of the epochs; and how much worse the weights are that
    the run ended with."""
    fit = FitFigures(evidence)
    valid = [float((e.valid or {})["loss"]) for e in fit.evaluated]
    course = course_of([e.loss for e in fit.evaluated], valid)
    if course is None or evidence.result is None:
        return None
    best, total = fit.evaluated[course.best], fit.evaluated[-1].epoch
    quarter = max(1, len(valid) // 4)
    fall = max(valid[0], finite(evidence.result.get("chance_loss")) or valid[0]) - valid[-1]
    late = valid[-1 - quarter] - valid[-1]
    # A few points bend because the loss falls, not because it is noisy.
    noise = course.noise * valid[course.best] if len(valid) >= BENT else 0.0
    whole = fall + valid[-1] - valid[course.best]
    enough = valid[course.best] + ALL_BUT.value * whole
    reached = next(e for e, loss in zip(fit.evaluated, valid, strict=True) if loss <= enough)
    statistics = {
        "best_epoch": best.epoch,
        "reached_epoch": reached.epoch,
        "epochs": total,
        "late_share": late / fall if fall > 0 else 0.0,
        "late_fall": late,
        "noise": noise,
    }
    epochs = tuple(float(e.epoch) for e in fit.evaluated)
    picture = Picture("validation loss", {"validation": tuple(valid)}, epochs, "epoch")
    kept = next((e for e in fit.evaluated if e.epoch == fit.result.get("epoch")), best)
    lost = float((kept.valid or {})["loss"]) / max(abs(valid[course.best]), 1e-12) - 1
    monitored = str(evidence.option("training.monitor", "loss"))
    if monitored == "loss" and lost > LOST.value and evidence.option("training.restore_best") is False:
        finding = Finding(
            level="warning",
            symptom=f"The run ended with the weights of epoch {kept.epoch}, whose validation loss is "
            f"{100 * lost:.0f} % above that of epoch {best.epoch}.",
            value=lost,
            threshold=LOST.value,
            where="kept weights",
            step=best.step,
            cause="training.restore_best is off.",
            remedy="Leave training.restore_best on, or end the run earlier.",
            treatments=("early-stop",),
            picture=picture,
        )
        return Verdict(statistics, (finding,))
    falling = course.best == len(valid) - 1 and fall > 0 and fit.evaluated[-1].loss < fit.evaluated[-1 - quarter].loss
    if falling and late > UNFINISHED.value * fall and late > max(STILL.value * abs(valid[-1]), 2 * noise):
        finding = Finding(
            level="warning",
            symptom=f"Training ended while it still gained: {100 * late / fall:.0f} % of the fall of the validation "
            f"loss came in the last {quarter} of {total} epochs.",
            value=late / fall,
            threshold=UNFINISHED.value,
            where="too early",
            step=fit.evaluated[-1].step,
            treatments=("longer", "raise-rate"),
            picture=picture,
        )
        return Verdict(statistics, (finding,))
    if total >= LATE_EPOCHS and reached.epoch <= EARLY.value * total:
        finding = Finding(
            level="note",
            symptom=f"After {reached.epoch} of {total} epochs the validation loss had all but a hundredth of its fall "
            f"behind it (the best was number {best.epoch}): the rest was time for nothing.",
            value=reached.epoch / total,
            threshold=EARLY.value,
            where="too late",
            step=reached.step,
            cause="Far more epochs than the data need, or a rate so high that the first epochs say all.",
            remedy="--patience 5, fewer epochs, or a lower rate.",
            treatments=("early-stop", "lower-rate"),
            picture=picture,
        )
        return Verdict(statistics, (finding,))
    return Verdict(statistics)


CHECKS = (
    Check(
        code="G06",
        name="end-of-training",
        question="Did training end neither too early nor too late, and with its best weights?",
        rule=ended_well,
        when="after",
        cause="Too few epochs for this rate, or a schedule that let the rate fall too soon.",
        remedy="Train longer: --epochs two or three times as many.",
        thresholds={"unfinished": UNFINISHED, "still": STILL, "early": EARLY, "all_but": ALL_BUT, "lost": LOST},
        explains=("G01", "G08", "G09", "G15"),
    ),
)
