"""Default spaces: every knob is one that the model has, around the default, and none that the user set."""

from __future__ import annotations

import pytest

from limpid.catalogue.models import MODELS
from limpid.config import Config
from limpid.config_reader import with_options
from limpid.defaults import resolve
from limpid.errors import ConfigError
from limpid.search.default_space import default_space
from limpid.spec import DataSpec

ROWS = {"num_train": 4000, "num_valid": 500}
NUMBERS = {"task": "regression", "num_outputs": 1, "target_mean": (0.0,), "target_std": (1.0,)}
SPECS = [
    DataSpec(name="i", kind="image", task="classification", input_shape=(3, 32, 32), num_outputs=10, **ROWS),
    DataSpec(name="g", kind="image", task="classification", input_shape=(1, 28, 28), num_outputs=10, **ROWS),
    DataSpec(name="v", kind="vector", task="binary", input_shape=(2,), num_outputs=1, num_train=700, num_valid=100),
    DataSpec(name="t", kind="table", input_shape=(12,), **NUMBERS, **ROWS),
    DataSpec(name="s", kind="series", input_shape=(20, 3), **NUMBERS, **ROWS),
    DataSpec(
        name="x",
        kind="text",
        task="tokens",
        input_shape=(32,),
        output_shape=(32,),
        vocabulary=50,
        num_outputs=50,
        **ROWS,
    ),
    DataSpec(name="l", kind="text", task="binary", input_shape=(32,), vocabulary=50, num_outputs=1, **ROWS),
    DataSpec(
        name="p",
        kind="pairs",
        task="tokens",
        input_shape=(9,),
        output_shape=(9,),
        vocabulary=20,
        num_outputs=20,
        **ROWS,
    ),
    DataSpec(
        name="c", kind="captions", task="tokens", input_shape=(3, 32, 32), output_shape=(9,), num_outputs=20, **ROWS
    ),
]
QUICK = (
    "lenet5",
    "convnet",
    "airbench",
    "lstm",
    "fasttext",
    "mlp",
    "linear",
    "ridge",
    "svm",
    "knn",
    "mark1",
    "captioner",
    "seq2seq",
)
OTHERS = ("alexnet-small", "resnet20", "rnn", "gru", "encoder", "vit", "gpt", "transformer")
NOTHING = ("perceptron", "least-squares")  # nothing to turn on many inputs
by_spec = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.kind}-{spec.task}-{spec.input_shape}")


def check_default_spaces(spec: DataSpec, names: tuple[str, ...]) -> int:
    """How many of the models take the data; each takes every value of its default space too."""
    asked = 0
    for name in names:
        fits = name == "auto" or (spec.kind in MODELS[name].kinds and spec.task in MODELS[name].tasks)
        if fits and (name, spec.kind, spec.task) != ("encoder", "text", "tokens"):  # it sees what it is to predict
            config = with_options(Config(), {"model__name": name})
            space = default_space(config, spec)
            space.check(config, spec)
            assert all(knob.why for knob in space.knobs)
            asked += 1
    return asked


@by_spec
def test_models_take_every_value_of_their_default_space(spec: DataSpec) -> None:
    assert check_default_spaces(spec, ("auto", *QUICK)) >= 2


@pytest.mark.slow
@by_spec
def test_further_models_take_every_value_of_theirs(spec: DataSpec) -> None:
    check_default_spaces(spec, OTHERS)


@by_spec
def test_ranges_hold_the_defaults(spec: DataSpec) -> None:
    resolved, _ = resolve(Config(), spec)
    for knob in default_space(Config(), spec).knobs:
        section, key = knob.path.split(".")
        default = getattr(getattr(resolved, section), key, resolved.model.options.get(key))
        if key == "momentum":
            default = resolved.optim.options["momentum"]
        inside = default in knob.choices if knob.kind == "choice" else knob.low <= default <= knob.high
        assert inside, f"{knob.path}: {default}"


def test_what_the_user_set_is_not_searched() -> None:
    spec = SPECS[2]
    everything = default_space(Config(), spec).paths
    assert {"optim.lr", "optim.weight_decay", "model.hidden", "model.dropout", "training.batch_size"} == set(everything)
    config = with_options(Config(), {"lr": 0.01, "hidden": (8,)})
    assert default_space(config, spec).paths == tuple(p for p in everything if p not in ("optim.lr", "model.hidden"))
    recurrent = with_options(Config(), {"model__name": "lstm"})
    assert "model.dropout" in default_space(recurrent, spec).paths
    one_layer = with_options(Config(), {"model__name": "lstm", "model__layers": 1})
    assert "model.dropout" not in default_space(one_layer, spec).paths  # it acts between layers only
    two_layers = with_options(Config(), {"model__name": "lstm", "model__layers": 2})
    assert "model.dropout" in default_space(two_layers, spec).paths


def test_models_that_take_no_steps_are_not_asked_for_rates() -> None:
    for name in ("ridge", "svm", "knn", "mark1"):
        paths = default_space(with_options(Config(), {"model__name": name}), SPECS[1]).paths
        assert not any(path.startswith(("optim", "training")) for path in paths), name


@pytest.mark.parametrize("name", NOTHING)
def test_a_model_without_knobs_says_so(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: nothing to search: it has no knob to turn.*--space FILE"):
        default_space(with_options(Config(), {"model__name": name}), SPECS[1])


def test_a_space_that_is_set_altogether_says_so() -> None:
    config = with_options(Config(), {"model__name": "knn", "model__k": 3})
    with pytest.raises(ConfigError, match="every knob of its default space is set already"):
        default_space(config, SPECS[2])


def test_batches_stay_well_below_the_rows() -> None:
    few = SPECS[2].model_copy(update={"num_train": 100})
    sizes = next(k for k in default_space(Config(), few).knobs if k.path == "training.batch_size").choices
    assert max(sizes) <= 25
