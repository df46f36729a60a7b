"""A smaller data folder of the same layout, so that every program reads the same rows through its own reader."""

from __future__ import annotations

import gzip
import struct
import tarfile
from collections import Counter
from pathlib import Path


def make_subset(source: Path, folder: Path, *, num_train: int, num_test: int) -> Path:
    """Write the first rows (of each class, for images in folders) of all data sets in `source`; once only.

    Args:
        source: data folder with mnist/, cifar10-images.tar.gz and tables/; what is missing there is left out.
        folder: where to write.
        num_train: training rows of each data set.
        num_test: test rows of each data set.
    """
    done, origin = folder / "done", str(source.resolve())
    if done.exists() and done.read_text(encoding="utf-8") == origin:
        return folder
    counts = {"train": num_train, "t10k": num_test, "test": num_test}
    for file in sorted((source / "mnist").glob("*-ubyte.gz")):
        _cut_idx(file, folder / "mnist" / file.name, counts[file.name.split("-")[0]])
    if (source / "cifar10-images.tar.gz").exists():
        _cut_images(source / "cifar10-images.tar.gz", folder / "cifar10-images.tar.gz", counts)
    for file in sorted((source / "tables").glob("adult-*.csv")):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        target = folder / "tables" / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(lines[: counts[file.stem.split("-")[1]]]), encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    done.write_text(origin, encoding="utf-8")
    return folder


def _cut_idx(source: Path, target: Path, count: int) -> None:
    """Keep the first `count` items of a gzipped IDX file of bytes."""
    raw = gzip.decompress(source.read_bytes())
    num_axes = raw[3]
    shape = struct.unpack_from(f">{num_axes}I", raw, 4)
    count = min(count, shape[0])
    start = 4 + 4 * num_axes
    item = (len(raw) - start) // shape[0]
    target.parent.mkdir(parents=True, exist_ok=True)
    header = raw[:4] + struct.pack(f">{num_axes}I", count, *shape[1:])
    target.write_bytes(gzip.compress(header + raw[start : start + count * item], 1, mtime=0))


def _cut_images(source: Path, target: Path, counts: dict[str, int]) -> None:
    """Keep the first images of every class of an archive of <split>/<class>/<image>."""
    target.parent.mkdir(parents=True, exist_ok=True)
    kept: Counter[tuple[str, str]] = Counter()
    with tarfile.open(source) as whole, tarfile.open(target, "w:gz", compresslevel=1) as part:
        for member in whole:
            parts = member.name.split("/")
            if not member.isfile() or len(parts) < 3:
                continue
            split, label = parts[-3], parts[-2]
            kept[split, label] += 1
            if kept[split, label] <= counts[split] // 10:
                part.addfile(member, whole.extractfile(member))
