"""The graph of a computation: values are those of the forward pass, gradients those of the chain rule by hand.

Shapes: B rows (1), F features, U units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config_reader import config_from_dict
from limpid.interpret.computation import NO_GRADIENT, OWN_RULE, computation
from limpid.interpret.sample import Sample
from limpid.models.network import Network
from limpid.models.registry import build_model
from limpid.spec import DataSpec

IMAGE = DataSpec(name="pixels", kind="image", task="classification", input_shape=(1, 12, 12), num_outputs=3)
VECTOR = DataSpec(name="rows", kind="vector", task="classification", input_shape=(4,), num_outputs=3, num_train=6)
TABLE = VECTOR.model_copy(update={"kind": "table", "cardinalities": (3, 2)})
TEXT = DataSpec(name="texts", kind="text", task="classification", input_shape=(6,), num_outputs=3, vocabulary=9)
WORDS = TEXT.model_copy(update={"task": "tokens", "output_shape": (6,), "num_outputs": 9})
TOKENS = (torch.tensor([[4, 5, 6, 7, 0, 0]]), torch.tensor([4]))
Graph = dict[str, Any]


def sample_of(spec: DataSpec) -> Sample:
    random = torch.Generator().manual_seed(3)
    target, loss = torch.tensor([1]), F.cross_entropy
    if spec.kind == "image":
        inputs: tuple[Tensor, ...] = (torch.randint(0, 256, (1, *spec.input_shape), generator=random).byte(),)
    elif spec.kind == "text":
        inputs = TOKENS
    else:
        inputs = (torch.randn(1, 4, generator=random), *([torch.tensor([[1, 0]])] if spec.cardinalities else []))
    if spec.task == "tokens":
        target = torch.tensor([[5, 6, 7, -100, -100, -100]])
        return Sample(inputs, target, lambda outputs, target: F.cross_entropy(outputs.flatten(0, 1), target.flatten()))
    return Sample(inputs, target, loss)


def build(name: str, spec: DataSpec, **options: Any) -> nn.Module:
    """A network whose weights are no initial ones: zero biases would hide mistakes."""
    network = build_model(config_from_dict({"model": {"name": name, **options}}).model, spec, seed=0)
    random = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=random)
    return network


def by_name(graph: Graph) -> dict[str, Graph]:
    names = [node["name"] for node in graph["nodes"]]
    assert len({*names}) == len(names)
    return dict(zip(names, graph["nodes"], strict=True))


@pytest.mark.spec("O30", "I41")
@pytest.mark.parametrize(
    ("activation", "slope"),
    [
        (nn.Tanh(), lambda h: 1 - torch.tanh(h) ** 2),
        (nn.Sigmoid(), lambda h: torch.sigmoid(h) * (1 - torch.sigmoid(h))),
        (nn.ReLU(), lambda h: (h > 0).double()),
    ],
    ids=["tanh", "sigmoid", "relu"],
)
def test_gradients_are_those_of_the_formula_of_back_propagation(
    activation: nn.Module, slope: Callable[[Tensor], Tensor]
) -> None:
    """e^L = g'(h^L) (p - y), e^n = g'(h^n) W^(n+1)T e^(n+1), dL/dW = e x^T; everything by hand, in float64."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), activation, nn.Linear(7, 6), activation, nn.Linear(6, 1)).double()
    x, y = torch.randn(1, 5).double(), torch.randn(1, 1).double()
    graph = computation(network, Sample((x,), y, lambda p, y: ((p - y) ** 2 / 2).sum()))
    nodes = by_name(graph)
    W1, b1, W2, b2, W3, b3 = (parameter.detach() for parameter in network.parameters())
    h1 = W1 @ x[0] + b1
    h2 = W2 @ activation(h1) + b2
    p = W3 @ activation(h2) + b3
    e3 = p - y[0]  # the last layer is linear: g' = 1
    e2 = slope(h2) * (W3.T @ e3)
    e1 = slope(h1) * (W2.T @ e2)
    values = {"0": h1, "1": activation(h1), "2": h2, "1 #2": activation(h2), "4": p, "loss": e3**2 / 2}
    errors = {"input": W1.T @ e1, "0": e1, "1": W2.T @ e2, "2": e2, "1 #2": W3.T @ e3, "4": e3, "loss": torch.ones(1)}
    shared = {"1 #2": "3"}  # torch.fx names a module that is there twice by its first place
    for name, value in values.items():
        node = nodes[name if name in nodes else shared[name]]
        assert node["value"]["entries"] == pytest.approx(value.tolist(), abs=1e-10)
    for name, gradient in errors.items():
        node = nodes[name if name in nodes else shared[name]]
        assert node["gradient"]["entries"] == pytest.approx(gradient.double().tolist(), abs=1e-10)
        assert node["gradient"]["norm"] == pytest.approx(gradient.norm().item(), abs=1e-10)
    rows = {row["name"]: row for row in graph["parameters"]}
    for name, gradient in {"0.weight": e1[:, None] * x, "4.bias": e3, "0.bias": e1}.items():
        assert rows[name]["gradient"]["norm"] == pytest.approx(gradient.norm().item(), abs=1e-10)
    assert rows["0.weight"]["norm"] == pytest.approx(W1.norm().item(), abs=1e-12)
    assert [graph["nodes"][place]["name"] for place in rows["0.weight"]["nodes"]] == ["0"]
    assert graph["untraced"] == ""


