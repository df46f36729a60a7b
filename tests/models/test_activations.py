"""Every activation against its formula in NumPy, its gradient, and one step of training with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import erf
from torch import nn

from limpid.catalogue.activations import ACTIVATIONS
from limpid.catalogue.call import read_call
from limpid.config import ModelConfig
from limpid.errors import ConfigError, ModelError
from limpid.models import build_model
from limpid.models.activations import Maxout, make_activation, num_pieces
from limpid.spec import DataSpec

ROWS = DataSpec(name="rows", kind="vector", task="classification", input_shape=(4,), num_outputs=3)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


FORMULAS = {  # of a vector; text -> function
    "relu": lambda z: np.maximum(0, z),
    "tanh": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "sigmoid": sigmoid,
    "leaky_relu": lambda z: np.maximum(0.01 * z, z),
    "leaky_relu(0.1)": lambda z: np.maximum(0.1 * z, z),
    "prelu": lambda z: np.maximum(0, z) + 0.25 * np.minimum(0, z),
    "elu": lambda z: np.where(z >= 0, z, np.expm1(z)),
    "elu(alpha=0.5)": lambda z: np.where(z >= 0, z, 0.5 * np.expm1(z)),
    "selu": lambda z: 1.0507009873554805 * np.where(z >= 0, z, 1.6732632423543772 * np.expm1(z)),
    "gelu": lambda z: z * (1 + erf(z / math.sqrt(2))) / 2,
    "gelu(tanh)": lambda z: z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z * sigmoid(z),
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "softplus(beta=3)": lambda z: np.log1p(np.exp(3 * z)) / 3,
    "softsign": lambda z: z / (1 + np.abs(z)),
    "scaled_tanh": lambda z: 1.7159 * np.tanh(2 / 3 * z),
    "relu6": lambda z: np.clip(z, 0, 6),
    "hardtanh": lambda z: np.clip(z, -1, 1),
    "hardswish": lambda z: z * np.clip(z + 3, 0, 6) / 6,
    "identity": lambda z: z,
    "step": lambda z: (z > 0) * 1.0,
    "step(true)": lambda z: (z > 0) * 1.0,
    "maxout": lambda z: z.reshape(-1, 2).max(axis=1),
    "maxout(3)": lambda z: z.reshape(-1, 3).max(axis=1),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(),
    "log_softmax": lambda z: z - np.log(np.exp(z).sum()),
}
every_formula = pytest.mark.parametrize("text", FORMULAS)


def test_every_activation_has_a_formula_here() -> None:
    assert {read_call(ACTIVATIONS, text).part.name for text in FORMULAS} == set(ACTIVATIONS)


def apply(text: str, z: torch.Tensor) -> torch.Tensor:
    return make_activation(text, takes_pieces=True).double()(z)


@every_formula
def test_equals_its_formula(text: str) -> None:
    z = torch.linspace(-7.3, 8, 30, dtype=torch.float64)  # 30 divides by 2 and by 3 pieces
    values = apply(text, z.clone()[None])[0].detach().numpy()
    np.testing.assert_allclose(values, FORMULAS[text](z.numpy()), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("text", [text for text in FORMULAS if not text.startswith("step")])  # a choice, no derivative
def test_gradient(text: str) -> None:
    z = torch.tensor([[-7.1, -1.3, -0.4, 0.3, 1.7, 6.5]], dtype=torch.float64, requires_grad=True)
    module = make_activation(text, takes_pieces=True).double()
    assert torch.autograd.gradcheck(lambda z: module(z * 1), (z,))


@every_formula
def test_finite_for_huge_inputs(text: str) -> None:
    z = torch.tensor([[1e4, -1e4, 0.0, 88.0, -88.0, 1.0]], requires_grad=True)
    values = make_activation(text, takes_pieces=True)(z * 1)
    values.sum().backward()
    assert values.isfinite().all()
    assert z.grad.isfinite().all()


@pytest.mark.spec("B1")
def test_step() -> None:
    z = torch.tensor([-2.0, -0.5, 0.0, 1e-6, 0.5, 2.0], requires_grad=True)
    value = make_activation("step")(z)
    assert value.tolist() == [0, 0, 0, 1, 1, 1]
    value.sum().backward()
    assert z.grad.tolist() == [0] * 6
    z.grad = None
    make_activation("step(true)")(z).sum().backward()
    assert z.grad.tolist() == [0, 1, 1, 1, 1, 0]


@pytest.mark.spec("B3")
def test_tanh() -> None:
    z = torch.linspace(-9, 9, 37, dtype=torch.float64, requires_grad=True)
    value = make_activation("tanh")(z)
    value.sum().backward()
    torch.testing.assert_close(value, -make_activation("tanh")(-z), atol=0, rtol=0)
    torch.testing.assert_close(value, 2 * make_activation("sigmoid")(2 * z) - 1, atol=1e-10, rtol=0)
    torch.testing.assert_close(z.grad, 1 - value.detach() ** 2, atol=1e-10, rtol=0)
    assert value.min() > -1
    assert value.max() < 1


@pytest.mark.spec("B5", "X35")
def test_slope_of_leaky_relu_is_an_option() -> None:
    z = torch.tensor([-1.0], dtype=torch.float64)
    assert make_activation("leaky_relu(0.1)")(z.clone()).item() == -0.1
    assert make_activation("Leaky ReLU(slope=0.2)")(z.clone()).item() == -0.2
    assert make_activation("leaky_relu")(z.clone()).item() == -0.01


@pytest.mark.spec("B6")
def test_maxout() -> None:
    generator = torch.Generator().manual_seed(0)
    x_BF, w, b = (torch.randn(size, dtype=torch.float64, generator=generator) for size in ((9, 4), (5, 4), (5,)))
    layer = nn.Linear(4, 10, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.zero_()[1::2] = w
        layer.bias.zero_()[1::2] = b
    torch.testing.assert_close(Maxout(2)(layer(x_BF)), F.relu(F.linear(x_BF, w, b)), atol=1e-10, rtol=0)

    def hidden_parameters(activation: str) -> int:
        body = build_model(ModelConfig(name="mlp", hidden=(5,), activation=activation), ROWS, seed=0).body
        return sum(p.numel() for p in body[0].parameters())

    assert hidden_parameters("maxout") == 2 * hidden_parameters("relu") == 50
    assert hidden_parameters("maxout(pieces=3)") == 75
    maps = torch.randn(2, 6, 3, 3, generator=generator)
    torch.testing.assert_close(Maxout(3)(maps)[:, 1], maps[:, 3:6].amax(dim=1))


@pytest.mark.spec("B7")
def test_elu_is_continuous_and_ends_at_minus_alpha() -> None:
    for alpha in (1.0, 0.3):
        elu = make_activation(f"elu({alpha})")
        near = elu(torch.tensor([-1e-12, 0.0, 1e-12], dtype=torch.float64))
        assert near.abs().max() < 1e-11
        assert elu(torch.tensor([-1000.0], dtype=torch.float64)).item() == -alpha


@pytest.mark.spec("B8")
def test_softmax_golden() -> None:
    softmax = make_activation("softmax")
    z = torch.tensor([[2.0, 1.0, 0.1]], dtype=torch.float64)
    golden = torch.tensor([[0.6590011389, 0.2424329707, 0.0985658904]], dtype=torch.float64)
    torch.testing.assert_close(softmax(z), golden, atol=1e-10, rtol=0)
    torch.testing.assert_close(softmax(z + 5), golden, atol=1e-10, rtol=0)
    assert softmax(1000 * z).tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.spec("B9", "X38")
def test_log_softmax_is_what_the_nll_takes_and_a_softmax_is_not() -> None:
    z_BK = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    label_B = torch.tensor([0, 1, 2, 3, 0, 1])
    log_p_BK = make_activation("log_softmax")(z_BK)
    torch.testing.assert_close(log_p_BK.exp().sum(dim=1), torch.ones(6, dtype=torch.float64), atol=1e-10, rtol=0)
    torch.testing.assert_close(F.nll_loss(log_p_BK, label_B), F.cross_entropy(z_BK, label_B), atol=1e-10, rtol=0)
    torch.testing.assert_close(F.cross_entropy(log_p_BK, label_B), F.cross_entropy(z_BK, label_B), atol=1e-10, rtol=0)
    sure_BK = 1000 * F.one_hot(label_B, 4).double()
    twice = F.cross_entropy(make_activation("softmax")(sure_BK), label_B).item()
    assert twice == pytest.approx(math.log(1 + 3 / math.e)), "the floor that the catalogue warns of"


@pytest.mark.spec("B10")
def test_without_an_activation_depth_collapses_to_one_product() -> None:
    # J2's own check on data (no better than a linear model on XOR) is the claim's; the collapse is the layer's
    body = build_model(ModelConfig(name="mlp", hidden=(7, 5), activation="identity"), ROWS, seed=0).body.double()
    dense = [layer for layer in body if isinstance(layer, nn.Linear)]
    x_BF = torch.randn(10, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    W = dense[0].weight.t() @ dense[1].weight.t() @ dense[2].weight.t()
    torch.testing.assert_close(body(x_BF), x_BF @ W, atol=1e-10, rtol=0)
    xor = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)
    column = body[0].in_features
    score = body(F.pad(xor, (0, column - 2)))[:, 0]
    torch.testing.assert_close(score[0] + score[3], score[1] + score[2], atol=1e-10, rtol=0)  # no XOR, ever


def test_pieces() -> None:
    assert [num_pieces(text) for text in ("relu", "maxout", "maxout(4)")] == [1, 2, 4]
    with pytest.raises(ModelError, match="takes the largest of 2 pieces per unit.*model.name=mlp"):
        make_activation("maxout")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rleu", "no activation 'rleu'. Did you mean relu"),
        ("leaky_relu(-1)", "leaky_relu.slope=-1.0 is not accepted: from 0 to 1"),
        ("leaky_relu(true)", "leaky_relu.slope=True is not accepted: expected a number"),
        ("leaky_relu(0.1, 2)", "too many options: expected leaky_relu\\(slope=0.01\\)"),
        ("leaky_relu(alpha=2)", "alpha is not one of its options. Expected leaky_relu\\(slope=0.01\\)"),
        ("leaky_relu(slope=0.1, slope=0.2)", "gives it twice"),
        ("relu(1)", "expected relu, which has no options"),
        ("relu((", "cannot be read: expected a name, or name\\(value, option=value\\)"),
        ("gelu(erf)", "gelu.approximate=erf is not accepted: use none or tanh"),
    ],
)
def test_misfits_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        ModelConfig(activation=text)
    assert "\n" not in str(caught.value)


def test_options_are_kept_in_one_spelling() -> None:
    assert ModelConfig(activation="Leaky-ReLU( .1 )").activation == "leaky_relu(slope=0.1)"
    assert ModelConfig(activation="Swish").activation == "silu"
    assert ModelConfig(activation=ModelConfig(activation="step(True)").activation).activation.endswith("=true)")
