"""Does an answer depend on what it should and only on that, and can a few rows be memorised? B12 to B14, B21."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.numbers import measured

MIXED = Threshold(1e-3, "change / spread of the outputs", "ours; USERS has 1e-6 of a gradient", "float16")
SHOWN = Threshold(1e-3, "variation over the rows before it is lost", "ours", "a vanishing signal is no cut")
NEXT = Threshold(0.9, "share of places", "ours", "texts of one repeated token")
SIGMAS = Threshold(2.0, "standard errors of the gain", "convention", "16 groups of rows")
MEMORISED = Threshold(0.9, "share of the way to the lowest loss", "ours; TheDeepChecker: error <= 5 %", "6 s")


def mixed_samples(evidence: Evidence) -> Verdict | None:
    """Largest change of an answer when other rows of its batch are exchanged, over the spread of the answers."""
    probe = evidence.probe("dependency")
    others = None if probe is None else measured(probe.get("others"))
    if probe is None or others is None:
        return None
    if others <= MIXED.value:
        return Verdict({"others": others})
    finding = Finding(
        level="warning",
        symptom=f"An answer changes by {others:.2g} of the outputs' spread when other rows of the batch do.",
        value=others,
        threshold=MIXED.value,
        n=probe.get("n"),
        sure="confirmed",
    )
    return Verdict({"others": others}, (finding,))


def broken_causality(evidence: Evidence) -> Verdict | None:
    """Change of early answers when later tokens do, where the next token is wanted; and targets that are the input."""
    probe = evidence.probe("dependency")
    if probe is None or measured(probe.get("is_next")) is None:
        return None
    future, following, same = (measured(probe.get(key)) or 0.0 for key in ("future", "is_next", "is_same"))
    statistics = {"future": future, "is_next": following, "is_same": same}
    said = []
    if following >= NEXT.value and future > MIXED.value and probe.get("future_varies"):
        text = "Answers change with the tokens behind them, which hold the very token that is to be guessed."
        said.append((text, future, MIXED.value, ""))
    if same >= NEXT.value > following:
        text = f"At {same:.0%} of the places the target is the token that the network is given there."
        said.append((text, same, NEXT.value, "Shift the target by one place: the answer at t is the token at t + 1."))
    findings = tuple(
        Finding(level="stop", symptom=text, value=value, threshold=limit, remedy=remedy, sure="confirmed")
        for text, value, limit, remedy in said
    )
    return Verdict(statistics, findings)


def ignored_input(evidence: Evidence) -> Verdict | None:
    """Rows that differ at the input and not at the output; and a loss that is no lower than with others' inputs."""
    wiring = evidence.probe("dependency")
    learned = evidence.probe("input_matters")
    if (wiring is None or measured(wiring.get("input_varies")) is None) and learned is None:
        return None
    wiring = wiring or {}
    findings = [*_cut(wiring)]
    statistics = {key: wiring.get(key) for key in ("input_varies", "output_varies", "cut", "before_cut")}
    gain, error = (None if learned is None else measured(learned.get(key)) for key in ("gain", "error"))
    if learned is not None and gain is not None and error is not None:
        statistics |= {"gain": gain, "error": error}
        own = measured(learned.get("own")) or 0.0
        if not findings and gain <= max(SIGMAS.value * error, 1e-6 * abs(own)):
            text = f"With others' inputs the loss is {own + gain:.3g}, with the rows' own {own:.3g}: no better yet."
            limit, n = SIGMAS.value * error, learned.get("n")
            findings.append(Finding(level="note", symptom=text, value=gain, threshold=limit, n=n))
    return Verdict(statistics, tuple(findings))


