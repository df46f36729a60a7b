"""Every regulariser and companion of an optimiser does what its entry says when the option that it names is given.

The options are read off the entries, so that a new part joins by being registered, and an entry cannot name an option
that does not exist.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from limpid.catalogue.companions import COMPANIONS
from limpid.catalogue.models import MODELS
from limpid.catalogue.part import Part
from limpid.catalogue.regularizers import REGULARIZERS
from limpid.config import Config
from limpid.config_reader import override
from limpid.recipe import load_recipe, recipe_names
from limpid.record.run import Run
from tests.small_data import SMALL, Small, assert_finite, make_small, train_small

Limpid = Callable[..., Any]
PARTS = {**REGULARIZERS, **COMPANIONS}
FLAGS = re.compile(r"--[a-z][a-z-]*(?: [^\s,;:]+)?")
LOOSE = re.compile(r"(?<![\w.=])(?:training|model|optim|regularize|augment|objective)\.\w+=[^\s,;:]+")
SETTING = re.compile(r"\w+\.\w+=.*")
FOR_IMAGES = ("spatial_dropout", "stochastic_depth", "augmentation", "mixing", "freezing", "thawing", "transfer")
FOR_TEXTS = ("variational_dropout",)
# What an entry takes for granted, or says in words.
BESIDE = {
    "augmentation": ("--set", "augment.flip=true"),
    "variational_dropout": ("--model", "gru", "--dropout", "0.2", "--set", "model.layers=2", "--set", "model.units=8"),
    "stochastic_depth": ("--model", "resnet20"),
    "thawing": ("--freeze", "backbone", "--epochs", "2"),
    "snapshot_ensemble": ("--set", "training.members=2", "--epochs", "2"),
    "early_stopping": ("--epochs", "2"),
    "swa": ("--epochs", "2"),
}
MLP = ("--model", "mlp", "--hidden", "12,8")
NOT_HERE = ("--pretrained",)  # needs the network; see test_bad_parts.py for what is said without it


def switches(part: Part) -> list[str]:
    """Every option that the entry's line names, as arguments of the command."""
    found = [word for flag in FLAGS.findall(part.what) for word in flag.split(" ", 1)]
    joined = " ".join(found)
    for setting in LOOSE.findall(part.what):
        if setting not in joined:
            found += ["--set", setting]
    return [word for word in found if word not in NOT_HERE]


@pytest.fixture
def sources(tmp_path: Path) -> Callable[[str], list[str | Path]]:
    """The data that a part is for, as files."""

    def write(name: str) -> list[str | Path]:
        if name in FOR_IMAGES:
            small = make_small("image", "classification", side=12, size=20)
            np.savez(tmp_path / "images.npz", x=small.source, y=small.y)
            return [tmp_path / "images.npz"]
        if name in FOR_TEXTS:
            small = make_small("text", "classification")
            pl.DataFrame({"text": small.source, "y": small.y}).write_csv(tmp_path / "texts.csv")
            return [tmp_path / "texts.csv", "--form", "texts", "--target", "y"]
        small = make_small("vector", "classification")
        np.savez(tmp_path / "rows.npz", x=small.source, y=small.y)
        return [tmp_path / "rows.npz"]

    return write


@pytest.mark.parametrize("name", PARTS)
def test_the_option_that_an_entry_names_is_taken(
    name: str, limpid: Limpid, sources: Callable[[str], list[str | Path]], tmp_path: Path
) -> None:
    arguments = switches(PARTS[name])
    assert arguments or name in BESIDE, f"{PARTS[name].what!r} names no option"
    common = ["--batch-size", "8", "--device", "cpu", "--set", "record.report=false", "--quiet"]
    data, beside = sources(name), list(BESIDE.get(name, ()))
    if "--epochs" not in beside:
        common += ["--epochs", "1"]
    if "--model" not in arguments + beside and name not in FOR_TEXTS:
        beside += ["--model", "convnet"] if name in FOR_IMAGES else list(MLP)
    if "RUN" in arguments:
        first = limpid("train", *data, *common, *beside, "--seed", "1", "--out", "first")
        assert first.code == 0, first.err
        arguments[arguments.index("RUN")] = "first"
    done = limpid("train", *data, *arguments, *beside, *common, "--out", "run")
    assert done.code == 0, (shlex.join(arguments), done.err)
    run = Run.open(tmp_path / "run")
    assert_finite(run)
    settings = [word for word in arguments + beside if SETTING.fullmatch(word)]
    for section, wanted in override(Config(), settings).model_dump(mode="json", exclude_unset=True).items():
        kept, options = run.header["config"][section], wanted.pop("options", {})
        assert {key: kept[key] for key in wanted} == wanted
        assert {key: kept["options"][key] for key in options} == options


# Recipes

# The published size takes minutes: the same settings at the least size that the network takes.
SMALLER: dict[str, dict[str, Any]] = {
    "alexnet-2012": {"data__image_size": None, "training__members": 2},
    "photographs": {"data__image_size": None, "model__pretrained": False},
    "resnet-2015": {"data__image_size": None},
    "vgg-2014": {"data__image_size": None},
    "language-model": {"data__context": 16, "data__tokens": "char", "data__vocabulary": None},
    "nanogpt-char": {"data__context": 16},
    "text-classes": {"data__context": 16},
    "series": {"data__window": 8},
}
SLOW_RECIPES = ("alexnet-2012", "photographs", "resnet-2015", "vgg-2014")
SIDES = {"alexnet-2012": 67, "lenet-1998": 28, "photographs": 64, "resnet-2015": 64, "vgg-2014": 32}


def data_for(name: str, tmp_path: Path) -> Small:
    if name == "series":
        frame = pl.DataFrame({"month": [f"{1950 + i // 12}-{i % 12 + 1:02}" for i in range(96)], "sales": range(96)})
        frame.write_csv(tmp_path / "sales.csv")
        return Small(tmp_path / "sales.csv", None)
    if name in ("language-model", "nanogpt-char"):
        (tmp_path / "story.txt").write_text("there once was a fisherman, and he had a wife.\n" * 40)
        return Small(tmp_path / "story.txt", None)
    if name in ("text-classes", "table"):
        return make_small(name.split("-")[0], "classification")
    if name == "translation":
        lines = [f"{'ein' if i % 2 else 'kein'} Haus {i}\t{'a' if i % 2 else 'no'} house {i}" for i in range(40)]
        (tmp_path / "pairs.tsv").write_text("\n".join(lines))
        return Small(tmp_path / "pairs.tsv", None)
    grey = name == "lenet-1998"
    return make_small("image", "classification", side=SIDES.get(name, 16), channels=1 if grey else 3, size=12)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW_RECIPES else []) for name in recipe_names()]
)
def test_a_recipe_trains(name: str, tmp_path: Path) -> None:
    steps = 1 if name in SLOW_RECIPES else 2
    model = load_recipe(name).config.model.name
    has = MODELS[model].options if model in MODELS else {}
    small = {f"model__{option}": value for option, value in SMALL.items() if option in has}
    options = {**small, **SMALLER.get(name, {})}
    run = train_small(data_for(name, tmp_path), tmp_path / "run", steps=steps, recipe=name, **options)
    assert_finite(run)
    assert model in ("auto", run.header["config"]["model"]["name"])
