"""The parts of a stack against their lone twins: layers, updates, figures; and who is not let in."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limpid.config import Config, ObjectiveConfig, OptimConfig
from limpid.config_reader import with_options
from limpid.models.network import Network
from limpid.models.registry import build_model
from limpid.objectives.objective import Objective
from limpid.objectives.registry import build_objective
from limpid.optim.optimizers import build_optimizer
from limpid.population.ground import Ground
from limpid.population.member import Member
from limpid.population.stack_figures import figures_of
from limpid.population.stack_network import Form, StackedNetwork
from limpid.population.stack_objective import StackedObjective
from limpid.population.stack_optimizer import Mover, StackedOptimizer
from limpid.population.stackable import stackable
from limpid.spec import DataSpec
from limpid.training.step import train_step

SPEC = DataSpec(
    name="toy", kind="vector", input_shape=(5,), task="classification", num_outputs=7, classes=tuple("abcdefg")
)
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}


class Rows:
    """A batch of one member."""

    def __init__(self, x: Tensor, target: Tensor) -> None:
        self.inputs, self.target = (x,), target


def network(seed: int, **options: Any) -> Network:
    hidden = options.pop("hidden", (6, 4))
    config = with_options(Config(), {"model__name": "mlp", "model__hidden": hidden, "model__norm": "none", **options})
    dropout = config.model.dropout or 0.0
    numbers = {"numbers": "plain", "dropout": dropout}
    return build_model(config.model.model_copy(update=numbers), SPEC, seed=seed)


def stacked(networks: list[Network], **options: bool) -> StackedNetwork:
    forms = [Form(one) for one in networks]
    stack = StackedNetwork(forms[0], len(forms), **options)
    for row, form in enumerate(forms):
        stack.take(row, form)
    stack.resize(forms, [torch.Generator().manual_seed(row) for row in range(len(forms))])
    return stack


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model__norm": "layer"},
        {"model__norm": "batch"},
        {"model__activation": "maxout"},
        {"model__activation": "leaky_relu(0.2)"},
        {"model__activation": "log_softmax"},
        {"model__dropout": 0.4},
    ],
    ids=str,
)
@pytest.mark.parametrize("training", [True, False])
def test_a_stack_computes_what_its_networks_compute(options: dict[str, Any], training: bool) -> None:
    alone = [network(seed, **options).train(training) for seed in range(3)]
    stack = stacked([network(seed, **options) for seed in range(3)]).train(training)
    x_MBF = torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(1))
    together = stack(x_MBF)
    for row, one in enumerate(alone):
        torch.manual_seed(row)
        torch.testing.assert_close(together[row], one(x_MBF[row]), **TOLERANCE)
    for row, one in enumerate(alone):  # running figures move alike
        for name, buffer in one.named_buffers():
            if name.endswith(("mean", "var")):
                torch.testing.assert_close(_own(stack, row, name), buffer, **TOLERANCE)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("hidden", [(6,), (6, 4)])
def test_gradients_by_hand_are_those_of_autograd(activation: str, dropout: float, hidden: tuple[int, ...]) -> None:
    options = {"hidden": hidden, "model__activation": activation, "model__dropout": dropout}
    members = [[network(seed, **options) for seed in range(3)] for _ in range(2)]
    found = []
    for by_hand, own in zip((True, False), members, strict=True):
        stack = stacked(own, by_hand=by_hand).train()
        generator = torch.Generator().manual_seed(1)
        stack.gradients_WP.fill_(torch.nan)  # whatever was there is overwritten
        stack(torch.randn(3, 8, 5, generator=generator))
        stack.backward(torch.randn(3, 8, 7, generator=generator))
        found.append(stack.gradients_WP)
    assert found[1].abs().max() > 0.1
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-6)


def test_gradients_of_batches_add_up() -> None:
    stack = stacked([network(seed) for seed in range(2)], by_hand=False).train()
    x_MBF = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(1))
    stack.backward(torch.ones_like(stack(x_MBF)))
    once = stack.gradients_WP.clone()
    stack.backward(torch.ones_like(stack(x_MBF)), add=True)
    torch.testing.assert_close(stack.gradients_WP, 2 * once)


def _own(stack: StackedNetwork, row: int, name: str) -> Tensor:
    """A running figure of a member, read from the stack."""
    norms = [i for i, layer in enumerate(stack.form.layers) if isinstance(layer, nn.BatchNorm1d)]
    own = [one for one in norms if name.startswith(f"body.{one}.")]
    place = 2 * norms.index(own[0]) if own else 0
    return stack.figures_W[place + name.endswith("var")][row] if own else torch.zeros(1)


OPTIMISERS: dict[str, list[dict[str, Any]]] = {
    "one rate": [{"name": "adamw", "lr": 0.01, "weight_decay": 0.1}] * 3,
    "many rates": [{"name": "adamw", "lr": lr, "weight_decay": 0.1 * lr} for lr in (0.3, 0.01, 1e-4)],
    "l2": [{"name": "adam", "lr": lr, "weight_decay": d} for lr, d in ((0.1, 0.0), (0.01, 0.1), (0.02, 0.5))],
    "decay of all": [{"name": "adamw", "lr": 0.05, "weight_decay": 0.5, "decay_all": True}] * 2,
    "momentum": [
        {"name": "sgd", "lr": lr, "weight_decay": 0.01, "options": {"momentum": m, "nesterov": m > 0.8}}
        for lr, m in ((0.5, 0.9), (0.1, 0.9), (0.1, 0.5), (0.2, 0.0))
    ],
    "families": [
        {"name": "sgd", "lr": 0.1, "weight_decay": 0.0},
        {"name": "adam", "lr": 0.1, "weight_decay": 0.0},
        {"name": "rmsprop", "lr": 0.01, "weight_decay": 0.1},
        {"name": "adam", "lr": 0.02, "weight_decay": 0.1},
    ],
}


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_updates_are_those_of_lone_optimisers(name: str, clip_norm: float | None) -> None:
    """Five steps of train_step on each network, and of the stack on all of them."""
    configs = [OptimConfig(schedule="constant", **settings) for settings in OPTIMISERS[name]]
    objective = build_objective(ObjectiveConfig(loss="cross_entropy", label_smoothing=0.1), SPEC)
    alone = [network(seed) for seed in range(len(configs))]
    optimisers = [build_optimizer(config, one) for config, one in zip(configs, alone, strict=True)]
    members = [network(seed) for seed in range(len(configs))]
    movers = [
        Mover(build_optimizer(config, one), lambda step: 0.5 + 0.1 * step, clip_norm)
        for config, one in zip(configs, members, strict=True)
    ]
    stack = stacked(members)
    optimiser, wanted = StackedOptimizer(stack), StackedObjective()
    optimiser.resize(movers)
    wanted.resize([objective] * len(configs), ["same"] * len(configs))
    generator = torch.Generator().manual_seed(0)
    for step in range(5):
        x_MBF = torch.randn(len(configs), 8, 5, generator=generator)
        y_MB = torch.randint(7, (len(configs), 8), generator=generator)
        losses_M, slopes_MBK = wanted.slopes(stack(x_MBF), y_MB.flatten())
        stack.backward(slopes_MBK)
        optimiser.step()
        for row, (one, lone) in enumerate(zip(alone, optimisers, strict=True)):
            for group in lone.param_groups:
                group["lr"] = configs[row].lr * (0.5 + 0.1 * step)
            loss = train_step(one, objective, lone, Rows(x_MBF[row], y_MB[row]), clip_norm=clip_norm)
            torch.testing.assert_close(losses_M[row], loss, **TOLERANCE)
    for one, member in zip(alone, members, strict=True):
        for p, q in zip(one.parameters(), member.parameters(), strict=True):
            torch.testing.assert_close(q, p, rtol=1e-4, atol=1e-5)


def objective_of(task: str, num_outputs: int, loss: str, **options: Any) -> Objective:
    spec = SPEC.model_copy(update={"task": task, "num_outputs": num_outputs})
    return build_objective(ObjectiveConfig(loss=loss, **options), spec)


CASES = {
    "seven classes": (objective_of("classification", 7, "cross_entropy"), (7,), torch.randint(7, (40,))),
    "two of three classes": (objective_of("classification", 3, "cross_entropy"), (3,), torch.arange(40) % 2),
    "margins": (objective_of("classification", 4, "hinge"), (4,), torch.arange(40) % 4),
    "yes or no": (objective_of("binary", 1, "bce"), (1,), torch.randint(2, (40, 1)).float()),
    "always yes": (objective_of("binary", 1, "bce"), (1,), torch.ones(40, 1)),
    "labels": (objective_of("multilabel", 3, "bce"), (3,), torch.randint(2, (40, 3)).float()),
    "numbers": (objective_of("regression", 2, "mse"), (2,), torch.randn(40, 2)),
    "a constant": (objective_of("regression", 1, "huber"), (1,), torch.ones(40, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_figures_are_those_of_each_member(name: str) -> None:
    objective, width, target = CASES[name]
    outputs_MNK = torch.randn(3, 40, *width, generator=torch.Generator().manual_seed(0)).round(decimals=1)  # with ties
    outputs_MNK[1] = outputs_MNK[1].abs() + torch.arange(width[0]) / 1000  # one that always says yes
    figures = figures_of(objective, outputs_MNK, target)
    whole = StackedObjective()
    whole.resize([objective] * 3, ["same"] * 3)
    kept_NMK = outputs_MNK.transpose(0, 1)
    for found, judged, outputs_NK in zip(figures, whole.metrics(kept_NMK, target)["members"], outputs_MNK, strict=True):
        expected = objective.metrics(outputs_NK, target)
        assert list(found) == list(expected)
        assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)
        assert judged["loss"] == pytest.approx(objective.kept_loss(outputs_NK, target).item(), rel=1e-5)


def test_objectives_that_differ_are_computed_apart() -> None:
    plain = objective_of("classification", 7, "cross_entropy")
    smooth = objective_of("classification", 7, "cross_entropy", label_smoothing=0.2)
    stack = StackedObjective()
    stack.resize([plain, smooth, plain], ["plain", "smooth", "plain"])
    outputs_MBK, y_MB = torch.randn(3, 6, 7), torch.randint(7, (3, 6))
    expected = [one.loss(z, y) for one, z, y in zip((plain, smooth, plain), outputs_MBK, y_MB, strict=True)]
    torch.testing.assert_close(stack.losses(outputs_MBK, y_MB.flatten()), torch.stack(expected))


SMOOTH = [objective_of("classification", 7, "cross_entropy", label_smoothing=s) for s in (0.0, 0.3, 0.1)]
SMOOTH_ANSWER = objective_of("binary", 1, "bce", label_smoothing=0.2)
SLOPED = {
    "classes": ([SMOOTH[0]] * 3, 7, torch.arange(24) % 7),
    "smoothed classes": (SMOOTH, 7, torch.arange(24) % 7),
    "margins": ([CASES["margins"][0]] * 3, 4, torch.arange(24) % 4),
    "yes or no": ([CASES["yes or no"][0]] * 3, 1, (torch.arange(24) % 2).float()[:, None]),
    "smoothed answers": ([SMOOTH_ANSWER] * 3, 1, (torch.arange(24) % 2).float()[:, None]),
    "numbers": ([CASES["numbers"][0]] * 3, 2, torch.randn(24, 2)),
}


@pytest.mark.parametrize("name", SLOPED)
def test_losses_and_their_slopes_are_those_of_autograd(name: str) -> None:
    objectives, width, target = SLOPED[name]
    stack = StackedObjective()
    stack.resize(objectives, [id(one) for one in objectives])
    outputs_MBK = 3 * torch.randn(3, 8, width, generator=torch.Generator().manual_seed(0))
    losses_M, slopes_MBK = stack.slopes(outputs_MBK, target)
    for row, objective in enumerate(objectives):
        z_BK = outputs_MBK[row].clone().requires_grad_()
        loss = objective.loss(z_BK, target[8 * row : 8 * row + 8])
        torch.testing.assert_close(losses_M[row], loss.detach())
        torch.testing.assert_close(slopes_MBK[row], torch.autograd.grad(loss, z_BK)[0])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"model__name": "mlp"}, ""),
        ({"model__name": "linear"}, ""),
        ({"model__name": "convnet"}, "Conv2d"),
        ({"model__name": "perceptron"}, "step of its own"),
        ({"model__name": "mlp", "augment__noise": 0.1}, "augmentation"),
        ({"model__name": "mlp", "optim__ema": 0.9}, "averaged weights"),
        ({"model__name": "mlp", "optim__sam_rho": 0.05}, "step of its own"),
        ({"model__name": "mlp", "optim__lookahead": 5}, "lookahead"),
        ({"model__name": "mlp", "training__steps": 5}, "training.steps"),
        ({"model__name": "mlp", "epochs": 0}, "no epochs"),
        ({"model__name": "mlp", "regularize__input_noise": 0.1}, "hook"),
        ({"model__name": "mlp", "model__activation": "prelu"}, "PReLU"),
        ({"model__name": "mlp", "model__freeze": "1"}, "do not learn"),
        ({"model__name": "mlp", "model__hidden": (3000, 100)}, "496,110 weights"),
        ({"model__name": "mlp", "model__dropout": 0.2, "model__dropout_form": "classic"}, "ClassicDropout"),
    ],
    ids=str,
)
def test_who_can_be_stacked(options: dict[str, Any], reason: str) -> None:
    ground = Ground()
    wiring = ground.wiring(
        Member(0, with_options(Config(), {"data__source": "digits", "training__threads": 1, **options}))
    )
    found = stackable(wiring)
    assert (reason in found) if reason else not found
