"""Image data sets from a folder or an archive of class folders.

Files are decoded once, by a few threads, into one array of bytes (N, C, H, W) that is kept in the cache under the
SHA-256 of everything it depends on: the names and contents of the files and the options of decoding.

Sizes are made equal by this rule: images that all have one size keep it; otherwise they become square, with
`data.image_size` or the median short side of the training images (224 at most) as the side, by `data.fit`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from limpid.config import DataConfig
from limpid.data.archives import ENDINGS
from limpid.data.cache import cache_folder, digest, load_array, new_entry, save_array
from limpid.data.dataset import Dataset
from limpid.data.decode import Header, bombs_refused, decode, read_header
from limpid.data.image_files import Files, archive_files, content_digest, file_digest, folder_files
from limpid.data.layout import Layout, arrange
from limpid.data.pixels import Images, Pixels, Source, fits_in_memory, image_dataset, refuse_table_options
from limpid.data.progress import watched
from limpid.errors import DataError

# Change it when decoding changes, so that older entries of the cache are left alone.
DECODER = 1

LARGEST_SIDE = 224  # what most published networks were trained on
SHOWN = 10
FILES_PER_TASK = 32


@dataclass(frozen=True)
class Decoded:
    """What the cache keeps beside the pixels, one entry per image."""

    names: list[str]
    parts: list[str]
    labels: list[int]
    classes: list[str]
    notes: list[str]
    ignored: list[str]
    size: list[int]
    colour: str


def load_images(path: Path | str, config: DataConfig, seed: int, *, name: str | None = None) -> Dataset:
    """A data set from class folders, in a folder or an archive.

    Raises:
        DataError: nothing usable there, unreadable images (all are counted, the first ten named), or a hostile archive.
        ConfigError: an option that needs a table.
    """
    path = Path(path)
    refuse_table_options(config)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder.")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")
    with _workers(config.workers) as pool:
        files = folder_files(path) if path.is_dir() else None
        content = file_digest(path) if files is None else content_digest(files, pool)
        options = [DECODER, content, config.image_size, config.colour, config.fit, config.skip_bad]
        key = digest(json.dumps(options).encode())
        found = _load(key)
        if found is None:
            found = _decode_all(files or archive_files(path), config, str(path), key, pool)
    return image_dataset(_source(*found, config, name or _stem(path), content), config, seed)


def _decode_all(files: Files, config: DataConfig, where: str, key: str, pool: Executor) -> tuple[Decoded, Pixels]:
    layout = arrange(files.names, files.folders, files.unwanted, where)
    with bombs_refused():
        # An image that turns out to be damaged must not have had a say in the size of the others.
        whole = config.skip_bad
        headers = _run(pool, layout, lambda row, n: read_header(files.read(n), whole=whole), "Reading headers")
        readable = [
            header
            for header, part in zip(headers, layout.parts, strict=True)
            if part == "train" and isinstance(header, Header)
        ]
        if not readable:
            _refuse_bad(files, layout, headers, where)
        size, colour, notes = _common_form(readable, config)

        def fill(pixels: Pixels) -> tuple[Decoded, int]:
            def decode_one(row: int, n: int) -> str:
                data = files.read(n)
                pixels[row] = decode(data, size, colour, config.fit)
                return digest(data)

            results = _run(pool, layout, decode_one, "Decoding images")
            if not config.skip_bad:
                _refuse_bad(files, layout, results, where)
            good = [row for row, result in enumerate(results) if isinstance(result, str)]
            for row, old in enumerate(good):
                if row != old:
                    pixels[row] = pixels[old]
            return _describe(files, layout, results, good, size, colour, notes, where), len(good)

        shape = (len(layout.numbers), 1 if colour == "grey" else 3, *size)
        if fits_in_memory(int(np.prod(shape)), config.memory_share):
            pixels: Pixels = np.empty(shape, np.uint8)
            decoded, num = fill(pixels)
            pixels = pixels[:num]
            save_array("images", key, pixels)
        else:
            decoded, pixels = _fill_on_disk(fill, shape, key)
    save_array("images", f"{key}-index", np.frombuffer(json.dumps(asdict(decoded)).encode(), np.uint8))
    return decoded, pixels


def _fill_on_disk(
    fill: Callable[[Pixels], tuple[Decoded, int]], shape: tuple[int, ...], key: str
) -> tuple[Decoded, Pixels]:
    """Decode straight into the cache, for arrays that would take too much memory."""
    try:
        with new_entry("images", key) as partial:
            mapped = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)  # type: ignore[no-untyped-call]
            if hasattr(os, "posix_fallocate"):  # a full disk is an error here, not a crash at the first write
                with partial.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
            decoded, num = fill(mapped)
            mapped.flush()
    except OSError as error:
        raise DataError(
            f"The decoded images take {np.prod(shape, dtype=float) / 1e9:.1f} GB, above the stated share of memory, "
            f"and could not be kept in {cache_folder()} ({error.strerror}). Free some space, set LIMPID_CACHE to "
            "another disk, or choose a smaller data.image_size."
        ) from None
    pixels = load_array("images", key)
    assert pixels is not None
    return decoded, pixels[:num].view(np.uint8)


def _load(key: str) -> tuple[Decoded, Pixels] | None:
    index, pixels = load_array("images", f"{key}-index"), load_array("images", key)
    if index is None or pixels is None:
        return None
    decoded = Decoded(**json.loads(index.tobytes()))
    return decoded, pixels[: len(decoded.names)].view(np.uint8)


def _common_form(headers: Sequence[Header], config: DataConfig) -> tuple[tuple[int, int], str, list[str]]:
    """Size (H, W) and colour for all images, from those of the training part; see the head of this file."""
    sizes = Counter((header.height, header.width) for header in headers)
    notes: list[str] = []
    if config.image_size is not None:
        size = (config.image_size, config.image_size)
    elif len(sizes) == 1:
        (size,) = sizes
    else:
        side = min(LARGEST_SIDE, max(1, round(median(min(header.height, header.width) for header in headers))))
        size = (side, side)
    if set(sizes) != {size}:
        notes.append(f"Images of {len(sizes)} size(s) were made {size[0]} x {size[1]} (data.fit = {config.fit}).")
    if config.colour != "auto":
        return size, config.colour, notes
    num_grey = sum(header.grey for header in headers)
    if 0 < num_grey < len(headers):
        notes.append(f"{num_grey} grey training image(s) among coloured ones were read as RGB.")
    return size, "grey" if num_grey == len(headers) else "rgb", notes


def _describe(
    files: Files,
    layout: Layout,
    results: Sequence[Any],
    good: list[int],
    size: tuple[int, int],
    colour: str,
    notes: list[str],
    where: str,
) -> Decoded:
    notes = [*layout.notes, *notes]
    bad = [files.names[layout.numbers[row]] for row, result in enumerate(results) if isinstance(result, DataError)]
    if bad:
        notes.append(f"{len(bad)} unreadable image(s) left out: {', '.join(bad[:SHOWN])}.")
    parts, labels = [layout.parts[row] for row in good], [layout.labels[row] for row in good]
    lost = set(range(len(layout.classes))) - {k for k, part in zip(labels, parts, strict=True) if part == "train"}
    if lost:
        raise DataError(f"{where}: no training image of class {layout.classes[min(lost)]!r} can be read.")
    notes += _duplicates([str(results[row]) for row in good], parts)
    return Decoded(
        names=[files.names[layout.numbers[row]] for row in good],
        parts=parts,
        labels=labels,
        classes=list(layout.classes),
        notes=notes,
        ignored=list(layout.ignored),
        size=list(size),
        colour=colour,
    )


def _duplicates(digests: list[str], parts: list[str]) -> list[str]:
    """A note on files with the same bytes: they make a score look better than it is."""
    trained = {each for each, part in zip(digests, parts, strict=True) if part == "train"}
    notes = []
    for part, word in (("valid", "validation"), ("test", "test")):
        shared = sum(each in trained for each, where in zip(digests, parts, strict=True) if where == part)
        if shared:
            notes.append(f"{shared} {word} image(s) are also among the training images (same bytes).")
    copies = len(digests) - len(set(digests))
    if copies and not notes:
        notes.append(f"{copies} image(s) are copies of others (same bytes); copies may lie in different splits.")
    return notes


def _refuse_bad(files: Files, layout: Layout, results: Sequence[Any], where: str) -> None:
    """Raise one DataError for all unreadable images, if there are any."""
    bad = [(files.names[layout.numbers[row]], each) for row, each in enumerate(results) if isinstance(each, DataError)]
    if not bad:
        return
    lines = [f"  {name}: {error}" for name, error in bad[:SHOWN]]
    if len(bad) > SHOWN:
        lines.append(f"  and {len(bad) - SHOWN} more")
    raise DataError(
        f"{where}: {len(bad)} of {len(results)} images cannot be used:\n" + "\n".join(lines) + "\n"
        "Repair or remove them, or leave them out with --skip-bad (in Python skip_bad=True)."
    )


def _run(pool: Executor, layout: Layout, work: Callable[[int, int], Any], label: str) -> list[Any]:
    """`work(row, number)` of every image in the pool; a failure takes the place of its result."""

    def task(start: int) -> list[Any]:
        results: list[Any] = []
        for row, n in enumerate(layout.numbers[start : start + FILES_PER_TASK], start):
            try:
                results.append(work(row, n))
            except DataError as error:
                results.append(error)
            except OSError as error:
                results.append(DataError(f"it could not be read ({error.strerror})."))
        return results

    starts = range(0, len(layout.numbers), FILES_PER_TASK)
    return [each for results in watched(pool.map(task, starts), len(starts), label) for each in results]


@contextmanager
def _workers(num: int) -> Iterator[Executor]:
    """Threads that drop what is waiting when the work is interrupted. Pillow decodes without the interpreter's lock."""
    pool = ThreadPoolExecutor(max(1, num), thread_name_prefix="limpid-decode")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _source(decoded: Decoded, pixels: Pixels, config: DataConfig, name: str, content: str) -> Source:
    labels = np.asarray(decoded.labels, dtype=np.int64)

    def part(which: str) -> Images | None:
        if which not in decoded.parts:
            return None
        start = decoded.parts.index(which)  # parts are contiguous, see layout.py
        span = slice(start, start + decoded.parts.count(which))
        return Images(pixels[span], labels[span], decoded.names[span])

    train, valid, test = part("train"), part("valid"), part("test")
    assert train is not None
    return Source(
        name=name,
        train=train,
        valid=valid,
        test_size=0 if test is None else len(test.labels),
        read_test=None if test is None else lambda: test,
        classes=tuple(decoded.classes),
        preparation={"kind": "image", "size": decoded.size, "colour": decoded.colour, "fit": config.fit},
        fingerprint=content,
        notes=tuple(decoded.notes),
        ignored=tuple(decoded.ignored),
    )


def _stem(path: Path) -> str:
    """The name without the endings of an archive."""
    name = path.resolve().name
    if not path.is_dir():
        for ending in sorted(ENDINGS, key=len, reverse=True):
            name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return name or "images"
