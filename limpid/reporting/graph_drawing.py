"""A graph of a computation as SVG, from top to bottom: boxes in layers, and lines that pass by what they skip.

    layer of a box     the longest way to it from where it starts; what starts there stands just above its first user
    lines that skip    take a narrow slot in every layer that they pass, so that none runs through a box

After Sugiyama, Tagawa & Toda 1981, without their search for the fewest crossings.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limpid.reporting.text import number, plain, squeeze

BOX_WIDTH, BOX_HEIGHT = 248, 78  # pixels
SLOT_WIDTH, GAP, ROAD = 14, 24, 40  # pixels: of a line that passes; between boxes; between layers
MARGIN = 12
LINES = (18, 36, 53, 69)  # baselines in a box
LONGEST_NAME, LONGEST_KIND, LONGEST_LINE = 22, 16, 40  # characters
SHOWN = 3  # entries that a box has room for

Row = Mapping[str, Any]
Point = tuple[float, float]


@dataclass(frozen=True)
class Arrangement:
    """Where boxes stand (left upper corners) and the points that lines pass, in pixels."""

    boxes: list[Point]
    lines: list[list[Point]]
    width: float
    height: float


def draw(graph: Row) -> str:
    """The SVG element of a graph with `nodes` and `edges`, as interpret/computation.py gives them."""
    nodes, edges = graph["nodes"], graph["edges"]
    placed = arrange(len(nodes), [(edge["source"], edge["target"]) for edge in edges])
    lines = [_line(points, edge) for points, edge in zip(placed.lines, edges, strict=True)]
    boxes = [_box(place, node, at) for place, (node, at) in enumerate(zip(nodes, placed.boxes, strict=True))]
    flows = [_flow(points, edge) for points, edge in zip(placed.lines, edges, strict=True)]
    size = f'width="{placed.width:g}" height="{placed.height:g}" viewBox="0 0 {placed.width:g} {placed.height:g}"'
    title = f"graph of {len(nodes)} nodes and {len(edges)} edges"
    return f'<svg class="graph" {size} role="img" aria-label="{title}">{"".join(lines + flows + boxes)}</svg>'


def layers_of(num_nodes: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each node, from 0; every edge leads from a smaller number to a larger one."""
    layer = [0] * num_nodes
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        layer[target] = max(layer[target], layer[source] + 1)
    targets = {target for _, target in edges}
    for node in range(num_nodes):
        users = [layer[target] for source, target in edges if source == node]
        if node not in targets and users:
            layer[node] = min(users) - 1
    return layer


def arrange(num_nodes: int, edges: Sequence[tuple[int, int]]) -> Arrangement:
    """Boxes and lines without overlap. Edges lead from a smaller number to a larger one."""
    layer = layers_of(num_nodes, edges)
    rows: list[list[tuple[int, int]]] = [[] for _ in range(max(layer, default=-1) + 1)]  # (-1, node) or (edge, layer)
    before: dict[tuple[int, int], list[tuple[int, int]]] = {(-1, node): [] for node in range(num_nodes)}
    for node in range(num_nodes):
        rows[layer[node]].append((-1, node))
    for edge, (source, target) in enumerate(edges):
        last = (-1, source)
        for passed in range(layer[source] + 1, layer[target]):
            rows[passed].append((edge, passed))
            before[edge, passed] = [last]
            last = (edge, passed)
        before[-1, target].append(last)
    middle = _middles(rows, before)
    left = min((middle[-1, node] for node in range(num_nodes)), default=0.0) - BOX_WIDTH / 2 - MARGIN
    right = max(middle.values(), default=0.0) + BOX_WIDTH / 2 + MARGIN
    tops = [MARGIN + row * (BOX_HEIGHT + ROAD) for row in range(len(rows))]
    boxes = [(middle[-1, node] - BOX_WIDTH / 2 - left, float(tops[layer[node]])) for node in range(num_nodes)]
    lines = []
    for edge, (source, target) in enumerate(edges):
        points = [(middle[-1, source] - left, tops[layer[source]] + BOX_HEIGHT)]
        for passed in range(layer[source] + 1, layer[target]):
            x = middle[edge, passed] - left
            points += [(x, tops[passed]), (x, tops[passed] + BOX_HEIGHT)]
        lines.append([*points, (middle[-1, target] - left, tops[layer[target]])])
    height = len(rows) * (BOX_HEIGHT + ROAD) - ROAD + 2 * MARGIN
    return Arrangement(boxes, [[(float(x), float(y)) for x, y in line] for line in lines], right - left, height)


