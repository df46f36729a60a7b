"""A search in lines of text: the table of its trials."""

from __future__ import annotations

from limpid.record.trial_table import TrialTable
from limpid.reporting.search_lines import TrialLines

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
