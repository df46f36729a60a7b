"""Arrays from files and memory: kinds, tasks, scale, and what is refused."""

import numpy as np
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.arrays import as_array, load_array_file, load_arrays
from limpid.errors import DataError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(3.0, 2.0, size=(120, 4))
LABELS = np.arange(120) % 3


def load(source, y=None, seed=0, **options):
    return load_arrays(source, DataConfig(**options), seed=seed, y=y)


def test_vectors_keep_their_rows_and_are_scaled_by_the_training_split():
    dataset = load((X, LABELS))
    assert (dataset.spec.kind, dataset.spec.task, dataset.spec.input_shape) == ("vector", "classification", (4,))
    for split in (dataset.train, dataset.valid, dataset.test()):
        index = split.index.numpy()
        np.testing.assert_array_equal(split.rows.tensors[0].numpy(), X[index].astype(np.float32))
        assert (split.target.numpy() == LABELS[index]).all()
    train = X[dataset.train.index.numpy()].astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(dataset.spec.scale_mean, train.mean(0))
    np.testing.assert_allclose(dataset.spec.scale_std, train.std(0))


@pytest.mark.spec("F1")
def test_other_rows_than_training_ones_do_not_move_the_scale():
    before = load((X, LABELS))
    changed = X.copy()
    changed[before.valid.index.numpy()] = 1e6
    changed[before.test().index.numpy()] = -1e6
    after = load((changed, LABELS))
    assert before.spec == after.spec
    assert before.fingerprint != after.fingerprint


@pytest.mark.parametrize(
    ("shape", "dtype", "kind", "input_shape", "tensor"),
    [
        ((60, 9, 9), np.uint8, "image", (1, 9, 9), torch.uint8),
        ((60, 3, 9, 8), np.uint8, "image", (3, 9, 8), torch.uint8),
        ((60, 9, 8, 3), np.uint8, "image", (3, 9, 8), torch.uint8),
        ((60, 9, 8, 1), np.float64, "image", (1, 9, 8), torch.float32),
        ((60, 5, 9, 8), np.float32, "array", (5, 9, 8), torch.float32),
        ((60, 7), np.uint8, "vector", (7,), torch.float32),
        ((60, 7, 2), np.float32, "array", (7, 2), torch.float32),
        ((60, 7, 2), np.int32, "array", (7, 2), torch.int64),
        ((60, 7), bool, "vector", (7,), torch.float32),
    ],
)
def test_kinds(shape, dtype, kind, input_shape, tensor):
    x = RANDOM.integers(0, 2 if dtype is bool else 200, size=shape).astype(dtype)
    dataset = load((x, LABELS[:60]))
    assert (dataset.spec.kind, dataset.spec.input_shape) == (kind, input_shape)
    rows = dataset.train.rows.tensors[0]
    assert rows.dtype == tensor
    assert rows.is_contiguous()
    if kind == "image":
        unit = 255 if dtype == np.uint8 else 1
        channels = rows.double().transpose(0, 1).flatten(1) / unit
        np.testing.assert_allclose(dataset.spec.scale_mean, channels.mean(1))
        np.testing.assert_allclose(dataset.spec.scale_std, channels.std(1, correction=0))


def test_channels_last_images_are_the_same_images():
    x = RANDOM.integers(0, 255, size=(30, 5, 6, 3), dtype=np.uint8)
    rows = load((x, LABELS[:30])).train
    assert (rows.rows.tensors[0].permute(0, 2, 3, 1).numpy() == x[rows.index.numpy()]).all()


@pytest.mark.parametrize(
    ("y", "task", "outputs", "classes"),
    [
        (np.array(["no", "yes"] * 60), "binary", 1, ("no", "yes")),
        (np.array(["b", "a", "ü ö"] * 40, dtype=object), "classification", 3, ("a", "b", "ü ö")),
        (LABELS % 2 == 0, "binary", 1, ("False", "True")),
        (LABELS * 10.0, "classification", 3, ("0", "10", "20")),
        (X[:, 0], "regression", 1, ()),
        (X[:, :1], "regression", 1, ()),
        (X[:, :2], "regression", 2, ()),
        (np.eye(3)[LABELS], "classification", 3, ("target0", "target1", "target2")),
        (np.c_[LABELS == 0, LABELS < 2], "multilabel", 2, ("target0", "target1")),
    ],
)
def test_tasks(y, task, outputs, classes):
    spec = load((X, y)).spec
    assert (spec.task, spec.num_outputs, spec.classes) == (task, outputs, classes)


