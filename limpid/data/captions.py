"""Images with a sentence each: from a table that names image files, or a folder with such a table.

Shapes: N captions, M images, C channels, H x W pixels, T tokens of a caption with its end.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from limpid.config import DataConfig
from limpid.data.column_types import as_text
from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.data.decode import bombs_refused, decode, is_image, read_header
from limpid.data.frames import FRAME_SUFFIXES, read_table
from limpid.data.labelled import part_rows
from limpid.data.origin import named
from limpid.data.pairs import IGNORED, shift_targets
from limpid.data.pixels import channel_statistics, fits_in_memory
from limpid.data.table_roles import column_name
from limpid.data.vocabulary import Tokens, learn_vocabulary
from limpid.errors import DataError
from limpid.spec import DataSpec

Pixels = NDArray[np.uint8]
Index = NDArray[np.int64]

LARGEST_SIDE = 224  # what most published networks were trained on
MOST_CONTEXT = 64  # tokens of a caption; longer ones are cut


@dataclass(frozen=True)
class Captioned:
    """M images (C, H, W), N captions, and the image of each caption."""

    pixels: Pixels
    captions: list[str]
    image_of: Index
    names: list[str] | None
    fingerprint: str
    preparation: dict[str, Any]
    notes: tuple[str, ...] = ()


def table_of(folder: Path) -> Path | None:
    """The table called captions.* in a folder of images, if there is one."""
    found = sorted(path for path in folder.glob("captions.*") if path.suffix.lower() in FRAME_SUFFIXES)
    return found[0] if found else None


def load_captions(path: Path, config: DataConfig, seed: int) -> Dataset:
    """A table with a column of image files (relative to the table) and one of captions, or a folder that holds one.

    `config.target` names the column of captions. Raises DataError for files that are missing or unreadable, with the
    row, and for empty captions.
    """
    with named(str(path)):
        table = table_of(path) if path.is_dir() else path
        if table is None:
            raise DataError("no captions.csv (.tsv, .jsonl, .parquet) in this folder, with image files and captions.")
        return captions_dataset(_read(table, config), config, seed, name=path.stem, origin=str(path))


def captions_dataset(found: Captioned, config: DataConfig, seed: int, *, name: str, origin: str) -> Dataset:
    """Split by image, learn vocabulary and scale from the training part, and fill captions to one length."""
    if config.test is not None:
        raise DataError(
            f"{origin}: data.test is not read for captions. Leave it out; a share of the images is the test."
        )
    parts = part_rows(len(found.captions), None, config, seed, groups=found.image_of)
    kind: Tokens = "word" if config.tokens == "auto" else config.tokens
    train = parts["train"].tolist()
    with named(origin):
        vocabulary = learn_vocabulary(
            [found.captions[i] for i in train], kind, most=config.vocabulary, lower=kind == "word"
        )
    most = (config.context or MOST_CONTEXT) - 1
    codes = [vocabulary.encode(text) for text in found.captions]
    num_cut = sum(len(each) > most for each in codes)
    codes = [each[:most] for each in codes]
    num_target = max(map(len, codes)) + 1

    def split(part: str) -> Split:
        rows = parts[part]
        given_BT, wanted_BT = shift_targets([codes[i] for i in rows.tolist()], num_target)
        images = torch.from_numpy(found.pixels[found.image_of[rows]])
        files = None if found.names is None else [found.names[i] for i in rows.tolist()]
        return Split(ResidentRows((images, given_BT)), wanted_BT, files, torch.from_numpy(rows))

    splits = {part: split(part) for part in parts}
    counts = {part: len(made) for part, made in splits.items()}
    shown = np.unique(found.image_of[parts["train"]])
    mean, std = channel_statistics(ResidentRows((torch.from_numpy(found.pixels[shown]),)))
    wanted = splits["train"].target
    token_counts = torch.bincount(wanted[wanted != IGNORED], minlength=len(vocabulary))
    shape = found.pixels.shape[1:]
    spec = DataSpec(
        name=name,
        kind="captions",
        task="tokens",
        input_shape=(shape[0], shape[1], shape[2]),
        output_shape=(num_target,),
        num_outputs=len(vocabulary),
        scale_mean=mean,
        scale_std=std,
        class_counts=tuple(token_counts.tolist()),
        num_train=counts["train"],
        num_valid=counts.get("valid", 0),
        num_test=counts.get("test", 0),
        preparation={"kind": "captions", "vocabulary": vocabulary.to_state(), **found.preparation},
    )
    notes = [
        f"{len(found.pixels):,} image(s) of {shape[1]} x {shape[2]} pixels with {len(codes):,} caption(s); "
        f"{len(vocabulary):,} tokens ({kind}), at most {num_target} to a caption with its end",
        *([f"{num_cut:,} caption(s) were cut after {most} tokens; --context changes it"] if num_cut else []),
        *found.notes,
    ]
    summary: dict[str, Any] = {
        "rows": len(codes),
        "split": counts | {"how": "random; captions of one image stay together"},
        "task": "tokens",
        "task_reason": "a caption is to be said, token by token, from an image",
        "notes": notes,
    }
    return Dataset(spec, splits["train"], splits.get("valid"), lambda: splits.get("test"), found.fingerprint, summary)


def _read(table: Path, config: DataConfig) -> Captioned:
    frame = read_table(table, header=config.header).frame
    drop = {column_name(text, frame.columns, str(table)) for text in config.drop}
    texts = {name: as_text(frame[name]).fill_null("").to_list() for name in frame.columns if name not in drop}
    file_columns = [name for name, cells in texts.items() if sum(map(is_image, cells)) * 2 > len(cells)]
    if not file_columns:
        raise DataError(f"no column names image files. Columns: {', '.join(map(repr, frame.columns))}.")
    rest = [name for name in texts if name != file_columns[0]]
    if config.target:
        caption = column_name(config.target[0], frame.columns, str(table))
    elif len(rest) == 1:
        caption = rest[0]
    else:
        raise DataError(f"which column holds the captions? Set data.target (--target). Columns: {', '.join(rest)}.")
    captions, files = texts[caption], texts[file_columns[0]]
    empty = next((row for row, text in enumerate(captions) if not text.strip()), None)
    if empty is not None:
        raise DataError(f"row {empty} (from 0): the caption is empty. Fill it, or remove the row.")
    names = list(dict.fromkeys(files))
    contents = []
    for name in names:
        try:
            contents.append((table.parent / name).read_bytes())
        except OSError as error:
            row = files.index(name)
            raise DataError(f"row {row} (from 0): {name!r} cannot be read: {error.strerror or error}.") from None
    pixels, preparation = _decode(names, contents, config)
    digest = hashlib.sha256(repr([captions, files, config.image_size, config.colour, config.fit]).encode())
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    number_of = {name: i for i, name in enumerate(names)}
    image_of = np.array([number_of[name] for name in files], np.int64)
    return Captioned(pixels, captions, image_of, files, digest.hexdigest(), preparation)


def _decode(names: list[str], contents: list[bytes], config: DataConfig) -> tuple[Pixels, dict[str, Any]]:
    """All images in one size: the one that they have, or a square by `data.image_size` or the median short side."""
    with bombs_refused():
        headers = []
        for name, content in zip(names, contents, strict=True):
            with _naming(name):
                headers.append(read_header(content))
        sizes = {(header.height, header.width) for header in headers}
        side = config.image_size or min(LARGEST_SIDE, round(median(min(size) for size in sizes)))
        size = sizes.pop() if len(sizes) == 1 and config.image_size is None else (side, side)
        grey = config.colour == "grey" or (config.colour == "auto" and all(header.grey for header in headers))
        colour = "grey" if grey else "rgb"
        shape = (len(names), 1 if grey else 3, *size)
        if not fits_in_memory(int(np.prod(shape)), config.memory_share):
            raise DataError("the decoded images do not fit the stated share of memory. Set a smaller data.image_size.")
        pixels = np.empty(shape, np.uint8)
        for n, content in enumerate(contents):
            with _naming(names[n]):
                pixels[n] = decode(content, size, colour, config.fit)
    return pixels, {"size": list(size), "colour": colour, "fit": config.fit}


def _naming(name: str) -> Any:
    return named(f"image {name!r}")
