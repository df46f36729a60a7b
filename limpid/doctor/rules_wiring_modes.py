"""Training and evaluation mode: forgotten eval() or train(), and batch statistics that do not fit. B07, B08."""

from __future__ import annotations

import math
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence, Row
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.numbers import measured

REPEAT = Threshold(1e-4, "change / spread of the outputs", "ours; rounding is 1e-6", "atomic sums on a GPU")
PASSES = Threshold(3, "passes", "ours", "a single pass may be somebody's experiment")
GAP = Threshold(0.5, "loss in evaluation mode / in training mode - 1", "TheDeepChecker 0.5", "losses near zero")
SHARE = Threshold(0.1, "gap / first loss", "ours: below, the gap is small beside what was learned", "long runs")
RECENT, NEEDED = 3, 3  # last readings of the losses in both modes, and how many of them must show the gap


def forgotten_mode(evidence: Evidence) -> Verdict | None:
    """Two evaluation passes that differ; passes without gradient in training mode; steps in evaluation mode.

    Only of networks that hold layers for which the mode matters.
    """
    probe, passes = evidence.probe("modes"), _last(evidence, "passes")
    if probe is None and passes is None:
        return None
    statistics: dict[str, Any] = {"repeat": None if probe is None else probe.get("repeat"), **(passes or {})}
    findings = [*_restless(probe or {}), *_passes(passes or {})]
    return Verdict(statistics, tuple(findings))


def _restless(probe: Row) -> list[Finding]:
    repeat = measured(probe.get("repeat"))
    if repeat is None or repeat <= REPEAT.value:
        return []
    text = f"In evaluation mode the same rows get other answers each time: {repeat:.2g} of the spread apart."
    return [
        Finding(
            level="warning",
            symptom=text,
            value=repeat,
            threshold=REPEAT.value,
            n=probe.get("n"),
            sure="confirmed",
            cause="A dropout or noise does not hear of eval(): F.dropout without training=self.training, say.",
            remedy="Hand it the module's mode, or use the layer in its place.",
        )
    ]


def _passes(passes: Row) -> list[Finding]:
    layers = passes.get("layers") or {}
    if not layers:
        return []
    loud, quiet = _count(passes, "train_no_grad"), _count(passes, "eval_no_grad")
    still, since_train = _count(passes, "eval_grad"), _count(passes, "train_grad")
    kinds = " and ".join(sorted(set(map(str, layers.values() if isinstance(layers, dict) else layers))))
    found = []
    if loud >= PASSES.value and not quiet:
        found.append(
            Finding(
                level="warning",
                symptom=f"{loud} passes without gradient ran in training mode ({kinds}), none in evaluation mode.",
                value=loud,
                threshold=PASSES.value,
                where="validation",
                n=loud,
            )
        )
    if _count(passes, "latest_eval_grad") >= PASSES.value and (since_train or passes.get("untouched_norms")):
        found.append(
            Finding(
                level="warning",
                symptom=f"The last {_count(passes, 'latest_eval_grad')} training passes ran in evaluation mode.",
                value=still,
                threshold=PASSES.value,
                where="training",
                n=still + since_train,
                cause="eval() was called for validation, and train() was not called after it.",
                remedy="Call model.train() at the head of every training epoch.",
            )
        )
    return found


def wrong_statistics(evidence: Evidence) -> Verdict | None:
    """Loss of the same training rows by stored statistics of batch normalisation against that by the batch's own."""
    probe, readings = evidence.probe("modes"), evidence.readings("modes")
    layers = (probe or {}).get("layers") or {}
    if not readings or "norm" not in (layers.values() if isinstance(layers, dict) else ()):
        return None
    pairs = [(r.step, measured(r.values.get("train")), measured(r.values.get("eval"))) for r in readings]
    known = [(step, train, held) for step, train, held in pairs if train is not None and held is not None]
    if len(known) < RECENT:
        return None
    first = max(known[0][1], 1e-12)
    gaps = [(held / max(train, 1e-12) - 1, (held - train) / first) for _, train, held in known[-RECENT:]]
    statistics = {"gap": gaps[-1][0], "share": gaps[-1][1], "readings": len(known)}
    if sum(gap > GAP.value and share > SHARE.value for gap, share in gaps) < NEEDED:
        return Verdict(statistics)
    step, train, held = known[-1]
    picture = Picture(
        "loss of the same rows in the two modes",
        {"training": tuple(t for _, t, _ in known), "evaluation": tuple(h for _, _, h in known)},
        tuple(s for s, _, _ in known),
    )
    finding = Finding(
        level="warning",
        symptom=f"The same training rows cost {held:.3g} by the stored statistics and {train:.3g} by the batch's own.",
        value=gaps[-1][0],
        threshold=GAP.value,
        step=known[-RECENT][0],
        picture=picture,
    )
    return Verdict(statistics, (finding,))


def _last(evidence: Evidence, name: str) -> Row | None:
    readings = evidence.readings(name)
    return readings[-1].values if readings else None


def _count(row: Row, key: str) -> int:
    value = row.get(key)
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


CHECKS = (
    Check(
        code="B07",
        name="forgotten-mode",
        question="Is the network in training mode for training, and in evaluation mode for evaluation?",
        rule=forgotten_mode,
        when="before",
        cause="model.eval() is not called before validation, so that dropout and batch statistics act there.",
        remedy="Call model.eval() before validation, and model.train() after it.",
        thresholds={"repeat": REPEAT, "passes": PASSES},
        explains=("B08", "G02", "G04"),
        reads=("modes", "passes"),
    ),
    Check(
        code="B08",
        name="norm-statistics",
        question="Do the stored statistics of batch normalisation fit the data?",
        rule=wrong_statistics,
        when="during",
        cause="Too few steps for their momentum, tiny batches, or averaged weights whose statistics nobody computed.",
        remedy="Compute the statistics anew from the training data, raise the momentum, or use another normalisation.",
        thresholds={"gap": GAP, "share": SHARE},
        treatments=("recompute-norms", "larger-batch", "normalise-layers"),
        explains=("G02", "G03"),
        reads=("modes",),
    ),
)
