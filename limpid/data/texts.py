"""Labelled texts (topics, sentiments, ratings): from class folders, a table, or memory.

Shapes: N texts, T tokens of the longest text that is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from limpid.config import DataConfig
from limpid.data.array_dataset import target_columns
from limpid.data.column_types import as_text
from limpid.data.dataset import Dataset
from limpid.data.frames import TableFile, read_table
from limpid.data.labelled import assemble, label_samples
from limpid.data.layout import arrange
from limpid.data.origin import named
from limpid.data.table_roles import column_name
from limpid.data.table_target import read_targets
from limpid.data.target import TargetColumn, target_from_array
from limpid.data.text_files import text_files, text_of
from limpid.data.vocabulary import Codes, Tokens, Vocabulary, learn_vocabulary
from limpid.data.windows import PaddedRows
from limpid.errors import DataError
from limpid.spec import UNKNOWN, DataSpec

if TYPE_CHECKING:
    import polars as pl

Index = NDArray[np.int64]

CONTEXT_QUANTILE = 0.95  # texts are cut where one in twenty is longer, and at most where the model reads no further
SHOWN = 3  # unknown tokens named in a remark
LEAST_OCCURRENCES = 2  # of a word: one that occurs once cannot be learned, and UNKNOWN should be


@dataclass(frozen=True)
class Texts:
    """Texts and their targets; `parts` where the source says who trains and tests, `index` the place in the source."""

    texts: list[str]
    columns: list[TargetColumn]
    fingerprint: str
    index: Index
    parts: list[str] | None = None
    names: list[str] | None = None
    preparation: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()


def load_texts(path: Path, config: DataConfig, seed: int, most_tokens: int) -> Dataset:
    """A folder or archive of class folders with .txt files, or a table with a column of text.

    Raises DataError for whatever is wrong with the files, the texts or the target.
    """
    with named(str(path), config.test):
        table = path.is_file() and not path.name.lower().endswith((".tar", ".gz", ".tgz", ".zip"))
        if config.test is not None and not table:
            raise DataError("data.test names a test table. Put test texts into a folder called test beside train.")
        found = _from_table(read_table(path, header=config.header), config, str(path)) if table else _from_files(path)
        name = path.name.partition(".")[0]
        return texts_dataset(found, config, seed, most_tokens, name=name, origin=str(path))


def texts_in_memory(texts: Sequence[str], y: Any, config: DataConfig, seed: int, most_tokens: int) -> Dataset:
    """Texts with their labels or numbers. Raises DataError when they are not equally many."""
    if config.test is not None:
        raise DataError("data.test is not read for texts in memory. Leave it out; a share of them is the test.")
    labels = np.asarray(y)
    if len(labels) != len(texts):
        raise DataError(f"There are {len(texts)} texts and {len(labels)} targets. They must be equally many.")
    digest = hashlib.sha256(repr([*texts, labels.tolist()]).encode("utf-8", "surrogatepass")).hexdigest()
    columns = target_columns(labels, "target")
    found = Texts(list(texts), columns, digest, np.arange(len(texts)))
    return texts_dataset(found, config, seed, most_tokens, name="texts", origin="The texts")


def texts_dataset(found: Texts, config: DataConfig, seed: int, most_tokens: int, *, name: str, origin: str) -> Dataset:
    """Split the texts, learn the vocabulary of the training ones, and cut all to the context."""
    labelled = label_samples(found.columns, found.parts, config, seed)
    kind: Tokens = "word" if config.tokens == "auto" else config.tokens
    train = [found.texts[i] for i in labelled.parts["train"].tolist()]
    least = LEAST_OCCURRENCES if config.vocabulary is None and kind == "word" else 1
    with named(origin):
        vocabulary = learn_vocabulary(train, kind, most=config.vocabulary, least=least, lower=kind == "word")
    codes = [vocabulary.encode(text) for text in found.texts]
    lengths = np.array([len(codes[i]) for i in labelled.parts["train"].tolist()])
    context = config.context or max(2, min(most_tokens, int(np.quantile(lengths, CONTEXT_QUANTILE, method="higher"))))
    flat, lengths_N = pack_codes(codes, context)
    empty = sum(len(each) == 0 for each in codes)
    notes = [
        f"{len(vocabulary):,} tokens ({kind}), learned from the training texts"
        + ("; words that occur there once count as unknown" if least > 1 else ""),
        f"texts have {int(np.median(lengths)):,} tokens at the median and {lengths.max():,} at most; they are cut "
        f"after {context:,} ({(lengths > context).mean():.1%} are longer); --context changes it",
    ]
    notes += [f"{empty} empty text(s) are read as one unknown token"] if empty else []
    spec = DataSpec(
        name=name,
        kind="text",
        input_shape=(context,),
        vocabulary=len(vocabulary),
        preparation={
            "kind": "texts",
            "vocabulary": vocabulary.to_state(),
            "context": context,
            **(found.preparation or {}),
        },
        **labelled.spec_fields(),
    )
    return assemble(
        spec,
        lambda numbers: PaddedRows(flat, lengths_N, numbers_N=torch.from_numpy(numbers)),
        labelled,
        index=found.index,
        names=found.names,
        origin=origin,
        fingerprint=found.fingerprint,
        summary={
            "columns": [],
            "dropped": [],
            "notes": [*found.notes, *notes],
            "vocabulary": len(vocabulary),
            "cut": {
                "texts": float((lengths > context).mean()),
                "tokens": float(1.0 - np.minimum(lengths, context).sum() / max(1, lengths.sum())),
            },
        },
    )


def pack_codes(codes: Sequence[Codes], context: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token sequences cut at the context, one after the other (int32), and their lengths; an empty one is UNKNOWN."""
    kept = [each[:context] if len(each) else np.array([UNKNOWN]) for each in codes]
    return torch.from_numpy(np.concatenate(kept).astype(np.int32)), torch.tensor([len(each) for each in kept])


