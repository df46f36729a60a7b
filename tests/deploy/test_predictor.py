"""A run answers for new raw samples as its live network does, and refuses what it cannot answer for."""

from __future__ import annotations

import tarfile

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from torch import nn

from limpid.config import DataConfig
from limpid.data.sources import load_data
from limpid.deploy.predictor import load_predictor
from limpid.errors import CheckpointError, DataError, ModelError, RecordError
from limpid.record.run import Run

COLOURS = ["red", "green", "blue"]


@pytest.fixture
def people():
    random = np.random.default_rng(0)
    size, colour = random.normal(170, 10, 90), random.choice(COLOURS, 90)
    kind = np.where(size > 175, "tall one", np.where(colour == "red", "réd", "other"))
    return pl.DataFrame({"size": size, "colour": colour, "age": random.integers(1, 90, 90), "kind": kind})


@pytest.fixture(params=[True, False], ids=["codes", "onehot"])
def table_run(people, make_run, request):
    data = load_data(people, DataConfig(target=("kind",)), takes_codes=request.param)
    return make_run(data.spec, model="mlp"), data


def test_table_answers_are_the_live_networks(table_run, people):
    made, data = table_run
    predictions = load_predictor(made.path).predict(people)
    inputs = data.train.rows.take(torch.arange(len(data.train)))
    with torch.no_grad():
        expected = made.network(*inputs).softmax(1).numpy()
    np.testing.assert_allclose(predictions.probabilities[data.train.index.numpy()], expected, atol=1e-6)
    assert predictions.classes == ("other", "réd", "tall one")
    assert predictions.decisions == [predictions.classes[k] for k in predictions.probabilities.argmax(1)]
    assert len(set(predictions.decisions)) > 1
    frame = predictions.to_frame()
    assert frame.columns == ["row", "prediction", "p_other", "p_réd", "p_tall one"]
    assert frame["row"].to_list() == list(range(90))


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "jsonl"])
def test_table_files_answer_like_the_frame_whatever_the_order_of_columns(table_run, people, tmp_path, form):
    made, _ = table_run
    write = {
        "csv": pl.DataFrame.write_csv,
        "tsv": lambda frame, file: frame.write_csv(file, separator="\t"),
        "parquet": pl.DataFrame.write_parquet,
        "jsonl": pl.DataFrame.write_ndjson,
    }[form]
    file = tmp_path / f"new.{form}"
    write(people.select("age", "colour", "size"), file)
    predictor = load_predictor(made.path)
    np.testing.assert_allclose(
        predictor.predict(file).probabilities, predictor.predict(people).probabilities, atol=1e-6
    )


def test_extra_columns_are_ignored_and_named(table_run, people):
    predictor = load_predictor(table_run[0].path)
    more = predictor.predict(people.with_columns(note=pl.lit("x")))
    np.testing.assert_array_equal(more.probabilities, predictor.predict(people).probabilities)
    assert more.report["extra"] == ["note"]
    assert "'note'" in more.remarks()[0]
    assert predictor.predict(people).remarks() == []  # the target column is expected


def test_unseen_categories_and_missing_cells_are_counted(table_run, people):
    new = people.head(3).with_columns(colour=pl.Series(["mauve", None, "red"]), size=pl.Series([None, 170.0, 180.0]))
    predictions = load_predictor(table_run[0].path).predict(new)
    assert predictions.report["unseen"] == {"colour": 1}
    assert predictions.report["missing"] == {"size": 1, "colour": 1}
    assert predictions.report["count"] == 3
    assert len(predictions.remarks()) == 3
    assert np.isfinite(predictions.probabilities).all()


def test_missing_columns_are_refused_by_name(table_run, people):
    with pytest.raises(DataError, match="'size'.*'age'|'age'.*'size'"):
        load_predictor(table_run[0].path).predict(people.drop("size", "age"))


def test_wrong_cell_is_refused_with_row_and_column(table_run, people):
    with pytest.raises(DataError, match=r"(?i)row 1.*'size'"):
        load_predictor(table_run[0].path).predict(
            people.head(3).with_columns(size=pl.Series(["170", "very tall", "180"]))
        )


def test_matrix_in_the_order_of_the_training_columns(table_run, people):
    predictor = load_predictor(table_run[0].path)
    matrix = people.select("size", "colour", "age").to_numpy()
    np.testing.assert_array_equal(predictor.predict(matrix).probabilities, predictor.predict(people).probabilities)
    with pytest.raises(DataError, match=r"\(90, 2\).*3 columns"):
        predictor.predict(matrix[:, :2])


