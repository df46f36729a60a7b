"""Times that are not what they should be, and what mends them."""

from datetime import date, timedelta

import polars as pl
import pytest

from limpid.config import DataConfig
from limpid.data.sources import load_data
from limpid.data.time_axis import arrange_times
from limpid.errors import DataError

MONTHS = [f"19{49 + i // 12}-{i % 12 + 1:02}" for i in range(60)]


def write(tmp_path, times):
    path = tmp_path / "s.csv"
    path.write_text("Month,Passengers\n" + "".join(f"{time},{100 + i % 12 * 7 + i}\n" for i, time in enumerate(times)))
    return path


FAULTS = {
    "gap": (
        MONTHS[:20] + MONTHS[22:],
        r"row 20 \(from 0\): a gap: the time 1950-11 follows on 1950-08, where the step is 1 month",
    ),
    "twice": (MONTHS[:20] + MONTHS[19:], r"row 20 \(from 0\): the time 1950-08 occurs twice"),
    "order": (
        [*MONTHS[:20], MONTHS[21], MONTHS[20], *MONTHS[22:]],
        r"row 21 \(from 0\): the time 1950-09 comes after 1950-10: the rows are not in order",
    ),
    "backwards": (MONTHS[::-1], r"row 1 \(from 0\): the time 1953-11 comes after 1953-12: the rows are not in order"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_times_are_named_with_their_row_and_the_option_that_resolves_them(tmp_path, fault):
    times, says = FAULTS[fault]
    path = write(tmp_path, times)
    with pytest.raises(DataError, match=says) as caught:
        load_data(path, DataConfig(window=6, horizon=2))
    assert str(path) in str(caught.value)
    assert "in 'Month'. Set data.times=mend" in str(caught.value)
    mended = load_data(path, DataConfig(window=6, horizon=2, times="mend"))
    series = mended.train.rows.series_SF[:, 0].tolist()
    assert len(series) == 60
    assert any("times were mended" in note for note in mended.summary["notes"])
    ignored = load_data(path, DataConfig(window=6, horizon=2, times="ignore"))
    assert len(ignored.train.rows.series_SF) == len(times)
    if fault == "gap":
        assert series[20:22] == [series[19]] * 2  # filled with the last known value
        assert mended.spec.feature_names == ("Passengers", "Passengers missing")
    if fault == "backwards":
        assert series == [100 + i % 12 * 7 + i for i in range(60)][::-1]


def axis_of(column, **columns):
    return arrange_times(pl.DataFrame({"t": column, **columns}), None, "check", "s").axis


def test_steps_of_all_kinds_are_recognised_and_continued():
    days = [date(2024, 2, 26) + timedelta(days=i) for i in range(4)]
    cases = [
        ([str(day) for day in days], "1 day", "2024-03-01"),
        (days, "1 day", "2024-03-01"),
        ([f"{y}-01-01" for y in (2001, 2002, 2003)], "1 year", "2004-01-01"),
        (["2024-01-31", "2024-02-29", "2024-03-31"], "1 month", "2024-04-30"),
        ([f"0{m}/15/2024" for m in (1, 4, 7)], "3 months", "10/15/2024"),
        ([f"2024-05-01 {h:02}:30" for h in (0, 6, 12, 18)], "6 hours", "2024-05-02 00:30"),
        ([f"2024-05-01 00:{m:02}" for m in (0, 15, 30)], "15 minutes", "2024-05-01 00:45"),
        ([1700, 1701, 1702, 1703], "1", "1704"),
    ]
    for column, step, after in cases:
        axis = axis_of(column)
        assert (axis.describe(), axis.after(1)) == (step, after), column
        assert type(axis).from_state(axis.to_state()) == axis


def test_calendar_columns_are_one_time():
    axis = axis_of([1.5, 0.3, 9.9], year=[2020] * 3, month=[12] * 3, day=[30, 31, 31], hour=[23, 0, 1])
    assert axis.columns == ("year", "month", "day", "hour")
    assert (axis.describe(), axis.after(1)) == ("1 hour", "2020-12-31 02:00")
    gap = pl.DataFrame({"year": [2020] * 4, "month": [1] * 4, "day": [1, 2, 3, 5]})
    with pytest.raises(
        DataError, match="2020-01-05 follows on 2020-01-03, where the step is 1 day in 'year month day'"
    ):
        arrange_times(gap, None, "check", "s")


def test_without_times_rows_are_equally_spaced():
    arranged = arrange_times(pl.DataFrame({"x": [3.5, 1.2, 8.1]}), None, "check", "s")
    assert arranged.axis.columns == ()
    assert arranged.axis.after(2) == "4"
    assert "no time column" in arranged.notes[0]
    with pytest.raises(DataError, match="time column 'x' holds neither dates nor numbers"):
        arrange_times(pl.DataFrame({"x": ["a", "b"]}), "x", "check", "s")
