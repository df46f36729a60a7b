"""The doctor beside a plain PyTorch loop: it changes nothing, leaves nothing behind, and finds what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import limpid
from limpid.errors import ConfigError

Build = Callable[[], nn.Module]


def data(seed: int = 0) -> tuple[Tensor, Tensor]:
    """400 rows of 8 numbers in 4 classes that a small network learns in a few epochs."""
    generator = torch.Generator().manual_seed(seed)
    x, w = torch.randn(400, 8, generator=generator), torch.randn(8, 4, generator=generator)
    return x, (x @ w + 0.1 * torch.randn(400, 4, generator=generator)).argmax(dim=1)


def mlp(*end: nn.Module) -> nn.Sequential:
    hidden = (nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
    return nn.Sequential(*hidden, nn.Linear(32, 4), *end)


def normed() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 4))


def dead() -> nn.Sequential:
    network = mlp()
    nn.init.constant_(network[0].bias, -10)
    return network


def loop(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: Callable[..., Tensor],
    *,
    x: Tensor | None = None,
    y: Tensor | None = None,
    epochs: int = 8,
    clear: bool = True,
    evaluate: bool = True,
) -> None:
    """A user's own loop, with its usual slips to be asked for."""
    given, wanted = data()
    given, wanted = (given, wanted) if x is None or y is None else (x, y)
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(320).split(32):
            if clear:
                optimizer.zero_grad()
            loss = criterion(model(given[rows]), wanted[rows])
            loss.backward()
            optimizer.step()
        if evaluate:
            model.eval()
        with torch.no_grad():
            for rows in torch.arange(320, 400).split(20):
                criterion(model(given[rows]), wanted[rows])


def attended(
    build: Build,
    seed: int = 0,
    *,
    lr: float = 3e-3,
    optimizer: Any = torch.optim.Adam,
    criterion: Callable[..., Tensor] | None = None,
    chosen: Callable[[Any], Iterable[Tensor]] | None = None,
    **slips: Any,
) -> limpid.Doctor:
    torch.manual_seed(seed)
    model, criterion = build(), criterion or nn.CrossEntropyLoss()
    moved = optimizer(model.parameters() if chosen is None else chosen(model), lr=lr)
    with limpid.Doctor(model, moved, criterion, quiet=True) as doctor:
        loop(model, moved, criterion, **slips)
    return doctor


def grave(doctor: limpid.Doctor) -> list[str]:
    return [finding.code for finding in doctor.findings if finding.level != "note"]


@pytest.mark.parametrize("build", [mlp, normed])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9)])
def test_the_bits_are_the_same_with_and_without_it(build: Build, optimizer: Any) -> None:
    states = []
    for with_doctor in (False, True):
        torch.manual_seed(3)
        model, criterion = build(), nn.CrossEntropyLoss()
        moved = optimizer(model.parameters(), lr=0.01)
        doctor = limpid.Doctor(model, moved, criterion, quiet=True) if with_doctor else None
        loop(model, moved, criterion, epochs=3)
        if doctor is not None:
            doctor.close()
        states.append((model.state_dict(), torch.get_rng_state()))
    (plain, plain_random), (watched, watched_random) = states
    assert all(torch.equal(plain[name], watched[name]) for name in plain)
    assert torch.equal(plain_random, watched_random)


def num_hooks(model: nn.Module, optimizer: torch.optim.Optimizer, criterion: nn.Module) -> int:
    held = [(m._forward_hooks, m._forward_pre_hooks) for m in (*model.modules(), criterion)]
    held += [(p._backward_hooks or {}, p._post_accumulate_grad_hooks or {}) for p in model.parameters()]
    steps = len(optimizer._optimizer_step_pre_hooks) + len(optimizer._optimizer_step_post_hooks)
    return steps + sum(len(one) + len(other) for one, other in held)


