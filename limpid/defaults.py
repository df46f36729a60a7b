"""What `None` and "auto" in a configuration become once the data are known, and why.

Each value is good without tuning on data of its kind; docs/LOG.md holds the trials that chose them.
"""

from __future__ import annotations

import math
from typing import Any

from limpid.catalogue.losses import LOSSES
from limpid.catalogue.models import MODELS
from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.catalogue.part import Part, refuse_foreign
from limpid.catalogue.schedules import SCHEDULES
from limpid.config import Config
from limpid.spec import DataSpec

SCARCE_ROWS, SCARCE_ROWS_PER_COLUMN = 2000, 100  # fewer training rows than both limits: see _is_scarce
SCARCE_BATCH, SCARCE_UPDATES = 16, 600
PIECEWISE_ROWS = 2000  # training rows from which piecewise-linear codes of numbers pay
PIECEWISE_EPOCHS = 20  # at most: such a network learns in fewer passes
PIECEWISE_COLUMNS = 200  # and up to which their weights stay a small part of the network's
MANY_VALID_ROWS = {"image": 2000, "text": 200}  # an accuracy then resolves 0.05 % and 0.5 %
TOKENS_PER_STEP, MIN_TEXT_BATCH = 2048, 8  # of running texts
TOKENS_SEEN = 5_000_000  # minutes of a small network on two cores
LONG_TEXT_EPOCHS = 10  # of many long labelled texts
SMALL_SIDE = 128  # pixels; 220 photographs were learned as well as at 224, in a third of the time
FEW_PHOTOGRAPHS = 10_000  # below, weights that were learned on a million others are a better start than none
CONVOLUTIONAL_SIDE = 64  # pixels; up to here our own small networks fit, above it an ImageNet architecture does


