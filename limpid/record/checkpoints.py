"""Checkpoints of a run: folders named by step, each proven by a manifest of sizes and SHA-256 digests, also its own.

    checkpoints/00001200/   *.safetensors, state.json, ...   MANIFEST.json, written last

A checkpoint is built under a temporary name, forced to the disk and renamed: a crash leaves it complete or invisible.
The newest is found by looking at names and contents, never by a pointer or a modification time, and a damaged one is
passed over for the one before. A second checkpoint of the same step becomes 00001200-1: the first stays valid until
the second is proven.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limpid.errors import CheckpointError, RecordError
from limpid.record import files
from limpid.record.strict_json import parse_json, read_regular

FORMAT = 1
MANIFEST = "MANIFEST.json"

_FOLDER_NAME = re.compile(r"([0-9]{8,18})(?:-([0-9]{1,9}))?")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_LARGEST_MANIFEST = 2**20  # bytes; ours are under one kilobyte


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose every byte agreed with its manifest when it was found.

    `skipped` holds one message for each newer one that did not.
    """

    path: Path
    step: int
    events_size: int  # bytes of events.jsonl that were written before it
    files: dict[str, tuple[int, str]]  # name -> (size in bytes, SHA-256 in hexadecimal)
    skipped: list[str] = field(default_factory=list)

    def read(self, name: str) -> bytes:
        """The bytes of one file, proven again as they are read. Raises CheckpointError."""
        if name not in self.files:
            raise CheckpointError(f"{self.path}: the checkpoint has no {name}; it has {', '.join(sorted(self.files))}.")
        size, digest = self.files[name]
        data = _read(self.path / name, limit=size)
        if len(data) != size:
            raise CheckpointError(f"{self.path / name} is damaged: {len(data):,} of {size:,} bytes are left.")
        if hashlib.sha256(data).hexdigest() != digest:
            raise CheckpointError(f"{self.path / name} is damaged: its SHA-256 is not the one in {MANIFEST}.")
        return data


def write_checkpoint(
    folder: Path, run_id: str, step: int, contents: dict[str, bytes], *, events_size: int
) -> Checkpoint:
    """Write, force, rename and read back one checkpoint; the run's lock must be held.

    Raises DiskFull or RecordError when it could not be written, CheckpointError when what was read back differs. The
    checkpoints before it are untouched in every case.
    """
    assert contents, "a checkpoint needs at least one file"
    assert all(_is_file_name(name) for name in contents), f"not file names: {sorted(contents)}"
    files.make_folder(folder, exist_ok=True)
    entries = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()}
    temporary = folder / files.temporary_name("tmp")
    try:
        files.make_folder(temporary)
        for name, data in contents.items():
            files.write_new(temporary / name, data)
        files.write_new(temporary / MANIFEST, _encode_manifest(run_id, step, events_size, entries))
        files.sync_folder(temporary)
        final = folder / _next_name(folder, step)
        files.rename(temporary, final)
    except RecordError:
        _discard(temporary)
        raise
    return verify(final, run_id)


def find_latest(folder: Path, run_id: str) -> Checkpoint | None:
    """The newest checkpoint that verifies, or None when none was ever completed.

    Raises CheckpointError, with what is wrong with each, when there are some but none verifies.
    """
    skipped: list[str] = []
    for _, _, path in reversed(_list(folder)):
        try:
            found = verify(path, run_id)
        except CheckpointError as error:
            skipped.append(f"Skipped a checkpoint: {error}")
        else:
            found.skipped.extend(skipped)
            return found
    if skipped:
        raise CheckpointError("\n".join([f"{folder}: no checkpoint of this run is intact.", *skipped]))
    return None


def verify(path: Path, run_id: str) -> Checkpoint:
    """Compare every byte of a checkpoint folder with its manifest. Raises CheckpointError naming the file."""
    checkpoint = _read_manifest(path, run_id)
    for name in sorted(checkpoint.files):
        checkpoint.read(name)
    return checkpoint


