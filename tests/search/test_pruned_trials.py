"""What a pruner may let go, and what it may not."""

from __future__ import annotations

import pytest

import limpid
from limpid.errors import ConfigError
from limpid.search.study import Study

OPTIONS = {"model__name": "mlp", "training__threads": 1, "data__size": 100, "record__report": False}


def test_a_trial_that_had_all_its_epochs_is_never_let_go(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Study, "report", lambda *heard: False)  # a pruner that likes nothing
    asked = {"budget": 2, "seeds": 0, "pruner": "median", "on": "one-by-one", **OPTIONS}
    search = limpid.tune("moons", epochs=1, out=str(tmp_path / "one"), **asked)
    assert [(row["state"], row["epochs"]) for row in search.trials] == [("finished", 1)] * 2
    with pytest.raises(ConfigError):  # after the first of two epochs it may
        limpid.tune("moons", epochs=2, out=str(tmp_path / "two"), **asked)
