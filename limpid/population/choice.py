"""The way to train members that is likely to be the fastest here, found by taking a few steps of each.

Three ways give the same results: as one program, in several processes, one after another. Small networks leave most of
a step to calls and little to arithmetic, so that many at once cost little more than one; large ones fill a core, and
several cores pay once a training is longer than a process takes to start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limpid.device import least_seconds, usable_cores
from limpid.errors import ModelError
from limpid.population.ground import Ground
from limpid.population.host import Host, Listed
from limpid.population.lobby import Company, Lobby
from limpid.population.member import Member, Outcome
from limpid.population.memory import memory_suffices
from limpid.population.one_by_one import train_one_by_one
from limpid.population.processes import train_in_processes
from limpid.population.stack import train_company
from limpid.training.randomness import own_randomness
from limpid.training.signals import StopRequest
from limpid.training.step import autocast

FEW_CORES = 4
SURE_WEIGHTS = 2**14  # up to here two at once beat one after the other; measured with batches of 32 and 128
RACERS = 4  # members of the stack whose steps are timed; a wider one is no slower
STEPS = 5  # the least of so many
START_SECONDS = 2.0  # of a process: torch and Limpid are imported, the data found. Measured 0.5 to 2
MUST_GAIN = 0.8  # of the time of the other ways: processes share caches and memory, which a step alone does not tell


@dataclass(frozen=True)
class Choice:
    """How members are trained, and why, for people."""

    way: str
    members: int  # that wait when the choice is made
    reason: str

    def text(self) -> str:
        number = f"{self.members} network{'s' if self.members > 1 else ''}"
        how = {"stacked": "as one program", "processes": "in processes", "one-by-one": "one after another"}[self.way]
        return f"{number} {how}: {self.reason}"


Tell = Callable[[Choice], None]


def train_by_choice(host: Host, ground: Ground, *, stop: StopRequest | None = None, tell: Tell | None = None) -> None:
    """Train every member that the host asks for, each in the way that is likely to be the fastest.

    Args:
        host: asks for members, and hears of them.
        ground: the data.
        stop: asked between steps whether to leave.
        tell: hears what was chosen, before it begins.

    Raises Stopped when `stop` asks for it.
    """
    lobby = Lobby(host, ground)
    chosen: dict[Hashable, Choice] = {}
    while lobby.ask():
        key = "alone" if lobby.alone else lobby.largest()
        if key not in chosen and key != "alone" and lobby.waiting(key) == 1:
            lobby.part()
            key = "alone"
        if key not in chosen:
            chosen[key] = _choose_alone(lobby) if key == "alone" else _choose(lobby, lobby.companies[key])
            if tell is not None:
                tell(chosen[key])
        way = chosen[key].way
        if way == "stacked":
            train_company(lobby, key, stop=stop)
        elif way == "processes":
            train_in_processes(_Some(lobby, key), ground, stop=stop)
        else:
            train_one_by_one(_Some(lobby, key), ground, stop=stop)


def _choose(lobby: Lobby, company: Company) -> Choice:
    """For members that could be stacked."""
    waiting, cores = len(company.slots), usable_cores()
    plain = company.slots[0].plan.precision == "float32"
    if plain and company.num_weights <= SURE_WEIGHTS and cores <= FEW_CORES:
        return Choice("stacked", waiting, f"{company.num_weights:,} weights each leave a core little to do")
    members = [slot.member for slot in company.slots]
    steps = sum(slot.plan.num_steps for slot in company.slots)
    alone, stacked = _step_alone(lobby.ground, members[0]), _step_stacked(lobby.ground, members[:RACERS])
    shown = f"a step takes {1e3 * alone:.2f} ms alone, {1e3 * stacked:.2f} ms each as one program"
    together = min(alone, stacked) * steps
    if company.slots[0].plan.device.type == "cpu" and _processes_win(alone * steps, waiting, together):
        return Choice("processes", waiting, f"{shown}, and there are {cores} cores")
    return Choice("stacked" if stacked < alone else "one-by-one", waiting, shown)


def _choose_alone(lobby: Lobby) -> Choice:
    """For those that could not."""
    waiting = len(lobby.alone)
    member, reason = lobby.alone[0]
    if waiting > 1 and usable_cores() > 1:
        wiring = lobby.ground.wiring(member)
        seconds = _step_alone(lobby.ground, member) * wiring.plan.num_steps * waiting
        if wiring.plan.device.type == "cpu" and _processes_win(seconds, waiting, seconds):
            return Choice("processes", waiting, f"{reason}; a training takes about {seconds / waiting:.0f} s")
    return Choice("one-by-one", waiting, reason)


def _processes_win(alone: float, members: int, other: float) -> bool:
    """Whether processes beat another way that takes `other` seconds; one after another they take `alone`."""
    at_once = min(usable_cores(), members)
    return at_once > 1 and alone / at_once + START_SECONDS < MUST_GAIN * other


def _step_alone(ground: Ground, member: Member) -> float:
    """Seconds of a training step of a copy of this member; infinite where it does not fit in memory."""
    wiring = ground.wiring(member)
    parts, plan = wiring.parts, wiring.plan
    context = None if plan.precision == "float32" else autocast(plan.device, plan.precision)
    batches = iter(parts.train.epoch(0))
    batch = next(batches)

    def step() -> None:
        parts.step(
            parts.model,
            parts.objective,
            parts.optimizer,
            batch,
            context=context,
            clip_norm=plan.clip_norm,
            weight=1.0,
            update=True,
            guard=False,
        ).item()

    try:
        with memory_suffices(), own_randomness(0), wiring.fast_roads():
            parts.model.train()
            return least_seconds(step, repeats=STEPS)
    except ModelError:  # it will say so when its turn comes
        return math.inf


def _step_stacked(ground: Ground, members: Sequence[Member]) -> float:
    """Seconds of a training step of each of some members' copies, as one."""
    lobby = Lobby(Listed(members), ground)
    lobby.ask()
    cohort = lobby.cohort(lobby.largest())
    batch = next(iter(cohort.parts.train.epoch(0)))
    return least_seconds(lambda: cohort.rehearse(batch), repeats=STEPS) / len(cohort.slots)


class _Some:
    """A host that asks for those members alone that wait in one corner of a lobby."""

    def __init__(self, lobby: Lobby, key: Hashable) -> None:
        self._lobby, self._key = lobby, key

    def next(self) -> Member | None:
        self._lobby.ask()
        if self._key == "alone":
            return self._lobby.alone.popleft()[0] if self._lobby.alone else None
        slots = self._lobby.companies[self._key].slots
        return slots.popleft().member if slots else None

    def epoch(self, member: Member, row: Mapping[str, Any], valid_row: Mapping[str, Any] | None) -> bool:
        return self._lobby.host.epoch(member, row, valid_row)

    def done(self, member: Member, outcome: Outcome) -> None:
        self._lobby.host.done(member, outcome)
