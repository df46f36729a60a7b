"""Sequences of unequal length from tables, arrays and memory: the same data set from each."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.sources import load_data
from limpid.errors import DataError


def make(num=40, features=2):
    random = np.random.default_rng(0)
    x = [random.normal(size=(random.integers(1, 9), features)).astype(np.float32) for _ in range(num)]
    return x, np.array(["up", "down"])[np.arange(num) % 2]


def contents(dataset):
    """{place in the source: (sequence, target)} of all splits."""
    found = {}
    for split in (dataset.train, dataset.valid, dataset.test()):
        for i in range(len(split)):
            x, length = split.rows.take(torch.tensor([i]))
            assert x.shape[1] == int(length)
            found[int(split.index[i])] = (x[0].numpy(), split.target[i])
    return found


@pytest.mark.spec("F19")
def test_lists_keep_their_lengths():
    x, y = make()
    dataset = load_data((x, y), DataConfig())
    spec = dataset.spec
    assert (spec.kind, spec.task, spec.classes) == ("series", "binary", ("down", "up"))
    assert spec.input_shape == (max(map(len, x)), 2)
    found = contents(dataset)
    assert sorted(found) == list(range(40))
    for i, (sequence, target) in found.items():
        np.testing.assert_array_equal(sequence, x[i])
        assert spec.classes[int(target)] == y[i]
    train = np.concatenate([x[i] for i in dataset.train.index.tolist()])
    np.testing.assert_allclose(spec.scale_mean, train.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(spec.scale_std, train.std(axis=0), atol=1e-6)


def test_every_source_gives_the_same(tmp_path):
    x, y = make()
    (tmp_path / "a.jsonl").write_text(
        "".join(
            json.dumps({"a": e[:, 0].tolist(), "b": e[:, 1].tolist(), "y": str(k)}) + "\n"
            for e, k in zip(x, y, strict=True)
        )
    )
    pl.DataFrame({"steps": [each.tolist() for each in x], "y": y}).write_parquet(tmp_path / "b.parquet")
    lengths = np.array([len(each) for each in x])
    np.savez(tmp_path / "c.npz", x=np.concatenate(x), lengths=lengths, y=y)
    padded = np.zeros((len(x), lengths.max(), 2), np.float32)
    for row, each in zip(padded, x, strict=True):
        row[: len(each)] = each
    np.savez(tmp_path / "d.npz", x=padded, lengths=lengths, y=y)
    wanted = contents(load_data((x, y), DataConfig()))
    for name, config in (
        ("a.jsonl", DataConfig(target=("y",))),
        ("b.parquet", DataConfig(target=("y",))),
        ("c.npz", DataConfig(form="sequences")),
        ("d.npz", DataConfig(form="sequences")),
    ):
        found = contents(load_data(tmp_path / name, config))
        assert found.keys() == wanted.keys()
        for i in wanted:
            np.testing.assert_allclose(found[i][0], wanted[i][0], rtol=1e-6)
            assert torch.equal(found[i][1], wanted[i][1])
    table = load_data(tmp_path / "a.jsonl", DataConfig(target=("y",)))
    assert table.spec.feature_names == ("a", "b")
    assert load_data(tmp_path / "b.parquet", DataConfig(target=("y",))).spec.feature_names == ("steps0", "steps1")


def test_numbers_and_equal_lengths(tmp_path):
    x = [np.arange(3.0) + i for i in range(30)]
    dataset = load_data((x, [float(i) / 7 for i in range(30)]), DataConfig(form="sequences"))
    assert (dataset.spec.kind, dataset.spec.task, dataset.spec.input_shape) == ("series", "regression", (3, 1))
    plain = load_data((x, [float(i) / 7 for i in range(30)]), DataConfig())
    assert plain.spec.kind == "vector"  # equal lengths are an ordinary matrix unless asked otherwise


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        ([[1.0], []], [0, 1], r"Sequence 1 \(from 0\) is empty"),
        ([[1.0, np.nan], [2.0]], [0, 1], "Sequence 0, step 1, feature 0 .*the value is nan"),
        ([[1.0, 2.0], ["a"]], [0, 1], r"Sequence 1 \(from 0\) holds something else than numbers"),
        ([np.zeros((2, 3)), np.zeros((1, 2))], [0, 1], r"Sequence 1 \(from 0\) has 2 feature\(s\), sequence 0 has 3"),
        ([[1.0, 2.0], [1.0]], [0, 1, 1], "There are 2 sequences and 3 targets"),
        ([[1.0, 2.0], [1.0]], None, "Sequences need targets"),
    ],
)
def test_faulty_sequences_in_memory(x, y, says):
    with pytest.raises(DataError, match=says):
        load_data(x, DataConfig(), y=y) if y is not None else load_data(x, DataConfig(form="sequences"))


def test_faulty_sequences_in_files(tmp_path):
    path = tmp_path / "s.jsonl"

    def refused(rows, says, **config):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with pytest.raises(DataError, match=says):
            load_data(path, DataConfig(**{"target": ("y",), **config}))

    good = [{"a": [1, 2], "b": [3, 4], "y": i % 2} for i in range(12)]
    refused([*good, {"a": [1, 2], "b": [3], "y": 0}], r"Row 12 \(from 0\): 'a' has 2 steps and 'b' has 1")
    refused([*good, {"a": [], "b": [], "y": 0}], r"Row 12 \(from 0\), column 'a': the sequence is missing or empty")
    refused(good, "which column is to be predicted", target=())
    refused(good, "data.test is not read for sequences", test="x.jsonl")
    np.savez(tmp_path / "x.npz", x=np.zeros((5, 2)), lengths=np.array([2, 2]), y=np.array([0, 1]))
    with pytest.raises(DataError, match=r"x of shape \(5, 2\) and 2 lengths with the sum 4 do not fit"):
        load_data(tmp_path / "x.npz", DataConfig(form="sequences"))
    np.savez(tmp_path / "y.npz", x=np.zeros((5, 2)), y=np.array([0, 1]))
    with pytest.raises(DataError, match="the array 'lengths' is missing"):
        load_data(tmp_path / "y.npz", DataConfig(form="sequences"))
