"""A population in Python: outcomes, the best of them, and all of them as one network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import limpid
from limpid.config import Config
from limpid.deploy.trained import load_trained
from limpid.errors import ConfigError

OPTIONS: dict[str, Any] = {
    "model__name": "mlp", "epochs": 2, "device": "cpu", "precision": "float32", "training__matmul": "default",
    "training__threads": 1, "size": 200, "record__report": False,
}  # fmt: skip


@pytest.mark.spec("A40")
def test_outcomes_best_and_ensemble(tmp_path: Path) -> None:
    configs = [{"hidden": (4,)}, {"hidden": (8, 8), "seed": 3}, {"hidden": (4,), "lr": 1e38}]
    population = limpid.Population("moons", configs, **OPTIONS)
    with pytest.raises(ConfigError, match="call train"):
        _ = population.best
    outcomes = population.train(on="one-by-one")
    assert [outcome.number for outcome in outcomes] == [0, 1, 2]
    assert [outcome.state for outcome in outcomes[:2]] == ["finished", "finished"]
    assert outcomes[2].state == "failed"
    assert population.best.figure == min(outcome.figure for outcome in outcomes[:2])
    run = population.ensemble(out=tmp_path / "run")
    assert [row["number"] for row in run.events("member_result")] == [1, 2]
    sample = torch.randn(5, 2)
    members = []
    for number in (0, 1):
        alone = limpid.train("moons", config=population.configs[number], out=tmp_path / str(number))
        if number == 0:
            members.append(load_trained(alone).network(sample).sigmoid())
        else:  # a run's seed is that of its split too, a member's is not
            own = load_trained(alone).network
            own.load_state_dict(dict(outcomes[1].weights or {}))
            members.append(own(sample).sigmoid())
    torch.testing.assert_close(load_trained(run).network(sample).sigmoid(), torch.stack(members).mean(0))
    assert limpid.predict(run, np.zeros((2, 2), np.float32)).probabilities is not None


def test_what_is_no_population_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"configs\[1\] asks for several networks"):
        limpid.Population("moons", [{}, {"seeds": 3}])
    with pytest.raises(ConfigError, match="no configuration"):
        limpid.Population("moons", [])
    with pytest.raises(ConfigError, match="Did you mean stacked"):
        limpid.Population("moons", [Config()], **OPTIONS).train(on="staked")
