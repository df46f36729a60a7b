"""Monitors measure what direct computation measures, at their own steps, and leave a run's bits as they are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import limpid
from limpid.record.run import Run
from limpid.training.listening import Listener, listening
from limpid.training.monitor_schedule import MonitorSchedule, plan_monitors
from limpid.training.monitors import Monitors
from limpid.training.row_geometry import cosine_and_rank


class Rows:
    """A recorder that keeps what it gets."""

    def __init__(self) -> None:
        self.by_name: dict[str, dict[str, Any]] = {}

    def add(self, kind: str, **fields: Any) -> None:
        assert kind == "monitor"
        self.by_name[fields["name"]] = fields["values"]


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3))


def always(step: int) -> MonitorSchedule:
    return MonitorSchedule(frozenset({step}), frozenset({step}), frozenset(), 0.0)


@pytest.mark.spec("H6")
def test_norms_and_activations_equal_direct_computation() -> None:
    model = net()
    with torch.no_grad():
        model[0].bias[:2] = -100.0  # two dead units
        model[2].weight.mul_(30.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = torch.randn(64, 6), torch.randint(0, 3, (64,))
    rows = Rows()
    monitors = Monitors(model, optimizer, F.cross_entropy, (x,), y, always(3), rows)
    monitors.before(2)
    assert not rows.by_name
    monitors.before(3)
    old = {name: p.detach().clone() for name, p in model.named_parameters()}
    F.cross_entropy(model(x), y).backward()
    gradients = {name: p.grad.norm().item() for name, p in model.named_parameters() if p.grad is not None}
    nn.utils.clip_grad_norm_(model.parameters(), 1e-3)  # gradients are taken down before it
    optimizer.step()
    values = rows.by_name
    for name, p in model.named_parameters():
        assert values["grad_norm"][name] == pytest.approx(gradients[name], rel=1e-5)
        assert values["weight_norm"][name] == pytest.approx(old[name].norm().item(), rel=1e-5, abs=1e-9)
        assert values["update_norm"][name] == pytest.approx((p.detach() - old[name]).norm().item(), rel=1e-4)

    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(old[name])
        answers = [x]
        for layer in model:
            answers.append(layer(answers[-1]))
    relu, tanh = values["activation"]["1"], values["activation"]["3"]
    assert relu["kind"] == "relu"
    assert relu["mean"] == pytest.approx(answers[2].mean().item(), rel=1e-5)
    assert relu["std"] == pytest.approx(answers[2].std(correction=0).item(), rel=1e-5)
    between = (answers[2] - answers[2].mean(dim=0)).square().mean().sqrt()
    assert relu["signal"] == pytest.approx(between.item(), rel=1e-5)
    assert relu["zero"] == pytest.approx((answers[2] == 0).float().mean().item(), rel=1e-5)
    assert relu["dead"] == (answers[2].amax(dim=0) <= 0).float().mean().item() >= 2 / 8
    slope = (1 - answers[4].square()).mean(dim=0)
    assert tanh["saturated"] == pytest.approx((slope < 0.1).float().mean().item())
    assert tanh["saturated"] > 0
    assert values["activation"]["4"]["largest"] == pytest.approx(answers[5].abs().max().item(), rel=1e-5)
    assert values["modes"]["train"] == values["modes"]["eval"]
    assert values["modes"]["eval"] == pytest.approx(F.cross_entropy(answers[5], y).item(), rel=1e-5)


def test_cosine_and_rank_equal_their_formulas() -> None:
    x, kinds = torch.randn(40, 7) * torch.tensor([5.0, 1, 1, 1, 0.1, 0.1, 0]) + 3, torch.randint(0, 3, (40,))
    cosine, rank = cosine_and_rank(x, kinds)
    eigenvalues = torch.linalg.eigvalsh(torch.cov(x.t()))
    assert rank.item() == pytest.approx((eigenvalues.sum() ** 2 / eigenvalues.square().sum()).item(), rel=1e-4)
    pairs = [F.cosine_similarity(x[i], x[j], dim=0) for i in range(40) for j in range(40) if kinds[i] != kinds[j]]
    assert cosine.item() == pytest.approx(torch.stack(pairs).mean().item(), rel=1e-4)
    assert math.isnan(cosine_and_rank(torch.ones(4, 3), torch.zeros(4, dtype=torch.int64))[0].item())


class Functional(nn.Module):
    """Activations as functions, one layer used twice, attention: what a user's own module may look like."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.inner, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x)).flatten(2).transpose(1, 2)
        x = torch.sigmoid(self.inner(F.relu(self.inner(x), inplace=True)))
        x = F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None], is_causal=True)[:, 0]
        return self.head(x.mean(dim=1))


