"""How many labels are probably wrong, by quick models that have not seen them: 3,000 training rows, a few seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from limpid.probes.confident_joint import NoiseEstimate, estimate_noise, suspect_labels
from limpid.probes.flat_rows import choose_rows, flat_rows
from limpid.probes.held_out import row_probabilities
from limpid.probes.label_signal import standardised
from limpid.probes.subject import Subject

MOST_ROWS, LEAST_ROWS = 3000, 100
LEAST_PER_CLASS = 5  # rows of a class, on average
SHOWN = 300  # names of suspects, so that a treatment can leave them out


def measure(subject: Subject) -> dict[str, Any] | None:
    """What `NoiseEstimate` holds, and {minority, rows, classes, flagged, pairs, examples}.

    `minority` is the share of rows outside the commonest class, `pairs` are the commonest confusions as (given label,
    probable label, share of all rows). None unless each row has one class.
    """
    dataset, spec = subject.dataset, subject.spec
    if dataset is None or spec is None or spec.task not in ("classification", "binary"):
        return None
    position_N = choose_rows(dataset.train, MOST_ROWS)
    label_N = dataset.train.target[position_N].cpu().flatten().long()
    num_classes = max(2, spec.num_outputs)
    if dataset.train.target[position_N[:1]].numel() != 1 or len(label_N) < max(
        LEAST_ROWS, LEAST_PER_CLASS * num_classes
    ):
        return None
    rows_NF = flat_rows(dataset.train, spec, position_N)
    if rows_NF is None:
        return None
    p_NK = row_probabilities(standardised(rows_NF), label_N, num_classes, table=False).numpy()
    label = label_N.numpy()
    estimate = estimate_noise(p_NK, label)
    flagged, _ = suspect_labels(p_NK, label, estimate)
    off_KK = estimate.joint - np.diag(np.diag(estimate.joint))
    order = np.argsort(-off_KK, axis=None)[:3]
    names = spec.classes or tuple(str(k) for k in range(num_classes))
    pairs = [
        (names[i], names[j], float(off_KK[i, j]))
        for i, j in zip(*np.unravel_index(order, off_KK.shape), strict=True)
        if off_KK[i, j] > 0
    ]
    return noise_values(estimate, label) | {
        "flagged": len(flagged),
        "pairs": pairs,
        "examples": [dataset.train.name_of(int(position_N[i])) for i in flagged[:SHOWN]],
    }


def noise_values(estimate: NoiseEstimate, label_N: NDArray[np.int64]) -> dict[str, Any]:
    """An estimate as the record holds it, with the share of rows outside the commonest class."""
    return {
        "share": estimate.share,
        "low": estimate.low,
        "high": estimate.high,
        "level": estimate.level,
        "odds": estimate.odds,
        "joint_share": estimate.joint_share,
        "bands": list(estimate.bands),
        "sided": estimate.sided,
        "disagree": estimate.disagree,
        "minority": 1.0 - float(np.bincount(label_N).max()) / len(label_N),
        "rows": len(label_N),
        "classes": len(estimate.joint),
    }
