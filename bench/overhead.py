"""What Limpid's loop costs beyond a loop written by hand: `python -m bench.overhead w1 w3 vgg16 resnet50`.

Both train the same network on the same resident rows with the same fused optimiser and arithmetic, an epoch each in
turn; the difference of the medians is the price of schedule, record, checks and stop requests.
"""

from __future__ import annotations

import argparse
import copy
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from limpid.config import Config
from limpid.config_reader import override
from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.spec import DataSpec
from limpid.training.linear_road import take_onednn_road
from limpid.training.loop import fit
from limpid.training.step import autocast
from limpid.wiring import Wiring, wire


@dataclass(frozen=True)
class Case:
    """A network and what it is trained on; an epoch takes from a third of a second to some seconds."""

    shape: tuple[int, ...]
    options: tuple[str, ...]
    num_steps: int
    batch_size: int = 128


SGD = ("optim.name=sgd", "augment.crop=0", "augment.flip=false")
CASES = {
    "w1": Case((1, 28, 28), ("model.name=mlp", "model.hidden=512,256", "optim.name=adam", "augment.crop=0"), 300),
    "w2": Case((1, 28, 28), ("model.name=lenet5", "optim.name=adam", "augment.crop=0"), 100),
    "w3": Case((3, 32, 32), ("model.name=resnet20", *SGD), 20),
    "vgg16": Case((3, 224, 224), ("model.name=vgg16", "model.dropout=0", *SGD), 6, batch_size=8),
    "resnet50": Case((3, 224, 224), ("model.name=resnet50", *SGD), 12, batch_size=8),
}
FIXED = ("optim.lr=1e-3", "optim.schedule=constant", "optim.weight_decay=0", "objective.label_smoothing=0")


class Nobody:
    """Records and shows nothing, so that only the loop is timed."""

    def add(self, kind: str, **fields: Any) -> None: ...
    def step(self, step: int, loss: float) -> None: ...
    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None: ...


def random_images(shape: tuple[int, ...], num_rows: int) -> Dataset:
    """Random bytes with random labels: time does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num_rows, *shape), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (num_rows,), generator=generator)
    channels = shape[0]
    spec = DataSpec(
        name="random",
        kind="image",
        task="classification",
        input_shape=shape,
        num_outputs=10,
        classes=tuple(str(k) for k in range(10)),
        scale_mean=(0.5,) * channels,
        scale_std=(0.3,) * channels,
        class_counts=tuple(torch.bincount(labels, minlength=10).tolist()),
        num_train=num_rows,
    )
    return Dataset(spec, Split(ResidentRows((images,)), labels), None, lambda: None, fingerprint="random")


def by_hand(
    model: nn.Module, optimizer: torch.optim.Optimizer, dataset: Dataset, wiring: Wiring, batch_size: int
) -> None:
    """One epoch as an expert writes it."""
    images, labels = dataset.train.rows.tensors[0], dataset.train.target  # type: ignore[attr-defined]
    if wiring.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    context = autocast(wiring.plan.device, wiring.plan.precision)
    model.train()
    for index in torch.randperm(len(labels)).split(batch_size):
        with context:
            loss = F.cross_entropy(model(images[index]), labels[index])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def measure_overhead(key: str, repeats: int) -> dict[str, float]:
    """Milliseconds of a step by hand and by Limpid, and the difference in percent of a step."""
    case = CASES[key]
    dataset = random_images(case.shape, case.batch_size * case.num_steps)
    batches = f"training.batch_size={case.batch_size}"
    config = override(Config(), [*case.options, *FIXED, batches, "training.epochs=1"])
    wiring = wire(config, dataset)
    network = copy.deepcopy(wiring.network)
    optimizer: torch.optim.Optimizer = (
        torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        if "optim.name=adam" in case.options
        else torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, fused=True)
    )
    onednn = wiring.config.training.matmul == "onednn"
    seconds: dict[str, list[float]] = {"hand": [], "limpid": []}
    with take_onednn_road(network, onednn), take_onednn_road(wiring.network, onednn):
        for repeat in range(repeats + 1):
            started = time.perf_counter()
            by_hand(network, optimizer, dataset, wiring, case.batch_size)
            between = time.perf_counter()
            fit(wiring.parts, wiring.plan, Nobody(), Nobody())
            if repeat:  # the first round warms up
                seconds["hand"].append(between - started)
                seconds["limpid"].append(time.perf_counter() - between)
    hand, ours = (1e3 * median(seconds[name]) / case.num_steps for name in ("hand", "limpid"))
    return {"hand_ms": hand, "limpid_ms": ours, "percent": 100 * (ours - hand) / hand}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="+", choices=sorted(CASES))
    parser.add_argument("--repeats", type=int, default=11)
    options = parser.parse_args()
    for name in options.workloads:
        found = measure_overhead(name, options.repeats)
        print(
            f"{name}: by hand {found['hand_ms']:.3f} ms a step, limpid {found['limpid_ms']:.3f} ms, "
            f"overhead {found['percent']:+.1f} %"
        )
