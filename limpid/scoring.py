"""What the finished network is worth: the test split, read once, into rows and files of the run folder.

Shapes: N samples of the split, K classes.
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limpid.data.dataset import Split
from limpid.data.pixels import as_pictures
from limpid.device import cpu_rates
from limpid.models.ensemble import members_of
from limpid.objectives.objective import Objective
from limpid.record.files import write_file
from limpid.record.run import Run
from limpid.training.position import Position
from limpid.training.step import autocast, collect_outputs, train_step
from limpid.wiring import Wiring

MOST_PICTURES = 24  # images kept for the report


def score_run(wiring: Wiring, run: Run, position: Position) -> dict[str, Any] | None:
    """Score the held-out split with the best weights, and keep every prediction.

    That is the test split, read here and nowhere else; without one, the validation split. Each member of an ensemble
    is scored on it too, in a row "member_result". Returns the result row, or None when neither exists.
    """
    split, name = wiring.dataset.test(), "test"
    if split is None:
        split, name = wiring.dataset.valid, "valid"
    if split is None:
        run.add("note", text="There is neither a test nor a validation split, so there is no score.")
        return None
    outputs, target = answers(wiring, wiring.network, split)
    row = {
        "split": name,
        "step": position.kept_step,
        "epoch": position.kept_epoch,
        **figures_of(wiring.objective, outputs, target),
        "chance_loss": wiring.objective.chance(target),
    }
    write_predictions(run, "predictions.npz", wiring.objective, split, outputs, target)
    if wiring.dataset.spec.kind == "image":
        _write_pictures(run, split, wiring.objective.kept_losses(outputs, target))
    networks = members_of(wiring.network) if wiring.members else []
    for number, (described, member) in enumerate(zip(wiring.members, networks, strict=True)):
        own, _ = answers(wiring, member, split)
        figures = figures_of(wiring.objective, own, target)
        run.add("member_result", number=described.get("number", number + 1), split=name, **figures)
    run.add("result", **row)
    run.add("predictions", split=name, file="predictions.npz")
    return row


def answers(wiring: Wiring, network: nn.Module, split: Split) -> tuple[Tensor, Tensor]:
    """What the objective keeps of a network's outputs for the rows of a split, and their targets."""
    return collect_outputs(
        network,
        wiring.evaluation_loader(split).epoch(0),
        context=autocast(wiring.plan.device, wiring.plan.precision),
        keep=wiring.objective.keep,
    )


def figures_of(objective: Objective, outputs: Tensor, target: Tensor) -> dict[str, Any]:
    """Loss and every metric of these answers, and the interval of the headline one where there is any."""
    bounds = objective.interval(outputs, target)
    return {
        "n": len(target),
        "loss": objective.kept_loss(outputs, target).item(),
        **objective.metrics(outputs, target),
        "interval": {objective.score: list(bounds)} if all(map(math.isfinite, bounds)) else {},
        "score": objective.score,
    }


def throughput(wiring: Wiring, position: Position, seconds_total: float) -> dict[str, Any]:
    """How fast it trained, and how fast the multiply-adds alone would have gone at this CPU's measured rate.

    A training step costs three passes of two operations per multiply-add: forward, gradient of the inputs, gradient
    of the weights. The rates are those of limpid.device; on a GPU the floor is not measured, and for a family with a
    step of its own there is none.
    """
    samples = position.samples
    row = {
        "samples_per_second": samples / max(position.seconds, 1e-9),
        "seconds_training": position.seconds,
        "seconds_total": seconds_total,
    }
    if wiring.plan.device.type == "cpu" and samples and wiring.parts.step is train_step:
        floor = 1.0 / max(_floor_seconds(wiring), 1e-12)
        row |= {"floor_samples_per_second": floor, "share_of_floor": row["samples_per_second"] / floor}
    return row


def _floor_seconds(wiring: Wiring) -> float:
    """Seconds that the multiply-adds of one training sample take at the measured rates."""
    from limpid.models.cost import layer_table

    rates, precision = cpu_rates(), wiring.plan.precision
    seconds = 0.0
    for layer in layer_table(wiring.network, wiring.dataset.spec):
        rate = rates.conv(precision) if "Conv" in layer["kind"] else rates.best_linear(precision)
        seconds += 6.0 * layer["macs"] / (rate * 1e9)
    return seconds / max(len(wiring.members), 1)  # the members of an ensemble are trained one after another


def write_predictions(run: Run, file: str, objective: Objective, split: Split, outputs: Tensor, target: Tensor) -> None:
    """Every answer for the rows of a split, as arrays in a file of the run folder."""
    losses, probabilities = objective.kept_losses(outputs, target), objective.probabilities(outputs)
    arrays = {"target": target, "prediction": objective.predict(outputs), "losses": losses}
    if probabilities is not None:
        arrays["probabilities"] = probabilities
    plain = {name: tensor.cpu().numpy() for name, tensor in arrays.items()}
    plain["index"] = np.arange(len(target)) if split.index is None else split.index.numpy()
    if split.origin is not None:
        plain["name"] = np.asarray([str(name) for name in split.origin])
    write_file(run.path / file, _npz(plain))


def _write_pictures(run: Run, split: Split, losses: Tensor) -> None:
    """Keep the images with the largest losses as uint8 (N, H, W, C), with their positions in the predictions."""
    per_sample_N = losses.flatten(1).mean(dim=1) if losses.ndim > 1 else losses
    position = torch.argsort(per_sample_N.cpu().nan_to_num(nan=torch.inf), descending=True)[:MOST_PICTURES]
    pictures = as_pictures(split.rows.take(position)[0].cpu())
    write_file(run.path / "samples.npz", _npz({"images": pictures, "position": position.numpy()}))


def _npz(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
