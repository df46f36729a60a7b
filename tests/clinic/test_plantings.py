"""What is planted is a fault: the run is sick by a measure that the check in question does not share."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from clinic import faulty_modules as faulty
from clinic.own_loops import digit_rows


def first_loss(net: torch.nn.Module, seed: int) -> float:
    x, y = digit_rows(seed)
    with torch.no_grad():
        return F.cross_entropy(net(x[:128]), y[:128]).item()


def test_a_head_that_is_too_large_starts_above_any_usual_start() -> None:
    """Sixty times, from every seed; of twenty times, half start as He's weights do: that is no fault."""
    usual, twenty, sixty = [], [], []
    for seed in range(100, 150):
        torch.manual_seed(seed)
        usual.append(first_loss(faulty.he_start(), seed))
        twenty.append(first_loss(faulty.wide_head(20), seed))
        sixty.append(first_loss(faulty.wide_head(60), seed))
    assert min(sixty) > max(usual)
    assert sum(loss < max(usual) for loss in twenty) > 15
