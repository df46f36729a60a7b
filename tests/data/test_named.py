import gzip
import os
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from limpid.config import DataConfig
from limpid.data.named import NAMED, load_named
from limpid.errors import DataError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPID_CACHE", str(tmp_path / "cache"))


def write_idx(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for part, n in (("train", 60), ("t10k", 20)):
        images, labels = np.zeros((n, 4, 4), np.uint8), (np.arange(n) % 10).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))


def fake_torchvision(monkeypatch, **classes):
    module = types.ModuleType("torchvision")
    module.datasets = types.SimpleNamespace(**classes)
    monkeypatch.setitem(sys.modules, "torchvision", module)


def refuse(*args, **kwargs):
    raise RuntimeError("Error downloading train-images-idx3-ubyte.gz:\nno network")


@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("mnist", ""),
        ("fashion-mnist", "fashion-mnist"),
        ("fashion-mnist", "FashionMNIST/raw"),
    ],
)
def test_local_idx_files_are_found_without_torchvision(tmp_path, monkeypatch, name, below):
    monkeypatch.setitem(sys.modules, "torchvision", None)  # importing it raises
    write_idx(tmp_path / "data" / below)
    data = load_named(name, DataConfig(data_dir=str(tmp_path / "data")), 0)
    assert data.spec.name == name
    assert len(data.test()) == 20
    if name == "fashion-mnist":
        assert data.spec.classes[9] == "Ankle boot"


def test_environment_variable_and_precedence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    write_idx(tmp_path / "env" / "mnist")
    monkeypatch.setenv("LIMPID_DATA", str(tmp_path / "env"))
    assert load_named("mnist", DataConfig(), 0).spec.num_test == 20
    (tmp_path / "given" / "mnist").mkdir(parents=True)
    with pytest.raises((DataError, ImportError)):
        load_named("mnist", DataConfig(data_dir=str(tmp_path / "given")), 0)


@pytest.mark.parametrize("name", list(NAMED))
def test_neither_copy_nor_network_is_one_clear_message(tmp_path, monkeypatch, name):
    fake_torchvision(monkeypatch, MNIST=refuse, FashionMNIST=refuse, CIFAR10=refuse, CIFAR100=refuse)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        load_named(name, DataConfig(data_dir=str(tmp_path / "empty")), 0)
    message = str(caught.value)
    for part in (name, "--data-dir", "LIMPID_DATA", "Error downloading", str(tmp_path / "empty")):
        assert part in message
    assert "\n" not in message


def test_a_missing_data_dir_is_named():
    with pytest.raises(DataError, match="--data-dir /nowhere/at/all: no such folder"):
        load_named("mnist", DataConfig(data_dir="/nowhere/at/all"), 0)


def test_download_goes_to_the_cache_and_is_used_from_there(tmp_path, monkeypatch):
    calls = []

    def download(root, train, download):
        calls.append((root, train, download))
        write_idx(Path(root) / "MNIST" / "raw")

    fake_torchvision(monkeypatch, MNIST=download)
    assert load_named("mnist", DataConfig(), 0).spec.num_train == 54
    assert calls == [(str(tmp_path / "cache" / "downloads"), True, True)]
    load_named("mnist", DataConfig(), 0)
    assert len(calls) == 1


class FakeCifar:
    classes = ("airplane", "cat")

    def __init__(self, root, train, download):
        n = 40 if train else 10
        self.data = np.random.default_rng(n).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
        self.targets = [i % 2 for i in range(n)]


def test_python_batches_are_read_by_torchvision_only(tmp_path, monkeypatch):
    fake_torchvision(monkeypatch, CIFAR10=FakeCifar)
    (tmp_path / "cifar-10-batches-py").mkdir()
    data = load_named("cifar10", DataConfig(data_dir=str(tmp_path)), 0)
    source = FakeCifar("", True, False)
    rows = data.train.index.numpy()
    assert np.array_equal(data.train.rows.tensors[0].numpy(), source.data[rows].transpose(0, 3, 1, 2))
    assert data.spec.classes == ("airplane", "cat")
    assert len(data.test()) == 10


def test_python_batches_that_are_not_the_published_ones_are_not_opened(tmp_path, monkeypatch):
    fake_torchvision(monkeypatch, CIFAR100=refuse)
    (tmp_path / "cifar-100-python").mkdir()
    with pytest.raises(DataError, match="MD5 differs.*pickles"):
        load_named("cifar100", DataConfig(data_dir=str(tmp_path)), 0)


@pytest.mark.slow
@pytest.mark.spec("F10")
def test_mnist_has_its_published_counts_and_statistics():
    folder = os.environ.get("LIMPID_DATA")
    if not folder:
        pytest.skip("set LIMPID_DATA to a folder that holds mnist")
    data = load_named("mnist", DataConfig(data_dir=folder, valid_share=0.0), 0)
    assert (len(data.train), len(data.test()), len(data.spec.classes)) == (60_000, 10_000, 10)
    assert data.spec.input_shape == (1, 28, 28)
    assert data.spec.scale_mean[0] == pytest.approx(0.1307, abs=5e-5)
    assert data.spec.scale_std[0] == pytest.approx(0.3081, abs=5e-5)
