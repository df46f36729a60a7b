"""Where did the time go? T02, T04, T07; all of them notes, as nothing is wrong with the network."""

from __future__ import annotations

from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.numbers import finite

BUSY = Threshold(0.05, "of the machine's measured arithmetic", "ours, by docs/LOG.md; SageMaker: 70 % utilisation", "-")
ASIDE = Threshold(0.5, "of the whole time", "ours", "data are prepared once, which short runs feel")
LONG_SECONDS = 20.0  # shorter runs are nobody's worry


def machine_idle(evidence: Evidence) -> Verdict | None:
    """Share of the arithmetic that the machine could do in the training time."""
    row = _throughput(evidence)
    share, seconds = finite(row.get("share_of_floor")), finite(row.get("seconds_training"))
    if share is None or seconds is None:
        return None
    batch = evidence.option("training.batch_size")
    statistics = {"share": share, "seconds": seconds, "batch_size": batch}
    if share >= BUSY.value or seconds < LONG_SECONDS:
        return Verdict(statistics)
    finding = Finding(
        level="note",
        symptom=f"Its arithmetic takes {100 * share:.1f} % of the training time: batches of {batch} rows are small for "
        "this network, and most of the time goes into calling layers.",
        value=share,
        threshold=BUSY.value,
    )
    return Verdict(statistics, (finding,))


def plain_precision(evidence: Evidence) -> Verdict | None:
    """The device and the precision of the arithmetic."""
    machine = evidence.header.get("machine") or {}
    device, precision = str(machine.get("device", "")), machine.get("precision")
    if not device or precision is None:
        return None
    statistics = {"device": device, "precision": precision}
    seconds = finite(_throughput(evidence).get("seconds_training")) or 0.0
    if not device.startswith("cuda") or precision != "float32" or seconds < LONG_SECONDS:
        return Verdict(statistics)
    finding = Finding(
        level="note",
        symptom=f"A GPU worked in float32 for {seconds:.0f} s; in bfloat16 it does several times as much.",
        value=32,
        threshold=16,
    )
    return Verdict(statistics, (finding,))


def beside_training(evidence: Evidence) -> Verdict | None:
    """Share of the run that was no training step: preparation, evaluation, saving, measuring."""
    row = _throughput(evidence)
    training, total = finite(row.get("seconds_training")), finite(row.get("seconds_total"))
    if training is None or total is None or total <= 0:
        return None
    aside = 1 - training / total
    statistics = {"aside": aside, "seconds": total}
    if aside <= ASIDE.value or total < LONG_SECONDS:
        return Verdict(statistics)
    finding = Finding(
        level="note",
        symptom=f"{100 * aside:.0f} % of {total:.0f} s went into evaluation, saving and preparation.",
        value=aside,
        threshold=ASIDE.value,
    )
    return Verdict(statistics, (finding,))


def _throughput(evidence: Evidence) -> dict[str, Any]:
    rows = [row for row in evidence.rows if row.get("kind") == "throughput"]
    return dict(rows[-1]) if rows else {}


CHECKS = (
    Check(
        code="T02",
        name="tiny-batches",
        question="Does the machine compute most of the time?",
        rule=machine_idle,
        when="after",
        cause="Each step is so small that calling its layers takes longer than their arithmetic.",
        remedy="A larger --batch-size with a rate that grows with it; several networks at once.",
        thresholds={"busy": BUSY},
        treatments=("larger-batch",),
    ),
    Check(
        code="T04",
        name="full-precision",
        question="Does a GPU work in the arithmetic that it is fast in?",
        rule=plain_precision,
        when="after",
        cause="training.precision=float32.",
        remedy="--precision bf16, or leave it to be measured.",
    ),
    Check(
        code="T07",
        name="time-beside-training",
        question="Does most of the time go into training?",
        rule=beside_training,
        when="after",
        cause="Evaluation after every epoch of few rows, frequent checkpoints, or slow reading of the data.",
        remedy="--set training.evaluate_every=5, or fewer checkpoints.",
        thresholds={"aside": ASIDE},
    ),
)
