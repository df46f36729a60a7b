"""The state of training as the files of a checkpoint, and back, bit for bit.

    model.safetensors      weights and buffers, as they are trained
    best.safetensors       the weights to use, once there are some
    training.safetensors   tensors of the optimiser, the weight average and the random generators
    state.json             everything else; {"$tensor": name} stands for a tensor of training.safetensors

Optimiser state is kept by the names of parameters, not by their numbers, so that it cannot silently land on others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from limpid.errors import CheckpointError, RecordError
from limpid.record.checkpoints import Checkpoint
from limpid.record.strict_json import parse_json
from limpid.training.randomness import capture_random, restore_random
from limpid.training.tensors import BEST, MODEL, decode_tensors, encode_tensors, load_weights, state_digest

__all__ = ["TrainingState", "capture", "decode", "encode", "load_weights", "restore", "state_digest"]

FORMAT = 1
TRAINING, STATE = "training.safetensors", "state.json"
PLAIN = (int, float, str)  # states of generators are thousands of these


class Average(Protocol):
    """A moving average of weights that can be saved: tensors and plain values in a tree of dicts."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class TrainingState:
    """Everything that the rest of a run depends on.

    `optimizer` is {"state": {parameter name: {key: tensor or number}}, "groups": [{"params": [names], option: value}]}.
    `progress` is whatever the loop wants of JSON: text keys, lists, exact floats (NaN and infinity included).
    """

    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    average: dict[str, Any] | None
    best: dict[str, Tensor] | None
    rng: dict[str, Any]
    progress: dict[str, Any]


def capture(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Average | None,
    best: dict[str, Tensor] | None,
    progress: dict[str, Any],
) -> TrainingState:
    """Collect the state without copying it: encode it before the next step. Gradients are not part of it.

    Raises CheckpointError when the model keeps state that is not a tensor.
    """
    weights = model.state_dict()
    for name, value in weights.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(
                f"{name}: the model keeps a {type(value).__name__} there as extra state, which a checkpoint cannot "
                "hold. Make it a buffer (register_buffer)."
            )
    return TrainingState(
        model=weights,
        optimizer=_optimizer_by_name(model, optimizer),
        average=None if average is None else average.state_dict(),
        best=best,
        rng=capture_random(),
        progress=progress,
    )


def restore(state: TrainingState, model: nn.Module, optimizer: torch.optim.Optimizer, average: Average | None) -> None:
    """Put a state into freshly built parts of the same run; the random generators come last.

    Everything is compared first. Raises CheckpointError naming the first tensor or option that does not fit, with
    nothing changed.
    """
    _require_same(model.state_dict(), state.model, "the model")
    if state.best is not None:
        _require_same(model.state_dict(), state.best, "the best weights")
    saved_average = state.average
    if (saved_average is None) != (average is None):
        has, wants = ("none", "averaged weights") if saved_average is None else ("averaged weights", "none")
        raise CheckpointError(f"The checkpoint holds {has}, this run expects {wants}: optim.ema was changed.")
    if average is not None:
        _require_same(_tensors_of(average.state_dict()), _tensors_of(saved_average), "the averaged weights")
    parameters = _require_same_optimizer(state.optimizer, model, optimizer)

    model.load_state_dict(state.model)
    _restore_optimizer(state.optimizer, parameters, optimizer)
    if average is not None and saved_average is not None:
        average.load_state_dict(saved_average)
    restore_random(state.rng)


def encode(state: TrainingState) -> dict[str, bytes]:
    """The files of a checkpoint, by name."""
    tensors: dict[str, Tensor] = {}
    values = {
        "format": FORMAT,
        "optimizer": _pack(state.optimizer, "optimizer", tensors),
        "average": _pack(state.average, "average", tensors),
        "rng": _pack(state.rng, "rng", tensors),
        "progress": state.progress,
    }
    contents = {
        MODEL: encode_tensors(state.model),
        TRAINING: encode_tensors(tensors),
        STATE: json.dumps(values).encode(),
    }
    if state.best is not None:
        contents[BEST] = encode_tensors(state.best)
    return contents


def decode(checkpoint: Checkpoint) -> TrainingState:
    """The state of a checkpoint, its tensors on the CPU. Raises CheckpointError naming the file that is not right."""
    origin = str(checkpoint.path / STATE)
    tensors = decode_tensors(checkpoint.read(TRAINING), str(checkpoint.path / TRAINING))
    try:
        values = parse_json(checkpoint.read(STATE), origin)
        if values.get("format") != FORMAT:
            raise CheckpointError(f"{origin}: format {values.get('format')!r}; this version reads {FORMAT}.")
        return TrainingState(
            model=decode_tensors(checkpoint.read(MODEL), str(checkpoint.path / MODEL)),
            optimizer=_unpack(values["optimizer"], tensors),
            average=_unpack(values["average"], tensors),
            best=decode_tensors(checkpoint.read(BEST), str(checkpoint.path / BEST))
            if BEST in checkpoint.files
            else None,
            rng=_unpack(values["rng"], tensors),
            progress=values["progress"],
        )
    except KeyError as error:
        raise CheckpointError(f"{origin} is damaged: {error} is missing.") from None
    except CheckpointError:
        raise
    except RecordError as error:
        raise CheckpointError(str(error)) from None