def resolve(config: Config, spec: DataSpec, *, model_name: str | None = None) -> tuple[Config, dict[str, str]]:
    """Fill in every open option. Returns the configuration, and a reason for each key that was filled.

    Args:
        config: as the user gave it.
        spec: of the data, with the sizes of its splits.
        model_name: of a module that was handed over instead of named.
    """
    spec = spec.behind_scale()
    filled: dict[str, dict[str, Any]] = {}
    own_options: dict[str, dict[str, Any]] = {}  # of the parts, as the architecture wants them
    reasons: dict[str, str] = {}

    def fill(section: str, key: str, value: Any, reason: str) -> None:
        if now(section, key) in (None, "auto"):  # the first of two fills counts
            filled.setdefault(section, {})[key] = value
            reasons[f"{section}.{key}"] = reason

    def now(section: str, key: str) -> Any:
        return filled.get(section, {}).get(key, getattr(getattr(config, section), key))

    chosen, why = model_name or _model_for(spec), f"{spec.kind} of shape {_shape(spec)}"
    if chosen == LARGE_IMAGES and spec.num_train < FEW_PHOTOGRAPHS and not config.model.pretrained:
        why += "; --pretrained starts from learned weights"
        if max(spec.input_shape) > SMALL_SIDE:
            why += f", --image-size {SMALL_SIDE} is faster"
    fill("model", "name", chosen, why)
    name = now("model", "name")
    num_rows = max(spec.num_train, 1)
    if name in MODELS:
        if MODELS[name].optimizer != "auto":
            fill("optim", "name", MODELS[name].optimizer, f"{name} finds its weights by itself")
        settings = MODELS[name].settings
        smooths_labels = LOSSES[_loss_for(spec) if config.objective.loss == "auto" else config.objective.loss].smooths
        for path, value in settings.items():
            section, key = path.split(".")
            if section == "optim" and config.optim.name not in ("auto", settings.get("optim.name", "auto")):
                continue  # another optimiser than the architecture's has its own rates
            if path == "objective.label_smoothing" and not smooths_labels:
                continue
            if key in type(getattr(config, section)).model_fields:
                fill(section, key, num_rows if value == "all" else value, name)
            else:
                own_options.setdefault(section, {})[key] = value
    convolutional = spec.kind == "image" and not (name in MODELS and MODELS[name].family in ("linear", "dense"))
    large = convolutional and max(spec.input_shape[1:]) > CONVOLUTIONAL_SIDE
    residual = name.startswith("resnet") and not large
    dense = name in ("mlp", "linear")
    scarce = name == "mlp" and _is_scarce(spec)
    table = name == "mlp" and spec.kind == "table"

    if name == "mlp":
        many_rows = num_rows >= PIECEWISE_ROWS and 0 < sum(map(bool, spec.quantiles)) <= PIECEWISE_COLUMNS
        fill("model", "numbers", "piecewise" if many_rows else "plain", f"{num_rows:,} training rows")
        fill("model", "hidden", _hidden_for(spec), _rows_per_column(spec))
        fill("model", "norm", "none", "plain layers")
        # Half of eight units is not enough; half of 64 is, but not five times over (digits: .53 instead of .97).
        wide = min(now("model", "hidden"), default=0) >= 64 and len(now("model", "hidden")) <= 2
        fill("model", "dropout", 0.5 if scarce and wide else 0.1 if table else 0.0, _rows_per_column(spec))
    fill("model", "dropout", 0.0, name)

    rows = f"{num_rows:,} training rows"
    if spec.kind == "text" and spec.task == "tokens":
        fill("training", "batch_size", _text_batch(spec), f"about {TOKENS_PER_STEP:,} tokens a step")
    fill("training", "batch_size", SCARCE_BATCH if scarce else _batch_size_for(num_rows, spec.kind), rows)
    if large:
        fill("training", "epochs", 10 if config.model.pretrained else 30, "photographs: minutes on a CPU, not hours")
    if now("model", "numbers") == "piecewise":
        fill("training", "epochs", min(PIECEWISE_EPOCHS, _epochs_for(num_rows, spec, name)), rows)
    fill("training", "epochs", _epochs_for(num_rows, spec, name), rows)
    if config.training.steps is not None and config.training.epochs is None:  # whatever else would have filled it
        per_epoch = math.ceil(num_rows / (now("training", "batch_size") * config.optim.accumulate))
        filled["training"]["epochs"] = math.ceil(config.training.steps / per_epoch)
        reasons["training.epochs"] = f"{config.training.steps:,} steps"
    fill("training", "patience", 0, "the schedule ends the run; the best epoch's weights are kept")
    fill("training", "monitor", _monitor_for(spec), "figure that picks the best epoch")

    smooths = convolutional and spec.task == "classification" and config.objective.loss in ("auto", "cross_entropy")
    fill("objective", "label_smoothing", 0.1 if smooths else 0.0, name)
    fill("objective", "loss", _loss_for(spec), spec.task)

    fill("optim", "name", "sgd" if residual else "adamw", "residual networks like SGD; others AdamW")
    optimizer = now("optim", "name")
    rate = _scarce_lr(spec) if scarce and optimizer != "sgd" else _lr_for(optimizer, residual=residual, dense=dense)
    if optimizer not in ("sgd", "adam", "adamw"):
        rate = OPTIMIZERS[optimizer].lr
    elif large and optimizer != "sgd":
        rate = 3e-4 if config.model.pretrained else 1e-3
    fill("optim", "lr", rate, f"peak for {optimizer} on {name}")
    fill("optim", "weight_decay", OPTIMIZERS[optimizer].weight_decay, optimizer)
    part = OPTIMIZERS[optimizer]
    why = "one peak, then down to zero" if part.schedule == "one_cycle" else f"{optimizer} wants it"
    if config.training.members > 1 and config.training.ensemble == "snapshot":
        fill("optim", "schedule", "cosine", "each member ends a cycle whose rate falls to zero")
    fill("optim", "schedule", part.schedule, why)
    course = now("optim", "schedule")
    fill("optim", "warmup", part.warmup if course == part.schedule else 0.25 if course == "one_cycle" else 0.0, course)
    fill("optim", "ema", 0.0, "the schedule already averages")

    mirrorable = spec.kind == "image" and spec.input_shape[0] == 3
    side = spec.input_shape[-1] if spec.kind == "image" else 0
    fill("augment", "flip", mirrorable, "colour photographs keep their class in a mirror")
    fill("augment", "scale", 0.5 if large and mirrorable else 1.0, "crops of half the area or more")
    fill("augment", "crop", _shift_for(side) if convolutional and not large else 0, "shift by an eighth of the side")
    for key, off in (
        ("rotation", 0.0),
        ("translate", 0.0),
        ("shear", 0.0),
        ("stretch", 0.0),
        ("blur", 0.0),
        ("noise", 0.0),
        ("jitter", 0.0),
        ("cutout", 0),
        ("mixup", 0.0),
        ("cutmix", 0.0),
    ):
        fill("augment", key, off, "off")

    sections = {section: getattr(config, section).model_copy(update=values) for section, values in filled.items()}
    if residual and optimizer == "sgd":
        own_options["optim"] = {"nesterov": True}
    for section, options in own_options.items():
        given = sections.get(section, getattr(config, section))
        sections[section] = given.model_copy(update={"options": {**options, **given.options}})
    return complete_options(config.model_copy(update=sections)), reasons


