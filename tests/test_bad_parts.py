"""Parts that do not exist or do not fit, and sequences that cannot be used: one message, exit 2, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from limpid.catalogue.kinds import KINDS
from limpid.catalogue.losses import LOSSES
from limpid.catalogue.models import MODELS
from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.catalogue.part import Catalogue
from limpid.catalogue.schedules import SCHEDULES
from tests.small_data import make_small

Limpid = Callable[..., Any]
Refused = Callable[..., None]
TINY_GPT = ("--model", "gpt", "--set", "model.width=16", "--set", "model.heads=2", "--set", "model.layers=1")
MONTHS = [f"{1950 + i // 12}-{i % 12 + 1:02}" for i in range(60)]


@pytest.fixture
def refused(limpid: Limpid, tmp_path: Path) -> Refused:
    """Run a command that must be refused with one message that holds these texts; no run may begin."""

    def refuse(*arguments: str | Path, says: tuple[str, ...], quiet: bool = True) -> None:
        before = {*tmp_path.rglob("*")}
        done = limpid(*arguments, *(("--out", "refused") if arguments[0] == "train" else ()))
        assert done.code == 2, (done.out, done.err)
        lines = done.err.splitlines()
        assert [line.startswith("Error: ") for line in lines].count(True) == 1, done.err
        assert not quiet or done.err.startswith("Error: "), done.err
        assert "Traceback" not in done.err
        for text in says:
            assert text in done.err, f"{text!r} is not in the message: {done.err}"
        assert done.out == ""
        assert {*tmp_path.rglob("*")} == before, "something was written"

    return refuse


# Patterns


@pytest.mark.parametrize(
    ("source", "pattern", "says"),
    [
        ("digits", "[conv32-relu]*2 pool pool pool pool fc", ("Layer 8, pool", "32 x 1 x 1", "side of 1")),
        ("digits", "conv8@11/p0-relu fc", ("Layer 1, conv8@11/p0", "1 x 8 x 8")),
        ("digits", "cat[conv4 | conv4/s2] gap fc", ("cat", "8 x 8", "4 x 4")),
        ("moons", "conv8-relu fc", ("Layer 1, conv8", "2", "channels")),
        ("digits", "conv8-rleu fc", ("rleu", "Did you mean relu?")),
        ("digits", "[conv8-relu fc", ("[",)),
    ],
)
def test_a_pattern_that_cannot_be_names_the_layer_and_what_came_in(
    refused: Refused, source: str, pattern: str, says: tuple[str, ...]
) -> None:
    refused("train", source, "--model", pattern, says=(*says, pattern))


# Names


def misspelt(name: str) -> str:
    """The name with its last letter twice."""
    return name + name[-1]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_an_unknown_part_of_any_kind_names_the_nearest(refused: Refused, kind: Catalogue[Any]) -> None:
    name = [*kind][-1]
    refused("show", misspelt(name), says=(misspelt(name), f"Did you mean {name}?"))


@pytest.mark.parametrize(
    ("section", "word", "nearest"),
    [
        ("model.name", "lennet5", "lenet5"),
        ("objective.loss", "huberr", "huber"),
        ("optim.name", "adamm", "adam"),
        ("optim.schedule", "cosin", "cosine"),
        ("model.activation", "rellu", "relu"),
        ("model.init", "he_norml", "he_normal"),
        ("model.bias_init", "zeroes", "zeros"),
        ("augment.flipp", "true", "augment.flip"),
        ("regularize.l11", "1", "regularize.l1"),
        ("optim.lookahed", "5", "optim.lookahead"),
    ],
)
def test_an_unknown_part_in_a_run_names_the_nearest(refused: Refused, section: str, word: str, nearest: str) -> None:
    refused("train", "digits", "--set", f"{section}={word}", says=(nearest,))


def test_an_unknown_recipe_names_the_nearest(refused: Refused) -> None:
    refused("train", "digits", "--recipe", "smal-images", says=("smal-images", "small-images"))


def test_several_libraries_name_a_near_model_once(limpid: Limpid) -> None:
    done = limpid("train", "digits", "--model", "resnet-18x", "--out", "refused")
    assert "Nearest: resnet18, " in done.err
    assert done.err.count(" resnet18,") == 1, done.err


# Parts that do not fit each other


@pytest.mark.parametrize(
    ("source", "task"), [("iris", "classification"), ("moons", "binary"), ("diabetes", "regression")]
)
def test_a_loss_that_does_not_fit_the_task_is_told_with_those_that_do(refused: Refused, source: str, task: str) -> None:
    fits = [name for name, part in LOSSES.items() if task in part.tasks and not part.refusal]
    for name, part in LOSSES.items():
        if task not in part.tasks:
            refused("train", source, "--loss", name, says=(f"objective.loss={name}", task, *fits))


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "none"])
def test_an_option_of_another_optimizer_is_told_whose_it_is(refused: Refused, name: str) -> None:
    own = {*OPTIMIZERS[name].options, *(option for course in SCHEDULES.values() for option in course.options)}
    foreign = {option: other for other in OPTIMIZERS for option in OPTIMIZERS[other].options if option not in own}
    option, owner = next(iter(foreign.items()))
    value = OPTIMIZERS[owner].options[option].default
    text = str(list(value) if isinstance(value, tuple) else value).lower()
    owners = OPTIMIZERS.owners(option)
    says = (f"optim.{option} is not an option of {name}", "It belongs to", owners[0])
    refused("train", "moons", "--optimizer", name, "--set", f"optim.{option}={text}", says=says)


def test_options_of_another_schedule_loss_or_model_are_told_whose_they_are(refused: Refused) -> None:
    assert "gamma" in SCHEDULES["step"].options
    assert "heads" in MODELS["gpt"].options
    refused("train", "moons", "--schedule", "cosine", "--set", "optim.gamma=0.5", says=("cosine", "step"))
    refused("train", "diabetes", "--loss", "mse", "--set", "objective.delta=2", says=("mse", "huber"))
    refused("train", "moons", "--model", "mlp", "--set", "model.heads=2", says=("mlp", "gpt"))


def test_a_model_that_does_not_take_the_data_says_what_it_takes(refused: Refused) -> None:
    refused("train", "moons", "--model", "lenet5", says=("lenet5", "image", "vector"))
    refused("train", "digits", "--model", "gpt", says=("gpt", "text", "image"))
    refused("train", "diabetes", "--model", "svm", says=("svm", "classification", "regression"))


def test_a_run_that_ends_before_a_solved_model_saw_all_rows(refused: Refused) -> None:
    few = ("--set", "training.steps=1", "--batch-size", "8")
    refused("train", "iris", "--model", "ridge", *few, says=("training.steps=1", "ridge", "Leave training.steps out"))


# Texts, pairs and series


@pytest.mark.parametrize(
    ("content", "more", "says"),
    [
        (b"", (), "empty"),
        (b" \n\n ", (), "empty"),
        (bytes(range(256)) * 20, (), "not text"),
        (b"once upon a time\n" * 9, ("--context", "500"), "a context of 500 takes at least 501"),
    ],
    ids=["empty", "blank", "binary", "short"],
)
def test_a_text_that_cannot_be_used(
    refused: Refused, tmp_path: Path, content: bytes, more: tuple[str, ...], says: str
) -> None:
    (tmp_path / "story.txt").write_bytes(content)
    refused("train", "story.txt", *more, says=("story.txt", says))


def test_a_token_that_training_never_saw(limpid: Limpid, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text("once upon a time\n" * 60)
    once = ("--context", "8", "--set", "training.steps=1", "--set", "record.report=false", "--quiet", "--out", "run")
    done = limpid("train", "story.txt", *TINY_GPT, *once)
    assert done.code == 0, done.err
    refused("generate", "run", "--prompt", "λ", says=("λ", "never"))


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (MONTHS[:20] + MONTHS[22:], ("row 20", "a gap", "1951-11")),
        (MONTHS[:20] + MONTHS[19:], ("row 20", "1951-08", "twice")),
        ([*MONTHS[:20], MONTHS[21], MONTHS[20], *MONTHS[22:]], ("row 21", "1951-09", "not in order")),
    ],
    ids=["gap", "twice", "order"],
)
def test_a_series_with_faulty_times(refused: Refused, tmp_path: Path, times: list[str], says: tuple[str, ...]) -> None:
    lines = ["month,sales", *(f"{time},{i % 12}" for i, time in enumerate(times))]
    (tmp_path / "sales.csv").write_text("\n".join(lines) + "\n")
    refused("train", "sales.csv", "--form", "series", says=("sales.csv", *says, "data.times=mend", "data.times=ignore"))


def test_pairs_of_unequal_length(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "de.txt").write_text("eins\nzwei\ndrei\n")
    (tmp_path / "pairs" / "en.txt").write_text("one\ntwo\n")
    refused("train", "pairs", "--form", "pairs", says=("de.txt has 3 lines", "en.txt has 2", "equally many"))
    (tmp_path / "pairs.tsv").write_text("eins\tone\nzwei\ttwo\ndrei\n")
    refused("train", "pairs.tsv", "--form", "pairs", says=("pairs.tsv", "line 3", "1 field(s)"))


# Published weights


class Alarm:
    """Whoever unpickles this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of images; published weights are looked for in this folder alone, and the network is not there."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    small = make_small("image", "classification", side=32, size=12)
    np.savez(tmp_path / "images.npz", x=small.source, y=small.y)
    return tmp_path / "images.npz"


