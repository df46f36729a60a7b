"""Rows survive odd values and torn ends."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.record import Run
from limpid.record.events import EventLog, decode_row, encode_row, read_rows

NAMES = ["spaces in it", "é", "😀", "a\nb", "\x00", "\x1b[31m", "\x9b31m", "\u2028", "\ud800", '"', "\\", "</script>"]


@pytest.mark.parametrize("name", NAMES)
def test_text_survives_and_stays_on_one_printable_line(name: str) -> None:
    row = {"kind": "note", "text": name, name: {name: [name]}}
    line = encode_row(row)
    assert line.count(b"\n") == 1
    assert len(line.decode("utf-8").splitlines()) == 1
    assert all(byte >= 32 and byte != 127 for byte in line[:-1])
    assert decode_row(line) == row


def test_non_finite_numbers_are_strings_on_disk_and_floats_in_memory() -> None:
    row = {"kind": "metric", "loss": math.nan, "interval": {"accuracy": [math.inf, -math.inf]}, "text": "nan"}
    line = encode_row(row)
    assert json.loads(line, parse_constant=pytest.fail) == {
        "kind": "metric", "loss": "nan", "interval": {"accuracy": ["inf", "-inf"]}, "text": "nan"
    }  # fmt: skip
    read = decode_row(line)
    assert read is not None
    assert math.isnan(read["loss"])
    assert read["interval"] == {"accuracy": [math.inf, -math.inf]}
    assert read["text"] == "nan"


def test_numpy_values_and_paths_are_plain() -> None:
    row = {"kind": "x", "a": np.float32(0.5), "b": np.int64(3), "c": np.array([1.0, np.nan]), "d": Path("p"), "e": (1,)}
    read = decode_row(encode_row(row))
    assert read is not None
    assert (read["a"], read["b"], read["d"], read["e"]) == (0.5, 3, "p", [1])
    assert read["c"][0] == 1.0
    assert math.isnan(read["c"][1])
    with pytest.raises(TypeError, match="cannot hold a set"):
        encode_row({"kind": "x", "a": {1}})


values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(min_size=1), values.filter(lambda value: "nan" not in repr(value)), max_size=4))
def test_any_row_survives(fields: dict[str, Any]) -> None:
    row = {**fields, "kind": "any"}
    read = decode_row(encode_row(row))
    assert read is not None
    assert repr(read).replace("'inf'", "inf").replace("'-inf'", "-inf") == repr(row).replace("'inf'", "inf").replace(
        "'-inf'", "-inf"
    )


def test_a_log_cut_at_any_byte_loses_at_most_the_torn_row(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = [encode_row({"kind": "metric", "step": step, "loss": step / 7, "text": "é😀"}) for step in range(8)]
    data = b"".join(lines)
    ends = [sum(len(line) for line in lines[:n]) for n in range(len(lines) + 1)]
    for size in range(len(data) - 300, len(data) + 1):
        path.write_bytes(data[:size])
        num_whole = sum(size >= end - 1 for end in ends[1:])  # a row that lacks only its newline is whole
        assert [row["step"] for row in read_rows(path)] == list(range(num_whole))
        log = EventLog(path)
        log.append({"kind": "metric", "step": 99})
        log.close()
        assert [row["step"] for row in read_rows(path)] == [*range(num_whole), 99]
        assert path.read_bytes().count(b"\n") == num_whole + 1


@pytest.mark.parametrize("line", [b"\x00\x00\x00", b"[1]", b'{"no":1}', b"[" * 100_000, b"\xff{}", b'{"kind":3}', b""])
def test_damage_in_the_middle_costs_only_its_own_line(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(encode_row({"kind": "a"}) + line + b"\n" + encode_row({"kind": "b"}))
    assert [row["kind"] for row in read_rows(path)] == ["a", "b"]


def test_no_file_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "none") == []


def test_going_back_without_a_checkpoint_goes_by_the_steps_of_the_rows(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", {}) as run:
        for step in range(1, 6):
            run.add("metric", step=step)
        run.add("note", text="kept")
        run.add("end", status="stopped", step=3)
        run.truncate_after(3)
        assert [(row["kind"], row.get("step")) for row in run.events()] == [
            ("metric", 1), ("metric", 2), ("metric", 3), ("note", None)
        ]  # fmt: skip


def test_the_log_of_a_finished_run_does_not_go_back(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", {}) as run:
        run.write_checkpoint(5, {"a": b"x"}, keep=1)
        run.add("result", step=4)
        run.add("end", status="finished", step=5)
        run.truncate_after(5)
        assert [row["kind"] for row in run.events()] == ["result", "end"]


def test_going_back_to_a_checkpoint_forgets_exactly_what_came_after_it(tmp_path: Path) -> None:
    """Rows of earlier steps that were logged after the checkpoint are logged again, so they must go too."""
    with Run.create(tmp_path / "run", {}) as run:
        run.add("metric", step=1)
        run.write_checkpoint(5, {"a": b"x"}, keep=1)
        before = (tmp_path / "run" / "events.jsonl").read_bytes()
        run.add("checkpoint", step=5)
        run.add("metric", step=3)
        run.add("metric", step=5, split="valid")
        run.add("metric", step=6)
        run.add("note", text="kept")
        run.add("result", step=4)
        run.add("end", status="stopped", step=5)
        run.truncate_after(5)
        run.add("metric", step=3)
        kept = run.events()
    assert [(row["kind"], row.get("step")) for row in kept] == [
        ("metric", 1), ("checkpoint", 5), ("note", None), ("metric", 3)
    ]  # fmt: skip
    assert (tmp_path / "run" / "events.jsonl").read_bytes().startswith(before)
