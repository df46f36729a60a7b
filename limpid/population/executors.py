"""The ways to train a population, by name."""

from __future__ import annotations

from limpid.errors import ConfigError, nearest
from limpid.population.ground import Ground
from limpid.population.host import Host
from limpid.population.one_by_one import train_one_by_one
from limpid.population.processes import train_in_processes
from limpid.population.stack import train_stacked
from limpid.training.signals import StopRequest

EXECUTORS = {"stacked": train_stacked, "one-by-one": train_one_by_one, "processes": train_in_processes}


def train_population(host: Host, ground: Ground, *, on: str = "auto", stop: StopRequest | None = None) -> None:
    """Train every member that the host asks for, in the way that `on` names.

    Raises ConfigError for a way that there is not, Stopped when `stop` asks for it.
    """
    EXECUTORS[find_executor(on)](host, ground, stop=stop)


def find_executor(on: str) -> str:
    """The name of the way that `on` names. Raises ConfigError for one that there is not, naming the nearest."""
    name = "one-by-one" if on == "auto" else on
    if name not in EXECUTORS:
        close = nearest(name, EXECUTORS) or "auto"
        raise ConfigError(f"on={on}: there is no such way to train a population. Did you mean {close}?")
    return name
