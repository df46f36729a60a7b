"""The doctor inside a Lightning module, attached in one line where the optimiser is made."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import limpid

lightning = pytest.importorskip("lightning")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def mlp(*end: nn.Module) -> nn.Sequential:
    hidden = (nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
    return nn.Sequential(*hidden, nn.Linear(32, 4), *end)


def dead() -> nn.Sequential:
    network = mlp()
    nn.init.constant_(network[0].bias, -10)
    return network


def first_and_last(network: Any) -> Iterable[Tensor]:
    return [*network[0].parameters(), *network[4].parameters()]


class Learner(lightning.LightningModule):  # type: ignore[misc, name-defined]
    def __init__(self, network: nn.Module, chosen: Callable[[Any], Iterable[Tensor]] | None, attended: bool) -> None:
        super().__init__()
        self.network, self.criterion = network, nn.CrossEntropyLoss()
        self.chosen, self.attended = chosen, attended

    def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
        x, y = batch
        return self.criterion(self.network(x), y)

    def validation_step(self, batch: tuple[Tensor, Tensor], number: int) -> None:
        x, y = batch
        self.log("valid", self.criterion(self.network(x), y))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        parameters = self.parameters() if self.chosen is None else self.chosen(self.network)
        optimizer = torch.optim.Adam(parameters, lr=3e-3)
        if self.attended:
            self.doctor = limpid.Doctor(self, optimizer, loss=self.criterion, quiet=True)
        return optimizer


def fit(build: Callable[[], nn.Module], chosen: Any = None, *, attended: bool = True) -> Learner:
    generator = torch.Generator().manual_seed(0)
    x, w = torch.randn(400, 8, generator=generator), torch.randn(8, 4, generator=generator)
    y = (x @ w).argmax(dim=1)
    torch.manual_seed(0)
    learner = Learner(build(), chosen, attended)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_epochs=8, accelerator="cpu", enable_model_summary=False, **quiet)
    training = DataLoader(TensorDataset(x[:320], y[:320]), 32, shuffle=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(learner, training, DataLoader(TensorDataset(x[320:], y[320:]), 40))
    return learner


@pytest.mark.parametrize(
    ("build", "chosen", "expected"),
    [
        (mlp, None, []),
        (lambda: mlp(nn.Softmax(1)), None, ["B03"]),
        (mlp, first_and_last, ["B09"]),
        (dead, None, ["S05"]),
    ],
)
def test_it_finds_what_is_wrong(build: Callable[[], nn.Module], chosen: Any, expected: list[str]) -> None:
    doctor = fit(build, chosen).doctor
    doctor.close()
    assert [finding.code for finding in doctor.findings if finding.level != "note"][:1] == expected


def test_the_bits_are_the_same_with_and_without_it() -> None:
    plain, watched = (fit(mlp, attended=attended).state_dict() for attended in (False, True))
    assert all(torch.equal(plain[name], watched[name]) for name in plain)
