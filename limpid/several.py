"""Networks of several configurations on one source, for those who want a population without a search or a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from limpid.config import Config, RecordConfig
from limpid.config_reader import with_options
from limpid.errors import ConfigError
from limpid.fork_server import expect_workers
from limpid.models.ensemble import as_network
from limpid.objectives.metrics import LOWER_IS_BETTER
from limpid.opening import new_run, refuse_early
from limpid.population.executors import find_executor, train_population
from limpid.population.ground import Ground
from limpid.population.host import Listed
from limpid.population.lineup import describe, is_population, specs_of
from limpid.population.member import Member, Outcome
from limpid.record.run import Run
from limpid.training.signals import StopRequest
from limpid.wiring import wire
from limpid.workbench import execute


class Population:
    """Networks of several configurations, trained beside one another on the same splits of one source.

        population = limpid.Population("digits", [{"lr": 0.001}, {"lr": 0.01}], model__name="mlp", epochs=5)
        population.train()
        population.best.figure, population.configs[population.best.number]
        run = population.ensemble(out="runs/both")

    Args:
        source: data, as `limpid.train` takes them; None: data.source of the configurations.
        configs: one for each network: a `Config`, or what it sets beyond the options that all have.
        y: targets, if `source` holds only the inputs.
        seed: of the split, the same for all; first weights and order of the rows follow a configuration's own seed.
        **options: that all of them have.

    Attributes:
        configs: of the networks, by number.
        outcomes: what came of each, by number, once `train` has ended: state, figures and weights.

    Raises ConfigError for an unknown option, and for a configuration that asks for several networks itself.
    """

    def __init__(
        self,
        source: Any,
        configs: Iterable[Config | Mapping[str, Any]],
        *,
        y: Any = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        named = isinstance(source, str | Path)
        shared = {"training__seed": seed, **options} | ({"data__source": str(source)} if named else {})
        base = with_options(Config(), shared)
        of_source = {"data__source": str(source)} if named else {}
        self.configs = [
            with_options(one, of_source) if isinstance(one, Config) else with_options(base, one) for one in configs
        ]
        for number, config in enumerate(self.configs):
            if is_population(config):
                raise ConfigError(f"configs[{number}] asks for several networks; each configuration is one network.")
        if not self.configs:
            raise ConfigError("configs holds no configuration; give one for each network.")
        expect_workers("auto", len(self.configs))
        self.outcomes: list[Outcome] = []
        self._ground = Ground(None if named else source, y, seed=seed)

    def train(self, *, on: str = "auto") -> list[Outcome]:
        """Train every network; one that fails is an outcome with a reason, and no exception.

        Args:
            on: auto, stacked, stacks, processes, one-by-one, ray, or the address of a Ray cluster.

        Raises DataError or ConfigError where the data cannot be read, Stopped on Ctrl-C or SIGTERM.
        """
        find_executor(on)
        self._ground.dataset(self.configs[0])
        host = Listed(Member(number, config) for number, config in enumerate(self.configs))
        with StopRequest() as stop:
            train_population(host, self._ground, on=on, stop=stop)
        self.outcomes = [host.outcomes[number] for number in sorted(host.outcomes)]
        return self.outcomes

    @property
    def best(self) -> Outcome:
        """The outcome with the best validation figure.

        Raises ConfigError before `train`, where no network finished, and where they were judged by different figures.
        """
        finished = [one for one in self.outcomes if one.state == "finished" and math.isfinite(one.figure)]
        if not finished:
            raise ConfigError("No network of this population has finished; call train() first, and see outcomes.")
        if len({one.monitor for one in finished}) > 1:
            names = ", ".join(sorted({one.monitor for one in finished}))
            raise ConfigError(f"The networks were judged by different figures: {names}. Set training__monitor for all.")
        lower = finished[0].monitor in LOWER_IS_BETTER
        return min(finished, key=lambda one: one.figure if lower else -one.figure)

    def ensemble(self, out: str | Path | None = None) -> Run:
        """The mean of the finished networks as the one network of a new run; the test split is read for it, once.

        Raises ConfigError before `train`, ModelError where the networks have learned different questions.
        """
        finished = [one for one in self.outcomes if one.weights is not None]
        if not finished:
            raise ConfigError("No network of this population has finished; call train() first, and see outcomes.")
        networks, described = [], []
        for outcome in finished:
            own = self._ground.wiring(Member(outcome.number, self.configs[outcome.number]))
            own.network.load_state_dict(dict(outcome.weights or {}))
            networks.append(own.network)
            described.append(describe(own.config, own.dataset.spec, number=outcome.number + 1))
        config = self.configs[finished[0].number]
        record = RecordConfig(out=None if out is None else str(out), report=config.record.report)
        config = config.model_copy(update={"record": record})
        refuse_early(record)
        wiring = wire(config, self._ground.tested(config))
        whole = as_network(networks, wiring.dataset.spec, specs_of(described)).to(wiring.plan.device)
        wiring = replace(wiring, network=whole, members=described)
        return execute(wiring, new_run(wiring, config), None, None)
