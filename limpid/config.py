"""Every knob of a run, as frozen sections. `None` and "auto" mean: chosen from the data (defaults.py), then shown.

A section is seen only by the `build_*` function of its folder. Values come, in rising order of precedence, from the
defaults here, a TOML file, and `section.key=value` assignments. An unknown key is refused with the nearest known one.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from limpid.errors import ConfigError

Fraction = Field(default=None, ge=0.0, lt=1.0)


class Section(BaseModel):
    """A frozen group of options that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class DataConfig(Section):
    """What goes in: the source, how its columns are read, and how it is split."""

    source: str | None = Field(default=None, description="built-in name, file, folder or archive")
    data_dir: str | None = Field(default=None, description="folder with local copies of named data sets")
    target: tuple[str, ...] = Field(default=(), description="column(s) to predict; without a header: its number from 0")
    drop: tuple[str, ...] = Field(default=(), description="columns to leave out")
    types: dict[str, Literal["number", "category", "boolean", "date"]] = Field(
        default_factory=dict, description="column types that override the inferred ones"
    )
    header: bool | None = Field(
        default=None, description="whether the first row holds the column names; None infers it"
    )
    task: Literal["auto", "classification", "binary", "multilabel", "regression"] = Field(
        default="auto", description="kind of prediction; auto infers it from the target"
    )
    encode: Literal["auto", "embed", "onehot"] = Field(
        default="auto", description="categories as codes for embeddings, or as one-hot numbers"
    )
    missing: Literal["impute", "error"] = Field(
        default="impute", description="missing values: fill (median, with an indicator) or refuse"
    )
    test: str | None = Field(default=None, description="separate test file of the same form")
    split: str = Field(default="random", description="random, group:COLUMN or time:COLUMN")
    valid_share: float | None = Field(default=None, ge=0.0, lt=1.0, description="share of rows kept for validation")
    test_share: float | None = Field(default=None, ge=0.0, lt=1.0, description="share of rows kept for the test")
    size: int | None = Field(default=None, ge=4, description="samples to generate (generators only)")
    noise: float | None = Field(default=None, ge=0.0, description="noise of a generator, in units of its features")
    image_size: int | None = Field(default=None, ge=1, le=4096, description="side of the square images, pixels")
    colour: Literal["auto", "grey", "rgb"] = Field(default="auto", description="channels of the decoded images")
    fit: Literal["crop", "pad", "stretch"] = Field(default="crop", description="how images are made square")
    skip_bad: bool = Field(default=False, description="leave out unreadable images instead of refusing them")
    memory_share: float = Field(default=0.4, gt=0.0, le=1.0, description="share of free memory that data may take")
    workers: int = Field(default=2, ge=0, description="threads that decode images and stream data")


class AugmentConfig(Section):
    """Random changes of training images; all off unless set (defaults.py sets them per kind of data)."""

    flip: bool | None = Field(default=None, description="mirror left-right with probability 1/2")
    crop: int | None = Field(
        default=None, ge=0, description="shift by up to this many pixels, reflected or zero border"
    )
    scale: float | None = Field(
        default=None, gt=0.0, le=1.0, description="least share of the area kept by a scale crop"
    )
    rotation: float | None = Field(default=None, ge=0.0, le=180.0, description="largest rotation, degrees")
    jitter: float | None = Field(default=None, ge=0.0, le=1.0, description="strength of brightness/contrast/saturation")
    cutout: int | None = Field(default=None, ge=0, description="side of the erased square, pixels")
    mixup: float | None = Field(default=None, ge=0.0, description="alpha of mixup's Beta(alpha, alpha); 0 is off")
    cutmix: float | None = Field(default=None, ge=0.0, description="alpha of cutmix's Beta(alpha, alpha); 0 is off")


class ModelConfig(Section):
    """What computes."""

    name: str = Field(default="auto", description="architecture; `limpid models` lists them")
    hidden: tuple[int, ...] | None = Field(default=None, description="widths of an MLP's hidden layers")
    activation: Literal["relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu", "silu"] = Field(
        default="relu", description="non-linearity of an MLP"
    )
    norm: Literal["none", "batch", "layer"] | None = Field(default=None, description="normalisation in an MLP")
    dropout: float | None = Field(default=None, ge=0.0, lt=1.0, description="share of hidden units dropped")
    numbers: Literal["auto", "plain", "piecewise"] = Field(
        default="auto", description="an MLP's numbers as they are, or piecewise-linear codes too (tables)"
    )
    embedding: int | None = Field(default=None, ge=1, description="size of category embeddings; None: by cardinality")
    pretrained: bool = Field(default=False, description="start from published weights (torchvision, timm)")
    compile: Literal["auto", "off", "on"] = Field(default="auto", description="torch.compile, where it pays back")


