"""Small changes of a network, after Real et al. 2019 (arXiv 1802.01548) and Real et al. 2017 (arXiv 1703.01041).

A move takes the layers and a source of chance and gives changed layers, or None where the network has nothing that it
could change. It need not fit the data: search/architecture.py tries again where it does not. The last layer stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from numpy.random import Generator

from limpid.models.pattern_parser import Group, Layer, Node
from limpid.search.pattern_text import NORMS, Nodes, Path, group, is_activation, layer, places, replaced, row_at

Move = Callable[[Nodes, Generator], Nodes | None]
T = TypeVar("T")

ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh")
KERNELS = (1, 3, 5, 7)
FACTORS = (0.5, 0.75, 1.5, 2.0)
SHARES = (0.1, 0.2, 0.3, 0.5)  # of dropout
LEAST_WIDTH, LEAST_FILTERS = 8, 4
MOST_REPEATS = 4


def widen(nodes: Nodes, rng: Generator) -> Nodes | None:
    """More or fewer units or filters."""
    found = pick(rng, _hidden(nodes))
    if found is None:
        return None
    path, one = found
    least = LEAST_FILTERS if one.word == "conv" else LEAST_WIDTH
    size = max(least, round((one.size or least) * FACTORS[rng.integers(len(FACTORS))] / 4) * 4)
    return None if size == one.size else replaced(nodes, path, (replace(one, size=float(size)),))


def deepen(nodes: Nodes, rng: Generator) -> Nodes | None:
    """A layer once more, with the norm and activation behind it; the copy keeps the sides of the map."""
    found = pick(rng, _hidden(nodes))
    if found is None:
        return None
    path, one = found
    copy = replace(one, options={key: value for key, value in one.options.items() if key not in ("s", "p")})
    tail = _tail(row_at(nodes, path), path[-1])
    return replaced(nodes, path, (one, *tail, copy, *tail), 1 + len(tail))


def drop(nodes: Nodes, rng: Generator) -> Nodes | None:
    """One layer less, with its activation; or a pool, norm or dropout less."""
    found = pick(rng, [(path, one) for path, one in _inner(nodes) if not is_activation(one)])
    if found is None:
        return None
    path, one = found
    gone = 1 + (len(_tail(row_at(nodes, path), path[-1])) if isinstance(one, Layer) and one.size is not None else 0)
    return replaced(nodes, path, (), gone)


def reshape_kernel(nodes: Nodes, rng: Generator) -> Nodes | None:
    """Another kernel of a convolution."""
    found = pick(rng, [(path, one) for path, one in _hidden(nodes) if one.word == "conv"])
    if found is None:
        return None
    path, one = found
    side = pick(rng, [side for side in KERNELS if one.kernel != (side, side)])
    return None if side is None else replaced(nodes, path, (replace(one, kernel=(side, side)),))


def reactivate(nodes: Nodes, rng: Generator) -> Nodes | None:
    """Another activation: in one place or, as often, throughout."""
    sites = [(path, one) for path, one in places(nodes) if is_activation(one)]
    found = pick(rng, sites)
    if found is None:
        return None
    assert isinstance(found[1], Layer)
    word = pick(rng, [word for word in ACTIVATIONS if word != found[1].word])
    assert word is not None
    for path, _ in sites if rng.random() < 0.5 else [found]:
        nodes = replaced(nodes, path, (layer(word),))
    return nodes


def insert(nodes: Nodes, rng: Generator) -> Nodes | None:
    """A pool, a norm or a dropout: a norm between a layer and its activation, the others behind it."""
    found = pick(rng, _hidden(nodes))
    if found is None:
        return None
    path, one = found
    tail = _tail(row_at(nodes, path), path[-1])
    new = (layer("dropout", SHARES[rng.integers(len(SHARES))]), layer("bn"), layer("maxpool"))[
        rng.integers(3 if one.word == "conv" else 2)
    ]
    row, behind = row_at(nodes, path), path[-1] + 1 + len(tail)
    if behind < len(row) and _is(row[behind], new.word):
        return None
    if new.word == "bn":
        return None if any(_is(part, "bn") for part in tail) else replaced(nodes, path, (one, new))
    return replaced(nodes, path, (one, *tail, new), 1 + len(tail))


def repeat(nodes: Nodes, rng: Generator) -> Nodes | None:
    """A block once more, or once less."""
    found = pick(rng, [(path, one) for path, one in places(nodes) if isinstance(one, Group)])
    if found is None:
        return None
    path, one = found
    assert isinstance(one, Group)
    times = one.repeat + (1 if rng.random() < 0.5 else -1)
    return replaced(nodes, path, (replace(one, repeat=times),)) if 1 <= times <= MOST_REPEATS else None


def bridge(nodes: Nodes, rng: Generator) -> Nodes | None:
    """A skip around a layer and what belongs to it (He et al. 2016), or one away."""
    bridges = [(path, one) for path, one in places(nodes) if isinstance(one, Group) and one.kind == "res"]
    old = pick(rng, bridges)
    if old is not None and rng.random() < 0.5:
        assert isinstance(old[1], Group)
        return replaced(nodes, old[0], (replace(old[1], kind=""),) if old[1].repeat > 1 else old[1].branches[0])
    found = pick(rng, _hidden(nodes))
    if found is None or any(found[0][: len(path)] == path for path, _ in bridges):
        return None
    path, one = found
    tail = _tail(row_at(nodes, path), path[-1])
    return replaced(nodes, path, (group("res", (one, *tail)),), 1 + len(tail))


MOVES: tuple[Move, ...] = (widen, widen, deepen, drop, reshape_kernel, reactivate, insert, repeat, bridge)


def pick(rng: Generator, values: list[T]) -> T | None:
    """One of them; None of none."""
    return values[rng.integers(len(values))] if values else None


def _inner(nodes: Nodes) -> list[tuple[Path, Node]]:
    """Every place but the head's."""
    return [(path, one) for path, one in places(nodes) if path != (len(nodes) - 1,)]


def _hidden(nodes: Nodes) -> list[tuple[Path, Layer]]:
    """Convolutions and dense layers with a width of their own."""
    return [
        (path, one)
        for path, one in _inner(nodes)
        if isinstance(one, Layer) and one.word in ("conv", "fc") and one.size is not None
    ]


def _is(node: Node, word: str) -> bool:
    return isinstance(node, Layer) and node.word == word


def _tail(row: Nodes, index: int) -> Nodes:
    """The norm and the activation that follow a layer in its row."""
    tail: list[Node] = []
    for node in row[index + 1 : index + 3]:
        if not isinstance(node, Layer) or not (is_activation(node) or node.word in NORMS):
            break
        tail.append(node)
        if is_activation(node):
            break
    return tuple(tail)
