"""Each architecture against its formula, its published counts and its limits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.catalogue.models import MODELS
from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models import build_model, layer_table, takes_codes, totals
from limpid.models.activations import make_activation
from limpid.models.embedding import CategoryEmbedding, vector_size
from limpid.spec import DataSpec

COLOUR = DataSpec(name="c", kind="image", task="classification", input_shape=(3, 32, 32), num_outputs=10)
GREY = COLOUR.model_copy(update={"input_shape": (1, 28, 28)})


def vector(features: int, outputs: int, **changes: object) -> DataSpec:
    spec = DataSpec(name="v", kind="vector", task="classification", input_shape=(features,), num_outputs=outputs)
    return spec.model_copy(update=changes)


def count(name: str, spec: DataSpec, **options: object) -> int:
    network = build_model(ModelConfig(name=name, **options), spec, seed=0)
    return totals(layer_table(network, spec))[0]


@pytest.mark.spec("A4")
def test_neuron_is_a_weighted_sum_and_an_activation() -> None:
    network = build_model(ModelConfig(name="linear"), vector(5, 1), seed=0)
    neuron = nn.Linear(5, 1)
    neuron.load_state_dict(network.body.state_dict())
    x_BF = torch.randn(7, 5)
    assert torch.equal(torch.tanh(network(x_BF)), torch.tanh(neuron(x_BF)))


@pytest.mark.spec("A5")
def test_linear_model_is_affine_and_separates_blobs() -> None:
    network = build_model(ModelConfig(name="linear"), vector(4, 3), seed=0)
    x_BF = torch.randint(-4, 5, (9, 4))
    weight = torch.randint(-4, 5, (3, 4))  # integers, whose sums are exact in any order
    with torch.no_grad():
        network.body.weight.copy_(weight)
        network.body.bias.copy_(torch.tensor([1, -2, 3]))
    with_ones = torch.cat((x_BF, torch.ones(9, 1, dtype=torch.int64)), dim=1)
    stacked = torch.cat((weight.T, torch.tensor([[1, -2, 3]])))
    assert torch.equal(network(x_BF.float()), (with_ones @ stacked).float())

    label_B = torch.arange(300) % 3
    centres_KF = torch.tensor([[3.0, 0.0], [-3.0, 3.0], [-3.0, -3.0]])
    blobs_BF = centres_KF[label_B] + torch.rand(300, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    network = build_model(ModelConfig(name="linear"), vector(2, 3), seed=0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        F.cross_entropy(network(blobs_BF), label_B).backward()
        optimizer.step()
    assert torch.equal(network(blobs_BF).argmax(dim=1), label_B)


@pytest.mark.spec("B11")
@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (7, 3), (784, 10)])
def test_dense_layer_has_one_weight_per_pair_and_one_bias_per_output(n_in: int, n_out: int) -> None:
    assert count("linear", vector(n_in, n_out)) == n_in * n_out + n_out


@pytest.mark.spec("A11")
@pytest.mark.parametrize(
    ("activation", "function"), [("relu", F.relu), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid), ("elu", F.elu)]
)
def test_mlp_equals_its_formula(activation: str, function: object) -> None:
    spec = vector(3, 1)
    network = build_model(ModelConfig(name="mlp", hidden=(4, 4), activation=activation), spec, seed=0)
    (w1, b1), (w2, b2), (w3, b3) = [(m.weight, m.bias) for m in network.body if isinstance(m, nn.Linear)]
    x = torch.randn(6, 3)
    expected = F.linear(function(F.linear(function(F.linear(x, w1, b1)), w2, b2)), w3, b3)
    assert torch.equal(network(x), expected)
    assert (w1.shape, w2.shape, w3.shape) == ((4, 3), (4, 4), (1, 4))
    assert sum(w.numel() for w in (w1, w2, w3)) == 32
    assert count("mlp", spec, hidden=(4, 4)) == 41


@pytest.mark.spec("K41")
def test_mnist_mlp_parameters() -> None:
    assert count("mlp", GREY, hidden=(512, 512)) == 669_706


@pytest.mark.spec("B2")
def test_sigmoid() -> None:
    sigmoid = make_activation("sigmoid")
    z = torch.linspace(-6, 6, 25, dtype=torch.float64, requires_grad=True)
    value = sigmoid(z)
    value.sum().backward()
    torch.testing.assert_close(value, 1 / (1 + torch.exp(-z)))
    torch.testing.assert_close(z.grad, value * (1 - value))
    assert z.grad.max() <= 0.25
    assert sigmoid(torch.tensor([0.0, 1000.0, -1000.0])).tolist() == [0.5, 1.0, 0.0]


@pytest.mark.spec("B4")
def test_relu() -> None:
    z = torch.tensor([-2.0, -0.5, 0.0, 0.5, 3.0], requires_grad=True)
    value = make_activation("relu")(z * 1)
    assert value.tolist() == [0.0, 0.0, 0.0, 0.5, 3.0]
    value.sum().backward()
    assert z.grad.tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_mlp_norm_and_dropout() -> None:
    network = build_model(ModelConfig(name="mlp", hidden=(8,), norm="layer", dropout=0.5), vector(3, 2), seed=0)
    assert [type(m) for m in network.body] == [nn.Linear, nn.LayerNorm, nn.ReLU, nn.Dropout, nn.Linear]
    network = build_model(ModelConfig(name="mlp", hidden=(8,), norm="batch"), vector(3, 2), seed=0)
    assert [type(m) for m in network.body] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert network.body[0].bias is None


def test_no_hidden_layer_is_the_linear_model() -> None:
    assert count("mlp", vector(4, 3), hidden=()) == count("linear", vector(4, 3))


@pytest.mark.spec("A18", "X22")
def test_lenet5_counts_and_sizes() -> None:
    for spec in (GREY, GREY.model_copy(update={"input_shape": (1, 32, 32)})):
        network = build_model(ModelConfig(name="lenet5"), spec, seed=0)
        table = layer_table(network, spec)
        assert totals(table)[0] == 61_706
        assert [row["output_shape"] for row in table if row["kind"] == "Flatten"] == [(400,)]
    with pytest.raises(ModelError, match="28 x 28 or 32 x 32 pixels; these have 30 x 30"):
        build_model(ModelConfig(name="lenet5"), GREY.model_copy(update={"input_shape": (1, 30, 30)}), seed=0)


def test_lenet5_equals_the_listing_with_relu_before_pooling() -> None:
    network = build_model(ModelConfig(name="lenet5"), GREY, seed=0)
    conv1, conv2, *dense = [m for m in network.body if isinstance(m, nn.Conv2d | nn.Linear)]
    x = torch.rand(4, 1, 28, 28)
    h = F.max_pool2d(F.relu(conv1(x)), 2)
    h = F.max_pool2d(F.relu(conv2(h)), 2).flatten(1)
    expected = dense[2](F.relu(dense[1](F.relu(dense[0](h)))))
    assert torch.equal(network(x), expected)
    expected.sum().backward()
    naive = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    network(x).sum().backward()
    for p, gradient in zip(network.parameters(), naive, strict=True):
        torch.testing.assert_close(p.grad, gradient)


@pytest.mark.parametrize(("depth", "parameters"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018)])
def test_cifar_resnet_parameters(depth: int, parameters: int) -> None:
    assert count(f"resnet{depth}", COLOUR) == parameters


def test_cifar_resnet110_has_its_depth() -> None:
    network = build_model(ModelConfig(name="resnet110"), COLOUR, seed=0)
    weighted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == 110
    assert sum(p.numel() for p in network.parameters()) == 1_727_962


def test_residual_shortcut_takes_every_second_pixel_and_pads_with_zeros() -> None:
    network = build_model(ModelConfig(name="resnet20"), COLOUR, seed=0).eval()
    block = network.body[6]  # the first of 32 channels
    nn.init.zeros_(block.norm2.weight)
    x = torch.rand(2, 16, 8, 8)
    with torch.no_grad():
        y = block(x)
    assert torch.equal(y[:, :16], x[:, :, ::2, ::2])
    assert not y[:, 16:].any()


def test_resnet_refuses_tiny_images() -> None:
    with pytest.raises(ModelError, match="at least 8 x 8 pixels; these have 4 x 6"):
        build_model(ModelConfig(name="resnet20"), COLOUR.model_copy(update={"input_shape": (3, 4, 6)}), seed=0)


@pytest.mark.parametrize(("side", "last_side"), [(5, 5), (8, 4), (28, 7), (32, 4), (64, 4)])
def test_convnet_adapts_to_the_side(side: int, last_side: int) -> None:
    spec = COLOUR.model_copy(update={"input_shape": (3, side, side)})
    table = layer_table(build_model(ModelConfig(name="convnet"), spec, seed=0), spec)
    assert [row["output_shape"][1] for row in table if row["kind"] == "Conv2d"][-1] == last_side


@pytest.mark.spec("B25")
def test_every_layer_reports_its_volume() -> None:
    table = layer_table(build_model(ModelConfig(name="lenet5"), GREY, seed=0), GREY)
    volumes = {row["name"]: row["output_shape"] for row in table}
    assert volumes["0"] == (6, 28, 28)  # depth = number of filters
    assert volumes["1"] == (6, 14, 14)
    assert volumes["3"] == (16, 10, 10)
    assert volumes["4"] == (16, 5, 5)
    assert all(row["output_shape"] for row in table)
    macs = {row["name"]: row["macs"] for row in table}
    assert macs["0"] == 28 * 28 * 6 * 25
    assert macs["7"] == 400 * 120


def test_layer_table_counts_a_shared_layer_once_in_parameters_and_twice_in_work() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)
            self.gain = nn.Parameter(torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x)) * self.gain

    table = layer_table(Twice(), vector(3, 3))
    assert {row["name"]: (row["parameters"], row["macs"]) for row in table} == {"Twice": (3, 0), "layer": (12, 18)}


@pytest.mark.spec("B33")
def test_embedding_is_one_hot_times_matrix_with_gradient_on_used_rows_only() -> None:
    embedding = CategoryEmbedding((3, 7))
    assert embedding.sizes == (vector_size(3), vector_size(7)) == (3, 5)
    codes = torch.tensor([[1, 6], [1, 2], [0, 2]])
    expected = torch.cat([F.one_hot(codes[:, i], n).float() @ embedding.matrix(i) for i, n in enumerate((3, 7))], dim=1)
    vectors = embedding(codes)
    assert torch.equal(vectors, expected)
    assert not embedding.matrix(0)[0].any()
    vectors.sum().backward()
    gradient = embedding.weight.grad
    assert gradient is not None
    first, second = gradient[:9].view(3, 3), gradient[9:].view(7, 5)
    assert first.any(dim=1).tolist() == [True, True, False]
    assert second.any(dim=1).tolist() == [False, False, True, False, False, False, True]


def test_embedding_size_can_be_set() -> None:
    spec = vector(2, 2, kind="table", cardinalities=(4, 900), category_names=("a", "b"))
    network = build_model(ModelConfig(name="mlp", embedding=3), spec, seed=0)
    assert network.body.embedding.sizes == (3, 3)


def test_registry_tells_what_takes_codes() -> None:
    assert takes_codes("mlp")
    assert not takes_codes("linear")
    assert not takes_codes("resnet18")
    assert all(part.source and part.what for part in MODELS.values())


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("lenet5", vector(4, 2), r"lenet5 takes data of kind image.*kind vector with shape \(4,\)"),
        ("linear", vector(4, 2, kind="table", cardinalities=(3,)), "encode=onehot"),
    ],
)
def test_misfits_are_named(name: str, spec: DataSpec, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_model(ModelConfig(name=name), spec, seed=0)


def test_own_models_have_no_published_weights() -> None:
    with pytest.raises(ModelError, match="lenet5 has no published weights"):
        build_model(ModelConfig(name="lenet5", pretrained=True), GREY, seed=0)
