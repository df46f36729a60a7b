"""Training loops of the user's own, with and without a fault, watched by the one-line doctor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clinic import faulty_modules as faulty
from clinic.condition import Build, Case
from clinic.fixtures import digits


@dataclass(frozen=True)
class Loop:
    """A loop as people write it, and what may be wrong with it.

    Attributes:
        data: (seed) -> inputs and targets.
        model: makes the network.
        loss: of outputs and targets.
        optimizer: (model) -> optimiser.
        epochs, batch_size: how long and how large.
        forget: zero_grad is never called (B11).
        every: batches whose gradients are added up before a step.
        shuffle: whether the order changes (B15).
        validate: "eval" as it should be, "train" with eval() forgotten, "never back" without train() afterwards (B07).
    """

    data: Callable[[int], tuple[Tensor, Tensor]]
    model: Callable[[], nn.Module]
    loss: Callable[..., Tensor]
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    epochs: int = 12
    batch_size: int = 64
    forget: bool = False
    every: int = 1
    shuffle: bool = True
    validate: str = "eval"

    def build(self, seed: int, folder: Path) -> Case:
        """The case of a seed."""
        return Case(loop=lambda path: self.run(seed, path))

    def run(self, seed: int, path: Path) -> None:
        """Train, watched, and write what was seen as a run folder."""
        import limpid
        from limpid.practice.attending import Doctor

        torch.manual_seed(seed)
        x, y = self.data(seed)
        cut = 4 * len(x) // 5
        model = self.model()
        optimizer = self.optimizer(model)
        with Doctor(model, optimizer, self.loss, quiet=True) as doctor:
            for _ in range(self.epochs):
                if self.validate == "eval":
                    model.train()
                order = torch.randperm(cut) if self.shuffle else torch.arange(cut)
                for number, index in enumerate(order.split(self.batch_size), 1):
                    loss = doctor.loss(model(x[index]), y[index]) / self.every
                    loss.backward()
                    if number % self.every == 0:
                        optimizer.step()
                        if not self.forget:
                            optimizer.zero_grad()
                if self.validate != "train":
                    model.eval()
                with torch.no_grad():
                    doctor.loss(model(x[cut:]), y[cut:])
        run = limpid.Run.create(path, doctor._header())
        for row in doctor.rows:
            run.add(row["kind"], **{key: value for key, value in row.items() if key not in ("kind", "time")})
        run.close()


def digit_rows(seed: int) -> tuple[Tensor, Tensor]:
    """Digits, standardised."""
    x, y = digits(seed)
    return torch.from_numpy((x - x.mean()) / x.std()), torch.from_numpy(y).long()


def sorted_digits(seed: int) -> tuple[Tensor, Tensor]:
    """Digits in the order of their classes, the last fifth apart for validation."""
    x, y = digit_rows(seed)
    cut = 4 * len(x) // 5
    order = torch.cat([torch.argsort(y[:cut], stable=True), torch.arange(cut, len(x))])
    return x[order], y[order]


def digit_pictures(seed: int) -> tuple[Tensor, Tensor]:
    x, y = digit_rows(seed)
    return x.view(-1, 1, 8, 8), y


def numbers(seed: int, *, mean: float = 0.0, scale: float = 1.0, flat: bool = False) -> tuple[Tensor, Tensor]:
    """Ten columns and a number that depends on them: (N, 1), or (N,) where flat."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((1200, 10)).astype(np.float32)
    y = x[:, 0] + np.sin(2 * x[:, 1]) + 0.1 * random.standard_normal(1200)
    y = torch.from_numpy((mean + scale * (y - y.mean()) / y.std()).astype(np.float32))
    return torch.from_numpy(x), y if flat else y[:, None]


def adam(lr: float = 3e-3, **options: Any) -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda model: torch.optim.Adam(model.parameters(), lr=lr, **options)


def sgd(lr: float = 0.05, **options: Any) -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda model: torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, **options)


def first_layer_only(model: nn.Module) -> torch.optim.Optimizer:
    """B09: the optimiser was given one layer."""
    return torch.optim.Adam(model[0].parameters(), lr=3e-3)  # type: ignore[index]


