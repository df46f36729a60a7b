"""One network that is many: the weights of each member are a row of one matrix, and every layer runs for all rows.

A member's own network stays whole: its weights are views of its row, so that whatever is done to one of them, by its
optimiser or its saver, is done to the other.

Shapes: M members, W rows that there is room for, P weights of a member, B samples of each.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor, nn

from limpid.errors import ModelError
from limpid.models.network import Network
from limpid.optim.param_groups import param_groups
from limpid.population.stack_by_hand import HandLayer, write_out
from limpid.population.stack_layers import StackedLayer, leaves_of, stack


class Form:
    """What a network is made of, as far as a stack needs to know.

    Attributes:
        layers: without dropout.
        shares: of what is dropped before each layer, and behind the last: one more than layers.
        weights: of the member, those that decay first.
        num_decayed: numbers in those.
        num_weights: numbers in all.

    Raises ModelError for a network that no stack can hold.
    """

    def __init__(self, network: Network) -> None:
        self.layers: list[nn.Module] = []
        self.shares = [0.0]
        for layer in leaves_of(network.body):
            if type(layer) is nn.Dropout:
                if self.shares[-1] and layer.p:
                    raise ModelError("two dropouts in a row")
                self.shares[-1] = self.shares[-1] or layer.p
            else:
                self.layers.append(layer)
                self.shares.append(0.0)
        for module in network.modules():
            if module._forward_hooks or module._forward_pre_hooks:
                raise ModelError(f"a hook on {type(module).__name__}")
        unknown = [type(layer).__name__ for layer in self.layers if not _fits(layer)]
        if unknown:
            raise ModelError(f"layers of type {unknown[0]} are not stacked")
        groups = param_groups(network, 1.0)
        self.weights: list[nn.Parameter] = [p for group in groups for p in group["params"]]
        if len(self.weights) < len(list(network.parameters())):
            raise ModelError("weights that do not learn")
        self.num_weights = sum(p.numel() for p in self.weights)
        self.num_decayed = sum(p.numel() for p in groups[0]["params"]) if groups[0]["weight_decay"] else 0

    def key(self) -> Hashable:
        """Equal for networks that differ in numbers alone."""
        return tuple((repr(layer), tuple(p.shape for p in layer.parameters())) for layer in self.layers)


def _fits(layer: nn.Module) -> bool:
    num_weights = len(list(layer.parameters()))
    if isinstance(layer, nn.BatchNorm1d):
        return num_weights == 2 and layer.track_running_stats and layer.momentum is not None
    if isinstance(layer, nn.LayerNorm):
        return num_weights == 2
    if isinstance(layer, nn.Flatten):
        return (layer.start_dim, layer.end_dim) == (1, -1)
    return stack(layer) is not None


class StackedNetwork(nn.Module):
    """M networks of one form: (M, B, ...) -> (M, B, K).

    Its weights are no parameters of the module, as each member's are judged, moved and kept by themselves.

    Args:
        form: of the members.
        width: rows that there is room for.
        by_hand: take gradients by the chain rule written out, where the layers have it (stack_by_hand.py). They are
            then those of one batch and not added up, and nothing is cast on the way.
    """

    def __init__(self, form: Form, width: int, *, by_hand: bool = True) -> None:
        super().__init__()
        self.form = form
        self.by_hand = by_hand
        first = form.weights[0]
        self.weights_WP = torch.zeros(width, form.num_weights, device=first.device)
        self.gradients_WP = torch.zeros_like(self.weights_WP)
        self.figures_W = [
            torch.zeros(width, *figure.shape, device=figure.device)
            for layer in form.layers
            for figure in figures(layer)
        ]
        self._leaves: list[Tensor] = []
        self._slopes: list[Tensor] = []  # the gradients, in the shapes of the leaves
        self._written: list[HandLayer] | None = None
        self._masks: dict[int, Tensor] = {}  # of dropout, by the layer before which they act
        self._outputs: Tensor | None = None
        self._layers: list[StackedLayer] = [layer for layer in map(stack, form.layers) if layer is not None]
        self._shares: list[list[float]] = []
        self._drops: list[bool] = []
        self._generators: list[torch.Generator] = []

    def take(self, row: int, form: Form) -> None:
        """Let a network live in a row, with the values that it has."""
        with torch.no_grad():
            for p, view in zip(form.weights, pieces_of(self.weights_WP[row], form.weights), strict=True):
                view.copy_(p)
            at = iter(self.figures_W)
            for layer in form.layers:
                for figure in figures(layer):
                    next(at)[row].copy_(figure)
        self.settle(row, form)

    def settle(self, row: int, form: Form) -> None:
        """Point a network at the row that holds its values."""
        views = pieces_of(self.weights_WP[row], form.weights)
        slopes = pieces_of(self.gradients_WP[row], form.weights)
        for p, view, slope in zip(form.weights, views, slopes, strict=True):
            p.data, p.grad = view, slope
        at = iter(self.figures_W)
        for layer in form.layers:
            for name in figure_names(layer):
                layer._buffers[name] = next(at)[row]

    def move(self, row: int, to: int) -> None:
        """Copy a row over another."""
        for tensor in (self.weights_WP, *self.figures_W):
            tensor[to].copy_(tensor[row])

    def resize(self, forms: Sequence[Form], generators: Sequence[torch.Generator]) -> None:
        """Compute with the first rows, which are these members'; generators draw what dropout drops."""
        count = len(forms)
        self._shares = [[form.shares[place] for form in forms] for place in range(len(self.form.shares))]
        self._drops = [any(shares) for shares in self._shares]
        self._generators = list(generators)
        weights = self.form.weights
        self._leaves = [view.detach().requires_grad_() for view in pieces_of(self.weights_WP[:count], weights)]
        self._slopes = pieces_of(self.gradients_WP[:count], weights)
        place_of = {id(p): place for place, p in enumerate(weights)}
        at = iter(self.figures_W)
        slopes = []
        for layer, stacked in zip(self.form.layers, self._layers, strict=True):
            places = [place_of[id(p)] for p in layer.parameters()]
            stacked.bind([self._leaves[i] for i in places], [next(at)[:count] for _ in figure_names(layer)])
            slopes.append([self._slopes[i] for i in places])
        self._written = write_out(self._layers, slopes) if self.by_hand else None

    def values(self, row: int) -> tuple[Tensor, list[Tensor]]:
        """A copy of a row, and of its running figures."""
        return self.weights_WP[row].clone(), [tensor[row].clone() for tensor in self.figures_W]

    def forward(self, x: Tensor, *rest: Tensor) -> Tensor:
        """x (M, B, ...), standardised; further inputs likewise."""
        if self.training and self._written is not None:
            self._outputs = self._run_by_hand(self._written, x)
            return self._outputs
        for place, layer in enumerate(self._layers):
            if self.training and self._drops[place]:
                x = x * self._mask(place, x)
            x = layer(x, rest, training=self.training)
        self._outputs = x * self._mask(len(self._layers), x) if self.training and self._drops[-1] else x
        return self._outputs

    def backward(self, g_MBK: Tensor, *, add: bool = False) -> None:
        """From the gradient by the last outputs to those by the weights: written down, or added to those there are."""
        assert self._outputs is not None, "the outputs come first"
        if self._written is None:
            gradients = torch.autograd.grad(self._outputs, self._leaves, g_MBK.to(self._outputs.dtype))
            with torch.no_grad():
                (torch._foreach_add_ if add else torch._foreach_copy_)(self._slopes, gradients)
            return
        assert not add, "gradients by hand are not added up"
        with torch.no_grad():
            for place in range(len(self._written) - 1, -1, -1):
                mask = self._masks.get(place + 1)
                g_MBK = self._written[place].pull(g_MBK if mask is None else g_MBK * mask)

    @torch.no_grad()
    def _run_by_hand(self, layers: Sequence[HandLayer], x: Tensor) -> Tensor:
        self._masks = {}
        for place, layer in enumerate(layers):
            x = layer.run(self._dropped(place, x))
        return self._dropped(len(layers), x)

    def _dropped(self, place: int, x: Tensor) -> Tensor:
        if not self._drops[place]:
            return x
        self._masks[place] = self._mask(place, x)
        return x * self._masks[place]

    def _mask(self, place: int, x: Tensor) -> Tensor:
        """What dropout multiplies by: the numbers that each member would draw if it were alone."""
        keep = torch.ones_like(x, memory_format=torch.contiguous_format)
        for row, (share, generator) in enumerate(zip(self._shares[place], self._generators, strict=True)):
            if share:
                keep[row].bernoulli_(1.0 - share, generator=generator).div_(1.0 - share)
        return keep


def figure_names(layer: nn.Module) -> tuple[str, ...]:
    """The running figures of a layer, which are no weights and yet are learned."""
    return ("running_mean", "running_var") if isinstance(layer, nn.BatchNorm1d) else ()


def figures(layer: nn.Module) -> list[Tensor]:
    return [getattr(layer, name) for name in figure_names(layer)]


def pieces_of(rows: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """(P,) or (M, P) as one view to a weight, in its shape."""
    sizes = [p.numel() for p in weights]
    return [piece.view(*rows.shape[:-1], *p.shape) for piece, p in zip(rows.split(sizes, dim=-1), weights, strict=True)]
