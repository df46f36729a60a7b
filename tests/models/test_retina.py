"""The Mark I perceptron (A1)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from limpid.config import ModelConfig
from limpid.data.picture_sets import make_retina_letters
from limpid.models.registry import build_model
from limpid.models.retina import WIRES, Association, Retina
from limpid.spec import DataSpec


def letters_spec(shape: tuple[int, ...] = (1, 20, 20)) -> DataSpec:
    channels = shape[0]
    return DataSpec(
        name="letters", kind="image", task="classification", input_shape=shape, num_outputs=26,
        scale_mean=(0.2,) * channels, scale_std=(0.4,) * channels,
    )  # fmt: skip


@pytest.mark.spec("A1")
@pytest.mark.parametrize("shape", [(1, 20, 20), (1, 28, 28), (3, 32, 32)])
def test_the_retina_has_400_cells(shape: tuple[int, ...]) -> None:
    cells_BS = Retina()(torch.randn(3, *shape))
    assert cells_BS.shape == (3, 400)
    assert set(cells_BS.unique().tolist()) == {0.0, 1.0}
    direct = build_model(ModelConfig(name="mark1", units=0), letters_spec(shape), seed=0)  # type: ignore[call-arg]
    assert direct.body.weight.shape == (26, 400)  # type: ignore[union-attr]


def test_association_units_count_their_wires() -> None:
    torch.manual_seed(0)
    layer = Association(400, 50)
    assert (layer.wire_SA.abs().sum(0) == WIRES).all()
    s_BS = (torch.rand(4, 400) < 0.3).float()
    fired_BA = layer(s_BS)
    for b in range(4):
        for a in range(50):
            total = sum(layer.wire_SA[i, a].item() for i in range(400) if s_BS[b, i])
            assert fired_BA[b, a].item() == float(total > 0)


@pytest.mark.spec("A1", "F17")
def test_the_machine_learns_all_letters_without_an_error() -> None:
    pictures, label_N = make_retina_letters(26 * 9, np.random.default_rng(0))
    assert set(label_N.tolist()) == set(range(26))
    network = build_model(ModelConfig(name="mark1"), letters_spec(), seed=0)
    machine = network.body
    x, target = network.scale(torch.from_numpy(pictures)), torch.from_numpy(label_N)
    for _ in range(100):
        if machine.learn(x, target, 1.0) == 0:  # type: ignore[operator, union-attr]
            break
    margin_BK = machine.margins(x)  # type: ignore[operator, union-attr]
    # Every unit is right on every picture, not only the largest of them.
    assert torch.equal(margin_BK > 0, torch.nn.functional.one_hot(target, 26).bool())
