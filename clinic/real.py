"""Real data as they lie in a folder, healthy and with faults planted: `python -m clinic --data FOLDER`.

The folder holds mnist/*.gz (IDX), cifar10-images.tar.gz (cifar10/{train,test}/<class>/<n>.jpg), tables/*.csv,
series/*.csv and text/tinyshakespeare.txt; what is not there is left out. Small parts of the large sets are drawn.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from clinic.condition import Build, Case, Condition
from clinic.conditions_data import flipped, shuffled, splits

ADULT = (
    *("age", "workclass", "weight", "education", "years", "marital", "occupation", "relation", "race", "sex"),
    *("gain", "loss", "hours", "country", "income"),
)
MNIST: dict[str, Any] = {"model": "mlp", "hidden": (64,), "batch_size": 64, "epochs": 6, "dropout": 0.0, "lr": 3e-3}
CIFAR: dict[str, Any] = {
    "model": "conv16-bn-relu-pool conv32-bn-relu-pool conv32-bn-relu-pool fc", "batch_size": 64, "epochs": 6,
    "lr": 5e-3, "label_smoothing": 0.0, "optimizer": "adamw",
}  # fmt: skip
TABLE: dict[str, Any] = {"model": "mlp", "hidden": (64,), "batch_size": 64, "epochs": 6, "model__numbers": "plain"}
Fault = Callable[..., tuple[Any, Any]]


@cache
def mnist(folder: Path) -> tuple[Any, Any]:
    """The 60,000 training images as bytes (N, 1, 28, 28), and their classes."""
    with gzip.open(folder / "mnist" / "train-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(folder / "mnist" / "train-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    return x, y


@cache
def cifar(folder: Path) -> tuple[Any, Any]:
    """The first 300 training images of each class as bytes (N, 3, 32, 32)."""
    from PIL import Image

    pictures, classes = [], []
    names: dict[str, int] = {}
    with tarfile.open(folder / "cifar10-images.tar.gz") as archive:
        for member in archive:
            parts = member.name.split("/")
            if len(parts) != 4 or parts[1] != "train" or int(parts[3].split(".")[0]) >= 300:
                continue
            content = archive.extractfile(member)
            assert content is not None
            pictures.append(np.asarray(Image.open(io.BytesIO(content.read())).convert("RGB")).transpose(2, 0, 1))
            classes.append(names.setdefault(parts[2], len(names)))
    return np.stack(pictures), np.array(classes)


def images(source: Callable[[Path], tuple[Any, Any]], folder: Path, size: int, options: dict[str, Any]) -> Any:
    """A maker of builds: so many images, a fault in them, options changed."""

    def make(fault: Fault | None = None, by_split: Callable[..., Any] | None = None, **changes: Any) -> Build:
        def build(seed: int, place: Path) -> Case:
            x, y = source(folder)
            rows = np.random.default_rng(seed).permutation(len(x))[:size]
            x, y = x[rows], y[rows]
            x, y = (x, y) if fault is None else fault(x, y, seed)
            given = {key: value for key, value in {**options, **changes}.items() if value is not None}
            return Case(x, y, given) if by_split is None else Case(by_split(splits(x, y)), None, given)

        return build

    return make


def tables(file: Path, target: str, size: int, columns: tuple[str, ...] = ()) -> Any:
    """A maker of builds: rows of a CSV file, a fault in them, options changed."""

    def make(fault: Callable[..., Any] | None = None, **changes: Any) -> Build:
        def build(seed: int, place: Path) -> Case:
            import polars as pl

            kept = {"has_header": False, "new_columns": list(columns)} if columns else {}
            frame = pl.read_csv(file, infer_schema_length=None, **kept)
            frame = frame.sample(min(size, len(frame)), shuffle=True, seed=seed)
            frame = frame if fault is None else fault(frame, seed)
            return Case(frame, None, {**TABLE, "target": target, **changes})

        return build

    return make


def turned(parts: dict[str, Any]) -> dict[str, Any]:
    """Validation and test images turned by 90 degrees."""
    return {**parts, **{key: np.rot90(parts[key], axes=(2, 3)).copy() for key in ("x_valid", "x_test")}}


def brighter(parts: dict[str, Any]) -> dict[str, Any]:
    """Validation images brighter."""
    return {**parts, "x_valid": np.clip(parts["x_valid"].astype(int) + 60, 0, 255).astype(np.uint8)}


def copied(parts: dict[str, Any]) -> dict[str, Any]:
    """A fifth of the validation images among the training ones."""
    n = len(parts["x_valid"]) // 5
    more = {"x_train": np.concatenate([parts["x_train"], parts["x_valid"][:n]])}
    return {**parts, **more, "y_train": np.concatenate([parts["y_train"], parts["y_valid"][:n]])}


def with_answer(target: str) -> Callable[..., Any]:
    """A column that is the target in other words."""

    def fault(frame: Any, seed: int) -> Any:
        import polars as pl

        codes = frame[target].cast(pl.String).cast(pl.Categorical).to_physical()
        return frame.with_columns((codes * 3 + 1).cast(pl.Int64).cast(pl.String).alias("outcome_code"))

    return fault


def with_shuffled(target: str) -> Callable[..., Any]:
    """The target in another order than the rest."""
    return lambda frame, seed: frame.with_columns(frame[target].shuffle(seed=1000 + seed))


def conditions(folder: Path) -> Iterator[Condition]:
    """All conditions for which the folder has data."""
    if (folder / "mnist" / "train-images-idx3-ubyte.gz").is_file():
        digits = images(mnist, folder, 3000, MNIST)
        yield Condition("real-mnist", "healthy", "", digits())
        yield Condition("real-mnist-sgd", "healthy", "", digits(optimizer="sgd", lr=0.05, optim__momentum=0.9))
        for share in (0.05, 0.1, 0.2):
            yield Condition(f"real-mnist-D06-{share:.0%}", "sick", "D06", digits(flipped(share)))
        yield Condition("real-mnist-D07", "sick", "D07", digits(shuffled))
        yield Condition("real-mnist-D09", "sick", "D09", digits(by_split=copied))
        yield Condition("real-mnist-D12-turned", "sick", "D12", digits(by_split=turned), kin=("G03",))
        sgd: dict[str, Any] = {"optimizer": "sgd", "schedule": "constant", "optim__momentum": 0.9}
        yield Condition("real-mnist-O01", "sick", "O01", digits(**sgd, lr=5.0), kin=("S05", "O03", "N01"))
        yield Condition("real-mnist-O02", "sick", "O02", digits(**sgd, lr=5e-6), kin=("O04",))
        yield Condition("real-mnist-S05", "sick", "S05", digits(model__bias_init="constant(-10)"))
        long = {"hidden": (512, 512), "epochs": 60, "lr": 1e-3, "schedule": "constant"}
        few = images(mnist, folder, 250, MNIST)
        yield Condition("real-mnist-G02", "sick", "G02", few(**long), kin=("D15",))
    if (folder / "cifar10-images.tar.gz").is_file():
        photos = images(cifar, folder, 2000, CIFAR)
        yield Condition("real-cifar10", "healthy", "", photos())
        yield Condition("real-cifar10-D07", "sick", "D07", photos(shuffled))
        yield Condition("real-cifar10-D12-brighter", "sick", "D12", photos(by_split=brighter), kin=("G03",))
        yield Condition("real-cifar10-O01", "sick", "O01", photos(schedule="constant", lr=1.0), kin=("S05", "O03"))
    if (folder / "tables" / "adult-train.csv").is_file():
        adult = tables(folder / "tables" / "adult-train.csv", "income", 5000, ADULT)
        yield Condition("real-adult", "healthy", "", adult())
        yield Condition("real-adult-D10", "sick", "D10", adult(with_answer("income")))
        yield Condition("real-adult-D07", "sick", "D07", adult(with_shuffled("income")))
        yield Condition("real-adult-D02", "sick", "D02", adult(data__scale="none"))
    if (folder / "tables" / "penguins.csv").is_file():
        penguins = tables(folder / "tables" / "penguins.csv", "species", 400)
        yield Condition("real-penguins", "healthy", "", penguins(epochs=20, batch_size=16))
        yield Condition(
            "real-penguins-D07", "sick", "D07", penguins(with_shuffled("species"), epochs=20, batch_size=16)
        )
    if (folder / "tables" / "titanic.csv").is_file():
        titanic = tables(folder / "tables" / "titanic.csv", "survived", 900)
        yield Condition("real-titanic-D10-raw", "sick", "D10", titanic(epochs=10, batch_size=32))
        yield Condition("real-titanic", "healthy", "", titanic(epochs=10, batch_size=32, drop=("alive",)))
    if (folder / "series" / "monthly-sunspots.csv").is_file():
        file = folder / "series" / "monthly-sunspots.csv"
        options: dict[str, Any] = {"target": "Sunspots", "recipe": "series", "window": 24, "horizon": 1, "epochs": 4}
        yield Condition("real-sunspots", "healthy", "", of_file(file, options))
        yield Condition("real-sunspots-O01", "sick", "O01", of_file(file, {**options, "lr": 1.0}), kin=("O03", "S06"))
    if (folder / "text" / "tinyshakespeare.txt").is_file():
        file = folder / "text" / "tinyshakespeare.txt"
        small = {"model": "gpt", "model__width": 32, "model__heads": 2, "model__layers": 2, "context": 32}
        options = {**small, "epochs": 3, "batch_size": 32, "lr": 1e-2}
        yield Condition("real-shakespeare", "healthy", "", of_file(file, options, characters=60_000))
        sick = {**options, "lr": 1e-5, "schedule": "constant"}
        yield Condition("real-shakespeare-O02", "sick", "O02", of_file(file, sick, characters=60_000), kin=("O04",))


def of_file(file: Path, options: dict[str, Any], characters: int | None = None) -> Build:
    """A file as it is, or its first characters."""

    def build(seed: int, place: Path) -> Case:
        path = file
        if characters is not None:
            path = place / file.name
            path.write_text(file.read_text(encoding="utf-8")[:characters], encoding="utf-8")
        return Case(str(path), None, options)

    return build
