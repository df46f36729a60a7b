"""What a layer of a network says of every sample: activations as plain arrays, for a classifier of another kind.

The layer "codes" stands for what the head sees, the activations just before the last layer: 4096 numbers for AlexNet
(Razavian et al. 2014, arXiv 1403.6382). Earlier layers are more general (Yosinski et al. 2014, arXiv 1411.1792).

Shapes: N samples of a split, F activations of the layer, (...) its own shape.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from limpid.config import Config
from limpid.config_reader import config_from_dict
from limpid.data.dataset import Dataset, Split
from limpid.data.progress import watched
from limpid.data.sources import load_data
from limpid.deploy.trained import load_trained
from limpid.errors import ConfigError, DataError, ModelError, nearest
from limpid.models.blocks import head_of
from limpid.models.network import Network
from limpid.models.registry import build_model, most_tokens, takes_codes
from limpid.record.files import write_file
from limpid.record.run import Run
from limpid.spec import DataSpec

CODES = "codes"
BATCH = 64  # samples of a forward pass


@dataclass(frozen=True)
class Source:
    """A network with weights, and labelled data as it takes them."""

    network: Network
    spec: DataSpec  # of the network's own data
    dataset: Dataset


@dataclass(frozen=True)
class Features:
    """Activations (N, F) and targets of each split. `layer` had the shape `shape` for one sample."""

    layer: str
    shape: tuple[int, ...]
    splits: dict[str, tuple[NDArray[np.float32], NDArray[Any]]]


def open_source(network: str | Path, source: Any, config: Config) -> Source:
    """A run's network, or a named one, with labelled data prepared in the form that it takes.

    Args:
        network: run folder, or name of a model; `config.model.pretrained` then says whether it has published weights.
        source: data with labels, as for training.
        config: section data; with a run, what the run's own configuration says is taken where nothing is set.

    Raises DataError when the data are not of the form that the run was trained on.
    """
    if not (Path(network) / "run.json").exists():
        codes, tokens = takes_codes(str(network)), most_tokens(str(network))
        dataset = load_data(source, config.data, seed=config.training.seed, takes_codes=codes, most_tokens=tokens)
        model = config_from_dict({"model": {**config.model.model_dump(exclude_unset=True), "name": str(network)}}).model
        built = build_model(model, dataset.spec, seed=config.training.seed)
        return Source(built.eval().requires_grad_(False), dataset.spec, dataset)
    trained = load_trained(Run.open(Path(network)))
    spec, own = trained.spec, trained.config
    prepared = spec.preparation.get("kind") == "image"
    given = config.data.model_dump(exclude_unset=True)
    shape = {"image_size": spec.input_shape[-1], "colour": "grey" if spec.input_shape[0] == 1 else "rgb"}
    values = own.data.model_dump() | {"source": None, "test": None} | (shape if prepared else {}) | given
    codes, tokens = takes_codes(own.model.name), most_tokens(own.model.name)
    dataset = load_data(source, type(own.data)(**values), seed=own.training.seed, takes_codes=codes, most_tokens=tokens)
    found = dataset.spec
    if (found.kind, found.input_shape, found.cardinalities) != (spec.kind, spec.input_shape, spec.cardinalities):
        raise DataError(
            f"{source} is of kind {found.kind} with shape {found.input_shape}; {network} was trained on {spec.kind} of "
            f"shape {spec.input_shape}."
        )
    if spec.kind in ("table", "text", "pairs") and found.preparation != spec.preparation:
        raise DataError(
            f"{source}: its columns or tokens are coded by other rules than those that {network} learned, so its "
            "activations would mean nothing. Give the data of the run itself."
        )
    assert isinstance(trained.network, Network)
    return Source(trained.network, spec, dataset)


def find_layer(network: Network, layer: str, num_outputs: int) -> tuple[nn.Module, bool]:
    """The module of this name, and whether its input is wanted in place of its output.

    Raises ModelError for an unknown name, with the nearest.
    """
    if layer == CODES:
        return head_of(network, num_outputs)[1], True
    modules = {name.removeprefix("body."): module for name, module in network.named_modules() if name}
    if layer not in modules:
        hint = nearest(layer, modules)
        names = [name for name, module in modules.items() if not module._modules and not name.startswith("scale")]
        known = f"Did you mean {hint}?" if hint else f"There are {CODES}, {', '.join(names[:20])}."
        raise ModelError(f"The network has no layer {layer!r}. {known} The report of a run lists all.")
    return modules[layer], False


@torch.inference_mode()
def activations(
    network: Network, layer: str, split: Split, num_outputs: int, *, reduce: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """What the layer says of every row of the split, float32 (N, ...) on the CPU, in evaluation mode.

    `reduce` makes each batch of it smaller before it is kept.
    """
    module, before = find_layer(network, layer, num_outputs)
    kept: list[Tensor] = []

    def keep(_: nn.Module, inputs: Any, output: Any) -> None:
        value = inputs[0] if before else output
        kept.append((value[0] if isinstance(value, tuple) else value).detach().float())

    hook = module.register_forward_hook(keep)
    was_training = network.training
    network.eval()
    found = []
    try:
        batches = torch.arange(len(split)).split(BATCH)
        for index_B in watched(batches, len(batches), "Reading activations"):
            network(*split.rows.take(index_B))
            if not kept:
                raise ModelError(f"The forward pass does not call layer {layer!r}; choose another.")
            found.append(kept[-1] if reduce is None else reduce(kept[-1]))
            kept.clear()
    finally:
        hook.remove()
        network.train(was_training)
    return torch.cat(found)


def extract(source: Source, layer: str = CODES) -> Features:
    """The layer's activations, flattened, for every split of the data, with the targets by name or value."""
    dataset = source.dataset
    splits = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test()}
    found: dict[str, tuple[NDArray[np.float32], NDArray[Any]]] = {}
    shape: tuple[int, ...] = ()
    for name, split in splits.items():
        if split is not None:
            value = activations(source.network, layer, split, source.spec.num_outputs)
            shape = tuple(value.shape[1:])
            found[name] = (value.flatten(1).numpy(), named_targets(split, dataset.spec))
    return Features(layer, shape, found)


def named_targets(split: Split, spec: DataSpec) -> NDArray[Any]:
    """Class names (N,), or numbers (N,) or (N, T)."""
    target = split.target.numpy()
    if spec.task == "classification" and spec.classes:
        return np.asarray(spec.classes)[target]
    if spec.task == "binary" and len(spec.classes) == 2:
        return np.asarray(spec.classes)[target[:, 0].astype(int)]
    return target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target


def write_features(features: Features, path: Path) -> None:
    """Write .npz (x_train, y_train, x_valid, ...), or .csv or .parquet (f0, f1, ..., target, split).

    `limpid train` reads the first with its splits as they are. Raises ConfigError for another ending.
    """
    if path.suffix == ".npz":
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {
            f"{a}_{name}": value for name, pair in features.splits.items() for a, value in zip("xy", pair, strict=True)
        }
        np.savez(buffer, **arrays)
        write_file(path, buffer.getvalue())
        return
    if path.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"--out {path}: expected a file that ends in .npz, .csv or .parquet.")
    import polars as pl

    frames = []
    for name, (x_NF, y) in features.splits.items():
        frame = pl.DataFrame({f"f{i}": x_NF[:, i] for i in range(x_NF.shape[1])})
        frames.append(frame.with_columns(pl.Series("target", y.tolist()), pl.lit(name).alias("split")))
    table = pl.concat(frames)
    data = io.BytesIO()
    table.write_csv(data) if path.suffix == ".csv" else table.write_parquet(data)
    write_file(path, data.getvalue())
