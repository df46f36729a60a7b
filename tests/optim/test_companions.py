"""What goes around an optimiser, from its entry to a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import limpid
from limpid.catalogue.companions import COMPANIONS
from limpid.catalogue.kinds import describe, find_everywhere
from limpid.catalogue.models import MODELS
from limpid.config import OptimConfig
from limpid.defaults import resolve
from limpid.errors import ConfigError
from limpid.spec import DataSpec

QUICK: dict[str, Any] = {"epochs": 3, "size": 240, "hidden": (8,), "seed": 5, "record__report": False}


def test_every_entry_can_be_found_and_switched_on_by_its_options() -> None:
    for name, part in COMPANIONS.items():
        (kind, found), *_ = find_everywhere(name)
        assert found is part
        assert f"optim.{name}" in describe(kind, part)
        assert callable(part.load())
        for key, option in part.options.items():
            default = OptimConfig.model_fields[key].default
            assert (default or 0.0) == option.default, key


@pytest.mark.parametrize(
    "options",
    [
        {"optim__sam_rho": 0.05},
        {"optim__swa": 0.67, "schedule": "constant"},
        {"optim__lookahead": 5},
        {"ema": 0.9},
        {"optim__sam_rho": 0.05, "optim__lookahead": 5, "ema": 0.9, "optim__accumulate": 2},
    ],
)
def test_a_run_with_it_ends_elsewhere_and_always_there(options: dict[str, Any], tmp_path: Path) -> None:
    def digest(name: str, **more: Any) -> str:
        run = limpid.train("moons", **QUICK, **more, training__monitor="loss", record__out=str(tmp_path / name))
        return str(run.events("end")[-1]["digest"])

    base = {key: value for key, value in options.items() if key in ("schedule", "optim__accumulate")}
    one = digest("one", **options)
    assert digest("two", **options) == one
    assert digest("plain", **base) != one


def test_a_model_with_a_step_of_its_own_takes_no_sharpness_step(tmp_path: Path) -> None:
    name = next(name for name, part in MODELS.items() if part.step and "vector" in part.kinds)
    given = {key: value for key, value in QUICK.items() if key != "hidden"}
    with pytest.raises(ConfigError, match=f"optim.sam_rho: {name} is trained by a step of its own"):
        limpid.train("moons", model=name, **given, optim__sam_rho=0.05, record__out=str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("name", "schedule", "warmup"), [("schedule_free_adamw", "constant", 0.05), ("lion", "one_cycle", 0.25)]
)
def test_the_open_schedule_is_the_one_that_suits_the_optimiser(name: str, schedule: str, warmup: float) -> None:
    spec = DataSpec(
        name="three",
        kind="vector",
        task="regression",
        input_shape=(3,),
        num_outputs=1,
        num_train=100,
        num_valid=20,
        num_test=20,
    )
    given = limpid.Config(optim=OptimConfig(name=name))
    optim = resolve(given, spec)[0].optim
    assert (optim.schedule, optim.warmup) == (schedule, warmup)
    other = resolve(limpid.Config(optim=OptimConfig(name=name, schedule="cosine")), spec)[0].optim
    assert (other.schedule, other.warmup) == ("cosine", 0.0)
