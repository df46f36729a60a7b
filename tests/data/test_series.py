"""Series as windows, against Python loops over the steps."""

import numpy as np
import polars as pl
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.season import autocorrelation, find_season
from limpid.data.sources import load_data
from limpid.data.time_axis import TimeAxis
from limpid.errors import DataError

NUM = 100


def write(path, values=None, *, months=True, extra="", header="month,sales"):
    values = np.arange(NUM) ** 1.5 if values is None else values
    times = [f"{2000 + i // 12}-{i % 12 + 1:02}" if months else str(i) for i in range(len(values))]
    lines = [
        f"{time},{'' if np.isnan(value) else f'{value:.10g}'}{extra}" for time, value in zip(times, values, strict=True)
    ]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "sales.csv")


@pytest.mark.spec("F18")
def test_every_window_and_target_is_a_slice_of_the_series(path):
    values = np.arange(NUM) ** 1.5
    dataset = load_data(path, DataConfig(window=7, horizon=3))
    spec = dataset.spec
    assert (spec.kind, spec.task, spec.input_shape, spec.num_outputs) == ("series", "regression", (7, 1), 3)
    assert spec.target_names == ("sales+1", "sales+2", "sales+3")
    first, second = NUM - 30, NUM - 15
    expected = {
        "train": [t for t in range(NUM) if t >= 6 and t + 3 < first],
        "valid": [t for t in range(NUM) if t + 1 >= first and t + 3 < second],
        "test": [t for t in range(NUM) if t + 1 >= second and t + 3 < NUM],
    }
    splits = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test()}
    for part, ends in expected.items():
        split = splits[part]
        x, lengths = split.rows.take(torch.arange(len(split)))
        assert split.index.tolist() == ends
        assert lengths.tolist() == [7] * len(ends)
        np.testing.assert_allclose(x[:, :, 0], [values[t - 6 : t + 1] for t in ends], rtol=1e-6)
        np.testing.assert_allclose(split.target, [values[t + 1 : t + 4] for t in ends], rtol=1e-6)


def test_nothing_that_is_learned_depends_on_later_steps(tmp_path):
    values = np.arange(NUM) ** 1.5
    changed = values.copy()
    changed[NUM - 30 :] = 1e6
    before = load_data(write(tmp_path / "a.csv", values), DataConfig(window=5, horizon=2))
    after = load_data(write(tmp_path / "b.csv", changed), DataConfig(window=5, horizon=2))
    for key in ("scale_mean", "scale_std", "target_mean", "target_std"):
        assert getattr(before.spec, key) == getattr(after.spec, key)
    assert torch.equal(before.train.target, after.train.target)
    assert before.spec.scale_mean[0] == pytest.approx(values[: NUM - 30].mean(), rel=1e-5)
    assert before.spec.target_std == pytest.approx([values[: NUM - 30].std()] * 2, rel=1e-5)
    rows = torch.arange(len(before.train))
    assert torch.equal(before.train.rows.take(rows)[0], after.train.rows.take(rows)[0])


@pytest.mark.spec("F18")
def test_several_columns_with_categories_and_missing_cells(tmp_path):
    path = tmp_path / "air.csv"
    lines = ["No,year,month,day,hour,pm,wind,temp"]
    for i in range(200):
        day, hour = divmod(i, 24)
        pm = "NA" if i in (0, 1, 50, 190) else 10 + i % 24
        temp = "" if i in (0, 60, 61) else 20.5 + i
        lines.append(f"{i + 1},2020,1,{day + 1},{hour},{pm},{'NSWE'[i % 4]},{temp}")
    path.write_text("\n".join(lines))
    dataset = load_data(path, DataConfig(form="series", target=("pm",), window=4, horizon=1))
    spec = dataset.spec
    assert spec.feature_names == ("pm", "pm missing", "temp", "temp missing", "wind=E", "wind=N", "wind=S", "wind=W")
    series = dataset.train.rows.series_SF
    assert series[60:62, 2].tolist() == [79.5, 79.5]  # the last known value, never a later one
    assert series[0, 2] == pytest.approx(20.5 + np.median([i for i in range(1, 140) if i not in (60, 61)]))
    assert series[60:63, 3].tolist() == [1, 1, 0]
    ends = set(dataset.train.index.tolist())
    assert 49 not in ends  # row 50 has no target
    assert {48, 50} <= ends
    assert any("4 step(s) without a target" in note for note in dataset.summary["notes"])
    assert spec.preparation["times"]["unit"] == "microsecond"
    assert spec.preparation["times"]["step"] == 3600e6
    with pytest.raises(DataError, match="the cell is missing, and data.missing is 'error'"):
        load_data(path, DataConfig(form="series", target=("pm",), missing="error"))


