"""The data that members share: read once for each way to read them, split by the population's seed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.data.bootstrap import bootstrap_index, resample
from limpid.data.dataset import Dataset
from limpid.models.transfer import copy_where_equal
from limpid.opening import read_data, reads_codes, reads_tokens
from limpid.population.member import Member
from limpid.population.memory import memory_suffices
from limpid.start import load_start
from limpid.wiring import Wiring, wire

DRAWN_ANEW = ("init", "bias_init", "embedding_init", "activation", "start")  # options of model that are first weights


class Ground:
    """Data sets of one source, without their test splits: no member ever sees one.

    Args:
        source: of the data, where they were handed over in Python or not as config.data.source says.
        y: targets, where they were handed over beside it.
        seed: of the split, the same for every member.
    """

    def __init__(self, source: Any = None, y: Any = None, *, seed: int = 0) -> None:
        self.source, self.y, self.seed = source, y, seed
        self._datasets: dict[str, Dataset] = {}
        self._tested: dict[str, Dataset] = {}

    def dataset(self, config: Config) -> Dataset:
        """The data as this configuration reads them. Raises DataError when they cannot be used."""
        key = _way_to_read(config)
        if key not in self._datasets:
            source = config.data.source if self.source is None else self.source
            self.hold(config, read_data(source, with_options(config, {"seed": self.seed}), self.y, None))
        return self._datasets[key]

    def tested(self, config: Config) -> Dataset:
        """The same with its test split: for the one network that was chosen among all members."""
        self.dataset(config)
        return self._tested[_way_to_read(config)]

    def hold(self, config: Config, dataset: Dataset) -> None:
        """Take a data set that was read elsewhere as what this configuration reads."""
        self._tested[_way_to_read(config)] = dataset
        self._datasets[_way_to_read(config)] = replace(dataset, make_test=lambda: None)

    def wiring(self, member: Member) -> Wiring:
        """The parts of one member. Raises a LimpidError where it cannot be built, or does not fit in memory."""
        config, dataset = member.config, self.dataset(member.config)
        if member.bootstrap is not None:
            index_N = bootstrap_index(len(dataset.train), member.bootstrap)
            dataset = replace(dataset, train=resample(dataset.train, index_N))
        with memory_suffices():
            start = load_start(config.model.start) if config.model.start else None
            wiring = wire(config, dataset, start=start)
            if _takes_over(member):
                assert member.like is not None
                like = with_options(member.like, {"seed": config.training.seed})
                copy_where_equal(wire(like, dataset, start=start).network, wiring.network)
            return wiring


def _takes_over(member: Member) -> bool:
    """Whether first weights of a member are those of the network that it is compared with."""
    like, config = member.like, member.config
    if like is None or like.model == config.model or _way_to_read(like) != _way_to_read(config):
        return False
    return all(getattr(like.model, key) == getattr(config.model, key) for key in DRAWN_ANEW)


def _way_to_read(config: Config) -> str:
    """Equal for configurations that read a source alike."""
    return json.dumps([config.data.model_dump(mode="json"), reads_codes(config), reads_tokens(config)], sort_keys=True)
