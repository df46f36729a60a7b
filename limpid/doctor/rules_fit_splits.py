"""Do the splits agree with one another? G03 (validation unlike the test), G04 (validation better than training),
G05 (too good)."""

from __future__ import annotations

import math

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.fit_figures import MOST_FIXED, SHARES, Estimate, FitFigures
from limpid.doctor.numbers import finite
from limpid.doctor.rival_figures import RivalFigures, called
from limpid.doctor.rules_fit_bias import noise_floor

SURE = Threshold(3.5, "standard errors", "USERS: 2 SE, which one healthy run in 40 exceeds", "-")
POINTS = Threshold(0.03, "of the error", "ours: smaller differences change no decision", "1 - R2 is a larger number")
TOLD_APART = Threshold(0.65, "AUC of training against validation rows", "USERS D12", "-")
CHANCE = 0.01  # probability of that AUC between rows of one kind
BETTER = Threshold(0.2, "share of the training loss", "UMLAUT: 5 points of accuracy", "small splits")
NEXT = 0.7  # of the gain of the best column; measures of one thing, such as those of a flower, tell alike
GOOD = 0.9  # accuracy or R2, from which a column that tells nearly all is worth a question
TELLING = Threshold(0.85, "of what can be known", "below D10, which warns: this one asks", "dominant true causes")
PERFECT = Threshold(0.99, "accuracy or R2", "UMLAUT .95 fires on every good network", "truly easy data")


def mismatch(evidence: Evidence) -> Verdict | None:
    """test error - validation error, where the validation rows were drawn from the training source.

    Validation then plays Ng's train-dev set: what it shares with training cannot explain what comes on top in the test.
    Where rows were put into the splits in random order, both come from one source, and a difference is over-tuning.
    """
    fit = FitFigures(evidence)
    shifted = _shifted_validation(evidence, fit)
    if fit.valid is None or (fit.test is None and shifted is None):
        return None
    if fit.test is None or (shifted is not None and shifted.findings):
        return shifted
    separate = fit.own_test
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


def _shifted_validation(evidence: Evidence, fit: FitFigures) -> Verdict | None:
    """Verdict on validation rows that a classifier tells from training rows, and that are answered worse."""
    probe = evidence.probe("shift") or {}
    auc, p, errors = finite(probe.get("auc")), finite(probe.get("p")), _errors_when_learned(fit)
    if auc is None or p is None or errors is None:
        return None
    train, valid = errors
    gap = valid.minus(train)
    statistics = {"auc": auc, "p": p, "gap": gap.value, "z": gap.value / max(gap.se, 1e-12)}
    if auc <= TOLD_APART.value or p >= CHANCE or gap.value <= max(SURE.value * gap.se, POINTS.value):
        return Verdict(statistics)
    finding = Finding(
        level="warning",
        symptom=f"Validation rows are answered worse than training rows by {fit.text(gap.value)} ({fit.unit}), and "
        f"they are of another kind: a classifier tells them apart with an AUC of {auc:.2f}.",
        value=gap.value,
        threshold=SURE.value * gap.se,
        where="validation",
        n=valid.n,
        cause="Validation rows were drawn elsewhere, or prepared in another way: this is no over-fitting.",
        remedy="Draw the validation rows from the same source, or bring training rows that are like them.",
    )
    return Verdict(statistics, (finding,))


def _errors_when_learned(fit: FitFigures) -> tuple[Estimate, Estimate] | None:
    """Errors on training and validation rows after the epoch at which training rows were answered best.

    Not by the kept weights: validation rows choose these, and rows of another kind choose an epoch, often the first,
    at which both are answered alike because neither is answered well.
    """
    n = 0 if fit.valid is None else fit.valid.n
    pairs = [(fit.train_at(epoch), fit.error(epoch.valid, n)) for epoch in fit.evaluated if epoch.fixed]
    known = [(train, valid) for train, valid in pairs if train is not None and valid is not None]
    if not known and fit.train is not None and fit.valid is not None:
        known = [(fit.train, fit.valid)]
    return min(known, key=lambda pair: pair[0].value, default=None)


def better_than_training(evidence: Evidence) -> Verdict | None:
    """Loss of training and test rows together - validation loss, by the kept weights in evaluation mode.

    Test rows stand for training rows only where both were drawn at random, and only the training rows' own loss tells
    that validation is better than what was learned: both have to be higher.
    """
    fit = FitFigures(evidence)
    best = fit.best
    train = fit.train_loss
    valid = finite(((best.valid if best else None) or {}).get("loss"))
    if train is None or valid is None or fit.valid is None or not fit.knows_losses:
        return None
    n = min(fit.valid.n, MOST_FIXED)
    tested = None if fit.own_test or fit.test is None else finite(fit.result.get("loss"))
    count = 0 if tested is None or fit.test is None else fit.test.n
    reference = (train * n + (tested or 0.0) * count) / (n + count)
    noise = math.hypot(fit.loss_se(reference, n + count), fit.loss_se(valid, fit.valid.n))
    advantage = reference - valid
    statistics = {"train_loss": train, "valid_loss": valid, "advantage": advantage, "z": advantage / max(noise, 1e-12)}
    if advantage <= SURE.value * noise or min(train, advantage + valid) - valid <= BETTER.value * train:
        return Verdict(statistics)
    finding = Finding(
        level="warning",
        symptom=f"The validation loss {valid:.3g} is {100 * (1 - valid / train):.0f} % lower than that of training "
        f"rows in evaluation mode, {train:.3g}.",
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
    telling = _telling_column(evidence)
    if telling is not None and fit.fresh is not None and 1 - fit.fresh.value >= GOOD and fit.fresh.n >= 30:
        column, gain = telling
        symptom = (
            f"The column {column!r} alone gives {100 * gain:.0f} % of all that can be known of the answer, far "
            "more than any other."
        )
        return Verdict(statistics, (_note(fit, symptom, gain, TELLING.value),))
    easy = first is not None and first >= PERFECT.value and best is not None and 1 - best[1].value >= PERFECT.value
    if easy and best is not None and fit.valid.n >= 30:
        symptom = f"After one epoch the score is {100 * (first or 0):.1f} %, and {called(best[0])} reaches as much."
        return Verdict(statistics, (_note(fit, symptom, first or 0.0, PERFECT.value),))
    return Verdict(statistics)


def _telling_column(evidence: Evidence) -> tuple[str, float] | None:
    """The column that tells nearly everything by itself while the next one tells far less; its gain."""
    rows = (evidence.probe("columns") or {}).get("columns") or ()
    gains = sorted(((finite(row.get("gain")) or 0.0, str(row.get("column", ""))) for row in rows), reverse=True)
    if len(gains) < 2 or gains[0][0] < TELLING.value or gains[1][0] > NEXT * gains[0][0]:
        return None
    return gains[0][1], gains[0][0]


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
        thresholds={"sure": SURE, "points": POINTS, "told_apart": TOLD_APART},
        treatments=("augment",),
        explains=("G02", "G08", "G15"),
        reads=("shift",),
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
        explains=("G03",),
    ),
    Check(
        code="G05",
        name="too-good",
        question="Is the score believable?",
        rule=too_good,
        when="after",
        cause="The task is truly that easy, or a column or the same rows in both splits give the answer away.",
        remedy="Ask of each input whether it is known before the answer is; see the checks of leaks (D09 to D11).",
        thresholds={"perfect": PERFECT, "telling": TELLING},
        reads=("quick_rivals", "rivals", "rivals_after", "label_noise", "columns"),
    ),
)