def fast_last_layer(model: nn.Module) -> torch.optim.Optimizer:
    """O10: the last layer's rate is a thousand times the others'."""
    *front, last = [layer for layer in model if isinstance(layer, nn.Linear)]  # type: ignore[union-attr]
    groups = [{"params": layer.parameters(), "lr": 3e-5} for layer in front]
    return torch.optim.Adam([*groups, {"params": last.parameters(), "lr": 3e-2}])


def half(seed: int) -> tuple[Tensor, Tensor]:
    x, y = digit_rows(seed)
    return x.bfloat16(), y


def regression_net() -> nn.Module:
    return faulty.mlp(10, 32, 32, 1)


CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()
DIGITS: dict[str, Any] = {"data": digit_rows, "model": faulty.digits_net, "loss": CE, "optimizer": adam()}
NUMBERS: dict[str, Any] = {"data": numbers, "model": regression_net, "loss": MSE, "optimizer": adam()}


def loop(settings: dict[str, Any], **changes: Any) -> Build:
    """The build of a loop with these settings, some of them changed."""
    return Loop(**{**settings, **changes}).build


SICK: tuple[tuple[str, str, Build, dict[str, tuple[str, ...]]], ...] = (
    ("B01-loop-wrong-scale", "B01", loop(DIGITS, model=lambda: faulty.wide_head(60)), {"also": ("S02",)}),
    ("B02-loop-sum", "B02", loop(DIGITS, loss=nn.CrossEntropyLoss(reduction="sum"), optimizer=sgd(1e-3)),
     {"kin": ("B01",), "also": ("O01",)}),
    ("B03-loop-softmax-twice", "B03",
     loop(DIGITS, model=lambda: nn.Sequential(*faulty.digits_net(), nn.Softmax(dim=-1))), {}),
    ("B04-loop-logits-to-nll", "B04", loop(DIGITS, loss=nn.NLLLoss()), {"kin": ("B05",), "also": ("O03", "S08")}),
    ("B06-loop-broadcast", "B06", loop(NUMBERS, data=lambda seed: numbers(seed, flat=True)), {"also": ("G01", "O04")}),
    ("B07-loop-no-eval", "B07", loop(DIGITS, model=faulty.with_dropout, validate="train"), {}),
    ("B07-loop-train-forgotten", "B07", loop(DIGITS, model=faulty.with_dropout, validate="never back"), {}),
    ("B09-loop-first-layer-only", "B09", loop(DIGITS, optimizer=first_layer_only), {"also": ("O10", "G01")}),
    ("B11-loop-no-zero-grad", "B11", loop(DIGITS, forget=True, optimizer=sgd(1e-2)), {"also": ("O01", "O03", "S04")}),
    ("B15-loop-sorted", "B15", loop(DIGITS, data=sorted_digits, shuffle=False), {"also": ("O01", "O03")}),
    ("D16-loop-target-of-1000", "D16", loop(NUMBERS, data=lambda seed: numbers(seed, mean=1000.0, scale=50.0)),
     {"also": ("B01", "G01", "O02", "O04")}),
    ("N02-loop-half-weights", "N02",
     loop(DIGITS, data=half, model=lambda: faulty.digits_net().bfloat16(), optimizer=sgd(1e-5)),
     {"kin": ("O02", "B09"), "also": ("O04", "G01")}),
    ("O10-loop-fast-last-layer", "O10", loop(DIGITS, optimizer=fast_last_layer), {"also": ("O01",)}),
)  # fmt: skip

NEAR: tuple[tuple[str, str, Build], ...] = (
    ("loop-he-start", "B01", loop(DIGITS, model=faulty.he_start)),
    ("loop-short-last-batch", "B02", loop(DIGITS, batch_size=100)),
    ("loop-accumulation", "B11", loop(DIGITS, every=4, batch_size=16)),
    ("loop-standard-target", "D16", loop(NUMBERS)),
    ("loop-shuffled", "B15", loop(DIGITS, data=sorted_digits)),
)

HEALTHY: dict[str, Build] = {
    "adam": loop(DIGITS),
    "sgd": loop(DIGITS, optimizer=sgd(0.02)),
    "dropout": loop(DIGITS, model=faulty.with_dropout),
    "batch-norm": loop(DIGITS, data=digit_pictures, model=faulty.digits_cnn, epochs=6),
    "regression": loop(NUMBERS),
    "log-probabilities": loop(
        DIGITS, model=lambda: nn.Sequential(*faulty.digits_net(), nn.LogSoftmax(dim=-1)), loss=nn.NLLLoss()
    ),
}
