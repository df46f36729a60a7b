"""What open options become, by kind and size of the data."""

from __future__ import annotations

from typing import Any

import pytest

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.defaults import resolve
from limpid.spec import DataSpec


def spec(kind: str, num_train: int, shape: tuple[int, ...], task: str = "classification", **more: Any) -> DataSpec:
    outputs = 10 if task == "classification" else 1
    values = {"name": "data", "kind": kind, "task": task, "input_shape": shape, "num_outputs": outputs}
    return DataSpec.model_validate(values | {"num_train": num_train} | more)


DIABETES = spec("vector", 310, (10,), "regression")
TITANIC = spec("table", 623, (5,), cardinalities=(3, 4, 9))
ADULT = spec("table", 31_165, (6,), cardinalities=(9,) * 8, quantiles=((0.0, 1.0, 2.0),) * 6)
SPIRALS = spec("vector", 700, (2,))
MNIST = spec("image", 54_000, (1, 28, 28))
CIFAR = spec("image", 42_500, (3, 32, 32))
PHOTOGRAPHS = spec("image", 200, (3, 224, 224))
EVERY = [DIABETES, TITANIC, ADULT, SPIRALS, MNIST, CIFAR, PHOTOGRAPHS]
every_kind = pytest.mark.parametrize("data", EVERY, ids=[f"{s.kind}{s.num_train}" for s in EVERY])
ONLY_AN_MLP = {"model.hidden", "model.norm", "model.numbers"}
FREE = {  # None is a value here, or another part decides
    "model.embedding", "objective.class_weights", "optim.clip_norm", "training.threads", "training.checkpoint_steps",
    "training.device", "training.precision", "model.compile", "training.matmul", "training.steps",
    "training.mode", "training.baseline", "training.on", "model.init", "model.keep", "model.start", "model.thaw",
}  # fmt: skip


@every_kind
def test_fills_every_open_option_with_a_reason(data: DataSpec) -> None:
    config, reasons = resolve(Config(), data)
    for section in ("augment", "model", "objective", "optim", "training"):
        for key, value in getattr(config, section):
            name = f"{section}.{key}"
            if name in FREE or (name in ONLY_AN_MLP and config.model.name != "mlp"):
                continue
            assert value not in (None, "auto"), name
            if key != "options" and value != getattr(getattr(Config(), section), key):
                assert reasons[name], name
    assert config.data == Config().data
    assert config.record == Config().record


@every_kind
def test_a_second_pass_changes_nothing(data: DataSpec) -> None:
    config, _ = resolve(Config(), data)
    again, reasons = resolve(config, data)
    assert again == config
    assert not {name for name in reasons if name not in ONLY_AN_MLP}


@every_kind
def test_keeps_what_was_given(data: DataSpec) -> None:
    given = {
        "hidden": (9, 7), "model__norm": "layer", "dropout": 0.25, "model__numbers": "plain", "lr": 0.5,
        "weight_decay": 0.125, "optimizer": "sgd", "optim__nesterov": False, "schedule": "constant", "epochs": 3,
        "batch_size": 5, "ema": 0.5, "label_smoothing": 0.0, "patience": 2, "augment__flip": False, "augment__crop": 1,
        "model__name": "mlp",
    }  # fmt: skip
    before = with_options(Config(), given)
    after, reasons = resolve(before, data)
    for section in ("augment", "model", "objective", "optim", "training"):
        for key in getattr(before, section).model_fields_set - {"options"}:
            assert getattr(getattr(after, section), key) == getattr(getattr(before, section), key), key
            assert f"{section}.{key}" not in reasons
    assert after.optim.options["nesterov"] is False