class ObjectiveConfig(Section):
    """What is wanted."""

    loss: Literal["auto", "cross_entropy", "bce", "mse", "mae", "huber"] = Field(
        default="auto", description="loss; auto takes the task's own"
    )
    label_smoothing: float | None = Field(default=None, ge=0.0, lt=1.0, description="share moved to the other classes")
    class_weights: Literal["balanced"] | tuple[float, ...] | None = Field(
        default=None, description="weight of each class in the loss, or balanced"
    )
    huber_delta: float = Field(
        default=1.0, gt=0.0, description="where Huber turns linear, in units of the scaled target"
    )


class OptimConfig(Section):
    """How the weights move."""

    name: Literal["auto", "sgd", "adam", "adamw"] = Field(default="auto", description="optimiser")
    lr: float | None = Field(default=None, gt=0.0, description="learning rate (the peak, under a schedule)")
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="SGD's momentum")
    nesterov: bool = Field(default=False, description="SGD: Nesterov's look-ahead")
    betas: tuple[float, float] = Field(default=(0.9, 0.999), description="Adam's decay rates")
    eps: float = Field(default=1e-8, gt=0.0, description="Adam's epsilon")
    weight_decay: float | None = Field(default=None, ge=0.0, description="L2 (SGD, Adam) or decoupled (AdamW) decay")
    decay_all: bool = Field(default=False, description="decay biases and normalisation weights too")
    schedule: Literal["auto", "constant", "step", "cosine", "one_cycle"] = Field(
        default="auto", description="course of the learning rate"
    )
    warmup: float | None = Field(default=None, ge=0.0, lt=1.0, description="share of the steps that warm up")
    step_epochs: int = Field(default=30, ge=1, description="step schedule: epochs between drops")
    gamma: float = Field(default=0.1, gt=0.0, le=1.0, description="step schedule: factor of a drop")
    final_lr: float = Field(
        default=0.0, ge=0.0, le=1.0, description="cosine, one_cycle: last lr as a share of the peak"
    )
    clip_norm: float | None = Field(default=None, gt=0.0, description="largest global norm of the gradient")
    accumulate: int = Field(default=1, ge=1, description="batches whose gradients are averaged into one step")
    ema: float | None = Field(default=None, ge=0.0, lt=1.0, description="decay of the averaged weights; 0 is off")


class TrainingConfig(Section):
    """How long, how large, on what, from which seed."""

    epochs: int | None = Field(default=None, ge=0, description="passes over the training split")
    batch_size: int | None = Field(default=None, ge=1, description="samples per step")
    seed: int = Field(default=0, ge=0, lt=2**31, description="one seed for split, weights, order and augmentation")
    precision: Literal["auto", "bf16", "float32"] = Field(default="auto", description="arithmetic of the step")
    matmul: Literal["auto", "default", "onednn"] = Field(
        default="auto", description="library of float32 matrix products on a CPU; auto measures"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:N or mps")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; None: the cores this process may use")
    patience: int | None = Field(default=None, ge=0, description="epochs without improvement before stopping; 0: never")
    min_delta: float = Field(default=0.0, ge=0.0, description="least change of the monitored figure that counts")
    monitor: str = Field(
        default="auto", description="validation figure that picks the best weights (auto: loss or score)"
    )
    checkpoint_seconds: float = Field(default=60.0, gt=0.0, description="time between checkpoints")
    checkpoint_steps: int | None = Field(
        default=None, ge=1, description="steps between checkpoints; overrides the time"
    )
    keep: int = Field(default=2, ge=1, description="checkpoints kept")


class RecordConfig(Section):
    """Where the run is written, and its mirrors."""

    out: str | None = Field(default=None, description="run folder; None: runs/<time>-<data>-<model>-<id>")
    tensorboard: str | None = Field(default=None, description="folder of a TensorBoard mirror of the record")
    mlflow: str | None = Field(default=None, description="tracking URI of an MLflow mirror of the record")
    report: bool = Field(default=True, description="write report.html at the end")


# Short names of the options that people type most, on the command line (with dashes) and as keywords in Python.
SHORT_NAMES = {
    **{key: f"data.{key}" for key in ("target", "drop", "types", "header", "task", "test", "split", "size", "noise")},
    **{key: f"data.{key}" for key in ("data_dir", "image_size", "skip_bad")},
    "hidden": "model.hidden",
    "dropout": "model.dropout",
    "pretrained": "model.pretrained",
    "loss": "objective.loss",
    "label_smoothing": "objective.label_smoothing",
    "class_weights": "objective.class_weights",
    "optimizer": "optim.name",
    "lr": "optim.lr",
    "weight_decay": "optim.weight_decay",
    "schedule": "optim.schedule",
    "clip_norm": "optim.clip_norm",
    "accumulate": "optim.accumulate",
    "ema": "optim.ema",
    **{key: f"training.{key}" for key in ("epochs", "batch_size", "seed", "precision", "device", "patience")},
    "out": "record.out",
    "tensorboard": "record.tensorboard",
    "mlflow": "record.mlflow",
}


