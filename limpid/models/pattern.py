"""From a pattern of layers (models/pattern_parser.py) to a network that fits the data; no size is given by hand.

The last layer with a width needs none: "fc" alone has one unit per class or target. Each layer's input is worked out
from the one before, and a layer that cannot take it is named with its place in the text.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from limpid.catalogue.activations import ACTIVATIONS
from limpid.catalogue.models import MODELS
from limpid.config import ModelConfig
from limpid.errors import ConfigError, ModelError
from limpid.models.branches import Concat, Residual
from limpid.models.initialize import initialize
from limpid.models.pattern_layers import Misfit, Shape, build_layer
from limpid.models.pattern_parser import LAYERS, Group, Layer, Node, parse_pattern, pointed
from limpid.spec import DataSpec

WORDS = {word: part.name for part in ACTIVATIONS.values() for word in (part.name, *part.aliases)}
# Their outputs are new tensors that no backward pass reads: an activation behind one may work in place.
FRESH = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.MaxPool1d, nn.MaxPool2d, Residual, Concat)
KINDS = ("image", "vector", "table", "array")


def build_named(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """The architecture whose catalogue entry is a pattern."""
    return build_pattern(MODELS[config.name].pattern, spec, name=config.name)


def build_pattern(text: str, spec: DataSpec, *, name: str = "") -> nn.Module:
    """The network that a pattern describes, for these data.

    Args:
        text: the pattern.
        spec: gives the shape that goes in and the number of outputs.
        name: of the architecture that the pattern is, for messages; "" for a user's own.

    Raises ModelError for a pattern that cannot be read, that does not fit the data, or that ends in another number of
    outputs than the data have.
    """
    if spec.kind not in KINDS or spec.cardinalities:
        has = "columns of codes" if spec.cardinalities else f"data of kind {spec.kind}"
        raise ModelError(
            f"A pattern of layers takes numbers or images; {spec.name} has {has}. "
            + ("Set data.encode=onehot, or use model.name=mlp." if spec.cardinalities else "See `limpid models`.")
        )
    body, shape = assemble(text, spec.input_shape, num_outputs=spec.num_outputs, name=name)
    if shape != (spec.num_outputs,):
        last = parse_pattern(text, WORDS)[-1]
        gives = " x ".join(map(str, shape))
        raise _at(
            text,
            last,
            f"The pattern ends with {gives} outputs, and {spec.name} needs {spec.num_outputs}: "
            "end it with '-> fc', which has as many as the data need.",
            name,
        )
    return body


def assemble(text: str, shape: Shape, *, num_outputs: int | None, name: str = "") -> tuple[nn.Sequential, Shape]:
    """The layers of a pattern behind data of this shape, with first weights, and the shape behind them.

    Without `num_outputs` the pattern is a piece of a network: each of its layers has a number, and none is the head.
    """
    nodes = parse_pattern(text, WORDS)
    builder = _Builder(text, num_outputs, name)
    modules, shape = builder.row(nodes, shape, builder.head_of(nodes))
    body = nn.Sequential(*modules)
    used = {node.word for node in _walk(nodes) if isinstance(node, Layer) and node.word not in LAYERS}
    initialize(body, builder.head, activation=used.pop() if len(used) == 1 else "relu")
    return body, shape


def cnn_pattern(
    convolutions: int,
    stages: int,
    dense: int,
    *,
    pools: bool | Sequence[bool] = True,
    filters: Sequence[int] = (32, 64, 128),
    units: Sequence[int] = (128,),
) -> str:
    """INPUT -> [(CONV -> RELU) x N -> POOL?] x M -> (FC -> RELU) x K -> FC as a pattern.

    Args:
        convolutions: N, of each stage; usually up to 3.
        stages: M.
        dense: K, hidden dense layers; usually below 3.
        pools: whether a stage ends with a pool, for all stages or one by one.
        filters: of each stage; the last number holds for all that follow.
        units: of each hidden dense layer, likewise.

    Raises ModelError for a negative number, or for pools that are not as many as the stages.
    """
    for what, number in (("convolutions", convolutions), ("stages", stages), ("dense", dense)):
        if number < 0:
            raise ModelError(f"{what}={number} is not accepted: a pattern has no or more of them.")
    flags = [pools] * stages if isinstance(pools, bool) else list(pools)
    if len(flags) != stages:
        raise ModelError(f"pools has {len(flags)} values for {stages} stages; give one for each, or one for all.")
    parts = ["input"]
    for stage, pool in enumerate(flags):
        width = filters[min(stage, len(filters) - 1)]
        parts += [f"[conv{width}-relu]*{convolutions}"] if convolutions else []
        parts += ["pool"] if pool else []
    parts += [f"fc{units[min(layer, len(units) - 1)]}-relu" for layer in range(dense)]
    return " -> ".join([*parts, "fc"])


class _Builder:
    """Builds the nodes of one pattern from left to right and keeps count of the layers for messages."""

    def __init__(self, text: str, num_outputs: int | None, name: str) -> None:
        self.text = text
        self.num_outputs = num_outputs
        self.name = name
        self.count = 0
        self.head: nn.Linear | None = None

    def head_of(self, nodes: Sequence[Node]) -> Layer | None:
        """The last convolution or dense layer of the row, if its width is left to the data."""
        layers = [node for node in nodes if isinstance(node, Layer) and node.word in ("fc", "conv")]
        return layers[-1] if layers and layers[-1].size is None and self.num_outputs is not None else None

    def row(self, nodes: Sequence[Node], shape: Shape, head: Layer | None = None) -> tuple[list[nn.Module], Shape]:
        modules: list[nn.Module] = []
        for node in nodes:
            if isinstance(node, Layer):
                built, shape = self.layer(node, shape, is_head=node is head)
                if not (modules and isinstance(modules[-1], FRESH)):
                    for module in built:
                        _keep_input(module)
                modules += built
                continue
            for _ in range(node.repeat):
                built, shape = self.group(node, shape)
                modules += built
        return modules, shape

    def layer(self, layer: Layer, shape: Shape, *, is_head: bool) -> tuple[list[nn.Module], Shape]:
        self.count += 1
        try:
            built, shape = build_layer(layer, shape, self.num_outputs if is_head else None)
        except ConfigError as error:  # of an activation's options
            raise _at(self.text, layer, str(error), self.name) from None
        except Misfit as misfit:
            if layer.optional:
                return [], shape
            came = " x ".join(map(str, shape))
            word = self.text[layer.start : layer.end]
            raise _at(
                self.text, layer, f"Layer {self.count}, {word}, cannot take what comes in, {came}: {misfit}.", self.name
            ) from None
        if is_head and isinstance(built[-1], nn.Linear):
            self.head = built[-1]
        return built, shape

    def group(self, group: Group, shape: Shape) -> tuple[list[nn.Module], Shape]:
        if group.kind == "":
            return self.row(group.branches[0], shape)
        branches = [self.row(branch, shape) for branch in group.branches]
        if group.kind == "res":
            modules, behind = branches[0]
            norm = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in modules)
            return [Residual(nn.Sequential(*modules), self.shortcut(group, shape, behind, norm=norm))], behind
        shapes = [behind for _, behind in branches]
        if len({behind[1:] for behind in shapes}) > 1:
            listed = ", ".join(" x ".join(map(str, behind)) for behind in shapes)
            raise _at(
                self.text, group, f"The branches of cat give {listed}: only their channels may differ.", self.name
            )
        joined = (sum(behind[0] for behind in shapes), *shapes[0][1:])
        return [Concat([nn.Sequential(*modules) for modules, _ in branches])], joined

    def shortcut(self, group: Group, shape: Shape, behind: Shape, *, norm: bool) -> nn.Module | None:
        """None where shapes agree, else a 1 x 1 convolution (or dense layer) of the stride that fits."""
        if shape == behind:
            return None
        if len(shape) == len(behind) == 1:
            return nn.Linear(shape[0], behind[0])
        if len(shape) == len(behind) == 3:
            for stride in range(1, 5):
                if tuple((side - 1) // stride + 1 for side in shape[1:]) == behind[1:]:
                    projection = nn.Conv2d(shape[0], behind[0], 1, stride, bias=not norm)
                    return nn.Sequential(projection, nn.BatchNorm2d(behind[0])) if norm else projection
        came, gave = (" x ".join(map(str, sides)) for sides in (shape, behind))
        raise _at(
            self.text, group, f"res[...] makes {gave} of {came}, which no shortcut joins: keep the sides.", self.name
        )


def _keep_input(module: nn.Module) -> None:
    if getattr(module, "inplace", False):
        module.inplace = False  # type: ignore[assignment]


def _walk(nodes: Sequence[Node]) -> list[Node]:
    found: list[Node] = []
    for node in nodes:
        found.append(node)
        if isinstance(node, Group):
            for branch in node.branches:
                found += _walk(branch)
    return found


def _at(text: str, node: Node, message: str, name: str) -> ModelError:
    if name:
        message = f"{name} does not fit these data. {message} Set data.image_size, or use model.name=convnet."
    return pointed(text, node.start, node.end, message)
