"""Which members a run trains beside one another, and which of them answer as one.

    bagging    every member sees a bootstrap resample of the training rows, from first weights of its own
    seeds      every member sees all rows, and differs by its first weights and the order of the rows
    snapshot   one training in M cycles, each with a rate that falls to zero; a member is what each cycle ends with
    folds      every member validates on another part of all rows but the test's, and trains on the others
    sizes      seeds on growing parts of the training rows; those on the largest part answer

Breiman 1996; Lakshminarayanan et al. 2017; Huang et al. 2017, arXiv 1704.00109.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from limpid.catalogue.losses import LOSSES
from limpid.config import Config, ModelConfig, RecordConfig
from limpid.errors import ConfigError
from limpid.fork_server import expect_workers
from limpid.models.ensemble import build_ensemble
from limpid.population.executors import find_executor
from limpid.population.ground import Ground
from limpid.population.member import Member
from limpid.spec import DataSpec
from limpid.wiring import Wiring

FORM = {"series": ("window", "horizon"), "text": ("context",)}  # of samples: the same for all folds


@dataclass(frozen=True)
class Lineup:
    """The members of a run, in the order of their numbers from 0, their data, and the numbers of those that answer."""

    members: tuple[Member, ...]
    ground: Ground
    answering: tuple[int, ...]
    header: dict[str, Any]  # what run.json would say of a member with the data and the architecture of the run

    def header_of(self, member: Member) -> dict[str, Any]:
        """What run.json says of one member."""
        if not _shares_parts(member, self.header["config"]):
            return self.ground.wiring(member).header(member.config)
        config = member.config.model_dump(mode="json")
        return {**self.header, "config": config, "given": config, "seed": member.config.training.seed}


def is_population(config: Config) -> bool:
    """Whether such a run trains several networks."""
    return config.training.members > 1 or bool(config.training.sizes)


def line_up(wiring: Wiring, given: Config, source: Any, y: Any) -> tuple[Wiring, Lineup | None]:
    """The members that a run asks for, and the run with those that answer as its network, untrained.

    A run of a single network comes back as it is, without a lineup.

    Args:
        wiring: of the run as if it were a single training.
        given: its configuration as the user gave it.
        source, y: its data, where they were handed over in Python.

    Raises ConfigError for a module of the user's own, which cannot be built anew, and for kinds that exclude another;
    ModelError or DataError where a member cannot be built.
    """
    training = wiring.config.training
    if not is_population(wiring.config):
        return wiring, None
    if wiring.config.model.name.startswith("module:"):
        raise ConfigError(
            "training.members builds every member anew, which needs a named model; train modules of your own one by "
            "one, and join their runs with `limpid ensemble`."
        )
    if training.sizes and training.ensemble != "seeds":
        raise ConfigError(f"training.sizes goes with training.ensemble = seeds, not with {training.ensemble}.")
    if (training.ensemble == "folds") != (wiring.config.data.fold == f"0/{training.members}"):
        raise ConfigError(
            f"training.ensemble = folds goes with data.fold = 0/{training.members}, for as many members; --folds "
            f"{training.members} sets all three. To train one fold alone, leave training.members at 1."
        )
    find_executor(training.on)
    expect_workers(training.on, training.members)
    named = source is None or isinstance(source, str | Path | Config)
    ground = Ground(None if named else source, y, seed=training.seed)
    ground.hold(wiring.config, wiring.dataset)
    members = _of_sizes(wiring, given) if training.sizes else _of_folds(wiring, given) or _of_seeds(wiring)
    last = len(members) - training.members
    answering = tuple(range(last, len(members)))
    lineup = Lineup(tuple(members), ground, answering, wiring.header(wiring.config))
    described = [_describe(members[number], lineup, wiring) for number in answering]
    built = [(ModelConfig.model_validate(one["model"]), specs_of([one])[0]) for one in described]
    network = build_ensemble(built, wiring.dataset.spec).to(wiring.plan.device)
    return replace(wiring, network=network, members=described), lineup


def describe(config: Config, spec: DataSpec, **more: Any) -> dict[str, Any]:
    """What run.json says of a member: enough to build it again, and to translate its answers into another's unit."""
    part = LOSSES[config.objective.loss]
    if not config.objective.standardise or part.log_rate:  # such answers are in the target's own unit
        spec = spec.model_copy(update={"target_mean": (), "target_std": ()})
    return {**more, "model": config.model.model_dump(mode="json"), "data": spec.model_dump(mode="json")}


