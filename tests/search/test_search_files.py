"""The files of a search: a configuration as TOML and back, and a journal that optuna reads."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from limpid.config import Config
from limpid.config_reader import load_config, with_options
from limpid.errors import RecordError
from limpid.search.journal import Journal
from limpid.search.winner import to_toml


def test_a_configuration_comes_back_from_its_toml(tmp_path) -> None:
    options = {
        "data__source": 'a "quoted" \\ näme\n\x7f😀.csv',
        "target": ("a b", "c=d"),
        "types": {"zip code": "category", 'x"y': "number"},
        "header": False,
        "hidden": (64, 32),
        "lr": 1e-5,
        "optimizer": "adamw",
        "optim__betas": (0.9, 0.99),
        "clip_norm": None,
        "epochs": 3,
    }
    config = with_options(Config(), options)
    path = tmp_path / "best.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert load_config(path) == config


def journalled(path: Path) -> optuna.Study:
    storage = optuna.storages.JournalStorage(Journal(path))
    return optuna.create_study(storage=storage, study_name="s", load_if_exists=True)


def test_a_journal_is_read_by_optuna_and_goes_on_behind_a_torn_line(tmp_path) -> None:
    path = tmp_path / "study.log"
    study = journalled(path)
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    study.tell(trial, 2.0)
    study.ask().suggest_float("x", 0.0, 1.0)
    path.write_bytes(path.read_bytes()[:-9])
    again = journalled(path)
    again.tell(1, 1.0)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    theirs = optuna.load_study(study_name="s", storage=optuna.storages.JournalStorage(backend))
    assert [(trial.params, trial.value) for trial in theirs.trials] == [(trial.params, 2.0), ({}, 1.0)]
    assert not (tmp_path / "study.log.lock").exists()


def test_what_is_asked_at_once_is_written_at_once(tmp_path) -> None:
    path = tmp_path / "study.log"
    journal = Journal(path)
    with journal.at_once():
        journal.append_logs([{"op_code": 0}])
        journal.append_logs([{"op_code": 1}])
        assert path.read_bytes() == b""
        assert list(journal.read_logs(1)) == [{"op_code": 1}]
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("line", [b"{not json}\n", b"7\n", b"\xff\n"])
def test_a_damaged_line_is_named(tmp_path, line: bytes) -> None:
    path = tmp_path / "study.log"
    path.write_bytes(b'{"op_code": 0}\n' + line + b'{"op_code": 0}\n')
    with pytest.raises(RecordError, match=r"study\.log, line 2 is damaged"):
        Journal(path)