def _middles(
    rows: Sequence[Sequence[tuple[int, int]]], before: Mapping[tuple[int, int], Sequence[tuple[int, int]]]
) -> dict[tuple[int, int], float]:
    """Middles of boxes and slots: each below the first box that leads to it, from left to right as there is room."""
    middle: dict[tuple[int, int], float] = {}
    for row in rows:
        wanted, mean = {}, {}
        for item in row:
            above = [middle[one] for one in before[item]]
            straight = [middle[one] for one in before[item] if one[0] < 0]
            wanted[item] = (straight or above or [0.0])[0]
            mean[item] = sum(above) / len(above) if above else 0.0
        edge = float("-inf")
        for item in sorted(row, key=lambda item: (mean[item], item[0] >= 0, item)):
            half = (BOX_WIDTH if item[0] < 0 else SLOT_WIDTH) / 2
            middle[item] = max(wanted[item], edge + half)
            edge = middle[item] + half + (GAP if item[0] < 0 else 0)
    return middle


def shape_text(shape: Sequence[int]) -> str:
    """1 × 16 × 8 × 8; a single number is a scalar."""
    return " × ".join(map(str, shape)) or "scalar"


def value_text(value: Row, shown: int = SHOWN) -> str:
    """The entries, where there are so few, or what is known of all."""
    if "mean" not in value:
        return "no numbers"
    if len(value.get("entries") or ()) in range(1, shown + 1):
        return ", ".join(number(entry, 3) for entry in value["entries"])
    mean, std, least, most = (number(value[name], 3) for name in ("mean", "std", "least", "most"))
    return f"{mean} ± {std}, {least} to {most}"


def gradient_text(gradient: Row | None, shown: int = SHOWN) -> str:
    """The entries, where there are so few, or the norm."""
    if gradient is None:
        return ""
    if len(gradient.get("entries") or ()) in range(1, shown + 1):
        return ", ".join(number(entry, 3) for entry in gradient["entries"])
    return f"norm {number(gradient['norm'], 3)}"


def kind_text(node: Row) -> str:
    """What kind of thing a node is, where its name does not end with that."""
    last = str(node["name"]).rpartition(".")[2].partition(" #")[0].strip("_")
    return "" if last == node["kind"] else plain(node["kind"])


def _box(place: int, node: Row, at: Point) -> str:
    x, y = at
    role = node["kind"] if node["kind"] in ("input", "target", "loss") else "learned" if node["parameters"] else "fixed"
    kind = squeeze(kind_text(node), LONGEST_KIND)
    name = squeeze(plain(node["name"]), LONGEST_NAME if kind else LONGEST_LINE - LONGEST_KIND // 2)
    back = gradient_text(node["gradient"])
    lines = [shape_text(node["value"]["shape"]), value_text(node["value"]), f"∂L {back}" if back else "no gradient"]
    texts = "".join(
        f'<text x="10" y="{base}" class="{style}">{html.escape(squeeze(line, LONGEST_LINE))}</text>'
        for base, style, line in zip(LINES[1:], ("shape", "value", "back" if back else "none"), lines, strict=True)
    )
    return (
        f'<a href="#node-{place}"><g class="node {role}" transform="translate({x:g} {y:g})">'
        f"<title>{html.escape(plain(node['name']))}: {html.escape(plain(node['kind']))}</title>"
        f'<rect width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>'
        f'<text x="10" y="{LINES[0]}" class="name">{html.escape(name)}</text>'
        f'<text x="{BOX_WIDTH - 10}" y="{LINES[0]}" class="kind">{html.escape(kind)}</text>{texts}</g></a>'
    )


def _line(points: Sequence[Point], edge: Row) -> str:
    (x, y), *rest = points
    path = [f"M{x:g} {y:g}"]
    for number_of, (to_x, to_y) in enumerate(rest):
        bend = (to_y - y) / 2
        path.append(
            f"V{to_y:g}" if number_of % 2 else f"C{x:g} {y + bend:g} {to_x:g} {to_y - bend:g} {to_x:g} {to_y:g}"
        )
        x, y = to_x, to_y
    return f'<path d="{"".join(path)}"><title>{shape_text(edge["shape"])}</title></path>'


def _flow(points: Sequence[Point], edge: Row) -> str:
    """What flows, written beside its line: where it passes the first layer, or half the way."""
    (x, y), (to_x, to_y) = points[1:3] if len(points) > 2 else points
    return (
        f'<text x="{(x + to_x) / 2 + 5:g}" y="{(y + to_y) / 2 + 4:g}" class="flow">{shape_text(edge["shape"])}</text>'
    )
