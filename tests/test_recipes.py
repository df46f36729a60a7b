"""Every recipe validates, resolves and says how to run it; the published ones hold the published values."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.catalogue.part import Catalogue
from limpid.config import Config
from limpid.config_reader import config_from_dict, load_config
from limpid.defaults import resolve
from limpid.errors import ConfigError
from limpid.recipe import HERE, build_on, load_recipe, recipe_names
from limpid.spec import DataSpec
from limpid.workbench import train

ROOT = Path(__file__).resolve().parents[1]


def spec(kind: str, task: str, shape: tuple[int, ...], outputs: int, **more: Any) -> DataSpec:
    return DataSpec(
        name="d", kind=kind, task=task, input_shape=shape, num_outputs=outputs,
        num_train=5000, num_valid=1000, num_test=1000, **more,
    )  # fmt: skip


# What each recipe is for.
FOR = {
    "alexnet-2012": spec("image", "classification", (3, 227, 227), 1000),
    "language-model": spec("text", "tokens", (128,), 4096, vocabulary=4096),
    "lenet-1998": spec("image", "classification", (1, 28, 28), 10),
    "nanogpt-char": spec("text", "tokens", (64,), 69, vocabulary=69),
    "photographs": spec("image", "classification", (3, 224, 224), 2),
    "resnet-2015": spec("image", "classification", (3, 224, 224), 1000),
    "resnet-cifar-2015": spec("image", "classification", (3, 32, 32), 10),
    "series": spec("series", "regression", (24, 1), 12),
    "small-images": spec("image", "classification", (3, 32, 32), 10),
    "table": spec("table", "binary", (6,), 1, quantiles=((0.0, 1.0, 2.0),) * 6),
    "text-classes": spec("text", "classification", (256,), 2, vocabulary=10000),
    "translation": spec("pairs", "tokens", (20,), 5000, vocabulary=5000, output_shape=(21,)),
    "vgg-2014": spec("image", "classification", (3, 224, 224), 1000),
}


def test_every_recipe_has_its_data_here() -> None:
    assert {*recipe_names()} == {*FOR}


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_validates_and_resolves_with_nothing_changed(name: str) -> None:
    recipe = load_recipe(name)
    resolved, reasons = resolve(recipe.config, FOR[name])
    for section, values in recipe.config.model_dump(exclude_unset=True).items():
        for key, value in values.items():
            now = getattr(getattr(resolved, section), key)
            if key == "options":
                assert {option: now[option] for option in value} == value
            else:
                assert now == value
                assert f"{section}.{key}" not in reasons
    assert load_config(HERE / f"{name}.toml") == recipe.config
    assert len(recipe.what) > 20
    assert "# Source: " in recipe.text


@pytest.mark.spec("H1")
@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_starts_with_one_line(name: str) -> None:
    words = shlex.split(load_recipe(name).start)
    assert words[:2] == ["limpid", "train"]
    assert words[words.index("--recipe") + 1] == name


@pytest.mark.spec("H1")
def test_every_kind_of_data_has_a_recipe() -> None:
    assert {(s.kind, s.task) for s in FOR.values()} >= {
        ("image", "classification"), ("table", "binary"), ("series", "regression"), ("text", "tokens"),
        ("text", "classification"), ("pairs", "tokens"),
    }  # fmt: skip


def pictures(path: Path, side: int = 32, num: int = 60) -> Path:
    rng = np.random.default_rng(0)
    y = np.arange(num) % 3
    x = rng.integers(0, 90, size=(num, side, side, 3)) + 60 * y[:, None, None, None]
    np.savez(path, x=x.astype(np.uint8), y=y)
    return path


@pytest.mark.spec("A24")
def test_alexnet_2012_carries_the_published_values_and_trains_scaled_down(tmp_path: Path) -> None:
    config = load_recipe("alexnet-2012").config
    assert (config.training.batch_size, config.training.members, config.training.ensemble) == (128, 7, "seeds")
    assert (config.optim.name, config.optim.options["momentum"], config.optim.lr) == ("sgd", 0.9, 1e-2)
    assert (config.optim.schedule, config.optim.options["factor"], config.optim.weight_decay) == ("plateau", 0.1, 5e-4)
    assert config.model.name == "alexnet-2012"
    assert config.augment.flip
    assert 0 < (config.augment.scale or 0) < 1
    assert config.augment.jitter
    data = pictures(tmp_path / "pictures.npz")
    run = train(
        str(data), recipe="alexnet-2012", model="alexnet-small", data__image_size=None, epochs=1, batch_size=32,
        training__members=2, out=tmp_path / "run", device="cpu",
    )  # fmt: skip
    used = config_from_dict(run.header["config"])
    assert (used.optim.name, used.optim.lr, used.optim.weight_decay) == ("sgd", 1e-2, 5e-4)
    assert used.optim.options["momentum"] == 0.9
    assert len(run.events("member")) == 2


@pytest.mark.slow
@pytest.mark.spec("A24")
@pytest.mark.skipif("LIMPID_DATA" not in os.environ, reason="needs CIFAR-10 in the folder LIMPID_DATA")
def test_alexnet_2012_scaled_down_learns_cifar(tmp_path: Path) -> None:
    run = train(
        "cifar10", recipe="alexnet-2012", model="alexnet-small", data__image_size=None, training__members=1,
        epochs=3, out=tmp_path / "run", data_dir=os.environ["LIMPID_DATA"],
    )  # fmt: skip
    assert run.events("result")[0]["accuracy"] > 0.4


@pytest.mark.spec("A36")
def test_resnet_2015_carries_the_published_values() -> None:
    recipe = load_recipe("resnet-2015")
    optim, training = recipe.config.optim, recipe.config.training
    assert (optim.name, optim.options["momentum"], optim.lr) == ("sgd", 0.9, 0.1)
    assert (optim.schedule, optim.options["factor"]) == ("plateau", 0.1)
    assert (optim.weight_decay, training.batch_size) == (1e-4, 256)
    assert "1e-5" in recipe.text  # the other weight decay is noted
    assert (recipe.config.model.dropout, recipe.config.model.init) == (0.0, "kaiming_normal")


def test_what_is_given_overrides_the_recipe_and_foreign_options_go() -> None:
    recipe = load_recipe("nanogpt-char").config
    given = config_from_dict({"optim": {"name": "sgd", "momentum": 0.5}, "training": {"batch_size": 3}})
    built = build_on(recipe, given)
    assert (built.optim.name, built.training.batch_size, built.training.steps) == ("sgd", 3, 2000)
    assert built.optim.options == {"momentum": 0.5, "final_lr": 0.1}  # betas were adamw's; final_lr is the schedule's
    assert built.model == recipe.model
    assert build_on(recipe, Config()) == recipe
    other = build_on(recipe, config_from_dict({"model": {"name": "lstm"}})).model
    assert (other.name, other.options) == ("lstm", {"layers": 4})  # which both have


def test_the_command_line_lists_prints_and_runs_recipes(limpid: Callable[..., Any], tmp_path: Path) -> None:
    listed = limpid("recipes")
    assert listed.code == 0
    assert all(name in listed.out for name in recipe_names())
    printed = limpid("recipes", "ResNet_2015")
    assert printed.out == (HERE / "resnet-2015.toml").read_text(encoding="utf-8")
    (tmp_path / "copy.toml").write_text(printed.out)
    assert load_config(tmp_path / "copy.toml") == load_recipe("resnet-2015").config
    data = pictures(tmp_path / "pictures.npz")
    (tmp_path / "mine.toml").write_text("[training]\nepochs = 2\nbatch_size = 16\n")
    done = limpid(
        "train", data, "--recipe", "small-images", "--config", "mine.toml", "--set", "training.epochs=1",
        "--lr", "0.05", "--device", "cpu", "--out", "run",
    )  # fmt: skip
    assert done.code == 0, done.err
    from limpid.record.run import Run

    used = config_from_dict(Run.open(tmp_path / "run").header["config"])
    assert (used.training.epochs, used.training.batch_size, used.optim.lr) == (1, 16, 0.05)
    assert (used.model.name, used.optim.schedule, used.optim.options["nesterov"]) == ("resnet20", "one_cycle", True)
    wrong = limpid("train", data, "--recipe", "alexnet-2021")
    assert wrong.code == 2
    assert "Did you mean alexnet-2012?" in wrong.err
    with pytest.raises(ConfigError, match="no recipe"):
        load_recipe("soup")


# The ledger speaks of six sections; five of the questions have a section or a key of their own here, and activation and
# initialisation are keys of the model, which they are properties of.
@pytest.mark.spec("H20")
@pytest.mark.parametrize(
    ("question", "section", "key", "default"),
    [
        ("which error measure for the task", "objective", "loss", "auto"),
        ("which activation", "model", "activation", "relu"),
        ("which architecture", "model", "name", "auto"),
        ("which optimiser", "optim", "name", "auto"),
        ("which regularisation", "regularize", "l2", 0.0),
        ("which initialisation", "model", "init", None),
    ],
)
def test_the_six_design_questions_have_a_place_a_default_and_alternatives(
    question: str, section: str, key: str, default: Any
) -> None:
    from limpid.catalogue.kinds import KINDS

    assert getattr(getattr(Config(), section), key) == default
    kinds = {
        "objective.loss": "loss", "model.activation": "activation", "model.name": "model", "optim.name": "optimizer",
        "regularize.l2": "regularizer", "model.init": "initializer",
    }  # fmt: skip
    (alternatives,) = [kind for kind in KINDS if kind.kind == kinds[f"{section}.{key}"]]
    assert isinstance(alternatives, Catalogue)
    assert len(alternatives) >= 5, question
    if default not in (None, "auto", 0.0):
        assert default in alternatives
    resolved, reasons = resolve(Config(), FOR["small-images"])
    value = getattr(getattr(resolved, section), key)
    assert value != "auto"  # an open question is answered from the data, with a reason
    assert default != "auto" or reasons[f"{section}.{key}"]


@pytest.mark.slow
def test_recipes_are_in_the_wheel(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="without it, building would fetch it from the network")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    subprocess.run([*command, str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("limpid-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"limpid/recipes/{name}.toml" for name in recipe_names()} <= {*names}
