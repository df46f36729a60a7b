"""A run folder is made once, opened by anybody, and refused clearly when it is something else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from limpid.errors import RecordError
from limpid.record import FORMAT, Run, new_run_path
from limpid.record import run as run_module

HEADER = {"id": "abc", "seed": 3, "config": {"optim": {"lr": 0.1}}, "data": {"classes": ["nan", "é", "\ud800"]}}


def test_what_was_created_is_opened(tmp_path: Path) -> None:
    with Run.create(tmp_path / "a" / "run", HEADER) as run:
        run.add("metric", split="train", loss=0.5)
        run.add("note", text="x")
    opened = Run.open(tmp_path / "a" / "run")
    assert opened.header == {"format": FORMAT, **HEADER}
    assert opened.id == "abc"
    assert [row["kind"] for row in opened.events()] == ["metric", "note"]
    assert [row["loss"] for row in opened.events("metric")] == [0.5]
    when = datetime.fromisoformat(opened.events()[0]["time"])
    assert abs((datetime.now(UTC) - when).total_seconds()) < 60
    with pytest.raises(AssertionError):
        opened.add("note")


def test_ids_differ(tmp_path: Path) -> None:
    ids = set()
    for number in range(20):
        with Run.create(tmp_path / str(number), {}) as run:
            ids.add(run.id)
    assert len(ids) == 20


def test_an_occupied_folder_is_not_taken(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", {}) as run:
        before = (run.path / "run.json").read_bytes()
    with pytest.raises(RecordError, match="holds a run already.*--resume"):
        Run.create(tmp_path / "run", {})
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("x")
    with pytest.raises(RecordError, match=r"not empty \(it holds cat\.jpg\)"):
        Run.create(tmp_path / "photos", {})
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecordError, match="is a file"):
        Run.create(tmp_path / "file", {})
    with pytest.raises(RecordError, match="Not a directory"):
        Run.create(tmp_path / "file" / "run", {})


def test_things_that_are_not_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such run folder"):
        Run.open(tmp_path / "none")
    with pytest.raises(RecordError, match=r"holds no run\.json"):
        Run.open(tmp_path, write=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "weights.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(RecordError, match="is a file; expected a run folder"):
        Run.open(tmp_path / "weights.pt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"format": 7, "id": "x"}), "written in format 7; this version reads 1"),
        (json.dumps({"format": True, "id": "x"}), "written in format True; this version reads 1"),
        (json.dumps({"id": "x"}), "written in format None"),
        (json.dumps({"format": 1}), "does not name the run's id"),
        ('{"format": 1, "id": "x"', "damaged"),
        ('{"format": 1, "format": 1, "id": "x"}', "the key 'format' stands twice"),
        ("[]", "expected a JSON object, found list"),
        ("[" * 200_000, "nested too deeply"),
        ("", "damaged"),
    ],
)
def test_a_header_of_another_format_or_damaged_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.json").write_text(text)
    for write in (False, True):
        with pytest.raises(RecordError, match=message) as error:
            Run.open(tmp_path, write=write)
        assert str(tmp_path) in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_header_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "run.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(RecordError, match="at most"):
        Run.open(tmp_path)


def test_new_run_paths_are_readable_ascii_and_exclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5)
    path = new_run_path(tmp_path / "runs", "../Ünï côde (v2).csv", "ResNet-20", now)
    assert path.parent == tmp_path / "runs"
    assert path.is_dir()
    assert path.name[:-4] == "20260102-030405-uni-code-v2-csv-resnet-20-"
    assert new_run_path(tmp_path, "数据", "\x1b[31m", now).name.startswith("20260102-030405-x-31m-")

    drawn = iter(["aaaa", "aaaa", "aaaa", "bbbb"])
    with monkeypatch.context() as patch:
        patch.setattr(run_module.secrets, "token_hex", lambda size: next(drawn))
        first, second = (new_run_path(tmp_path, "d", "m", now) for _ in range(2))
    assert (first.name[-4:], second.name[-4:]) == ("aaaa", "bbbb")
    with Run.create(second, {}) as run:
        assert run.path == second


def test_a_folder_that_cannot_be_made_is_an_error_and_not_a_loop(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecordError):
        new_run_path(tmp_path / "file", "d", "m", datetime(2026, 1, 1))
