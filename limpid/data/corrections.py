"""A table of corrections, as `limpid audit` writes it and a person has edited it: rows to drop, and new labels.

    row,split,given,suggested,confidence,kind,other,suggested_action,action
    row 17,train,3,8,0.98,label,,relabel:8,relabel:8

Only `row` and `action` are needed: keep (or nothing), drop, or relabel:CLASS. They are applied behind the split, so
that no other row changes sides. What was learned from all training rows before (fills, scales, vocabulary) stays as it
is; class counts and the target's mean follow.

Shapes: N rows of a split.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from limpid.data.bootstrap import resample
from limpid.data.dataset import Dataset, Split
from limpid.errors import DataError, nearest
from limpid.spec import DataSpec

COLUMNS = ("row", "split", "given", "suggested", "confidence", "kind", "other", "suggested_action", "action")
RELABEL = "relabel:"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # beginnings of cells that a spreadsheet would run


@dataclass(frozen=True)
class Correction:
    """What is to be done with one row."""

    row: str
    line: int  # of the file
    label: str | None  # new label; None: the row is dropped
    given: str = ""  # label that the row has, if the file says so


def read_corrections(path: str | Path) -> list[Correction]:
    """The rows of the table that ask for something.

    Raises DataError, naming line and row, for a missing column, an unknown action, or two actions for one row.
    """
    found: dict[str, Correction] = {}
    for line, cells in _lines(path):
        action = cells["action"].strip()
        if action.lower() in ("", "keep"):
            continue
        row = cells["row"]
        where = f"{path}, line {line}, {row}"
        label: str | None = None
        if action.lower().startswith(RELABEL) and action[len(RELABEL) :].strip():
            label = action[len(RELABEL) :].strip()
        elif action.lower() != "drop":
            raise DataError(f"{where}: action {action!r} is not known. Use keep, drop or relabel:CLASS.")
        asked = Correction(row, line, label, cells.get("given", ""))
        before = found.setdefault(row, asked)
        if before.label != label:
            raise DataError(f"{where}: another action than in line {before.line}. Leave one of the two.")
    return list(found.values())


def correct(dataset: Dataset, path: str | Path) -> Dataset:
    """The data set with the corrections of a table; what was done is in its summary.

    Raises DataError, naming line and row, for a row that is not there, a label other than the one the file was made
    for, a class that the data do not have, and when a class would have no training row left.
    """
    corrections = read_corrections(path)
    if not corrections:
        return dataset
    names = {row for split in (dataset.train, dataset.valid) if split for row in _places(split)}
    missing = {each.row for each in corrections} - names
    test = dataset.make_test() if missing else None
    in_test = set() if test is None else set(_places(test))
    if in_test & names:
        in_test = set()  # a test set of its own, whose rows are numbered anew
    for each in corrections:
        if each.row in missing - in_test:
            hint = nearest(each.row, names)
            raise DataError(
                f"{path}, line {each.line}: no row is called {each.row!r}"
                + (f"; nearest is {hint!r}." if hint else ".")
                + " Was the table made for these data?"
            )
    spec, by_row = dataset.spec, {each.row: each for each in corrections}
    train = _corrected(dataset.train, by_row, spec, path)
    valid = None if dataset.valid is None else _corrected(dataset.valid, by_row, spec, path)
    if valid is not None and not len(valid):
        raise DataError(f"{path}: no validation row is left. Keep some, or set data.valid_share=0.")
    make_test, num_test = dataset.make_test, spec.num_test
    if test is not None and missing:

        def make_test() -> Split | None:
            made = dataset.make_test()
            return None if made is None else _corrected(made, by_row, spec, path)

        num_test = len(_corrected(test, by_row, spec, path))
    counted = {"num_train": len(train), "num_valid": 0 if valid is None else len(valid), "num_test": num_test}
    changed = counted | _learned(train, spec, path)
    told = "\n".join(f"{each.row}\t{each.label}" for each in sorted(corrections, key=lambda each: each.row))
    return replace(
        dataset,
        spec=spec.model_copy(update=changed),
        train=train,
        valid=valid,
        make_test=make_test,
        fingerprint=hashlib.sha256(f"{dataset.fingerprint}\n{told}".encode()).hexdigest(),
        summary=_summary(dataset.summary, corrections, counted, path),
    )


def labels_of(split: Split, spec: DataSpec) -> list[str]:
    """The label of each row as text: class name, or number; labels of several columns are joined by spaces."""
    target = split.target.cpu()
    if spec.task in ("classification", "binary") and target.numel() == len(target):
        return [spec.classes[int(k)] for k in target.flatten().long().tolist()]
    if spec.task == "tokens" or target.ndim > 2:
        return [""] * len(target)
    rows = target.reshape(len(target), -1).tolist()
    if spec.task == "multilabel":
        return [" ".join(name for name, there in zip(spec.classes, row, strict=True) if there) for row in rows]
    return [" ".join(f"{value:.7g}" for value in row) for row in rows]


def table_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the keys of `COLUMNS` as CSV; cells that a spreadsheet would run get an apostrophe before them."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_safe(str(row.get(column, ""))) for column in COLUMNS])
    return out.getvalue()


def _safe(cell: str) -> str:
    try:
        float(cell)
    except ValueError:
        return f"'{cell}" if cell.startswith(FORMULA) else cell
    return cell


def _lines(path: str | Path) -> list[tuple[int, dict[str, str]]]:
    """Line number and cells of every row; commas or semicolons, as spreadsheets write them."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"data.corrections: {path}: no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"data.corrections: {path} cannot be read as a CSV file in UTF-8: {error}.") from None
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",")
    absent = [column for column in ("row", "action") if column not in (reader.fieldnames or ())]
    if absent:
        raise DataError(f"{path} has no column {absent[0]!r}. Expected a table as `limpid audit` writes it.")
    lines = []
    for cells in reader:
        plain = {key: (value or "") for key, value in cells.items() if isinstance(key, str)}
        unquoted = {key: cell[1:] if cell[:1] == "'" and cell[1:2] in FORMULA else cell for key, cell in plain.items()}
        lines.append((reader.line_num, unquoted))
    return lines


