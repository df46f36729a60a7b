"""The race: every path is the optimiser's own, rates are tuned alike for all, and tables say what the traces say."""

from __future__ import annotations

import csv
import html
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from limpid.catalogue.call import read_call
from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.catalogue.surfaces import SURFACES
from limpid.config import OptimConfig
from limpid.errors import ConfigError
from limpid.optim import build_optimizer
from limpid.optim.surface import Surface, build_surface
from limpid.practice.finish import Finish, average_ranks, judge, stays_within
from limpid.practice.lanes import Lane, run_lanes
from limpid.practice.race import PLAIN, RATES, race, split_calls
from limpid.practice.race_record import race_record
from limpid.practice.standings import Standing, conclusions, critical_difference, stand
from limpid.reporting.page import plotly_source
from limpid.reporting.race_report import render_race

Limpid = Callable[..., Any]
LEARNERS = [name for name in OPTIMIZERS if name != "none"]


def surface(name: str, **changes: Any) -> Surface:
    return build_surface(replace(SURFACES[name], **changes))


def paths(names: list[str], surfaces: list[Surface], rates: list[float], num_steps: int, seed: int = 0) -> torch.Tensor:
    return run_lanes(
        [read_call(OPTIMIZERS, name) for name in names], surfaces, rates, num_steps=num_steps, seed=seed
    )  # fmt: skip


# Paths


@pytest.mark.spec("I11")
@pytest.mark.parametrize(
    ("name", "rate", "ends"),
    [("ravine", 0.001, "far"), ("ravine", 0.015, "near"), ("ravine", 0.021, "gone"), ("two_wells", 0.05, "trapped")],
)
def test_a_trajectory_is_the_iterates_of_plain_descent(name: str, rate: float, ends: str) -> None:
    slopes = {
        "ravine": lambda x, y: (100 * x, y),
        "two_wells": lambda x, y: (4 * x**3 - 6 * x + 1, 2 * y),
    }
    x, y = SURFACES[name].start
    expected = [(x, y)]
    for _ in range(200):
        dx, dy = slopes[name](x, y)
        x, y = x - rate * dx, y - rate * dy
        expected.append((x, y))
    path = paths([PLAIN], [surface(name)], [rate], 200)[:, 0, 0, 0]
    assert torch.allclose(path, torch.tensor(expected, dtype=torch.float64), rtol=1e-9)
    excess = surface(name).loss(path[-1]).item() - SURFACES[name].least
    assert {"far": excess > 0.3, "near": excess < 0.01, "gone": excess > 1e6, "trapped": 2.4 < excess < 2.5}[ends]


@pytest.mark.spec("I10")
def test_from_a_symmetric_start_descent_never_leaves_the_axis_of_the_saddle() -> None:
    names = [PLAIN, "nesterov", "adam", "adagrad"]
    path = paths(names, [surface("saddle", start=(1.5, 0.0)), surface("saddle")], [0.1], 150)
    assert torch.equal(path[:, :, 0, 0, 1], torch.zeros(151, len(names), dtype=torch.float64))
    assert path[-1, 0, 0, 0].norm() < 1e-6, "it stays in the saddle itself"
    assert path[-1, 0, 0, 1, 1] > 0.9, "a hundred-thousandth beside the axis it comes out"


@pytest.mark.spec("I18", "O20")
def test_the_clipped_path_stays_bounded() -> None:
    bare, clipped = paths([PLAIN], [surface("cliff"), surface("clipped_cliff")], [1.0], 60)[:, 0, 0].unbind(dim=1)
    (left, right), (low, high) = SURFACES["cliff"].window
    assert not ((bare[:, 0] < right) & (bare[:, 1] < high)).all(), "thrown out of the picture"
    assert ((left < clipped[:, 0]) & (clipped[:, 0] < right) & (low < clipped[:, 1]) & (clipped[:, 1] < high)).all()
    assert clipped.diff(dim=0).norm(dim=1).max() <= 0.25
    assert surface("cliff").loss(clipped[-1]) < 0.1 * surface("cliff").loss(bare[-1])


