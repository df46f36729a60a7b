"""A search in lines of text: the table of its trials, and how it stands."""

from __future__ import annotations

from pathlib import Path

from limpid.record.run import Run
from limpid.record.trial_table import TrialTable
from limpid.reporting.search_lines import TrialLines, result_lines

NETWORK = "fc32-bn-tanh res[fc32-bn-tanh]*3 dropout0.2 fc16-bn-tanh fc"


def test_a_network_stands_last_and_whole() -> None:
    knobs = [{"path": "model.name", "kind": "pattern"}, {"path": "optim.lr", "kind": "log", "low": 1e-4, "high": 1}]
    row = {"kind": "member", "number": 7, "monitor": "loss", "figure": 0.25, "epochs": 3, "seconds": 0.5}
    rows = [row | {"params": {"model.name": NETWORK, "optim.lr": 0.01}}]
    table = TrialTable({"metric": "loss", "space": {"knobs": knobs}}, rows)
    lines = TrialLines(table)
    assert lines.heading.split() == ["trial", "loss", "epochs", "time", "lr", "model.name"]
    (line,) = lines.lines(table.all)
    assert line.split() == ["7", "0.25", "3", "0.50", "s", "0.01", *NETWORK.split(), "best"]
    assert line.index(NETWORK) == lines.heading.index("model.name")


def test_a_search_that_has_not_ended_says_how_to_go_on(tmp_path: Path) -> None:
    with Run.create(tmp_path / "s", {"kind": "search", "metric": "loss", "budget": 4}) as run:
        told = result_lines(run)
        assert told[1:3] == ["not finished: 0 of 4 trials", "It is still going, or was ended from outside."]
        run.add("end", status="stopped", reason="Stopped by SIGINT; what ended is kept.")
        told = result_lines(run)
    assert told[1:3] == ["stopped: 0 of 4 trials", "Stopped by SIGINT; what ended is kept."]
    assert told[3] == f"To go on: limpid tune --resume {tmp_path / 's'}"