def test_several_targets_are_told_step_by_step(tmp_path):
    frame = pl.DataFrame({"a": np.arange(60.0), "b": np.arange(60.0) ** 2, "t": np.arange(60)})
    dataset = load_data(frame, DataConfig(form="series", target=("a", "b"), window=3, horizon=2))
    assert dataset.spec.target_names == ("a+1", "b+1", "a+2", "b+2")
    assert dataset.train.target[0].tolist() == [3, 9, 4, 16]
    assert dataset.spec.preparation["target_features"] == [0, 1]
    assert dataset.spec.feature_names == ("a", "b")  # t does nothing but count


def test_what_a_forecast_needs_is_stored(path):
    preparation = load_data(path, DataConfig(window=7, horizon=3)).spec.preparation
    assert preparation["kind"] == "forecast"
    assert np.allclose(np.array(preparation["last"])[-7:, 0], (np.arange(NUM) ** 1.5)[-7:])
    axis = TimeAxis.from_state(preparation["times"])
    assert [axis.after(k) for k in (0, 1, 9)] == ["2008-04", "2008-05", "2009-01"]


def test_the_season_sets_window_and_horizon(tmp_path):
    random = np.random.default_rng(0)
    step = np.arange(240)
    seasonal = 50 + step + 10 * np.sin(2 * np.pi * step / 12) + random.normal(0, 1, 240)
    dataset = load_data(write(tmp_path / "s.csv", seasonal), DataConfig(form="series"))
    assert dataset.spec.preparation["season"] == 12
    assert (dataset.spec.input_shape, dataset.spec.num_outputs) == ((24, 1), 12)
    valid, naive = dataset.valid, dataset.spec.preparation["naive"]
    last = np.abs(np.array([[seasonal[t]] * 12 for t in valid.index.tolist()]) - valid.target.numpy()).mean()
    back = np.array([[seasonal[t - 12 + h] for h in range(1, 13)] for t in valid.index.tolist()])
    assert naive["last"] == pytest.approx(last, rel=1e-5)
    assert naive["season"] == pytest.approx(np.abs(back - valid.target.numpy()).mean(), rel=1e-5)
    assert any("to beat on the validation steps" in note for note in dataset.summary["notes"])
    walk = load_data(write(tmp_path / "w.csv", random.normal(0, 1, 240)), DataConfig(form="series"))
    assert walk.spec.preparation["season"] is None
    assert (walk.spec.input_shape, walk.spec.num_outputs) == ((24, 1), 1)


def test_autocorrelation_is_the_sum_of_products():
    x = np.random.default_rng(1).normal(size=50)
    centred = x - x.mean()
    wanted = [(centred[: 50 - lag] * centred[lag:]).sum() / (centred**2).sum() for lag in range(20)]
    np.testing.assert_allclose(autocorrelation(x, 19), wanted, atol=1e-12)
    assert find_season(np.sin(np.arange(300) * 2 * np.pi / 31)) == 31
    assert find_season(np.arange(300.0)) is None
    assert find_season(np.ones(3)) is None


def test_a_series_too_short_says_how_long_its_parts_are(tmp_path):
    path = write(tmp_path / "short.csv", np.arange(30.0))
    with pytest.raises(
        DataError, match=r"the valid part has 4 of 30 steps and no window: a window takes 5 step\(s\) and 6"
    ):
        load_data(path, DataConfig(window=5, horizon=6))
    with pytest.raises(DataError, match="the train part has 22 of 30 steps and no window"):
        load_data(path, DataConfig(window=25, horizon=1))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"target": ("profit",)}, "no column 'profit'"),
        ({"split": "group:month"}, "split = group:month does not apply to a series, which is split in order of time"),
        ({"test": "x.csv"}, "data.test does not apply to a series"),
        ({"split": "time:day"}, "no column 'day'"),
    ],
)
def test_options_that_a_series_cannot_take(path, config, says):
    with pytest.raises(DataError, match=says):
        load_data(path, DataConfig(form="series", **config))


def test_targets_that_cannot_be_forecast(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{i % 7},{i % 5}\n" for i in range(50)))
    with pytest.raises(DataError, match=r"which column is to be forecast\? .*Numbers: 'a', 'b'"):
        load_data(path, DataConfig(form="series"))
    constant = write(tmp_path / "c.csv", np.ones(50))
    with pytest.raises(DataError, match="same value|left to predict|constant"):
        load_data(constant, DataConfig(form="series"))
    with pytest.raises(DataError, match="data.form = series takes a table of steps"):
        load_data(tmp_path, DataConfig(form="series"))