def test_few_rows_get_one_strongly_dropped_layer_and_some_600_updates() -> None:
    config, reasons = resolve(Config(), DIABETES)
    assert (config.model.hidden, config.model.dropout, config.model.numbers) == ((128,), 0.5, "plain")
    updates = config.training.epochs * -(-310 // config.training.batch_size)  # type: ignore[operator]
    assert 500 < updates < 700
    assert "310" in reasons["model.hidden"]
    assert config.optim.lr == 1e-3
    assert resolve(Config(), TITANIC)[0].optim.lr == 2e-3


def test_a_narrow_layer_of_the_users_is_not_halved() -> None:
    config, _ = resolve(with_options(Config(), {"hidden": (8,)}), DIABETES)
    assert config.model.dropout == 0.0


@pytest.mark.parametrize(("hidden", "dropout"), [((128,), 0.5), ((128, 128), 0.5), ((128,) * 5, 0.0)])
def test_half_of_the_units_are_dropped_in_shallow_networks_only(hidden: tuple[int, ...], dropout: float) -> None:
    assert resolve(with_options(Config(), {"hidden": hidden}), DIABETES)[0].model.dropout == dropout


def test_many_rows_get_piecewise_numbers() -> None:
    config, _ = resolve(Config(), ADULT)
    assert (config.model.numbers, config.model.hidden, config.model.dropout) == ("piecewise", (256, 128), 0.1)
    assert 8 <= config.training.epochs <= 15  # type: ignore[operator]
    without_edges = ADULT.model_copy(update={"quantiles": ((), ())})
    assert resolve(Config(), without_edges)[0].model.numbers == "plain"


def test_many_rows_of_two_numbers_are_not_scarce() -> None:
    assert resolve(Config(), SPIRALS)[0].model.hidden == (64, 64)


@pytest.mark.parametrize(
    ("data", "name", "optimizer", "flip"),
    [(MNIST, "lenet5", "adamw", False), (CIFAR, "airbench", "sgd", True), (PHOTOGRAPHS, "resnet18", "adamw", True)],
)
def test_images_by_size_and_colour(data: DataSpec, name: str, optimizer: str, flip: bool) -> None:
    config, _ = resolve(Config(), data)
    assert (config.model.name, config.optim.name, config.augment.flip) == (name, optimizer, flip)
    assert config.model.hidden is None
    assert config.model.norm is None
    assert config.objective.label_smoothing == (0.2 if name == "airbench" else 0.1)
    assert config.training.monitor == "loss", "few validation rows tie in accuracy"
    many = resolve(Config(), data.model_copy(update={"num_valid": 6000}))[0]
    assert many.training.monitor == "accuracy"


def test_who_has_few_photographs_is_told_of_pretrained_weights() -> None:
    def reason(config: Config, rows: int) -> str:
        return resolve(config, PHOTOGRAPHS.model_copy(update={"num_train": rows}))[1]["model.name"]

    assert reason(Config(), 220).endswith("--pretrained starts from learned weights, --image-size 128 is faster")
    assert "--pretrained" not in reason(Config(), 50_000)
    assert "--pretrained" not in reason(Config(model={"pretrained": True}), 220)


def test_labelled_texts_are_judged_by_accuracy_once_it_tells_epochs_apart() -> None:
    reviews = spec("text", 1400, (256,), "binary", vocabulary=20_000)
    assert resolve(Config(), reviews.model_copy(update={"num_valid": 300}))[0].training.monitor == "accuracy"
    assert resolve(Config(), reviews.model_copy(update={"num_valid": 60}))[0].training.monitor == "loss"


def test_more_rows_fewer_epochs_and_larger_batches() -> None:
    sizes = [resolve(Config(), spec("vector", n, (2,)))[0].training for n in (200, 2_000, 20_000, 200_000, 2_000_000)]
    epochs, batches = [t.epochs for t in sizes], [t.batch_size for t in sizes]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[-1] == 5
    assert batches == sorted(batches)
    assert batches[-1] == 256


@pytest.mark.parametrize(
    ("task", "loss"), [("classification", "cross_entropy"), ("regression", "mse"), ("binary", "bce")]
)
def test_loss_by_task(task: str, loss: str) -> None:
    assert resolve(Config(), spec("table", 500, (4,), task))[0].objective.loss == loss


def test_a_module_of_ones_own_keeps_its_name() -> None:
    assert resolve(Config(), TITANIC, model_name="module:Mine")[0].model.name == "module:Mine"


def test_steps_take_the_place_of_epochs_whatever_else_would_fill_them() -> None:
    for data in (PHOTOGRAPHS, CIFAR, MNIST, TITANIC):
        config, _ = resolve(with_options(Config(), {"training__steps": 700}), data)
        per_epoch = -(-data.num_train // config.training.batch_size)  # type: ignore[operator]
        assert config.training.epochs == -(-700 // per_epoch), data.kind
    given, _ = resolve(with_options(Config(), {"training__steps": 700, "epochs": 2}), CIFAR)
    assert given.training.epochs == 2
