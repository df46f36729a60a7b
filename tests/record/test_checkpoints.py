"""A checkpoint is used only when every byte is proven; damaged ones are passed over, and it is said."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from limpid.errors import CheckpointError
from limpid.record import Run, checkpoints, files

CONTENTS = {"model.safetensors": bytes(range(256)) * 2, "state.json": b'{"x": 1}', "empty": b""}


@pytest.fixture
def run(tmp_path: Path) -> Any:
    with Run.create(tmp_path / "run", {"id": "this-run"}) as run:
        run.write_checkpoint(10, {**CONTENTS, "state.json": b'{"x": 0}'}, keep=2)
        run.write_checkpoint(20, CONTENTS, keep=2)
        yield run


def folder_of(run: Run) -> Path:
    return run.path / "checkpoints"


def step_names(run: Run) -> list[str]:
    return sorted(path.name for path in folder_of(run).iterdir())


def test_what_was_written_is_read(run: Run) -> None:
    found = run.latest_checkpoint()
    assert found is not None
    assert (found.step, found.skipped) == (20, [])
    assert {name: found.read(name) for name in found.files} == CONTENTS
    with pytest.raises(CheckpointError, match=r"has no best\.safetensors; it has empty, model\.safetensors"):
        found.read("best.safetensors")


def test_a_run_without_checkpoints_has_none(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", {}) as run:
        assert run.latest_checkpoint() is None


@pytest.mark.parametrize("name", [*CONTENTS, "MANIFEST.json"])
def test_a_file_of_another_size_is_found_and_the_one_before_is_used(run: Run, name: str) -> None:
    path = folder_of(run) / "00000020" / name
    data = path.read_bytes()
    for altered in {data[:0], data[:1], data[: len(data) // 2], data[:-1], data + b"\0", None} - {data}:
        if altered is None:
            path.unlink()
        else:
            path.write_bytes(altered)
        found = run.latest_checkpoint()
        assert found is not None
        assert found.step == 10
        assert len(found.skipped) == 1
        assert str(path) in found.skipped[0]


def flipped_bits_found(run: Run, num_flips: int) -> int:
    choose = random.Random(0)
    paths = [path for path in (folder_of(run) / "00000020").iterdir() if path.stat().st_size]
    num_found = 0
    for _ in range(num_flips):
        path = choose.choice(paths)
        data = path.read_bytes()
        altered = bytearray(data)
        altered[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
        path.write_bytes(altered)
        found = run.latest_checkpoint()
        num_found += found is not None and found.step == 10 and str(path.parent) in found.skipped[0]
        path.write_bytes(data)
    return num_found


def test_every_flipped_bit_is_found(run: Run) -> None:
    assert flipped_bits_found(run, 200) == 200


def test_without_hashing_flipped_bits_would_not_be_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above."""

    class Blind:
        def __init__(self, data: bytes) -> None: ...
        def hexdigest(self) -> str:
            return "0" * 64

    monkeypatch.setattr(checkpoints.hashlib, "sha256", Blind)
    shutil.rmtree(folder_of(run) / "00000020")
    shutil.rmtree(folder_of(run) / "00000010")
    run.write_checkpoint(10, CONTENTS, keep=2)
    run.write_checkpoint(20, CONTENTS, keep=2)
    assert flipped_bits_found(run, 50) < 50


def test_damage_after_the_search_is_found_when_reading(run: Run) -> None:
    found = run.latest_checkpoint()
    assert found is not None
    path = found.path / "model.safetensors"
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    with pytest.raises(CheckpointError, match="SHA-256"):
        found.read("model.safetensors")


def test_when_all_are_damaged_each_is_named(run: Run) -> None:
    for step in ("00000010", "00000020"):
        (folder_of(run) / step / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError) as error:
        run.latest_checkpoint()
    assert "00000010" in str(error.value)
    assert "00000020" in str(error.value)


def test_the_newest_is_the_highest_step_whatever_the_clock_said(run: Run) -> None:
    os.utime(folder_of(run) / "00000010", (4e9, 4e9))
    os.utime(folder_of(run) / "00000020", (0, 0))
    found = run.latest_checkpoint()
    assert found is not None
    assert found.step == 20
    run.write_checkpoint(100_000_000, CONTENTS, keep=2)
    assert step_names(run) == ["00000020", "100000000"]
    assert run.latest_checkpoint().step == 100_000_000  # type: ignore[union-attr]


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_are_kept(run: Run, keep: int) -> None:
    for step in (30, 40):
        run.write_checkpoint(step, CONTENTS, keep=keep)
    assert step_names(run) == ["00000010", "00000020", "00000030", "00000040"][-keep:] or keep == 3
    assert len(step_names(run)) <= 3


def test_a_second_checkpoint_of_a_step_replaces_the_first(run: Run) -> None:
    path = run.write_checkpoint(20, {"a": b"second"}, keep=2)
    assert step_names(run) == ["00000010", path.name]
    assert run.latest_checkpoint().read("a") == b"second"  # type: ignore[union-attr]
    (path / "a").write_bytes(b"damage")
    run.write_checkpoint(20, {"a": b"third"}, keep=2)
    assert run.latest_checkpoint().read("a") == b"third"  # type: ignore[union-attr]


