"""Tables: what is read, inferred, learned and refused."""

import gzip
import json

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.config import DataConfig
from limpid.data.delimited import parse_delimited
from limpid.data.encode import encode_frame
from limpid.data.frames import read_frame, read_table, to_frame
from limpid.data.tables import load_frame, load_table
from limpid.errors import DataError


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def people(num_rows=200, seed=0, header=True):
    """A table with each type: number with holes, category, boolean, date, and a target of two classes."""
    random = np.random.default_rng(seed)
    lines = ["age,job,member,joined,income"] if header else []
    for i in range(num_rows):
        age = "" if i % 17 == 0 else str(random.integers(18, 80))
        job = ["clerk", "nurse", "?", "sailor"][random.integers(0, 4)]
        member = ["no", "yes"][random.integers(0, 2)]
        joined = f"20{random.integers(10, 24)}-{random.integers(1, 13):02d}-{random.integers(1, 29):02d}"
        lines.append(f"{age}, {job}, {member}, {joined}, {['<=50K', '>50K'][int(random.random() < 0.3)]}")
    return "\n".join(lines) + "\n"


def load(path, *, takes_codes=True, seed=0, **options):
    return load_table(path, DataConfig(**options), seed=seed, takes_codes=takes_codes)


def refused(path, match, **options):
    options.setdefault("target", ("y",))
    with pytest.raises(DataError, match=match) as caught:
        load(path, **options).test()
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def test_a_table_of_every_type(tmp_path):
    dataset = load(write(tmp_path / "people.csv", people()), target=("income",))
    spec = dataset.spec
    types = {column["name"]: column["type"] for column in dataset.summary["columns"]}
    assert types["age"] == "number"
    assert types["job"] == "category"
    assert types["member"] == "boolean"
    assert types["joined"] == "date"
    assert (spec.kind, spec.task, spec.classes) == ("table", "binary", ("<=50K", ">50K"))
    assert spec.category_names == ("job",)
    assert spec.cardinalities == (4,)
    assert spec.feature_names[:3] == ("age", "age missing", "member")
    numbers, codes = dataset.train.rows.tensors
    assert numbers.dtype == torch.float32
    assert codes.dtype == torch.int64
    assert numbers.shape == (140, len(spec.feature_names))
    assert dataset.train.target.shape == (140, 1)
    assert len(spec.scale_mean) == len(spec.scale_std) == spec.input_shape[0]
    assert (spec.num_train, spec.num_valid, spec.num_test) == (140, 30, 30)
    assert spec.class_counts == tuple(torch.bincount(dataset.train.target[:, 0].long()).tolist())
    assert len(dataset.test()) == 30
    assert spec.name == "people"


@pytest.mark.spec("F1")
def test_nothing_is_learned_from_validation_or_test_rows(tmp_path):
    """Changing every feature of the rows that do not train changes nothing that was learned."""
    lines = people().splitlines()
    before = load(write(tmp_path / "a.csv", "\n".join(lines)), target=("income",))
    elsewhere = [*before.valid.index.tolist(), *before.test().index.tolist()]
    for row in elsewhere:
        label = lines[row + 1].rpartition(",")[2]
        lines[row + 1] = f"99999,astronaut,yes,1901-01-01,{label}"
    after = load(write(tmp_path / "b.csv", "\n".join(lines)), target=("income",))
    assert (before.train.index == after.train.index).all()
    assert before.spec.model_dump() | {"name": ""} == after.spec.model_dump() | {"name": ""}
    assert all((a == b).all() for a, b in zip(before.train.rows.tensors, after.train.rows.tensors, strict=True))
    numbers, codes = after.test().rows.tensors
    assert (numbers[:, 0] == 99999).all()
    assert (codes == 0).all()  # unseen: the code of the unknown
    assert before.fingerprint != after.fingerprint


@pytest.mark.spec("F20")
def test_splits_of_a_table_are_disjoint_stratified_and_seeded(tmp_path):
    path = write(tmp_path / "p.csv", people(400))
    first, again, other = (load(path, target=("income",), seed=seed) for seed in (1, 1, 2))
    parts = [first.train.index, first.valid.index, first.test().index]
    assert sorted(torch.cat(parts).tolist()) == list(range(400))
    shares = [split.target.mean().item() for split in (first.train, first.valid, first.test())]
    assert max(shares) - min(shares) < 0.02
    assert (first.test().index == again.test().index).all()
    assert not (first.test().index == other.test().index).all()


