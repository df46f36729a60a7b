"""Many members trained as one program: their weights stacked, their batches side by side."""

from __future__ import annotations

from collections.abc import Hashable

from limpid.errors import ModelError, Stopped
from limpid.population.ground import Ground
from limpid.population.host import Host
from limpid.population.lobby import Lobby
from limpid.population.memory import memory_suffices
from limpid.population.one_by_one import train_one
from limpid.training.randomness import own_randomness
from limpid.training.signals import StopRequest


def train_stacked(host: Host, ground: Ground, *, stop: StopRequest | None = None) -> None:
    """Train every member that the host asks for, those that fit together as one; others one after another.

    Sums are taken in another order than alone, so that a step differs by about 1e-7 of its size. A training that
    settles down ends with the same figures to six digits; weights whose gradient is nothing but rounding go their own
    ways under Adam, and a training at the edge of divergence goes its own way altogether, as it does alone after any
    change of 1e-7 in its first weights.

    Raises Stopped when `stop` asks for it.
    """
    lobby = Lobby(host, ground)
    while lobby.ask():
        if lobby.alone:
            member, _ = lobby.alone.popleft()
            train_one(host, member, ground, stop=stop)
        else:
            train_company(lobby, lobby.largest(), stop=stop)


def train_company(lobby: Lobby, key: Hashable, *, stop: StopRequest | None) -> None:
    """Train members that fit together until none of them is left.

    Where a stack does not fit in memory, those who are in it are trained one after another, from their beginning; their
    host hears no epoch twice. Those who wait come in stacks of half the width.

    Raises Stopped when `stop` asks for it.
    """
    slots = lobby.draw(key)
    try:
        with memory_suffices(), own_randomness(0):  # to explain a failure may take a forward pass
            lobby.cohort(key, slots).train(stop=stop)
    except Stopped as stopped:
        given_up = f"{len(slots)} member(s) in training were given up"
        raise Stopped(f"Stopped by {stopped.signal}; {given_up}.", stopped.signal) from None
    except ModelError:
        lobby.companies[key].most = max(1, len(slots) // 2)
        for slot in [slot for slot in slots if not slot.over]:
            train_one(lobby.host, slot.member, lobby.ground, heard=slot.heard, stop=stop)
