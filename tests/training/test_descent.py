"""Gradient descent in its variants, the order of a training step, and when to stop: the ledger's claims on our loop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import limpid.training.loop as loop_module
from limpid.config import OptimConfig
from limpid.data.dataset import ResidentRows, Split
from limpid.data.loader import Loader
from limpid.optim import build_optimizer, build_schedule
from limpid.training.history import History, Silence
from limpid.training.loop import Parts, Plan, fit
from limpid.training.step import train_step

CPU = torch.device("cpu")
PLAIN = {"name": "sgd", "weight_decay": 0.0, "schedule": "constant", "warmup": 0.0, "momentum": 0.0}


class SquaredError:
    """Mean over the batch of half the squared error."""

    def keep(self, outputs: Tensor, target: Tensor) -> Tensor:
        return outputs

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        return 0.5 * nn.functional.mse_loss(outputs, target)

    def kept_loss(self, kept: Tensor, target: Tensor) -> Tensor:
        return self.loss(kept, target)

    def metrics(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        return {}


def regression(num_rows: int, num_features: int, *, noise: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_rows, num_features, generator=generator, dtype=torch.float64)
    w = torch.randn(num_features, 1, generator=generator, dtype=torch.float64)
    return x, x @ w + noise * torch.randn(num_rows, 1, generator=generator, dtype=torch.float64)


def parts_of(x: Tensor, y: Tensor, *, batch_size: int, epochs: int, **options: Any) -> tuple[Parts, Plan]:
    """A linear model without bias, from zero, on our loader, optimiser and schedule."""
    model = nn.Linear(x.shape[1], 1, bias=False).double()
    nn.init.zeros_(model.weight)
    split = Split(ResidentRows((x,)), y)
    train = Loader(split, batch_size=batch_size, seed=0, shuffle=True, device=CPU)
    config = OptimConfig(**{**PLAIN, **options})
    num_steps = train.num_batches * epochs
    parts = Parts(
        model=model,
        objective=SquaredError(),
        optimizer=build_optimizer(config, model),
        schedule=build_schedule(config, num_steps=num_steps, steps_per_epoch=train.num_batches),
        train=train,
        valid=None,
        average=None,
        name_of=split.name_of,
    )
    return parts, Plan(num_epochs=epochs, num_steps=num_steps, device=CPU, precision="float32")


def excess(parts: Parts, x: Tensor, y: Tensor) -> float:
    """Half the mean squared error of the whole set, beyond that of least squares."""
    best = torch.linalg.lstsq(x, y).solution
    with torch.no_grad():
        return SquaredError().loss(parts.model(x), y).item() - SquaredError().loss(x @ best, y).item()


@pytest.mark.spec("O2")
@pytest.mark.parametrize(
    ("share", "converges"),
    [
        pytest.param(0.5, True, marks=pytest.mark.slow),
        (0.99, True),
        (1.01, False),
        pytest.param(1.5, False, marks=pytest.mark.slow),
    ],
)
def test_descent_on_a_quadratic_converges_below_two_over_the_curvature(share: float, converges: bool) -> None:
    x, y = regression(64, 3, noise=0.0)
    curvature = torch.linalg.eigvalsh(x.T @ x / len(x)).max().item()
    parts, plan = parts_of(x, y, batch_size=64, epochs=1500, lr=share * 2 / curvature)
    began = excess(parts, x, y)
    try:
        fit(parts, plan, History(), Silence())
    except loop_module.NonFiniteLoss:
        assert not converges
        return
    ended = excess(parts, x, y)
    assert ended < 1e-6 * began if converges else ended > 1e3 * began


@pytest.mark.spec("O33", "J11")
def test_the_start_decides_which_minimum_is_found() -> None:
    """x^4 - 3 x^2 + x has its deeper minimum at -1.3 and another at 1.13; small steps find the one on their side."""
    found = []
    for start in (-1.5, 1.5):
        x = nn.Parameter(torch.tensor([start], dtype=torch.float64))
        optimizer = build_optimizer(OptimConfig(**PLAIN, lr=0.01), nn.ParameterList([x]), fused=False)
        for _ in range(2000):
            optimizer.zero_grad()
            (x**4 - 3 * x**2 + x).sum().backward()
            optimizer.step()
        assert (4 * x**3 - 6 * x + 1).abs().item() < 1e-9
        found.append(x.item())
    assert found == pytest.approx([-1.30084, 1.13090], abs=1e-4)
    deeper, shallower = (x**4 - 3 * x**2 + x for x in found)
    assert deeper < shallower - 2


@pytest.mark.spec("O3", "O5", "X31")
@pytest.mark.parametrize("batch_size", [1, 7, 30])
def test_batch_size_makes_it_stochastic_mini_batch_or_batch_descent(batch_size: int) -> None:
    """The three variants as the lectures write them, on the loader's order: w <- w - eta mean of the batch's grads."""
    x, y = regression(30, 4)
    parts, plan = parts_of(x, y, batch_size=batch_size, epochs=3, lr=0.05)
    w = torch.zeros(4, dtype=torch.float64)
    for epoch in range(3):
        for batch in parts.train.epoch(epoch):
            rows = batch.inputs[0]
            per_row = torch.stack([(row @ w - t) * row for row, t in zip(rows, batch.target[:, 0], strict=True)])
            w = w - 0.05 * per_row.mean(dim=0)
    position = fit(parts, plan, History(), Silence())
    torch.testing.assert_close(parts.model.weight[0].detach(), w, rtol=1e-12, atol=1e-14)
    assert position.step == 3 * math.ceil(30 / batch_size)
    if batch_size == 30:
        leaf = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        (0.5 * (x @ leaf - y[:, 0]).square().mean()).backward()
        one, plan = parts_of(x, y, batch_size=30, epochs=1, lr=0.05)
        fit(one, plan, History(), Silence())
        torch.testing.assert_close(one.model.weight[0].detach(), -0.05 * leaf.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.spec("O4")
@pytest.mark.parametrize("batch_size", [1, 7, 16])
def test_gradients_of_a_partition_add_up_to_the_batch_gradient(batch_size: int) -> None:
    x, y = regression(50, 6)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)).double()

    def gradient(rows: slice) -> Tensor:
        model.zero_grad()
        SquaredError().loss(model(x[rows]), y[rows]).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters()])

    whole = gradient(slice(None))
    pieces = [slice(i, min(i + batch_size, 50)) for i in range(0, 50, batch_size)]
    total = torch.stack([gradient(rows) * (rows.stop - rows.start) / 50 for rows in pieces]).sum(dim=0)
    torch.testing.assert_close(total, whole, rtol=1e-12, atol=1e-15)


@pytest.mark.spec("O6", "J12")
def test_mini_batches_learn_faster_per_epoch() -> None:
    x, y = regression(600, 20)
    losses = {}
    for batch_size, lr in ((600, 0.1), (50, 0.1), (1, 0.01)):
        parts, plan = parts_of(x, y, batch_size=batch_size, epochs=3, lr=lr)
        fit(parts, plan, History(), Silence())
        with torch.no_grad():
            losses[batch_size] = SquaredError().loss(parts.model(x), y).item()
    assert losses[50] <= 0.01 * losses[600]
    assert losses[1] <= 0.01 * losses[600]


@pytest.mark.spec("O6", "J13")
def test_mini_batch_gradients_are_unbiased_and_noisy_in_inverse_proportion_to_their_size() -> None:
    x, y = regression(2000, 20, seed=3)
    per_row = -y * x  # gradients at w = 0
    full = per_row.mean(dim=0)
    generator = torch.Generator().manual_seed(1)
    spread = {}
    for size in (1, 10, 100):
        drawn = torch.randint(len(x), (2000, size), generator=generator)
        gradients = per_row[drawn].mean(dim=1)
        variance = gradients.var(dim=0)
        spread[size] = variance.sum().item() * size
        error = (gradients.mean(dim=0) - full) / (variance / 2000).sqrt()
        assert error.square().mean().item() < 2.5, "the mean is the full gradient, within its noise"
    for size in (10, 100):
        assert spread[size] == pytest.approx(spread[1], rel=0.1)


@pytest.mark.spec("O36")
@pytest.mark.parametrize(
    ("name", "batch_size", "lr", "schedule"),
    [
        ("sgd", 400, 0.3, "constant"),
        ("sgd", 20, 0.1, "cosine"),
        ("adam", 20, 0.05, "cosine"),
        ("rmsprop", 20, 0.05, "cosine"),
    ],
    ids=["descent", "stochastic", "adam", "rmsprop"],
)
def test_every_way_to_a_linear_model_ends_at_the_explicit_solution(
    name: str, batch_size: int, lr: float, schedule: str
) -> None:
    x, y = regression(400, 8)
    parts, plan = parts_of(x, y, batch_size=batch_size, epochs=60, lr=lr, name=name, schedule=schedule)
    fit(parts, plan, History(), Silence())
    assert excess(parts, x, y) < 1e-4


@pytest.mark.spec("H9")
def test_a_training_step_calls_its_parts_in_the_order_of_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """data, forward, loss, backward, clip, optimiser, schedule; after the epoch validation and early stopping."""
    calls: list[str] = []
    x, y = regression(8, 3)
    parts, plan = parts_of(x, y, batch_size=4, epochs=2, lr=0.1)

    class Recorded(SquaredError):
        def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
            if outputs.requires_grad:
                calls.append("loss")
                outputs.register_hook(lambda gradient: calls.append("backward"))
            return super().loss(outputs, target)

        def metrics(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
            calls.append("validate")
            return {}

    class Batches:
        num_batches = parts.train.num_batches

        def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
            for batch in parts.train.epoch(epoch, start):
                calls.append("data")
                yield batch

    def schedule(step: int) -> float:
        calls.append(f"schedule {step}")
        return 1.0

    clip = nn.utils.clip_grad_norm_
    monkeypatch.setattr(nn.utils, "clip_grad_norm_", lambda *given: (calls.append("clip"), clip(*given))[1])
    observe = loop_module.EarlyStopping.observe

    def watched(self: Any, *given: Any, **named: Any) -> bool:
        calls.append("early stop")
        return observe(self, *given, **named)

    monkeypatch.setattr(loop_module.EarlyStopping, "observe", watched)
    parts.model.register_forward_hook(lambda model, *_: calls.append("forward") if model.training else None)
    parts.optimizer.register_step_post_hook(lambda *_: calls.append("optimizer"))
    recorded = replace(parts, objective=Recorded(), train=Batches(), schedule=schedule, valid=parts.train)
    # Rows of single steps ask the schedule again for the record; none is kept here but each epoch's first.
    fit(recorded, replace(plan, clip_norm=1.0, log_every=100), History(), Silence())

    def step(number: int) -> list[str]:
        return ["data", f"schedule {number}", "forward", "loss", "backward", "clip", "optimizer"]

    def epoch(first: int) -> list[str]:
        return [*step(first), *step(first + 1), "validate", f"schedule {first}", "early stop"]

    # The rate for step k + 1 is set after the optimiser's step k: the schedule follows the optimiser.
    assert calls == [*epoch(0), *epoch(2)]


def noisy_classes(num_rows: int, seed: int, *, noise: float) -> Split:
    """Rows of three classes with a share of wrong labels."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_rows, 20, generator=generator)
    y = (x[:, :3] + 0.3 * x[:, 3:6]).argmax(dim=1)
    wrong = torch.rand(num_rows, generator=generator) < noise
    y = torch.where(wrong, torch.randint(3, (num_rows,), generator=generator), y)
    return Split(ResidentRows((x,)), y)