def test_functions_are_heard_where_they_are_called() -> None:
    model = Functional()
    listener = Listener(model, 5)
    with torch.no_grad(), listening(model, listener):
        model(torch.randn(5, 1, 6, 6))
    heard = listener.read()
    assert list(heard) == ["input", "conv", "relu", "inner", "relu#2", "inner#2", "sigmoid", "attention", "head"]
    assert heard["conv"]["units"] == heard["relu"]["units"] == 4
    assert 0.5 < heard["attention"]["entropy"] <= 1  # sigmoids of small numbers are much alike
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("causal", [False, True])
def test_attention_entropy_is_a_share_of_what_may_be_seen(causal: bool) -> None:
    model = nn.Identity()
    listener = Listener(model, 2)
    query, same = torch.randn(2, 3, 8, 4), torch.ones(2, 3, 8, 4)
    with listening(model, listener):
        F.scaled_dot_product_attention(query, same, query, is_causal=causal)
        F.scaled_dot_product_attention(1e4 * query, query, query, is_causal=causal)
    even, narrow = listener.read().values()
    assert (even["entropy"], even["even"]) == (pytest.approx(1.0, abs=1e-5), 1.0)
    assert (narrow["entropy"], narrow["narrow"]) == (pytest.approx(0.0, abs=0.02), 1.0)


def test_the_price_of_monitors_is_kept() -> None:
    for num_steps, macs in ((300, 4e7), (4690, 5e5), (100_000, 4e7), (10, 1e9)):
        schedule = plan_monitors(
            num_steps=num_steps, num_epochs=10, batch_size=128, probe_rows=64, fixed_rows=1000, macs=int(macs)
        )
        free = 2 * 64 * macs * len(schedule.passes) < 4e9
        assert free or schedule.price <= 0.02 * num_steps
        assert schedule.passes <= schedule.norms
        assert len(schedule.norms) < 200
    assert max(schedule.norms, default=0) < num_steps


def run_once(folder: Path, **options: Any) -> Run:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    return limpid.train(
        (x, y), epochs=4, batch_size=16, out=str(folder), record__report=False, model__dropout=0.2, **options
    )


@pytest.mark.parametrize(
    "options",
    [
        {"model__norm": "batch", "optim__name": "sgd"},
        {"model__norm": "batch", "optim__name": "adamw", "optim__accumulate": 3, "optim__ema": 0.9},
        {"optim__name": "schedule_free_adamw", "optim__clip_norm": 0.1, "optim__lookahead": 0},
        {"optim__name": "lion", "optim__sam_rho": 0.05},
        {"model__freeze": "1", "model__norm": "batch"},
    ],
)
def test_a_measured_run_has_the_same_bits(tmp_path: Path, options: dict[str, Any]) -> None:
    digests = []
    for doctor in (True, False):
        run = run_once(tmp_path / str(doctor), record__doctor=doctor, **options)
        digests.append(run.events("end")[-1]["digest"])
        assert bool(run.events("monitor")) == doctor
    assert digests[0] == digests[1]
    measured = Run.open(tmp_path / "True")
    names = {row["name"] for row in measured.events("monitor")}
    assert {"grad_norm", "weight_norm", "update_norm", "activation", "modes"} <= names
    assert ("frozen_norm" in names) == ("model__freeze" in options)
    fixed = [row for row in measured.events("metric") if row["split"] == "train_fixed"]
    assert [row["epoch"] for row in fixed] == [1, 2, 3, 4]
    assert all(math.isfinite(row["loss"]) for row in fixed)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_a_whole_layer_is_heard(causal: bool) -> None:
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x, mask = torch.randn(3, 6, 8), nn.Transformer.generate_square_subsequent_mask(6) if causal else None
    listener = Listener(layer, 3)
    with torch.no_grad(), listening(layer, listener):
        _, weights = layer(x, x, x, attn_mask=mask, average_attn_weights=False)
    told = listener.read()["attention"]
    places = torch.arange(1, 7) if causal else torch.full((6,), 6)
    shares = -torch.xlogy(weights, weights).sum(dim=-1)[..., 1:] / places[1:].log()
    if not causal:
        shares = -torch.xlogy(weights, weights).sum(dim=-1) / places.log()
    assert told["entropy"] == pytest.approx(shares.mean().item(), rel=1e-4)
    assert told["units"] == 2
