"""Image files to answer for, decoded batch by batch: a file, a folder of any depth, or an archive.

Shapes: B images of a batch, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limpid.cores import usable_cores
from limpid.data.archives import Members, is_archive
from limpid.data.decode import bombs_refused, decode, image_files
from limpid.data.layout import wanted
from limpid.errors import DataError


@dataclass(frozen=True)
class ImageRows:
    """Images that are decoded when asked for, by the rule that made the training images equal.

    With `skip_bad`, a file that cannot be used is a black image, and `bad` holds what is the matter with it by its
    number, once it was asked for; None: the caller has no such choice.
    """

    source: Path
    names: list[str]
    read: Callable[[int], bytes]
    preparation: dict[str, Any]
    skip_bad: bool | None = None
    bad: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def take(self, index_B: Tensor) -> tuple[Tensor, ...]:
        """uint8 (B, C, H, W). Raises DataError naming a file that cannot be used, if it is not to be skipped."""
        with bombs_refused(), ThreadPoolExecutor(usable_cores()) as pool:
            return (torch.from_numpy(np.stack(list(pool.map(self._decode, index_B.tolist())))),)

    def _decode(self, i: int) -> np.ndarray[Any, Any]:
        height, width = self.preparation["size"]
        colour = self.preparation["colour"]
        try:
            return decode(self.read(i), (height, width), colour, self.preparation["fit"])
        except DataError as error:
            reason = str(error)
        except OSError as error:
            reason = f"it could not be read ({error.strerror or error})."
        if not self.skip_bad:
            choice = "" if self.skip_bad is None else ", or leave such files out with --skip-bad (skip_bad=True)"
            raise DataError(f"{self.source}: {self.names[i]} cannot be used: {reason} Repair or remove it{choice}.")
        self.bad[i] = f"{self.names[i]}: {reason}"
        return np.zeros((1 if colour == "grey" else 3, height, width), np.uint8)


def find_images(path: Path, preparation: dict[str, Any], *, skip_bad: bool | None = None) -> ImageRows:
    """The images at `path`, named by their place below it, in the order of their names.

    Raises DataError when there are none, or the archive is damaged or hostile.
    """
    read: Callable[[int], bytes]
    if path.is_dir():
        files = image_files(path)
        names = [_shown(file.relative_to(path).as_posix()) for file in files]
        read = lambda i: files[i].read_bytes()  # noqa: E731
    elif is_archive(path):
        members = Members(path, wanted)
        order = sorted(range(len(members)), key=members.names.__getitem__)
        names = [members.names[i] for i in order]
        read = lambda i: members.read(order[i])  # noqa: E731
    else:
        names = [_shown(path.name)]
        read = lambda i: path.read_bytes()  # noqa: E731
    if not names:
        raise DataError(f"{path} holds no images. Expected at least one file like .png or .jpg.")
    return ImageRows(path, names, read, preparation, skip_bad)


def _shown(name: str) -> str:
    """A file name as text that any file can hold: bytes that are not UTF-8 become \\xNN."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
