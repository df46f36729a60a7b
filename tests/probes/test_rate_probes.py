"""The race of rates, the fork, the noise of the gradient and the curvature, against what is known of small cases."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import limpid
from limpid.config_reader import with_options
from limpid.doctor.diagnosis import judge
from limpid.doctor.evidence import Evidence
from limpid.models.lstm import LSTM
from limpid.practice.examination import subject_of
from limpid.probes import curvature, noise_scale, rate_fork, rate_race
from limpid.probes.subject import Subject
from limpid.wiring import Wiring, wire


def wiring_of(**options: Any) -> Wiring:
    config = with_options(limpid.Config(), {"training__threads": 1, **options})
    dataset = limpid.load_data("moons", size=300, noise=0.2)
    return wire(config, dataset)


def race_at(monkeypatch: pytest.MonkeyPatch, factor: float) -> dict[str, Any]:
    monkeypatch.setattr(rate_race, "STEPS", (40,))
    monkeypatch.setattr(rate_race, "SEEDS", 2)
    monkeypatch.setattr(rate_race, "SECONDS", 1e9)
    subject = subject_of(wiring_of(optimizer="adamw", lr=3e-3 * factor, epochs=40))
    with subject.untouched():
        values = rate_race.measure(subject)
    assert values is not None
    json.dumps(values, allow_nan=False)
    return values


@pytest.mark.parametrize(("factor", "low", "high"), [(1e-3, 30, 1e6), (1.0, 0.3, 100), (1e3, 0, 0.1)])
def test_the_race_finds_its_way_to_a_good_rate(
    monkeypatch: pytest.MonkeyPatch, factor: float, low: float, high: float
) -> None:
    values = race_at(monkeypatch, factor)
    assert low <= values["best"] <= high
    assert len(values["losses"]) == len(values["factors"])


def test_the_race_leaves_the_run_alone_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert race_at(monkeypatch, 1.0) == race_at(monkeypatch, 1.0)


@pytest.mark.parametrize(("factor", "code"), [(1e-3, "O02"), (1.0, None), (1e3, "O01")])
def test_the_rate_is_named_before_training(monkeypatch: pytest.MonkeyPatch, factor: float, code: str | None) -> None:
    row = {"kind": "probe", "name": "rate_race", "values": race_at(monkeypatch, factor)}
    findings = judge(Evidence({}, [row])).findings
    assert [f.code for f in findings] == ([code] if code else [])
    assert all(f.sure == "confirmed" for f in findings)


def test_the_fork_is_of_runs_that_kept_their_rate() -> None:
    assert rate_fork.measure(subject_of(wiring_of(schedule="one_cycle"))) is None
    values = rate_fork.measure(subject_of(wiring_of(schedule="constant", epochs=2)))
    assert values is not None
    assert values["factors"] == [0.1, 1.0]
    assert all(isinstance(loss, float) for tried in values["valid"] for loss in tried)


def test_noise_scale_is_that_of_known_gradients() -> None:
    """Loss (w - x)^2 / 2: the gradient of a sample is w - x, so that B_simple = var(x) / (w - mean x)^2."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4096, 1, generator=generator)

    class Distance(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor([2.0]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.w - x

    subject = Subject(Distance(), lambda out, _: out.square().mean() / 2, (x,), x)
    values = noise_scale.measure(subject)
    assert values is not None
    assert values["noise_scale"] == pytest.approx(float(x.var() / (2 - x.mean()) ** 2), rel=0.5)
    assert values["squared_gradient"] == pytest.approx(4, rel=0.1)


def test_curvature_is_the_largest_eigenvalue() -> None:
    """Least squares of a linear layer without bias: H = 2 X'X / N."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(64, 5, generator=generator), torch.randn(64, 1, generator=generator)
    network = nn.Linear(5, 1, bias=False)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.5)
    values = curvature.measure(Subject(network, nn.functional.mse_loss, (x,), y, optimizer=optimizer))
    assert values is not None
    truth = np.linalg.eigvalsh((2 * x.T @ x / 64).numpy()).max()
    assert values["lambda_max"] == pytest.approx(truth, rel=0.05)
    assert values["product"] == pytest.approx(0.1 * truth / 3, rel=0.05)


def test_a_piecewise_linear_loss_has_no_curvature() -> None:
    network = nn.Linear(3, 1)
    x, y = torch.randn(64, 3), torch.randn(64, 1)
    values = curvature.measure(Subject(network, nn.functional.l1_loss, (x,), y))
    assert values is None or values["lambda_max"] == pytest.approx(0)


class Recurrent(nn.Module):
    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(4, 1)

    def forward(self, x_BTI: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(x_BTI.transpose(0, 1))[0][-1])


def test_what_can_be_differentiated_once_has_no_curvature_that_could_be_told() -> None:
    """A cell of our own would leave its share of H out in silence; embedding_bag says that it has none."""
    x, y = torch.randn(16, 5, 3), torch.randn(16, 1)
    for cell, known in ((nn.LSTM(3, 4), True), (LSTM(3, 4), False)):
        values = curvature.measure(Subject(Recurrent(cell), nn.functional.mse_loss, (x,), y))
        assert (values is not None) == known
    bag = nn.Sequential(nn.EmbeddingBag(10, 4), nn.Linear(4, 1))
    tokens = torch.randint(10, (16, 5))
    assert curvature.measure(Subject(bag, nn.functional.mse_loss, (tokens,), y)) is None