class Accuracy:
    """Cross-entropy, with accuracy as its metric."""

    def keep(self, outputs: Tensor, target: Tensor) -> Tensor:
        return outputs

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs, target)

    def kept_loss(self, kept: Tensor, target: Tensor) -> Tensor:
        return self.loss(kept, target)

    def metrics(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        return {"accuracy": (outputs.argmax(1) == target).double().mean().item()}


@pytest.mark.spec("O35", "J39")
def test_early_stopping_ends_while_gradients_are_large_and_its_copy_wins() -> None:
    train, valid = noisy_classes(300, 0, noise=0.2), noisy_classes(300, 1, noise=0.2)
    fresh = noisy_classes(3000, 2, noise=0.0)

    def run(patience: int, *, restore_best: bool) -> tuple[nn.Module, History, int]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3))
        parts = Parts(
            model=model,
            objective=Accuracy(),
            optimizer=torch.optim.Adam(model.parameters(), lr=3e-3),
            schedule=lambda step: 1.0,
            train=Loader(train, batch_size=30, seed=0, shuffle=True, device=CPU),
            valid=Loader(valid, batch_size=300, seed=0, shuffle=False, device=CPU),
            average=None,
            name_of=train.name_of,
        )
        plan = Plan(num_epochs=150, num_steps=10**9, device=CPU, precision="float32")
        history = History()
        plan = replace(plan, patience=patience, restore_best=restore_best)
        position = fit(parts, plan, history, Silence())
        return model, history, position.epoch

    def gradient_norm(model: nn.Module) -> float:
        model.zero_grad()
        Accuracy().loss(model(train.rows.tensors[0]), train.target).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item()

    def accuracy(model: nn.Module) -> float:
        with torch.no_grad():
            return Accuracy().metrics(model(fresh.rows.tensors[0]), fresh.target)["accuracy"]

    stopped, _, epochs = run(5, restore_best=True)
    last, history, _ = run(0, restore_best=False)
    at_stop, _, _ = run(5, restore_best=False)
    curves = {split: [row["loss"] for row in history.epochs if row["split"] == split] for split in ("train", "valid")}
    lowest = curves["valid"].index(min(curves["valid"]))
    assert lowest < 30, "validation turns long before the end"
    assert epochs < 60
    assert curves["valid"][-1] > 1.2 * curves["valid"][lowest]
    assert curves["train"][-1] < 0.5 * curves["train"][lowest]
    assert accuracy(stopped) >= accuracy(last)
    assert gradient_norm(at_stop) > 10 * gradient_norm(last)


@pytest.mark.parametrize("update", [True, False])
def test_the_penalty_joins_after_clipping_once_for_each_update(update: bool) -> None:
    from limpid.config import RegularizeConfig
    from limpid.optim.regularizers import attach_regularizers

    x, y = regression(8, 3)
    parts, _ = parts_of(x, y, batch_size=8, epochs=1, lr=0.1)
    with torch.no_grad():
        parts.model.weight.fill_(2.0)
    attach_regularizers(RegularizeConfig(l2=10.0), parts.model, parts.optimizer)
    batch = next(iter(parts.train.epoch(0)))
    before = parts.model.weight.detach().clone()
    train_step(parts.model, parts.objective, parts.optimizer, batch, clip_norm=1e-9, update=update)
    expected = before - 0.1 * 10.0 * before if update else before
    torch.testing.assert_close(parts.model.weight.detach(), expected, rtol=1e-6, atol=1e-8)
