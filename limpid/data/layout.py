"""Which part and class an image belongs to, from the folders it lies in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from limpid.data.decode import is_image
from limpid.errors import DataError

TO_SAY = {"valid": "validate with", "test": "test with"}
PARTS = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}

EXPECTED = """Expected one folder per class, with or without a folder per part:
  photos/cat/1.jpg         photos/train/cat/1.jpg
  photos/dog/2.jpg         photos/test/dog/2.jpg"""


@dataclass(frozen=True)
class Layout:
    """Images in the order train, valid, test; within a part in the order of class and name."""

    numbers: list[int]  # position of each image in the list of names that was given
    parts: list[str]
    labels: list[int]
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    ignored: tuple[str, ...]


def is_hidden(name: str) -> bool:
    """Files that systems and editors leave behind: dot files, Thumbs.db, desktop.ini, __MACOSX."""
    return any(part.startswith(".") or part in ("__MACOSX", "Thumbs.db", "desktop.ini") for part in name.split("/"))


def wanted(name: str) -> bool:
    """Whether a file is read at all."""
    return is_image(name) and not is_hidden(name)


def arrange(
    names: list[str], folders: Iterable[str], ignored: Iterable[str], where: str, *, noun: str = "image"
) -> Layout:
    """Sort image names with `/` between their parts into parts and classes.

    The classes are the folders of the training part. A `val` part without a `test` part is held out as the test, and
    validation images are taken from training, so that early stopping never sees the images that are reported.

    Args:
        names: Image files, relative to the source.
        folders: Every folder, ending in `/`, so that empty ones can be noted.
        ignored: Files that were not read.
        where: The source, for messages.
        noun: What one file is.
    Raises:
        DataError: no class folders, one class only, or a class that training does not have.
    """
    expected = EXPECTED if noun == "image" else EXPECTED.replace("photos", f"{noun}s").replace("jpg", "txt")
    paths = [tuple(name.split("/")) for name in names]
    outer = _outer_folders(paths) if paths else 0
    inner = [path[outer:] for path in paths]
    loose = [names[i] for i, path in enumerate(inner) if len(path) < 2]
    placed = [i for i, path in enumerate(inner) if len(path) >= 2]
    if not placed:
        found = f"{len(names)} {noun}s, but none in a class folder" if names else f"no {noun}s"
        raise DataError(f"{where}: found {found}. {expected}")
    tops = {inner[i][0].lower() for i in placed}
    in_parts = tops <= PARTS.keys() and (len(tops) > 1 or tops & {"train", "training"})
    if in_parts:
        loose += [names[i] for i in placed if len(inner[i]) < 3]
        placed = [i for i in placed if len(inner[i]) >= 3]
        if not placed or "train" not in {PARTS[inner[i][0].lower()] for i in placed}:
            raise DataError(f"{where}: the train folder holds no class folders with {noun}s. {expected}")
    part_of = {i: PARTS[inner[i][0].lower()] if in_parts else "train" for i in placed}
    class_of = {i: inner[i][1 if in_parts else 0] for i in placed}

    notes: list[str] = []
    if in_parts and set(part_of.values()) == {"train", "valid"}:
        part_of = {i: "test" if part == "valid" else part for i, part in part_of.items()}
        notes.append(
            f"There is a validation folder but no test folder: it is held out as the test, and validation {noun}s are "
            "taken from training."
        )
    classes = _class_order({class_of[i] for i in placed if part_of[i] == "train"})
    if len(classes) < 2:
        raise DataError(f"{where}: there is only one class ({classes[0]!r}); at least two are needed. {expected}")
    unseen = sorted({class_of[i] for i in placed} - set(classes))
    if unseen:
        example = next(names[i] for i in placed if class_of[i] == unseen[0])
        raise DataError(f"{where}: class {unseen[0]!r} has no training {noun}s (but {example!r} is one of it).")
    counts = Counter(class_of[i] for i in placed if part_of[i] == "train")
    lonely = [name for name in classes if counts[name] == 1]
    if lonely:
        notes.append(f"Only one {noun}, kept for training: class {_some(lonely)}.")
    held_out = [part for part in ("valid", "test") if part in part_of.values()]
    for part in held_out:
        present = {class_of[i] for i in placed if part_of[i] == part}
        absent = [name for name in classes if name not in present]
        if absent:
            notes.append(f"No {noun} to {TO_SAY[part]}: class {_some(absent)}. The figures are about the others alone.")
    empty = _empty_classes(folders, outer + (1 if in_parts else 0), set(class_of.values()))
    if empty:
        notes.append(f"Folders without {noun}s, not counted as classes: {_some(empty)}.")
    if loose:
        notes.append(f"Outside of class folders and left out: {_some(sorted(loose))}.")
    code = {name: k for k, name in enumerate(classes)}
    rank = {"train": 0, "valid": 1, "test": 2}
    placed.sort(key=lambda i: (rank[part_of[i]], code[class_of[i]], names[i]))
    return Layout(
        numbers=placed,
        parts=[part_of[i] for i in placed],
        labels=[code[class_of[i]] for i in placed],
        classes=tuple(classes),
        notes=tuple(notes),
        ignored=tuple(sorted([*ignored, *loose])),
    )


def _outer_folders(paths: list[tuple[str, ...]]) -> int:
    """How many folders enclose everything and say nothing, like the one that most archives begin with."""
    outer = 0
    while (
        len({path[outer] for path in paths}) == 1
        and all(len(path) >= outer + 2 for path in paths)
        and any(len(path) > outer + 2 for path in paths)
    ):
        outer += 1
    return outer


def _class_order(names: set[str]) -> list[str]:
    """By name; by value where every name is a number."""
    return sorted(names, key=int) if all(name.isascii() and name.isdigit() for name in names) else sorted(names)


def _empty_classes(folders: Iterable[str], depth: int, classes: set[str]) -> list[str]:
    found = set()
    for folder in folders:
        path = folder.rstrip("/").split("/")
        if len(path) == depth + 1 and path[-1] not in classes and not is_hidden(folder.rstrip("/")):
            found.add(folder.rstrip("/"))
    return sorted(found)


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