def retain(folder: Path, newest: Checkpoint, keep: int) -> list[str]:
    """Remove all but the `keep` newest checkpoints, `newest` (just proven) always among the kept.

    Those of later steps than `newest` go too: the run went back behind them because they were damaged. Returns a
    message for each that could not be removed; the next call tries again.
    """
    others = [path for _, _, path in reversed(_list(folder)) if path != newest.path]
    older = [path for step, _, path in reversed(_list(folder)) if step < newest.step]
    problems = []
    for path in others:
        if path not in older[: keep - 1]:
            trash = folder / files.temporary_name("trash")
            try:
                files.rename(path, trash)
                files.remove_tree(trash)
            except RecordError as error:
                problems.append(f"An old checkpoint could not be removed: {error}")
    return problems


def remove_leftovers(folder: Path) -> None:
    """Remove what a crash left half-written or half-removed; the run's lock must be held."""
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if files.is_temporary(path.name):
                files.remove_tree(path)


def _list(folder: Path) -> list[tuple[int, int, Path]]:
    """(step, revision, path) of everything named like a checkpoint, oldest first."""
    found = []
    if folder.is_dir():
        for path in folder.iterdir():
            match = _FOLDER_NAME.fullmatch(path.name)
            if match and path.is_dir() and not path.is_symlink():
                found.append((int(match[1]), int(match[2] or 0), path))
    return sorted(found)


def _next_name(folder: Path, step: int) -> str:
    taken = [revision for other, revision, _ in _list(folder) if other == step]
    return f"{step:08d}-{max(taken) + 1}" if taken else f"{step:08d}"


def _encode_manifest(run_id: str, step: int, events_size: int, entries: dict[str, tuple[int, str]]) -> bytes:
    listed = {name: {"size": size, "sha256": digest} for name, (size, digest) in sorted(entries.items())}
    manifest = {"format": FORMAT, "run": run_id, "step": step, "events_size": events_size, "files": listed}
    digest = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
    return (json.dumps({**manifest, "sha256": digest}, indent=1) + "\n").encode()


def _read_manifest(path: Path, run_id: str) -> Checkpoint:
    """The manifest's claims, checked for form but not yet against the files."""
    origin = path / MANIFEST
    data = _read(origin, limit=_LARGEST_MANIFEST)
    try:
        manifest = parse_json(data, str(origin))
    except RecordError as error:
        raise CheckpointError(str(error)) from None
    if manifest.get("format") != FORMAT:
        raise CheckpointError(f"{origin}: format {manifest.get('format')!r}; this version reads {FORMAT}.")
    if manifest.get("run") != run_id:
        raise CheckpointError(f"{origin}: it belongs to run {manifest.get('run')!r}, not to {run_id!r}.")
    step, events_size = manifest.get("step"), manifest.get("events_size")
    match = _FOLDER_NAME.fullmatch(path.name)
    if type(step) is not int or type(events_size) is not int or match is None or int(match[1]) != step:
        raise CheckpointError(f"{origin} is damaged: step {step!r} of the folder {path.name}.")
    entries = _read_entries(manifest.get("files"), origin)
    if _encode_manifest(run_id, step, events_size, entries) != data:  # any other bytes were not written by us
        raise CheckpointError(f"{origin} is damaged: it was altered after it was written.")
    return Checkpoint(path, step, events_size, entries)


def _read_entries(listed: Any, origin: Path) -> dict[str, tuple[int, str]]:
    if not isinstance(listed, dict) or not listed:
        raise CheckpointError(f"{origin} is damaged: it lists no files.")
    entries = {}
    for name, entry in listed.items():
        if not _is_file_name(name):
            raise CheckpointError(f"{origin} is damaged: {name!r} is not a file name that a checkpoint can have.")
        size = entry.get("size") if isinstance(entry, dict) else None
        digest = entry.get("sha256") if isinstance(entry, dict) else None
        if type(size) is not int or size < 0 or not isinstance(digest, str):
            raise CheckpointError(f"{origin} is damaged: no size and SHA-256 for {name}.")
        entries[name] = (size, digest)
    return entries


def _is_file_name(name: str) -> bool:
    return _FILE_NAME.fullmatch(name) is not None and name != MANIFEST


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_regular(path, limit=limit)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing.") from None
    except RecordError as error:
        raise CheckpointError(str(error)) from None


def _discard(temporary: Path) -> None:
    """Give the space of a failed attempt back; if even that fails, the next writer's start does it."""
    try:
        if temporary.exists():
            files.remove_tree(temporary)
    except RecordError:
        return