def test_without_header_the_target_may_be_a_number(tmp_path):
    path = write(tmp_path / "p.csv", people(header=False))
    last, fourth = load(path, target=("-1",)), load(path, target=("4",))
    assert last.spec.target_names == fourth.spec.target_names == ("column_4",)
    assert last.spec.num_train == 140
    assert not last.spec.preparation["header"]
    assert any("no header" in note for note in last.summary["notes"])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n3,4\n", ["a", "b"]),
        ("1,2\n3,4\n", ["column_0", "column_1"]),
        ("x,red\ny,blue\nx,red\n", ["column_0", "column_1"]),
        ("size,colour\nbig,blue\nsmall,red\nbig,red\n", ["size", "colour"]),
        ("0,1,2,label\n5,5,5,a\n6,5,5,b\n", ["0", "1", "2", "label"]),
        (",a,b\n0,1,x\n1,2,y\n", ["column_0", "a", "b"]),
        ("\ufeffa,b\r\n1,2\r\n", ["a", "b"]),
        ("a;b\n1,5;2\n3;4\n", ["a", "b"]),
        ("a\tb\n1\tx, y\n", ["a", "b"]),
        ('a,b\n1,"x, y\nz"\n', ["a", "b"]),
        ("a,b\n\n1,2\n\n\n3,4\n\n", ["a", "b"]),
    ],
)
def test_header_and_separator_are_inferred(tmp_path, text, names):
    assert read_frame(write(tmp_path / "t.csv", text)).columns == names


def test_cells_of_quoted_blank_and_comma_forms(tmp_path):
    assert read_frame(write(tmp_path / "a.csv", 'a,b\n1,"x, y\nz"\n')).rows() == [("1", "x, y\nz")]
    assert read_frame(write(tmp_path / "b.csv", "a,b\n\n1, 2 \n\n3,\n")).rows() == [("1", "2"), ("3", None)]
    assert read_frame(write(tmp_path / "c.csv", "a;b\n1,5;2\n3;4\n")).rows() == [("1.5", "2"), ("3", "4")]


def test_adult_form(tmp_path):
    """No header, spaces, "?" for missing, a title line in the test file, and a dot after its labels."""
    train = write(tmp_path / "train.csv", people(300, header=False))
    rows = people(50, seed=1, header=False).replace("50K\n", "50K.\n")
    test = write(tmp_path / "test.csv", "|1x3 Cross validator\n" + rows)
    dataset = load(train, target=("-1",), test=str(test))
    assert (dataset.spec.num_train, dataset.spec.num_valid, dataset.spec.num_test) == (270, 30, 50)
    split = dataset.test()
    plain = [line.rpartition(", ")[2] == ">50K." for line in rows.splitlines()]
    assert split.target[:, 0].tolist() == [float(label) for label in plain]
    assert dataset.spec.cardinalities[0] == 4  # "?" is no value of its own


def test_a_separate_test_file_is_matched_by_name(tmp_path):
    train = write(
        tmp_path / "train.csv", "a,b,y\n" + "".join(f"{i % 7},{i % 5},{'no yes'.split()[i % 2]}\n" for i in range(60))
    )
    test = write(tmp_path / "test.csv", "y,extra,b,a\nno,9,1,2\nYES,9,3,4\n")
    split = load(train, target=("y",), test=str(test)).test()
    assert split.rows.tensors[0].tolist() == [[2, 1], [4, 3]]
    assert split.target[:, 0].tolist() == [0, 1]
    lacking = write(tmp_path / "lacking.csv", "b,a\n1,2\n")
    with pytest.raises(DataError, match="no target column 'y'"):
        load(train, target=("y",), test=str(lacking))
    with pytest.raises(DataError, match="no such file"):
        load(train, target=("y",), test=str(tmp_path / "absent.csv"))
    unknown = write(tmp_path / "unknown.csv", "a,b,y\n1,2,no\n1,2,maybe\n")
    with pytest.raises(DataError, match=r"row 1 .*'maybe'"):
        load(train, target=("y",), test=str(unknown)).test()


