"""A space reads from TOML as it is meant, and every slip is named with its file, table and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpid.errors import ConfigError
from limpid.search.knob import Knob
from limpid.search.space_file import is_whole, load_space, space_of

GOOD = """
[optim.momentum]
low = 0.5
high = 0.99
when = { "optim.name" = "sgd" }
why = "half is little"

[optim.lr]
low = 1e-4
high = 1e-1
scale = "log"

[optim.name]
choices = ["sgd", "adamw"]

[model.hidden]
choices = [[64], [64, 64]]

[model.dropout]
low = 0
high = 0.5

[training.batch_size]
low = 8
high = 64
scale = "log"
when.optim.name = ["sgd", "adamw"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "space.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_reads_as_it_is_meant(tmp_path: Path) -> None:
    space = load_space(written(tmp_path, GOOD))
    assert space.knobs == (
        Knob("optim.lr", "log", 1e-4, 1e-1),
        Knob("optim.name", "choice", choices=("sgd", "adamw")),
        Knob("optim.momentum", "linear", 0.5, 0.99, when={"optim.name": ("sgd",)}, why="half is little"),
        Knob("model.hidden", "choice", choices=((64,), (64, 64))),
        Knob("model.dropout", "linear", 0.0, 0.5),
        Knob("training.batch_size", "whole", 8, 64, log=True, when={"optim.name": ("sgd", "adamw")}),
    )
    assert space.origin == str(tmp_path / "space.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("optim.lr = ", "is not valid TOML"),
        ("", "names no knob"),
        ("[optm.lr]\nlow = 1\nhigh = 2", r"\[optm\] is no section of the configuration. Did you mean optim"),
        ("optim = 3", r"optim = 3 is no knob. Write a table such as \[optim.KEY\]"),
        ("[optim.lrr]\nlow = 1\nhigh = 2", r"\[optim.lrr\] is not an option. Nearest: optim.lr"),
        ("[optim]\nlr = 0.1", r"\[optim.lr\] = 0.1 is one value, which a search does not vary"),
        ("[optim.lr]\nlo = 1\nhigh = 2", r"\[optim.lr\]: lo is not known. Did you mean low"),
        ("[optim.lr]\nhigh = 2", r"\[optim.lr\]: low is missing"),
        ("[optim.lr]\nlow = '1'\nhigh = 2", r"\[optim.lr\]: low = '1': expected a number"),
        ("[optim.lr]\nlow = nan\nhigh = 2", r"\[optim.lr\]: low = nan: expected a number"),
        ("[optim.lr]\nlow = 2\nhigh = 1", r"\[optim.lr\]: low = 2 is not below high = 1"),
        ("[optim.lr]\nlow = 0\nhigh = 1\nscale = 'log'", r"\[optim.lr\]: low = 0 has no place on a log scale"),
        ("[optim.lr]\nlow = 1\nhigh = 2\nscale = 'sqrt'", r"\[optim.lr\]: scale = 'sqrt': expected linear or log"),
        ("[optim.lr]\nlow = 1\nchoices = [1]", r"\[optim.lr\]: choices and low exclude each other"),
        ("[optim.lr]\nchoices = []", r"\[optim.lr\]: choices = \[\]: expected a list of values"),
        ("[optim.lr]\nchoices = [0.1, 0.1]", r"\[optim.lr\]: choices holds 0.1 twice"),
        ("[optim.lr]\nchoices = [0.1, -1]", r"\[optim.lr\]: .*-1.* is not accepted"),
        ("[model.dropout]\nlow = 0\nhigh = 1.5", r"\[model.dropout\]: model.dropout = 1.5 is not accepted"),
        (
            "[optim.name]\nchoices = ['sgd', 'adamm']",
            r"\[optim.name\]: There is no optimizer 'adamm'. Did you mean adam",
        ),
        ("[training.batch_size]\nlow = 8.5\nhigh = 9", r"low = 8.5: training.batch_size is a whole number"),
        ("[optim.lr]\nlow = 1\nhigh = 2\nwhen = 3", r"\[optim.lr\]: when = 3: expected a table"),
        ("[optim.lr]\nlow = 1\nhigh = 2\nwhen = { 'optim.nam' = 1 }", r"names optim.nam, which is not an option"),
        ("[optim.lr]\nlow = 1\nhigh = 2\nwhen = { 'optim.name' = 'sgd' }", r"optim.name is no knob of this space"),
    ],
)
def test_a_slip_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_space(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.toml: no such file"):
        load_space(tmp_path / "none.toml")


def test_options_that_are_whole_numbers_are_known() -> None:
    assert all(is_whole(path) for path in ("training.batch_size", "training.epochs", "model.units", "model.k"))
    assert not any(
        is_whole(path) for path in ("optim.lr", "model.dropout", "model.strength", "optim.momentum", "model.C")
    )


def test_choices_may_be_a_tuple_in_python() -> None:
    (knob,) = space_of({"model": {"hidden": {"choices": ((32,), (64, 32))}}}, origin="here").knobs
    assert knob.choices == ((32,), (64, 32))