def _optimizer_by_name(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = []
    for group in optimizer.param_groups:
        assert all(id(parameter) in names for parameter in group["params"]), "the optimiser moves another model"
        groups.append({**group, "params": [names[id(parameter)] for parameter in group["params"]]})
    state = {names[id(parameter)]: dict(values) for parameter, values in optimizer.state.items()}
    return {"state": state, "groups": groups}


def _require_same_optimizer(
    saved: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, nn.Parameter]:
    """The parameters by name, after comparing groups, options and shapes with the saved ones."""
    present = _optimizer_by_name(model, optimizer)
    if len(saved["groups"]) != len(present["groups"]):
        raise CheckpointError(
            f"The checkpoint's optimiser has {len(saved['groups'])} groups of parameters, this one "
            f"{len(present['groups'])}."
        )
    for number, (was, now) in enumerate(zip(saved["groups"], present["groups"], strict=True)):
        if was["params"] != now["params"]:
            other = sorted({*was["params"]} ^ {*now["params"]}) or ["their order"]
            raise CheckpointError(f"Group {number} of the optimiser holds other parameters now: {other[0]} differs.")
        if {*was} != {*now}:
            raise CheckpointError(
                f"The checkpoint was made by another optimiser: option {min({*was} ^ {*now})} is not in both."
            )
    parameters = dict(model.named_parameters())
    for name, values in saved["state"].items():
        if name not in parameters:
            raise CheckpointError(f"The optimiser's state is for {name}, which the model does not have.")
        for key, value in values.items():
            if isinstance(value, Tensor) and value.ndim and not _spans(value, parameters[name]):
                raise CheckpointError(
                    f"The optimiser's {key} of {name}: expected shape {tuple(parameters[name].shape)}, "
                    f"found {tuple(value.shape)}."
                )
    return parameters


def _restore_optimizer(
    saved: dict[str, Any], parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """Fill groups and state.

    torch's own load_state_dict is not used: it leaves moments in the layout they were stored in, and the fused
    optimisers then silently update wrong elements of a channels-last weight.
    """
    step_on_device = set()
    for group, values in zip(optimizer.param_groups, saved["groups"], strict=True):
        for option, value in values.items():
            now = group[option]
            if isinstance(now, Tensor):  # a learning rate that a compiled step reads: keep the tensor
                now.copy_(value)
            elif option != "params":
                group[option] = tuple(value) if isinstance(now, tuple) else value
        if group.get("fused") or group.get("capturable"):
            step_on_device.update(values["params"])
    optimizer.state.clear()
    for name, values in saved["state"].items():
        parameter = parameters[name]
        optimizer.state[parameter] = {
            key: _placed(value, parameter, name in step_on_device) if isinstance(value, Tensor) else value
            for key, value in values.items()
        }


def _spans(value: Tensor, parameter: Tensor) -> bool:
    """Whether a tensor has the parameter's sizes, or 1 where it stands for a whole row or column (Adafactor)."""
    sizes = zip(value.shape, parameter.shape, strict=False)
    return value.ndim == parameter.ndim and all(size in (1, whole) for size, whole in sizes)


def _placed(value: Tensor, parameter: nn.Parameter, step_on_device: bool) -> Tensor:
    """A tensor of the state where the optimiser expects it: moments laid out like their parameter, steps as scalars."""
    if value.ndim == 0 and parameter.ndim != 0:
        return value.to(parameter.device) if step_on_device else value.clone()
    if value.shape != parameter.shape:
        return value.to(parameter.device, copy=True)
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _require_same(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], what: str) -> None:
    """Names, shapes and dtypes of two sets of tensors must agree."""
    for name in [*expected, *found]:
        if name not in found:
            raise CheckpointError(f"The checkpoint does not fit {what}: it has no {name}.")
        if name not in expected:
            raise CheckpointError(f"The checkpoint does not fit {what}: it holds {name}, which is not there.")
        wants, has = expected[name], found[name]
        if wants.shape != has.shape or wants.dtype != has.dtype:
            raise CheckpointError(
                f"The checkpoint does not fit {what}: for {name}, expected {tuple(wants.shape)} of {wants.dtype}, "
                f"found {tuple(has.shape)} of {has.dtype}."
            )


def _tensors_of(tree: Any) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    _pack(tree, "", tensors)
    return tensors


def _pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A tree of plain values; its tensors move to `tensors`, named by the way to them."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"$tensor": name}
    if isinstance(value, Mapping):
        return {key: _pack(item, f"{name}:{key}", tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [
            item if isinstance(item, PLAIN) else _pack(item, f"{name}:{number}", tensors)
            for number, item in enumerate(value)
        ]
    return value


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if {*value} == {"$tensor"}:
            return tensors[value["$tensor"]]
        return {key: _unpack(item, tensors) for key, item in value.items()}
    return [_unpack(item, tensors) for item in value] if isinstance(value, list) else value