def test_regression_targets_keep_their_units():
    dataset = load((X, X[:, 1] * 7))
    np.testing.assert_allclose(dataset.train.target[:, 0], X[dataset.train.index.numpy(), 1] * 7, rtol=1e-6)
    np.testing.assert_allclose(dataset.spec.target_std, dataset.train.target.double().std(0, correction=0), rtol=1e-6)


def test_a_constant_column_is_divided_by_one():
    x = X.copy()
    x[:, 2] = 7.1
    x[:, 3] = 0
    assert load((x, LABELS)).spec.scale_std[2:] == (1.0, 1.0)


def test_tensors_lists_and_half_precision():
    expected = load((X, LABELS))
    given = load(torch.from_numpy(X), y=torch.from_numpy(LABELS))
    listed = load(X.tolist(), y=LABELS.tolist())
    assert expected.spec == given.spec == listed.spec
    half = load((torch.from_numpy(X).bfloat16(), torch.from_numpy(LABELS)))
    assert half.train.rows.tensors[0].dtype == torch.float32


class Pairs(torch.utils.data.Dataset):
    def __init__(self, count, wrong=None):
        self.count, self.wrong = count, wrong

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        if i == self.wrong:
            return torch.zeros(2), 0
        return torch.full((3,), float(i)), i % 2


def test_torch_data_sets():
    dataset = load(Pairs(40))
    assert dataset.train.rows.tensors[0][:, 0].tolist() == dataset.train.index.tolist()
    assert "40 items" in dataset.summary["notes"][0]
    direct = load(torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(LABELS)))
    assert direct.spec == load((X, LABELS)).spec
    with pytest.raises(DataError, match=r"Item 5 .* shape \(2,\)"):
        load(Pairs(40, wrong=5))
    with pytest.raises(DataError, match="empty"):
        load(Pairs(0))
    with pytest.raises(DataError, match="pair"):
        load(torch.utils.data.TensorDataset(torch.zeros(4, 2)))


def test_npz_with_one_or_three_parts(tmp_path):
    np.savez(tmp_path / "one.npz", X=X, y=LABELS)
    one = load_array_file(tmp_path / "one.npz", DataConfig(), seed=0)
    assert one.spec.model_copy(update={"name": "arrays"}) == load((X, LABELS)).spec
    np.savez(
        tmp_path / "three.npz",
        x_train=X[:60], y_train=LABELS[:60], x_val=X[60:80], y_val=LABELS[60:80], x_test=X[80:], y_test=LABELS[80:],
    )  # fmt: skip
    three = load_array_file(tmp_path / "three.npz", DataConfig(), seed=0)
    assert (three.spec.num_train, three.spec.num_valid, three.spec.num_test) == (60, 20, 40)
    np.testing.assert_allclose(three.valid.rows.tensors[0], X[60:80], rtol=1e-6)
    np.testing.assert_allclose(three.test().rows.tensors[0], X[80:], rtol=1e-6)
    assert three.test().target.tolist() == LABELS[80:].tolist()
    assert three.spec.scale_mean == pytest.approx(X[:60].astype(np.float32).astype(float).mean(0).tolist())


def test_a_separate_test_file(tmp_path):
    np.savez(tmp_path / "a.npz", x=X[:90], y=LABELS[:90])
    np.savez(tmp_path / "b.npz", x=X[90:], y=LABELS[90:])
    dataset = load_array_file(tmp_path / "a.npz", DataConfig(test=str(tmp_path / "b.npz")), seed=0)
    assert (dataset.spec.num_train, dataset.spec.num_valid, dataset.spec.num_test) == (81, 9, 30)
    np.testing.assert_allclose(dataset.test().rows.tensors[0], X[90:], rtol=1e-6)


