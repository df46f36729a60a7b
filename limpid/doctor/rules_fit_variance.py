"""Does the network memorise? G02 (over-fitting, of the loss alone or of answers too), G10 (wrong labels learned)."""

from __future__ import annotations

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Epoch, Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.fit_category import RISEN as RISE
from limpid.doctor.fit_category import course_of
from limpid.doctor.fit_figures import SHARES, Estimate, FitFigures
from limpid.doctor.rules_fit_bias import noise_floor
from limpid.doctor.rules_labels import unrelated_labels

RISEN = Threshold(RISE, "share of the best validation loss", "ours; healthy runs reach the 5 % of USERS", "some")
DOUBLED = Threshold(1.0, "share of the best validation loss", "ours: confidence alone costs no answers", "some")
GAP = Threshold(0.5, "training loss over validation loss", "ours", "without it a rate that is too high looks the same")
WRONG = Threshold(5, "wrong validation answers", "ours: three that grow surer raise any mean loss", "some")
SURE = Threshold(3.0, "standard errors", "USERS: 2 SE", "small validation splits")
WIDE = Threshold(0.05, "share of answers", "SageMaker .1 of the loss, AUTOTRAINER .1 of accuracy", "benign gaps")
FAR = Threshold(0.08, "share of answers", "AUTOTRAINER .1 of accuracy; with a loss that no longer falls", "hard tasks")
MEMORISED = Threshold(0.5, "share of the wrong labels that training rows are answered with", "ours", "low")
TRIFLE = 0.02  # of the validation loss, over the last quarter of the epochs
LEAST_NOISE = 0.02  # share of wrong labels below which nothing is said


def memorises(evidence: Evidence) -> Verdict | None:
    """Rise of the validation loss over its best, held by the last evaluations, while the training loss falls; and the
    gap between both errors where the weights were best."""
    fit = FitFigures(evidence)
    pairs = [(e.loss, float((e.valid or {})["loss"])) for e in fit.evaluated]
    course = course_of([train for train, _ in pairs], [valid for _, valid in pairs])
    if course is None:
        return None
    best, last = fit.evaluated[course.best], fit.evaluated[-1]
    gap = None if fit.train is None or fit.fresh is None else fit.fresh.minus(fit.train)
    worse, grows = _answers_worse(fit, best, last)
    statistics = {
        "best_epoch": best.epoch,
        "last_epoch": last.epoch,
        "rise": course.rise,
        "noise": course.noise,
        "gap": None if gap is None else gap.value,
        "gap_se": None if gap is None else gap.se,
        "answers_worse": worse,
    }
    trained = fit.fixed_loss(last)
    apart = trained < GAP.value * pairs[-1][1]
    if course.falling and apart and course.rise > max(RISEN.value, 2 * course.noise):
        what = "and so does the error" if grows else "while the answers stay as good: only its confidence grows"
        finding = Finding(
            level="warning" if (grows or course.rise > DOUBLED.value) and _wrong_answers(fit, last) else "note",
            symptom=f"After epoch {best.epoch} the validation loss rises by {100 * course.rise:.0f} %, from "
            f"{pairs[course.best][1]:.3g} to {pairs[-1][1]:.3g}, {what}; that of training rows falls to {trained:.2g}.",
            value=course.rise,
            threshold=RISEN.value,
            where="answers" if grows else "confidence",
            step=best.step,
            n=fit.valid.n if fit.valid else None,
            remedy=_remedy(evidence),
            picture=_losses(fit),
        )
        return Verdict(statistics, (finding,))
    if gap is not None and fit.score in SHARES and gap.value > max(SURE.value * gap.se, WIDE.value):
        improving = _improves([valid for _, valid in pairs], course.best)
        finding = Finding(
            level="warning" if gap.value > FAR.value and apart and not improving else "note",
            symptom=f"New rows are answered worse than those that it learned from, by {100 * gap.value:.1f} points"
            + (" (validation still improves)." if improving else "."),
            value=gap.value,
            threshold=max(SURE.value * gap.se, WIDE.value),
            where="gap",
            n=gap.n,
            remedy=_remedy(evidence),
            picture=_losses(fit),
        )
        return Verdict(statistics, (finding,))
    return Verdict(statistics)


