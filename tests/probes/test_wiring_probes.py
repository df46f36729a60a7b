"""Probes of the wiring on small networks: sick ones, and healthy ones that look alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import Diagnosis, judge
from limpid.doctor.evidence import Evidence
from limpid.probes.probe import measure
from limpid.probes.registry import PROBES
from limpid.probes.subject import Subject

MINE = ("loss_at_start", "outputs", "dependency", "modes", "gradient_reach", "gradient_check", "structure")


def mlp(*end: nn.Module) -> nn.Sequential:
    hidden = (nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU())
    return nn.Sequential(*hidden, nn.Linear(24, 4), *end)


def subject(network: nn.Module, loss: Any = F.cross_entropy, **more: Any) -> Subject:
    generator = torch.Generator().manual_seed(1)
    x, w = torch.randn(64, 6, generator=generator), torch.randn(6, 4, generator=generator)
    return Subject(network, loss, (x,), (x @ w).argmax(dim=1), **more)


def diagnose(one: Subject, *names: str) -> Diagnosis:
    probes = [probe for probe in PROBES if probe.name in (names or MINE)]
    rows = [{"kind": "probe", **row} for row in measure(one, probes)]
    return judge(Evidence({}, rows), [check for code, check in CHECKS.items() if code[0] == "B"])


def codes(one: Subject, *names: str) -> list[str]:
    return [finding.code for finding in diagnose(one, *names).findings if finding.level != "note"]


class Nothing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x * 0)


class Mixed(Nothing):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.layers[:4](x)
        return self.layers[4](hidden.t().reshape(hidden.shape))


class Restless(Nothing):
    def forward(self, x: Tensor) -> Tensor:
        return self.layers(F.dropout(x, 0.3))


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient


class WrongBackward(Nothing):
    def forward(self, x: Tensor) -> Tensor:
        return self.layers[4](Doubled.apply(self.layers[:4](x)))


def zero_head() -> nn.Module:
    network = mlp()
    nn.init.zeros_(network[4].weight)
    nn.init.zeros_(network[4].bias)
    return network


def dead() -> nn.Module:
    network = mlp()
    nn.init.constant_(network[0].bias, -10)
    return network


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 4))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: mlp(nn.Softmax(1)), "B03"),
        (lambda: mlp(nn.Sigmoid()), "B03"),
        (lambda: mlp(nn.Tanh()), "B05"),
        (Nothing, "B14"),
        (Mixed, "B12"),
        (Restless, "B07"),
        (WrongBackward, "B19"),
    ],
)
def test_a_fault_is_the_one_thing_found(build: Callable[[], nn.Module], expected: str, seed: int) -> None:
    torch.manual_seed(seed)
    assert codes(subject(build())) == [expected]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("build", [mlp, lambda: mlp(nn.LogSoftmax(1)), zero_head, dead, normed])
def test_healthy_and_otherwise_sick_networks_are_silent(build: Callable[[], nn.Module], seed: int) -> None:
    torch.manual_seed(seed)
    assert codes(subject(build())) == []


@pytest.mark.parametrize(
    ("loss", "end", "expected"),
    [
        (nn.NLLLoss(), (), ["B04"]),
        (nn.NLLLoss(), (nn.LogSoftmax(1),), []),
        (nn.CrossEntropyLoss(reduction="sum"), (), ["B02"]),
        (nn.CrossEntropyLoss(label_smoothing=0.2), (), []),
        (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 1.0, 1.0])), (), []),
    ],
)
def test_losses_that_fit_the_outputs_or_do_not(
    loss: nn.Module, end: tuple[nn.Module, ...], expected: list[str]
) -> None:
    torch.manual_seed(0)
    assert codes(subject(mlp(*end), loss)) == expected


def regression(end: tuple[nn.Module, ...], shape: tuple[int, ...]) -> Subject:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1), *end)
    x = torch.randn(64, 6)
    return Subject(network, nn.MSELoss(), (x,), x.sum(dim=1).reshape(shape) / 6**0.5)


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize(
    ("end", "shape", "expected"),
    [
        ((), (-1, 1), []),
        ((), (-1,), ["B06"]),
        ((nn.Flatten(0),), (-1,), []),
        ((nn.ReLU(),), (-1, 1), ["B05"]),
        ((nn.Tanh(),), (-1, 1), ["B05"]),
    ],
)
def test_heads_for_numbers(end: tuple[nn.Module, ...], shape: tuple[int, ...], expected: list[str]) -> None:
    assert [code for code in codes(regression(end, shape)) if code != "B01"] == expected


class Guesser(nn.Module):
    """Guesses the next token from those that `seen` shows it: "past" or "all"."""

    def __init__(self, seen: str) -> None:
        super().__init__()
        self.seen = seen
        self.table, self.head = nn.Embedding(12, 16), nn.Linear(16, 12)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        known = self.table(tokens_BT)
        return self.head(known.cumsum(dim=1) if self.seen == "past" else known + known.mean(dim=1, keepdim=True))


@pytest.mark.parametrize(("seen", "shift", "expected"), [("past", 1, []), ("all", 1, ["B13"]), ("past", 0, ["B13"])])
def test_tokens_that_lie_ahead(seen: str, shift: int, expected: list[str]) -> None:
    torch.manual_seed(0)
    text = torch.randint(0, 12, (16, 13))
    given, wanted = text[:, :12], text[:, shift : shift + 12]

    def loss(outputs: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(outputs.flatten(0, 1), target.flatten())

    assert codes(Subject(Guesser(seen), loss, (given,), wanted), "dependency") == expected


def test_gradients_reach_what_is_connected() -> None:
    torch.manual_seed(0)
    network = mlp()
    network.spare = nn.Linear(2, 2)
    network.forward = lambda x: nn.Sequential.forward(network[:5], x)  # type: ignore[method-assign]
    (row,) = measure(subject(network), [probe for probe in PROBES if probe.name == "gradient_reach"])
    norms = row["values"]["norms"]
    assert norms["spare.weight"] is None
    assert all(norms[name] > 0 for name, _ in network[:5].named_parameters())


@pytest.mark.spec("H8")
def test_first_loss_memorising_and_gradient_of_a_healthy_network() -> None:
    """Initial loss within 20 % of ln C, one batch learned to below 0.01, slopes equal to differences."""
    torch.manual_seed(0)
    names = ("loss_at_start", "overfit_batch", "gradient_check")
    rows = list(measure(subject(mlp()), [probe for probe in PROBES if probe.name in names]))
    values = {row["name"]: row["values"] for row in rows}
    assert abs(values["loss_at_start"]["loss"] / math.log(4) - 1) < 0.2
    assert values["overfit_batch"]["last"] - values["overfit_batch"]["floor"] < 0.01
    assert max(values["gradient_check"]["errors"].values()) < 1e-6


def test_a_network_that_cannot_memorise_says_so() -> None:
    torch.manual_seed(0)
    found = diagnose(subject(mlp(nn.Softmax(1))), "outputs", "overfit_batch").findings
    assert [(finding.code, finding.because) for finding in found] == [("B03", ""), ("B21", "B03")]


def test_a_trained_network_that_ignores_its_input_is_noted() -> None:
    torch.manual_seed(0)
    assert [finding.code for finding in diagnose(subject(dead()), "input_matters").findings] == ["B14"]
    one = subject(mlp())
    optimizer = torch.optim.Adam(one.network.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(one.network(*one.inputs), one.target).backward()
        optimizer.step()
    assert diagnose(one, "input_matters").findings == ()
