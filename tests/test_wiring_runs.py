"""Runs with one fault in the wiring each, as a user would start them: it is named in the terminal, and comes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import limpid
from limpid.record.run import Run

Build = Callable[[], nn.Module]


class Listener:
    """An observer that keeps the findings which the terminal would show."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def wired(self, wiring: Any, run: Any) -> None: ...
    def step(self, step: int, loss: float) -> None: ...
    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None: ...
    def close(self) -> None: ...

    def finding(self, finding: Any) -> None:
        if finding.level != "note":
            self.told.append(finding.code)


def mlp(*end: nn.Module) -> nn.Sequential:
    hidden = (nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
    return nn.Sequential(*hidden, nn.Linear(32, 4), *end)


def frozen() -> nn.Module:
    network = mlp()
    network[2].requires_grad_(False)
    return network


def dead() -> nn.Module:
    network = mlp()
    nn.init.constant_(network[0].bias, -10)
    return network


def trained(tmp_path: Path, build: Build, seed: int, **options: Any) -> tuple[list[str], Run]:
    """Codes told while training, and the run."""
    generator = torch.Generator().manual_seed(0)
    x, w = torch.randn(1200, 8, generator=generator), torch.randn(8, 4, generator=generator)
    y = (x @ w + 0.1 * torch.randn(1200, 4, generator=generator)).argmax(dim=1)
    torch.manual_seed(seed)
    listener = Listener()
    settings: dict[str, Any] = {"epochs": 20, "training__threads": 1, "record__report": False, "training__seed": seed}
    settings |= {"optim__name": "adam", "optim__lr": 0.003, "out": str(tmp_path / "run")} | options
    run = limpid.train(x.numpy(), y=y.numpy(), model=build(), observer=listener, **settings)
    return listener.told, run


def examined(tmp_path: Path, build: Build, seed: int, **options: Any) -> tuple[list[str], list[str]]:
    """Codes told while training, and of the diagnosis afterwards without what follows from others."""
    told, run = trained(tmp_path, build, seed, **options)
    found = limpid.diagnose(run).findings
    return told, [f.code for f in found if f.level != "note" and not f.because]


FAULTS: list[tuple[str, Build, dict[str, Any]]] = [
    ("B03", lambda: mlp(nn.Softmax(1)), {}),
    ("B09", frozen, {}),
    ("S05", dead, {}),
    ("O01", mlp, {"optim__lr": 0.3}),
]


@pytest.mark.parametrize(("expected", "build", "options"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_is_told_and_comes_first(tmp_path: Path, expected: str, build: Build, options: dict[str, Any]) -> None:
    told, found = examined(tmp_path, build, 0, **options)
    assert expected in told
    assert found[:1] == [expected]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize(("expected", "build", "options"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_is_found_with_other_seeds(
    tmp_path: Path, expected: str, build: Build, options: dict[str, Any], seed: int
) -> None:
    told, found = examined(tmp_path, build, seed, **options)
    assert expected in told
    assert found[:1] == [expected]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
@pytest.mark.parametrize("options", [{}, {"optim__name": "sgd", "optim__lr": 0.05}, {"optim__name": "adamw"}])
def test_a_healthy_run_has_no_fault_in_its_wiring(tmp_path: Path, options: dict[str, Any], seed: int) -> None:
    told, _ = trained(tmp_path, mlp, seed, **options)
    assert [code for code in told if code[0] == "B"] == []


def test_what_is_frozen_by_request_is_no_fault(tmp_path: Path) -> None:
    told, _ = trained(tmp_path, mlp, 0, model__freeze="1")
    assert [code for code in told if code[0] == "B"] == []
