"""What a network makes of one row, as one self-contained page, and the numbers behind it as JSON beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpid.errors import ConfigError
from limpid.record.files import write_file
from limpid.record.run import Run
from limpid.reporting.graph_drawing import draw, gradient_text, kind_text, shape_text, value_text
from limpid.reporting.page import content_policy, markup, template
from limpid.reporting.png import data_uri, stretch
from limpid.reporting.progress import json_line
from limpid.reporting.text import number, plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HERE = Path(__file__).parent
PAGE = "explanation.html"
MOST_DRAWN = 800  # boxes; the tables hold all
ALL_ENTRIES = 12  # that a table shows one by one


def write_explanation(
    run: Run,
    sample: dict[str, Any],
    views: dict[str, Any],
    path: Path | None = None,
    *,
    picture: NDArray[np.uint8] | None = None,
) -> Path:
    """Write the page (explanation.html of the run, unless told) and the numbers, with the ending .json; its path.

    Args:
        sample: split, row and name of what is explained.
        views: numbers of each view by name, see interpret/views.py.
        picture: of an image, (H, W, C).

    Raises ConfigError when the path does not end in .html.
    """
    path = path or run.path / PAGE
    if path.suffix != ".html":
        raise ConfigError(f"--out {path}: expected a file that ends in .html; the numbers go beside it, as .json.")
    page = render_explanation(run.header, sample, views, picture)
    write_file(path, page.encode("utf-8", errors="backslashreplace"))
    write_file(path.with_suffix(".json"), f"{json_line({'run': run.id, **sample, **views})}\n".encode())
    return path


def render_explanation(
    header: dict[str, Any], sample: dict[str, Any], views: dict[str, Any], picture: NDArray[np.uint8] | None = None
) -> str:
    """The whole page as text."""
    style = "".join((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "explanation.css"))
    data, graph = header.get("data") or {}, views["computation"]
    drawn = len(graph["nodes"]) <= MOST_DRAWN
    return template("explanation.html.j2").render(
        policy=content_policy(),
        style=markup(style),
        title=(plain(data.get("name", "data")), plain((header.get("model") or {}).get("name") or "model")),
        sample={name: plain(value) for name, value in sample.items()},
        picture=None if picture is None else data_uri(stretch(picture[None])[0]),
        cards=_cards(data, sample, graph),
        remarks=[plain(remark) for remark in graph["remarks"]],
        untraced=plain(graph["untraced"]),
        drawing=markup(draw(graph)) if drawn else None,
        counts=(len(graph["nodes"]), len(graph["edges"])),
        nodes=[_node_row(place, node, graph["nodes"]) for place, node in enumerate(graph["nodes"])],
        parameters=[_parameter_row(row, graph["nodes"]) for row in graph["parameters"]],
    )


def _cards(data: dict[str, Any], sample: dict[str, Any], graph: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, value, detail) of the head."""
    nodes = graph["nodes"]
    target = nodes[-2]["value"]
    cards = [("loss of the row", number(graph["loss"]), "that of training, without penalties")]
    classes, entries = list(data.get("classes") or ()), list(target.get("entries") or ())
    if data.get("task") == "classification" and len(entries) == 1 and classes:
        wanted = plain(classes[int(entries[0])])
        scores = graph["outputs"].get("entries") or ()
        answered = f"answer: {plain(classes[scores.index(max(scores))])}" if scores else "see the last layer"
        cards.append(("class", wanted, answered))
    else:
        cards.append(("target", value_text(target, ALL_ENTRIES), shape_text(target["shape"])))
    learned = sum(row["count"] for row in graph["parameters"])
    cards.append(("nodes", f"{len(nodes):,}", f"{len(graph['edges']):,} edges"))
    count = len(graph["parameters"])
    cards.append(("parameters", f"{learned:,}", f"in {count:,} tensor{'s' * (count != 1)}"))
    return cards


def _node_row(place: int, node: dict[str, Any], nodes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "place": place,
        "name": plain(node["name"]),
        "kind": kind_text(node),
        "shape": shape_text(node["value"]["shape"]),
        "value": value_text(node["value"], ALL_ENTRIES),
        "gradient": gradient_text(node["gradient"], ALL_ENTRIES),
        "sources": [(source, plain(nodes[source]["name"])) for source in node["sources"]],
    }


def _parameter_row(row: dict[str, Any], nodes: list[dict[str, Any]]) -> dict[str, Any]:
    gradient = row["gradient"]
    return {
        "name": plain(row["name"]),
        "shape": shape_text(row["shape"]),
        "count": f"{row['count']:,}",
        "norm": number(row["norm"]),
        "gradient": "" if gradient is None else number(gradient["norm"]),
        "nodes": [(place, plain(nodes[place]["name"])) for place in row["nodes"]],
    }
