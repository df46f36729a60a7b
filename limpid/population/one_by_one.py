"""The plainest executor: members one after another, in the process that asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limpid.population.ground import Ground
from limpid.population.host import Host, Told
from limpid.population.lone import train_member
from limpid.population.member import Member
from limpid.training.signals import StopRequest


def train_one_by_one(host: Host, ground: Ground, *, stop: StopRequest | None = None) -> None:
    """Train every member that the host asks for. Raises Stopped when `stop` asks for it."""
    while (member := host.next()) is not None:
        train_one(host, member, ground, stop=stop)


def train_one(host: Host, member: Member, ground: Ground, *, heard: int = 0, stop: StopRequest | None = None) -> None:
    """Train a member and hand over what came of it; of its first `heard` epochs the host has heard already.

    Raises Stopped when `stop` asks for it.
    """

    def tell(row: Mapping[str, Any], valid_row: Mapping[str, Any] | None) -> bool:
        return row["epoch"] <= heard or host.epochs([Told(member, row, valid_row)])[0]

    host.done(member, train_member(member, ground, tell, stop=stop))
