"""Learning curves over training rows: nested parts, a power law with its doubt, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import limpid
from limpid.population_words import spell_out
from limpid.record.run import Run
from limpid.reporting.html import render_report
from limpid.reporting.more_rows import fit_power_law, more_rows_sentence
from limpid.reporting.population import read_population
from limpid.reporting.reading import read_run

OPTIONS: dict[str, Any] = {
    "model": "mlp", "hidden": (6,), "epochs": 2, "device": "cpu", "precision": "float32", "training__matmul": "default",
    "training__threads": 1, "training__on": "one-by-one", "size": 300,
}  # fmt: skip


def test_parts_grow_and_the_largest_answer(tmp_path: Path) -> None:
    run = limpid.train("moons", sizes="0.25,0.5,1", seeds=2, out=tmp_path / "run", **OPTIONS)
    rows = run.events("member")
    whole = run.header["data"]["num_train"]
    sizes = [round(0.25 * whole), round(0.5 * whole), whole]
    assert [row["rows"] for row in rows] == [size for size in sizes for _ in range(2)]
    assert [row["seed"] for row in rows] == [0, 1] * 3
    assert [one["number"] for one in run.header["members"]] == [5, 6]
    assert [row["number"] for row in run.events("member_result")] == [5, 6]
    for row in rows:
        member = Run.open(run.path / row["path"])
        assert member.header["data"]["num_train"] == row["rows"]
        if row["share"] < 1.0:  # as if there were no other rows: preprocessing is learned from these alone
            assert member.header["data"]["scale_mean"] != run.header["data"]["scale_mean"]
    reading = read_run(run)
    population = read_population(reading)
    assert population is not None
    assert [size for size, _ in population.sizes()] == sizes
    assert len(population.values()) == 2
    page = render_report(reading)
    assert "Learning curve over training rows" in page


def test_a_plain_run_on_a_part_is_the_member(tmp_path: Path) -> None:
    run = limpid.train("moons", sizes=[0.5, 1], seeds=2, out=tmp_path / "run", **OPTIONS)
    alone = limpid.train("moons", data__train_share=0.5, out=tmp_path / "alone", record__report=False, **OPTIONS)
    first = run.events("member")[0]
    curve = [row["loss"] for row in alone.events("metric") if row["split"] == "valid"]
    assert first["figures"] == pytest.approx(curve, rel=1e-6)
    assert first["rows"] == alone.header["data"]["num_train"]


def test_the_line_is_least_squares_with_students_doubt() -> None:
    rng = np.random.default_rng(2)
    sizes = [(n, (2.0 * n**-0.4 * np.exp(0.05 * rng.normal(size=4))).tolist()) for n in (50, 100, 200, 400)]
    law = fit_power_law(sizes)
    assert law is not None
    x, y = zip(*((np.log(n), np.log(e)) for n, errors in sizes[-3:] for e in errors), strict=True)
    theirs = stats.linregress(x, y)
    half = stats.t.ppf(0.975, len(x) - 2) * theirs.stderr
    assert law.exponent == pytest.approx((-theirs.slope, -theirs.slope - half, -theirs.slope + half))
    assert law.error == pytest.approx(np.exp(theirs.intercept + theirs.slope * np.log(400)))
    assert law.more[0] == pytest.approx(np.exp(theirs.intercept + theirs.slope * np.log(800)))
    assert law.more[1] < law.more[0] < law.more[2]
    assert law.exponent[1] < 0.4 < law.exponent[2]
    assert fit_power_law(sizes[:1]) is None
    assert fit_power_law([(10, [0.0, 0.1]), (20, [0.1, 0.1])]) is None


def test_the_interval_of_the_exponent_holds_what_it_promises() -> None:
    """Of 300 made learning curves, 95 % of the intervals hold the true exponent."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        law = fit_power_law([(n, (n**-0.3 * np.exp(0.1 * rng.normal(size=3))).tolist()) for n in (100, 200, 400)])
        assert law is not None
        held += law.exponent[1] <= 0.3 <= law.exponent[2]
    assert 0.91 <= held / 300 <= 0.99


def test_what_is_said_depends_on_the_doubt() -> None:
    falling = [(n, [2 * n**-0.5, 2.05 * n**-0.5]) for n in (100, 200, 400)]
    assert "800 rows, twice as many, would take validation loss" in more_rows_sentence("loss", falling, 100)
    flat = [(100, [0.30, 0.35]), (200, [0.34, 0.29]), (400, [0.31, 0.33])]
    assert "Cannot tell whether more rows would help" in more_rows_sentence("loss", flat, 100)
    rising = [(n, [0.1 * n**0.5, 0.102 * n**0.5]) for n in (100, 200, 400)]
    assert "More rows would not help" in more_rows_sentence("loss", rising, 100)
    perfect = [(100, [0.97, 0.98]), (200, [0.99, 1.0]), (400, [1.0, 1.0])]
    assert "accuracy" in more_rows_sentence("accuracy", perfect, 50)  # an error of 0 counts as half a row
    assert "Too few sizes" in more_rows_sentence("loss", falling[:1], 100)


def test_words_for_sizes() -> None:
    assert spell_out({"sizes": 4})["training__sizes"] == (0.125, 0.25, 0.5, 1.0)
    assert spell_out({"sizes": "1,0.1"}) == {
        "training__members": 3, "training__ensemble": "seeds", "training__sizes": (0.1, 1.0)
    }  # fmt: skip
    assert spell_out({"sizes": [0.5, 1], "seeds": 8})["training__members"] == 8
