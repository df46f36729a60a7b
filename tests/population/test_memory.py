"""A member that does not fit in memory has failed, and says so, however it is trained; its neighbours go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.population import stack_cohort
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.host import Listed
from limpid.population.lone import train_wired
from limpid.population.member import Member
from limpid.population.memory import lack_of_memory, readable

SMALL = {"data__source": "moons", "model__name": "mlp", "model__hidden": (8,), "epochs": 1, "training__threads": 1}
ADVICE = "Use a smaller network or smaller batches."


def member(number: int, **options: object) -> Member:
    return Member(number, with_options(Config(), SMALL | {"seed": number} | options))


@pytest.mark.parametrize("on", ["one-by-one", "stacked", "auto"])
def test_a_network_that_does_not_fit_has_failed(on: str) -> None:
    host = Listed([member(0), member(1, model__hidden=(2**24, 2**24)), member(2)])
    train_population(host, Ground(), on=on)
    assert [host.outcomes[i].state for i in range(3)] == ["finished", "failed", "finished"]
    assert host.outcomes[1].reason == f"It does not fit in memory: one tensor of it takes 1 PiB. {ADVICE}"


def test_a_step_that_does_not_fit_ends_its_member() -> None:
    wiring = Ground().wiring(member(0))

    def step(*_: object, **__: object) -> torch.Tensor:
        return torch.empty(2**48)

    greedy = replace(wiring, parts=replace(wiring.parts, step=step))
    outcome = train_wired(member(0), greedy, lambda row, valid_row: True)
    assert (outcome.state, outcome.weights) == ("failed", None)
    assert outcome.reason == f"It does not fit in memory: one tensor of it takes 1 PiB. {ADVICE}"


def test_what_a_host_raises_is_not_taken_for_a_members_failure() -> None:
    class Broken(Listed):
        def epochs(self, told: Any) -> list[bool]:
            return [self.epoch(*one) for one in told]

        def epoch(self, member: Member, row: Any, valid_row: Any) -> bool:
            raise RuntimeError("the host's own mistake")

    with pytest.raises(RuntimeError, match="own mistake"):
        train_population(Broken([member(0)]), Ground(), on="one-by-one")


def test_a_stack_that_does_not_fit_is_trained_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its second round: those in it one after another, those who wait in stacks of half the width."""
    heard: list[tuple[int, int]] = []
    widths: list[int] = []

    class Noting(Listed):
        def epochs(self, told: Any) -> list[bool]:
            heard.extend((one.member.number, one.row["epoch"]) for one in told)
            return [one.member.number != 4 for one in told]

    move = stack_cohort.Cohort.move

    def greedy(cohort: stack_cohort.Cohort, *given: Any, **how: Any) -> torch.Tensor:
        widths.append(len(cohort.slots))
        if len(cohort.slots) > 2 and cohort.slots[0].heard == 1:
            torch.empty(2**48)
        return move(cohort, *given, **how)

    monkeypatch.setattr("limpid.population.lobby.MOST_WIDTH", 4)
    monkeypatch.setattr("limpid.population.lobby.Company.most", 4)
    monkeypatch.setattr("limpid.population.lobby.LEAST_WIDTH", 4)
    monkeypatch.setattr(stack_cohort.Cohort, "move", greedy)
    members = [member(i, epochs=1 + (i != 1)) for i in range(7)]
    host, alone = Noting(members), Listed(members)
    train_population(host, Ground(), on="stacked")
    assert set(widths) == {4, 2}
    assert sorted(heard) == sorted([*((i, 1) for i in range(7)), *((i, 2) for i in (0, 2, 3, 5, 6))])
    train_population(alone, Ground(), on="one-by-one")
    assert [host.outcomes[i].state for i in range(7)] == [*4 * ["finished"], "pruned", *2 * ["finished"]]
    for i in (0, 1, 2, 3, 5, 6):
        assert host.outcomes[i].figures == pytest.approx(alone.outcomes[i].figures, abs=2e-4)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.empty(2**48),
        lambda: torch.empty(2**40, 2**40),
        lambda: nn.Linear(2**24, 2**24),
        lambda: np.empty(2**50),
    ],
    ids=["refused", "beyond 64 bits", "layer", "numpy"],
)
def test_the_words_of_the_libraries_are_known(ask: Callable[[], object]) -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        ask()
    assert str(lack_of_memory(caught.value)).startswith("It does not fit in memory")
    assert lack_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None


def test_a_gpus_lack_is_one_too() -> None:
    assert lack_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")) == (
        f"It does not fit in memory. {ADVICE}"
    )


def test_bytes_are_readable() -> None:
    assert [readable(n) for n in (0, 512, 1000, 2**20, 3.5 * 2**30, 1023 * 2**30)] == [
        "0 bytes",
        "512 bytes",
        "1000 bytes",
        "1 MiB",
        "3.5 GiB",
        "1023 GiB",
    ]