def learned_wrong_labels(evidence: Evidence) -> Verdict | None:
    """1 - train error / share of wrong labels: how many of them the network has learned by heart."""
    fit = FitFigures(evidence)
    unrelated, chance = unrelated_labels(evidence), fit.chance
    floor = noise_floor(evidence)
    if unrelated is not None and unrelated.findings and chance is not None:  # then all but the lucky ones are wrong
        floor = Estimate(chance, chance, chance, floor.n if floor else 0)
    train = fit.train_at(fit.evaluated[-1]) if fit.evaluated else None  # learned by heart at the end, if at all
    if floor is None or train is None or fit.score not in SHARES:
        return None
    if floor.low < LEAST_NOISE:
        return Verdict({"noise": floor.value, "train_error": train.value})
    share = 1 - train.value / floor.value
    statistics = {"noise": floor.value, "train_error": train.value, "memorised": share}
    if train.high >= (1 - MEMORISED.value) * floor.low:
        return Verdict(statistics)
    finding = Finding(
        level="note",
        symptom=f"About {100 * floor.value:.0f} % of the labels look wrong, and the network repeats "
        f"{100 * min(share, 1.0):.0f} % of those among its training rows.",
        value=share,
        threshold=MEMORISED.value,
        n=train.n,
    )
    return Verdict(statistics, (finding,))


def _answers_worse(fit: FitFigures, best: Epoch, last: Epoch) -> tuple[float | None, bool]:
    """How much larger the error is at the end than where the loss was best, and whether that is more than luck."""
    n = fit.valid.n if fit.valid else 0
    before, after = fit.error(best.valid, n), fit.error(last.valid, n)
    if before is None or after is None:
        return None, False
    worse = after.value - before.value
    return worse, worse > max(after.se, before.se)  # the same rows twice: pairs make the difference surer than each


def _improves(valid: list[float], best: int) -> bool:
    """Whether the validation loss was still falling, by more than a trifle, when training ended."""
    before = valid[-1 - max(1, len(valid) // 4)]
    return best >= 0.8 * len(valid) and before - valid[best] > TRIFLE * abs(valid[best])


def _wrong_answers(fit: FitFigures, last: Epoch) -> bool:
    """Whether enough validation rows are wrong for their loss to mean something."""
    if fit.score not in SHARES or fit.valid is None:
        return True
    error = fit.error(last.valid, fit.valid.n)
    return error is None or error.value * fit.valid.n >= WRONG.value


def _remedy(evidence: Evidence) -> str:
    """The remedies in the order in which to try them, with what the run has of each."""

    def now(path: str) -> str:
        value = evidence.option(path)
        return f" (now {value:.3g})" if isinstance(value, int | float) and value else ""

    image = evidence.spec.get("kind") == "image"
    more = "--set augment.crop=2 and others that keep the label" if image else "more rows, where they can be had"
    return (
        f"Varied data: {more}; an L2 penalty: a larger --weight-decay{now('optim.weight_decay')}; dropout: "
        f"--dropout 0.5{now('model.dropout')}; stop early: --patience 5{now('training.patience')}. The best epoch's "
        "weights are kept in any case."
    )


def _losses(fit: FitFigures) -> Picture:
    lines = {
        "training (running mean)": tuple(e.loss for e in fit.evaluated),
        "validation": tuple(float((e.valid or {})["loss"]) for e in fit.evaluated),
    }
    return Picture("loss", lines, tuple(float(e.epoch) for e in fit.evaluated), "epoch", limit=min(lines["validation"]))


CHECKS = (
    Check(
        code="G02",
        name="overfit",
        question="Does the validation loss rise for good while the training loss goes on falling?",
        rule=memorises,
        when="after",
        cause="The network has room enough to memorise its rows, and nothing keeps it from doing so.",
        remedy="More and more varied data, an L2 penalty, dropout, early stopping.",
        thresholds={
            "risen": RISEN,
            "doubled": DOUBLED,
            "gap": GAP,
            "wrong": WRONG,
            "sure": SURE,
            "wide": WIDE,
            "far": FAR,
        },
        treatments=("augment", "more-decay", "dropout", "smoothing", "early-stop"),
        explains=("G06", "G07", "G10"),
    ),
    Check(
        code="G10",
        name="memorises-noise",
        question="Has the network learned wrong labels by heart?",
        rule=learned_wrong_labels,
        when="after",
        cause="Nothing keeps it from fitting every row, the wrong ones too.",
        remedy="Correct or drop the rows that `limpid audit` lists, stop earlier, or regularise.",
        thresholds={"memorised": MEMORISED},
        treatments=("drop-rows", "smoothing", "more-decay", "early-stop"),
        reads=("label_noise",),
    ),
)
