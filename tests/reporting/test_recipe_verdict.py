"""Verdicts about recipes: the formulas of another library, how often equal recipes are told apart, and real records."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

import limpid
from limpid.record.run import Run
from limpid.reporting.comparison import compare_runs
from limpid.reporting.intervals import MOST_TRIALS, mean_interval, trials_to_tell, unpaired_difference
from limpid.reporting.recipe_verdict import judge_recipes
from limpid.reporting.repeats import LEFT_OUT, OWN_SPLIT, SAME_ROWS, Repeats
from limpid.spec import DataSpec

DRAWS = 2000
# 2000 draws at a true rate of 5 % exceed this share once in 200 times.
SURELY_MORE = float(stats.binom.ppf(0.995, DRAWS, 0.05)) / DRAWS


def repeats(
    name: str, values: np.ndarray | list[float], score: str = "loss", start: int = 0, rows: int = 150
) -> Repeats:
    figures = {start + i: {score: float(value)} for i, value in enumerate(values)}
    return Repeats(name, figures, "validation", rows, SAME_ROWS, dict.fromkeys(figures, "content"))


@pytest.mark.parametrize("doubt", [0.05, 0.01])
def test_paired_verdicts_are_those_of_scipy(doubt: float) -> None:
    draw = np.random.default_rng(0)
    words = set()
    for _ in range(200):
        a = draw.normal(size=draw.integers(2, 9))
        b = a + draw.normal(draw.choice([-1.0, 0.0, 1.0]), 0.7, size=len(a))
        twin = stats.ttest_rel(b, a)
        verdict = judge_recipes(repeats("a", a), repeats("b", b), doubt)
        bounds = twin.confidence_interval(1 - doubt)
        assert verdict.interval == pytest.approx((bounds.low, bounds.high), rel=1e-9)
        word = "cannot tell" if twin.pvalue >= doubt else "better" if verdict.difference < 0 else "worse"
        assert verdict.word == word  # a loss: less is better
        assert verdict.pairs == len(a)
        words.add(word)
    assert words == {"better", "worse", "cannot tell"}


def test_other_seeds_are_compared_unpaired_as_scipy_does() -> None:
    draw = np.random.default_rng(0)
    for _ in range(100):
        a, b = draw.normal(size=draw.integers(2, 9)), draw.normal(1.5, 2.0, size=draw.integers(2, 9))
        twin = stats.ttest_ind(b, a, equal_var=False)
        bounds = twin.confidence_interval(0.95)
        assert unpaired_difference(a, b) == pytest.approx((bounds.low, bounds.high), rel=1e-9)
        verdict = judge_recipes(repeats("a", a), repeats("b", b, start=100))
        assert verdict.pairs == 0
        assert (verdict.word == "cannot tell") == (twin.pvalue >= 0.05)
        assert "unpaired" in verdict.sentence()


@pytest.mark.parametrize("num_seeds", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 5)), 10])
def test_equal_recipes_are_seldom_told_apart(num_seeds: int) -> None:
    """Both recipes draw from one distribution; seeds share half of its variance, as a split shared by seed would."""
    draw, told = np.random.default_rng(num_seeds), 0
    for _ in range(DRAWS):
        shared = draw.normal(size=num_seeds)
        pair = [repeats(name, shared + draw.normal(size=num_seeds)) for name in "ab"]
        told += judge_recipes(*pair).word != "cannot tell"
    assert told / DRAWS <= SURELY_MORE


@pytest.mark.parametrize("rows", [10, 150])
def test_equal_recipes_with_shares_of_few_rows_are_seldom_told_apart(rows: int) -> None:
    """Two seeds: right answers of so many rows agree by chance so often that a plain t test is wrong up to 11 %."""
    draw, told, plain = np.random.default_rng(rows), 0, 0
    for _ in range(DRAWS):
        a, b = (draw.binomial(rows, 0.9, 2) / rows for _ in range(2))
        told += (
            judge_recipes(*(repeats(n, v, "accuracy", rows=rows) for n, v in (("a", a), ("b", b)))).word
            != "cannot tell"
        )
        low, high = mean_interval(b - a)
        plain += not low <= 0 <= high
    assert told / DRAWS <= SURELY_MORE
    assert rows > 10 or plain / DRAWS > 0.08


def test_pairing_sees_what_the_spread_of_seeds_hides() -> None:
    """Seeds differ by 1, the recipes by 0.1 +- 0.02 within each seed."""
    draw = np.random.default_rng(0)
    a = draw.normal(size=6)
    b = a - 0.1 + 0.02 * draw.normal(size=6)
    assert judge_recipes(repeats("a", a), repeats("b", b)).word == "better"
    assert judge_recipes(repeats("a", a), repeats("b", b, start=100)).word == "cannot tell"


@pytest.mark.parametrize(("groups", "difference", "spread"), [(1, 0.5, 1.0), (1, 1.4, 1.0), (2, 0.8, math.sqrt(2))])
def test_so_many_trials_tell_a_difference_four_times_in_five(groups: int, difference: float, spread: float) -> None:
    n = trials_to_tell(difference, spread, groups=groups)
    draw = np.random.default_rng(0)
    shares = []
    for size in (n, n - 1):
        if groups == 1:
            p = stats.ttest_1samp(draw.normal(difference, spread, (20_000, size)), 0, axis=1).pvalue
        else:
            a, b = (draw.normal(m, 1.0, (20_000, size)) for m in (0, difference))
            p = stats.ttest_ind(a, b, axis=1).pvalue
        shares.append((p < 0.05).mean())
    assert shares[0] > 0.79
    assert shares[1] < 0.81
    assert shares[0] > shares[1]


def test_trials_to_tell_at_its_ends() -> None:
    assert trials_to_tell(0.0, 1.0) == trials_to_tell(1e-6, 1.0) == MOST_TRIALS
    assert trials_to_tell(1.0, 0.0) == trials_to_tell(1e3, 1.0) == 2


def test_the_sentence_carries_the_evidence_and_the_advice() -> None:
    a, b = repeats("a", [0.90, 0.92, 0.91], "accuracy"), repeats("b", [0.91, 0.92, 0.93], "accuracy")
    twin = stats.ttest_rel([0.91, 0.92, 0.93], [0.90, 0.92, 0.91]).confidence_interval(0.95)
    assert judge_recipes(a, b).sentence() == (
        "Cannot tell the recipes b and a apart: validation accuracy +1.00 points "
        f"(95 % interval {100 * twin.low:+.2f} to {100 * twin.high:+.2f} points) over 3 pairs of seeds, on the same "
        "150 rows. If it is really that large, about 7 more seeds of each would show it 4 times in 5."
    )  # a difference of one deviation takes 10 pairs by any table of the paired t test
    same = judge_recipes(a, a)
    assert same.word == "cannot tell"
    assert same.more is None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (repeats("b", [0.5]), "b has one of the seeds only"),
        (repeats("b", []), "none of the seeds of b has a result"),
        (
            Repeats("b", {0: {"loss": 1.0}, 1: {"loss": 2.0}}, "test", 150, OWN_SPLIT),
            "was judged on the same rows by each",
        ),
        (
            Repeats("b", {0: {"loss": 1.0}, 1: {"loss": 2.0}}, "validation", 9, SAME_ROWS, {0: "x", 1: "x"}),
            "different data",
        ),
        (repeats("b", [0.5, 0.6], "mae"), "no figure"),
    ],
)
def test_what_cannot_be_compared_is_said(other: Repeats, reason: str) -> None:
    verdict = judge_recipes(repeats("a", [0.5, 0.6, 0.7]), other)
    assert verdict.word == "not comparable"
    assert reason in verdict.sentence()


def member_row(number: int, accuracy: float, **changes: object) -> dict[str, object]:
    row = {
        "number": number,
        "path": f"members/{number}",
        "step": 10,
        "figure": 0.3,
        "monitor": "loss",
        "seed": number + 6,
    }
    return row | {"state": "finished", "valid": {"loss": 0.3, "accuracy": accuracy}} | changes


@pytest.fixture
def population(make_empty: Callable[..., Run], make_spec: Callable[..., DataSpec]) -> Callable[..., Run]:
    def make(name: str, rows: list[dict[str, object]], lr: float = 0.1, **training: object) -> Run:
        config = {"optim": {"lr": lr}, "training": {"seed": 7, "ensemble": "seeds", "members": len(rows)} | training}
        with make_empty(name, spec=make_spec(("no", "yes")), config=config, members=[{}] * len(rows)) as run:
            for row in rows:
                run.add("member", **row)
            run.add("end", status="finished", step=1, seconds=2.0)
        return Run.open(run.path)

    return make


def test_members_of_two_runs_are_paired_by_seed(population: Callable[..., Run]) -> None:
    a = population("a", [member_row(i, 0.8 + 0.001 * i) for i in (1, 2, 3, 4)])
    b = population("b", [member_row(i, 0.9 + 0.0011 * i) for i in (2, 3, 4, 5)], lr=0.2)
    comparison = compare_runs([a, b])
    (verdict,) = comparison.recipe_verdicts
    assert verdict.word == "better"
    assert verdict.score == "accuracy"
    assert verdict.pairs == 3
    assert verdict.difference == pytest.approx(0.1003)
    assert comparison.recipes[0]["mean"] == pytest.approx(0.8025)
    assert comparison.differences == [{"option": "optim.lr", "a": "0.1", "b": "0.2"}]
    assert verdict.doubt == pytest.approx(0.025)  # the ensembles get a verdict of their own
    text = comparison.render()
    assert "The recipe b is better than a: validation accuracy +10.03 points (97.5 % interval" in text
    assert "whatever the seed" in text
    told = json.loads(comparison.to_json(), parse_constant=pytest.fail)
    assert told["recipe_verdicts"][0]["word"] == "better"


def test_failed_members_are_counted_and_left_out(population: Callable[..., Run]) -> None:
    rows = [member_row(i, 0.8 + 0.001 * i) for i in (1, 2, 3)]
    a = population("a", [*rows, member_row(4, math.nan, state="failed", figure=math.nan)])
    text = compare_runs([a, population("b", rows, lr=0.2)]).render()
    assert "3 seeds (1 failed)" in text
    assert "over 3 pairs" in text


def fold_row(number: int, accuracy: float) -> dict[str, object]:
    return member_row(number, accuracy, seed=7, fold=f"{number}/4")


def test_folds_are_paired_with_the_correction_of_nadeau_and_bengio(population: Callable[..., Run]) -> None:
    a, b = [0.90, 0.93, 0.91, 0.94], [0.93, 0.95, 0.93, 0.95]
    runs = [
        population(name, [fold_row(i, value) for i, value in enumerate(values, 1)], lr=lr, ensemble="folds")
        for name, values, lr in (("a", a, 0.1), ("b", b, 0.2))
    ]
    for run in runs:
        with Run.open(run.path, write=True) as opened:
            opened.add("held_out", name="out_of_fold", of=400, n=400, accuracy=0.9)
    (verdict,) = compare_runs([Run.open(run.path) for run in runs]).recipe_verdicts
    differences = np.array(b) - np.array(a)
    half = stats.t.ppf(1 - verdict.doubt / 2, 3) * differences.std(ddof=1) * math.sqrt(1 / 4 + 1 / 3)
    assert verdict.interval == pytest.approx((differences.mean() - half, differences.mean() + half))
    assert (verdict.pairs, verdict.unit, verdict.rows, verdict.more) == (4, "folds", 100, None)
    assert "over 4 pairs of folds, each on the rows left out." in verdict.sentence()


def test_the_interval_of_one_recipe_allows_for_agreement_by_chance_and_for_folds() -> None:
    """As that which train prints: equal shares of 27 rows are no certainty, and folds share training rows."""
    agreeing = repeats("a", [26 / 27] * 4, "accuracy", rows=27).to_row("accuracy")
    half = stats.t.ppf(0.975, 3) * math.sqrt(1 / 12 / 27**2 / 4)  # the variance of rounding to a step of 1/27
    assert (agreeing["low"], agreeing["high"]) == pytest.approx((26 / 27 - half, 26 / 27 + half))
    values = [0.80, 0.82, 0.85, 0.78]
    folds = Repeats("f", {k: {"loss": value} for k, value in enumerate(values)}, "validation", 100, LEFT_OUT, {})
    half = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) * math.sqrt(1 / 4 + 1 / 3)
    row = folds.to_row("loss")
    assert (row["low"], row["high"]) == pytest.approx((np.mean(values) - half, np.mean(values) + half))


def test_equal_recipes_are_seldom_told_apart_by_folds() -> None:
    """The nearest neighbour by either of two inputs that say equally much; 40 rows in 5 folds, other rows every draw.

    Folds train on the same rows, so that a plain t test of them tells the two apart far too often.
    """
    draw, told, plain = np.random.default_rng(0), 0, 0
    for _ in range(DRAWS):
        x_N2 = draw.normal(size=(40, 2))
        y_N = x_N2.sum(axis=1) + 0.7 * draw.normal(size=40) > 0
        right_K2 = np.empty((5, 2))
        for k in range(5):
            test = np.arange(40) % 5 == k
            away_TN2 = np.abs(x_N2[test, None] - x_N2[None, ~test])
            right_K2[k] = (y_N[~test][away_TN2.argmin(axis=1)] == y_N[test, None]).mean(axis=0)
        pair = [
            Repeats(name, {k: {"accuracy": a} for k, a in enumerate(right_K)}, "validation", 8, LEFT_OUT, {})
            for name, right_K in (("a", right_K2[:, 0]), ("b", right_K2[:, 1]))
        ]
        told += judge_recipes(*pair).word != "cannot tell"
        low, high = mean_interval(right_K2[:, 1] - right_K2[:, 0], step=1 / 8)
        plain += not low <= 0 <= high
    assert told / DRAWS <= SURELY_MORE
    assert plain / DRAWS > 0.1


def test_only_seeds_are_repeats(population: Callable[..., Run]) -> None:
    rows = [member_row(i, 0.8) for i in (1, 2, 3)]
    comparison = compare_runs([population("a", rows, ensemble="snapshot"), population("b", rows, ensemble="seeds")])
    assert comparison.recipe_verdicts == []
    assert len(comparison.recipes) == 1


def test_real_runs_of_both_kinds(tmp_path) -> None:
    small = {
        "data__source": "moons",
        "data__noise": 0.1,
        "model__name": "mlp",
        "model__hidden": (8,),
        "training__threads": 1,
    }

    def train(name: str, **options: object) -> str:
        return str(limpid.train(**small, record__out=str(tmp_path / name), record__report=False, **options).path)

    two = {"training__members": 3, "training__ensemble": "seeds"}
    populations = [train("short", epochs=1, **two), train("long", epochs=4, **two)]
    (verdict,) = limpid.compare(*populations).recipe_verdicts
    reached = [[row["valid"]["accuracy"] for row in Run.open(path).events("member")] for path in populations]
    bounds = stats.ttest_rel(reached[1], reached[0]).confidence_interval(1 - verdict.doubt)
    assert verdict.interval == pytest.approx((bounds.low, bounds.high))
    assert (verdict.pairs, verdict.rows, verdict.split) == (3, 150, "validation")
    assert ["1 each" in line for line in limpid.compare(*populations).render().splitlines()[:3]] == [False, True, False]

    singles = [train(f"{epochs} {seed}", epochs=epochs, seed=seed) for epochs in (1, 4) for seed in (0, 1, 2)]
    comparison = limpid.compare(*singles)
    (verdict,) = comparison.recipe_verdicts
    reached = [Run.open(path).events("result")[-1]["accuracy"] for path in singles]
    bounds = stats.ttest_rel(reached[3:], reached[:3]).confidence_interval(0.95)
    assert verdict.interval == pytest.approx((bounds.low, bounds.high))
    assert (verdict.pairs, verdict.split) == (3, "test")
    assert "each on rows of its own split" in comparison.render()
    assert [row["option"] for row in comparison.differences] == ["training.epochs"]
    assert comparison.verdicts == []