def test_prediction_repeats_training_exactly(tmp_path):
    path = write(tmp_path / "p.csv", people())
    for takes_codes in (True, False):
        dataset = load(path, target=("income",), takes_codes=takes_codes)
        spec = type(dataset.spec).model_validate(json.loads(dataset.spec.model_dump_json()))
        frame = read_frame(path, columns=spec.preparation["columns"], target=spec.preparation["target"])
        inputs, report = encode_frame(frame, spec)
        for ours, trained in zip(inputs, dataset.train.rows.tensors, strict=True):
            assert (ours[dataset.train.index] == trained).all()
        assert report["extra"] == []
        reordered = frame.select("joined", "member", "job", "age").with_columns(pl.lit("x").alias("new"))
        inputs_again, report = encode_frame(reordered, spec)
        assert all((a == b).all() for a, b in zip(inputs, inputs_again, strict=True))
        assert report["extra"] == ["new"]
        with pytest.raises(DataError, match="'job'"):
            encode_frame(frame.drop("job"), spec)


def test_a_headerless_file_for_prediction_may_lack_the_target(tmp_path):
    path = write(tmp_path / "p.csv", people(header=False))
    dataset = load(path, target=("-1",))
    without = write(tmp_path / "q.csv", "33,nurse,yes,2015-05-05\n44,clerk,no,2016-06-06\n")
    preparation = dataset.spec.preparation
    frame = read_frame(without, header=False, columns=preparation["columns"], target=preparation["target"])
    assert frame.columns == ["column_0", "column_1", "column_2", "column_3"]
    assert encode_frame(frame, dataset.spec)[0][0][:, 0].tolist() == [33, 44]


@pytest.mark.parametrize("form", ["parquet", "arrow", "feather", "ipc", "jsonl", "ndjson", "tsv", "txt"])
def test_other_forms_hold_the_same_rows(tmp_path, form):
    frame = pl.DataFrame({"n": [1.5, None, 3.0] * 20, "c": ["a", "b", None] * 20, "y": ["u", "v", "u"] * 20})
    path = tmp_path / f"t.{form}"
    if form == "parquet":
        frame.write_parquet(path)
    elif form in ("arrow", "feather", "ipc"):
        frame.write_ipc(path)
    elif form in ("jsonl", "ndjson"):
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if form == "tsv" else "|")
    csv = tmp_path / "t.csv"
    frame.write_csv(csv)
    one, two = (load(file, target=("y",)) for file in (path, csv))
    assert one.spec == two.spec.model_copy(update={"name": "t"})
    assert all((a == b).all() for a, b in zip(one.train.rows.tensors, two.train.rows.tensors, strict=True))


def test_damaged_binary_forms_are_refused(tmp_path):
    for ending in ("parquet", "arrow", "jsonl"):
        path = tmp_path / f"t.{ending}"
        path.write_bytes(b"not this {")
        refused(path, f"not readable as {ending}")


def test_fingerprint_is_of_the_content(tmp_path):
    text = people()
    one = load(write(tmp_path / "a.csv", text), target=("income",)).fingerprint
    two = load(write(tmp_path / "b.csv", text), target=("income",)).fingerprint
    three = load(write(tmp_path / "c.csv", text.replace("nurse", "baker", 1)), target=("income",)).fingerprint
    assert one == two != three
    assert len(one) == 64


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        (["red", "blue"] * 30, "binary", ("blue", "red")),
        (["red", "blue", "neon green"] * 20, "classification", ("blue", "neon green", "red")),
        (["True", "False"] * 30, "binary", ("False", "True")),
        (["1", "0"] * 30, "binary", ("0", "1")),
        (["3", "10", "2"] * 20, "classification", ("2", "3", "10")),
        (["1.0", "2.0", "3.0"] * 20, "classification", ("1", "2", "3")),
        ([str(i) for i in range(60)], "regression", ()),
        ([str(i / 7) for i in range(60)], "regression", ()),
        (["größer als 5 €", "kleiner ☃"] * 30, "binary", ("größer als 5 €", "kleiner ☃")),
    ],
)
def test_the_task_follows_from_the_target(tmp_path, cells, task, classes):
    text = "x,y\n" + "".join(f"{i * 3 % 11},{cell}\n" for i, cell in enumerate(cells))
    dataset = load(write(tmp_path / "t.csv", text), target=("y",))
    assert (dataset.spec.task, dataset.spec.classes) == (task, classes)
    assert dataset.summary["task_reason"]


