"""Members of .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz and .zip files, read without extracting.

Nothing is ever written under a name from the archive: the wanted members go, in order, into one nameless temporary
file. Every limit is enforced on the bytes that actually come out, never on what a header claims.
"""

from __future__ import annotations

import mmap
import stat
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from limpid.data.cache import cache_folder
from limpid.errors import DataError

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")

MOST_ENTRIES = 2_000_000  # ImageNet has 1.3 million files
MOST_BYTES = 1 << 40
MOST_MEMBER_BYTES = 1 << 28  # 256 MB: no image file that passes the pixel limit is larger
MOST_DEPTH = 32
# Unpacked over packed bytes. Images are compressed already (about 1:1), text reaches 10:1; a bomb 1000:1. Small
# archives may exceed it: what they hold cannot hurt.
MOST_RATIO = 200
HARMLESS_BYTES = 64 << 20

CHUNK = 1 << 20


def is_archive(path: Path) -> bool:
    """Whether the name ends like an archive's that can be read."""
    return path.name.lower().endswith(ENDINGS)


class Members:
    """The wanted regular files of an archive, in its order: `names[i]` and `read(i)`, from any thread."""

    def __init__(self, path: Path, wanted: Callable[[str], bool]) -> None:
        """Read the archive once.

        Args:
            path: The archive.
            wanted: Which names to keep; the others are checked and counted, but not kept.
        Raises:
            DataError: damaged or truncated, above a limit, or with a member that is a link, a device, encrypted,
                named twice, or named outside the archive. The message names it.
        """
        self.names: list[str] = []
        self.folders: list[str] = []
        self.unwanted: list[str] = []
        self._spans: list[tuple[int, int]] = []
        self._file = _scratch_file()
        end = 0
        try:
            for name, data in _zip_members(path, wanted) if _is_zip(path) else _tar_members(path, wanted):
                if data is None:
                    (self.folders if name.endswith("/") else self.unwanted).append(name)
                    continue
                self.names.append(name)
                self._spans.append((end, end + len(data)))
                end += self._file.write(data)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise DataError(f"{path} is damaged or truncated: {error}.") from None
        except OSError as error:
            raise DataError(f"{path} could not be read: {error}.") from None
        self._file.flush()
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) if end else None

    def __len__(self) -> int:
        return len(self.names)

    def read(self, i: int) -> bytes:
        start, end = self._spans[i]
        return self._map[start:end] if self._map is not None else b""


class _Gate:
    """Counts what comes out of an archive and stops at the limits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.packed = max(1, path.stat().st_size)
        self.seen: dict[str, str] = {}
        self.entries = 0
        self.bytes = 0

    def admit(self, name: str, *, folder: bool = False) -> str:
        """The name with `/` between its parts. Raises DataError when it is unsafe or comes twice."""
        self.entries += 1
        if self.entries > MOST_ENTRIES:
            raise DataError(f"{self.path} has more than {MOST_ENTRIES} entries; it is not read.")
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        drive = bool(parts) and len(parts[0]) > 1 and parts[0][1] == ":"
        if name.startswith(("/", "\\")) or drive or ".." in parts or "\0" in name:
            raise DataError(f"{self.path}: member {name!r} points outside of the archive; it is not read.")
        if len(parts) > MOST_DEPTH:
            raise DataError(f"{self.path}: member {name[:80]!r}... lies more than {MOST_DEPTH} folders deep.")
        clean = "/".join(parts)
        if not folder:
            key = unicodedata.normalize("NFC", clean).casefold()
            if key in self.seen:
                raise DataError(
                    f"{self.path}: members {self.seen[key]!r} and {name!r} have the same name (or differ in case); "
                    "which of them is meant cannot be told."
                )
            self.seen[key] = name
        return clean

    def refuse(self, name: str, what: str) -> DataError:
        return DataError(f"{self.path}: member {name!r} is {what}; only regular files and folders are read.")

    def count(self, size: int) -> None:
        self.bytes += size
        if self.bytes > MOST_BYTES:
            raise DataError(f"{self.path} unpacks to more than {MOST_BYTES >> 30} GB; it is not read.")
        if self.bytes > max(HARMLESS_BYTES, MOST_RATIO * self.packed):
            raise DataError(
                f"{self.path} unpacks to more than {MOST_RATIO} times its size, as a decompression bomb does; "
                "it is not read."
            )


class _Counted:
    """A stream whose bytes are counted as they come out of the decompressor."""

    def __init__(self, stream: IO[bytes], gate: _Gate) -> None:
        self.stream = stream
        self.gate = gate

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.gate.count(len(data))
        return data


def _tar_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes | None]]:
    gate = _Gate(path)
    with _decompressed(path) as stream, tarfile.open(fileobj=_Counted(stream, gate), mode="r|") as archive:  # type: ignore[call-overload]
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # the file keeps every header otherwise
            name = gate.admit(member.name, folder=member.isdir())
            if member.isdir():
                yield f"{name}/", None
                continue
            if not member.isreg() or member.issparse():
                kinds = {tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link"}
                raise gate.refuse(member.name, kinds.get(member.type, "a device, a pipe or a sparse file"))
            if not wanted(name):
                yield name, None
                continue
            if member.size > MOST_MEMBER_BYTES:
                raise DataError(f"{path}: member {member.name!r} is larger than {MOST_MEMBER_BYTES >> 20} MB.")
            file = archive.extractfile(member)
            assert file is not None
            yield name, file.read()


def _zip_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes | None]]:
    gate = _Gate(path)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            # `orig_filename` is what stands in the archive; `filename` has been cut at a NUL already.
            name = gate.admit(member.orig_filename, folder=member.is_dir())
            mode = member.external_attr >> 16
            if member.is_dir():
                yield f"{name}/", None
                continue
            if stat.S_ISLNK(mode):
                raise gate.refuse(member.filename, "a symbolic link")
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise gate.refuse(member.filename, "a device or a pipe")
            if not wanted(name):
                yield name, None
                continue
            if member.flag_bits & 1:
                raise gate.refuse(member.filename, "encrypted")
            pieces: list[bytes] = []
            with archive.open(member) as file:
                while piece := file.read(CHUNK):
                    gate.count(len(piece))
                    pieces.append(piece)
                    if len(pieces) * CHUNK > MOST_MEMBER_BYTES:
                        raise DataError(f"{path}: member {name!r} is larger than {MOST_MEMBER_BYTES >> 20} MB.")
            yield name, b"".join(pieces)


def _decompressed(path: Path) -> IO[bytes]:
    """The tar stream, by the magic number rather than by the name."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        import gzip

        return gzip.open(path)  # type: ignore[return-value]
    if magic.startswith(b"BZh"):
        import bz2

        return bz2.open(path)  # type: ignore[return-value]
    if magic.startswith(b"\xfd7zXZ"):
        import lzma

        return lzma.open(path)  # type: ignore[return-value]
    return path.open("rb")


def _is_zip(path: Path) -> bool:
    return path.name.lower().endswith(".zip")


def _scratch_file() -> IO[bytes]:
    """A temporary file without a name, on the disk of the cache when that can be written."""
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        return tempfile.TemporaryFile()
