"""Written tables read back as they were; spreadsheets get no formula; nothing is half-written."""

from __future__ import annotations

import csv
import json

import polars as pl
import pytest

from limpid.deploy.tables_out import check_path, write_table
from limpid.errors import DataError

FRAME = pl.DataFrame({"row": [0, 1, 2], "prediction": ["cat", "dög, big", 'a "b"'], "p_cat": [0.25, 0.5, 1.0]})
READERS = {"csv": pl.read_csv, "parquet": pl.read_parquet, "json": pl.read_json, "jsonl": pl.read_ndjson}


@pytest.mark.parametrize("form", READERS)
def test_what_is_written_reads_back_equal(tmp_path, form):
    path = write_table(FRAME, tmp_path / f"out.{form}")
    assert READERS[form](path).equals(FRAME)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # no temporary file stays


def test_json_is_one_list_of_objects(tmp_path):
    rows = json.loads(write_table(FRAME, tmp_path / "out.json").read_text(encoding="utf-8"))
    assert rows[1] == {"row": 1, "prediction": "dög, big", "p_cat": 0.5}


def test_csv_cells_that_a_spreadsheet_would_run_are_neutralised(tmp_path):
    texts = ["=1+1", "+cmd", "-x", "@sum", "\tx", "plain", "-1", "+2.5", "-1e-3", "a=b"]
    expected = ["'=1+1", "'+cmd", "'-x", "'@sum", "'\tx", "plain", "-1", "+2.5", "-1e-3", "a=b"]
    frame = pl.DataFrame({"prediction": texts, "number": [-1.0] * len(texts)})
    with open(write_table(frame, tmp_path / "out.csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["prediction"] for row in rows] == expected
    assert {row["number"] for row in rows} == {"-1.0"}
    assert pl.read_parquet(write_table(frame, tmp_path / "out.parquet"))["prediction"].to_list() == texts


@pytest.mark.parametrize("name", ["out.xlsx", "out"])
def test_unknown_extension_names_the_allowed_ones(tmp_path, name):
    with pytest.raises(DataError, match=r"\.csv, \.parquet, \.json, \.jsonl"):
        write_table(FRAME, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_what_it_is_made_from_is_not_written_over(tmp_path):
    (tmp_path / "new.csv").write_text("x\n1\n")
    (tmp_path / "again.csv").symlink_to("new.csv")
    for name in ("new.csv", "again.csv"):
        with pytest.raises(DataError, match="is the file that is read"):
            check_path(tmp_path / name, tmp_path / "new.csv")
    assert check_path(tmp_path / "new.csv", tmp_path / "other.csv") == tmp_path / "new.csv"
    (tmp_path / "run.json").touch()
    with pytest.raises(DataError, match="record of a run"):
        check_path(tmp_path / "run.json", tmp_path / "new.csv")


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        write_table(FRAME, tmp_path / "nowhere" / "out.csv")