def test_damaged_later_ones_go_only_once_an_earlier_run_has_passed_them(run: Run) -> None:
    (folder_of(run) / "00000020" / "model.safetensors").write_bytes(b"")
    assert run.latest_checkpoint().step == 10  # type: ignore[union-attr]
    run.write_checkpoint(15, CONTENTS, keep=2)
    assert step_names(run) == ["00000010", "00000015"]


def test_a_checkpoint_of_another_run_is_not_used(run: Run, tmp_path: Path) -> None:
    with Run.create(tmp_path / "other", {}) as other:
        other.write_checkpoint(30, CONTENTS, keep=2)
        shutil.copytree(folder_of(other) / "00000030", folder_of(run) / "00000030")
    found = run.latest_checkpoint()
    assert found is not None
    assert found.step == 20
    assert "belongs to run" in found.skipped[0]


def test_a_renamed_checkpoint_is_not_used(run: Run) -> None:
    (folder_of(run) / "00000020").rename(folder_of(run) / "00000099")
    assert run.latest_checkpoint().step == 10  # type: ignore[union-attr]


def test_a_copied_run_folder_is_a_run(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "copy")
    found = Run.open(tmp_path / "copy").latest_checkpoint()
    assert found is not None
    assert (found.step, found.skipped) == (20, [])


def test_leftovers_go_when_a_writer_opens_and_strangers_stay(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with Run.create(path, {}) as run:
        run.write_checkpoint(1, CONTENTS, keep=1)
    for name in (files.temporary_name("tmp"), files.temporary_name("trash")):
        (path / "checkpoints" / name).mkdir()
        (path / "checkpoints" / name / "x").write_text("x")
    (path / files.temporary_name("tmp")).write_text("x")
    (path / "checkpoints" / ".tmp-mine").mkdir()
    Run.open(path)
    assert len(list((path / "checkpoints").iterdir())) == 4
    Run.open(path, write=True).close()
    assert sorted(child.name for child in (path / "checkpoints").iterdir()) == [".tmp-mine", "00000001"]
    assert sorted(child.name for child in path.iterdir()) == [".lock", "checkpoints", "events.jsonl", "run.json"]


def write_manifest(run: Run, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    (folder_of(run) / "00000020" / "MANIFEST.json").write_bytes(data)


DIGEST_OF_X = hashlib.sha256(b"x").hexdigest()


def manifest_with(name: str, size: Any = 1, digest: Any = DIGEST_OF_X) -> str:
    """As we would write it, self-consistent where that can be."""
    entries = {name: {"size": size, "sha256": digest}}
    manifest = {"format": 1, "run": "this-run", "step": 20, "events_size": 0, "files": entries}
    own = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
    return json.dumps({**manifest, "sha256": own}, indent=1) + "\n"


HOSTILE = {
    "parent folder": manifest_with("../../../secret"),
    "absolute": manifest_with("/etc/passwd"),
    "backslash": manifest_with("..\\secret"),
    "dots": manifest_with(".."),
    "hidden": manifest_with(".lock"),
    "nul": manifest_with("a\0b"),
    "itself": manifest_with("MANIFEST.json"),
    "no files": manifest_with("a").replace('"a": {', '"b": {}, "a": {'),
    "huge size": manifest_with("model.safetensors", 2 * 2**30),
    "negative size": manifest_with("empty", -1),
    "boolean size": manifest_with("empty", True),
    "no digest": manifest_with("empty", 0, None),
    "list": "[]",
    "deep": '{"files": ' + "[" * 200_000,
    "repeated key": manifest_with("empty").replace('"format": 1', '"format": 1, "format": 1'),
    "other format": manifest_with("empty").replace('"format": 1', '"format": 2'),
    "not text": b"\x80\x04\x95",
    "too long": b" " * (2**20 + 1),
}


def test_a_manifest_made_like_ours_is_believed(run: Run) -> None:
    """The control of the test below: what is refused there is not refused for its form."""
    write_manifest(
        run, manifest_with("model.safetensors", 512, hashlib.sha256(CONTENTS["model.safetensors"]).hexdigest())
    )
    assert run.latest_checkpoint().step == 20  # type: ignore[union-attr]


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_manifest_is_refused(run: Run, tmp_path: Path, case: str) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    write_manifest(run, HOSTILE[case])
    found = run.latest_checkpoint()
    assert found is not None
    assert found.step == 10
    assert "MANIFEST.json" in found.skipped[0] or "model.safetensors" in found.skipped[0]


def test_links_and_pipes_are_not_followed(run: Run, tmp_path: Path) -> None:
    path = folder_of(run) / "00000020" / "model.safetensors"
    (tmp_path / "elsewhere").write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert run.latest_checkpoint().step == 10  # type: ignore[union-attr]
    path.unlink()
    os.mkfifo(path)
    assert run.latest_checkpoint().step == 10  # type: ignore[union-attr]
    shutil.rmtree(folder_of(run) / "00000020")
    (folder_of(run) / "00000020").symlink_to(folder_of(run) / "00000010")
    found = run.latest_checkpoint()
    assert found is not None
    assert (found.step, found.path.name) == (10, "00000010")
