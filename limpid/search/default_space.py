"""What is worth searching for a model on its kind of data, and over which range, where nobody says.

Few knobs, the learning rate first: "if there is only time for one hyper-parameter, this is the one" (Bengio 2012,
arXiv 1206.5533, section 3.1; Goodfellow, Bengio, Courville 2016, chapter 11.4.1). Ranges lie around Limpid's own
defaults, which know the data, and are log-uniform where a knob acts by its factor (Bergstra & Bengio 2012). Widths,
depths and batch sizes are few values rather than ranges: members of equal shape train together.

A knob that the user set is not searched, and none is asked that the model does not have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from limpid.catalogue.model_part import ModelPart
from limpid.catalogue.models import MODELS
from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.config import Config
from limpid.defaults import resolve
from limpid.errors import ConfigError
from limpid.search.knob import Knob
from limpid.search.space import Space
from limpid.spec import DataSpec

DROPS = (
    "mlp",
    "convnet",
    "seq2seq",
    "captioner",
    "gpt",
    "encoder",
    "transformer",
    "vit",
    "fasttext",
)  # models with model.dropout
RECURRENT = ("rnn", "lstm", "gru")
MOST_PRODUCT_COLUMNS = 60  # inputs up to which products of pairs stay below two thousand
SMALLEST_BATCH = 4


def default_space(config: Config, spec: DataSpec) -> Space:
    """The space for this configuration on these data.

    Raises ConfigError where the model has nothing that could be tuned, or the user has set all of it.
    """
    resolved, _ = resolve(config, spec)
    name = resolved.model.name
    given = {
        f"{section}.{key}": value
        for section, values in config.model_dump(exclude_unset=True).items()
        for key, value in {**values, **values.get("options", {})}.items()
    }
    part = MODELS.get(name)
    knobs = list(_step_knobs(resolved, spec)) if part is None or part.optimizer == "auto" else []
    knobs += list(_model_knobs(resolved, spec, part))
    open_knobs = []
    for knob in knobs:
        held = {path: values for path, values in knob.when.items() if path in given}
        if knob.path not in given and all(given[path] in values for path, values in held.items()):
            open_knobs.append(replace(knob, when={path: knob.when[path] for path in knob.when if path not in held}))
    if not open_knobs:
        why = "every knob of its default space is set already" if knobs else "it has no knob to turn"
        raise ConfigError(f"{name}: nothing to search: {why}. Give a space of your own with --space FILE.")
    return Space(tuple(open_knobs), f"the default space of {name} on {spec.name}")


def _step_knobs(config: Config, spec: DataSpec) -> Iterator[Knob]:
    """Of the steps: rate, decay, momentum, batch."""
    optim, training = config.optim, config.training
    assert training.batch_size is not None
    yield rate_knob(config)
    decay = optim.weight_decay or OPTIMIZERS[optim.name].weight_decay
    low, high = (_rounded(decay / 100), _rounded(decay * 10)) if decay else (1e-6, 1e-2)
    yield Knob("optim.weight_decay", "log", low, high, why="log-uniform; little to much of it (Goodfellow 2016, 11.4)")
    if "momentum" in OPTIMIZERS[optim.name].options and optim.name in ("sgd", "momentum", "nesterov"):
        yield Knob(
            "optim.momentum", "linear", 0.8, 0.98, why="common values lie between .5 and .99 (Goodfellow, 8.3.2)"
        )
    sizes = _batch_sizes(training.batch_size, spec.num_train)
    if len(sizes) > 1:
        yield Knob("training.batch_size", "choice", choices=sizes, why="half the default to four times (Bengio 2012)")


def rate_knob(resolved: Config) -> Knob:
    """The learning rate around its default."""
    rate = resolved.optim.lr
    assert rate is not None
    why = f"around {rate:g}, the default; too high diverges within a factor of ten (Bengio 2012, 3.1.1)"
    return Knob("optim.lr", "log", _rounded(rate / 30), _rounded(rate * 10), why=why)


def _model_knobs(config: Config, spec: DataSpec, part: ModelPart | None) -> Iterator[Knob]:
    name, options = config.model.name, part.options if part else {}
    if name == "mlp":
        yield Knob(
            "model.hidden",
            "choice",
            choices=_widths(spec),
            why="equal or falling widths (Bengio 2012, 3.2); 1 to 3 layers",
        )
    if "units" in options and name != "mark1":
        yield Knob("model.units", "choice", choices=(32, 64, 128, 256), why="half and double the default, and beyond")
    if "width" in options and part is not None and part.family == "attention":
        yield Knob("model.width", "choice", choices=(64, 128, 256), why="multiples of the heads")
    if name == "fasttext":
        yield Knob("model.width", "choice", choices=(16, 64, 256), why="a quarter of the default, and four times")
    if "layers" in options:
        most = 2 if name in RECURRENT or name == "captioner" else 4
        yield Knob("model.layers", "choice", choices=(1, 2, 4)[: 2 if most == 2 else 3], why="depth")
    if name in DROPS:
        yield Knob("model.dropout", "linear", 0.0, 0.5, why="up to a half (Srivastava et al. 2014)")
    elif name in RECURRENT:
        yield Knob(
            "model.dropout", "linear", 0.0, 0.5, when={"model.layers": (2,)}, why="between layers (Zaremba et al. 2014)"
        )
    if spec.kind == "image" and spec.task == "classification" and name not in ("mlp", "linear") and _learns(part):
        yield Knob("objective.label_smoothing", "linear", 0.0, 0.2, why="Szegedy et al. 2016 use 0.1")
    yield from _solved_knobs(name, spec)


def _solved_knobs(name: str, spec: DataSpec) -> Iterator[Knob]:
    """Of models that find their weights by themselves."""
    rows, columns = max(spec.num_train, 1), math.prod(spec.behind_scale().input_shape)
    if name in ("least-squares", "ridge", "svm", "perceptron") and columns <= MOST_PRODUCT_COLUMNS:
        yield Knob("model.features", "choice", choices=("none", "poly2"), why="numbers alone, or products of pairs too")
    if name == "ridge":
        yield Knob(
            "model.strength",
            "log",
            _rounded(1e-6 * rows),
            _rounded(10.0 * rows),
            why="1e-6 to 10 per row, as its folds try",
        )
    if name == "svm":
        yield Knob("model.C", "log", 2.0**-5, 2.0**15, why="Hsu, Chang & Lin 2003")
        yield Knob("model.hinge", "choice", choices=("squared_hinge", "hinge"), why="both are common")
    if name == "knn":
        yield Knob("model.k", "whole", 1, max(2, min(100, rows // 4)), log=True, why="one neighbour to a hundred")
    if name == "mark1":
        yield Knob("model.units", "whole", 100, 4000, log=True, why="association units; a thousand is the default")


def _learns(part: ModelPart | None) -> bool:
    return part is None or part.optimizer == "auto"


def _rounded(number: float) -> float:
    """To two digits, which is all that a bound means."""
    return float(f"{number:.1e}")


def _widths(spec: DataSpec) -> tuple[tuple[int, ...], ...]:
    small: tuple[tuple[int, ...], ...] = ((32,), (64,), (128,), (64, 64), (128, 64), (64, 64, 64))
    large: tuple[tuple[int, ...], ...] = ((64, 64), (128,), (256,), (256, 128), (256, 256), (256, 256, 128))
    return small if spec.num_train < 5000 else large


def _batch_sizes(default: int, num_rows: int) -> tuple[int, ...]:
    """Half the default to four times, at least four and at most a quarter of the rows."""
    most = max(num_rows // 4, 1)
    sizes = sorted(
        {size for size in (default // 2, default, 2 * default, 4 * default) if SMALLEST_BATCH <= size <= most}
    )
    return tuple(sizes)
