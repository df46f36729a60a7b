"""The ways to train a population, by name."""

from __future__ import annotations

import re

from limpid.errors import ConfigError, nearest
from limpid.population.choice import Tell, train_by_choice
from limpid.population.ground import Ground
from limpid.population.host import Host
from limpid.population.on_ray import train_on_ray
from limpid.population.one_by_one import train_one_by_one
from limpid.population.processes import train_in_processes, train_in_stacks
from limpid.population.ray_cluster import require_ray
from limpid.population.stack import train_stacked
from limpid.training.signals import StopRequest

EXECUTORS = {
    "stacked": train_stacked,
    "stacks": train_in_stacks,
    "one-by-one": train_one_by_one,
    "processes": train_in_processes,
    "ray": train_on_ray,
}
ADDRESS = re.compile(r"(ray://)?[\w.-]+:\d+")  # of a Ray cluster


def train_population(
    host: Host, ground: Ground, *, on: str = "auto", stop: StopRequest | None = None, tell: Tell | None = None
) -> None:
    """Train every member that the host asks for, in the way that `on` names; auto takes the fastest.

    `tell` hears which that is, and why, each time that it chooses.

    Raises ConfigError for a way that there is not, Stopped when `stop` asks for it.
    """
    name = find_executor(on)
    if ADDRESS.fullmatch(on):
        train_on_ray(host, ground, stop=stop, address=on)
    elif name == "auto":
        train_by_choice(host, ground, stop=stop, tell=tell)
    else:
        EXECUTORS[name](host, ground, stop=stop)


def find_executor(on: str) -> str:
    """The name of the way that `on` names. Raises ConfigError for one that there is not, naming the nearest."""
    name = "ray" if ADDRESS.fullmatch(on) else on
    if name not in EXECUTORS and name != "auto":
        close = nearest(name, EXECUTORS) or "auto"
        raise ConfigError(f"on={on}: there is no such way to train a population. Did you mean {close}?")
    if name == "ray":
        require_ray()
    return name
