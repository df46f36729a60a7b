"""What each row sends back through the last layer: whether a few rows decide the step for all.

    g_n = |dL_n / d outputs| |(a_n, 1)|      norm of the gradient of row n at weights W and bias b of the last layer,
                                             outputs = W a + b

Exact for a network that ends with a linear layer; otherwise the first factor alone.

Shapes: N rows, K outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from limpid.probes.data_inputs import layer_order
from limpid.probes.data_sample import name_rows, sample_training
from limpid.probes.data_targets import top_share
from limpid.probes.subject import Subject

BATCH = 256
ROWS = 1000
LEAST_ROWS = 100  # 1 % of fewer is no row
MOST_CELLS = 4_000_000  # input values that are looked at; large images take too long


def measure(subject: Subject) -> dict[str, Any] | None:
    """{n, top_share, rows}; None where outputs are no tensor with a row for each sample."""
    num = MOST_CELLS // max(1, subject.inputs[0][0].numel())
    if num < LEAST_ROWS:
        return None
    sample = sample_training(subject, min(ROWS, num))
    subject.network.eval()
    order = layer_order(subject)
    last = order[-1] if order and isinstance(order[-1], nn.Linear) else None
    sizes: list[Tensor] = []
    device = subject.target.device
    for index_B in torch.arange(len(sample.target)).split(BATCH):
        inputs = tuple(tensor[index_B].to(device) for tensor in sample.inputs)
        size_B = _sizes(subject, inputs, sample.target[index_B].to(device), last)
        if size_B is None:
            return None
        sizes.append(size_B)
    size_N = torch.cat(sizes)
    if not torch.isfinite(size_N).all():
        return None
    share = top_share(size_N)
    worst = sample.position[size_N.argsort(descending=True)]
    return None if share is None else {"n": len(size_N), "top_share": share, "rows": name_rows(subject, worst)}


def _sizes(subject: Subject, inputs: tuple[Tensor, ...], target: Tensor, last: nn.Linear | None) -> Tensor | None:
    """(B,) norms of the gradients of these rows."""
    taken: list[Tensor] = []
    handle = None if last is None else last.register_forward_pre_hook(lambda _, args: taken.append(args[0]))
    try:
        with torch.no_grad():
            outputs = subject.answer(*inputs)
    finally:
        if handle is not None:
            handle.remove()
    if not isinstance(outputs, Tensor) or len(outputs) != len(target):
        return None
    free = outputs.detach().float().requires_grad_()
    (slope,) = torch.autograd.grad(subject.loss(free, target) * len(target), free)
    size_B = slope.flatten(1).norm(dim=1)
    if taken and taken[-1].shape[:-1] == outputs.shape[:1]:
        size_B = size_B * (taken[-1].float().square().sum(1) + 1.0).sqrt()
    return size_B.detach().cpu()