@pytest.mark.parametrize("name", LEARNERS)
def test_points_do_not_know_of_one_another(name: str) -> None:
    """Each of them is where an optimiser of its own would have brought it; `elementwise` says so in the catalogue."""
    part, rate = OPTIMIZERS[name], 0.03
    starts = torch.tensor([[1.0, 2.0], [-0.5, 0.3], [30.0, 0.01]], dtype=torch.float64)
    points, slopes = starts.clone(), torch.zeros_like(starts)
    lane = Lane(read_call(OPTIMIZERS, name), rate, points, slopes)
    alone = [nn.ParameterList([nn.Parameter(start.clone()[None])]) for start in starts]
    config = OptimConfig(name=name, lr=rate, weight_decay=0.0)
    optimizers = [build_optimizer(config, one) for one in alone]
    for _ in range(4):
        slopes.copy_(points * torch.tensor([1.0, 5.0]))
        lane.optimizer.step()
        for (point,), optimizer in zip(alone, optimizers, strict=True):
            point.grad = point.detach() * torch.tensor([1.0, 5.0])
            optimizer.step()
    moved = torch.cat([one[0].detach() for one in alone])
    assert torch.allclose(points, moved, rtol=1e-12, atol=0)
    assert not torch.equal(points, starts)
    assert part.elementwise is (name not in ("muon", "adafactor"))


