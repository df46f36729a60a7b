"""A running text as next-token data: its beginning trains, what follows validates, its end tests.

Shapes: T tokens of the context, V tokens of the vocabulary.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limpid.config import DataConfig
from limpid.data.dataset import Dataset, Split
from limpid.data.folds import refuse_folds, refuse_parts
from limpid.data.pixels import fits_in_memory
from limpid.data.split import split_shares
from limpid.data.text_files import read_text, text_files, text_of
from limpid.data.vocabulary import Codes, Tokens, learn_vocabulary
from limpid.data.windows import TokenWindows
from limpid.errors import DataError
from limpid.spec import UNKNOWN, DataSpec

# A text has so many places to predict that a twentieth of it resolves a loss well.
DEFAULT_SHARE = 0.05
DEFAULT_CONTEXT = 64
BYTES_PER_TOKEN = 8


@dataclass(frozen=True)
class Part:
    """A stretch of the text that trains, validates or tests."""

    name: str
    text: str


def load_text(path: Path, config: DataConfig) -> Dataset:
    """A .txt file, or the .txt files of a folder or archive one after the other; errors as `text_dataset`."""
    if path.is_dir() or not path.name.lower().endswith((".txt", ".text")):
        files = text_files(path)
        if not files.names:
            raise DataError(f"{path} holds no .txt files. Expected at least one.")
        order = sorted(range(len(files.names)), key=files.names.__getitem__)
        text = "\n".join(text_of(files.read(i), f"{path}/{files.names[i]}") for i in order)
    else:
        text = read_text(path)
    test = None if config.test is None else read_text(config.test)
    return text_dataset(text, config, name=path.stem, origin=str(path), test=test)


def text_dataset(
    text: str,
    config: DataConfig,
    *,
    name: str,
    origin: str,
    test: str | None = None,
    default_tokens: Tokens = "char",
) -> Dataset:
    """Split the text in its own order, learn the vocabulary from the first part, and cut all parts into windows.

    Windows of training begin `config.stride` tokens apart; those that are judged do not overlap. A part's last tokens,
    fewer than a window, are not used.

    Raises:
        DataError: no text, or a part that is shorter than the context.
    """
    if not text.strip():
        raise DataError(f"{origin} is empty. Expected a text.")
    kind: Tokens = default_tokens if config.tokens == "auto" else config.tokens
    parts = _parts(text, config, test, whole_words=kind == "word")
    vocabulary = learn_vocabulary([parts[0].text], kind, most=config.vocabulary)
    if not fits_in_memory(len(text) * (BYTES_PER_TOKEN if kind == "char" else 2), config.memory_share):
        raise DataError(
            f"{origin}: the tokens of {len(text):,} characters do not fit the stated share of memory. Raise "
            "data.memory_share, take data.tokens=bpe, or give a part of the text."
        )
    streams = [vocabulary.encode(part.text) for part in parts]
    context, reason = _context(config, parts, streams, origin, kind)
    stride = config.stride or context
    splits: dict[str, Split] = {}
    for part, stream in zip(parts, streams, strict=True):
        rows = TokenWindows(
            torch.from_numpy(stream), context=context, stride=stride if part.name == "train" else context
        )
        splits[part.name] = Split(rows, rows.targets_NT)
    counts = {part: len(split) for part, split in splits.items()}
    unknown = sum(int((stream == UNKNOWN).sum()) for stream in streams[1:])
    words = {"char": "characters", "word": "words and marks", "bpe": "byte pairs"}[kind]
    num_tokens = sum(map(len, streams))
    notes = [f"{num_tokens:,} tokens of {len(vocabulary):,} kinds ({words}), learned from the training part", reason]
    if unknown:
        notes.append(f"{unknown:,} token(s) of the validation and test parts do not occur in training: unknown")
    spec = DataSpec(
        name=name,
        kind="text",
        task="tokens",
        input_shape=(context,),
        output_shape=(context,),
        num_outputs=len(vocabulary),
        vocabulary=len(vocabulary),
        class_counts=tuple(np.bincount(streams[0], minlength=len(vocabulary)).tolist()),
        num_train=counts["train"],
        num_valid=counts.get("valid", 0),
        num_test=counts.get("test", 0),
        preparation={"kind": "text", "vocabulary": vocabulary.to_state(), "context": context},
    )
    summary: dict[str, Any] = {
        "rows": sum(counts.values()),
        "tokens": num_tokens,
        "vocabulary": len(vocabulary),
        "split": counts | {"how": "in the order of the text" + ("" if test is None else f"; test from {config.test}")},
        "task": "tokens",
        "task_reason": "a running text: the next token at every place",
        "notes": notes,
    }
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    digest.update(b"" if test is None else b"\0" + test.encode("utf-8", "surrogatepass"))
    return Dataset(spec, splits["train"], splits.get("valid"), lambda: splits.get("test"), digest.hexdigest(), summary)


def _parts(text: str, config: DataConfig, test: str | None, *, whole_words: bool) -> list[Part]:
    """Train, validation and test part in the order of the text; those with a share of 0 are absent."""
    for refuse in (refuse_folds, refuse_parts):
        refuse(config, "a running text is one piece, split in its order, once. Leave it out.")
    open_shares = {key: DEFAULT_SHARE for key in ("valid_share", "test_share") if getattr(config, key) is None}
    valid_share, test_share = split_shares(config.model_copy(update=open_shares), has_test=test is not None)
    end = len(text) - round(test_share * len(text))
    middle = end - round(valid_share * len(text))
    if whole_words:
        middle, end = (_behind_word(text, border) for border in (middle, end))
    parts = [Part("train", text[:middle]), Part("valid", text[middle:end]), Part("test", text[end:])]
    if test is not None:
        parts[2] = Part("test", test)
    shares = (1.0, valid_share, test_share or float(test is not None))
    return [part for part, share in zip(parts, shares, strict=True) if share > 0]


def _behind_word(text: str, place: int) -> int:
    """The first place from here on that does not cut a word."""
    while 0 < place < len(text) and not text[place - 1].isspace() and not text[place].isspace():
        place += 1
    return place


def _context(config: DataConfig, parts: list[Part], streams: list[Codes], origin: str, kind: str) -> tuple[int, str]:
    """Tokens of a window, and why. Raises DataError when a part has no room for one."""
    fewest = min(range(len(parts)), key=lambda i: len(streams[i]))
    room = len(streams[fewest]) - 1
    context = config.context or min(DEFAULT_CONTEXT, room)
    if context > room or context < 2:
        part, needed = parts[fewest], max(context, 2) + 1
        what = "The text" if len(parts) == 1 else f"its {part.name} part"
        raise DataError(
            f"{origin} is too short: {what} has {len(streams[fewest]):,} tokens ({kind}), and a context of "
            f"{needed - 1} takes at least {needed:,}. Give a longer text, a smaller --context, or other "
            "data.valid_share and data.test_share."
        )
    if config.context is None and context < DEFAULT_CONTEXT:
        return context, f"context of {context} tokens: the {parts[fewest].name} part has no room for more"
    return (
        context,
        f"windows of {context} tokens, {config.stride or context} apart; --context and data.stride change it",
    )
