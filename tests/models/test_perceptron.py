"""The perceptron rule, its golden sequences, its bound, and the 1958 demonstration (A2, A3, A4, X28)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from limpid.config import ModelConfig, ObjectiveConfig
from limpid.data.picture_sets import make_squares
from limpid.models.perceptron import Perceptron, most_corrections, perceptron_step
from limpid.models.registry import build_model
from limpid.objectives.registry import build_objective
from limpid.optim.still import Still
from limpid.spec import DataSpec

CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def unit(num_features: int = 2, num_outputs: int = 1, task: str = "binary") -> Perceptron:
    spec = DataSpec(
        name="rows",
        kind="vector",
        task=task,
        input_shape=(num_features,),
        num_outputs=num_outputs,  # type: ignore[arg-type]
    )
    return Perceptron(nn.Identity(), num_features, spec)


def show_until_quiet(perceptron: Perceptron, x: torch.Tensor, target: torch.Tensor, *, most: int = 200) -> int:
    """Epochs until one passes without a correction, that one included; `most` if there is none."""
    for epoch in range(1, most + 1):
        if perceptron.learn(x, target, 1.0) == 0:
            return epoch
    return most


@pytest.mark.spec("A2")
@pytest.mark.parametrize(
    ("truth", "weights", "bias", "updates", "epochs"),
    [
        ([0, 0, 0, 1], [2, 1], -2, 10, 6),
        ([0, 1, 1, 1], [1, 1], 0, 4, 4),
        ([1, 1, 1, 0], [-2, -1], 3, 11, 6),
    ],
    ids=["AND", "OR", "NAND"],
)
def test_golden_sequences(truth: list[int], weights: list[int], bias: int, updates: int, epochs: int) -> None:
    perceptron = unit()
    assert show_until_quiet(perceptron, CORNERS, torch.tensor(truth).float()[:, None]) == epochs
    assert perceptron.weight.tolist() == [weights]
    assert perceptron.bias.item() == bias
    assert perceptron.updates.item() == updates


@pytest.mark.spec("A2", "X28")
def test_exclusive_or_never_stops() -> None:
    perceptron = unit()
    assert show_until_quiet(perceptron, CORNERS, torch.tensor([[0.0], [1.0], [1.0], [0.0]]), most=500) == 500
    # The states of four weights repeat: it cycles for ever, which no further epoch can change.
    states = []
    for _ in range(10):
        perceptron.learn(CORNERS, torch.tensor([[0.0], [1.0], [1.0], [0.0]]), 1.0)
        states.append((*perceptron.weight.flatten().tolist(), perceptron.bias.item()))
    assert len(set(states)) < len(states)


@pytest.mark.spec("A2")
def test_equals_the_rule_written_out_for_several_units() -> None:
    generator = torch.Generator().manual_seed(0)
    x_BF, label_B = torch.randn(60, 5, generator=generator), torch.randint(0, 3, (60,), generator=generator)
    perceptron = unit(5, 3, "classification")
    made = perceptron.learn(x_BF, label_B, 0.5)
    w, b, counted = np.zeros((3, 5), np.float32), np.zeros(3, np.float32), 0
    for x, label in zip(x_BF.numpy(), label_B.tolist(), strict=True):
        for k in range(3):
            error = (label == k) - int(sum(w[k, i] * x[i] for i in range(5)) + b[k] > 0)
            w[k] += np.float32(0.5 * error) * x
            b[k] += np.float32(0.5 * error)
            counted += error != 0
    np.testing.assert_allclose(perceptron.weight.detach().numpy(), w, atol=1e-5)
    np.testing.assert_allclose(perceptron.bias.detach().numpy(), b, atol=1e-5)
    assert made == counted == perceptron.updates.item()


def test_in_batches_or_at_once_and_with_any_alpha_the_decisions_are_the_same() -> None:
    x_BF = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
    target = (x_BF.sum(1) > 0.3).float()[:, None]
    whole, parts, slow = unit(3), unit(3), unit(3)
    whole.learn(x_BF, target, 1.0)
    for rows in range(0, 40, 7):
        parts.learn(x_BF[rows : rows + 7], target[rows : rows + 7], 1.0)
    slow.learn(x_BF, target, 0.125)
    assert torch.equal(whole.weight, parts.weight)
    torch.testing.assert_close(whole.weight, 8 * slow.weight)


@pytest.mark.spec("A2")
def test_corrections_stay_below_the_bound() -> None:
    generator = torch.Generator().manual_seed(3)
    x_BF = torch.rand(300, 2, generator=generator) * 2 - 1
    direction = torch.tensor([1.0, -2.0])
    x_BF = x_BF[((x_BF @ direction) - 0.2).abs() > 0.2]
    positive_B = x_BF @ direction > 0.2
    bound = most_corrections(x_BF, positive_B, direction, -0.2)
    perceptron = unit()
    show_until_quiet(perceptron, x_BF, positive_B.float()[:, None], most=5000)
    assert 0 < perceptron.updates.item() <= bound < 1000
    assert ((perceptron(x_BF)[:, 0] > 0) == positive_B).all()
    assert most_corrections(x_BF, ~positive_B, direction, -0.2) == math.inf


@pytest.mark.spec("A4")
def test_a_neuron_is_a_linear_layer_and_its_activation() -> None:
    spec = DataSpec(name="rows", kind="vector", task="binary", input_shape=(6,), num_outputs=1)
    network = build_model(ModelConfig(name="neuron"), spec, seed=0)
    x_BF = torch.randn(9, 6)
    layer = network.body
    assert isinstance(layer, nn.Linear)
    assert torch.equal(network(x_BF), nn.functional.linear(x_BF, layer.weight, layer.bias))
    by_hand = torch.stack([sum((layer.weight[0, i] * x_F[i] for i in range(6)), layer.bias[0]) for x_F in x_BF])
    torch.testing.assert_close(network(x_BF).sigmoid()[:, 0], 1 / (1 + (-by_hand).exp()))


@pytest.mark.spec("A3", "F17")
@pytest.mark.parametrize("squares", [False, True], ids=["20 pixels", "three squares"])
def test_left_or_right_is_learned_in_some_fifty_trials(squares: bool) -> None:
    after = {50: [], 100: []}
    for seed in range(10):
        random = np.random.default_rng(seed)
        cards, side_N = make_squares(100, random, squares=squares)
        fresh, fresh_side_N = make_squares(1000, random, squares=squares)
        perceptron = unit(400)
        for trial in range(100):
            card = torch.from_numpy(cards[trial : trial + 1].reshape(1, -1)).float() / 255
            perceptron.learn(card, torch.tensor([[float(side_N[trial])]]), 1.0)
            if trial + 1 in after:
                decision = perceptron(torch.from_numpy(fresh.reshape(1000, -1)).float() / 255)[:, 0] > 0
                after[trial + 1].append((decision.numpy() == fresh_side_N).mean())
    assert np.mean(after[50]) >= 0.97
    assert np.mean(after[100]) >= 0.99


def test_the_step_corrects_and_returns_the_loss() -> None:
    spec = DataSpec(name="rows", kind="vector", task="binary", input_shape=(2,), num_outputs=1)
    network = build_model(ModelConfig(name="perceptron"), spec, seed=0)
    optimizer = Still(network.parameters(), lr=1.0)
    objective = build_objective(ObjectiveConfig(), spec)

    class Corners:
        inputs = (CORNERS,)
        target = torch.tensor([[0.0], [0.0], [0.0], [1.0]])

    for _ in range(6):
        loss = perceptron_step(network, objective, optimizer, Corners(), guard=True, update=True)
    assert not loss.requires_grad
    assert network.body.updates.item() == 10  # type: ignore[union-attr]
    assert torch.equal(network(CORNERS)[:, 0] > 0, torch.tensor([False, False, False, True]))
