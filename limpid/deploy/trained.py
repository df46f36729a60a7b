"""A run's best network, ready to answer: rebuilt from run.json and filled from the newest valid checkpoint.

Nothing is unpickled: the architecture comes from the registry by name (or from the user, as a module), the weights from
safetensors bytes whose manifest verified.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from limpid.config import Config
from limpid.config_reader import config_from_dict
from limpid.errors import CheckpointError, ModelError
from limpid.models.ensemble import build_ensemble
from limpid.models.network import wrap_module
from limpid.models.registry import build_model
from limpid.objectives.objective import Objective
from limpid.objectives.registry import build_objective
from limpid.record.run import Run
from limpid.spec import DataSpec
from limpid.training.tensors import load_weights


@dataclass(frozen=True)
class Trained:
    """A network in evaluation mode with what it needs to be used: its spec, objective and configuration."""

    network: nn.Module
    spec: DataSpec
    objective: Objective
    config: Config
    run: Run
    step: int  # of the checkpoint that holds the weights
    module: nn.Module | None = None  # what the user gave in place of a name
    members: tuple[dict[str, Any], ...] = ()  # of an ensemble: architecture and data of each


def load_trained(run: Run | str | Path, *, module: nn.Module | None = None, device: str = "cpu") -> Trained:
    """The best weights of a run in its architecture.

    `module` is needed when the run trained a module of the user's own: the same architecture, with any weights.

    Raises:
        RecordError: `run` is not a run folder.
        CheckpointError: no checkpoint verifies, or its tensors do not fit.
        ModelError: the architecture cannot be rebuilt from its name.
    """
    run = run if isinstance(run, Run) else Run.open(Path(run))
    spec = DataSpec.model_validate(run.header["data"])
    config = config_from_dict(run.header["config"], origin=f"{run.path}/run.json")
    step, weights = best_weights(run)
    failed = {row["number"] for row in run.events("member") if row.get("state") == "failed"}
    described = enumerate(run.header.get("members") or (), 1)
    members = [one for place, one in described if one.get("number", place) not in failed]
    network = architecture(config, spec, module, members, where=str(run.path))
    fill(network, weights, where=f"{run.path}, checkpoint of step {step}")
    objective = build_objective(config.objective, spec)
    network = network.to(device).eval().requires_grad_(False)
    return Trained(network, spec, objective, config, run, step, module, tuple(members))


def best_weights(run: Run) -> tuple[int, dict[str, Tensor]]:
    """The step and tensors of the newest valid checkpoint: the best weights so far, or the last where none are kept."""
    checkpoint = run.latest_checkpoint()
    if checkpoint is None and run.header.get("kind") == "search":
        raise CheckpointError(f"{run.path} is a search; its winner is a run of its own: {run.path / 'best'}")
    if checkpoint is None:
        raise CheckpointError(f"{run.path} holds no valid checkpoint, so there are no weights. Train or resume it.")
    return checkpoint.step, load_weights(checkpoint)


def architecture(
    config: Config,
    spec: DataSpec,
    module: nn.Module | None,
    members: Sequence[Mapping[str, Any]] = (),
    *,
    where: str,
) -> nn.Module:
    """The network that the configuration names, or a copy of the user's module, behind the scaling of raw inputs.

    With `members`, as run.json lists them, an ensemble of their architectures.
    """
    if members:
        models = [config_from_dict({"model": member["model"]}, origin=where).model for member in members]
        specs = [DataSpec.model_validate(member["data"]) for member in members]
        return build_ensemble(list(zip(models, specs, strict=True)), spec)
    if module is not None:
        return wrap_module(copy.deepcopy(module), spec)
    name = config.model.name
    if name.startswith("module:"):
        raise ModelError(
            f"{where} trained a module of your own ({name.removeprefix('module:')}), which cannot be rebuilt from its "
            "name. Give an instance of it, with any weights: module=YourModule(...)."
        )
    without_download = config.model.model_copy(update={"pretrained": False})
    return build_model(without_download, spec, seed=config.training.seed)


def fill(network: nn.Module, weights: dict[str, Tensor], *, where: str) -> None:
    """Copy `weights` into `network`; CheckpointError names the tensors that do not fit."""
    own = network.state_dict()
    problems: list[str] = [f"{name} is missing" for name in own.keys() - weights.keys()]
    problems += [f"{name} is not part of the model" for name in weights.keys() - own.keys()]
    problems += [
        f"{name} has shape {tuple(weights[name].shape)}, the model expects {tuple(own[name].shape)}"
        for name in own.keys() & weights.keys()
        if own[name].shape != weights[name].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:5]) + ("; ..." if len(problems) > 5 else "")
        raise CheckpointError(f"{where}: the weights do not fit the model: {shown}.")
    network.load_state_dict(weights)
