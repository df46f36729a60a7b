"""Pairs of texts, a source and what it becomes: translations, spellings, answers.

    source  s_1 ... s_n            tokens of the first text
    given   START t_1 ... t_m      the target one place later, which the decoder reads (teacher forcing)
    wanted  t_1 ... t_m END        what it is to say; -100 behind the END

Shapes: N pairs, S source tokens, T target tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.config import DataConfig
from limpid.data.column_types import as_text
from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.data.frames import read_table
from limpid.data.labelled import part_rows
from limpid.data.origin import named
from limpid.data.table_roles import column_name
from limpid.data.text_files import read_text, text_files, text_of
from limpid.data.vocabulary import Codes, Tokens, learn_vocabulary
from limpid.errors import DataError
from limpid.spec import END, PADDING, START, DataSpec

Index = NDArray[np.int64]

IGNORED = -100  # target of a place that does not count
MOST_CONTEXT = 256  # tokens of the longer text of a pair, unless stated; longer pairs are left out


@dataclass(frozen=True)
class Pairs:
    """N sources and targets, where each came from, and their names."""

    sources: list[str]
    targets: list[str]
    index: Index
    fingerprint: str
    names: tuple[str, str] = ("source", "target")
    notes: tuple[str, ...] = ()


def load_pairs(path: Path, config: DataConfig, seed: int) -> Dataset:
    """Two columns of a table, tab-separated lines, or a folder with two .txt files of equally many lines.

    `config.target` names the column of targets; otherwise the first two columns are source and target. Raises
    DataError for lines without a partner, and for empty texts.
    """
    with named(str(path)):
        if path.is_dir():
            pairs = _from_folder(path)
        elif path.suffix.lower() in (".tsv", ".txt") and not config.target and not config.header:
            pairs = _from_lines(path)
        else:
            pairs = _from_table(path, config)
        return pairs_dataset(pairs, config, seed, name=path.stem, origin=str(path))


def pairs_in_memory(sources: Sequence[str], targets: Sequence[str], config: DataConfig, seed: int) -> Dataset:
    """Two lists of texts. Raises DataError when they are not equally long."""
    sources, targets = list(map(str, sources)), list(map(str, targets))
    return pairs_dataset(pairs_of(sources, targets, "source", "target"), config, seed, name="pairs", origin="The pairs")


def pairs_dataset(pairs: Pairs, config: DataConfig, seed: int, *, name: str, origin: str) -> Dataset:
    """Split the pairs, learn both vocabularies from the training ones, and fill all to one length."""
    if config.test is not None:
        raise DataError(f"{origin}: data.test is not read for pairs. Leave it out; a share of them is the test.")
    groups = np.unique(np.array(pairs.sources), return_inverse=True)[1]  # a source is never in two parts
    parts = part_rows(len(pairs.sources), None, config, seed, groups=groups)
    train = parts["train"].tolist()
    vocabularies, codes = [], []
    for texts in (pairs.sources, pairs.targets):
        kind = _tokens(config, texts)
        vocabulary = learn_vocabulary([texts[i] for i in train], kind, most=config.vocabulary)
        vocabularies.append(vocabulary)
        codes.append([vocabulary.encode(text) for text in texts])
    lengths = np.array([max(len(s), len(t) + 1) for s, t in zip(*codes, strict=True)])
    most = config.context or MOST_CONTEXT
    parts = {part: rows[lengths[rows] <= most] for part, rows in parts.items()}
    parts = {part: rows for part, rows in parts.items() if len(rows)}
    if "train" not in parts:
        raise DataError(f"{origin}: every training pair is longer than {most} tokens. Raise --context.")
    kept = np.concatenate(list(parts.values()))
    num_source = max(1, *(len(codes[0][i]) for i in kept.tolist()))
    num_target = max(len(codes[1][i]) + 1 for i in kept.tolist())

    def split(part: str) -> Split | None:
        rows = parts.get(part)
        if rows is None:
            return None
        source_BS, lengths_B = pad_codes([codes[0][i] for i in rows.tolist()], num_source)
        given_BT, wanted_BT = shift_targets([codes[1][i] for i in rows.tolist()], num_target)
        index = torch.from_numpy(pairs.index[rows])
        return Split(ResidentRows((source_BS, lengths_B, given_BT)), wanted_BT, index=index)

    splits = {part: made for part in parts if (made := split(part)) is not None}
    counts = {part: len(made) for part, made in splits.items()}
    wanted = splits["train"].target
    token_counts = torch.bincount(wanted[wanted != IGNORED], minlength=len(vocabularies[1]))
    spec = DataSpec(
        name=name,
        kind="pairs",
        task="tokens",
        input_shape=(num_source,),
        output_shape=(num_target,),
        num_outputs=len(vocabularies[1]),
        vocabulary=len(vocabularies[0]),
        class_counts=tuple(token_counts.tolist()),
        num_train=counts["train"],
        num_valid=counts.get("valid", 0),
        num_test=counts.get("test", 0),
        preparation={
            "kind": "pairs",
            "source_vocabulary": vocabularies[0].to_state(),
            "vocabulary": vocabularies[1].to_state(),
            "context": num_source,
            "names": list(pairs.names),
        },
    )
    num_long = len(pairs.sources) - len(kept)
    source, target = vocabularies
    notes = [
        f"{pairs.names[0]!r}: {len(source):,} tokens ({source.kind}), at most {num_source} to a text; "
        f"{pairs.names[1]!r}: {len(target):,} tokens ({target.kind}), at most {num_target} with the end",
        *([f"{num_long:,} pair(s) of more than {most} tokens were left out; --context changes it"] if num_long else []),
        *pairs.notes,
    ]
    summary: dict[str, Any] = {
        "rows": len(kept),
        "split": counts | {"how": "random; pairs of the same source stay together"},
        "task": "tokens",
        "task_reason": f"{pairs.names[1]!r} is to be said, token by token, from {pairs.names[0]!r}",
        "notes": notes,
    }
    fingerprint = pairs.fingerprint
    return Dataset(spec, splits["train"], splits.get("valid"), lambda: splits.get("test"), fingerprint, summary)


def pad_codes(codes: Sequence[Codes], longest: int) -> tuple[Tensor, Tensor]:
    """int64 (N, S), PADDING behind each sequence, and the lengths (N,); longer ones are cut, empty ones 1 long."""
    filled = np.full((len(codes), longest), PADDING, np.int64)
    for row, each in enumerate(codes):
        filled[row, : min(len(each), longest)] = each[:longest]
    lengths = [max(1, min(len(each), longest)) for each in codes]
    return torch.from_numpy(filled), torch.tensor(lengths)


def shift_targets(codes: Sequence[Codes], longest: int) -> tuple[Tensor, Tensor]:
    """Given and wanted tokens, int64 (N, T) each: see the head of this file."""
    given = np.full((len(codes), longest), PADDING, np.int64)
    wanted = np.full((len(codes), longest), IGNORED, np.int64)
    given[:, 0] = START
    for row, each in enumerate(codes):
        given[row, 1 : len(each) + 1] = each
        wanted[row, : len(each)] = each
        wanted[row, len(each)] = END
    return torch.from_numpy(given), torch.from_numpy(wanted)


def _tokens(config: DataConfig, texts: Sequence[str]) -> Tokens:
    """Words where most texts have several, characters where they are single words or numbers."""
    if config.tokens != "auto":
        return config.tokens
    return "word" if 2 * sum(" " in text for text in texts) > len(texts) else "char"


def pairs_of(
    sources: list[str], targets: list[str], source: str, target: str, *, line: bool = False, notes: Sequence[str] = ()
) -> Pairs:
    """Raises DataError for texts without a partner."""
    word = "line" if line else "row"
    if len(sources) != len(targets):
        raise DataError(
            f"{source} has {len(sources):,} {word}s and {target} has {len(targets):,}. Pairs need equally many: one "
            f"{word} of each for every pair."
        )
    if not sources:
        raise DataError("There are no pairs. Expected at least one.")
    for i, texts in enumerate(zip(sources, targets, strict=True)):
        for name, text in zip((source, target), texts, strict=True):
            if not text.strip():
                at = f"{word} {i + line} (from {int(line)})"
                raise DataError(f"{at}: the text of {name!r} is empty. Fill it, or remove the pair.")
    digest = hashlib.sha256(repr([sources, targets]).encode("utf-8", "surrogatepass")).hexdigest()
    return Pairs(sources, targets, np.arange(len(sources)), digest, (source, target), tuple(notes))


def _from_lines(path: Path) -> Pairs:
    """Text with a tab between source and target. Quotation marks are part of the texts; further fields are not read."""
    lines = read_text(path).removesuffix("\n").split("\n")
    fields = [line.split("\t") for line in lines]
    for i, found in enumerate(fields):
        if len(found) < 2 or len(found) != len(fields[0]):
            wanted = max(2, len(fields[0]))
            raise DataError(
                f"line {i + 1}: {len(found)} field(s) where a pair has {wanted}, separated by tabs. Mend the line; for "
                "other separators give a .csv file."
            )
    notes = [f"of {len(fields[0])} fields the first two are read"] if len(fields[0]) > 2 else []
    return pairs_of(
        [f[0].strip() for f in fields], [f[1].strip() for f in fields], "source", "target", line=True, notes=notes
    )


def _from_table(path: Path, config: DataConfig) -> Pairs:
    frame = (table := read_table(path, header=config.header)).frame
    drop = {column_name(text, frame.columns, str(path)) for text in config.drop}
    columns = [name for name in frame.columns if name not in drop]
    if len(config.target) > 1 or len(columns) < 2:
        raise DataError(f"pairs have one column of sources and one of targets; found {', '.join(map(repr, columns))}.")
    target = column_name(config.target[0], columns, str(path)) if config.target else columns[1]
    source = next(name for name in columns if name != target)
    texts = [as_text(frame[name]).fill_null("").to_list() for name in (source, target)]
    unread = [name for name in columns if name not in (source, target)]
    notes = [*table.notes, *([f"columns that are not read: {', '.join(map(repr, unread))}"] if unread else [])]
    return pairs_of(texts[0], texts[1], source, target, notes=notes)


def _from_folder(path: Path) -> Pairs:
    files = text_files(path)
    if len(files.names) != 2:
        raise DataError(f"expected two .txt files of equally many lines, found {len(files.names)}.")
    order = sorted(range(2), key=files.names.__getitem__)
    names = [files.names[i] for i in order]
    lines = [text_of(files.read(i), f"{path}/{files.names[i]}").removesuffix("\n").split("\n") for i in order]
    return pairs_of(lines[0], lines[1], names[0], names[1], line=True)
