"""What the run was made of, as plain values for the template: layers, configuration, data, machine, speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limpid.reporting.reading import Reading, Row
from limpid.reporting.text import label, number, percent, plain, rate, seconds, value_text

MOST_LAYER_ROWS = 400
MOST_ENTRIES = 60  # of a list in the data summary
LONGEST_LINE = 80  # characters of a list or mapping that is shown as one line
MOST_ROWS = 200  # of a table in the data summary


def layer_rows(reading: Reading) -> tuple[list[Row], Row, int]:
    """The layer table, its totals, and how many rows were left out."""
    model = reading.header.get("model") or {}
    layers = [layer for layer in model.get("layers") or () if isinstance(layer, Mapping)]
    rows = [
        {
            "name": plain(layer.get("name", "")),
            "kind": plain(layer.get("kind", "")),
            "shape": _shape(layer.get("output_shape")),
            "field": _shape(layer.get("receptive_field") or None),
            "parameters": _count(layer.get("parameters")),
            "macs": _count(layer.get("macs")),
            "frozen": bool(layer.get("parameters")) and layer.get("trainable") is False,
        }
        for layer in layers[:MOST_LAYER_ROWS]
    ]
    total = {
        key: _count(model[key] if isinstance(model.get(key), int) else sum(layer.get(key) or 0 for layer in layers))
        for key in ("parameters", "macs")
    }
    return rows, total, max(0, len(layers) - MOST_LAYER_ROWS)


def model_lines(reading: Reading) -> list[str]:
    """Where the weights came from, and what of them was frozen when training began."""
    model = reading.header.get("model") or {}
    start = model.get("start")
    lines = [plain(start.get("text", ""))] if isinstance(start, Mapping) else []
    total, learning = model.get("parameters"), model.get("trainable")
    if isinstance(total, int) and isinstance(learning, int) and learning < total:
        lines.append(f"frozen when training began: {number(total - learning)} of {number(total)} parameters")
    return lines


def _shape(shape: Any) -> str:
    if isinstance(shape, Sequence) and not isinstance(shape, str):
        return " × ".join(plain(side) for side in shape)
    return "" if shape is None else plain(shape)


def _count(value: Any) -> str:
    return number(value) if isinstance(value, int) else ""


def config_sections(reading: Reading) -> list[Row]:
    """Every resolved option by section: what the user gave is marked, what was chosen has its reason."""
    config, given = reading.header.get("config") or {}, reading.header.get("given") or {}
    reasons = reading.header.get("reasons") or {}
    sections = []
    for section, options in config.items():
        if not isinstance(options, Mapping):
            continue
        set_by_user = given.get(section) if isinstance(given.get(section), Mapping) else {}
        rows = [
            {"key": plain(key), "value": value_text(value), "given": key in (set_by_user or {})}
            | {"reason": plain(reasons.get(f"{section}.{key}", ""))}
            for key, value in options.items()
        ]
        sections.append({"name": plain(section), "rows": rows})
    return sections


def data_blocks(reading: Reading) -> list[Row]:
    """The data spec and summary: a list of {"title", "pairs" | "table" | "lines"}."""
    data = reading.data
    pairs = [("name", data.get("name")), ("kind", data.get("kind")), ("task", data.get("task"))]
    pairs += [("input shape", _shape(data.get("input_shape"))), ("outputs", data.get("num_outputs"))]
    splits = {name: data.get(f"num_{name}") for name in ("train", "valid", "test")}
    counted = [f"{name} {number(rows)}" for name, rows in splits.items() if isinstance(rows, int)]
    pairs.append(("rows", ", ".join(counted)))
    if data.get("target_names"):
        pairs.append(("target", value_text(data["target_names"])))
    pairs.append(("fingerprint", reading.header.get("fingerprint")))
    known = [(name, value_text(value)) for name, value in pairs if value not in (None, "", ())]
    blocks: list[Row] = [{"title": "", "pairs": known}]
    counts = data.get("class_counts") or ()
    if counts and reading.task != "regression":
        several = reading.task == "multilabel"  # then the shares do not add up to one
        total = max(1, data.get("num_train") or 1 if several else sum(counts))
        named = zip(reading.classes, counts, strict=False)
        rows = [[plain(name), number(count), percent(count / total)] for name, count in named]
        table = {"head": ["label" if several else "class", "rows", "share"], "rows": rows[:MOST_ROWS]}
        blocks.append({"title": "Training rows per label" if several else "Training rows per class", "table": table})
    summary = reading.header.get("summary") or {}
    told = {key: value for key, value in summary.items() if key not in ("task", "target")}  # the spec's are shown
    nested = {key: value for key, value in told.items() if not _is_short(key, value)}
    flat = [(label(key), value_text(value)) for key, value in told.items() if key not in nested]
    if flat:
        blocks.append({"title": "What was read", "pairs": flat})
    blocks += [_block(label(key), value) for key, value in nested.items() if value]
    return blocks


def _is_short(key: str, value: Any) -> bool:
    """Whether a value fits on one line beside its name."""
    if isinstance(value, Mapping | list | tuple):
        entries = value.values() if isinstance(value, Mapping) else value
        flat = not any(isinstance(entry, Mapping | list | tuple) for entry in entries)
        return flat and key != "notes" and 0 < len(value_text(value)) <= LONGEST_LINE
    return True


def _block(title: str, value: Any) -> Row:
    """A mapping as pairs, a list of mappings (or a mapping of mappings) as a table, any other list as lines."""
    if isinstance(value, Mapping) and all(isinstance(entry, Mapping) for entry in value.values()):
        value = [{"name": key, **entry} for key, entry in value.items()]
    if isinstance(value, Mapping):
        pairs = [(plain(key), value_text(entry)) for key, entry in value.items()]
        return {"title": title, "pairs": pairs[:MOST_ROWS]}
    if all(isinstance(entry, Mapping) for entry in value):
        head = list(dict.fromkeys(key for entry in value for key in entry))
        cells = [[entry.get(key) for key in head] for entry in value[:MOST_ROWS]]
        rows = [["" if cell is None else value_text(cell) for cell in row] for row in cells]
        return {"title": title, "table": {"head": [label(key) for key in head], "rows": rows}}
    lines = [value_text(entry) for entry in value[:MOST_ENTRIES]]
    if len(value) > MOST_ENTRIES:
        lines.append(f"and {len(value) - MOST_ENTRIES} more")
    return {"title": title, "lines": lines}


def machine_pairs(reading: Reading) -> list[tuple[str, str]]:
    """Versions, machine, seed and the digest of the final weights."""
    header = reading.header
    pairs = [("limpid", header.get("limpid"))]
    pairs += [(label(key), value) for key, value in (header.get("machine") or {}).items()]
    pairs += [("seed", header.get("seed")), ("created", header.get("created")), ("run", header.get("id"))]
    pairs.append(("SHA-256 of the final weights", (reading.end or {}).get("digest")))
    return [(name, value_text(value)) for name, value in pairs if value is not None]


def speed_pairs(reading: Reading) -> list[tuple[str, str]]:
    """Throughput beside the machine's floor."""
    row = reading.throughput or {}
    words = {
        "samples_per_second": ("training throughput", rate),
        "floor_samples_per_second": ("what the machine's arithmetic would allow", rate),
        "share_of_floor": ("share of that reached", percent),
        "seconds_training": ("in training steps", seconds),
        "seconds_total": ("whole run", seconds),
    }
    return [(name, form(row[key])) for key, (name, form) in words.items() if isinstance(row.get(key), int | float)]
