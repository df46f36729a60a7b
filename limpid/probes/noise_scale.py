"""P7: how much the gradient of one sample differs from that of all, and what batch that asks for.

    G        gradient of the mean loss; S the covariance of the gradient of one sample
    tr S     = b (1 / (m - 1)) sum_i |g_i - mean g|^2     from m gradients g_i of b samples each
    |G|^2    = |mean g|^2 - tr S / (b m)                  without the part that noise adds
    B_simple = tr S / |G|^2                               from here on a larger batch hardly turns the step

In evaluation mode, so that samples do not see each other. Single samples' norms say whether a few carry the step.
Source: McCandlish et al. 2018 (arXiv 1812.06162), equation 2.9 and appendix A.1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.probes.subject import Subject

GROUPS = 16
SINGLES = 64  # samples whose gradient is taken alone


def measure(subject: Subject) -> dict[str, Any] | None:
    """{trace, squared_gradient, noise_scale, num_rows, top_share, num_singles, batch_size}.

    `noise_scale` is None where the gradient drowns in the noise: it is then larger than these rows can tell.
    `top_share` is the share of the largest 1 % of samples (at least one) in the sum of the samples' gradient norms.
    """
    num_rows = len(subject.target)
    if num_rows < 2 * GROUPS or not any(p.requires_grad for p in subject.network.parameters()):
        return None
    subject.network.eval()
    size = num_rows // GROUPS
    squares, total = 0.0, None
    for group in range(GROUPS):
        gradient = _gradient(subject, slice(group * size, (group + 1) * size))
        squares += float(gradient.square().sum())
        total = gradient if total is None else total.add_(gradient)
    assert total is not None
    mean = float((total / GROUPS).square().sum())
    trace = size * (squares - GROUPS * mean) / (GROUPS - 1)
    signal = mean - trace / (size * GROUPS)
    singles = [float(_gradient(subject, slice(i, i + 1)).norm()) for i in range(min(SINGLES, num_rows))]
    singles.sort(reverse=True)
    top = max(1, len(singles) // 100)
    return {
        "trace": trace,
        "squared_gradient": signal,
        "noise_scale": trace / signal if signal > 0 else None,
        "num_rows": size * GROUPS,
        "top_share": sum(singles[:top]) / sum(singles) if sum(singles) > 0 else None,
        "num_singles": len(singles),
        "batch_size": None if subject.config is None else subject.config.training.batch_size,
    }


def _gradient(subject: Subject, rows: slice) -> Tensor:
    """Gradient of the mean loss of these rows, as one vector in double precision."""
    parameters = [p for p in subject.network.parameters() if p.requires_grad]
    outputs = subject.answer(*(tensor[rows] for tensor in subject.inputs))
    loss = subject.loss(outputs, subject.target[rows])
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return torch.cat([g.double().flatten() for g in gradients if g is not None])
