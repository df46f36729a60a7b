"""Finished runs made by hand: a real spec, a network with random weights, one checkpoint. Nothing is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import save
from torch import nn

from limpid.config import Config
from limpid.config_reader import config_from_dict
from limpid.models.network import wrap_module
from limpid.models.registry import build_model
from limpid.objectives.objective import Objective
from limpid.objectives.registry import build_objective
from limpid.record.run import Run
from limpid.spec import DataSpec


class Made(NamedTuple):
    """A run folder and the live network whose weights it holds."""

    path: Path
    network: nn.Module
    objective: Objective
    spec: DataSpec
    config: Config


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Made]:
    """`make_run(spec, model="mlp", module=None, weights="best.safetensors")` writes a run and returns it."""

    def make(
        spec: DataSpec, *, model: str = "mlp", module: nn.Module | None = None, weights: str = "best.safetensors"
    ) -> Made:
        name = model if module is None else f"module:{type(module).__name__}"
        widths = {"hidden": [8]} if name == "mlp" else {}
        values: dict[str, Any] = {"model": {"name": name, "norm": "none", "dropout": 0.0, **widths}}
        config = config_from_dict(values)
        network = build_model(config.model, spec, seed=5) if module is None else wrap_module(module, spec)
        generator = torch.Generator().manual_seed(1)
        for parameter in network.parameters():  # strong enough that answers differ from sample to sample
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.5
        header = {"config": config.model_dump(mode="json"), "data": spec.model_dump(mode="json")}
        path = tmp_path / "run"
        with Run.create(path, header) as run:
            state = {key: tensor.clone() for key, tensor in network.state_dict().items()}  # tied ones apart
            stale = {key: torch.zeros_like(tensor) for key, tensor in network.state_dict().items()}
            files = {"model.safetensors": save(stale), weights: save(state), "state.json": b"{}"}
            run.write_checkpoint(10, files, keep=1)
        return Made(path, network.eval(), build_objective(config.objective, spec), spec, config)

    return make
