"""Texts from .txt files: one file, the files of a folder, or those of an archive."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from limpid.data.decode import is_image
from limpid.data.delimited import checked_text
from limpid.data.image_files import Files, archive_files, folder_files
from limpid.data.layout import is_hidden
from limpid.errors import DataError

SUFFIXES = (".txt", ".text")
# An archive is recognised by its first files; looking at all of them would mean to unpack it.
LOOKED_AT = 200


def is_text(name: str) -> bool:
    """Whether a file name ends like a text's, and the file is no leftover of a system."""
    return name.lower().endswith(SUFFIXES) and not is_hidden(name)


def read_text(path: str | Path) -> str:
    """The text of a file in UTF-8, with "\\n" line ends. Raises DataError: missing, empty, binary, not UTF-8."""
    file = Path(path)
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{file}: no such file.") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from None
    return text_of(data, str(file))


def text_of(data: bytes, name: str) -> str:
    """The text that these bytes are in UTF-8. Raises DataError: empty, binary, not UTF-8."""
    if not data:
        raise DataError(f"{name} is empty (0 bytes). Expected a text.")
    return checked_text(data, name, "a text").decode("utf-8")


def text_files(path: Path) -> Files:
    """The .txt files of a folder or an archive. Raises DataError when the archive is damaged or hostile."""
    return folder_files(path, is_text) if path.is_dir() else archive_files(path, is_text)


def holds_texts(path: Path) -> bool:
    """Whether a folder or an archive holds texts and no images, judged by its first files."""
    names = _some_names(path)
    return any(map(is_text, names)) and not any(map(is_image, names))


def _some_names(path: Path) -> list[str]:
    if path.is_dir():
        return folder_files(path, lambda name: is_text(name) or is_image(name)).names
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return archive.namelist()
        with tarfile.open(path, "r|*") as archive:
            return [member.name for member, _ in zip(archive, range(LOOKED_AT), strict=False) if member.isfile()]
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError):
        return []  # its reader says what is wrong with it
