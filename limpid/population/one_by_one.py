"""The plainest executor: members one after another, in the process that asks."""

from __future__ import annotations

from limpid.population.ground import Ground
from limpid.population.host import Host
from limpid.population.lone import train_member
from limpid.population.member import Member
from limpid.training.signals import StopRequest


def train_one_by_one(host: Host, ground: Ground, *, stop: StopRequest | None = None) -> None:
    """Train every member that the host asks for. Raises Stopped when `stop` asks for it."""
    while (member := host.next()) is not None:
        train_one(host, member, ground, stop=stop)


def train_one(host: Host, member: Member, ground: Ground, *, stop: StopRequest | None = None) -> None:
    """Train a member and hand over what came of it. Raises Stopped when `stop` asks for it."""
    outcome = train_member(member, ground, lambda row, valid_row: host.epoch(member, row, valid_row), stop=stop)
    host.done(member, outcome)
