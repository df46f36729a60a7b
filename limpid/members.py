"""The members of an ensemble, trained one after another by the loop that trains a single network.

    bagging    every member sees a bootstrap resample of the training rows, from first weights of its own
    seeds      every member sees all rows, and differs by its first weights and the order of the rows
    snapshot   one training in M cycles, each with a rate that falls to zero; a member is what each cycle ends with

Each member is a run of its own in the folder members/ of the ensemble's run, so that an interrupted training goes on
inside the member that it was in. (Breiman 1996; Lakshminarayanan et al. 2017; Huang et al. 2017, arXiv 1704.00109.)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from limpid.config import Config, RecordConfig
from limpid.data.bootstrap import bootstrap_index, resample
from limpid.data.dataset import Dataset
from limpid.deploy.trained import load_trained
from limpid.errors import ConfigError
from limpid.models.ensemble import as_network, build_ensemble
from limpid.models.network import Network
from limpid.record.run import Run
from limpid.spec import DataSpec
from limpid.start import Start, load_start
from limpid.training.checkpoint import TrainingState, decode, encode
from limpid.training.loop import fit
from limpid.training.position import Position
from limpid.training.randomness import own_randomness
from limpid.training.signals import StopRequest
from limpid.training.stopping import EarlyStopping
from limpid.training.tensors import BEST, encode_tensors
from limpid.wiring import Wiring, wire

FOLDER = "members"


@runtime_checkable
class Audience(Protocol):
    """An observer that wants to know whose epochs it is told."""

    def member(self, number: int, count: int, wiring: Wiring) -> None: ...


def as_ensemble(wiring: Wiring) -> Wiring:
    """The same run with `training.members` untrained networks as one in the place of its single network.

    Raises ConfigError for a module of the user's own, which cannot be built anew.
    """
    config, spec = wiring.config, wiring.dataset.spec
    if config.model.name.startswith("module:"):
        raise ConfigError(
            "training.members builds every member anew, which needs a named model; train modules of your own one by "
            "one, and join their runs with `limpid ensemble`."
        )
    members = [(config.model, spec)] * config.training.members
    network = build_ensemble(members, spec).to(wiring.plan.device)
    return replace(wiring, network=network, members=[_described(config, spec)] * config.training.members)


def fit_members(wiring: Wiring, run: Run, observer: Any, *, stop: StopRequest) -> Position:
    """Train what is missing of the members, fill them into the ensemble's network, and keep its weights.

    The members of joined runs are trained already, and in the network.

    Raises NonFiniteLoss or Stopped, as a single training does; what is finished of the members stays.
    """
    total = Position(EarlyStopping(wiring.plan.higher_is_better))
    if any("run" in member for member in wiring.members):
        return _keep(wiring, run, total)
    count = wiring.config.training.members
    networks: list[Network] = []
    start = load_start(wiring.config.model.start) if wiring.config.model.start else None
    known = {row["number"] for row in run.events("member")}
    for number in range(1, count + 1):
        folder = run.path / FOLDER / f"{number:0{len(str(count))}}"
        member = _wire_member(wiring, number, start)
        if isinstance(observer, Audience):
            observer.member(number, count, member)
        position = _fit_member(member, run, folder, observer, stop=stop)
        if wiring.config.training.ensemble == "snapshot":
            weights = {name: tensor.detach().cpu().clone() for name, tensor in member.network.state_dict().items()}
            start = Start(str(folder), weights, None)
        networks.append(member.network)
        total.step, total.epoch = total.step + position.step, total.epoch + position.epoch
        total.samples, total.seconds = total.samples + position.samples, total.seconds + position.seconds
        if number not in known:
            figure = position.figures[-1] if position.figures else None
            path = str(folder.relative_to(run.path))
            run.add("member", number=number, path=path, step=total.step, figure=figure, monitor=wiring.plan.monitor)
    ensemble = as_network(networks, wiring.dataset.spec)
    wiring.network.load_state_dict(ensemble.state_dict())
    return _keep(wiring, run, total)


def _keep(wiring: Wiring, run: Run, total: Position) -> Position:
    """Write the weights of the ensemble as the one checkpoint of its run."""
    total.finished = True
    run.write_checkpoint(total.step, {BEST: encode_tensors(wiring.network.state_dict())}, keep=1)
    run.add("checkpoint", step=total.step, epoch=total.epoch)
    return total


def _wire_member(wiring: Wiring, number: int, start: Start | None) -> Wiring:
    config, dataset = wiring.config, wiring.dataset
    training = {"members": 1, "seed": config.training.seed}
    model = config.model.model_copy(update={"start": None})
    if config.training.ensemble == "snapshot":
        assert config.training.epochs is not None
        training["epochs"] = -(-config.training.epochs // config.training.members)
        if config.training.steps is not None:
            training["steps"] = -(-config.training.steps // config.training.members)
        training["restore_best"] = False
    training["seed"] = (config.training.seed + number - 1) % 2**31
    if config.training.ensemble == "bagging":
        dataset = _resampled(dataset, seed=training["seed"])
    sections = {"model": model, "record": RecordConfig(report=False)}
    sections["training"] = config.training.model_copy(update=training)
    return wire(config.model_copy(update=sections), dataset, start=start)


def _resampled(dataset: Dataset, *, seed: int) -> Dataset:
    return replace(dataset, train=resample(dataset.train, bootstrap_index(len(dataset.train), seed)))


def _fit_member(wiring: Wiring, parent: Run, folder: Path, observer: Any, *, stop: StopRequest) -> Position:
    """Train one member in its folder, or take up where it was left; a finished one is read."""
    run, state = _open(wiring, parent, folder)
    with run:
        if state is not None and state.progress["finished"]:
            wiring.network.load_state_dict(state.best or state.model)
            return Position.from_dict(state.progress)

        def save(state: TrainingState) -> None:
            run.write_checkpoint(state.progress["step"], encode(state), keep=wiring.config.training.keep)

        with own_randomness(wiring.config.training.seed), wiring.fast_roads():
            position = fit(wiring.parts, wiring.plan, run, observer, save=save, resume=state, stop=stop)
        run.add("end", status="finished", reason="trained as a member", step=position.step, seconds=position.seconds)
        return position


def _open(wiring: Wiring, parent: Run, folder: Path) -> tuple[Run, TrainingState | None]:
    if not (folder / "run.json").exists():
        created = {key: parent.header[key] for key in ("created", "limpid") if key in parent.header}
        return Run.create(folder, created | wiring.header(wiring.config)), None
    run = Run.open(folder, write=True)
    checkpoint = run.latest_checkpoint()
    run.truncate_after(checkpoint.step if checkpoint else -1)
    return run, decode(checkpoint) if checkpoint else None


def join(wiring: Wiring, runs: list[Run]) -> Wiring:
    """The networks of finished runs, of any architectures, as one; `wiring` is that of the first run and its data.

    Raises ConfigError when they do not answer the same question about the same inputs.
    """
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
    network = as_network([other.network for other in trained], spec)
    described = [{**_described(other.config, other.spec), "run": str(other.run.path)} for other in trained]
    return replace(wiring, network=network, members=described)


def _described(config: Config, spec: DataSpec) -> dict[str, Any]:
    """What run.json says of a member: enough to build it again."""
    return {"model": config.model.model_dump(mode="json"), "data": spec.model_dump(mode="json")}