def _places(split: Split) -> dict[str, int]:
    return {split.name_of(i): i for i in range(len(split))}


def _corrected(split: Split, by_row: Mapping[str, Correction], spec: DataSpec, path: str | Path) -> Split:
    places = _places(split)
    asked = {places[row]: each for row, each in by_row.items() if row in places}
    if not asked:
        return split
    target = split.target.clone()
    keep_N = torch.ones(len(split), dtype=torch.bool)
    given = labels_of(resample(split, torch.tensor(list(asked))), spec)
    for (place, each), has in zip(asked.items(), given, strict=True):
        if each.given and each.given != has and has:
            raise DataError(
                f"{path}, line {each.line}: {each.row} is labelled {has!r}, not {each.given!r} as when the table was "
                "made. Were the data changed since, or are they others?"
            )
        if each.label is None:
            keep_N[place] = False
        else:
            target[place] = _target(each, spec, path)
    changed = replace(split, target=target)
    return changed if keep_N.all() else resample(changed, keep_N.nonzero().flatten())


def _target(each: Correction, spec: DataSpec, path: str | Path) -> float:
    """The new label as it stands in the target."""
    label, where = str(each.label), f"{path}, line {each.line}, {each.row}"
    if spec.task in ("classification", "binary"):
        if label not in spec.classes:
            hint = nearest(label, spec.classes)
            raise DataError(
                f"{where}: {label!r} is no class of these data." + (f" Did you mean {hint!r}?" if hint else "")
            )
        return spec.classes.index(label)
    if spec.task == "regression" and spec.num_outputs == 1:
        try:
            return float(label)
        except ValueError:
            raise DataError(f"{where}: {label!r} is not a number.") from None
    raise DataError(f"{where}: rows of a {spec.task} task can be dropped, but not relabelled. Mend them in the source.")


def _learned(train: Split, spec: DataSpec, path: str | Path) -> dict[str, Any]:
    """What the spec says of the training targets."""
    if not len(train):
        raise DataError(f"{path}: no training row is left.")
    if spec.task in ("classification", "binary") and train.target.numel() == len(train):
        count_K = torch.bincount(train.target.flatten().long(), minlength=len(spec.classes)).tolist()
        if 0 in count_K:
            raise DataError(f"{path}: no training row of class {spec.classes[count_K.index(0)]!r} is left. Keep some.")
        return {"class_counts": tuple(count_K)}
    if spec.task == "regression" and spec.target_mean:
        target = train.target.double().reshape(len(train), -1)
        std = target.std(0, correction=0)
        if bool((std == 0).any()):
            raise DataError(f"{path}: the training rows that are left all have the same target.")
        return {"target_mean": tuple(target.mean(0).tolist()), "target_std": tuple(std.tolist())}
    return {}


def _summary(
    summary: Mapping[str, Any], corrections: Sequence[Correction], counted: Mapping[str, int], path: str | Path
) -> dict[str, Any]:
    dropped = [each.row for each in corrections if each.label is None]
    relabelled = {each.row: each.label for each in corrections if each.label is not None}
    note = f"{path}: {len(relabelled):,} row(s) got another label and {len(dropped):,} were dropped"
    changed = dict(summary) | {
        "notes": [*summary.get("notes", ()), note],
        "corrections": {"file": str(path), "dropped": dropped, "relabelled": relabelled},
    }
    if isinstance(summary.get("split"), Mapping):
        sizes = {part: counted[f"num_{part}"] for part in ("train", "valid", "test")}
        changed["split"] = {**summary["split"], **sizes}
    return changed