def test_a_matrix_with_its_target_column(tmp_path):
    np.save(tmp_path / "m.npy", np.c_[X, LABELS])
    dataset = load_array_file(tmp_path / "m.npy", DataConfig(target=("-1",)), seed=0)
    assert dataset.spec.input_shape == (4,)
    assert dataset.spec.task == "classification"
    for options, match in (({}, "without targets"), ({"target": ("9",)}, "no column '9'")):
        with pytest.raises(DataError, match=match):
            load_array_file(tmp_path / "m.npy", DataConfig(**options), seed=0)


def test_group_and_time_columns_by_number():
    x = np.c_[X, np.arange(120) // 6]
    grouped = load((x, LABELS), split="group:4")
    assert not set((grouped.train.index // 6).tolist()) & set((grouped.test().index // 6).tolist())
    timed = load((x, LABELS), split="time:4")
    assert timed.test().index.min() > timed.valid.index.max() > timed.train.index.max()
    for split in ("group:5", "group:a", "other"):
        with pytest.raises(DataError, match="data.split"):
            load((x, LABELS), split=split)


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (np.where(np.arange(480).reshape(120, 4) == 9, np.nan, X), LABELS, r"row 2, column 1 .*nan"),
        (np.where(np.arange(480).reshape(120, 4) == 9, np.inf, X), LABELS, r"row 2, column 1 .*inf"),
        (np.where(np.arange(480).reshape(120, 4) == 9, 1e300, X), LABELS, r"row 2, column 1 .*too large for float32"),
        (np.full((10, 2, 2), np.nan), np.arange(10), r"row 0, position \(0, 0\)"),
        (X, LABELS[:-1], "120 inputs and 119 targets"),
        (X, np.zeros(120), "constant"),
        (X, np.where(LABELS == 1, np.nan, LABELS), "row 1"),
        (X, np.array([None, "a"] * 60, dtype=object), "missing in row 0"),
        (X, np.zeros((120, 2, 2)), "shape"),
        (X[:, 0], LABELS, "no features"),
        (X[:0], LABELS[:0], "no rows"),
        (np.zeros((10, 0)), np.arange(10), "no values"),
        (X.astype(complex), LABELS, "complex"),
        (X.astype(object), LABELS, "object"),
        ([[1.0, 2.0], [3.0]], [0, 1], "same length"),
    ],
)
def test_unusable_arrays_are_refused(x, y, match):
    with pytest.raises(DataError, match=match):
        load((x, y))


@pytest.mark.parametrize("options", [{"drop": ("a",)}, {"types": {"a": "number"}}, {"test": "b.csv"}])
def test_options_of_tables_are_not_passed_over(options):
    with pytest.raises(DataError, match="tables only"):
        load((X, LABELS), **options)


def test_unusable_files_are_refused(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "zero.npy").touch()
    (tmp_path / "text.npz").write_text("not a zip file")
    np.savez(tmp_path / "names.npz", foo=X)
    np.savez(tmp_path / "half.npz", x_train=X, y_train=LABELS, x_test=X)
    cases = {
        "objects.npy": "never unpickled",
        "zero.npy": "empty",
        "text.npz": "cannot be read|never unpickled",
        "names.npz": "foo.* not understood",
        "half.npz": "no targets for 'test'",
        "absent.npz": "no such file",
    }
    for name, match in cases.items():
        with pytest.raises(DataError, match=match):
            load_array_file(tmp_path / name, DataConfig(), seed=0)


def test_an_item_that_cannot_be_read_is_named():
    class Damaged(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            if i == 2:
                raise OSError("truncated")
            return torch.zeros(2), 0

    with pytest.raises(DataError, match="Item 2 of the data set cannot be read: OSError: truncated"):
        load_arrays(Damaged(), DataConfig(), seed=0)


def test_one_value_for_all_and_masked_values_are_refused():
    with pytest.raises(DataError, match="the target is one value, 3"):
        load_arrays((X, 3), DataConfig(), seed=0)
    with pytest.raises(DataError, match="1 values are masked"):
        as_array(np.ma.masked_equal([[1, 2], [3, 4]], 3), "X")
    assert as_array(np.ma.masked_equal([[1, 2], [3, 4]], 5), "X").tolist() == [[1, 2], [3, 4]]


def test_sparse_matrices_are_made_dense():
    sparse = pytest.importorskip("scipy.sparse")
    assert (as_array(sparse.csr_matrix(np.eye(3)), "X") == np.eye(3)).all()