@pytest.mark.parametrize(("name", "content"), [("new.csv", b""), ("new.csv", b"size,colour,age\n"), ("new.npy", b"")])
def test_empty_file_is_refused(table_run, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        load_predictor(table_run[0].path).predict(tmp_path / name)


def test_file_that_is_absent_or_of_another_kind(table_run, tmp_path):
    predictor = load_predictor(table_run[0].path)
    with pytest.raises(DataError, match="no such file"):
        predictor.predict(tmp_path / "absent.csv")
    Image.new("L", (8, 8)).save(tmp_path / "picture.png")
    with pytest.raises(DataError, match="takes tables"):
        predictor.predict(tmp_path / "picture.png")


def test_binary_table_gives_both_probabilities(people, make_run):
    data = load_data(people.with_columns(kind=pl.col("size") > 170), DataConfig(target=("kind",)), takes_codes=True)
    assert data.spec.task == "binary"
    frame = load_predictor(make_run(data.spec).path).predict(people).to_frame()
    p = frame.select(f"p_{name}" for name in data.spec.classes).to_numpy()
    np.testing.assert_allclose(p.sum(1), 1.0, atol=1e-6)
    assert frame["prediction"].to_list() == [data.spec.classes[k] for k in p.argmax(1)]


def test_regression_answers_in_the_units_of_the_target(people, make_run):
    data = load_data(people.drop("kind"), DataConfig(target=("size",)), takes_codes=True)
    made = make_run(data.spec)
    predictions = load_predictor(made.path).predict(people)
    with torch.no_grad():
        outputs = made.network(*data.train.rows.take(torch.arange(len(data.train))))[:, 0].numpy()
    expected = outputs * data.spec.target_std[0] + data.spec.target_mean[0]
    np.testing.assert_allclose(predictions.decisions[data.train.index.numpy()], expected, rtol=1e-5)
    assert predictions.probabilities is None
    assert predictions.to_frame().columns == ["row", "prediction"]


def test_several_targets_have_a_column_each(make_run):
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(60, 3)), random.normal(size=(60, 2))
    made = make_run(load_data((X, Y), DataConfig()).spec)
    predictions = load_predictor(made.path).predict(X)
    assert predictions.decisions.shape == (60, 2)
    assert predictions.to_frame().columns == ["row", "prediction_target0", "prediction_target1"]


def test_multilabel_names_every_label_that_is_on(make_run):
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(80, 3)), random.integers(0, 2, (80, 3))
    spec = load_data((X, Y), DataConfig(task="multilabel")).spec
    predictions = load_predictor(make_run(spec).path).predict(X)
    on = predictions.probabilities > 0.5
    expected = [tuple(np.array(spec.classes)[row].tolist()) for row in on]
    assert predictions.decisions == expected
    assert predictions.to_frame()["prediction"].to_list() == ["; ".join(labels) for labels in expected]


@pytest.mark.parametrize("form", ["array", "tensor", "npy", "npz", "frame"])
def test_vectors_from_every_holder(make_run, tmp_path, form):
    random = np.random.default_rng(0)
    X = random.normal(5.0, 3.0, (60, 4)).astype(np.float32)
    made = make_run(load_data((X, X[:, 0] > 5), DataConfig()).spec)
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "x.npz", x=X, y=X[:, 0])
    frame = pl.DataFrame(X, schema=["x0", "x1", "x2", "x3"])
    holder = {
        "array": X.astype(float),
        "tensor": torch.from_numpy(X),
        "npy": tmp_path / "x.npy",
        "npz": tmp_path / "x.npz",
        "frame": frame.select("x3", "x1", "x2", "x0"),
    }[form]
    with torch.no_grad():
        expected = made.objective.probabilities(made.network(torch.from_numpy(X))).numpy()
    np.testing.assert_allclose(load_predictor(made.path).predict(holder).probabilities, expected, atol=1e-6)


def test_batches_do_not_change_the_answers(make_run):
    X = np.random.default_rng(0).normal(size=(10_000, 3)).astype(np.float32)
    made = make_run(load_data((X[:100], X[:100, 0] > 0), DataConfig()).spec)
    predictor = load_predictor(made.path)
    np.testing.assert_allclose(
        predictor.predict(X).probabilities[-100:], predictor.predict(X[-100:]).probabilities, atol=1e-6
    )


