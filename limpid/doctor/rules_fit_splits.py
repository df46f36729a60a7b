"""Do the splits agree with one another? G03 (validation unlike the test), G04 (validation better than training),
G05 (too good)."""

from __future__ import annotations

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.fit_figures import SHARES, FitFigures, finite
from limpid.doctor.rival_figures import RivalFigures, called
from limpid.doctor.rules_fit_bias import noise_floor

SURE = Threshold(3.5, "standard errors", "USERS: 2 SE, which one healthy run in 40 exceeds", "-")
POINTS = Threshold(0.03, "of the error", "ours: smaller differences change no decision", "1 - R2 is a larger number")
BETTER = Threshold(0.2, "share of the training loss", "UMLAUT: 5 points of accuracy", "small splits")
PERFECT = Threshold(0.99, "accuracy or R2", "UMLAUT .95 fires on every good network", "truly easy data")


def mismatch(evidence: Evidence) -> Verdict | None:
    """test error - validation error, where the validation rows were drawn from the training source.

    Validation then plays Ng's train-dev set: what it shares with training cannot explain what comes on top in the test.
    Where rows were put into the splits in random order, both come from one source, and a difference is over-tuning.
    """
    fit = FitFigures(evidence)
    if fit.valid is None or fit.test is None:
        return None
    separate = has_own_test(evidence)
    shift, gap = fit.test.minus(fit.valid), None if fit.train is None else fit.valid.minus(fit.train)
    statistics = {
        "valid_error": fit.valid.value,
        "test_error": fit.test.value,
        "shift": shift.value,
        "z": shift.value / max(shift.se, 1e-12),
        "variance": None if gap is None else gap.value,
        "separate_test": separate,
    }
    if shift.value <= SURE.value * shift.se or shift.value <= POINTS.value * (1.0 if fit.score in SHARES else 2.0):
        return Verdict(statistics)
    cause = None if separate else "The validation rows chose the best epoch and the settings, and flatter the network."
    finding = Finding(
        level="warning",
        symptom=f"The test error {fit.text(fit.test.value)} lies {statistics['z']:.1f} standard errors above "
        f"the validation error {fit.text(fit.valid.value)} ({fit.unit}).",
        value=shift.value,
        threshold=SURE.value * shift.se,
        n=fit.test.n,
        cause=cause or "",
        remedy="" if separate else "Validate on more rows, or by folds, and look at the test less often.",
        picture=Picture(
            "error by split",
            {"error": (fit.train.value if fit.train else float("nan"), fit.valid.value, fit.test.value)},
            ("training", "validation", "test"),
            "",
        ),
    )
    return Verdict(statistics, (finding,))


def better_than_training(evidence: Evidence) -> Verdict | None:
    """training loss - validation loss of the kept weights, both in evaluation mode."""
    fit = FitFigures(evidence)
    best, se = fit.best, fit.loss_se
    nearest = fit.fixed_near(best) if best else None
    train = finite(((nearest.fixed if nearest else None) or {}).get("loss"))
    valid = finite(((best.valid if best else None) or {}).get("loss"))
    if train is None or valid is None or se is None:
        return None
    advantage, noise = train - valid, se * 2**0.5  # of two splits of like size
    statistics = {"train_loss": train, "valid_loss": valid, "advantage": advantage, "z": advantage / max(noise, 1e-12)}
    errors_agree = fit.train is not None and fit.valid is not None and fit.train.minus(fit.valid).low <= 0
    if advantage <= SURE.value * noise or advantage <= BETTER.value * train or errors_agree:
        return Verdict(statistics)
    finding = Finding(
        level="warning",
        symptom=f"The validation loss {valid:.3g} is {100 * advantage / train:.0f} % lower than that of training rows "
        f"in evaluation mode, {train:.3g}.",
        value=advantage,
        threshold=SURE.value * noise,
        n=fit.valid.n if fit.valid else None,
    )
    return Verdict(statistics, (finding,))


def too_good(evidence: Evidence) -> Verdict | None:
    """The score, that of the first evaluated epoch and of a simple rival, and the share that anybody can get right."""
    fit, rivals, floor = FitFigures(evidence), RivalFigures(evidence), noise_floor(evidence)
    if fit.valid is None or fit.score not in ("accuracy", "r2") or not fit.evaluated:
        return None
    first = finite((fit.evaluated[0].valid or {}).get(fit.score))
    best = rivals.best
    statistics = {
        "score": 1 - fit.valid.value,
        "first_epoch": first,
        "rival": None if best is None else 1 - best[1].value,
        "floor": None if floor is None else floor.value,
    }
    if floor is not None and fit.score in SHARES and fit.valid.high < floor.low:
        symptom = (
            f"{100 * floor.value:.1f} % of the labels look wrong, and yet only {fit.text(fit.valid.value)} of the "
            "validation answers are."
        )
        return Verdict(statistics, (_note(fit, symptom, fit.valid.value, floor.value),))
    easy = first is not None and first >= PERFECT.value and best is not None and 1 - best[1].value >= PERFECT.value
    if easy and best is not None and fit.valid.n >= 30:
        symptom = f"After one epoch the score is {100 * (first or 0):.1f} %, and {called(best[0])} reaches as much."
        return Verdict(statistics, (_note(fit, symptom, first or 0.0, PERFECT.value),))
    return Verdict(statistics)


def has_own_test(evidence: Evidence) -> bool:
    """Whether the test rows come from another source, or another time, than those that validation was drawn from."""
    split = str(evidence.option("data.split") or "random")
    how = str(((evidence.header.get("summary") or {}).get("split") or {}).get("how", ""))
    return bool(evidence.option("data.test")) or split != "random" or ("random" not in how and bool(how))


def _note(fit: FitFigures, symptom: str, value: float, threshold: float) -> Finding:
    n = fit.valid.n if fit.valid else None
    return Finding(level="note", symptom=symptom, value=value, threshold=threshold, n=n)


CHECKS = (
    Check(
        code="G03",
        name="mismatch",
        question="Does the network answer test rows as well as validation rows?",
        rule=mismatch,
        when="after",
        cause="The test rows come from elsewhere, or from another time: this is no over-fitting, which validation "
        "would show.",
        remedy="Make the training rows like the test rows: collect some, augment towards them, or split as they are.",
        thresholds={"sure": SURE, "points": POINTS},
        treatments=("augment",),
    ),
    Check(
        code="G04",
        name="better-on-validation",
        question="Is the validation loss no lower than that of training rows in evaluation mode?",
        rule=better_than_training,
        when="after",
        cause="Validation rows are copies of training rows, easier, or of another mix of classes.",
        remedy="Look for rows that are in both splits, and draw the validation rows at random, stratified.",
        thresholds={"sure": SURE, "better": BETTER},
    ),
    Check(
        code="G05",
        name="too-good",
        question="Is the score believable?",
        rule=too_good,
        when="after",
        cause="The task is truly that easy, or a column or the same rows in both splits give the answer away.",
        remedy="Ask of each input whether it is known before the answer is; see the checks of leaks (D09 to D11).",
        thresholds={"perfect": PERFECT},
        reads=("quick_rivals", "rivals", "rivals_after", "label_noise"),
    ),
)