def text_column(frame: pl.DataFrame, leave_out: Sequence[str]) -> str:
    """The column that holds the texts: of those with text the one with the longest cells.

    Raises DataError when none holds text.
    """
    import polars as pl

    columns = [column for column in frame.get_columns() if column.dtype == pl.String and column.name not in leave_out]
    if not columns:
        raise DataError(f"No column holds text. Columns: {', '.join(map(repr, frame.columns))}.")
    return max(columns, key=lambda column: float(column.str.len_chars().mean() or 0.0)).name  # type: ignore[arg-type]


def _from_files(path: Path) -> Texts:
    files = text_files(path)
    layout = arrange(files.names, files.folders, files.unwanted, str(path), noun="text")
    names = [files.names[number] for number in layout.numbers]
    texts = [text_of(files.read(number), f"{path}/{files.names[number]}") for number in layout.numbers]
    labels = np.array([layout.classes[k] for k in layout.labels])
    digest = hashlib.sha256(repr(sorted(zip(names, texts, strict=True))).encode()).hexdigest()
    parts = layout.parts if set(layout.parts) != {"train"} else None
    index = np.arange(len(texts))
    return Texts(texts, [target_from_array("class", labels)], digest, index, parts, names, notes=layout.notes)


def _from_table(file: TableFile, config: DataConfig, origin: str) -> Texts:
    frame = file.frame
    if not config.target:
        names = ", ".join(map(repr, frame.columns))
        raise DataError(f"{origin}: which column holds the label? Set data.target (--target). Columns: {names}.")
    target = [column_name(text, frame.columns, origin) for text in config.target]
    drop = [column_name(text, frame.columns, origin) for text in config.drop]
    column = text_column(frame, [*target, *drop])
    parts: list[str] | None = None
    digest = file.digest
    if config.test is not None:
        test = read_table(config.test, header=None if file.header else False, columns=frame.columns)
        absent = [name for name in (column, *target) if name not in test.frame.columns]
        if absent:
            raise DataError(f"{config.test} has no column {absent[0]!r}, which {origin} has.")
        parts = ["train"] * frame.height + ["test"] * test.frame.height
        wanted = [column, *target]
        frame = frame.select(wanted).vstack(test.frame.select(wanted))
        digest = hashlib.sha256((digest + test.digest).encode()).hexdigest()
    types: dict[str, Any] = {column_name(text, frame.columns, origin): kind for text, kind in config.types.items()}
    columns, frame, index = read_targets(frame, target, types)
    notes = list(file.notes)
    ignored = [name for name in file.frame.columns if name not in (column, *target, *drop)]
    notes += [f"texts are read from {column!r}"]
    notes += [f"columns that are not read: {', '.join(map(repr, ignored))}"] if ignored else []
    preparation = {"column": column, "target": target, "columns": list(file.frame.columns), "header": file.header}
    found = Texts(
        as_text(frame[column]).fill_null("").to_list(),
        columns,
        digest,
        index,
        notes=tuple(notes),
        preparation=preparation,
    )
    return found if parts is None else replace(found, parts=[parts[i] for i in index.tolist()])


def encode_texts(texts: Sequence[str], preparation: dict[str, Any]) -> tuple[PaddedRows, list[str]]:
    """New texts as the network takes them, and remarks on tokens that training did not have."""
    vocabulary = Vocabulary.from_state(preparation["vocabulary"])
    codes = [vocabulary.encode(text) for text in texts]
    flat, lengths_N = pack_codes(codes, preparation["context"])
    return PaddedRows(flat, lengths_N), unknown_remarks(codes, texts, vocabulary)


def unknown_remarks(codes: Sequence[Codes], texts: Sequence[str], vocabulary: Vocabulary) -> list[str]:
    """How many tokens training did not have, with examples; nothing when there are none."""
    num_unknown = sum(int((each == UNKNOWN).sum()) for each in codes)
    if not num_unknown:
        return []
    odd = (text for each, text in zip(codes, texts, strict=True) if (each == UNKNOWN).any())
    pieces = dict.fromkeys(piece for text in islice(odd, SHOWN) for piece in vocabulary.unknown_in(text))
    examples = ", ".join(map(repr, list(pieces)[:SHOWN]))
    total = sum(map(len, codes))
    return [f"{num_unknown:,} of {total:,} token(s) do not occur in the training texts (unknown), such as {examples}."]
