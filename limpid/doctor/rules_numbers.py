"""Are all numbers finite, and does their precision suffice? N01, N02, N03."""

from __future__ import annotations

import math
import re
import statistics

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.layer_readings import facts_of, places_over_time, short
from limpid.doctor.numbers import number

LOST = Threshold(0.5, "share of the weights with a gradient", "USERS.md N02", "ends of schedules lose more")
ROUNDED = Threshold(2.0**-24, "change of a step over the weight", "half a unit in the last place of float32", "means")
SMALL = Threshold(0.5, "share of the weights with a gradient", "USERS.md N03", "converged networks have small ones too")
LAST = 3  # readings in a row
TAME = 1e4  # activations below it are of ordinary size: their squares are far from the largest float32
SHOWN = 40  # losses of the picture

# What the loop writes about a loss that is no number: where it began -> cause, remedy, treatments.
INPUT = ("A row of the data holds NaN or infinity.", "Repair or drop these rows.", ("drop-rows",))
LOSS = ("The loss itself is not finite: log(0), a root of 0 or a division by 0.", "Put an eps into it.", ())
FORMULA = (
    "From the first step on, with weights and activations of ordinary size: log(0), a root of 0 or a division by 0.",
    "Look at what that layer computes, and put an eps where a logarithm, root or division may meet 0.",
    (),
)
STEPS = (
    "The steps are so large that weights and activations outgrow the numbers.",
    "Lower the rate, warm it up, or limit the gradient's norm (optim.clip_norm=1).",
    ("lower-rate", "clip", "warm-up"),
)


def nonfinite(evidence: Evidence) -> Verdict | None:
    """Whether a loss, gradient or activation became NaN or infinite."""
    ended = evidence.ended or {}
    reason = str(ended.get("reason", ""))
    curve = evidence.curve
    broken = [step for step, loss in zip(curve.steps, curve.losses, strict=True) if not math.isfinite(loss)]
    failed = ended.get("status") == "failed" and ("NaN or infinite" in reason or "infinite" in reason)
    gradients = {
        short(name): reading.step
        for reading in reversed(evidence.readings("grad_norm"))
        for name, norm in reading.values.items()
        if norm is not None and not math.isfinite(number(norm))
    }
    if not len(curve) and not gradients and not failed and not evidence.readings("grad_norm"):
        return None
    figures = {"losses": len(broken), "gradients": len(gradients), "failed": failed}
    if not (broken or gradients or failed):
        return Verdict(figures)
    found = re.search(r"after step (\d+)", reason)
    since = int(found[1]) if found else min([*broken, *gradients.values()], default=0)
    layer = re.search(r"non-finite|output is (\S+), in|weights of (\S+) ", reason)
    where = next((short(name) for name in layer.groups() if name), "") if layer else next(iter(gradients), "")
    cause, remedy, treatments = _origin(evidence, reason, since)
    detail = reason.split(". ", 1)[1].split(" The last good")[0] if failed and ". " in reason else ""
    what = "loss" if broken or failed else "gradient"
    finding = Finding(
        level="stop",
        symptom=f"The {what} became NaN or infinite after step {since:,}. {detail}".strip(),
        value=float(len(broken) + len(gradients) + failed),
        threshold=0.0,
        where=where,
        step=since,
        cause=cause,
        remedy=remedy,
        treatments=treatments,
        picture=Picture("training loss", {"loss": curve.losses[-SHOWN:]}, curve.steps[-SHOWN:]) if len(curve) else None,
    )
    return Verdict(figures, (finding,))


def _origin(evidence: Evidence, reason: str, since: int) -> tuple[str, str, tuple[str, ...]]:
    """Whose fault it is: a row's, the formula's or the steps'."""
    if "input holds" in reason or "target holds" in reason:
        return INPUT
    first = [place for _, places in places_over_time(evidence)[:1] for place in places.values()]
    tame = not any(number(place.get("largest")) > TAME for place in first)
    if since <= 1 and tame and not re.search("overflow|outputs reach", reason.replace("activations overflow", "")):
        return LOSS if "loss itself" in reason else FORMULA
    return STEPS