def specs_of(described: Sequence[dict[str, Any]]) -> list[DataSpec]:
    """The data of members as run.json tells them."""
    return [DataSpec.model_validate(one["data"]) for one in described]


def _describe(member: Member, lineup: Lineup, wiring: Wiring) -> dict[str, Any]:
    if _shares_parts(member, lineup.header["config"]):
        return describe(wiring.config, wiring.dataset.spec, number=member.number + 1)
    own = lineup.ground.wiring(member)
    return describe(own.config, own.dataset.spec, number=member.number + 1)


def _shares_parts(member: Member, config: dict[str, Any]) -> bool:
    """Whether a member has the data and the architecture of the whole run, so that only its training differs."""
    mine = member.config.model_dump(mode="json", include={"data", "model"})
    same = {key: value for key, value in mine["model"].items() if key != "start"}
    return mine["data"] == config["data"] and all(config["model"][key] == value for key, value in same.items())


def _of_seeds(wiring: Wiring) -> list[Member]:
    config = wiring.config
    training = {"seed": config.training.seed, "members": 1}
    if config.training.ensemble == "snapshot":
        assert config.training.epochs is not None
        training["epochs"] = -(-config.training.epochs // config.training.members)
        if config.training.steps is not None:
            training["steps"] = -(-config.training.steps // config.training.members)
        training["restore_best"] = False
    members = []
    for number in range(config.training.members):
        seed = training["seed"] = _seed(config, number)
        bootstrap = seed if config.training.ensemble == "bagging" else None
        members.append(Member(number, _alone(config, config.training.model_copy(update=training)), bootstrap))
    return members


def _of_folds(wiring: Wiring, given: Config) -> list[Member]:
    if wiring.config.training.ensemble != "folds":
        return []
    count = wiring.config.training.members
    alone, read = _as_given(wiring, given), wiring.dataset.spec.preparation
    form = {key: read[key] for key in FORM.get(wiring.dataset.spec.kind, ()) if key in read}
    folds = [{"fold": f"{k + 1}/{count}"} | form for k in range(count)]
    configs = [alone.model_copy(update={"data": given.data.model_copy(update=fold)}) for fold in folds]
    return [Member(k, config) for k, config in enumerate(configs)]


def _of_sizes(wiring: Wiring, given: Config) -> list[Member]:
    members: list[Member] = []
    for share in sorted(set(wiring.config.training.sizes)):
        for draw in range(wiring.config.training.members):
            alone = _as_given(wiring, given)
            data = {} if share == 1.0 else {"train_share": share, "train_draw": draw}
            sections = {
                "data": given.data.model_copy(update=data),
                "training": alone.training.model_copy(update={"seed": _seed(wiring.config, draw)}),
            }
            members.append(Member(len(members), alone.model_copy(update=sections)))
    return members


def _as_given(wiring: Wiring, given: Config) -> Config:
    """One network with what the user gave, and with what was measured on this machine."""
    measured = {"precision": wiring.config.training.precision, "matmul": wiring.config.training.matmul}
    alone = {"members": 1, "ensemble": Config().training.ensemble, "sizes": (), **measured}
    return _alone(given, given.training.model_copy(update=alone))


def _alone(config: Config, training: Any) -> Config:
    return config.model_copy(update={"training": training, "record": RecordConfig(report=False)})


def _seed(config: Config, number: int) -> int:
    return (config.training.seed + number) % 2**31
