"""Both forms of dropout and their relatives: means, masks, and what use sees."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from limpid.config import ModelConfig
from limpid.errors import ConfigError
from limpid.models import build_model
from limpid.models.dropout import ClassicDropout, VariationalDropout, drop_share, make_dropout
from limpid.spec import DataSpec

TABLE = DataSpec(name="rows", kind="table", task="classification", input_shape=(12,), num_outputs=4)
FORMS = ["inverted", "classic"]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.spec("B31")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("drop", [0.2, 0.5])
def test_mean_of_training_is_the_output_in_use(form: str, drop: float) -> None:
    layer = make_dropout(form, drop)
    x = torch.linspace(0.5, 2.0, 8).expand(200_000, 8)
    trained, used = layer.train()(x), layer.eval()(x)
    torch.testing.assert_close(trained.mean(dim=0), used.mean(dim=0), rtol=0.01, atol=0)
    assert torch.equal(layer.eval()(x), used), "use draws nothing"
    assert torch.equal(used, x if form == "inverted" else x * (1 - drop))
    kept = trained[0] != 0
    scaled = x[0] / (1 - drop) if form == "inverted" else x[0]
    torch.testing.assert_close(trained[0][kept], scaled[kept], rtol=1e-6, atol=0)


@pytest.mark.spec("B31")
@pytest.mark.parametrize("form", FORMS)
def test_masks_differ_between_samples_and_between_steps(form: str) -> None:
    layer = make_dropout(form, 0.5).train()
    first, second = layer(torch.ones(64, 32)), layer(torch.ones(64, 32))
    assert len({tuple(row.tolist()) for row in first}) == 64
    assert not torch.equal(first, second)
    silent = (first == 0).double().mean()
    assert silent == pytest.approx(0.5, abs=0.05)


@pytest.mark.spec("B31", "K59", "X7")
def test_share_may_be_told_either_way() -> None:
    assert ClassicDropout(keep=0.6).drop == pytest.approx(0.4)
    assert VariationalDropout(keep=0.8).drop == pytest.approx(0.2)
    assert ModelConfig(keep=0.6).dropout == 0.4
    assert ModelConfig.model_validate(ModelConfig(keep=0.6).model_dump()).dropout == 0.4
    with pytest.raises(ValueError, match="give one"):
        ModelConfig(keep=0.6, dropout=0.4)
    for wrong in ((None, None), (0.1, 0.9), (1.0, None), (None, 0.0)):
        with pytest.raises(ConfigError, match="Dropout"):
            drop_share(*wrong)


def test_gradients_flow_through_what_is_kept() -> None:
    layer = ClassicDropout(0.5).train()
    x = torch.randn(50, 20, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert torch.equal(x.grad, (y != 0).float())


def test_spatial_dropout_silences_whole_channels() -> None:
    y = make_dropout("spatial", 0.5).train()(torch.ones(40, 6, 5, 5))
    per_channel = y.flatten(2)
    assert torch.equal(per_channel.amin(2), per_channel.amax(2))
    assert set(y.unique().tolist()) == {0.0, 2.0}


def test_variational_dropout_has_one_mask_for_all_steps() -> None:
    layer = VariationalDropout(0.5)
    y_BTF = layer.train()(torch.ones(40, 7, 11))
    assert torch.equal(y_BTF, y_BTF[:, :1].expand_as(y_BTF))
    assert len({tuple(row.tolist()) for row in y_BTF[:, 0]}) == 40
    assert set(y_BTF.unique().tolist()) == {0.0, 2.0}
    x = torch.randn(3, 4, 5)
    assert torch.equal(layer.eval()(x), x)
    y_TBF = VariationalDropout(0.5, time_dim=0).train()(torch.ones(7, 40, 11))
    assert torch.equal(y_TBF, y_TBF[:1].expand_as(y_TBF))
    mean = layer.train()(torch.ones(100_000, 1, 3)).mean()
    assert mean == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_recurrent_stacks_take_the_variational_form(name: str) -> None:
    series = DataSpec(name="waves", kind="series", task="regression", input_shape=(12, 2), num_outputs=1)
    config = ModelConfig(name=name, dropout=0.5, options={"layers": 3, "units": 8, "variational": True})
    network = build_model(config, series, seed=0)
    drops = [layer for layer in network.modules() if isinstance(layer, VariationalDropout)]
    assert [(layer.drop, layer.time_dim) for layer in drops] == [(0.5, 0)]
    x_BTF, lengths_B = torch.randn(4, 12, 2), torch.full((4,), 12)
    assert not torch.equal(network.train()(x_BTF, lengths_B), network(x_BTF, lengths_B))
    assert torch.equal(network.eval()(x_BTF, lengths_B), network(x_BTF, lengths_B))


def test_an_mlp_takes_either_form_and_drops_inputs() -> None:
    options = {"dropout_form": "classic", "input_dropout": 0.2}
    config = ModelConfig(name="mlp", hidden=(8, 8), dropout=0.5, options=options)
    network = build_model(config, TABLE, seed=0)
    drops = [layer.drop for layer in network.modules() if isinstance(layer, ClassicDropout)]
    assert drops == [0.2, 0.5, 0.5]
    plain = build_model(ModelConfig(name="mlp", hidden=(8, 8), dropout=0.5), TABLE, seed=0)
    assert [layer.p for layer in plain.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


def test_scaled_weights_are_the_mean_of_all_thinned_linear_layers() -> None:
    """Exact for one linear layer: the mean over all 2^n masks, each with its probability."""
    layer, drop = ClassicDropout(0.3).eval(), 0.3
    w, x = torch.randn(6, 3).double(), torch.randn(6).double()
    mean = torch.zeros(3).double()
    for mask in itertools.product((0.0, 1.0), repeat=6):
        m = torch.tensor(mask).double()
        probability = ((1 - drop) * m + drop * (1 - m)).prod()
        mean += probability * ((m * x) @ w)
    torch.testing.assert_close(layer(x) @ w, mean, rtol=1e-12, atol=1e-12)
