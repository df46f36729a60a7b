"""The command line as a user meets it: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpid.record.run import Run

Limpid = Callable[..., Any]  # the command, run in this process; see conftest.py

QUICK = ["--size", "120", "--epochs", "2", "--batch-size", "32"]


def test_train_report_compare_predict_export(limpid: Limpid, tmp_path: Path) -> None:
    done = limpid("train", "moons", *QUICK, "--out", "first")
    assert done.code == 0
    assert "test accuracy" in done.out
    assert "95 % interval" in done.out
    assert f"report {Path('first') / 'report.html'}" in done.out
    assert {entry.name for entry in (tmp_path / "first").iterdir()} >= {
        "run.json", "events.jsonl", "checkpoints", "predictions.npz", "report.html",
    }  # fmt: skip

    assert limpid("train", "moons", *QUICK, "--seed", "1", "--out", "second").code == 0
    compared = limpid("compare", "first", "second")
    assert compared.code == 0
    assert "2 seeds" in compared.out, "they are repeats of one recipe"

    (tmp_path / "first" / "report.html").unlink()
    assert limpid("report", "first").out.strip() == str(Path("first") / "report.html")
    assert (tmp_path / "first" / "report.html").stat().st_size > 100_000

    import numpy as np

    np.save(tmp_path / "new.npy", np.zeros((3, 2), dtype="float32"))
    predicted = limpid("predict", "first", "new.npy")
    header, *rows = predicted.out.strip().splitlines()
    assert header.split(",")[-3:] == ["prediction", "p_0", "p_1"]
    assert len(rows) == 3
    assert limpid("predict", "first", "new.npy", "--out", "answers.csv", "--quiet").out == ""
    assert (tmp_path / "answers.csv").read_text().splitlines()[0] == header

    exported = limpid("export", "first", "--format", "safetensors")
    assert exported.code == 0
    assert (tmp_path / "first" / "export").is_dir()


def test_runs_land_in_runs_with_a_telling_name(limpid: Limpid, tmp_path: Path) -> None:
    assert limpid("train", "xor", *QUICK, "--quiet") == (0, "", "")
    (folder,) = (tmp_path / "runs").iterdir()
    assert "-xor-mlp-" in folder.name


def test_json_lines_for_machines(limpid: Limpid) -> None:
    done = limpid("train", "moons", *QUICK, "--json", "--out", "run")
    rows = [json.loads(line) for line in done.out.splitlines()]
    events = [row["event"] for row in rows if row["event"] != "finding"]
    assert events == ["run", "start", "epoch", "epoch", "result"]
    assert rows[-1]["split"] == "test"
    assert 0 <= rows[-1]["accuracy"] <= 1


def test_config_file_set_and_flags_in_rising_precedence(limpid: Limpid, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(
        '[optim]\nname = "sgd"\nlr = 0.5\nmomentum = 0.1\n[training]\nepochs = 1\n[data]\nsize = 60\n'
    )
    arguments = ["--config", "run.toml", "--lr", "0.25", "--set", "optim.momentum=0.2", "--out", "run", "--quiet"]
    assert limpid("train", "moons", *arguments).code == 0
    config = Run.open(tmp_path / "run").header["config"]
    assert (config["optim"]["lr"], config["optim"]["options"]["momentum"], config["training"]["epochs"]) == (
        0.25,
        0.2,
        1,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "Nothing to train on"),
        (["train", "digitz"], "digits"),
        (["train", "none.csv"], "none.csv"),
        (["train", "moons", "--epohcs", "3"], "--epochs"),
        (["trian", "moons"], "train"),
        (["train", "moons", "--set", "optim.lrr=1"], "Nearest: optim.lr"),
        (["train", "moons", "--set", "training.epochs=soon"], "training.epochs = 'soon'"),
        (["train", "moons", "--hidden", "12,x"], "'x' is not a whole number"),
        (["train", "moons", "--model", "resnet21"], "resnet20"),
        (["train", "moons", "--device", "tpu"], "tpu"),
        (["train", "moons", "--types", "zip"], "COLUMN=TYPE"),
        (["train", "moons", "--config", "none.toml"], "none.toml"),
        (["train", "moons", "--resume", "run"], "--resume continues a run with the options that it has"),
        (["train", "--resume", "none"], "no such run folder"),
        (["report", "none"], "no such run folder"),
        (["predict", "none", "x.csv"], "no such run folder"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(
    limpid: Limpid, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = limpid(*arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert list(tmp_path.iterdir()) == [], "nothing half-written"


def test_a_run_folder_that_is_in_use_is_not_touched(limpid: Limpid, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("words")
    done = limpid("train", "moons", *QUICK, "--out", "mine")
    assert done.code == 2
    assert "not empty" in done.err
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_run_of_another_format_is_refused_by_name(limpid: Limpid, tmp_path: Path) -> None:
    assert limpid("train", "moons", *QUICK, "--out", "run", "--quiet").code == 0
    header = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**header, "format": 99}))
    for command in (["report", "run"], ["train", "--resume", "run"], ["predict", "run", "x.npy"]):
        done = limpid(*command)
        assert done.code == 2
        assert "99" in done.err


def test_lists(limpid: Limpid) -> None:
    assert "lenet5" in limpid("models").out
    assert "digits" in limpid("datasets").out
    assert "optim.lr" in limpid("options").out
    rows = [json.loads(line) for line in limpid("models", "--json").out.splitlines()]
    assert {"name", "year"} <= set(rows[0])


def test_a_file_that_the_system_refuses_is_named(limpid: Limpid, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", "secret.csv")

    monkeypatch.setattr("limpid.record.run.Run.open", refuse)
    done = limpid("compare", "first", "second")
    assert (done.code, done.err.strip()) == (2, "Error: secret.csv: Permission denied. What is on disk is valid.")
