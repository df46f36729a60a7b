import gzip
import struct

import numpy as np
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.idx import idx_shape, load_idx, read_idx
from limpid.data.pixels import channel_statistics
from limpid.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPID_CACHE", str(tmp_path / "cache"))


def idx_bytes(array, code=0x08):
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder, n_train=60, n_test=20, *, zipped=True, classes=10, seed=0, sep="-"):
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for part, n in (("train", n_train), ("t10k", n_test)):
        if not n:
            continue
        labels = (np.arange(n) % classes).astype(np.uint8)
        images = random.integers(0, 256, (n, 6, 5), dtype=np.uint8)
        arrays[part] = (images, labels)
        for kind, dims, array in (("images", 3, images), ("labels", 1, labels)):
            data = idx_bytes(array)
            name = f"{part}-{kind}{sep}idx{dims}-ubyte"
            (folder / (name + (".gz" if zipped else ""))).write_bytes(gzip.compress(data) if zipped else data)
    return arrays


@pytest.mark.parametrize("zipped", [True, False])
def test_images_and_labels_arrive_unchanged(tmp_path, zipped):
    arrays = write_mnist(tmp_path / "digits", zipped=zipped)
    data = load_idx(tmp_path / "digits", DataConfig(), 0)
    images, labels = arrays["train"]
    for split in (data.train, data.valid):
        rows = split.index.numpy()
        assert np.array_equal(split.rows.tensors[0].numpy(), images[rows][:, None])
        assert np.array_equal(split.target.numpy(), labels[rows])
    together = torch.cat([data.train.index, data.valid.index]).sort().values
    assert torch.equal(together, torch.arange(60))
    test = data.test()
    assert np.array_equal(test.rows.tensors[0].numpy(), arrays["t10k"][0][:, None])
    assert np.array_equal(test.target.numpy(), arrays["t10k"][1])
    spec = data.spec
    assert (spec.kind, spec.task, spec.input_shape, spec.num_outputs) == ("image", "classification", (1, 6, 5), 10)
    assert spec.classes == tuple("0123456789")
    assert (spec.num_train, spec.num_valid, spec.num_test) == (54, 6, 20)
    assert sum(spec.class_counts) == 54
    assert data.summary["split"] == {"train": 54, "valid": 6, "test": 20}


@pytest.mark.spec("F3")
def test_scaling_is_that_of_the_training_split(tmp_path):
    write_mnist(tmp_path / "digits")
    data = load_idx(tmp_path / "digits", DataConfig(), 0)
    values = data.train.rows.tensors[0].numpy().astype(np.float64) / 255
    assert data.spec.scale_mean == pytest.approx([values.mean()], abs=1e-12)
    assert data.spec.scale_std == pytest.approx([values.std()], abs=1e-12)


def test_statistics_are_exact_per_channel_and_the_same_when_streamed():
    from limpid.data.dataset import ResidentRows
    from limpid.data.pixels import MappedRows

    pixels = np.random.default_rng(0).integers(0, 256, (700, 3, 5, 4), dtype=np.uint8)
    pixels[:, 2] = 7
    mean, std = channel_statistics(ResidentRows((torch.from_numpy(pixels),)))
    values = pixels.transpose(0, 2, 3, 1).reshape(-1, 3) / 255
    assert mean == pytest.approx(values.mean(0), abs=1e-12)
    assert std[:2] == pytest.approx(values.std(0)[:2], abs=1e-12)
    assert std[2] == 1.0  # no contrast
    assert (mean, std) == channel_statistics(MappedRows(pixels, np.arange(700)))


def test_the_test_files_are_read_only_when_asked_for(tmp_path):
    write_mnist(tmp_path / "digits")
    data = load_idx(tmp_path / "digits", DataConfig(), 0)
    (tmp_path / "digits" / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match="t10k-images"):
        data.test()


def test_without_test_files_a_share_is_split_off(tmp_path):
    write_mnist(tmp_path / "digits", n_train=100, n_test=0)
    data = load_idx(tmp_path / "digits", DataConfig(), 0)
    assert (len(data.train), len(data.valid), len(data.test())) == (70, 15, 15)
    assert data.spec.num_test == 15


