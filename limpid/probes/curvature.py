"""P8: the largest curvature of the loss, and the rate that it allows.

    H        Hessian of the mean loss of the probe's rows, in evaluation mode
    lambda   its largest eigenvalue, by power iteration v <- H v / |H v| on Hessian-vector products
    limit    lr lambda < 2 (1 + m) for steps with momentum m (heavy ball)

Gradient descent climbs out of directions with lr lambda above the limit. Full-batch training settles at it ("edge of
stability") and learns on; so does noisy training below it. Adam divides by the gradient's size first, so that its limit
is one of the divided Hessian D^-1/2 H D^-1/2 with D = sqrt(v): 2 (1 + b1) / (1 - b1).

Source: Cohen et al. 2021 (arXiv 2103.00065), equation 1; Cohen et al. 2022 (arXiv 2207.14484), section 2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from limpid.probes.subject import Subject

ITERATIONS = 20
CLOSE = 0.02  # relative change of lambda at which the iteration ends
MOST_ROWS = 128


def measure(subject: Subject) -> dict[str, Any] | None:
    """{lambda_max, lr, limit, product, num_iterations, divided}.

    `product` is lr lambda over its limit, 1 at the edge; None where the optimiser's limit is not known.
    None for a network that has no second derivatives, or a loss that is no number.
    """
    parameters = [p for p in subject.network.parameters() if p.requires_grad]
    if not parameters:
        return None
    subject.network.eval()
    rows = slice(0, MOST_ROWS)
    with sdpa_kernel(SDPBackend.MATH):  # the fused attention has no second derivative
        outputs = subject.answer(*(tensor[rows] for tensor in subject.inputs))
    loss = subject.loss(outputs, subject.target[rows])
    if not torch.isfinite(loss):
        return None
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
    pairs: list[tuple[Tensor, Tensor]] = [
        (p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None and g.requires_grad
    ]
    if not pairs or not _twice_differentiable(pairs):
        return None
    scales = _scales(subject, [p for p, _ in pairs])
    try:
        lambda_max, num_iterations = _largest(pairs, scales)
    except NotImplementedError:  # an operation of torch's without a second derivative, such as embedding_bag
        return None
    lr, limit = _limit(subject, divided=scales is not None)
    return {
        "lambda_max": lambda_max,
        "lr": lr,
        "limit": limit,
        "product": lr * lambda_max / limit if lr and limit else None,
        "num_iterations": num_iterations,
        "divided": scales is not None,
    }


def _twice_differentiable(pairs: list[tuple[Tensor, Tensor]]) -> bool:
    """Whether no gradient came through a function that says it can be differentiated once.

    Such a one ends the graph in a node that autograd passes over when it is not on the way to a parameter: what comes
    before it would be missing from H in silence.
    """
    waiting = [gradient.grad_fn for _, gradient in pairs]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node.name() == "torch::autograd::Error":
            return False
        seen.add(node)
        waiting += [before for before, _ in node.next_functions]
    return True


def _largest(pairs: list[tuple[Tensor, Tensor]], scales: list[Tensor] | None) -> tuple[float, int]:
    """The eigenvalue of largest size, and the iterations that it took."""
    parameters, gradients = [p for p, _ in pairs], [g for _, g in pairs]
    generator = torch.Generator().manual_seed(0)
    v = _unit([torch.randn(p.shape, generator=generator).to(p) for p in parameters])
    value = 0.0
    for iteration in range(1, ITERATIONS + 1):
        direction = v if scales is None else [a * s for a, s in zip(v, scales, strict=True)]
        product = torch.autograd.grad(gradients, parameters, direction, retain_graph=True, allow_unused=True)
        turned = [torch.zeros_like(a) if b is None else b.detach() for a, b in zip(v, product, strict=True)]
        if scales is not None:
            turned = [a * s for a, s in zip(turned, scales, strict=True)]
        before, value = value, float(sum((a * b).sum() for a, b in zip(v, turned, strict=True)))
        if not any(bool(a.any()) for a in turned) or abs(value - before) <= CLOSE * abs(value):
            return value, iteration
        v = _unit(turned)
    return value, ITERATIONS


def _unit(vector: list[Tensor]) -> list[Tensor]:
    norm = torch.stack([a.norm() for a in vector]).norm().clamp_min(1e-30)
    return [a / norm for a in vector]


def _scales(subject: Subject, parameters: list[Tensor]) -> list[Tensor] | None:
    """D^-1/2 of an optimiser that divides by the root of the mean squared gradient; None for others, and at first."""
    state = {} if subject.optimizer is None else subject.optimizer.state
    squares = [state.get(p, {}).get("exp_avg_sq") for p in parameters]
    if any(square is None for square in squares):
        return None
    return [(square.sqrt() + 1e-8).rsqrt() for square in squares]


def _limit(subject: Subject, *, divided: bool) -> tuple[float | None, float | None]:
    """The peak rate, and the limit of lr lambda."""
    if subject.optimizer is None:
        return None, None
    group = subject.optimizer.param_groups[0]
    lr = float(group["lr"]) if subject.config is None else float(subject.config.optim.lr or 0.0)
    if divided:
        b1 = float(group.get("betas", (0.9, 0.999))[0])
        return lr, 2 * (1 + b1) / (1 - b1)
    if "betas" in group:
        return lr, None
    return lr, 2 * (1 + float(group.get("momentum") or 0.0))
