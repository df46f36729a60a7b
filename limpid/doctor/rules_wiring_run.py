"""What a record says of the run around the steps: its learning rates, its clipping, its figures. B16 to B18."""

from __future__ import annotations

import math

import numpy as np

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.numbers import measured

SMALL_RATE = Threshold(0.01, "share of the peak rate", "ours", "none")
HALF = Threshold(0.5, "share of the run's steps", "ours", "fine-tuning at the end on purpose")
CLIMBS = Threshold(2, "climbs from below 1 % to above 50 % of the peak", "ours", "cyclic rates that go to zero")
CLIPPED = Threshold(0.5, "share of the updates", "Deep Learning Tuning Playbook: extremely aggressive", "Adam")
METRIC = Threshold(1e-3, "relative difference", "rounding is far less", "none")
HARD = Threshold(10.0, "usual norm over the limit", "ours", "optimisers that divide by the gradient's size do not mind")
ADAPTIVE = ("adam", "nadam", "radam", "adamax", "amsgrad", "rms", "ada", "lion", "muon", "rprop")  # parts of names
FEWEST = 20  # recorded steps to judge by
FEWEST_READINGS = 5  # of gradients


def schedule(evidence: Evidence) -> Verdict | None:
    """Share of a finished run that was spent below 1 % of the peak rate, and climbs of the rate without a jump."""
    curve, ended = evidence.curve, evidence.ended
    rates = [(step, lr) for step, lr in zip(curve.steps, curve.lrs, strict=True) if math.isfinite(lr)]
    if len(rates) < FEWEST or ended is None or ended.get("status") != "finished":
        return None
    peak = max(lr for _, lr in rates)
    if not peak > 0:
        return None
    last, since = rates[-1][0], rates[-1][0]
    for step, lr in reversed(rates):
        if lr >= SMALL_RATE.value * peak:
            break
        since = step
    share, climbs = (last - since) / max(last, 1), _climbs([lr / peak for _, lr in rates])
    statistics = {"peak": peak, "share_small": share, "climbs": climbs}
    picture = Picture("learning rate", {"rate": tuple(lr for _, lr in rates)}, tuple(s for s, _ in rates))
    if share > HALF.value:
        value, limit = share, HALF.value
        text = f"For the last {share:.0%} of the run the rate was below 1 % of its peak."
    elif climbs >= CLIMBS.value and evidence.option("optim.schedule", "") in ("", "cosine", "linear"):
        value, limit = float(climbs), CLIMBS.value
        text = f"The rate climbed from its lowest value {climbs} times."
    else:
        return Verdict(statistics)
    finding = Finding(
        level="warning", symptom=text, value=value, threshold=limit, step=since, n=len(rates), picture=picture
    )
    return Verdict(statistics, (finding,))


def _climbs(shares: list[float]) -> int:
    """How often the rate came from its floor to above half of its peak slowly; a warm-up at the start is none."""
    climbs, low, fallen = 0, None, False
    for i, share in enumerate(shares):
        if share < SMALL_RATE.value:
            low = i
        elif share > 0.5:
            climbs += low is not None and fallen and i - low >= 3
            low, fallen = None, True
    return climbs


def clipping(evidence: Evidence) -> Verdict | None:
    """Share of the readings whose gradient was longer than the limit, before it was cut."""
    limit = measured(evidence.option("optim.clip_norm"))
    if limit is None:
        return None
    totals = []
    for reading in evidence.readings("grad_norm"):
        norms = [measured(v) for v in reading.values.values()]
        if norms and all(v is not None and math.isfinite(v) for v in norms):
            totals.append(math.sqrt(sum(v * v for v in norms if v is not None)))
    if len(totals) < FEWEST_READINGS:
        return None
    share = sum(total > limit for total in totals) / len(totals)
    hardness = float(np.median(totals)) / limit if limit > 0 else math.inf
    statistics = {"clipped": share, "hardness": hardness, "limit": limit, "readings": len(totals)}
    if share <= CLIPPED.value:
        return Verdict(statistics)
    minds = not any(word in str(evidence.option("optim.name", "")) for word in ADAPTIVE)
    usual = float(np.median(totals))
    finding = Finding(
        level="warning" if minds and hardness > HARD.value else "note",
        symptom=f"{share:.0%} of the updates were clipped, to a norm of {limit:.3g}; the usual one is {usual:.3g}.",
        value=share,
        threshold=CLIPPED.value,
        n=len(totals),
    )
    return Verdict(statistics, (finding,))


def reported_figures(evidence: Evidence) -> Verdict | None:
    """The result's accuracy, or root of the mean squared error, against that of the stored predictions."""
    result, arrays = evidence.result, evidence.predictions
    name = {"classification": "accuracy", "binary": "accuracy", "regression": "rmse"}.get(evidence.task, "")
    stated = None if result is None else measured(result.get(name))
    if stated is None or not arrays or not {"target", "prediction"} <= set(arrays):
        return None
    truth, answer = np.asarray(arrays["target"]), np.asarray(arrays["prediction"])
    if truth.size != answer.size or not truth.size:
        return None
    truth, answer = truth.reshape(-1), answer.reshape(-1)
    columns = 1 if arrays["target"].ndim < 2 else arrays["target"].shape[1]
    if name == "rmse" and columns > 1:
        return None
    counted = float((truth == answer).mean()) if name == "accuracy" else float(np.sqrt(np.mean((truth - answer) ** 2)))
    statistics = {"stated": stated, "counted": counted, "figure": name}
    if abs(stated - counted) <= METRIC.value * max(abs(counted), 1e-6):
        return Verdict(statistics)
    finding = Finding(
        level="warning",
        symptom=f"The result states {name} {stated:.4g}; the stored predictions have {counted:.4g}.",
        value=abs(stated - counted),
        threshold=METRIC.value,
        n=truth.size,
    )
    return Verdict(statistics, (finding,))


CHECKS = (
    Check(
        code="B16",
        name="schedule-horizon",
        question="Does the learning rate fall over the whole run, and no sooner?",
        rule=schedule,
        when="after",
        cause="The schedule is stepped per batch where it counts epochs, or planned for another number of steps.",
        remedy="Plan the schedule for the steps of the whole run, and step it as often as it was planned for.",
        thresholds={"small": SMALL_RATE, "half": HALF, "climbs": CLIMBS},
        explains=("O02", "O05", "G01", "G06"),
    ),
    Check(
        code="B17",
        name="always-clipped",
        question="Are gradients clipped only now and then?",
        rule=clipping,
        when="during",
        cause="The limit lies below the usual norm of the gradients, so that it sets the size of the steps.",
        remedy="Lower the learning rate instead, or clip near the 90th percentile of the norms.",
        thresholds={"clipped": CLIPPED, "hard": HARD},
        treatments=("lower-rate",),
        explains=("O02", "O04", "G01", "G06", "G15"),
        reads=("grad_norm",),
    ),
    Check(
        code="B18",
        name="wrong-figure",
        question="Do the stored predictions have the figures that are reported?",
        rule=reported_figures,
        when="after",
        cause="The figure was averaged over batches of unequal size, or measured on other rows.",
        remedy="Compute it once from all predictions together.",
        thresholds={"metric": METRIC},
    ),
)