def complete_options(config: Config) -> Config:
    """Every option of the chosen parts, as given or by default. Raises ConfigError for one that no chosen part has."""
    chosen: dict[str, tuple[Part, ...]] = {
        "optim": (OPTIMIZERS.find(config.optim.name), SCHEDULES.find(config.optim.schedule)),
        "objective": (LOSSES.find(config.objective.loss),),
    }
    if config.model.name in MODELS:
        chosen["model"] = (MODELS[config.model.name],)
    sections = {}
    for section, parts in chosen.items():
        given = getattr(config, section)
        refuse_foreign(given.options, parts, given.catalogues)
        options = {key: value for part in parts for key, value in part.accept(given.options, section).items()}
        sections[section] = given.model_copy(update={"options": options})
    return config.model_copy(update=sections)


def _text_batch(spec: DataSpec) -> int:
    """A row of a running text is a window of many places to learn from. Not tuned yet."""
    size: int = 2 ** round(math.log2(max(TOKENS_PER_STEP / spec.input_shape[0], MIN_TEXT_BATCH)))
    return min(size, max(1, spec.num_train))


LARGE_IMAGES = "resnet18"
MODEL_FOR_KIND = {"series": "lstm", "pairs": "transformer", "captions": "captioner"}


def _model_for(spec: DataSpec) -> str:
    if spec.kind == "text":
        return "gpt" if spec.task == "tokens" else "fasttext"
    if spec.kind != "image":
        return MODEL_FOR_KIND.get(spec.kind, "mlp")
    if spec.task == "tokens":
        return "unet"
    channels, height, width = spec.input_shape
    if max(height, width) > CONVOLUTIONAL_SIDE:
        return LARGE_IMAGES
    if channels == 3 and min(height, width) >= 26:
        return "airbench"
    return "lenet5" if channels == 1 and (height, width) in ((28, 28), (32, 32)) else "convnet"


def _is_scarce(spec: DataSpec) -> bool:
    """Few rows for the number of columns: a network over-fits at once, and a straight line is hard to beat."""
    columns = math.prod(spec.input_shape) + len(spec.cardinalities)
    return spec.kind in ("table", "vector") and spec.num_train < min(SCARCE_ROWS, SCARCE_ROWS_PER_COLUMN * columns)


def _rows_per_column(spec: DataSpec) -> str:
    columns = math.prod(spec.input_shape) + len(spec.cardinalities)
    return f"{spec.num_train:,} rows of {columns:,} numbers"


def _hidden_for(spec: DataSpec) -> tuple[int, ...]:
    if _is_scarce(spec):
        return (128,)
    if spec.num_train < 5000:
        return (64, 64)
    return (256, 128)


def _batch_size_for(num_rows: int, kind: str) -> int:
    """A power of two near a fortieth of the rows: enough updates on small data, enough work per update on large."""
    largest = 128 if kind == "image" else 256
    size = 16 if kind == "image" else 8
    while size < largest and size * 2 <= max(num_rows / 40, 1):
        size *= 2
    return size


def _epochs_for(num_rows: int, spec: DataSpec, name: str) -> int:
    """Fewer passes over more rows: 200 at a hundred rows, 8 at fifty thousand, with a power law between."""
    if name.startswith("resnet") and spec.kind == "image" and num_rows > 10_000:
        return 15
    if spec.kind == "text" and spec.task == "tokens":
        return max(3, min(30, round(TOKENS_SEEN / (num_rows * spec.input_shape[0]))))
    if name == "mlp" and _is_scarce(spec):
        return max(15, min(200, round(SCARCE_UPDATES * SCARCE_BATCH / num_rows)))
    most = 30 if spec.kind == "image" else 200  # images are dear, and convolutions learn them in few passes
    if spec.kind == "text":  # long texts are dear as well
        most = max(LONG_TEXT_EPOCHS, round(TOKENS_SEEN / (num_rows * spec.input_shape[0])))
    return max(5, min(most, 200, round(200 * (105 / num_rows) ** 0.515)))


def _monitor_for(spec: DataSpec) -> str:
    # With few validation rows many epochs tie in accuracy; the loss tells them apart. A network that learns some
    # thousand texts by heart grows too sure: its loss rises from the first epochs on, and its accuracy rises as well.
    many = spec.num_valid >= MANY_VALID_ROWS.get(spec.kind, math.inf)
    return "accuracy" if many and spec.task in ("classification", "binary") else "loss"


def _loss_for(spec: DataSpec) -> str:
    return {"classification": "cross_entropy", "tokens": "cross_entropy", "regression": "mse"}.get(spec.task, "bce")


def _lr_for(optimizer: str, *, residual: bool, dense: bool) -> float:
    if optimizer == "sgd":
        return 0.2 if residual else 0.05
    return 3e-3 if dense else 5e-3


def _scarce_lr(spec: DataSpec) -> float:
    return 1e-3 if spec.task == "regression" else 2e-3  # squared errors over-fit sooner


def _shift_for(side: int) -> int:
    return side // 8 if side >= 32 else 2 if side >= 24 else 0


def _shape(spec: DataSpec) -> str:
    return " x ".join(str(n) for n in spec.input_shape)