class Residual(nn.Module):
    """Overwrites in place whatever it can."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv1(x), inplace=True)
        y = self.conv2(y)
        y += x
        return F.relu(y, inplace=True)


class Decides(Residual):
    """Looks at what the tensor holds, which torch.fx cannot follow."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum() < 1e9 else x


class Asks(Residual):
    """Asks what the tensor is: torch.fx follows the wrong way, with the same shapes."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if isinstance(x, Tensor) else self.conv1(x)


@pytest.mark.spec("O30", "I41")
@pytest.mark.parametrize("block", [Residual, Decides, Asks])
def test_values_overwritten_in_place_and_their_gradients_are_those_of_a_twin_that_keeps_all(
    block: type[Residual],
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(block(), nn.Flatten(), nn.Linear(32, 3)).double()
    x, y = torch.randn(1, 2, 4, 4).double(), torch.tensor([2])
    graph = computation(network, Sample((x,), y, F.cross_entropy))
    assert bool(graph["untraced"]) == (block is not Residual)
    assert "other outputs" in graph["untraced"] or block is not Asks
    first, x = network[0], x.clone().requires_grad_()
    kept = {"input": x, "0.conv1": first.conv1(x)}
    kept["0.relu"] = F.relu(kept["0.conv1"])
    kept["0.conv2"] = first.conv2(kept["0.relu"])
    kept["0.add"] = kept["0.conv2"] + x
    kept["0.relu #2"] = F.relu(kept["0.add"])
    kept["1"] = kept["0.relu #2"].flatten(1)
    kept["2"] = network[2](kept["1"])
    kept["loss"] = F.cross_entropy(kept["2"], y)
    for value in kept.values():
        value.retain_grad()
    kept["loss"].backward()
    nodes, functions = by_name(graph), {"0.relu", "0.add", "0.relu #2"}
    assert {*nodes} == {*kept, "target"} - (functions if graph["untraced"] else set())
    for name, node in nodes.items():
        if name == "target":
            continue
        value, gradient = kept[name], kept[name].grad
        assert node["value"]["shape"] == [*value.shape]
        found = [node["value"][key] for key in ("mean", "std", "least", "most")]
        true = [value.mean(), value.std(correction=0), value.min(), value.max()]
        assert found == pytest.approx([number.item() for number in true], abs=1e-12), name
        assert gradient is not None
        assert node["gradient"]["norm"] == pytest.approx(gradient.norm().item(), rel=1e-12), name
    edges = {(graph["nodes"][e["source"]]["name"], graph["nodes"][e["target"]]["name"]) for e in graph["edges"]}
    joins = {("0.conv2", "1"), ("input", "1")} if graph["untraced"] else {("0.conv2", "0.add"), ("input", "0.add")}
    assert joins < edges
    assert len(edges) == (7 if graph["untraced"] else 10)


@pytest.mark.parametrize(
    ("name", "spec", "options", "size"),
    [
        ("linear", VECTOR, {}, (5, 4)),  # input, scale, layer, target, loss
        ("mlp", VECTOR, {"hidden": (8,), "norm": "none", "dropout": 0.0}, (7, 6)),
        ("mlp", TABLE, {"hidden": (8,), "norm": "none", "dropout": 0.0}, (11, 10)),
        pytest.param("resnet20", IMAGE, {}, (77, 85), marks=pytest.mark.slow),  # nine blocks join two ways
        pytest.param("plain20", IMAGE, {}, (64, 63), marks=pytest.mark.slow),
        pytest.param("gpt", WORDS, {"width": 16, "heads": 2, "layers": 1}, None, marks=pytest.mark.slow),
    ],
    ids=["linear", "mlp", "mlp-table", "resnet20", "plain20", "gpt"],
)
@pytest.mark.spec("I41")
def test_a_graph_has_the_right_size_and_hooks_agree_with_it_on_every_layer(
    name: str, spec: DataSpec, options: dict[str, Any], size: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, sample = build(name, spec, **options).train(), sample_of(spec)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    graph = computation(network, sample)
    assert graph["untraced"] == ""
    if size is not None:
        assert (len(graph["nodes"]), len(graph["edges"])) == size
    assert sum(node["kind"] == "add" for node in graph["nodes"]) == {"resnet20": 9, "gpt": 2}.get(name, 0)

    def refuse(*_: object) -> None:
        raise TypeError("not today")

    monkeypatch.setattr("limpid.interpret.computation.TracedPass", refuse)
    heard = computation(network, sample)
    assert heard["untraced"].endswith("TypeError: not today")
    traced_nodes, heard_nodes = by_name(graph), by_name(heard)
    assert {*heard_nodes} <= {*traced_nodes}
    for layer, node in heard_nodes.items():
        assert {key: node[key] for key in ("value", "gradient", "kind", "parameters")} == {
            key: traced_nodes[layer][key] for key in ("value", "gradient", "kind", "parameters")
        }
    assert ways(heard, heard_nodes) == ways(graph, heard_nodes)
    assert heard["loss"] == graph["loss"]
    # Whoever looks at a network leaves it as it was.
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert computation(network, sample) == heard


def ways(graph: Graph, layers: dict[str, Graph]) -> dict[str, set[str]]:
    """From which layers each layer is reached, functions between them passed over."""
    nodes = graph["nodes"]

    def origins(place: int) -> set[str]:
        if nodes[place]["name"] in layers:
            return {nodes[place]["name"]}
        return set().union(*(origins(source) for source in nodes[place]["sources"]))

    return {
        node["name"]: set().union(*(origins(source) for source in node["sources"]))
        for node in nodes
        if node["name"] in layers
    }


@pytest.mark.parametrize("name", ["lstm", pytest.param("encoder", marks=pytest.mark.slow)])
def test_sequence_networks_which_look_at_lengths_are_heard(name: str) -> None:
    network, sample = build(name, TEXT), sample_of(TEXT)
    graph = computation(network, sample)
    assert "torch.fx cannot follow" in graph["untraced"]
    outputs = network.eval()(*sample.inputs)  # with autograd: torch's fused cells round differently without
    assert by_name(graph)["head"]["value"]["entries"] == outputs.flatten().double().tolist()
    assert graph["loss"] == F.cross_entropy(outputs, sample.target).item()
    assert all(row["gradient"] is not None and row["nodes"] for row in graph["parameters"])


class Formula(nn.Module):
    """No modules inside."""

    def __init__(self) -> None:
        super().__init__()
        self.weight_43 = nn.Parameter(torch.ones(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x @ self.weight_43) / 0


def test_a_network_of_formulas_alone_is_seen_from_inside_also_where_it_gives_no_numbers() -> None:
    graph = computation(Network(VECTOR, Formula()), sample_of(VECTOR))
    assert graph["untraced"] == ""
    kinds = [node["kind"] for node in graph["nodes"]]
    assert kinds == ["input", "InputScale", "matmul", "relu", "truediv", "target", "loss"]
    assert math.isnan(graph["loss"])
    assert graph["parameters"][0]["nodes"] == [2]


def test_what_learns_otherwise_says_so_and_shows_its_values() -> None:
    sample = sample_of(VECTOR)
    graph = computation(build("knn", VECTOR), sample)
    assert graph["remarks"] == [NO_GRADIENT]
    assert all(node["gradient"] is None for node in graph["nodes"])
    assert len(by_name(graph)["Neighbours"]["value"]["entries"]) == 3
    graph = computation(build("perceptron", VECTOR), Sample(**{**vars(sample), "descended": False}))
    assert graph["remarks"] == [OWN_RULE]


def test_values_without_numbers_or_that_are_not_finite_are_told_as_they_are() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat((x[:, :0], x / 0), dim=1)

    graph = computation(Odd(), Sample((torch.tensor([[1.0, -1.0]]),), torch.tensor([0]), F.cross_entropy))
    values = [node["value"] for node in graph["nodes"]]
    assert {"shape": [1, 0], "dtype": "float32"} in values
    assert [float("inf"), float("-inf")] in [value.get("entries") for value in values]
