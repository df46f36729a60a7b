"""Is the gradient that backward() gives the slope of the function that forward() computes? In double precision.

For each trainable tensor W, a random direction D of length 1 and outputs f weighted by fixed random c,

    numeric  (S(W + h D) - S(W - h D)) / 2h,  S = sum c f        analytic  <dS/dW, D>

and the relative error |n - a| / max(|n|, |a|): below 1e-7 is right, up to 1e-4 is right where kinks lie near, above
1e-2 is wrong (CS231n). The network is asked in evaluation mode, without its loss.

Shapes: B rows.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from limpid.models.network import Network
from limpid.probes.learner import learns_by_gradient
from limpid.probes.subject import Subject
from limpid.training.randomness import seed_torch

ROWS = 4
MOST_TENSORS = 40  # the last ones are looked at where there are more
STEPS = (1e-6, 1e-8)  # h: rounding of 1e-16 / h against curvature times h; a kink that lies near is near for one only
TINY = 1e-6  # of sum |c f|: slopes below are lost in the rounding of S, 1e-16 / h


def measure(subject: Subject) -> dict[str, Any] | None:
    """{errors: relative error of each tensor, in the order of the network; n}; None where it knows no doubles."""
    if not learns_by_gradient(subject):
        return None
    network, inputs = _in_double(subject)
    network.eval()
    for p in network.parameters():
        p.grad = None
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad][-MOST_TENSORS:]
    generator = torch.Generator().manual_seed(0)
    with torch.enable_grad():
        try:
            seed_torch(0)  # as before each of the passes below
            outputs = network(*inputs)
        except RuntimeError:  # a layer that computes in single precision whatever it is given
            return None
        if not isinstance(outputs, Tensor) or outputs.dtype != torch.float64 or not outputs.requires_grad:
            return None
        weights = torch.randn(outputs.shape, generator=generator, dtype=torch.float64).to(outputs)
        gradients = torch.autograd.grad((weights * outputs).sum(), [p for _, p in named], allow_unused=True)
    errors: dict[str, float] = {}
    noise = TINY * float((weights * outputs.detach()).abs().sum())
    for (name, p), gradient in zip(named, gradients, strict=True):
        direction = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p)
        direction /= direction.norm().clamp(min=1e-300)
        analytic = 0.0 if gradient is None else float((gradient * direction).sum())
        slopes = [_slope(network, inputs, weights, p, direction, step) for step in STEPS]
        if max(map(abs, (*slopes, analytic))) > noise:
            errors[name] = min(abs(n - analytic) / max(abs(n), abs(analytic)) for n in slopes)
    prefix = "body." if isinstance(subject.network, Network) else ""
    return {"errors": {prefix + name: error for name, error in errors.items()}, "n": len(inputs[0])}


def _in_double(subject: Subject) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A copy of the network in double precision, behind the input scaling, which answers in single."""
    inputs = tuple(x[:ROWS] for x in subject.inputs)
    network: nn.Module = subject.network
    if isinstance(network, Network):
        with torch.no_grad():
            inputs = (network.scale(inputs[0]), *inputs[1:])
        network = network.body
    doubled = tuple(x.double() if x.is_floating_point() else x for x in inputs)
    return copy.deepcopy(network).double(), doubled


@torch.no_grad()
def _slope(
    network: nn.Module, inputs: tuple[Tensor, ...], weights: Tensor, p: nn.Parameter, direction: Tensor, step: float
) -> float:
    kept = p.detach().clone()
    sums = []
    for sign in (1.0, -1.0):
        p.copy_(kept + sign * step * direction)
        seed_torch(0)
        sums.append(float((weights * network(*inputs)).sum()))
    p.copy_(kept)
    return (sums[0] - sums[1]) / (2 * step)
