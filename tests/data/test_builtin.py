"""Built-in data against scikit-learn's own loaders and scalers."""

import numpy as np
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.builtin import builtin_names, load_builtin

sklearn_datasets = pytest.importorskip("sklearn.datasets")


def _all(dataset):
    """Inputs and targets of all splits in the order of the source."""
    parts = [dataset.train, dataset.valid, dataset.test()]
    order = torch.cat([part.index for part in parts]).argsort()
    x = torch.cat([part.rows.tensors[0] for part in parts])[order]
    return x, torch.cat([part.target for part in parts])[order]


def test_digits_equal_those_of_scikit_learn():
    dataset = load_builtin("digits", DataConfig(), seed=0)
    bunch = sklearn_datasets.load_digits()
    x, y = _all(dataset)
    assert x.dtype == torch.uint8
    assert dataset.spec.kind == "image"
    assert dataset.spec.input_shape == (1, 8, 8)
    assert (x[:, 0].numpy() == bunch.images).all()
    assert (y.numpy() == bunch.target).all()
    train = dataset.train.rows.tensors[0].double() / 255
    assert dataset.spec.scale_mean[0] == pytest.approx(train.mean().item())
    assert dataset.spec.scale_std[0] == pytest.approx(train.std(correction=0).item())


def test_digits_survive_a_scikit_learn_without_the_file(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    from limpid.data import builtin

    arrays = builtin._digits()
    assert (arrays.x[:, 0] == sklearn_datasets.load_digits().images).all()


@pytest.mark.spec("F3")
@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer", "diabetes"])
def test_vectors_and_their_scale(name):
    from sklearn.preprocessing import StandardScaler

    dataset = load_builtin(name, DataConfig(), seed=1)
    loader = getattr(sklearn_datasets, f"load_{name.replace('-', '_')}")
    bunch = loader(scaled=False) if name == "diabetes" else loader()
    x, y = _all(dataset)
    assert dataset.spec.kind == "vector"
    np.testing.assert_allclose(x.numpy(), bunch.data, rtol=1e-6)
    scaler = StandardScaler().fit(dataset.train.rows.tensors[0].double().numpy())
    np.testing.assert_allclose(dataset.spec.scale_mean, scaler.mean_, rtol=1e-6)
    np.testing.assert_allclose(dataset.spec.scale_std, scaler.scale_, rtol=1e-5)
    # there and back: x = z * std + mean
    z = (x.double().numpy() - dataset.spec.scale_mean) / dataset.spec.scale_std
    np.testing.assert_allclose(scaler.inverse_transform(z), bunch.data, rtol=1e-4, atol=1e-6)
    if name == "diabetes":
        assert dataset.spec.task == "regression"
        assert (y[:, 0].numpy() == bunch.target.astype(np.float32)).all()
        train_target = dataset.train.target.double()
        assert dataset.spec.target_mean[0] == pytest.approx(train_target.mean().item())
        assert dataset.spec.target_std[0] == pytest.approx(train_target.std(correction=0).item())
    else:
        names = np.array(dataset.spec.classes)[y.numpy().astype(int).reshape(-1)]
        assert (names == bunch.target_names[bunch.target]).all()
        assert sum(dataset.spec.class_counts) == len(dataset.train)


def test_generated_data_take_size_noise_and_seed():
    dataset = load_builtin("xor", DataConfig(size=60, noise=0.0), seed=5)
    assert dataset.spec.num_train + dataset.spec.num_valid + dataset.spec.num_test == 60
    assert dataset.spec.task == "binary"
    assert load_builtin("xor", DataConfig(size=60), seed=5).fingerprint == dataset.fingerprint
    assert load_builtin("xor", DataConfig(size=60), seed=6).fingerprint != dataset.fingerprint
    assert load_builtin("step", DataConfig(noise=0.0), seed=0).spec.task == "regression"


def test_every_name_is_described():
    assert all(builtin_names().values())
