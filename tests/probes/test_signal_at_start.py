"""The signal report of the fresh network equals direct computation; twins are units that nothing will tell apart."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.probes import parameters, signal_at_start
from limpid.probes.subject import Subject
from limpid.training.listening import Listener, listening


def subject_of(network: nn.Module, *, classes: int = 3, features: int = 6) -> Subject:
    torch.manual_seed(1)
    x, y = torch.randn(64, features), torch.randint(0, classes, (64,))
    return Subject(network, F.cross_entropy, (x,), y)


@pytest.mark.spec("E1", "I16")
def test_figures_equal_direct_computation() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 5), nn.ReLU(inplace=True), nn.Linear(5, 3)
    )
    subject = subject_of(network)
    told = signal_at_start.measure(subject)
    assert told is not None
    answers = [subject.inputs[0]]
    for layer in network:
        if not isinstance(layer, nn.Dropout):
            answer = F.relu(answers[-1]) if isinstance(layer, nn.ReLU) else layer(answers[-1])
            answer.retain_grad()
            answers.append(answer)
    F.cross_entropy(answers[-1], subject.target).backward()
    for name, answer in zip(("0", "1", "3", "4", "5"), answers[1:], strict=True):
        place = told["layers"][name]
        assert place["std"] == pytest.approx(answer.std(correction=0).item(), rel=1e-4)
        assert answer.grad is not None
        assert place["gradient"] == pytest.approx(answer.grad.square().mean().sqrt().item(), rel=1e-4)
    assert told["layers"]["input"]["signal"] == pytest.approx(
        (answers[0] - answers[0].mean(dim=0)).square().mean().sqrt().item(), rel=1e-4
    )
    assert told["layers"]["0"]["twins"] == 0


@pytest.mark.spec("O27")
@pytest.mark.parametrize("size", [0.5, 1.0, 8.0])
def test_the_gradient_of_a_chain_of_sigmoids_is_the_product_of_slopes_and_weights(size: float) -> None:
    """dL/db_1 = s'(z_1) w_2 s'(z_2) w_3 s'(z_3) w_4 s'(z_4) dL/da_4, at most (1/4)^4 |w_2 w_3 w_4| |dL/da_4|."""
    torch.manual_seed(0)
    chain = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(1, 1), nn.Sigmoid())))
    with torch.no_grad():
        for p in chain.parameters():
            p.copy_(size * torch.randn_like(p))
    x = torch.randn(1, 1)
    listener = Listener(chain, 1, gradients=True)
    with listening(chain, listener):
        loss = (chain(x) - 2.0).square().sum()
    loss.backward()
    a, product = x.item(), 1.0
    weights, slopes = [], []
    for layer in chain[::2]:
        z = layer.weight.item() * a + layer.bias.item()
        a = 1 / (1 + math.exp(-z))
        weights.append(layer.weight.item())
        slopes.append(a * (1 - a))
    outer = 2 * (a - 2.0)
    product = math.prod(slopes) * math.prod(weights[1:]) * outer
    assert chain[0].bias.grad is not None
    assert chain[0].bias.grad.item() == pytest.approx(product, rel=1e-3)
    assert listener.read()["0"]["gradient"] == pytest.approx(abs(product), rel=1e-3)
    assert abs(product) <= 0.25**4 * abs(math.prod(weights[1:]) * outer)


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 3))


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_constant_weights_make_twins(value: float) -> None:
    network = mlp()
    for p in network.parameters():
        nn.init.constant_(p, value)
    told = signal_at_start.measure(subject_of(network))
    assert told is not None
    assert told["layers"]["0"]["twins"] == 1
    assert told["layers"]["2"]["twins"] == 1


def test_a_last_layer_of_zeros_makes_none() -> None:
    network = mlp()
    nn.init.zeros_(network[4].weight)
    nn.init.zeros_(network[4].bias)
    told = signal_at_start.measure(subject_of(network))
    assert told is not None
    assert [told["layers"][name]["twins"] for name in ("0", "2", "4")] == [0, 0, 0]


class Last(nn.Module):
    """A recurrent network that forgets: each step keeps a tenth."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.RNN(1, 8, batch_first=True), nn.Linear(8, 3)
        with torch.no_grad():
            nn.init.orthogonal_(self.cell.weight_hh_l0).mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


def test_the_gradient_is_followed_through_time() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(16, 40, 1), torch.randint(0, 3, (16,))
    told = signal_at_start.measure(Subject(Last(), F.cross_entropy, (x,), y))
    assert told is not None
    heard = told["layers"]["input"]
    assert heard["gradient_early"] < 1e-20 < heard["gradient_most"]


def test_parameters_are_told() -> None:
    network = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Embedding(4, 8), nn.Linear(8, 8))
    network[0].weight.requires_grad_(False)
    network[3].weight.requires_grad_(False).mul_(2.0)
    learning = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD([{"params": learning[:1], "lr": 0.1}, {"params": learning[1:-1], "lr": 0.01}])
    told = parameters.measure(Subject(network, F.cross_entropy, (), torch.zeros(1), optimizer=optimizer))
    assert [told[name]["kind"] for name in ("0.weight", "0.bias", "1.weight", "2.weight")] == [
        "weight",
        "bias",
        "scale",
        "embedding",
    ]
    assert told["0.weight"]["random"]
    assert not told["3.weight"]["random"]
    assert (told["0.bias"]["in_optimizer"], told["3.bias"]["in_optimizer"]) == (True, False)
    assert told["1.weight"]["rate"] == pytest.approx(0.1)
    assert told["2.weight"]["numel"] == 32