@pytest.mark.parametrize("shape", [(5, 3), (5, 4, 4), (4,)])
def test_array_of_another_shape_is_refused_with_both_shapes(make_run, shape):
    X = np.random.default_rng(0).normal(size=(60, 4))
    predictor = load_predictor(make_run(load_data((X, X[:, 0] > 0), DataConfig()).spec).path)
    with pytest.raises(DataError) as caught:
        predictor.predict(np.zeros(shape))
    assert str(shape) in str(caught.value)
    if len(shape) == 2:
        assert "(N, 4)" in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_refused(make_run, value):
    X = np.random.default_rng(0).normal(size=(60, 4))
    predictor = load_predictor(make_run(load_data((X, X[:, 0] > 0), DataConfig()).spec).path)
    X[7, 2] = value
    with pytest.raises(DataError, match="row 7"):
        predictor.predict(X)


def test_pickled_array_is_never_opened(make_run, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 4))
    predictor = load_predictor(make_run(load_data((X, X[:, 0] > 0), DataConfig()).spec).path)
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="never unpickled"):
        predictor.predict(tmp_path / "objects.npy")


def test_best_weights_come_before_the_last_ones(make_run):
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    made = make_run(load_data((X, X[:, 0] > 0), DataConfig()).spec)  # its model.safetensors holds zeros
    assert np.ptp(load_predictor(made.path).predict(X).probabilities[:, 0]) > 0.01


def test_last_weights_serve_where_no_best_are_kept(make_run):
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    made = make_run(load_data((X, X[:, 0] > 0), DataConfig()).spec, weights="model.safetensors")
    assert np.ptp(load_predictor(made.path).predict(X).probabilities[:, 0]) > 0.01


def test_run_without_weights_says_so(make_run, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 4))
    made = make_run(load_data((X, X[:, 0] > 0), DataConfig()).spec)
    header = Run.open(made.path).header
    Run.create(tmp_path / "empty", {"config": header["config"], "data": header["data"]}).close()
    with pytest.raises(CheckpointError, match="no valid checkpoint"):
        load_predictor(tmp_path / "empty")
    with pytest.raises(RecordError):
        load_predictor(tmp_path / "nowhere")


class Own(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, width), nn.Linear(width, 1)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


def test_module_of_the_users_own_is_needed_and_left_as_it_was(make_run):
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    made = make_run(load_data((X, X[:, 0] > 0), DataConfig()).spec, module=Own())
    with pytest.raises(ModelError, match=r"Own.*module="):
        load_predictor(made.path)
    blank = Own()
    before = blank.last.weight.clone()
    predictions = load_predictor(made.path, module=blank).predict(X)
    with torch.no_grad():
        expected = made.network(torch.from_numpy(X)).sigmoid()[:, 0].numpy()
    np.testing.assert_allclose(predictions.probabilities[:, 1], expected, atol=1e-6)
    assert torch.equal(blank.last.weight, before)
    with pytest.raises(CheckpointError, match=r"first\.weight has shape \(3, 4\), the model expects \(7, 4\)"):
        load_predictor(made.path, module=Own(7))