class Config(Section):
    """One run. The sections are the folders of the package, in the order of the flow."""

    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optim: OptimConfig = OptimConfig()
    training: TrainingConfig = TrainingConfig()
    record: RecordConfig = RecordConfig()


def config_from_dict(values: Mapping[str, Any], *, origin: str = "configuration") -> Config:
    """Validate nested plain values into a `Config`.

    Raises ConfigError naming the key, what it accepts, and for an unknown key the nearest known one.
    """
    try:
        return Config.model_validate(_lists_to_tuples(values))
    except ValidationError as error:
        raise ConfigError(_explain(error, origin)) from None


def load_config(path: str | Path) -> Config:
    """Read a TOML file of sections. Raises ConfigError when it is missing, not TOML, or does not validate."""
    file = Path(path)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such configuration file.") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}. Expected a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from None
    return config_from_dict(values, origin=str(file))


def override(config: Config, assignments: Iterable[str]) -> Config:
    """Apply `section.key=value` texts; a value is read as TOML and, failing that, as a plain string.

    >>> override(Config(), ["optim.lr=3e-3"]).optim.lr
    0.003
    """
    values = config.model_dump(exclude_unset=True)
    for text in assignments:
        path, separator, literal = text.partition("=")
        section, dot, key = path.strip().partition(".")
        if not separator or not dot:
            raise ConfigError(f"--set {text}: expected section.key=value, for example --set optim.lr=0.01.")
        if section in Config.model_fields:
            literal = _as_declared(section, key, literal.strip())
        values.setdefault(section, {})
        values[section] = {**values[section], key: literal}
    return config_from_dict(values, origin="--set")


def with_options(config: Config, options: Mapping[str, Any]) -> Config:
    """Set options by short name (`lr`) or by section and key with two underscores (`optim__lr`).

    A single text or number is accepted where a list is meant. Raises ConfigError for an unknown name.

    >>> with_options(Config(), {"lr": 0.1, "training__threads": 1}).training.threads
    1
    """
    values = config.model_dump(exclude_unset=True)
    for name, value in options.items():
        path = SHORT_NAMES.get(name, name.replace("__", "."))
        section, dot, key = path.partition(".")
        if not dot:
            hint = nearest(name, [*SHORT_NAMES, *known_keys()])
            raise ConfigError(f"{name} is not an option." + (f" Nearest: {hint}." if hint else ""))
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        is_list = _is_list(section, key) and value != "balanced"
        if is_list and isinstance(value, str | int | float):
            value = (str(value),) if section == "data" else (value,)
        if is_list and isinstance(value, list | tuple) and section == "data":
            value = tuple(str(item) for item in value)
        values[section] = {**values.get(section, {}), key: value}
    return config_from_dict(values, origin="options")


def known_keys() -> dict[str, str]:
    """Every `section.key` with its one-line description, in order."""
    keys = {}
    for section, field in Config.model_fields.items():
        for key, option in field.annotation.model_fields.items():  # type: ignore[union-attr]
            keys[f"{section}.{key}"] = option.description or ""
    return keys


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to a mistyped one, or None."""
    known = list(known)
    tails = {name.rpartition(".")[2]: name for name in known}
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if found:
        return found[0]
    found = difflib.get_close_matches(word.rpartition(".")[2], tails, n=1, cutoff=0.6)
    return tails[found[0]] if found else None


def _as_declared(section: str, key: str, literal: str) -> Any:
    """Read a literal as TOML; a comma-separated text becomes a list where the option is one."""
    try:
        value = tomllib.loads(f"value = {literal}")["value"]
    except tomllib.TOMLDecodeError:
        value = literal
        if literal.lower() in ("true", "false"):
            value = literal.lower() == "true"
        elif literal.lower() == "none":
            value = None
    if _is_list(section, key) and not isinstance(value, list):
        if isinstance(value, str) and value not in ("balanced",):
            return [_number_or_text(part.strip()) for part in value.split(",") if part.strip()]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return [value]
    return value


def _is_list(section: str, key: str) -> bool:
    """Whether the option holds several values."""
    if section not in Config.model_fields:
        return False
    option = Config.model_fields[section].annotation.model_fields.get(key)  # type: ignore[union-attr]
    return option is not None and "tuple" in str(option.annotation)


def _number_or_text(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _lists_to_tuples(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {key: _lists_to_tuples(value) for key, value in values.items()}
    return tuple(values) if isinstance(values, list) else values


def _explain(error: ValidationError, origin: str) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"][:2])
        if problem["type"] == "extra_forbidden":
            hint = nearest(name, [*known_keys(), *Config.model_fields])
            described = f" Nearest: {hint} ({known_keys().get(hint, 'a section')})." if hint else ""
            lines.append(f"{origin}: {name} is not an option.{described}")
        else:
            given = problem.get("input")
            lines.append(f"{origin}: {name} = {given!r} is not accepted: {problem['msg'].lower()}.")
    return "\n".join(dict.fromkeys(lines))