def test_the_task_can_be_asked_for(tmp_path):
    text = "x,y,z\n" + "".join(f"{i * 3 % 11},{i % 3},{'ab'[i % 2]}\n" for i in range(60))
    path = write(tmp_path / "t.csv", text)
    assert load(path, target=("y",), task="regression").spec.target_mean != ()
    assert load(path, target=("z",), task="classification").spec.num_outputs == 2
    assert load(path, target=("z",), task="classification").train.target.dtype == torch.int64
    refused(path, "binary task needs two classes", task="binary")
    refused(path, "Regression needs numbers", target=("z",), task="regression")
    refused(path, "Multilabel needs targets of 0 and 1", task="multilabel")


def test_several_targets(tmp_path):
    rows = "".join(f"{i % 9},{i % 2},{i // 2 % 2},{i / 3},{i * i}\n" for i in range(80))
    path = write(tmp_path / "t.csv", "x,a,b,u,v\n" + rows)
    labels = load(path, target=("a", "b"), drop=("u", "v"))
    assert (labels.spec.task, labels.spec.classes, labels.spec.num_outputs) == ("multilabel", ("a", "b"), 2)
    amounts = load(path, target=("u", "v"), drop=("a", "b"))
    assert (amounts.spec.task, amounts.spec.num_outputs) == ("regression", 2)
    i = amounts.train.index.double()
    expected = torch.stack([(i / 3), i * i], dim=1).float()
    torch.testing.assert_close(amounts.train.target, expected)
    np.testing.assert_allclose(amounts.spec.target_mean, expected.double().mean(0), rtol=1e-6)


def test_group_and_time_splits(tmp_path):
    random = np.random.default_rng(0)
    days = random.permutation(120)
    rows = [f"{random.integers(9)},p{i % 12},{pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 6, 1), eager=True)[int(d)]},{i % 2}" for i, d in enumerate(days)]  # fmt: skip  # noqa: E501
    path = write(tmp_path / "t.csv", "x,patient,day,y\n" + "\n".join(rows))
    grouped = load(path, target=("y",), split="group:patient")
    patients = [set((split.index % 12).tolist()) for split in (grouped.train, grouped.valid, grouped.test())]
    assert sum(map(len, patients)) == 12
    assert "patient" not in grouped.spec.category_names
    timed = load(path, target=("y",), split="time:day")
    latest = [days[split.index.numpy()] for split in (timed.train, timed.valid, timed.test())]
    assert latest[0].max() < latest[1].min() <= latest[1].max() < latest[2].min()
    refused(path, "no column 'patiend'. Did you mean 'patient'", split="group:patiend")
    refused(path, "needs numbers or dates", split="time:patient")
    refused(path, "not known", split="by:patient")


def test_frames_from_memory():
    data = {"n": [1.0, None, 3.0] * 20, "c": ["a", "b", None] * 20}
    labels = ["u", "v", "u"] * 20
    expected = load_frame(pl.DataFrame(data), DataConfig(), seed=0, takes_codes=True, y=labels)
    assert expected.spec.target_names == ("target",)
    pandas = pytest.importorskip("pandas")
    ours = load_frame(pandas.DataFrame(data), DataConfig(), seed=0, takes_codes=True, y=np.array(labels))
    named = load_frame(
        pandas.DataFrame(data | {"target": labels}), DataConfig(target=("target",)), seed=0, takes_codes=True
    )
    for dataset in (ours, named):
        assert dataset.spec == expected.spec
        assert all((a == b).all() for a, b in zip(dataset.train.rows.tensors, expected.train.rows.tensors, strict=True))
    with pytest.raises(DataError, match="60 rows and y has 2"):
        load_frame(pl.DataFrame(data), DataConfig(), seed=0, takes_codes=True, y=["u", "v"])
    with pytest.raises(DataError, match="several columns named 'a'"):
        to_frame(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="Column 'p' of the frame holds cells that are not plain values: Period"):
        to_frame(pandas.DataFrame({"p": pandas.period_range("2020", periods=3)}))