@pytest.fixture
def photos(tmp_path):
    """Two classes of eight grey pictures of 12 x 12 pixels."""
    random = np.random.default_rng(0)
    for name in ("bright", "dark"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(8):
            pixels = random.integers(0, 100, (12, 12)) + (150 if name == "bright" else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def test_images_from_folder_archive_file_and_array(photos, make_run, tmp_path):
    data = load_data(photos, DataConfig())
    made = make_run(data.spec, model="mlp")
    predictor = load_predictor(made.path)
    files = sorted(str(file.relative_to(photos)) for file in photos.rglob("*.png"))
    pixels = np.stack([np.asarray(Image.open(photos / file)) for file in files])
    with torch.no_grad():
        expected = made.network(torch.from_numpy(pixels)[:, None]).softmax(1).numpy()

    with tarfile.open(tmp_path / "photos.tar.gz", "w:gz") as archive:
        archive.add(photos, "photos")
    for source in (photos, tmp_path / "photos.tar.gz"):
        predictions = predictor.predict(source)
        order = [files.index("/".join(name.split("/")[-2:])) for name in predictions.names]
        assert sorted(order) == list(range(16))
        np.testing.assert_allclose(predictions.probabilities, expected[order], atol=1e-6)
        assert predictions.to_frame().columns == ["file", "prediction", "p_bright", "p_dark"]

    one = predictor.predict(photos / files[3])
    np.testing.assert_allclose(one.probabilities, expected[3:4], atol=1e-6)
    assert one.names == [str(photos / files[3])] or one.names == [files[3].split("/")[1]]
    np.testing.assert_allclose(predictor.predict(pixels).probabilities, expected, atol=1e-6)


def test_flat_folder_needs_no_classes_and_sizes_are_made_equal(photos, make_run, tmp_path):
    made = make_run(load_data(photos, DataConfig()).spec, model="mlp")
    (tmp_path / "new").mkdir()
    Image.new("RGB", (40, 30), (200, 200, 200)).save(tmp_path / "new" / "big.png")
    Image.new("L", (6, 6), 10).save(tmp_path / "new" / "small.png")
    predictions = load_predictor(made.path).predict(tmp_path / "new")
    assert [name.split("/")[-1] for name in predictions.names] == ["big.png", "small.png"]
    flat = np.stack([np.full((12, 12), 200, np.uint8), np.full((12, 12), 10, np.uint8)])
    np.testing.assert_allclose(
        predictions.probabilities, load_predictor(made.path).predict(flat).probabilities, atol=1e-3
    )


def test_image_problems_name_the_file(photos, make_run, tmp_path):
    predictor = load_predictor(make_run(load_data(photos, DataConfig()).spec, model="mlp").path)
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="bare"):
        predictor.predict(tmp_path / "bare")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 40)
    with pytest.raises(DataError, match=r"broken\.png"):
        predictor.predict(tmp_path / "broken.png")
    with pytest.raises(DataError, match=r"\(N, 1, 12, 12\)"):
        predictor.predict(np.zeros((2, 9, 9), np.uint8))
    with pytest.raises(DataError, match="uint8"):
        predictor.predict(np.zeros((2, 1, 12, 12), np.float32))
    (tmp_path / "new.csv").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match="takes images"):
        predictor.predict(tmp_path / "new.csv")


def test_images_that_cannot_be_used_are_left_out_on_request(photos, make_run, tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    predictor = load_predictor(make_run(load_data(photos, DataConfig()).spec, model="mlp").path)
    Image.new("RGB", (40, 30), (200, 200, 200)).save(new / "a.png")
    (new / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 40)
    Image.new("L", (6, 6), 10).save(new / "c.png")
    with pytest.raises(DataError, match=r"b\.png cannot be used: .* Repair or remove it, or .* --skip-bad"):
        predictor.predict(new)
    some = predictor.predict(new, skip_bad=True)
    assert (list(some.names), len(some.decisions)) == (["a.png", "c.png"], 2)
    assert some.remarks()[0].startswith("Left out 1 file(s) that cannot be used: b.png: it is ")
    for name, row in zip(some.names, some.probabilities, strict=True):
        alone = predictor.predict(new / name)
        np.testing.assert_allclose(row, alone.probabilities[0], atol=1e-6)
    for name in some.names:
        (new / name).unlink()
    with pytest.raises(DataError, match=r"none of 1 file\(s\) can be used\. The first is b\.png: it is "):
        predictor.predict(new, skip_bad=True)


def test_the_dtype_of_training_decides_what_bytes_mean(make_run):
    random = np.random.default_rng(0)
    bytes_ = random.integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)
    y = np.arange(40) % 2
    from_bytes = load_predictor(make_run(load_data((bytes_, y), DataConfig()).spec).path)
    with pytest.raises(DataError, match="trained on uint8"):
        from_bytes.predict(bytes_.astype(np.float32))
    channels_last = from_bytes.predict(bytes_.transpose(0, 2, 3, 1)).probabilities
    np.testing.assert_array_equal(channels_last, from_bytes.predict(bytes_).probabilities)


def test_bytes_count_as_plain_numbers_for_a_network_of_floats(make_run):
    random = np.random.default_rng(0)
    floats = random.integers(0, 256, (40, 3, 8, 8)).astype(np.float32)
    predictor = load_predictor(make_run(load_data((floats, np.arange(40) % 2), DataConfig()).spec).path)
    np.testing.assert_array_equal(
        predictor.predict(floats.astype(np.uint8)).probabilities, predictor.predict(floats).probabilities
    )
