"""`limpid tune --architectures`: the winner is a network of its own, trained, written and usable."""

from __future__ import annotations

import pytest

import limpid
from limpid.config_reader import load_config
from limpid.errors import ConfigError
from limpid.models.pattern_parser import looks_like_pattern

SMALL = {"epochs": 2, "training__threads": 1, "data__size": 200, "record__report": False}
SMALL |= {
    "training__matmul": "default",
    "training__precision": "float32",
}  # what is measured may differ between two runs


def test_the_winner_is_a_network_that_works(tmp_path) -> None:
    start = "fc16-relu fc"
    search = limpid.tune(
        "moons", model=start, architectures=True, budget=6, seeds=0, on="one-by-one", out=str(tmp_path / "s"), **SMALL
    )
    names = [row["params"]["model.name"] for row in search.trials]
    assert names[0] == start
    assert len(set(names)) == 6
    assert all(looks_like_pattern(name) for name in names)
    assert search.run.header["sampler"] == "evolution"
    config = load_config(tmp_path / "s" / "best.toml")
    assert config.model.name == search.best["model.name"]
    assert config.optim.lr == search.best["optim.lr"]


def test_the_same_seed_searches_the_same_networks(tmp_path) -> None:
    searches = [
        limpid.tune("moons", architectures=True, budget=8, seeds=0, on="one-by-one", out=str(tmp_path / name), **SMALL)
        for name in ("one", "two")
    ]
    one, two = ([row["params"] for row in search.trials] for search in searches)
    assert one == two


def test_a_space_beside_it_is_refused(tmp_path) -> None:
    space = {"optim": {"lr": {"low": 1e-4, "high": 1e-2}}}
    with pytest.raises(ConfigError, match=r"--architectures is a space of its own"):
        limpid.tune("moons", architectures=True, space=space, out=str(tmp_path / "s"), **SMALL)
    assert not (tmp_path / "s").exists()