def _cut(wiring: Mapping[str, Any]) -> list[Finding]:
    varies, answers = measured(wiring.get("input_varies")), measured(wiring.get("output_varies"))
    if varies == 0:
        text = "All rows of a batch have the same input."
        return [Finding(level="warning", symptom=text, value=0.0, threshold=0.0, where="input", n=wiring.get("n"))]
    before, given = measured(wiring.get("before_cut")), measured(wiring.get("given"))
    if varies is None or answers != 0 or before is None or before < SHOWN.value or given is None or given > 0:
        return []
    place = str(wiring.get("cut") or "")
    text = f"Different inputs give the same answer: what arrives at {place} is the same for every row."
    n = wiring.get("n")
    return [Finding(level="stop", symptom=text, value=0.0, threshold=0.0, where=place, n=n, sure="confirmed")]


def memorised(evidence: Evidence) -> Verdict | None:
    """(L_first - L_lowest) / (L_first - L_floor) of a copy that learned a few fixed rows by themselves."""
    probe = evidence.probe("overfit_batch")
    share = None if probe is None else measured(probe.get("share"))
    if probe is None or share is None:
        return None
    statistics = {key: probe.get(key) for key in ("first", "last", "floor", "share", "steps", "lr", "n")}
    if share >= MEMORISED.value or probe.get("out_of_time"):
        return Verdict(statistics)
    losses = tuple(x for x in probe.get("curve") or () if isinstance(x, int | float) and math.isfinite(x))
    stride = int(probe.get("curve_stride") or 1)
    picture = Picture("loss of the rows to memorise", {"loss": losses}, tuple(i * stride for i in range(len(losses))))
    finding = Finding(
        level="warning",
        symptom=(
            f"A copy could not memorise {probe.get('n')} rows in {probe.get('steps')} steps: its loss went from "
            f"{measured(probe.get('first')) or math.nan:.3g} to {measured(probe.get('last')) or math.nan:.3g}, and "
            f"{measured(probe.get('floor')) or 0.0:.3g} is possible."
        ),
        value=share,
        threshold=MEMORISED.value,
        n=probe.get("n"),
        sure="confirmed",
        picture=picture if losses else None,
    )
    return Verdict(statistics, (finding,))


CHECKS = (
    Check(
        code="B12",
        name="mixed-samples",
        question="Does each answer depend on its own sample alone?",
        rule=mixed_samples,
        when="before",
        cause="A reshape after a transpose, or a softmax, mean or norm over the batch, mixes the rows.",
        remedy="Look for view() and reshape() whose first length is not the batch's, and for dim=0.",
        thresholds={"mixed": MIXED},
        explains=("B21", "G01", "G02", "G15"),
        reads=("dependency",),
    ),
    Check(
        code="B13",
        name="broken-causality",
        question="Is each token guessed from those before it alone?",
        rule=broken_causality,
        when="before",
        cause="The mask that hides later tokens is missing or shifted, so that the answer can be read off.",
        remedy="Let place t see the tokens up to t only (a causal mask), with token t + 1 as its target.",
        thresholds={"mixed": MIXED, "next": NEXT},
        explains=("G05",),
        reads=("dependency",),
    ),
    Check(
        code="B14",
        name="ignored-input",
        question="Does the answer depend on the input?",
        rule=ignored_input,
        when="before",
        cause="The input is lost on its way: overwritten, multiplied by zero, or not read from the data at all.",
        remedy="Follow two different rows through forward() until they are equal; print two batches of the loader.",
        thresholds={"shown": SHOWN, "sigmas": SIGMAS},
        explains=("B21", "S07", "O02", "O04", "G01", "G15"),
        reads=("dependency", "input_matters"),
    ),
    Check(
        code="B21",
        name="cannot-memorise",
        question="Can the network memorise a few rows?",
        rule=memorised,
        when="before",
        cause="Something between input and loss is wrong, or the first weights let no gradient through.",
        remedy="Mend what else is found first; then look at the signal layer by layer, and at the loss.",
        thresholds={"memorised": MEMORISED},
        explains=(),
        reads=("overfit_batch",),
    ),
)