def test_weights_that_cannot_be_had(refused: Refused, images: Path) -> None:
    command = ("train", images, "--model", "resnet18", "--pretrained")
    refused(*command, says=("resnet18", "could not be had", "Put a copy at", "model.pretrained"), quiet=False)
    refused("train", images, "--model", "convnet", "--pretrained", says=("convnet", "no published weights"))


def test_weights_that_do_not_match(refused: Refused, images: Path, tmp_path: Path) -> None:
    from torchvision.models import ResNet18_Weights

    place = tmp_path / "torch" / "hub" / "checkpoints" / ResNet18_Weights.DEFAULT.url.rpartition("/")[2]
    torch.save({"conv1.weight": torch.zeros(3)}, place)
    command = ("train", images, "--model", "resnet18", "--pretrained")
    refused(*command, says=("resnet18", str(place), "Put a copy at"))
    place.write_bytes(b"no weights")
    refused(*command, says=("resnet18", str(place), "Put a copy at"))
    canary = tmp_path / "canary"
    torch.save({"conv1.weight": Alarm(canary)}, place)  # weights are read, and no code is run
    refused(*command, says=("resnet18", str(place), "Put a copy at"))
    assert not canary.exists()


@pytest.mark.parametrize(
    ("model", "option"), [("convnet", "hidden=64"), ("resnet20", "dropout=0.2"), ("convnet", "activation=tanh")]
)
def test_an_option_that_the_model_would_ignore(model: str, option: str, refused: Refused) -> None:
    options = ("--model", model, "--set", f"model.{option}", "--set", "data.image_size=32")
    name, _, _ = option.partition("=")
    refused("train", "digits", *options, says=(f"model.{name}=", f"has no effect on {model}", "Leave it out"))
