"""Networks as trees of layers, and as text: what models/pattern_parser.py reads, written and changed.

A place in the tree is a path: the index of a node in its row, then of the branch and of a node in that row, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from limpid.models.pattern_parser import LAYERS, Group, Layer, Node

Nodes = tuple[Node, ...]
Path = tuple[int, ...]
SHORT = {"maxpool": "pool"}
NORMS = ("bn", "ln", "lrn")
FLAGS = ("nobias", "ceil")


def text_of(nodes: Nodes, *, inside: bool = False) -> str:
    """The pattern that reads as these nodes. Dashes join rows in brackets, and a layer with its norm and activation."""
    texts = [_layer_text(node) if isinstance(node, Layer) else _group_text(node) for node in nodes]
    joints = ["-" if inside or _belongs(node) else " " for node in nodes[1:]]
    return texts[0] + "".join(joint + text for joint, text in zip(joints, texts[1:], strict=True))


def _belongs(node: Node) -> bool:
    """To the layer before it."""
    return is_activation(node) or (isinstance(node, Layer) and node.word in NORMS)


def _group_text(group: Group) -> str:
    inside = " | ".join(text_of(branch, inside=True) for branch in group.branches)
    return f"{group.kind}[{inside}]" + (f"*{group.repeat}" if group.repeat > 1 else "")


def _layer_text(layer: Layer) -> str:
    text = SHORT.get(layer.word, layer.word)
    text += "" if layer.size is None else f"{layer.size:g}"
    if layer.kernel is not None:
        rows, columns = layer.kernel
        text += f"@{rows}" if rows == columns else f"@{rows}x{columns}"
    for key, value in layer.options.items():
        text += f"/{key}" if key in FLAGS else f"/{key}{value}"
    return text + ("?" if layer.optional else "")


def layer(word: str, size: float | None = None, kernel: int | None = None) -> Layer:
    """A layer that stands in no text."""
    return Layer(word, 0, 0, size, None if kernel is None else (kernel, kernel), {})


def group(kind: str, *branches: Nodes, repeat: int = 1) -> Group:
    """A group that stands in no text."""
    return Group(kind, branches, repeat, 0, 0)


def is_activation(node: Node) -> bool:
    return isinstance(node, Layer) and node.word not in LAYERS


def places(nodes: Nodes, above: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Every node with its path, groups before what they hold."""
    for index, node in enumerate(nodes):
        yield (*above, index), node
        if isinstance(node, Group):
            for number, branch in enumerate(node.branches):
                yield from places(branch, (*above, index, number))


def row_at(nodes: Nodes, path: Path) -> Nodes:
    """The row in which the node at the path stands."""
    if len(path) == 1:
        return nodes
    inside = nodes[path[0]]
    assert isinstance(inside, Group)
    return row_at(inside.branches[path[1]], path[2:])


def replaced(nodes: Nodes, path: Path, new: Nodes, count: int = 1) -> Nodes:
    """The nodes with `new` in the place of `count` nodes from the path on; a group that loses all is gone."""
    index = path[0]
    if len(path) == 1:
        return (*nodes[:index], *new, *nodes[index + count :])
    inside = nodes[index]
    assert isinstance(inside, Group)
    branches = list(inside.branches)
    branches[path[1]] = replaced(branches[path[1]], path[2:], new, count)
    kept = tuple(branch for branch in branches if branch)
    return (*nodes[:index], *((replace(inside, branches=kept),) if kept else ()), *nodes[index + 1 :])