def test_pandas_types_survive():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {
            "int": pandas.array([1, None, 3], dtype="Int64"),
            "bool": [True, False, True],
            "when": pandas.to_datetime(["2020-01-01", None, "2020-03-01"]),
            "level": pandas.Categorical(["lo", "hi", None]),
            "mixed": ["a", 1, None],
        }
    )
    frame = to_frame(table)
    assert frame["int"].to_list() == [1, None, 3]
    assert frame.schema["bool"] == pl.Boolean
    assert frame.schema["when"].is_temporal()
    assert frame["when"].null_count() == 1
    assert frame["level"].to_list() == ["lo", "hi", None]
    assert frame["mixed"].to_list() == ["a", "1", None]


ROWS = "".join(f"{i % 7},{'uv'[i % 2]}\n" for i in range(40))


def test_faults_of_the_file(tmp_path):
    refused(tmp_path / "absent.csv", "absent.csv: no such file")
    refused(write(tmp_path / "zero.csv", ""), "is empty")
    refused(write(tmp_path / "blank.csv", " \n\n"), "is empty")
    refused(write(tmp_path / "header.csv", "x,y\n"), "a header and no rows")
    refused(write(tmp_path / "long.csv", "x,y\n1,u\n2,v,w\n"), "line 3: 3 fields where line 1 has 2")
    refused(write(tmp_path / "short.csv", 'x,y\n1,"u\nu"\n2\n'), "line 4: 1 fields where line 1 has 2")
    refused(write(tmp_path / "quote.csv", 'x,y\n1,u\n2,"v\n3,u\n'), "line 3: a quotation mark")
    refused(write(tmp_path / "latin.csv", "x,y\n1,u\n2,é\n", "latin-1"), r"line 3: byte 10 \(0xe9\) is not UTF-8")
    refused(write(tmp_path / "utf16.csv", "x,y\n" + ROWS, "utf-16"), "UTF-16")
    refused(write(tmp_path / "utf16le.csv", "x,y\n" + ROWS, "utf-16-le"), "NUL")
    refused(write(tmp_path / "twice.csv", "x,x,y\n1,2,u\n3,4,v\n"), "'x' occurs 2 times")
    (tmp_path / "packed.csv").write_bytes(gzip.compress(b"x,y\n1,u\n"))
    refused(tmp_path / "packed.csv", "packed with gzip. Unpack it first")
    (tmp_path / "folder.csv").mkdir()
    refused(tmp_path / "folder.csv", "cannot be read")


def test_faults_of_the_target(tmp_path):
    path = write(tmp_path / "t.csv", "x,label\n" + ROWS)
    assert "'label'" in refused(path, "no column 'lable'. Did you mean 'label'", target=("lable",))
    refused(path, "which column is to be predicted", target=())
    refused(path, "both the target and dropped", target=("label",), drop=("label",))
    refused(path, "no column '7'", target=("7",))
    refused(write(tmp_path / "same.csv", "x,y\n" + "1,u\n2,u\n3,u\n" * 5), "constant: every row says 'u'")
    refused(write(tmp_path / "five.csv", "x,y\n" + "1,5\n2,5\n3,5\n" * 5), "constant: every row says '5'")
    refused(write(tmp_path / "none.csv", "x,y\n" + "1,\n2,?\n3,\n" * 5), "missing in every row")
    masses = "".join(f"{i % 7},{i / 8} kg\n" for i in range(90))
    refused(write(tmp_path / "mass.csv", "x,y\n" + masses), "plain numbers, without a unit")
    many = "".join(f"{i % 7},text number {i % 1000}\n" for i in range(3000))
    refused(write(tmp_path / "many.csv", "x,y\n" + many), "1000 different values in 3000 rows")
    odd = "".join(f"{i},{'n.v.' if i == 70 else i / 7}\n" for i in range(300))
    refused(write(tmp_path / "odd.csv", "x,y\n" + odd), "300 different values .* 1 of them no numbers, such as 'n.v.'")
    refused(write(tmp_path / "inf.csv", "x,y\n" + "".join(f"{i},{i / 3}\n" for i in range(30)) + "1,inf\n"), "infinite")
    dates = "".join(f"{i % 3},2020-01-{i + 1:02d}\n" for i in range(30))
    refused(write(tmp_path / "date.csv", "x,y\n" + dates), "holds dates")


