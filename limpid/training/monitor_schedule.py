"""When a run is measured, so that measuring has a price that is known beforehand.

The price is counted in training steps, never in seconds, so that the same run is measured at the same steps on every
machine. All measurements together cost at most 2 % of the run's steps; a run whose measurements take next to no
arithmetic gets a few all the same, because without them nothing could be said about it.
"""

from __future__ import annotations

from dataclasses import dataclass

SHARE = 0.02  # of the run's steps, for all measurements together; 3 % of the time is what was promised, 1 % is reserve
EPOCHS_SHARE = 0.3  # of that, for the losses of fixed training rows at the ends of epochs
NORMS_SHARE = 0.2  # for the norms of weights, gradients and updates; the rest goes to passes of the probe rows
MOST_READINGS = 48  # passes of a run: what a picture shows, and what a record should hold
MOST_EPOCHS = 12
NORMS_EACH = 3  # further readings of norms for each pass, at most
# Readings that a run gets whatever they cost in steps, as long as their arithmetic stays below the limit: a fifth of a
# second or so on a slow processor. Five windows in a row and a beginning to hold them against make ten.
FREE_READINGS = 10
FREE_EPOCHS = 12
FREE_PASS_MACS, FREE_EPOCH_MACS = 8e8, 4e9  # an evaluation hears nothing, and is so much faster
# Rows of a pass: as many as take 64 million multiply-adds, within limits. A unit is dead when none of them wakes it.
PASS_MACS, LEAST_ROWS, MOST_ROWS = 2**26, 64, 256
FORWARD = 1 / 3  # of a step on the same rows: backward is two more
PASS_OVERHEAD, NORMS_OVERHEAD = 1.5, 0.3  # steps of a network of half a million weights, measured (docs/LOG.md)


@dataclass(frozen=True)
class MonitorSchedule:
    """The steps (updates made before) at which there is something to measure; epochs are counted from 1."""

    passes: frozenset[int]  # activations and the loss in both modes
    norms: frozenset[int]  # gradients, weights and updates
    epochs: frozenset[int]  # fixed training rows
    price: float  # of everything, in steps


def rows_of_a_pass(macs: int) -> int:
    """How many fixed training rows a pass takes, by the multiply-adds of one of them.

    >>> rows_of_a_pass(8832), rows_of_a_pass(535040), rows_of_a_pass(40551040)
    (256, 125, 64)
    """
    return min(MOST_ROWS, max(LEAST_ROWS, PASS_MACS // max(1, macs)))


def plan_monitors(
    *,
    num_steps: int,
    num_epochs: int,
    batch_size: int,
    probe_rows: int,
    fixed_rows: int,
    macs: int,
) -> MonitorSchedule:
    """Spread what 2 % of the steps pay for over the run: densest at the start, where most happens, up to the last step.

    Args:
        num_steps, num_epochs: of the run.
        batch_size: rows of an update.
        probe_rows: of a pass; it goes twice through the network.
        fixed_rows: looked at after an epoch; 0: there is nothing to hold them against.
        macs: multiply-adds of one row in one forward pass.
    """
    budget = SHARE * num_steps
    pass_price = 2 * FORWARD * probe_rows / batch_size + PASS_OVERHEAD
    epoch_price = FORWARD * fixed_rows / batch_size
    num_epochs_paid = int(EPOCHS_SHARE * budget / epoch_price) if fixed_rows else 0
    free_epochs = min(FREE_EPOCHS, int(FREE_EPOCH_MACS / max(1, fixed_rows * macs)))
    chosen_epochs = _spread(min(MOST_EPOCHS, max(num_epochs_paid, free_epochs)) if fixed_rows else 0, num_epochs, 1.0)
    num_paid = int((1 - EPOCHS_SHARE - NORMS_SHARE) * budget / pass_price)
    num_free = min(FREE_READINGS, int(FREE_PASS_MACS / max(1, 2 * probe_rows * macs)))
    passes = _spread(min(MOST_READINGS, max(num_paid, num_free)), num_steps, 2.0)
    num_norms = min(NORMS_EACH * len(passes), int(NORMS_SHARE * budget / NORMS_OVERHEAD))
    norms = passes | _spread(num_norms, num_steps, 2.0)
    return MonitorSchedule(
        passes,
        norms,
        frozenset(epoch + 1 for epoch in chosen_epochs),
        pass_price * len(passes) + NORMS_OVERHEAD * len(norms) + epoch_price * len(chosen_epochs),
    )


def _spread(count: int, length: int, power: float) -> frozenset[int]:
    """`count` places of 0 to length - 1, the first and the last among them, denser at the start for powers above 1.

    >>> sorted(_spread(5, 101, 2.0))
    [0, 6, 25, 56, 100]
    """
    if count < 2:
        return frozenset(range(min(count, length)))
    return frozenset(round((length - 1) * (i / (count - 1)) ** power) for i in range(count))