def test_no_validation_when_its_share_is_zero(tmp_path):
    write_mnist(tmp_path / "digits")
    data = load_idx(tmp_path / "digits", DataConfig(valid_share=0.0), 0)
    assert data.valid is None
    assert len(data.train) == 60


def test_splits_and_fingerprint_are_functions_of_content_and_seed(tmp_path):
    write_mnist(tmp_path / "a")
    write_mnist(tmp_path / "b")
    write_mnist(tmp_path / "c", seed=1)
    a, b, c = (load_idx(tmp_path / name, DataConfig(), 0) for name in "abc")
    assert a.fingerprint == b.fingerprint != c.fingerprint
    assert torch.equal(a.train.index, b.train.index)
    assert not torch.equal(a.train.index, load_idx(tmp_path / "a", DataConfig(), 1).train.index)


def test_labels_with_gaps_become_codes(tmp_path):
    folder = tmp_path / "letters"
    write_mnist(folder, zipped=False, n_test=0)
    labels = np.where(np.arange(60) % 2, 3, 9).astype(np.uint8)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    data = load_idx(folder, DataConfig(), 0)
    assert data.spec.classes == ("3", "9")
    assert np.array_equal(data.train.target.numpy(), (labels == 9)[data.train.index.numpy()])


def test_binary_task_has_one_float_output(tmp_path):
    write_mnist(tmp_path / "two", classes=2)
    data = load_idx(tmp_path / "two", DataConfig(task="binary"), 0)
    assert (data.spec.task, data.spec.num_outputs) == ("binary", 1)
    assert data.train.target.dtype == torch.float32
    assert data.train.target.shape == (54, 1)


def test_rgb_on_request(tmp_path):
    arrays = write_mnist(tmp_path / "digits")
    data = load_idx(tmp_path / "digits", DataConfig(colour="rgb"), 0)
    (pixels,) = data.train.rows.tensors
    assert data.spec.input_shape == (3, 6, 5)
    assert data.spec.preparation["colour"] == "rgb"
    assert np.array_equal(pixels[:, 1].numpy(), arrays["train"][0][data.train.index.numpy()])


def test_too_large_for_its_share_of_memory_streams_the_same_rows(tmp_path):
    write_mnist(tmp_path / "digits")
    resident = load_idx(tmp_path / "digits", DataConfig(), 0)
    streamed = load_idx(tmp_path / "digits", DataConfig(memory_share=1e-9), 0)
    index = torch.tensor([5, 0, 3])
    assert torch.equal(resident.train.rows.take(index)[0], streamed.train.rows.take(index)[0])
    assert resident.spec == streamed.spec
    assert type(streamed.train.rows).__name__ == "MappedRows"
    assert "read from disk" in streamed.summary["notes"][0]


def test_other_value_types_and_other_names(tmp_path):
    array = np.array([[1, -2], [300, 4]], dtype=">i4")
    (tmp_path / "numbers").write_bytes(idx_bytes(array, 0x0C))
    read = read_idx(tmp_path / "numbers")
    assert read.tolist() == [[1, -2], [300, 4]]
    assert read.dtype == np.int32
    write_mnist(tmp_path / "dots", zipped=False, sep=".")
    assert load_idx(tmp_path / "dots", DataConfig(), 0).spec.num_train == 54


def test_large_files_come_from_the_cache_the_second_time(tmp_path, monkeypatch):
    monkeypatch.setattr("limpid.data.idx.CACHED_BYTES", 10)
    array = np.arange(200, dtype=np.uint8)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(idx_bytes(array)))
    first = read_idx(path)
    (entry,) = (tmp_path / "cache" / "idx").iterdir()
    assert np.array_equal(first, array)
    monkeypatch.setattr("limpid.data.idx._inflate", None)
    assert np.array_equal(read_idx(path), array)
    monkeypatch.undo()
    monkeypatch.setenv("LIMPID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("limpid.data.idx.CACHED_BYTES", 10)
    entry.write_bytes(entry.read_bytes()[:-5])  # a damaged entry is not believed
    assert np.array_equal(read_idx(path), array)


def test_an_unwritable_cache_costs_nothing_but_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LIMPID_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("limpid.data.idx.CACHED_BYTES", 10)
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx_bytes(np.arange(50, dtype=np.uint8))))
    assert read_idx(tmp_path / "a.gz").sum() == 1225