def test_a_path_is_where_the_optimiser_would_be_judged() -> None:
    """Nesterov's own form trains at w - mu v and is judged at w."""
    path = paths(["nesterov"], [surface("ravine")], [0.005], 30)[:, 0, 0, 0]
    w, v = torch.tensor([1.0, 1.0], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for step in range(30):
        v = 0.9 * v + 0.005 * torch.tensor([100.0, 1.0]).double() * (w - 0.9 * v)
        w = w - v
        assert torch.allclose(path[step + 1], w, rtol=1e-9, atol=1e-12)


def test_everybody_gets_the_same_samples_and_a_seed_draws_others() -> None:
    def noisy(seed: int) -> torch.Tensor:
        return paths([PLAIN, "sgd(momentum=0, nesterov=false)"], [surface("single_samples")], [0.1], 20, seed)[
            :, :, 0, 0
        ]

    first = noisy(0)
    assert torch.equal(first[:, 0], first[:, 1])
    assert torch.equal(first, noisy(0))
    assert not torch.equal(first, noisy(1))


# Judgement


def test_the_rate_is_chosen_by_what_is_descended_and_the_end_judged_by_what_is_wanted() -> None:
    here = surface("few_samples")
    path = paths([PLAIN], [here], [0.03, 0.3], 100)[:, :, :, 0]
    (finish,) = judge(here, path)
    wanted, seen = (loss(path)[-10:, 0].mean(dim=0) for loss in (here.loss, here.seen))
    assert seen[1] < seen[0]
    assert wanted[0] < wanted[1], "the slower one would have been better, which only the wanted loss knows"
    assert finish.rate_place == 1
    assert finish.excess == pytest.approx(wanted[1].item() - here.part.least)


def test_who_arrived_comes_first_by_steps_and_who_diverged_last() -> None:
    path = torch.zeros(101, 5, 1, 2, dtype=torch.float64)
    steps = torch.arange(101.0)
    path[:, 0, 0, 1] = torch.where(steps < 50, 1.0, 0.0)
    path[:, 1, 0, 1] = torch.where(steps < 20, 1.0, 0.0)
    path[:, 2, 0, 1] = torch.where(steps < 90, 1.0, 1e-3)
    path[:, 3, 0, 1] = torch.where(steps < 90, 1.0, math.nan)
    path[:, 4, 0, 1] = torch.where(steps < 90, 1.0, 1.5)
    ends = judge(surface("ravine"), path)
    assert [end.rank for end in ends] == [2.0, 1.0, 3.0, 4.5, 4.5]
    assert [end.arrived for end in ends] == [50, 20, None, None, None]
    assert [end.near for end in ends] == [50, 20, 90, None, None]
    assert [end.diverged for end in ends] == [False, False, False, True, True]
    assert stays_within(torch.tensor([1.0] * 95 + [0.0] * 6), 0.5) is None, "the last tenth must be within"
    assert average_ranks([(1, 0.5), (0, 9.0), (1, 0.5), (2, 0.0)]) == [2.5, 1.0, 2.5, 4.0]


def test_standings_count_places_that_are_nobodys_for_nobody() -> None:
    def end(c: int, rank: float) -> Finish:
        return Finish(c, 0, 1.0, None, None, diverged=rank == 4, rank=rank)

    finishes = {"one": [end(c, r) for c, r in enumerate((1.0, 2.0, 3.0, 4.0))], "two": [end(c, 2.5) for c in range(4)]}
    rows = stand(["a", "b", "c", "d"], [True, False, True, False], finishes)
    assert [(row.optimizer, row.mean_rank, row.wins, row.lasts, row.diverged) for row in rows] == [
        ("a", 1.75, ("one",), (), ()), ("b", 2.25, (), (), ()), ("c", 2.75, (), (), ()),
        ("d", 3.25, (), ("one",), ("one",)),
    ]  # fmt: skip


def test_the_rule_of_thumb_is_judged_over_surfaces() -> None:
    def told(*ranks: tuple[float, ...]) -> str:
        rows = [Standing(name, name == "a", row, (), (), ()) for name, row in zip("abc", ranks, strict=True)]
        return conclusions(rows, ["one", "two", "three"])[-1]

    assert "holds here" in told((1, 1, 1.5), (2, 3, 1.5), (3, 2, 3))
    assert "cannot be told from chance here" in told((1, 3, 2), (2, 2, 1), (3, 1, 3))
    assert "does not hold here" in told((3, 3, 2.5), (2, 1, 1), (1, 2, 2.5))


def test_the_critical_difference_is_that_of_the_tables() -> None:
    for k, q in ((2, 1.960), (4, 2.569), (10, 3.164)):  # Demsar 2006, table 5a
        assert critical_difference(k, 14) == pytest.approx(q * math.sqrt(k * (k + 1) / (6 * 14)), rel=5e-4)


def test_optimisers_are_told_apart_by_commas_outside_of_brackets() -> None:
    assert split_calls("adam, sgd(momentum=0, nesterov=false),") == ["adam", "sgd(momentum=0, nesterov=false)"]
    assert split_calls("") == []


# What is written


@pytest.fixture(scope="module")
def small() -> Any:
    return race(["two_wells", "few_samples"], [PLAIN, "adam"], num_steps=40)


@pytest.mark.spec("I11")
def test_the_slice_of_a_one_dimensional_path_holds_its_iterates(small: Any) -> None:
    wells, samples = race_record(small)["surfaces"]
    along = wells["rates"]["slice"]
    assert samples["rates"]["slice"] is None, "that path leaves its line"
    for x, excess in zip(along["x"][::40], along["excess"][::40], strict=True):
        assert excess == pytest.approx(x**4 - 3 * x**2 + x + 3.5139050389347886)
    slow = wells["rates"]["lines"][RATES.index(0.01)]
    x = 1.5
    for step in range(41):
        assert slow["x"][step] == pytest.approx(x)
        assert slow["excess_at"][step] == pytest.approx(x**4 - 3 * x**2 + x + 3.5139050389347886)
        x -= 0.01 * (4 * x**3 - 6 * x + 1)


@pytest.mark.spec("I10")
def test_the_ranking_equals_the_traces(limpid: Limpid, tmp_path: Path) -> None:
    names = ["ravine", "rosenbrock"]
    done = limpid("race", *names, "--optimizers", f"{PLAIN},adam,lion", "--steps", "30", "--out", "r")
    assert done.code == 0, done.err
    ranking = list(csv.DictReader((tmp_path / "r" / "ranking.csv").open()))
    traces = list(csv.DictReader((tmp_path / "r" / "traces.csv").open()))
    for name in names:
        rows = [row for row in ranking if row["surface"] == name]
        for row in rows:
            mine = [t for t in traces if (t["surface"], t["optimizer"]) == (name, row["optimizer"])]
            assert [int(t["step"]) for t in mine] == [*range(31)]
            assert {t["lr"] for t in mine} == {row["lr"]}
            assert float(row["excess"]) == pytest.approx(sum(float(t["loss"]) for t in mine[-3:]) / 3)
            x, y = float(mine[-1]["x"]), float(mine[-1]["y"])
            value = (100 * x**2 + y**2) / 2 if name == "ravine" else (1 - x) ** 2 + 100 * (y - x**2) ** 2
            assert float(mine[-1]["loss"]) == pytest.approx(value)
        assert [float(row["rank"]) for row in rows] == [1.0, 2.0, 3.0]
        ends = [float(row["excess"]) for row in rows]
        assert ends == sorted(ends)
        table = done.out.partition(f"{name}: ")[2].splitlines()[2:5]
        assert [line.split()[1] for line in table] == [row["optimizer"] for row in rows]
    assert f"page     {Path('r') / 'race.html'}" in done.out

    page = (tmp_path / "r" / "race.html").read_text(encoding="utf-8")
    (island,) = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', page)
    drawn = json.loads(island)
    assert set(drawn) == {f"{kind}-{name}" for kind in ("race", "rates") for name in names}
    assert "default-src 'none'" in html.unescape(page[:1000])
    assert not re.search(r'(?:src|href)="(?!#)', page.replace(plotly_source(), "")), "it asks for nothing"
    best = next(row for row in ranking if row["surface"] == "ravine")
    (path,) = [
        t for t in drawn["race-ravine"]["data"] if t.get("name") == f"1  {best['optimizer']}" and "xaxis" not in t
    ]
    mine = [t for t in traces if (t["surface"], t["optimizer"]) == ("ravine", best["optimizer"])]
    assert path["x"] == pytest.approx([float(t["x"]) for t in mine], rel=1e-4)
    assert path["y"] == pytest.approx([float(t["y"]) for t in mine], rel=1e-4)


def test_json_and_refusals(limpid: Limpid, tmp_path: Path) -> None:
    done = limpid("race", "ravine", "--optimizers", "adam", "--steps", "20", "--json")
    *rows, last = [json.loads(line) for line in done.out.splitlines()]
    assert [row["optimizer"] for row in rows] == ["adam"]
    assert last["conclusions"] == ["adam ran alone: there is nothing to compare it with."]
    for arguments, message in (
        (["rosenbrok"], "Did you mean rosenbrock?"),
        (["ravine", "--optimizers", "adamm"], "Did you mean adam?"),
    ):
        refused = limpid("race", *arguments, "--out", "none")
        assert (refused.code, refused.out) == (2, "")
        assert message in refused.err
        assert not (tmp_path / "none").exists()
    rows = [json.loads(line) for line in limpid("surfaces", "--json").out.splitlines()]
    assert [row["name"] for row in rows] == [*SURFACES]
    assert "difficulty: saddle points" in limpid("show", "saddle").out


def test_texts_of_the_record_cannot_act_on_the_page(small: Any) -> None:
    record, bad = race_record(small), "</script><script>alert(1)</script><b>"
    for line in (*record["standings"], *(line for row in record["surfaces"] for line in row["lines"])):
        line["optimizer"] = bad
    for row in record["surfaces"]:
        row |= {"pitfall": bad, "what": bad}
    page = render_race(record | {"conclusions": [bad]})
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "<b>" not in page.replace(plotly_source(), "")


def test_options_that_do_not_fit_are_refused_in_one_message() -> None:
    with pytest.raises(ConfigError, match="momentum"):
        race(["ravine"], ["sgd(momentum=2)"], num_steps=20)


def test_a_folder_that_cannot_be_made_is_told_before_the_race(limpid: Limpid, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here", encoding="utf-8")
    refused = limpid("race", "--out", "file")
    assert refused.code == 2
    assert "--out file: the folder cannot be made" in refused.err
