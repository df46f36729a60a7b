"""Learning rate range test: a short training with a rate that rises until it breaks.

    lr_k = lowest (highest / lowest) ^ (k / (K - 1))

The loss is quiet while the rate is too low, falls while it is good, and soars when it is too high. Its exponential mean
is followed; the suggestion is a tenth of the rate at that mean's lowest point, which stands close to the breakdown.

Smith 2017 (arXiv 1506.01186), section 3.3; the stopping rule and the tenth are fastai's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from limpid.errors import ConfigError
from limpid.training.loop import Parts, Plan
from limpid.training.step import autocast

MEMORY = 0.9  # of the mean of the losses, per step: it looks back about ten steps
BROKEN = 4.0  # times the lowest mean: the rate is too high beyond doubt, and the test ends
SAFETY = 10.0  # between the rate at the lowest mean and the suggestion
LEAST_FALL = 0.05  # of the mean, as a share; less may be the luck of the batches
UNDECIDED = 10  # steps from which on the mean is taken seriously


@dataclass(frozen=True)
class RateCurve:
    """What the range test found, step by step.

    `suggestion` is None where the loss never fell; `rule` says in words where it comes from.
    """

    rates: list[float]
    losses: list[float]
    means: list[float]  # exponential means of the losses
    suggestion: float | None
    rule: str

    def rows(self, most: int = 24) -> list[dict[str, Any]]:
        """At most so many evenly spaced steps: {"step", "lr", "loss", "mean"}."""
        stride = -(-len(self.rates) // most)
        return [
            {"step": i + 1, "lr": self.rates[i], "loss": self.losses[i], "mean": self.means[i]}
            for i in range(0, len(self.rates), stride)
        ]


def search_rate(
    parts: Parts, plan: Plan, *, lowest: float = 1e-6, highest: float = 10.0, num_steps: int = 200
) -> RateCurve:
    """Try rising rates with the model, optimiser and batches of a run; weights and optimiser are left as found.

    Args:
        parts: of a run that has not begun.
        plan: its precision, accumulation and clipping.
        lowest: first rate.
        highest: rate of the last step, if the loss has not broken down before.
        num_steps: updates; more of them see less of each batch's luck.

    Raises ConfigError for rates in the wrong order.
    """
    if not 0.0 < lowest < highest:
        raise ConfigError(f"Rates from {lowest:g} to {highest:g}: expected 0 < lowest < highest.")
    model, optimizer = parts.model, parts.optimizer
    context = None if plan.precision == "float32" else autocast(plan.device, plan.precision)
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    rates_found = [group["lr"] for group in optimizer.param_groups]
    highest_found = max(rates_found)  # groups may have rates of their own, which keep their proportions
    batches = _endless(parts)
    rates: list[float] = []
    losses: list[float] = []
    means: list[float] = []
    model.train()
    try:
        for k in range(num_steps):
            rate = lowest * (highest / lowest) ** (k / max(num_steps - 1, 1))
            for group, found in zip(optimizer.param_groups, rates_found, strict=True):
                group["lr"] = rate * found / highest_found
            loss = 0.0
            for number in range(plan.accumulate):
                loss += parts.step(
                    model,
                    parts.objective,
                    optimizer,
                    next(batches),
                    context=context,
                    clip_norm=plan.clip_norm,
                    weight=1 / plan.accumulate,
                    update=number == plan.accumulate - 1,
                    guard=True,
                ).item()
            rates.append(rate)
            losses.append(loss / plan.accumulate)
            means.append(_mean(losses))
            if k >= UNDECIDED and not means[-1] <= BROKEN * min(means):
                break
    except FloatingPointError:
        optimizer.zero_grad()  # the loss is no number any more: this rate is beyond all use
    finally:
        model.load_state_dict(weights)
        optimizer.state.clear()
        for group, found in zip(optimizer.param_groups, rates_found, strict=True):
            group["lr"] = found
    return RateCurve(rates, losses, means, *_suggest(rates, means, reached_end=len(rates) == num_steps))


def _suggest(rates: list[float], means: list[float], *, reached_end: bool) -> tuple[float | None, str]:
    """The suggested rate, and the rule in words."""
    if len(means) <= UNDECIDED:
        return None, f"The loss broke down within {len(means)} steps: begin with a lower rate."
    best = min(range(UNDECIDED, len(means)), key=means.__getitem__)
    if means[UNDECIDED] - means[best] < LEAST_FALL * abs(means[UNDECIDED]):
        return None, "The loss never fell: begin with a lower rate, or look for another fault."
    rate = rates[best]
    text = f"a tenth of {rate:.2g}, where the mean loss is lowest ({means[best]:.3g})"
    if best >= len(means) - 2 and reached_end:
        text += "; the loss was still falling there, so that higher rates are worth a test"
    return rate / SAFETY, text


def _mean(losses: list[float]) -> float:
    """Exponential mean of the losses so far, the latest counting most; the weights add up to one."""
    weights = [MEMORY ** (len(losses) - 1 - i) for i in range(max(len(losses) - 100, 0), len(losses))]
    return math.fsum(w * x for w, x in zip(weights, losses[-100:], strict=True)) / math.fsum(weights)


def _endless(parts: Parts) -> Iterator[Any]:
    """The batches of one epoch after another."""
    for epoch in count():
        yield from parts.train.epoch(epoch)
