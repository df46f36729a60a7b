"""The encoder against scikit-learn and against values worked out by hand."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from limpid.data.encode import TableEncoder, encode_frame
from limpid.data.encoder_fit import fit_encoder
from limpid.errors import DataError
from limpid.spec import DataSpec


def fit(train, *, types=None, onehot=False, refuse_missing=False, leave_out=None):
    frame = pl.DataFrame(train, strict=False)
    rows = np.arange(frame.height)[::-1].copy()  # not in file order, so nothing "numbers the rows"
    return fit_encoder(
        frame,
        frame,
        leave_out=leave_out or {},
        types=types or {},
        onehot=onehot,
        refuse_missing=refuse_missing,
        rows=rows,
    )


TRAIN = {
    "n": ["1", "2", None, "9"],
    "b": ["yes", "no", "no", "yes"],
    "c": ["red", "blue", "?", "red"],
    "d": ["2020-01-01", "2020-01-11", "2020-03-01", "2020-02-01"],
}


def test_by_hand():
    encoder = fit(TRAIN).encoder
    encoded = encoder.transform(pl.DataFrame(TRAIN))
    n, n_missing, b, days, *waves = encoded.numbers.T
    assert n.tolist() == [1, 2, 2, 9]  # the median of 1, 2, 9 stands for the hole
    assert n_missing.tolist() == [0, 0, 1, 0]
    assert b.tolist() == [1, 0, 0, 1]
    assert days.tolist() == [0, 10, 60, 31]
    assert encoded.codes[:, 0].tolist() == [2, 1, 0, 2]
    month = 2 * np.pi * np.array([0, 0, 2, 1]) / 12
    weekday = 2 * np.pi * np.array([2, 5, 6, 5]) / 7  # Wednesday, Saturday, Sunday, Saturday
    expected = [np.sin(month), np.cos(month), np.sin(weekday), np.cos(weekday)]
    np.testing.assert_allclose(waves, expected, atol=1e-6)
    assert encoded.missing == {"n": 1, "c": 1}
    assert encoder.feature_names() == (
        "n", "n missing", "b", "d days", "d month sin", "d month cos", "d weekday sin", "d weekday cos",
    )  # fmt: skip


def test_one_hot_equals_scikit_learn():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    random = np.random.default_rng(0)
    train = {"n": random.normal(size=80).tolist(), "c": random.choice(list("xyz"), 80).tolist()}
    new = {"n": [0.0] * 4, "c": ["z", "w", None, "x"]}
    encoder = fit(train, onehot=True).encoder
    theirs = preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    theirs.fit(np.array(train["c"])[:, None])
    encoded = encoder.transform(pl.DataFrame(new))
    assert encoded.codes is None
    assert (encoded.numbers[:, 1:] == theirs.transform(np.array(new["c"], dtype=object)[:, None])).all()
    assert encoder.feature_names() == ("n", "c=x", "c=y", "c=z")
    assert encoded.unseen == {"c": 1}


@pytest.mark.spec("F3")
def test_scale_equals_scikit_learn_except_for_flags():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    random = np.random.default_rng(1)
    train = {"a": (1e3 + random.normal(size=90)).tolist(), "h": [None, 1.0, 2.0] * 30, "c": ["u", "v", "w"] * 30}
    encoder = fit(train, onehot=True).encoder
    numbers = encoder.transform(pl.DataFrame(train)).numbers
    mean, std = encoder.scale(numbers)
    theirs = preprocessing.StandardScaler().fit(numbers.astype(np.float64))
    np.testing.assert_allclose(mean[:2], theirs.mean_[:2])
    np.testing.assert_allclose(std[:2], theirs.scale_[:2])
    assert mean[2:] == (0.0,) * 4
    assert std[2:] == (1.0,) * 4


def test_the_state_is_plain_json_and_complete():
    for onehot in (True, False):
        encoder = fit(TRAIN, onehot=onehot).encoder
        state = json.loads(json.dumps(encoder.to_state()))
        assert TableEncoder.from_state(state) == encoder


def test_an_unseen_category_is_the_unknown_and_is_counted():
    encoder = fit(TRAIN).encoder
    new = pl.DataFrame(TRAIN).with_columns(pl.Series("c", ["green", "red ", None, "blue"]))
    encoded = encoder.transform(new)
    assert encoded.codes[:, 0].tolist() == [0, 0, 0, 1]
    assert encoded.unseen == {"c": 2}


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("n", ["1", "two", "3", "4"], r"Row 1 .* column 'n': 'two' is not a number"),
        ("n", ["1", "2", "inf", "4"], r"Row 2 .* column 'n': 'inf' is infinite"),
        ("n", ["1", "2", "3", "-1e39"], r"Row 3 .* too large for float32"),
        ("b", ["yes", "no", "perhaps", "no"], r"Row 2 .* column 'b': 'perhaps' is not a boolean"),
        ("d", ["2020-01-01", "1.1.2020", None, None], r"Row 1 .* not a date like %Y-%m-%d"),
    ],
)
def test_a_cell_of_another_type_is_named(column, cells, message):
    encoder = fit(TRAIN).encoder
    with pytest.raises(DataError, match=message):
        encoder.transform(pl.DataFrame(TRAIN).with_columns(pl.Series(column, cells)))


def test_missing_cells_may_be_refused():
    fitted = fit({"n": ["1", "2", "4"], "c": ["u", "v", "u"]}, refuse_missing=True)
    with pytest.raises(DataError, match=r"Row 7 .* column 'c'.*data.missing=impute"):
        fitted.encoder.transform(pl.DataFrame({"n": ["1", "2"], "c": ["u", None]}), rows=[5, 7])
    with pytest.raises(DataError, match=r"Row 0 .* column 'n'"):
        fitted.encoder.transform(pl.DataFrame({"n": [None, "2"], "c": ["u", "v"]}))


def test_useless_columns_are_left_out_with_their_reason():
    count = 300
    random = np.random.default_rng(0)
    fitted = fit(
        {
            "good": random.normal(size=count).tolist(),
            "empty": [None] * count,
            "same": ["x"] * count,
            "five": [5] * count,
            "name": [f"person {i}" for i in range(count)],
            "text": [f"note {i // 2}" if i % 3 else f"word {i}" for i in range(count)],
            "row": list(range(count))[::-1],
            "user_id": random.permutation(10 * count)[:count].tolist(),
            "place": [f"town {i % 60}" for i in range(count)],
            "mass": [f"{50 + i / 4} kg" for i in range(count)],
            "pay": [f"{1000 + 7 * i:,.2f}" for i in range(count)],
            "remark": ["late", *[None] * (count - 1)],
        }
    )
    assert [column.name for column in fitted.encoder.columns] == ["good", "place"]
    reasons = dict(fitted.dropped)
    assert "missing" in reasons["empty"]
    assert "constant" in reasons["same"]
    assert "constant" in reasons["five"]
    assert "300 different values" in reasons["name"]
    assert "identifier" in reasons["text"]
    assert "numbers the rows" in reasons["row"]
    assert "identifier" in reasons["user_id"]
    assert reasons["mass"] == "text such as '50.0 kg'; write plain numbers to have it used"
    assert "'1,000.00'" in reasons["pay"]
    assert reasons["remark"] == "text in 1 of 300 training rows only"
    roles = {column["name"]: column["role"] for column in fitted.columns}
    assert roles["place"] == "feature"
    assert roles["name"] == "left out"


def test_a_declared_type_keeps_a_column():
    train = {"name": [f"p{i}" for i in range(30)], "n": [float(i * i) for i in range(30)]}
    assert [c.name for c in fit(train, types={"name": "category"}).encoder.columns] == ["name", "n"]
    assert [c.name for c in fit({"name": train["name"]}).encoder.columns] == ["name"]  # the only one is kept, too
    with pytest.raises(DataError, match="No column is left"):
        fit({"name": train["name"], "same": [1] * 30})


def test_rare_values_beyond_the_one_hot_limit_are_unknown():
    cells = [f"v{i % 300:03d}" for i in range(900)] + ["v299"] * 5
    fitted = fit({"c": cells}, onehot=True)
    assert len(fitted.encoder.feature_names()) == 255
    assert "c=v299" in fitted.encoder.feature_names()
    assert fitted.notes


def test_categories_alone_become_numbers():
    fitted = fit({"c": ["u", "v"] * 20, "e": ["x", "y", "z", "x"] * 10})
    assert fitted.encoder.onehot
    assert fitted.encoder.transform(pl.DataFrame({"c": ["v"], "e": ["z"]})).numbers.tolist() == [[0, 1, 0, 0, 1]]


def test_a_time_of_day_adds_its_hour():
    moments = ["2020-01-01 06:00", "2020-01-01 12:00", "2020-01-02 18:30"]
    encoder = fit({"t": moments}).encoder
    encoded = encoder.transform(pl.DataFrame({"t": [*moments, None]}))
    assert encoder.feature_names()[-2:] == ("t hour sin", "t hour cos")
    np.testing.assert_allclose(encoded.numbers[:2, -2:], [[1, 0], [0, -1]], atol=1e-6)
    assert encoded.numbers[3, 1:].tolist() == [0] * 6


def test_encode_frame_needs_a_table():
    spec = DataSpec(name="x", kind="vector", task="regression", input_shape=(2,), num_outputs=1)
    with pytest.raises(DataError, match="'vector'"):
        encode_frame(pl.DataFrame({"a": [1]}), spec)


def test_tensors_are_of_the_promised_types():
    tensors = fit(TRAIN).encoder.transform(pl.DataFrame(TRAIN)).tensors()
    assert [tensor.dtype for tensor in tensors] == [torch.float32, torch.int64]
