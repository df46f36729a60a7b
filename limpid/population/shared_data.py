"""Data sets that several processes read at the same place in memory.

Nearly all of a data set are tensors and arrays. `pack` takes them out of its pickle as they lie in memory, each storage
once, however many views there are of it. Arrays that are mapped from a file stay there, and only their place is told.
A `Shelf` lays what was taken out in a file, which every process maps: memory holds it once. The mapping is copy on
write, so that a process that writes to it, against the rules, changes its own copy.
"""

from __future__ import annotations

import io
import mmap
import pickle
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.data.dataset import Dataset
from limpid.errors import DiskFull

ALIGNMENT = 64  # bytes, as torch aligns what it allocates; some products take another road from other addresses
SMALL = 4096  # bytes; less stays in the pickle
Array = NDArray[Any]
Take = Callable[[pickle.PickleBuffer], Any]


def pack(value: Any, take: Take | None = None, *, keep_files: bool = True) -> bytes:
    """A value as bytes. CPU tensors come back bit for bit, with their strides, and share storage where they did.

    Args:
        value: anything that can be pickled.
        take: gets what is large, in order, to be handed to `unpack`; None: everything is in the bytes.
        keep_files: whether arrays mapped from a file are told by its name; otherwise they are read.
    """
    file = io.BytesIO()
    _Packer(file, take, keep_files).dump(value)
    return file.getvalue()


def unpack(head: bytes | memoryview, taken: Sequence[Any] = ()) -> Any:
    """The value again, upon the buffers that were taken out of it."""
    return pickle.loads(head, buffers=taken)


def without_test(dataset: Dataset) -> Dataset:
    """The data set without the way to its test split, which is a function of the process that read the data."""
    return replace(dataset, make_test=_no_test)


@dataclass(frozen=True)
class Laid:
    """Where a data set lies: a file, and from which byte to which; the last piece is the head."""

    path: str
    pieces: tuple[tuple[int, int], ...]

    def dataset(self) -> Dataset:
        """The data set upon the mapped file."""
        with open(self.path, "rb") as file:
            whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        *taken, head = (whole[start:end] for start, end in self.pieces)
        return unpack(head, taken)  # type: ignore[no-any-return]


class Shelf:
    """A folder of laid data sets, each laid once; gone when the block is left."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="limpid-data-"))
        self._laid: dict[int, tuple[Dataset, Laid]] = {}

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def lay(self, dataset: Dataset) -> Laid:
        """Put a data set there, if it is not there yet. Raises DiskFull when there is no room for it."""
        if id(dataset) not in self._laid:
            path = self.folder / f"{len(self._laid)}.data"
            try:
                laid = Laid(str(path), _write(dataset, path))
            except OSError as error:
                raise DiskFull(
                    f"{path} could not be written ({error.strerror}); processes share the data there. "
                    "Point the environment variable TMPDIR at a folder with room."
                ) from None
            self._laid[id(dataset)] = dataset, laid
        return self._laid[id(dataset)][1]


def _write(dataset: Dataset, path: Path) -> tuple[tuple[int, int], ...]:
    pieces: list[tuple[int, int]] = []
    with path.open("wb") as file:

        def put(piece: bytes | memoryview) -> None:
            file.write(bytes(-file.tell() % ALIGNMENT))
            start = file.tell()
            file.write(piece)
            pieces.append((start, file.tell()))

        put(pack(without_test(dataset), lambda buffer: put(buffer.raw())))
    return tuple(pieces)


class _Packer(pickle.Pickler):
    """Pickles tensors as views of the bytes of their storage, and arrays of files by the file."""

    def __init__(self, file: io.BytesIO, take: Take | None, keep_files: bool) -> None:
        super().__init__(file, protocol=5, buffer_callback=None if take is None else self._outside)
        self._take, self._keep_files = take, keep_files
        self._storages: dict[int, Array] = {}

    def _outside(self, buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < SMALL:
            return True
        assert self._take is not None
        self._take(buffer)
        return False

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return _tensor, (self._bytes_of(value), value.dtype, value.shape, value.stride(), value.storage_offset())
        if isinstance(value, np.ndarray):
            file = _file_of(value)
            if file is not None and self._keep_files:
                offset = file.offset + value.ctypes.data - file.ctypes.data
                return _mapped, (str(file.filename), value.dtype, value.shape, value.strides, offset)
            if file is not None:
                return np.asarray, (np.array(value, subok=False),)
        return NotImplemented

    def _bytes_of(self, tensor: Tensor) -> Array:
        """The storage as bytes: the same object for each of its views, so that it is pickled once."""
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if key not in self._storages or key == 0:
            whole = torch.empty(0, dtype=torch.uint8).set_(storage)  # type: ignore[call-overload]
            self._storages[key] = whole.numpy()
        return self._storages[key]


def _tensor(whole: Array, dtype: torch.dtype, shape: Any, stride: Any, offset: int) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of memory that must not be written; nobody does
        return torch.from_numpy(whole).view(dtype).as_strided(shape, stride, offset)


def _mapped(path: str, dtype: np.dtype, shape: Any, strides: Any, offset: int) -> Array:
    return np.ndarray(shape, dtype, buffer=np.memmap(path, np.uint8, "r"), offset=offset, strides=strides)


def _file_of(array: Array) -> np.memmap | None:
    """The mapping of a file that an array is a view of, if it is one."""
    link: Any = array
    while isinstance(link, np.ndarray):
        if isinstance(link, np.memmap) and isinstance(link.base, mmap.mmap):
            return link
        link = link.base
    return None


def _no_test() -> None:
    """There is no test split here."""
