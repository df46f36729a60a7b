"""The benches of populations: their arithmetic, and each of their programs at the smallest size."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import population_child, populations, searches, w7
from bench.child import run_child
from bench.populations import Cost
from bench.search_plan import BATCH_SIZES, draw_configs, write_plan, write_space
from bench.w7 import PEER_SCRIPTS, Search, command_of, search_table
from limpid.population.ground import Ground
from limpid.search.space_file import load_space


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_configurations_are_drawn_once_and_cover_their_ranges():
    configs = draw_configs(250)
    assert configs[:25] == draw_configs(25)
    assert draw_configs(3, seed=1) != configs[:3]
    exponents = np.log10([config["lr"] for config in configs])
    assert -4 <= exponents.min() < -3.9
    assert -1.6 < exponents.max() <= -1.5
    assert abs(np.mean(exponents) + 2.75) < 0.15
    assert {config["batch_size"] for config in configs} == set(BATCH_SIZES)


def test_everyone_trains_and_chooses_on_limpids_own_split(tmp_path):
    plan = json.loads(write_plan(tmp_path / "folder" / "plan.json", 2, 1).read_text())
    assert (len(plan["train"]), len(plan["valid"])) == (1257, 270)
    assert not set(plan["train"]) & set(plan["valid"])
    assert plan["epochs"] == 1
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    for program in ("limpid", *PEER_SCRIPTS):
        command = command_of(program, tmp_path / "plan.json", on="stacked")
        assert str(tmp_path / "plan.json") in command
        assert program == "limpid" or Path(command[1]).exists()


@pytest.mark.slow
def test_w7_runs_a_plan(tmp_path):
    plan = write_plan(tmp_path / "plan.json", 2, 1)
    found = w7.run_search("limpid", command_of("limpid", plan), 2)
    assert found.error is None
    assert 0 < found.mean_accuracy < found.best_accuracy <= 1
    assert 0 < found.search_seconds < found.seconds
    tuned = w7.run_search(w7.TUNE, command_of(w7.TUNE, plan), 2)
    assert tuned.error is None
    assert 0 < tuned.mean_accuracy < tuned.best_accuracy <= 1
    assert 0 < tuned.training_seconds < tuned.seconds
    failed = w7.run_search("limpid", [sys.executable, "-c", "raise SystemExit('no | luck')"], 2)
    assert failed.error == "exit 1: no | luck"


def test_the_space_of_tune_is_that_of_the_plan(tmp_path):
    space = load_space(write_space(tmp_path / "space.toml"))
    found = {knob.path: knob for knob in space.knobs}
    configs = draw_configs(250)
    for path, name in (("optim.lr", "lr"), ("optim.weight_decay", "weight_decay")):
        assert found[path].kind == "log"
        assert found[path].low <= min(config[name] for config in configs) < 1.1 * found[path].low
        assert 0.9 * found[path].high < max(config[name] for config in configs) <= found[path].high
    assert found["training.batch_size"].choices == BATCH_SIZES


def test_table_of_searches_has_ratios_and_bars():
    runs = [
        Search("limpid", 25, seconds, 700.0, 0.5, 0.4, 0.98, 0.9) for seconds in (1.0, 2.0, 9.0)
    ] + [
        Search("sklearn, 2 jobs", 25, 5.0, 500.0, 4.0, 3.0, 0.97, 0.9),
        Search("optuna", 25, 9.0, 500.0, error="exit 1: a | b"),
    ]  # fmt: skip
    lines = search_table(runs).splitlines()
    assert lines[2].startswith("| limpid | 2.00 (1.00-9.00) |  |  | 0.400 (0.400-0.400) |  |  | 0.9800 |")
    assert lines[3].startswith("| sklearn, 2 jobs | 5.00 | 2.5 | 2 | 3.00 | 7.5 | 10 | 0.9700 |")
    assert "failed: exit 1: a / b" in lines[4]
    assert all(line.count("|") == lines[0].count("|") for line in lines)


def test_a_population_and_a_loop_do_the_same_job():
    options = populations.MOONS | {"epochs": 1, "data__size": 200, "training__device": "cpu", "training__threads": 1}
    job = {"options": options, "members": 2, "on": "one-by-one"}
    together = population_child.in_population(job, Ground())
    assert len(together) == 2
    assert together[0] != together[1]
    assert len(population_child.in_folders(job | {"way": "loop"})) == 2
    assert len(population_child.in_folders(job | {"way": "run"})) == 1


@pytest.mark.slow
def test_a_job_is_measured_in_a_process_of_its_own():
    job = populations.MOONS | {"epochs": 1, "data__size": 200, "training__device": "cpu"}
    cost = populations.measure(job, 2)
    assert 0 < cost.seconds < 60
    assert cost.megabytes > 50
    assert math.isfinite(cost.figure)
    with pytest.raises(SystemExit, match="optimzer"):
        populations.measure(job | {"optimzer": "adam"}, 1)


def test_growth_is_told_per_member():
    found = {
        (1, "auto"): [Cost(0.5, 0.4, 700.0, 0.1)],
        (4, "auto"): [Cost(1.0, 0.9, 706.0, 0.1)],
        (1, "one-by-one"): [Cost(0.5, 0.5, 700.0, 0.1)],
    }
    lines = populations.growth_table(found, epochs=5).splitlines()
    assert lines[2] == "| 1 | auto | 0.500 | 100 | 1.000 | 80.0 | 700 |  |"
    assert lines[3] == "| 4 | auto | 1.00 | 50.0 | 0.500 | 45.0 | 706 | 2.00 |"
    assert lines[4].startswith("| 1 | one-by-one |")


def test_loops_and_lenets_are_told_as_ratios():
    def cost(seconds):
        return [Cost(seconds, seconds, 700.0, 0.1)]

    name = "moons 2-32-32-2"
    text = populations.loop_table({name: {"population": cost(0.5), "run": cost(2.0), "loop": cost(20.0)}})
    assert f"| {name} | population | 0.500 | 40.0 | 20 | 0.500 | 700 |" in text
    assert f"| {name} | run | 2.00 | 10.0 |  |" in text
    text = populations.lenet_table({2: {"auto": cost(1.0), "one-by-one": cost(1.5)}})
    assert "| 2 | auto | 1.00 | 1.50 | 700 |" in text


def test_what_is_measured_is_alternated(monkeypatch):
    asked = []

    def note(job, size, *, way="population", on="auto"):
        asked.append((size, way, on))
        return Cost(1.0, 1.0, 1.0, 1.0)

    monkeypatch.setattr(populations, "measure", note)
    options = argparse.Namespace(repeats=2, epochs=1, on=["auto", "one-by-one"], quick=False)
    populations.measure_growth((1, 256), options, {})
    assert asked == 2 * [(1, "population", "auto"), (1, "population", "one-by-one"), (256, "population", "auto")]
    found = populations.measure_loops(options, {})
    assert {way: len(costs) for way, costs in found["moons 2-32-32-2"].items()} == {
        "population": 2,
        "run": 2,
        "loop": 2,
    }
    assert found["moons 2-32-32-2"]["loop"][0].seconds == 8.0  # an eighth of the seeds, counted eight times


@pytest.mark.parametrize(("n", "level"), [(1, 0.0), (5, 0.9375), (7, 0.984375), (12, 0.96142578125)])
def test_intervals_of_medians_hold_as_often_as_they_say(n, level):
    assert searches.median_level(n) == level
    if n == 1:
        assert searches.median_interval([3.0]) == (3.0, 3.0, 3.0)
        return
    draw = np.random.default_rng(0)
    bounds = [searches.median_interval(draw.exponential(size=n)) for _ in range(2000)]
    held = np.mean([low <= math.log(2) <= high for low, _, high in bounds])
    assert held == pytest.approx(level, abs=0.02)
    assert all(low <= middle <= high for low, middle, high in bounds)


def test_searches_that_never_arrive_are_longer_than_all_others():
    assert searches.median_interval([1.0, 2.0, math.inf]) == (1.0, 2.0, math.inf)
    assert searches.median_interval([1.0, math.inf])[1] == math.inf
    table = searches.race_table({("tpe", "none"): [(4, 0.5), (9, 1.0), None]}, budget=60)
    assert "| tpe | none | 9.00 (4.00 to > 60) | 1.00 (0.500 to -) | 2 of 3 |" in table


def test_a_race_ends_at_the_first_trial_that_arrives():
    problem = searches.table(2)
    target = searches.score_to_reach(problem, 6)
    race = searches.run_race(problem, ("random", "none"), 0, 8, None)
    assert race.reached is None
    assert len(race.figures) == 8
    assert math.isfinite(target)
    order = searches.run_race(problem, ("random", "none"), 0, 8, sorted(race.figures)[3])
    assert order.reached is not None
    assert 1 <= order.reached[0] <= 8
    easy = searches.run_race(problem, ("random", "none"), 0, 8, 1e9)
    assert easy.reached is not None
    assert easy.reached[0] == 1
    assert searches.run_race(problem, ("random", "none"), 0, 4, 0.0).reached is None


@pytest.mark.slow
@pytest.mark.parametrize("module", ["bench.populations", "bench.searches"])
def test_the_quick_look_prints_tables(module):
    child = run_child([sys.executable, "-m", module, "--quick"], env={"LIMPID_DATA": ""})
    assert child.code == 0, child.errors
    assert child.output.count("### ") >= 2
    assert "| ---" in child.output
