"""Types of columns, and the words that stand for a missing cell."""

import datetime

import polars as pl
import pytest

from limpid.data.column_types import (
    as_moments,
    as_numbers,
    as_text,
    declared_type,
    feature_type,
    infer_type,
    number_in_words,
    numbers_from_text,
)
from limpid.errors import DataError


def column(*cells):
    return pl.Series("c", list(cells), strict=False)


@pytest.mark.parametrize(
    ("cells", "type_"),
    [
        (("1", "2.5", "-3e4"), "number"),
        (("1", "NA", "n/a", "null", "None", "-", "?", None, "nan"), "number"),
        (("1", "inf"), "number"),
        (("01234", "98765"), "category"),
        (("12345678901234567890", "1"), "category"),
        (("0.5", "0"), "number"),
        (("true", "False", "TRUE"), "boolean"),
        (("yes", "no", "NA"), "boolean"),
        (("yes", "no", "maybe"), "category"),
        (("2020-01-31", "1999-12-01", "-"), "date"),
        (("31.12.2020", "01.02.2021"), "date"),
        (("2020-01-31 10:00:00", "2020-01-31 10:00:01"), "date"),
        (("2020-01-31", "soon"), "category"),
        (("NA", "DE", "FR"), "category"),
        (("NA", "NA"), "category"),
        ((1, 2, None), "number"),
        ((True, None), "boolean"),
        ((datetime.date(2020, 1, 1), None), "date"),
    ],
)
def test_inference(cells, type_):
    inferred = infer_type(column(*cells))
    assert inferred is not None
    assert inferred.type == type_


def test_nothing_there_has_no_type():
    assert infer_type(column(None, None)) is None
    assert infer_type(column("?", None)) is None
    assert infer_type(pl.Series("c", [None, None])) is None


def test_nested_cells_are_refused():
    with pytest.raises(DataError, match="List"):
        infer_type(pl.Series("c", [[1], [2]]))


def test_a_few_words_among_many_numbers_are_missing_cells():
    cells = column(*map(str, range(30)), "3O", "NA", None)
    assert infer_type(cells).type == "category"
    kind = feature_type(cells)
    assert (kind.type, kind.words) == ("number", ("3O",))
    assert "1 cell is no number ('3O'), counted as missing" in kind.note
    assert feature_type(column("0.5", *"1111111111", "n.v.", "n.v.")).type == "category"  # 2 of 13 are no numbers
    assert feature_type(column("0.5", *"1" * 30, "n.v.", "n.v.")).words == ("n.v.",)
    assert feature_type(column(*map(str, range(100, 200)), "007", "n.v.")).type == "category"


def test_a_word_among_few_whole_numbers_may_be_a_code():
    kind = feature_type(column(*"123" * 20, "A"))
    assert (kind.type, kind.words) == ("category", ())
    assert "'A'" in kind.note
    assert feature_type(column(*"123" * 20, "A"), "number").words == ("A",)


def test_words_of_a_declared_number_may_be_many():
    kind = feature_type(column("1", "low", "high", "NA"), "number")
    assert (kind.type, kind.words) == ("number", ("high", "low"))
    with pytest.raises(DataError, match="declared number, but no cell is one; the first says 'low'"):
        feature_type(column("low", "NA"), "number")


def test_na_is_a_country_but_no_number():
    assert as_text(column("NA", "DE", "?", None)).to_list() == ["NA", "DE", None, None]
    values, bad = as_numbers(column("1", "NA", "x", None), "number")
    assert values.to_list() == [1, None, None, None]
    assert bad == 2


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (("12.5 kg", None, "7 kg"), "12.5 kg"),
        (("1,234.50", "7"), "1,234.50"),
        (("€ 3", "€ 4.5"), "€ 3"),
        (("30%", "4.5%"), "30%"),
        (("3 kg", "4 lb"), None),
        (("12", "13"), None),
        (("P 12", "P 13"), None),
        (("1.2.3", "1.2.4"), None),
        (("2020-01-01", "2020-01-02"), None),
    ],
)
def test_numbers_with_a_unit_or_marks_between_thousands_are_recognised(cells, found):
    assert number_in_words(column(*cells)) == found


def test_cells_as_numbers():
    assert as_numbers(column("Yes", "no", "NA"), "boolean", "yes")[0].to_list() == [1, 0, None]
    assert as_numbers(column("1", "0"), "boolean", "1")[0].to_list() == [1, 0]
    assert as_numbers(column(1.0, float("nan")), "number")[0].to_list() == [1, None]
    days, bad = as_numbers(column("1970-01-02", "2000-01-01", "?"), "date", "%Y-%m-%d")
    assert bad is None
    assert days.to_list() == [1, (datetime.date(2000, 1, 1) - datetime.date(1970, 1, 1)).days, None]
    half = as_numbers(column("1970-01-01 12:00"), "date", "%Y-%m-%d %H:%M")[0]
    assert half.to_list() == [0.5]
    assert as_numbers(column(datetime.date(1970, 1, 3)), "number")[1] == 0
    assert as_numbers(column("x"), "date", "%Y-%m-%d")[1] == 0


def test_cells_as_text():
    assert as_text(column(1.0, 2.0, None)).to_list() == ["1", "2", None]
    assert as_text(column(1.5, 2.0)).to_list() == ["1.5", "2.0"]
    assert as_text(column(True, False, None)).to_list() == ["True", "False", None]
    assert as_text(column(3, None)).to_list() == ["3", None]


def test_a_month_first_date_is_told_from_a_day_first_one():
    assert infer_type(column("12/31/2020", "01/02/2020")).form == "%m/%d/%Y"
    assert infer_type(column("31/12/2020", "01/02/2020")).form == "%d/%m/%Y"


def test_moments_of_a_zone_are_its_clock():
    moment = datetime.datetime(2020, 1, 1, 10, tzinfo=datetime.UTC)
    assert as_moments(pl.Series("c", [moment]), "").dt.hour().to_list() == [10]


def test_a_declared_type_wins_where_the_cells_allow_it():
    assert declared_type(column("1", "2"), "category").type == "category"
    assert declared_type(column("0", "1"), "boolean").form == "1"
    assert declared_type(column("x", "1"), "number").type == "number"
    with pytest.raises(DataError, match="declared date"):
        declared_type(column("soon"), "date")
    with pytest.raises(DataError, match="declared boolean"):
        declared_type(column("2", "3"), "boolean")
    with pytest.raises(DataError, match="declared number"):
        declared_type(column(datetime.date(2020, 1, 1)), "number")


def test_only_columns_that_are_plainly_numbers_change_their_form():
    frame = pl.DataFrame(
        {"plain": ["1", "2.5", None], "marked": ["1", "NA", "2"], "zip": ["01", "2", "3"], "word": ["a", "b", "c"]}
    )
    changed = numbers_from_text(frame, frame.columns)
    assert changed["plain"].to_list() == [1.0, 2.5, None]
    assert changed.select("marked", "zip", "word").equals(frame.select("marked", "zip", "word"))
    assert numbers_from_text(frame, ["word"]).equals(frame)
    assert numbers_from_text(frame, []).equals(frame)