def test_closing_takes_every_hook_off() -> None:
    model, criterion = mlp(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with limpid.Doctor(model, optimizer, criterion, quiet=True):
        assert num_hooks(model, optimizer, criterion) > 4
        loop(model, optimizer, criterion, epochs=1)
    assert num_hooks(model, optimizer, criterion) == 0


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize(
    ("build", "options"),
    [
        (mlp, {}),
        (normed, {}),
        (lambda: mlp(nn.LogSoftmax(1)), {"criterion": nn.NLLLoss()}),
        (mlp, {"criterion": nn.CrossEntropyLoss(label_smoothing=0.1)}),
        (mlp, {"optimizer": lambda p, lr: torch.optim.SGD(p, lr=0.03, momentum=0.9)}),
    ],
)
def test_a_healthy_loop_is_left_in_peace(build: Build, options: dict[str, Any], seed: int) -> None:
    assert grave(attended(build, seed, **options)) == []


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("expected", "build", "options"),
    [
        ("B03", lambda: mlp(nn.Softmax(1)), {}),
        ("B07", normed, {"evaluate": False}),
        ("B09", mlp, {"chosen": lambda model: [*model[0].parameters(), *model[4].parameters()]}),
        ("B11", mlp, {"clear": False, "optimizer": torch.optim.SGD, "lr": 0.03}),
        ("S05", dead, {}),
        ("O01", mlp, {"lr": 0.3}),
    ],
)
def test_a_slip_is_the_first_thing_found(expected: str, build: Build, options: dict[str, Any], seed: int) -> None:
    assert grave(attended(build, seed, epochs=12, **options))[:1] == [expected]


def numbers(*shape: int) -> tuple[Tensor, Tensor]:
    x, _ = data()
    return x, (x.sum(dim=1) / 8**0.5).reshape(shape)


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_broadcast_is_found() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))

    x, y = numbers(-1)
    assert grave(attended(build, criterion=nn.MSELoss(), x=x, y=y))[:1] == ["B06"]
    x, y = numbers(-1, 1)
    assert grave(attended(build, criterion=nn.MSELoss(), x=x, y=y)) == []


def test_gradients_that_are_accumulated_on_purpose_are_no_slip() -> None:
    torch.manual_seed(0)
    model, criterion = mlp(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = data()
    with limpid.Doctor(model, optimizer, criterion, quiet=True) as doctor:
        for number, rows in enumerate(torch.randperm(320).repeat(4).split(32)):
            (criterion(model(x[rows]), y[rows]) / 4).backward()
            if number % 4 == 3:
                optimizer.step()
                optimizer.zero_grad(set_to_none=False)
    assert "B11" not in grave(doctor)


def test_a_function_is_heard_where_its_module_calls_it() -> None:
    torch.manual_seed(0)
    model = mlp(nn.Softmax(1))
    optimizer = torch.optim.Adam(model.parameters())
    doctor = limpid.Doctor(model, optimizer, F.cross_entropy, quiet=True)
    x, y = data()
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    doctor.close()
    assert grave(doctor)[:1] == ["B03"]
    assert not hasattr(F.cross_entropy, "__wrapped__")


def test_softmax_outside_of_the_network_is_seen_too() -> None:
    criterion = nn.CrossEntropyLoss()
    torch.manual_seed(0)
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters())
    doctor = limpid.Doctor(model, optimizer, criterion, quiet=True)
    loop(model, optimizer, lambda outputs, target: criterion(outputs.softmax(dim=1), target), epochs=2)
    assert grave(doctor)[:1] == ["B03"]
    doctor.close()


def test_a_loss_that_was_not_heard_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    def own(outputs: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(outputs, target)

    torch.manual_seed(0)
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters())
    doctor = limpid.Doctor(model, optimizer, own)
    loop(model, optimizer, own, epochs=2)
    assert "doctor.loss(outputs, target)" in capsys.readouterr().err
    assert "doctor.loss(outputs, target)" in doctor.report()
    loop(model, optimizer, doctor.loss, epochs=1)
    assert "doctor.loss(outputs, target)" not in doctor.report()
    doctor.close()


def test_findings_are_told_once_in_one_line_and_reported_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model, criterion = mlp(nn.Softmax(1)), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    with limpid.Doctor(model, optimizer, criterion) as doctor:
        loop(model, optimizer, criterion)
    told = [line for line in capsys.readouterr().err.splitlines() if " B03 " in line]
    assert len(told) == 1
    assert told[0].startswith("stop B03 softmax-twice")
    report = doctor.report()
    assert "Remove the softmax" in report
    assert doctor.report() == report
    assert doctor.diagnosis.to_row()["findings"][0]["code"] == "B03"


def test_a_loss_that_is_none_is_refused() -> None:
    model = mlp()
    with pytest.raises(ConfigError, match="expected a module or function"):
        limpid.Doctor(model, torch.optim.Adam(model.parameters()), loss="mse")  # type: ignore[arg-type]
