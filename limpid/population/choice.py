"""The way to train members that is likely to be the fastest here, found by taking a few steps of each.

Four ways give the same results: as one program, as one for each core, each in a process, one after another. Small
networks leave most of a step to calls and little to arithmetic, so that many at once cost little more than one; large
ones fill a core. Several cores pay where what waits takes longer than it takes until workers can begin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from limpid.cores import usable_cores
from limpid.device import least_seconds
from limpid.errors import LimpidError, ModelError
from limpid.fork_server import seconds_until_ready
from limpid.population.dealing import Dealer, Kind
from limpid.population.ground import Ground
from limpid.population.host import Host, Listed, Told
from limpid.population.lobby import Lobby, width_of
from limpid.population.member import Member, Outcome
from limpid.population.memory import memory_suffices
from limpid.population.one_by_one import train_one_by_one
from limpid.population.processes import most_ahead, train_dealt
from limpid.population.stack import train_stacked
from limpid.population.stackable import Unstackable, form_of
from limpid.training.randomness import own_randomness
from limpid.training.signals import StopRequest
from limpid.training.step import autocast

SURE_WEIGHTS = 2**14  # up to here two at once beat one after the other; measured with batches of 32 and 128
RACERS = 8  # members of the stack whose steps are timed; a wider one is no slower
STEPS = 5  # the least of so many
HIRE_SECONDS = 0.3  # until workers have trained an epoch where the server is ready, beyond the epoch itself; measured
# Of the time of one core that several may take: processes share caches, memory and, where cores are virtual, the core.
# Two stacks side by side took 1.2 times as long as each alone on two cores of their own, 1.7 beside other work.
MUST_GAIN = 0.7
WORDS = {
    "stacked": "as one program",
    "stacks": "as one program for each core",
    "processes": "in processes",
    "one-by-one": "one after another",
}


@dataclass(frozen=True)
class Choice:
    """How members are trained, and why, for people."""

    way: str
    members: int  # that wait when the choice is made
    reason: str

    def text(self) -> str:
        number = f"{self.members} network{'s' if self.members > 1 else ''}"
        return f"{number} {WORDS[self.way]}: {self.reason}"


Tell = Callable[[Choice], None]


@dataclass(frozen=True)
class Pace:
    """How members of a kind are best trained on one core: stacked or one-by-one, and why.

    Attributes:
        seconds: of each; 0 where nobody needs to know.
    """

    way: str
    reason: str
    seconds: float = 0.0


def train_by_choice(host: Host, ground: Ground, *, stop: StopRequest | None = None, tell: Tell | None = None) -> None:
    """Train every member that the host asks for, each in the way that is likely to be the fastest.

    Args:
        host: asks for members, and hears of them.
        ground: the data.
        stop: asked between steps whether to leave.
        tell: hears what was chosen, before it begins.

    Raises Stopped when `stop` asks for it.
    """
    dealer = Dealer(host, ground, ahead=most_ahead())
    paces: dict[Hashable, Pace] = {}
    told: set[Hashable] = set()
    while dealer.ask():
        groups = _groups(dealer, paces)
        counts = {key: sum(len(kind.members) for kind in kinds) for key, kinds in groups.items()}
        choice = _on_all_cores(paces, counts)
        key = "workers" if choice else max(groups, key=lambda key: (key == "alone", counts[key]))
        choice = choice or Choice(paces[key].way, counts[key], paces[key].reason)
        if tell is not None and key not in told:
            tell(choice)
        told.add(key)
        if key == "workers":
            train_dealt(dealer, stop=stop)
        elif choice.way == "stacked":
            train_stacked(_Some(dealer, groups[key]), ground, stop=stop)
        else:
            train_one_by_one(_Some(dealer, groups[key]), ground, stop=stop)


def _groups(dealer: Dealer, paces: dict[Hashable, Pace]) -> dict[Hashable, list[Kind]]:
    """The kinds that wait, those who fit nobody as one group of the name alone; paces of new groups are found."""
    waiting = {key: kind for key, kind in dealer.kinds.items() if kind.members}
    several = sum(len(kind.members) for kind in waiting.values()) > 1
    groups: dict[Hashable, list[Kind]] = {}
    for key, kind in waiting.items():
        if key not in paces:
            reason = _apart_because(dealer.ground, kind)
            if not reason:
                paces[key] = _pace(dealer.ground, kind)
            elif "alone" not in paces:
                timed = several and usable_cores() > 1
                seconds = _seconds_alone(dealer.ground, kind.members[0]) if timed else 0.0
                paces["alone"] = Pace("one-by-one", reason, seconds)
        groups.setdefault(key if key in paces else "alone", []).append(kind)
    return groups


def _apart_because(ground: Ground, kind: Kind) -> str:
    """Why members of a kind cannot be stacked; empty where they can, and then their width is known."""
    if len(kind.members) == 1:
        return "no other of its form and batch size"
    kind.width = 1
    try:
        form = form_of(ground.wiring(kind.members[0]))
    except LimpidError as error:  # it will say so when its turn comes
        return str(error)
    if isinstance(form, Unstackable):
        return form.reason
    kind.width = width_of(form.num_weights)
    return ""


def _pace(ground: Ground, kind: Kind) -> Pace:
    """Of members that could be stacked."""
    wiring = ground.wiring(kind.members[0])
    plan, form = wiring.plan, form_of(wiring)
    assert not isinstance(form, Unstackable)
    sure = plan.precision == "float32" and form.num_weights <= SURE_WEIGHTS
    reason = f"{form.num_weights:,} weights each leave a core little to do"
    if sure and usable_cores() == 1:
        return Pace("stacked", reason)
    stacked = _step_stacked(ground, list(kind.members)[:RACERS])
    alone = math.inf if sure else _step_alone(ground, kind.members[0])
    if not sure:
        reason = f"a step takes {1e3 * alone:.2f} ms alone, {1e3 * stacked:.2f} ms each as one program"
    best = min(alone, stacked)
    seconds = best * plan.num_steps if plan.device.type == "cpu" and math.isfinite(best) else 0.0
    if sure or stacked < alone:
        return Pace("stacked", reason, seconds)
    kind.width = 1
    return Pace("one-by-one", reason, seconds)


def _on_all_cores(paces: dict[Hashable, Pace], counts: dict[Hashable, int]) -> Choice | None:
    """The choice of workers for all that wait, where these are likely done sooner than one core is; else None."""
    seconds = {key: paces[key].seconds * count for key, count in counts.items()}
    total, waiting, cores = sum(seconds.values()), sum(counts.values()), usable_cores()
    at_once = min(cores, waiting)
    if at_once < 2 or total / at_once + seconds_until_ready() + HIRE_SECONDS >= MUST_GAIN * total:
        return None
    longest = max(seconds, key=lambda key: seconds[key])
    takes = f"; a training takes about {paces[longest].seconds:.0f} s" if longest == "alone" else ""
    way = "stacks" if any(paces[key].way == "stacked" for key in counts) else "processes"
    return Choice(way, waiting, f"{paces[longest].reason}{takes}, and there are {cores} cores")


def _seconds_alone(ground: Ground, member: Member) -> float:
    """Seconds of a training on a core; 0 where it cannot be told, or is no affair of cores."""
    try:
        plan = ground.wiring(member).plan
        seconds = _step_alone(ground, member) * plan.num_steps
    except LimpidError:  # it will say so when its turn comes
        return 0.0
    return seconds if plan.device.type == "cpu" and math.isfinite(seconds) else 0.0


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
    """Seconds of a training step of each of some members' copies, as one; infinite where they do not fit in memory."""
    lobby = Lobby(Listed(members), ground)
    lobby.ask()
    slots = lobby.draw(lobby.largest())
    try:
        with memory_suffices():
            cohort = lobby.cohort(lobby.largest(), slots)
            batch = next(iter(cohort.parts.train.epoch(0)))
            return least_seconds(lambda: cohort.rehearse(batch), repeats=STEPS) / len(slots)
    except ModelError:
        return math.inf


class _Some:
    """A host that asks for members of some kinds alone, of those that wait to be dealt."""

    def __init__(self, dealer: Dealer, kinds: Sequence[Kind]) -> None:
        self._dealer, self._kinds = dealer, kinds

    def next(self) -> Member | None:
        self._dealer.ask()
        return next((kind.members.popleft() for kind in self._kinds if kind.members), None)

    def epochs(self, told: Sequence[Told]) -> list[bool]:
        return self._dealer.host.epochs(told)

    def done(self, member: Member, outcome: Outcome) -> None:
        self._dealer.host.done(member, outcome)
