"""Runs that were trained apart, joined as one network: the mean of their answers."""

from __future__ import annotations

from dataclasses import replace

from limpid.deploy.trained import load_trained
from limpid.errors import ConfigError
from limpid.models.ensemble import as_network
from limpid.population.lineup import describe, specs_of
from limpid.record.run import Run
from limpid.wiring import Wiring


def join(wiring: Wiring, runs: list[Run]) -> Wiring:
    """The networks of finished runs, of any architectures, as one; `wiring` is that of the first run and its data.

    Raises ConfigError when they do not answer the same question about the same inputs.
    """
    ids = [run.header["id"] for run in runs]
    twice = next((run.path for run in runs if ids.count(run.header["id"]) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is given twice; the mean with itself is the network itself. Name each run once.")
    spec = wiring.dataset.spec
    trained = [load_trained(run, device=str(wiring.plan.device)) for run in runs]
    for other in trained:
        if other.run.header.get("members"):
            raise ConfigError(f"{other.run.path} is an ensemble itself; give the runs of its folder members/.")
        for key in ("kind", "task", "input_shape", "num_outputs", "classes", "target_names", "feature_names"):
            mine, theirs = getattr(spec, key), getattr(other.spec, key)
            if mine != theirs:
                raise ConfigError(
                    f"{other.run.path} cannot join: its {key} is {theirs!r}, and that of {runs[0].path} is {mine!r}. "
                    "Members must have learned the same question."
                )
    described = [describe(other.config, other.spec, run=str(other.run.path)) for other in trained]
    network = as_network([other.network for other in trained], spec, specs_of(described)).to(wiring.plan.device)
    return replace(wiring, network=network, members=described)
