"""Every way to draw first weights: its law, its seed, every kind of layer, and one step of training from it."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from torch import nn

from limpid.catalogue.activations import ACTIVATIONS
from limpid.catalogue.call import read_call
from limpid.catalogue.initializers import INITIALIZERS
from limpid.config import ModelConfig
from limpid.errors import ConfigError, ModelError
from limpid.models import build_model
from limpid.models.activations import make_activation
from limpid.models.elman import Elman
from limpid.models.first_weights import Place
from limpid.models.gain import gain_of, numeric_gain
from limpid.models.gru import GRU
from limpid.models.initialize import reinitialize
from limpid.models.lstm import LSTM
from limpid.spec import DataSpec

ROWS = DataSpec(name="rows", kind="vector", task="classification", input_shape=(4,), num_outputs=3)
CODES = ROWS.model_copy(update={"kind": "table", "cardinalities": (3, 500), "category_names": ("a", "b")})
IMAGES = DataSpec(name="i", kind="image", task="classification", input_shape=(1, 28, 28), num_outputs=10)
FAN_IN, FAN_OUT = 784, 512
UNIFORM = math.sqrt(12)

# text -> mean, standard deviation and largest size of a weight from 784 to 512 (None: unbounded)
LAWS: dict[str, tuple[float, float, float | None]] = {
    "kaiming_normal": (0, math.sqrt(2 / 784), None),
    "kaiming_normal(mode=fan_out)": (0, math.sqrt(2 / 512), None),
    "kaiming_normal(a=1)": (0, math.sqrt(1 / 784), None),
    "kaiming_normal(nonlinearity=model)": (0, 5 / 3 / math.sqrt(784), None),  # the model's is tanh below
    "kaiming_uniform": (0, math.sqrt(2 / 784), math.sqrt(6 / 784)),
    "he_truncated": (0, math.sqrt(2 / 784), 2 * math.sqrt(2 / 784) / 0.8796),
    "he_truncated(false)": (0, 0.8796 * math.sqrt(2 / 784), 2 * math.sqrt(2 / 784)),
    "xavier_normal": (0, math.sqrt(2 / 1296), None),
    "xavier_normal(gain=2)": (0, 2 * math.sqrt(2 / 1296), None),
    "xavier_uniform": (0, math.sqrt(2 / 1296), math.sqrt(6 / 1296)),
    "lecun_normal": (0, 1 / 28, None),
    "lecun_uniform": (0, 1 / 28, math.sqrt(3 / 784)),
    "fan_sum_normal": (0, math.sqrt(2 / 1296), None),
    "fan_sum_normal(k=6)": (0, math.sqrt(6 / 1296), None),
    "torch_default": (0, 2 / 28 / UNIFORM, 1 / 28),
    "normal": (0, 1, None),
    "normal(0.5, 0.01)": (0.5, 0.01, None),
    "truncated_normal(0, 0.1)": (0, 0.08796, 0.2),
    "uniform": (0.5, 1 / UNIFORM, 1),
    "uniform(-0.1, 0.1)": (0, 0.2 / UNIFORM, 0.1),
    "keras_uniform": (0, 0.1 / UNIFORM, 0.05),
    "zeros": (0, 0, 0),
    "constant": (0.1, 0, 0.1),
    "constant(-2)": (-2, 0, 2),
    "orthogonal": (0, 1 / 28, None),
    "identity": (1 / 784, 1 / 28, 1),
    "sparse": (0, 0.01 * math.sqrt(1 - 0.1), None),
    "sparse(0.5, 1)": (0, math.sqrt(0.5), None),
}


def draw(text: str, *shape: int, seed: int = 0, gain: float = 5 / 3) -> torch.Tensor:
    weight = torch.empty(*(shape or (FAN_OUT, FAN_IN)))
    torch.manual_seed(seed)
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(weight)
    read_call(INITIALIZERS, text).build(weight, Place(fan_in, fan_out, gain))
    return weight


def test_every_initializer_has_a_law_here() -> None:
    assert {read_call(INITIALIZERS, text).part.name for text in LAWS} == set(INITIALIZERS)


@pytest.mark.spec("E4", "E5", "E6", "E7", "E8", "E9", "E12", "X13")
@pytest.mark.parametrize("text", LAWS)
def test_law(text: str) -> None:
    mean, std, bound = LAWS[text]
    weight = draw(text)
    size = abs(mean) + std
    assert weight.double().mean().item() == pytest.approx(mean, abs=0.01 * size)  # 400,000 draws: 6 deviations
    assert weight.double().std().item() == pytest.approx(std, rel=0.01, abs=1e-6)
    if bound is not None:
        assert weight.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert weight.abs().max().item() <= bound * (1 + 1e-4)


@pytest.mark.spec("E4", "E5", "E6", "E7", "E9")
def test_golden_deviations() -> None:
    assert LAWS["xavier_normal"][1] == LAWS["fan_sum_normal"][1] == pytest.approx(0.0392837, abs=5e-8)
    assert LAWS["xavier_uniform"][2] == pytest.approx(0.0680414, abs=5e-8)
    assert LAWS["lecun_normal"][1] == pytest.approx(0.0357143, abs=5e-8)
    assert LAWS["kaiming_normal"][1] == pytest.approx(0.0505076, abs=5e-8)


@pytest.mark.parametrize("name", list(INITIALIZERS))
@pytest.mark.parametrize("shape", [(12, 5), (5, 12), (8, 3, 3, 3), (3, 8, 5)])
def test_a_function_of_the_seed_for_every_kind_of_layer(name: str, shape: tuple[int, ...]) -> None:
    first = draw(name, *shape, seed=1)
    assert first.isfinite().all()
    assert torch.equal(first, draw(name, *shape, seed=1))
    fixed = name in ("zeros", "constant", "identity")
    assert torch.equal(first, draw(name, *shape, seed=2)) == fixed


def test_orthogonal_identity_and_sparse() -> None:
    weight = draw("orthogonal(1.5)", 6, 3, 2, 2).flatten(1)
    torch.testing.assert_close(weight @ weight.t(), 2.25 * torch.eye(6), atol=1e-5, rtol=0)
    assert torch.equal(draw("identity(2)", 3, 5), 2 * torch.eye(3, 5))
    kernel = draw("identity", 4, 4, 3, 3)
    x_BCHW = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(nn.functional.conv2d(x_BCHW, kernel, padding=1), x_BCHW)
    assert ((draw("sparse(0.25)", 40, 7) == 0).sum(dim=0) == 10).all()


@pytest.mark.spec("E3", "X14")
def test_plain_normal_makes_the_variance_of_a_sum_the_number_of_its_inputs() -> None:
    network = build_model(ModelConfig(name="mlp", hidden=(20_000,), init="normal(0, 1)"), ROWS, seed=0)
    dense = network.body[0]
    assert (dense.bias == 0).all()
    for n in (4, 100):
        layer = dense if n == 4 else nn.Linear(n, 20_000)
        reinitialize(layer, "normal", biases="zeros", activation="relu")
        z = layer(torch.ones(1, n))  # unit inputs; the deviation is the second number, as in randn
        assert z.var().item() == pytest.approx(n, rel=0.05)


@pytest.mark.spec("E10", "K37")
def test_gain_table() -> None:
    table = {"identity": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
    for name, gain in table.items():
        assert gain_of(name) == pytest.approx(gain, abs=1e-12)
    assert gain_of("leaky_relu") == pytest.approx(1.4141428570, abs=1e-10)
    assert gain_of("leaky_relu(0.1)") == pytest.approx(1.4071950895, abs=1e-10)
    for name in ("linear", "conv1d", "conv2d", "conv3d", "sigmoid"):
        assert nn.init.calculate_gain(name) == 1
    for slope in (0.0, 0.01, 0.3, 1.0):
        assert gain_of(f"leaky_relu({slope})") == nn.init.calculate_gain("leaky_relu", slope)
    with pytest.raises(ConfigError, match="no activation 'rulu'"):
        gain_of("rulu")
    for boolean in ("true", "false"):
        with pytest.raises(ConfigError, match="expected a number, such as 0.01"):
            gain_of(f"leaky_relu({boolean})")


@pytest.mark.spec("E11")
def test_names_and_defaults_of_torch() -> None:
    functions = ("uniform", "normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal")
    for name in functions:
        torchs = inspect.signature(getattr(nn.init, f"{name}_")).parameters
        ours = INITIALIZERS[name].options
        assert {k: option.default for k, option in ours.items()} == {
            k: p.default for k, p in torchs.items() if k not in ("tensor", "generator")
        }
        torch.manual_seed(0)
        expected = getattr(nn.init, f"{name}_")(torch.empty(30, 20))
        torch.testing.assert_close(draw(name, 30, 20), expected, atol=1e-7, rtol=1e-6)
    torch.manual_seed(0)
    expected = nn.Linear(20, 30).weight.detach()
    torch.testing.assert_close(draw("torch_default", 30, 20), expected, atol=1e-7, rtol=1e-6)


@pytest.mark.spec("E13")
def test_half_of_xavier_is_he() -> None:
    names = {INITIALIZERS.find(word).name for word in ("xavier/2", "Xavier/2", "he", "He normal", "kaiming")}
    assert names == {"kaiming_normal"}


@pytest.mark.spec("E16")
def test_numeric_gain() -> None:
    assert numeric_gain(nn.ReLU()) == pytest.approx(math.sqrt(2), abs=1e-6)
    for slope in (0.01, 0.1, 0.5):
        assert numeric_gain(nn.LeakyReLU(slope)) == pytest.approx(math.sqrt(2 / (1 + slope**2)), abs=1e-6)
    z = torch.randn(4_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for name in set(ACTIVATIONS) - {"tanh", "sigmoid", "selu", "identity", "softmax", "log_softmax", "maxout"}:
        sampled = 1 / make_activation(name).double()(z.clone()).square().mean().sqrt().item()
        assert gain_of(name) == pytest.approx(sampled, rel=5e-3), name
    assert gain_of("elu") == pytest.approx(1.2452, abs=1e-4)
    assert numeric_gain(nn.Tanh()) == pytest.approx(1.5925, abs=1e-4)
    for pieces in (2, 3, 5):  # the largest of several normal numbers
        sampled = 1 / z.view(-1, 5)[:, :pieces].amax(dim=1).square().mean().sqrt().item()
        assert gain_of(f"maxout({pieces})") == pytest.approx(sampled, rel=5e-3)


@pytest.mark.spec("E16")
@pytest.mark.parametrize("activation", ["relu", "leaky_relu(0.1)", "elu"])
def test_the_gain_keeps_the_signal_through_thirty_layers(activation: str) -> None:
    config = ModelConfig(
        name="mlp", hidden=(400,) * 30, activation=activation, init="kaiming_normal(nonlinearity=model)"
    )
    layers = build_model(config, ROWS.model_copy(update={"input_shape": (400,)}), seed=0).body
    x_BF = torch.randn(64, 400, generator=torch.Generator().manual_seed(0))
    start = x_BF.square().mean()
    for layer in layers[:-1]:
        x_BF = layer(x_BF)
    # a gain of 1 would leave 2^-30 under ReLU; for silu and gelu size 1 is a fixed point that repels
    assert 0.2 < x_BF.square().mean() / start < 5


@pytest.mark.spec("E2")
def test_zero_and_constant_weights_fail() -> None:
    # J25: gradients of hidden weights are exactly 0; units of a constant network stay one unit
    x_BF = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    label_B = (x_BF[:, 0] > 0).long()
    for activation in ("relu", "tanh"):
        network = build_model(ModelConfig(name="mlp", hidden=(6, 5), init="zeros", activation=activation), ROWS, seed=0)
        nn.functional.cross_entropy(network(x_BF), label_B).backward()
        weights = [layer.weight for layer in network.body if isinstance(layer, nn.Linear)]
        assert all((weight.grad == 0).all() for weight in weights)
        network = build_model(
            ModelConfig(name="mlp", hidden=(6, 5), init="constant(0.5)", activation=activation), ROWS, seed=0
        )
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for _ in range(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x_BF), label_B).backward()
            optimizer.step()
        first = network.body[0].weight
        assert not torch.equal(first, torch.full_like(first, 0.5)), "it did learn"
        assert (first == first[0]).all(), "and every unit the same"


@pytest.mark.spec("E14")
def test_embeddings_have_a_rule_of_their_own() -> None:
    # the effect of the scale on a translator is claim J30
    def table(**options: str) -> torch.Tensor:
        network = build_model(ModelConfig(name="mlp", hidden=(8,), embedding=20, **options), CODES, seed=0)
        return network.body.embedding.matrix(1)

    own = table()
    assert own[1:].std().item() == pytest.approx(0.1, rel=0.05)
    for text, std in (("kaiming_normal", math.sqrt(2 / 20)), ("normal(0, 0.02)", 0.02), ("uniform(-1, 1)", 3**-0.5)):
        drawn = table(embedding_init=text)
        assert drawn[1:].std().item() == pytest.approx(std, rel=0.05)
        assert (drawn[0] == 0).all(), "unknown codes stay at zero"
    plain = nn.Embedding(50, 8, padding_idx=0)
    reinitialize(plain, None, embeddings="constant(3)", activation="relu")
    assert plain.weight.sum().item() == 49 * 8 * 3


@pytest.mark.parametrize("name", ["linear", "mlp", "lenet5", "resnet20", "convnet"])
def test_every_model_takes_a_rule(name: str) -> None:
    spec = IMAGES.model_copy(update={"input_shape": (3, 32, 32)}) if name == "resnet20" else IMAGES
    widths = {"hidden": (16,)} if name == "mlp" else {}
    config = ModelConfig(name=name, init="constant(0.25)", bias_init="constant(0.5)", **widths)
    network = build_model(config, spec, seed=0)
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in layers:
        assert (layer.weight == 0.25).all()
        assert layer.bias is None or (layer.bias == 0.5).all()


def test_gates_and_projections_are_layers_of_their_own() -> None:
    lstm, attention = nn.LSTM(20, 30, num_layers=2), nn.MultiheadAttention(24, 3)
    reinitialize(nn.ModuleList([lstm, attention]), "orthogonal", biases="constant(1)", activation="tanh")
    for gate in lstm.weight_hh_l1.chunk(4):
        torch.testing.assert_close(gate @ gate.t(), torch.eye(30), atol=1e-5, rtol=0)
    for projection in attention.in_proj_weight.chunk(3):
        torch.testing.assert_close(projection @ projection.t(), torch.eye(24), atol=1e-5, rtol=0)
    assert (lstm.bias_ih_l0 == 1).all()
    assert (attention.in_proj_bias == 1).all()


@pytest.mark.parametrize(("cell", "num_blocks"), [(Elman, 1), (GRU, 3), (LSTM, 4), (nn.GRU, 3), (nn.LSTMCell, 4)])
def test_our_cells_and_torchs_are_drawn_alike(cell: type[nn.Module], num_blocks: int) -> None:
    layer = cell(6, 9)
    reinitialize(layer, "identity(3)", biases="constant(2)", activation="tanh")
    own = dict(layer.named_parameters())
    recurrent = next(weight for name, weight in own.items() if name.startswith("weight_hh"))
    assert torch.equal(recurrent, 3 * torch.eye(9).repeat(num_blocks, 1))
    biases = [bias for name, bias in own.items() if name.startswith("bias")]
    assert biases
    assert all((bias == 2).all() for bias in biases)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"init": "xaver"}, ConfigError, "no initializer 'xaver'. Did you mean xavier"),
        ({"init": "normal(0, -1)"}, ConfigError, "normal.std=-1.0 is not accepted: at least 0"),
        ({"init": "kaiming_normal(mode=fan)"}, ConfigError, "mode=fan is not accepted: use fan_in or fan_out"),
        ({"bias_init": "orthogonal"}, ConfigError, "model.bias_init=orthogonal is for matrices"),
        ({"embedding_init": "normal"}, ModelError, "model.embedding_init=normal has nothing to draw.*no embeddings"),
    ],
)
def test_misfits_of_first_weights_are_refused(options: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build_model(ModelConfig(name="mlp", hidden=(8,), **options), ROWS, seed=0)