def lost_updates(evidence: Evidence) -> Verdict | None:
    """Share of 16-bit weights that a gradient left as they were; for others, whether steps drown in rounding."""
    shares = [
        statistics.fmean(values)
        for reading in evidence.readings("lost_update")
        if (values := [number(v) for v in reading.values.values() if not math.isnan(number(v))])
    ]
    weights = {reading.step: reading.values for reading in evidence.readings("weight_norm")}
    ratios = []
    for reading in evidence.readings("update_norm"):
        norms = weights.get(reading.step) or {}
        moved = [number(u) / number(norms.get(n)) for n, u in reading.values.items() if number(norms.get(n)) > 0]
        moved = [ratio for ratio in moved if not math.isnan(ratio) and ratio > 0]
        if moved:
            ratios.append(statistics.median(moved))
    if not shares and not ratios:
        return None
    figures = {"lost": shares[-1] if shares else 0.0, "ratio": ratios[-1] if ratios else math.nan}
    if len(shares) >= LAST and min(shares[-LAST:]) > LOST.value:
        text = f"{shares[-1]:.0%} of the 16-bit weights stay as they are although they have a gradient: "
        text += "their change is below the last digit."
        value, limit = shares[-1], LOST.value
    elif len(ratios) >= LAST and max(ratios[-LAST:]) < ROUNDED.value:
        text = f"A step changes the weights by {ratios[-1]:.1e} of their size: most of it is lost in rounding."
        value, limit = ratios[-1], ROUNDED.value
    else:
        return Verdict(figures)
    return Verdict(figures, (Finding(level="warning", symptom=text, value=value, threshold=limit, n=LAST),))


def small_moments(evidence: Evidence) -> Verdict | None:
    """Share of weights whose root of Adam's second moment is below ten times its eps."""
    readings = evidence.readings("small_moment")
    facts = facts_of(evidence)
    shares, steps = [], []
    for reading in readings:
        sizes = {name: facts.get(name, {}).get("numel") or 1 for name in reading.values}
        known = [(number(v), sizes[n]) for n, v in reading.values.items() if not math.isnan(number(v))]
        if known:
            shares.append(sum(share * numel for share, numel in known) / sum(numel for _, numel in known))
            steps.append(reading.step)
    if not shares:
        return None
    figures = {"small": shares[-1], "readings": len(shares)}
    if not (len(shares) >= LAST and min(shares[-LAST:]) > SMALL.value):
        return Verdict(figures)
    finding = Finding(
        level="note",
        symptom=f"For {shares[-1]:.0%} of the weights Adam's eps is no longer small beside the gradient: their steps "
        "shrink with it.",
        value=shares[-1],
        threshold=SMALL.value,
        n=len(shares),
        picture=Picture(
            "share of weights with sqrt(s) < 10 eps", {"share": tuple(shares)}, tuple(steps), limit=SMALL.value
        ),
    )
    return Verdict(figures, (finding,))


CHECKS = (
    Check(
        code="N01",
        name="not-finite",
        question="Are losses, gradients and activations finite?",
        rule=nonfinite,
        when="during",
        cause="A number outgrew its format, or a formula has no value there.",
        remedy="See where it began.",
        treatments=("lower-rate", "clip", "warm-up"),
        reads=("grad_norm", "activation"),
    ),
    Check(
        code="N02",
        name="lost-updates",
        question="Are the steps large enough for the precision of the weights?",
        rule=lost_updates,
        when="during",
        cause="The change of a step is smaller than the last digit of the weights.",
        remedy="Keep the weights in float32 (training.precision decides the arithmetic, not them), or raise the rate.",
        thresholds={"lost": LOST, "rounded": ROUNDED},
        treatments=("raise-rate",),
        explains=("B09", "O02", "O04"),
        reads=("lost_update", "update_norm", "weight_norm"),
    ),
    Check(
        code="N03",
        name="adam-eps",
        question="Is Adam's eps small beside its second moments?",
        rule=small_moments,
        when="during",
        cause="eps was raised, or the gradients are tiny: the optimiser is no longer adaptive there.",
        remedy="Leave eps at 1e-8, or look why the gradients are so small.",
        thresholds={"small": SMALL},
        reads=("small_moment",),
    ),
)