GOOD = idx_bytes(np.arange(240, dtype=np.uint8).reshape(4, 60))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"hello world", "not an IDX file"),
        (b"\0\0\x07\x01" + GOOD[4:], "not an IDX file"),
        (GOOD[:6], "ends within its header"),
        (GOOD[:-3], "truncated: its header promises 252 bytes, but it holds 249"),
        (GOOD + b"x", "too long"),
        (gzip.compress(GOOD)[:-20], "truncated"),
        (gzip.compress(GOOD[:-3]), "truncated"),
        (gzip.compress(GOOD + b"x"), "too long"),
        (gzip.compress(GOOD)[:-8] + b"\0" * 8, "damaged"),
        (gzip.compress(GOOD)[:15] + b"\xff" * 20, "damaged|truncated|not an IDX"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31), "truncated"),
        (gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31)), "truncated"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, data, message):
    path = tmp_path / "some-file"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_the_shape_is_read_from_the_head_alone(tmp_path):
    path = tmp_path / "big.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.random.default_rng(0).integers(0, 256, (50, 40, 40), dtype=np.uint8))))
    path.write_bytes(path.read_bytes()[:5000])
    assert idx_shape(path) == (50, 40, 40)


def test_counts_must_agree_and_test_labels_be_known(tmp_path):
    folder = tmp_path / "digits"
    write_mnist(folder, zipped=False)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.full(20, 77, np.uint8)))
    with pytest.raises(DataError, match=r"t10k-labels.*\[77\]"):
        load_idx(folder, DataConfig(), 0).test()
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(59, np.uint8)))
    with pytest.raises(DataError, match="60 images.* 59 labels"):
        load_idx(folder, DataConfig(), 0)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(60, np.uint8)))
    with pytest.raises(DataError, match="only one class"):
        load_idx(folder, DataConfig(), 0)
    (folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((60, 5), np.uint8)))
    with pytest.raises(DataError, match="3 dimensions"):
        load_idx(folder, DataConfig(), 0)


def test_a_folder_without_idx_files(tmp_path):
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        load_idx(tmp_path, DataConfig(), 0)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DataConfig(image_size=32), "image_size"),
        (DataConfig(split="group:patient"), "no columns"),
        (DataConfig(target=("label",)), "data.target"),
        (DataConfig(test="other"), "data.test"),
    ],
)
def test_options_of_tables_are_refused(tmp_path, config, message):
    write_mnist(tmp_path / "digits")
    with pytest.raises(ConfigError, match=message):
        load_idx(tmp_path / "digits", config, 0)


@pytest.mark.parametrize("task", ["regression", "multilabel", "binary"])
def test_impossible_tasks_are_refused(tmp_path, task):
    write_mnist(tmp_path / "digits")
    with pytest.raises(DataError, match=f"data.task = {task}"):
        load_idx(tmp_path / "digits", DataConfig(task=task), 0)


def test_statistics_are_looked_up_the_second_time(tmp_path, monkeypatch):
    monkeypatch.setattr("limpid.data.pixels.CACHED_BYTES", 10)
    write_mnist(tmp_path / "digits")
    first = load_idx(tmp_path / "digits", DataConfig(), 0)
    other_rows = load_idx(tmp_path / "digits", DataConfig(), 1)
    assert other_rows.spec.scale_mean != first.spec.scale_mean
    monkeypatch.setattr("limpid.data.pixels.channel_statistics", None)
    assert load_idx(tmp_path / "digits", DataConfig(), 0).spec == first.spec
