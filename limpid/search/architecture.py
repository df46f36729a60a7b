"""Networks that fit the data: drawn at random in the language of patterns, and changed by moves (search/moves.py).

    images, maps   ([conv - norm? - g] x 1..3, as a skip or not - pool) x 1..3, mean or all places, dense x 0..2, fc
    vectors        [fc - norm? - g - dropout?] x 1..4, with skips or without, fc

which is the form of LeNet, VGG and residual networks (Stanford cs231n's rule), with sizes from powers of two. A network
fits if every layer takes what the one before gives and a sample costs no more than the given work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from numpy.random import Generator

from limpid.catalogue.models import MODELS
from limpid.config import Config
from limpid.defaults import resolve
from limpid.errors import ConfigError, ModelError
from limpid.models.cost import layer_table
from limpid.models.pattern import KINDS, WORDS, assemble
from limpid.models.pattern_parser import Node, looks_like_pattern, parse_pattern
from limpid.search.default_space import rate_knob
from limpid.search.knob import Knob
from limpid.search.moves import ACTIVATIONS, MOVES, SHARES, pick
from limpid.search.pattern_text import Nodes, group, layer, text_of
from limpid.search.space import Space
from limpid.spec import DataSpec

TRIES = 100  # of drawing or changing before giving up: two draws in three fit at the usual limits
MOST_WORK = {"image": 5e6, "array": 5e6}  # multiply-adds of a sample: ten LeNets; trials stay seconds on small sets
MOST_WORK_OF_NUMBERS = 2e5  # of vectors and tables: three layers of 256 units
FILTERS = (8, 16, 32, 64)
UNITS = (16, 32, 64, 128, 256)
SMALLEST_SIDE = 4  # pixels, that a pool still halves


@dataclass(frozen=True)
class Frame:
    """What a network has to fit.

    Attributes:
        shape: of a sample.
        outputs: how many numbers come out.
        work: most multiply-adds of a sample.
    """

    shape: tuple[int, ...]
    outputs: int
    work: float

    @classmethod
    def of(cls, knob: Knob) -> Frame:
        """Of a knob of kind pattern."""
        return cls(knob.shape, knob.outputs, knob.high)

    def fits(self, nodes: Nodes) -> bool:
        """Whether the layers can be built for the data, end in the right outputs, and cost no more than the limit."""
        spec = DataSpec(name="", kind="array", task="regression", input_shape=self.shape, num_outputs=self.outputs)
        try:
            with torch.device("meta"):  # shapes alone: no weights are drawn
                body, shape = assemble(text_of(nodes), self.shape, num_outputs=self.outputs)
                work = sum(row["macs"] for row in layer_table(body, spec))
        except ModelError:
            return False
        return shape == (self.outputs,) and work <= self.work

    def drawn(self, rng: Generator) -> str:
        """A network at random. Raises ConfigError where none fits."""
        draw = _drawn_map if len(self.shape) in (2, 3) else _drawn_vector
        return text_of(self._first_fitting(lambda: draw(self.shape, rng)))

    def changed(self, text: str, rng: Generator, *, unlike: frozenset[str] = frozenset()) -> str:
        """The network after one move; one drawn anew where no move fits.

        Args:
            text: the network as a pattern.
            rng: chance.
            unlike: networks that are known already; the change is to be none of them, if that can be had.
        """
        nodes = parse_pattern(text, WORDS)
        fitting: str | None = None
        for _ in range(TRIES):
            move = MOVES[rng.integers(len(MOVES))]
            new = move(nodes, rng)
            if new is None or text_of(new) in (text, fitting) or not self.fits(new):
                continue
            fitting = text_of(new)
            if fitting not in unlike:
                return fitting
        return fitting or self.drawn(rng)

    def _first_fitting(self, draw: Callable[[], Nodes]) -> Nodes:
        for _ in range(TRIES):
            nodes = draw()
            if self.fits(nodes):
                return nodes
        least: Nodes = (layer("fc"),)
        if self.fits(least):
            return least
        shape = " x ".join(map(str, self.shape))
        raise ConfigError(
            f"No network for samples of {shape} stays within {self.work:,.0f} multiply-adds a sample. "
            "Lower the number of inputs (data.image_size, data.components), or give a --space with a larger limit."
        )


def architecture_space(config: Config, spec: DataSpec) -> Space:
    """The network as a pattern, and the learning rate, which no two networks share.

    A pattern that the user named is where the search begins.

    Raises ConfigError for data that patterns do not take.
    """
    seen = spec.behind_scale()
    if seen.kind not in KINDS or seen.cardinalities or spec.task == "tokens":
        has = "columns of codes; set data.encode=onehot" if seen.cardinalities else f"{seen.kind} for {spec.task}"
        raise ConfigError(f"Architectures are searched for numbers and images, and {spec.name} has {has}.")
    name = config.model.name
    begin = MODELS[name].pattern if name in MODELS else name if looks_like_pattern(name) else ""
    if name != "auto" and not begin:
        raise ConfigError(f"model.name={name} is no pattern of layers to begin with. Leave it out, or give a pattern.")
    work = MOST_WORK.get(seen.kind, MOST_WORK_OF_NUMBERS)
    knob = Knob(
        "model.name",
        "pattern",
        high=work,
        choices=(begin,) if begin else (),
        shape=seen.input_shape,
        outputs=spec.num_outputs,
        why=f"networks of up to {work:,.0f} multiply-adds a sample",
    )
    resolved, _ = resolve(config.model_copy(update={"model": config.model.model_copy(update={"name": "fc"})}), spec)
    knobs = (knob,) if config.optim.lr is not None else (knob, rate_knob(resolved))
    return Space(knobs, f"architectures for {spec.name}")


def _drawn_map(shape: tuple[int, ...], rng: Generator) -> Nodes:
    activation, norm = _activation(rng), rng.random() < 0.5
    filters = FILTERS[rng.integers(3)]
    side = min(shape[1:])
    nodes: list[Node] = []
    for _ in range(rng.integers(1, 4)):
        kernel = int(rng.choice((3, 3, 3, 5, 1)))
        unit = (layer("conv", filters, kernel), *((layer("bn"),) if norm else ()), activation)
        times = int(rng.integers(1, 4))
        if times > 1 and len(shape) == 3 and rng.random() < 0.25:
            nodes += [*unit, group("res", unit, repeat=times - 1)]
        else:
            nodes += [group("", unit, repeat=times)] if times > 1 else unit
        if side < SMALLEST_SIDE:
            break
        nodes.append(layer("maxpool" if rng.random() < 0.8 else "avgpool"))
        side //= 2
        filters = min(filters * int(rng.integers(1, 3)), FILTERS[-1])
    if rng.random() < 0.4:
        nodes.append(layer("gap"))
    for _ in range(rng.integers(0, 3)):
        nodes += [layer("fc", UNITS[rng.integers(1, len(UNITS))]), activation]
    return (*nodes, *_dropout(rng), layer("fc"))


def _drawn_vector(shape: tuple[int, ...], rng: Generator) -> Nodes:
    activation, norm = _activation(rng), rng.random() < 0.3
    width, fall = UNITS[rng.integers(len(UNITS))], rng.random() < 0.4
    nodes: list[Node] = []
    for number in range(rng.integers(1, 5)):
        unit = (layer("fc", width), *((layer("bn"),) if norm else ()), activation)
        nodes += [group("res", unit)] if number and not fall and rng.random() < 0.25 else unit
        nodes += _dropout(rng) if rng.random() < 0.3 else ()
        width = max(UNITS[0], width // 2) if fall else width
    return (*nodes, layer("fc"))


def _activation(rng: Generator) -> Node:
    """A rectifier half of the time."""
    word = ACTIVATIONS[0] if rng.random() < 0.5 else pick(rng, list(ACTIVATIONS[1:]))
    assert word is not None
    return layer(word)


def _dropout(rng: Generator) -> tuple[Node, ...]:
    return (layer("dropout", SHARES[rng.integers(len(SHARES))]),) if rng.random() < 0.4 else ()