def test_rows_without_a_target_are_left_out_and_counted(tmp_path):
    path = write(tmp_path / "t.csv", "x,y\n" + ROWS + "9,\n9,?\n")
    dataset = load(path, target=("y",))
    assert dataset.summary["rows"] == 40
    assert "2 row(s) without a target were left out" in dataset.summary["notes"]
    assert dataset.train.rows.tensors[0].max() < 9


def test_read_table_tells_what_it_guessed(tmp_path):
    file = read_table(write(tmp_path / "t.csv", "x,y\n" + ROWS))
    assert file.header
    assert "header" in file.notes[0]


def test_faulty_cells_of_test_rows_are_found_before_training(tmp_path):
    lines = ("x,y\n" + ROWS).splitlines()
    path = tmp_path / "t.csv"
    row = load(write(path, "\n".join(lines)), target=("y",)).test().index[0].item()
    lines[row + 1] = "inf,u"
    with pytest.raises(DataError, match=rf"Row {row} .*inf is infinite"):
        load(write(path, "\n".join(lines)), target=("y",))


def test_decimal_commas_are_read_beside_a_few_words(tmp_path):
    rows = [f"{i},{i % 7};{'-' if i == 3 else i // 3};{'uv'[i % 2]}" for i in range(40)]
    rows[11] = "k.A.;1;v"
    dataset = load(write(tmp_path / "t.csv", "\n".join(["x;z;y", *rows])), target=("y",))
    assert [column["type"] for column in dataset.summary["columns"]] == ["number", "number", "category"]
    assert any("'x' is read with decimal commas" in note for note in dataset.summary["notes"])
    tensors, _ = encode_frame(read_table(write(tmp_path / "new.csv", "x;z\n12,5;7\n")).frame, dataset.spec)
    assert tensors[0][0, 0] == 12.5
    half = write(tmp_path / "half.csv", "\n".join(["x;y", *(f"{i},5;u" if i % 2 else f"a{i};v" for i in range(40))]))
    assert read_table(half).frame["x"][1] == "1,5"


@pytest.mark.parametrize("seed", range(4))
def test_a_word_among_numbers_is_a_missing_cell_wherever_the_split_puts_it(tmp_path, seed):
    rows = [f"{i / 7:.2f},{'uv'[i % 2]}" for i in range(60)]
    rows[11] = "n.v.,v"
    dataset = load(write(tmp_path / "t.csv", "\n".join(["x,y", *rows])), target=("y",), seed=seed)
    assert dataset.summary["notes"][-1] == "column 'x': 1 cell is no number ('n.v.'), counted as missing"
    assert [column["type"] for column in dataset.summary["columns"]] == ["number", "category"]
    tensors, report = encode_frame(pl.DataFrame({"x": ["1.5", "n.v.", None]}), dataset.spec)
    assert report["missing"] == {"x": 2}
    assert tensors[0][1].tolist() == tensors[0][2].tolist()
    with pytest.raises(DataError, match="Row 0 .*'soon' is not a number.*x=number counts such cells as missing"):
        encode_frame(pl.DataFrame({"x": ["soon"]}), dataset.spec)


def test_a_group_with_a_class_of_its_own_is_named(tmp_path):
    rows = "".join(f"{i % 7},{i // 10},{'rare' if i // 10 == 3 else 'uv'[i % 2]}\n" for i in range(40))
    path = write(tmp_path / "t.csv", "x,g,y\n" + rows)
    messages = []
    for seed in range(8):
        try:
            load(path, target=("y",), split="group:g", seed=seed)
        except DataError as error:
            messages.append(str(error))
    assert messages
    assert all("class 'rare' of 'y' does not occur in the training rows" in message for message in messages)


CELLS = [
    ",",
    "\n",
    "\r\n",
    '"',
    "a",
    "1",
    "-",
    "?",
    "NA",
    " ",
    "\t",
    ";",
    "|",
    "é",
    "true",
    "inf",
    "01",
    "\ufeff",
    "\x1c",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(CELLS), max_size=40).map("".join))
def test_any_text_is_a_table_or_a_clear_refusal(text):
    parsed = message = None
    try:
        parsed = parse_delimited(text.encode(), "t.csv")
    except DataError as error:
        message = str(error)
    if parsed is None:
        assert message.startswith("t.csv")
    else:
        assert parsed.frame.height > 0
        assert len(set(parsed.frame.columns)) == parsed.frame.width
