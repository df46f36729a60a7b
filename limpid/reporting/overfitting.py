"""What to do about a network that memorises, read from the course of its losses."""

from __future__ import annotations

from typing import Any

from limpid.reporting.reading import Reading
from limpid.reporting.text import number

# The validation loss has risen by so much since its best epoch, as a share of it; less is the wobble of small splits.
RISEN = 0.2
# The training loss is below this share of the validation loss: the gap is large. Both limits are guesses by experience:
# the first alone would catch rates that are too high, the second alone every network that fits its training rows well.
GAP = 0.5


def overfitting_advice(reading: Reading) -> list[str]:
    """Lines for people: that the network memorises, and the remedies in the order in which to try them; or nothing.

    The remedies are those that lectures name: more varied data where possible, an L2 penalty, dropout; and stopping.
    """
    losses = {row["epoch"]: row["loss"] for row in reading.train if _is_number(row.get("loss"))}
    pairs = [(row["epoch"], row["loss"]) for row in reading.valid if _is_number(row.get("loss"))]
    if not pairs or pairs[-1][0] not in losses:
        return []
    best_epoch, best = min(pairs, key=lambda pair: pair[1])
    last_epoch, last = pairs[-1]
    if last < (1 + RISEN) * best or losses[last_epoch] > GAP * last:
        return []
    lines = [
        f"The network memorises: after epoch {best_epoch} the validation loss rose from {number(best)} to "
        f"{number(last)}, with a training loss of {number(losses[last_epoch])}. Remedies, in the order to try them:"
    ]
    lines += [f"  {name:<13}{how}" for name, how in _remedies(reading)]
    return lines


def _remedies(reading: Reading) -> list[tuple[str, str]]:
    config = reading.header.get("config") or {}

    def now(section: str, key: str) -> str:
        value = (config.get(section) or {}).get(key)
        return f" (now {number(value)})" if value else ""

    if reading.data.get("kind") == "image":
        more = "--set augment.crop=2, --set augment.rotation=10 and others that keep the label"
    else:
        more = "more rows, where they can be had"
    return [
        ("varied data", more),
        ("L2 penalty", f"a larger --weight-decay{now('optim', 'weight_decay')}, or --set regularize.l2=1e-3"),
        ("dropout", f"--dropout 0.5{now('model', 'dropout')}"),
        ("early stop", f"--patience 5{now('training', 'patience')}; the best epoch's weights are kept in any case"),
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
