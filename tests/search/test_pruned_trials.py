"""What a pruner may let go, and what it may not."""

from __future__ import annotations

import limpid


def test_a_trial_that_had_all_its_epochs_is_never_let_go(tmp_path) -> None:
    options = {"model__name": "mlp", "epochs": 5, "training__threads": 1, "data__size": 200, "out": str(tmp_path / "s")}
    space = {"optim": {"lr": {"low": 1e-4, "high": 1e-2, "scale": "log"}}}
    search = limpid.tune(
        "moons", space=space, sampler="grid", pruner="median", budget=12, seeds=0, on="one-by-one", **options
    )
    rows = [row for row in search.trials if row["stage"] == "search"]
    epochs = {state: {row["epochs"] for row in rows if row["state"] == state} for state in ("finished", "pruned")}
    assert epochs["finished"] == {5}
    assert epochs["pruned"]
    assert 5 not in epochs["pruned"]
