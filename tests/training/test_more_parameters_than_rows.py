"""Experiments of the ledger on networks with more parameters than rows (J56 to J59). The median of the seeds decides.

Shapes: N training rows, M test rows, F features, K classes, P parameters of a linear readout.
"""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

import limpid

pytestmark = pytest.mark.spec("G16")

Array = NDArray[np.floating]
Labels = NDArray[np.int64]
PLAIN = {"optim.weight_decay": 0.0, "model.dropout": 0.0}  # nothing but descent holds the network back


def digits(seed: int, count: int) -> tuple[Array, Labels, Array, Labels]:
    """So many of scikit-learn's 1,797 images of 8 x 8 pixels to learn from, and all others."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    pixels, labels = (pixels[order] / 16).astype(np.float32), labels[order]
    return pixels[:count], labels[:count], pixels[count:], labels[count:]


def mnist(seed: int, count: int) -> tuple[Array, Labels, Array, Labels]:
    """So many images of 28 x 28 pixels to learn from, and the first 3,000 of the test split."""
    folder = os.environ.get("LIMPID_DATA")
    if not folder:
        pytest.skip("set LIMPID_DATA to a folder that holds mnist")
    dataset = limpid.load_data("mnist", data_dir=folder)
    test = dataset.test()
    assert test is not None
    chosen = np.random.default_rng(seed).choice(len(dataset.train), count, replace=False)
    parts = []
    for split, index in ((dataset.train, torch.from_numpy(chosen)), (test, torch.arange(3000))):
        parts += [split.rows.take(index)[0].flatten(1).numpy() / np.float32(255), split.target[index].numpy()]
    return parts[0], parts[1], parts[2], parts[3]


@pytest.mark.slow
@pytest.mark.parametrize(
    "source", [pytest.param(digits, id="digits"), pytest.param(mnist, id="mnist", marks=pytest.mark.spec("J56"))]
)
def test_a_large_network_learns_random_labels_by_heart(source: object) -> None:
    """512 units, 500 images. Labels drawn anew are learned as well as true ones; only these tell of other images."""
    assert callable(source)
    at_heart, elsewhere, honest = [], [], []
    for seed in range(5):
        x, y, x_test, y_test = source(seed, 500)
        random_labels = np.random.default_rng(seed).integers(0, 10, len(y))
        how = {"hidden": (512,), "batch_size": 100, "validation_share": 0.0, "device": "cpu", "options": PLAIN}
        network = limpid.Classifier(epochs=60, lr=3e-3, random_state=seed, **how).fit(x, random_labels)
        at_heart.append(network.score(x, random_labels))
        elsewhere.append(network.score(x_test, y_test))
        honest.append(limpid.Classifier(epochs=60, lr=3e-3, random_state=seed, **how).fit(x, y).score(x_test, y_test))
    assert np.median(at_heart) >= 0.99
    # Images of a class resemble one another and get the same few labels, so that the share of hits by chance is spread
    # around a tenth far more widely (0.06 to 0.17 were seen) than as many independent guesses would be.
    assert 0.05 < np.median(elsewhere) < 0.15
    assert np.median(honest) > 0.8


def double_descent(source: object, seed: int, sizes: tuple[int, ...]) -> dict[int, tuple[float, float]]:
    """P -> test MSE (summed over classes) and share of wrong answers; 400 rows, a fifth of the labels drawn anew.

    The network is max(0, x V) W with V fixed at random and W the least-squares solution of smallest norm.
    """
    assert callable(source)
    x_NF, y_N, x_MF, y_M = source(seed, 400)
    random = np.random.default_rng(seed)
    y_N = np.where(random.random(400) < 0.2, random.integers(0, 10, 400), y_N)
    found = {}
    for P in sizes:
        V_FP = random.standard_normal((x_NF.shape[1], P)) / x_NF.shape[1] ** 0.5
        W_PK = np.linalg.lstsq(np.maximum(x_NF @ V_FP, 0), np.eye(10)[y_N], rcond=None)[0]
        outputs_MK = np.maximum(x_MF @ V_FP, 0) @ W_PK
        square = ((outputs_MK - np.eye(10)[y_M]) ** 2).sum(axis=1).mean()
        found[P] = float(square), float((outputs_MK.argmax(axis=1) != y_M).mean())
    return found


def test_the_test_error_peaks_where_parameters_are_as_many_as_rows() -> None:
    """The first half of J57 on digits. A hundred features are all that their 64 pixels need: the second needs MNIST."""
    curves = [double_descent(digits, seed, (200, 400, 800)) for seed in range(3)]
    below, at, beyond = (np.median([curve[P][0] for curve in curves]) for P in (200, 400, 800))
    assert at > 10 * max(below, beyond)


@pytest.mark.slow
@pytest.mark.spec("J57")
def test_the_test_error_falls_again_beyond_and_ends_lower_than_before() -> None:
    few, many = (20, 50, 100, 200), (400, 800, 1600, 3200)
    curves = [double_descent(mnist, seed, few + many) for seed in range(3)]
    square, wrong = ({P: np.median([curve[P][i] for curve in curves]) for P in few + many} for i in (0, 1))
    assert max(square, key=lambda P: square[P]) == 400
    assert square[400] > 10 * max(square[200], square[800])
    assert square[800] > square[1600] > square[3200]
    assert wrong[3200] < min(wrong[P] for P in few)


@pytest.mark.spec("J58")
def test_descent_from_zero_ends_at_the_smallest_of_all_solutions() -> None:
    """Steps lie in the span of the rows, so a start at zero leads to theta = A^+ y. 20 rows, 60 parameters, float64."""
    distances, closest_rivals = [], []
    for seed in range(3):
        random = torch.Generator().manual_seed(seed)
        truth_F1 = torch.randn(60, 1, generator=random, dtype=torch.float64)
        A_NF, A_MF = (torch.randn(size, 60, generator=random, dtype=torch.float64) for size in (20, 500))
        batch = SimpleNamespace(inputs=(A_NF,), target=A_NF @ truth_F1)
        model = nn.Linear(60, 1, bias=False, dtype=torch.float64)
        nn.init.zeros_(model.weight)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(300):
            limpid.train_step(model, SimpleNamespace(loss=F.mse_loss), optimizer, batch)
        theta_F1 = model.weight.detach().T
        inverse_FN = torch.linalg.pinv(A_NF)
        distances.append((theta_F1 - inverse_FN @ batch.target).norm().item())
        # What the rows cannot see, added at random and as large as the solution itself: ten other perfect fits.
        noise_FJ = torch.randn(60, 10, generator=random, dtype=torch.float64)
        noise_FJ -= inverse_FN @ (A_NF @ noise_FJ)
        rivals_FJ = theta_F1 + noise_FJ / noise_FJ.norm(dim=0) * theta_F1.norm()
        assert torch.allclose(A_NF @ rivals_FJ, batch.target.expand(-1, 10), atol=1e-5)
        wanted_M1 = A_MF @ truth_F1
        own, rivals_J = F.mse_loss(A_MF @ theta_F1, wanted_M1), (A_MF @ rivals_FJ - wanted_M1).square().mean(dim=0)
        closest_rivals.append((rivals_J.min() / own).item())
    assert np.median(distances) < 1e-6
    assert np.median(closest_rivals) > 1


def noisy_wave(count: int, random: np.random.Generator) -> tuple[Array, Array]:
    """y = sin 4x + 0.3 e on [-1, 1], as (N, 1) and (N,)."""
    x = random.uniform(-1, 1, (count, 1)).astype(np.float32)
    return x, (np.sin(4 * x[:, 0]) + 0.3 * random.standard_normal(count)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.spec("J59")
def test_polynomials_and_single_neighbours_over_fit_but_wide_networks_do_not() -> None:
    """60 noisy rows of a curve. The widest network has 6,145 parameters; its errors are those of new noisy rows."""
    polynomial, neighbour, last_width = [], [], []
    for seed in range(5):
        random = np.random.default_rng(seed)
        (x, y), (x_test, y_test) = noisy_wave(60, random), noisy_wave(2000, random)

        def error(
            model: str, x: Array = x, y: Array = y, x_test: Array = x_test, y_test: Array = y_test, **how: object
        ) -> float:
            network = limpid.Regressor(model, validation_share=0.0, device="cpu", **how).fit(x, y)
            return float(np.square(network.predict(x_test) - y_test).mean())

        legendre = np.polynomial.legendre
        degrees = [
            float(np.square(legendre.legval(x_test[:, 0], legendre.legfit(x[:, 0], y, degree)) - y_test).mean())
            for degree in range(1, 20)
        ]
        polynomial.append(degrees[-1] / min(degrees))
        neighbours = [error("knn", options={"model.k": k}) for k in (1, 2, 3, 5, 8, 12)]
        neighbour.append(neighbours[0] / min(neighbours))
        descent = {"epochs": 500, "batch_size": 60, "lr": 0.01, "random_state": seed, "options": PLAIN}
        widths = [error("mlp", hidden=(width,), **descent) for width in (8, 32, 128, 512, 2048)]
        last_width.append(widths[-1] / min(widths))
    assert np.median(polynomial) > 1.2
    assert np.median(neighbour) > 1.2
    assert np.median(last_width) < 1.05
