"""Graphs as SVG: nothing overlaps, no line runs through a box, and foreign names stay text."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from limpid.reporting.graph_drawing import BOX_HEIGHT, BOX_WIDTH, arrange, draw, layers_of, shape_text, value_text

CHAIN = [(0, 1), (1, 2), (2, 3)]
SKIP = [*CHAIN, (1, 3), (3, 4), (3, 5), (4, 6), (5, 6), (0, 6)]


def random_edges(seed: int, count: int) -> list[tuple[int, int]]:
    chance = random.Random(seed)
    return sorted({(chance.randrange(node), node) for node in range(1, count) for _ in range(chance.randint(1, 3))})


def test_layers_are_the_longest_ways_and_what_starts_late_stands_late() -> None:
    assert layers_of(7, SKIP) == [0, 1, 2, 3, 4, 4, 5]
    assert layers_of(5, [(0, 1), (1, 2), (3, 4), (2, 4)]) == [0, 1, 2, 2, 3]  # 3 is a target beside the last layer
    assert layers_of(2, []) == [0, 0]


def test_a_chain_is_one_straight_column() -> None:
    placed = arrange(4, CHAIN)
    assert len({x for x, _ in placed.boxes}) == 1
    assert all(len(line) == 2 and line[0][0] == line[1][0] for line in placed.lines)


@pytest.mark.parametrize(
    ("count", "edges"),
    [(7, SKIP), (3, []), *((30, random_edges(seed, 30)) for seed in range(5))],
    ids=["skip", "none", *(f"random-{seed}" for seed in range(5))],
)
def test_nothing_overlaps_and_lines_pass_beside_boxes(count: int, edges: list[tuple[int, int]]) -> None:
    placed = arrange(count, edges)
    for i, (x, y) in enumerate(placed.boxes):
        assert 0 <= x <= placed.width - BOX_WIDTH
        assert 0 <= y <= placed.height - BOX_HEIGHT
        for other_x, other_y in placed.boxes[:i]:
            assert y != other_y or abs(x - other_x) >= BOX_WIDTH
    for (source, target), points in zip(edges, placed.lines, strict=True):
        assert points[0] == (placed.boxes[source][0] + BOX_WIDTH / 2, placed.boxes[source][1] + BOX_HEIGHT)
        assert points[-1] == (placed.boxes[target][0] + BOX_WIDTH / 2, placed.boxes[target][1])
        heights = [y for _, y in points]
        assert heights == sorted(heights)
        for (x, y), (end, below) in zip(points[1:-1:2], points[2:-1:2], strict=True):  # straight down past a layer
            assert x == end
            assert below - y == BOX_HEIGHT
            assert not any(top == y and left <= x <= left + BOX_WIDTH for left, top in placed.boxes)


def node(name: str, **changes: Any) -> dict[str, Any]:
    value = {"shape": [1, 3], "mean": 0.5, "std": 0.1, "least": 0.25, "most": 1.0}
    return {"name": name, "kind": "Linear", "value": value, "gradient": None, "parameters": [], **changes}


def test_the_drawing_is_well_formed_whatever_the_names() -> None:
    hostile = '</svg><script>alert(1)</script>"\x1b[31m\u202e'
    nodes = [node("input", kind="input"), node(hostile, kind=hostile, gradient={"norm": float("nan")})]
    text = draw({"nodes": nodes, "edges": [{"source": 0, "target": 1, "shape": [1, 3]}]})
    root = ET.fromstring(text)
    assert len(root.findall(".//rect")) == 2
    assert len(root.findall(".//path")) == 1
    assert not root.findall(".//script")
    assert "\u202e" not in text
    assert "norm nan" in text
    assert "no gradient" in text


def test_words_for_shapes_and_values() -> None:
    assert shape_text([1, 16, 8]) == "1 × 16 × 8"
    assert shape_text([]) == "scalar"
    assert value_text({"shape": [0]}) == "no numbers"
    assert value_text(node("x")["value"]) == "0.5 ± 0.1, 0.25 to 1"
    assert value_text(node("x")["value"] | {"entries": [0.25, 1.0]}) == "0.25, 1"
