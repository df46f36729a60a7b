"""P4: what an answer depends on: only its own sample, only the past, and at all on the input.

Other rows are exchanged, or the later tokens of the same row, and the answers that must not change are compared. An
exchange works for tokens too, which have no gradient, and through layers whose gradient is blocked. In evaluation mode:
batch normalisation mixes samples while training, by design. Source: Karpathy 2019, who asks the gradient.

Shapes: B batch, T places.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from limpid.objectives.tokens import IGNORED
from limpid.probes.learner import learns_by_gradient
from limpid.probes.other_weights import usual_weights
from limpid.probes.subject import Subject
from limpid.training.randomness import seed_torch

ROWS = 8


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{others, own, ...} as changes in units of the outputs' spread; of sequences `future`, and how the target's tokens
    lie to the given ones.

    A network that answers the same to every row is asked again under other weights, because a last layer may start
    at zero and units may be dead.
    """
    if not learns_by_gradient(subject) or len(subject.target) < 2:
        return None
    subject.network.eval()
    rows = min(ROWS, len(subject.target))
    inputs = tuple(x[:rows] for x in subject.inputs)
    outputs = _answer(subject, *inputs)
    if len(outputs) != rows:
        return None
    varies = max(_variation(x) for x in subject.inputs)
    if varies == 0 or _variation(outputs) > 0:
        return _measure(subject, inputs, outputs) | {"input_varies": varies, "output_varies": _variation(outputs)}
    with usual_weights(subject.network):
        outputs = _answer(subject, *inputs)
        values = _measure(subject, inputs, outputs) | {"input_varies": varies, "output_varies": _variation(outputs)}
        return values | (_cut(subject, inputs, varies) if not values["output_varies"] else {})


def _measure(subject: Subject, inputs: tuple[Tensor, ...], outputs: Tensor) -> dict[str, Any]:
    rows = len(outputs)
    half = rows // 2
    later = [x[rows : rows + half] if len(x) >= rows + half else x[:half] for x in subject.inputs]
    exchanged = tuple(torch.cat((x[: rows - half], other)) for x, other in zip(inputs, later, strict=True))
    moved = (_answer(subject, *exchanged) - outputs).abs()
    spread = outputs.std().item()
    others = _share(moved[: rows - half], spread)
    return {"others": others, "n": rows} | _places(subject, inputs, outputs, spread)


def _answer(subject: Subject, *inputs: Tensor) -> Tensor:
    """The outputs with the same random numbers each time: what dropout does in evaluation mode is another check's."""
    seed_torch(0)
    answer = subject.answer(*inputs)
    return answer.float() if isinstance(answer, Tensor) and answer.is_floating_point() else torch.empty(0)


def _share(moved: Tensor, spread: float) -> float:
    largest = moved.max().item()
    return largest / spread if spread > 0 else (0.0 if largest == 0 else float("inf"))


def _cut(subject: Subject, inputs: tuple[Tensor, ...], varies: float) -> dict[str, Any]:
    """Where the rows become the same: `cut` is the first layer from which on they are, `before_cut` the variation
    behind the layer before, and `given` that of what the layer itself was given."""
    trail: list[tuple[str, float, float]] = []  # name, variation of what it was given and of what it gave
    names = {module: name for name, module in subject.network.named_modules() if not [*module.children()]}

    def note(module: nn.Module, args: Any, answer: Any) -> None:
        if isinstance(answer, Tensor) and answer.is_floating_point() and len(answer) == len(inputs[0]):
            given = [x for x in args if isinstance(x, Tensor) and len(x) == len(answer)]
            trail.append((names[module], max((_variation(x) for x in given), default=0.0), _variation(answer)))

    hooks = [module.register_forward_hook(note) for module in names]
    try:
        _answer(subject, *inputs)
    finally:
        for hook in hooks:
            hook.remove()
    trail.append(("output", 0.0, 0.0))
    last = max((i for i, (_, _, gave) in enumerate(trail) if gave > 0), default=-1)
    name, given, _ = trail[last + 1]
    return {"cut": name, "given": given, "before_cut": varies if last < 0 else trail[last][2]}


def _variation(x: Tensor) -> float:
    """How far rows differ: the largest distance from row 0 over the root mean square."""
    x = x.float()
    scale = x.square().mean().sqrt().item()
    return (x - x[:1]).abs().max().item() / scale if scale > 0 else 0.0


def _places(subject: Subject, inputs: tuple[Tensor, ...], outputs: Tensor, spread: float) -> dict[str, Any]:
    """Of tasks with a target for every place: the change at early places when later tokens are others'."""
    target = subject.target[: len(inputs[0])]
    if target.is_floating_point() or target.ndim != 2 or outputs.ndim != 3:
        return {}
    given = [i for i, x in enumerate(inputs) if x.shape == target.shape and not x.is_floating_point()]
    if not given or target.shape[1] < 4 or len(inputs[0]) < 2:
        return {}
    tokens, cut = inputs[given[-1]], target.shape[1] // 2
    other = torch.cat((tokens[:, :cut], tokens.roll(1, 0)[:, cut:]), dim=1)
    answer = _answer(subject, *inputs[: given[-1]], other, *inputs[given[-1] + 1 :])
    counts = target != IGNORED
    return {
        "future": _share((answer - outputs)[:, :cut].abs(), spread),
        "future_varies": bool((other != tokens).any()),
        "is_next": _equal(target[:, :-1], tokens[:, 1:], counts[:, :-1]),
        "is_same": _equal(target, tokens, counts),
    }


def _equal(target: Tensor, tokens: Tensor, counts: Tensor) -> float:
    return (target == tokens)[counts].float().mean().item() if counts.any() else 0.0
