"""The image files (or texts) of a folder or an archive: their names, and their bytes on demand."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from limpid.data.archives import ENDINGS, Members, is_archive
from limpid.data.cache import digest
from limpid.data.layout import wanted
from limpid.data.progress import watched
from limpid.errors import DataError


@dataclass(frozen=True)
class Files:
    """Wanted files by number; names have `/` between their parts."""

    names: list[str]
    folders: list[str]  # ending in /
    unwanted: list[str]  # other files
    read: Callable[[int], bytes]


def folder_files(root: Path, wanted: Callable[[str], bool] = wanted) -> Files:
    """Every file below a folder in the order of the names; links to folders are followed, but never in a circle."""
    names: list[str] = []
    folders: list[str] = []
    unwanted: list[str] = []
    paths: list[str] = []
    entered: set[tuple[int, int]] = set()

    def walk(folder: str, prefix: str) -> None:
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in entered:
            return
        entered.add((status.st_dev, status.st_ino))
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            name = prefix + _shown(entry.name)
            if entry.is_dir():
                folders.append(f"{name}/")
                walk(entry.path, f"{name}/")
            elif entry.is_file() and wanted(name):
                names.append(name)
                paths.append(entry.path)
            else:
                unwanted.append(name)

    walk(str(root), "")
    return Files(names, folders, unwanted, lambda n: Path(paths[n]).read_bytes())


def archive_files(path: Path, wanted: Callable[[str], bool] = wanted) -> Files:
    """The members of an archive. Raises DataError when the file is none, is damaged, or is hostile."""
    if not is_archive(path):
        raise DataError(f"{path} is neither a folder nor an archive ({', '.join(ENDINGS)}).")
    members = Members(path, wanted)
    names, folders, unwanted = (
        [_shown(n) for n in part] for part in (members.names, members.folders, members.unwanted)
    )
    return Files(names, folders, unwanted, members.read)


def content_digest(files: Files, pool: Executor) -> str:
    """SHA-256 over the names and contents of all images; where the folder lies and when it was touched do not count."""

    def each(n: int) -> str:
        try:
            return digest(files.read(n))
        except OSError:
            return "unreadable"  # named with the other unreadable images later

    numbers = range(len(files.names))
    digests = watched(pool.map(each, numbers), len(numbers), "Looking for changes")
    listing = json.dumps([files.folders, files.unwanted, list(zip(files.names, digests, strict=True))])
    return digest(listing.encode())


def file_digest(path: Path) -> str:
    """SHA-256 of a file. Raises DataError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} could not be read: {error.strerror}.") from None


def _shown(name: str) -> str:
    """A file name as text that can be printed and stored: bytes that are not UTF-8 become \\xNN."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
