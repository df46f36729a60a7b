"""Corrections of a table of rows: applied behind the split, checked against the labels, recorded, refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import limpid
from limpid.data.corrections import table_text
from limpid.errors import DataError

random = np.random.default_rng(0)
X = random.normal(size=(200, 4)).astype(np.float32)
Y = np.arange(200) % 3


def corrections(folder: Path, text: str) -> str:
    path = folder / "corrections.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_rows_are_dropped_and_relabelled_and_no_other_row_moves(tmp_path: Path) -> None:
    plain = limpid.load_data((X, Y))
    assert plain.valid is not None
    a, b, c = (plain.train.name_of(i) for i in (0, 1, 2))
    v = plain.valid.name_of(0)
    labels = {name: str(Y[int(name.split()[1])]) for name in (a, b, c, v)}
    other = str((int(labels[b]) + 1) % 3)
    path = corrections(
        tmp_path,
        f"row,given,action\n{a},{labels[a]},drop\n{b},{labels[b]},relabel:{other}\n{c},,keep\n{v},,drop\n",
    )
    mended = limpid.load_data((X, Y), data__corrections=path)
    assert mended.valid is not None
    index = mended.train.index
    assert index is not None
    assert plain.train.index is not None
    assert index.tolist() == plain.train.index.tolist()[1:]
    assert mended.train.target.tolist() == [int(other), *plain.train.target.tolist()[2:]]
    assert torch.equal(mended.train.rows.take(torch.arange(5))[0], plain.train.rows.take(torch.arange(1, 6))[0])
    assert len(mended.valid) == len(plain.valid) - 1
    assert mended.spec.class_counts == tuple(np.bincount(mended.train.target.numpy()).tolist())
    assert mended.summary["corrections"] == {"file": path, "dropped": [a, v], "relabelled": {b: other}}
    assert mended.summary["split"]["train"] == len(plain.train) - 1
    assert mended.fingerprint != plain.fingerprint


def test_rows_of_the_test_split_are_corrected_when_it_is_read(tmp_path: Path) -> None:
    plain = limpid.load_data((X, Y)).test()
    assert plain is not None
    path = corrections(tmp_path, f"row,action\n{plain.name_of(0)},drop\n")
    mended = limpid.load_data((X, Y), data__corrections=path)
    test = mended.test()
    assert test is not None
    assert len(test) == len(plain) - 1 == mended.spec.num_test


def test_a_number_gets_another_number(tmp_path: Path) -> None:
    plain = limpid.load_data((X, X[:, 0]), task="regression")
    path = corrections(tmp_path, f"row;action\n{plain.train.name_of(0)};relabel:1000\n")
    mended = limpid.load_data((X, X[:, 0]), task="regression", data__corrections=path)
    assert mended.train.target[0].item() == 1000.0
    assert mended.spec.target_mean[0] > plain.spec.target_mean[0] + 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("row,action\nrow 999,drop\n", r"line 2: no row is called 'row 999'; nearest is"),
        ("row,action\nrow 1,remove\n", r"line 2, row 1: action 'remove' is not known"),
        ("row,action\nrow 1,relabel:7\n", r"line 2, row 1: '7' is no class"),
        ("row,action\nrow 1,drop\nrow 1,relabel:2\n", r"line 3, row 1: another action than in line 2"),
        ("row,given,action\nrow 1,0,drop\n", r"line 2: row 1 is labelled '1', not '0'"),
        ("row\nrow 1\n", r"no column 'action'"),
    ],
)
def test_what_does_not_fit_is_refused_by_line_and_row(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        limpid.load_data((X, Y), data__corrections=corrections(tmp_path, text))


def test_a_class_must_not_vanish(tmp_path: Path) -> None:
    train = limpid.load_data((X, Y)).train
    names = [train.name_of(i) for i in range(len(train)) if train.target[i] == 2]
    path = corrections(tmp_path, "row,action\n" + "".join(f"{name},drop\n" for name in names))
    with pytest.raises(DataError, match="no training row of class '2'"):
        limpid.load_data((X, Y), data__corrections=path)
    with pytest.raises(DataError, match="no such file"):
        limpid.load_data((X, Y), data__corrections="nowhere.csv")


def test_names_that_a_spreadsheet_would_run_survive(tmp_path: Path) -> None:
    from limpid.data.corrections import read_corrections

    names = ["=cmd().png", "-1", 'a,b "c".png', "@x"]
    text = table_text([{"row": name, "given": "-1", "action": "drop"} for name in names])
    assert "\n'=cmd" in text
    assert [each.row for each in read_corrections(corrections(tmp_path, text))] == names


def test_a_corrected_run_says_so(tmp_path: Path) -> None:
    name = limpid.load_data((X, Y)).train.name_of(0)
    path = corrections(tmp_path, f"row,action\n{name},drop\n")
    run = limpid.train((X, Y), epochs=1, out=tmp_path / "run", data__corrections=path, training__threads=1)
    assert run.header["summary"]["corrections"]["dropped"] == [name]
    assert run.header["config"]["data"]["corrections"] == path
