"""Options: strict, typed, from TOML, --set and keywords; an unknown one names the nearest."""

from __future__ import annotations

from pathlib import Path

import pydantic
import pytest

from limpid.config import Config
from limpid.config_reader import SHORT_NAMES, config_from_dict, known_keys, load_config, override, with_options
from limpid.errors import ConfigError, nearest


def test_every_short_name_is_a_key() -> None:
    assert set(SHORT_NAMES.values()) <= set(known_keys())
    assert all(known_keys().values()), "every option has a description"


def test_config_is_frozen() -> None:
    with pytest.raises(pydantic.ValidationError):
        Config().optim.lr = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "section", "key", "value"),
    [
        ("optim.lr=3e-3", "optim", "lr", 0.003),
        ("model.hidden=512,256", "model", "hidden", (512, 256)),
        ("model.hidden=[512, 256]", "model", "hidden", (512, 256)),
        ("model.hidden=64", "model", "hidden", (64,)),
        ("data.target=income", "data", "target", ("income",)),
        ("data.target=a,b", "data", "target", ("a", "b")),
        ("data.skip_bad=True", "data", "skip_bad", True),
        ("data.test=new data.csv", "data", "test", "new data.csv"),
        ("objective.class_weights=balanced", "objective", "class_weights", "balanced"),
        ("objective.class_weights=1,2.5", "objective", "class_weights", (1.0, 2.5)),
        ("training.epochs=none", "training", "epochs", None),
    ],
)
def test_set_reads_plain_texts_and_toml(text: str, section: str, key: str, value: object) -> None:
    assert getattr(getattr(override(Config(), [text]), section), key) == value


def test_set_keeps_what_was_set_before() -> None:
    config = override(override(Config(), ["optim.lr=1"]), ["optim.momentum=0.5", "training.epochs=3"])
    assert (config.optim.lr, config.optim.options["momentum"], config.training.epochs) == (1.0, 0.5, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim.learning=1", r"optim\.learning is not an option"),
        ("training.batchsize=64", r"Nearest: training\.batch_size \(samples per step\)"),
        ("optin.lr=1", r"optin.*is not an option\. Nearest: optim"),
        ("optim.lr=fast", r"optim\.lr = 'fast' is not accepted"),
        ("optim.lr=-1", r"optim\.lr = -1 is not accepted: .*greater than 0"),
        (
            "model.hidden=128,0",
            r"model\.hidden = 0 is not accepted: input should be greater than 0",
        ),
        ("optim.name=adma", "no optimizer 'adma'. Did you mean adam"),
        ("lr=1", r"expected section\.key=value"),
        ("optim.lr", r"expected section\.key=value"),
    ],
)
def test_bad_assignments_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        override(Config(), [text])
    assert caught.value.exit_code == 2


def test_a_type_that_is_none_is_refused_by_its_column() -> None:
    with pytest.raises(ConfigError, match=r"data\.types\.zip = 'text' is not accepted: .*'category'"):
        with_options(Config(), {"types": {"zip": "text", "age": "number"}})


def test_keywords_take_short_names_and_single_values() -> None:
    config = with_options(Config(), {"target": "income", "lr": 0.1, "hidden": 32, "training__threads": 1})
    assert config.data.target == ("income",)
    assert config.model.hidden == (32,)
    assert with_options(Config(), {"target": 3}).data.target == ("3",)
    with pytest.raises(ConfigError, match=r"epoch is not an option\. Nearest: epochs\."):
        with_options(Config(), {"epoch": 3})


def test_toml_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[model]\nname = "mlp"\nhidden = [8, 4]\n[data.types]\n"zip code" = "category"\n')
    config = load_config(file)
    assert config.model.hidden == (8, 4)
    assert config.data.types == {"zip code": "category"}
    assert config_from_dict(config.model_dump(mode="json")) == config, "what run.json holds reads back as the same"


@pytest.mark.parametrize(
    ("content", "message"),
    [("[model\n", "is not valid TOML"), ("[modle]\n", r"modle is not an option\. Nearest: model")],
)
def test_broken_toml_names_the_file(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "run.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(file)
    assert str(file) in str(caught.value)
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_config(tmp_path / "none.toml")


def test_nearest_matches_the_key_alone() -> None:
    assert nearest("momentun", known_keys()) == "optim.momentum"
    assert nearest("xyzzy", known_keys()) is None


def test_none_is_a_word_where_it_is_a_choice_and_nothing_elsewhere() -> None:
    config = override(Config(), ["data.scale=none", "training.patience=none"])
    assert config.data.scale == "none"
    assert config.training.patience is None


@pytest.mark.parametrize(("text", "value"), [("optim.eps=0.1", 0.1), ("optim.eps=1e-30,1e-3", (1e-30, 1e-3))])
def test_an_option_may_be_one_number_for_one_part_and_two_for_another(text: str, value: object) -> None:
    assert override(Config(), [text]).optim.options["eps"] == value
    assert with_options(Config(), {"optim__eps": value}).optim.options["eps"] == value
