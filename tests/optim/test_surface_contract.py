"""What every surface of the catalogue keeps, by being in it; and that its difficulty is really there, measured."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from limpid.catalogue.surfaces import SURFACES
from limpid.optim.estimates import FEW, GRAIN, NUM_SAMPLES
from limpid.optim.surface import Surface, build_surface

each_surface = pytest.mark.parametrize("name", SURFACES)

# D1 lists them, after Goodfellow, Bengio & Courville 2016, chapter 8.
DIFFICULTIES = {
    "empirical against true risk", "surrogate losses", "stochastic estimates", "step size and monotonicity",
    "local minima", "plateaus", "saddle points", "flat regions", "vanishing and exploding gradients",
    "inexact gradients", "local against global structure", "ill-conditioning", "cliffs",
}  # fmt: skip


def surface(name: str) -> Surface:
    return build_surface(SURFACES[name])


def points(*pairs: tuple[float, float]) -> Tensor:
    return torch.tensor(pairs, dtype=torch.float64)


def within(name: str, count: int = 5) -> Tensor:
    """Points drawn from the window, the start first."""
    (left, right), (low, high) = SURFACES[name].window
    unit = torch.rand(count, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    drawn = torch.tensor([left, low]) + unit * torch.tensor([right - left, high - low])
    return torch.cat([points(SURFACES[name].start), drawn])


def slope(name: str, at: Tensor) -> Tensor:
    """Gradient of the wanted loss."""
    part = SURFACES[name]
    return build_surface(replace(part, descends="", clip_norm=None)).gradient(at)


def curvatures(name: str, at: tuple[float, float]) -> Tensor:
    """Eigenvalues of the Hessian of the wanted loss, rising."""
    wanted = surface(name).wanted
    hessian = torch.autograd.functional.hessian(lambda p: wanted(p[0], p[1]), points(at)[0])
    return torch.linalg.eigvalsh(hessian)


def descend(name: str, rate: float, num_steps: int, start: tuple[float, float] | None = None) -> Tensor:
    """Iterates of plain descent, written out."""
    here = surface(name)
    at = points(start or here.part.start)
    path = [at]
    for _ in range(num_steps):
        at = at - rate * here.gradient(at)
        path.append(at)
    return torch.cat(path)


@each_surface
@pytest.mark.parametrize("draw", [None, 0.3])
def test_gradients_are_central_differences(name: str, draw: float | None) -> None:
    here, at = surface(name), within(name)
    if name == "cliff" or name == "clipped_cliff":  # where it is steep, a difference over 1e-6 is none
        at = at[slope(name, at).norm(dim=1) < 10]
    h = 1e-6
    sides = [torch.tensor(step, dtype=torch.float64) for step in ((h, 0.0), (0.0, h))]
    values = [[here.descended(*(at + sign * side).T, draw) for sign in (1, -1)] for side in sides]
    expected = torch.stack([(up - down) / (2 * h) for up, down in values], dim=1)
    if name == "rough_gradient":
        expected = torch.round(expected / GRAIN) * GRAIN
    if here.part.clip_norm is not None:
        norm = expected.norm(dim=1, keepdim=True)
        expected = torch.where(norm > here.part.clip_norm, expected / norm * here.part.clip_norm, expected)
    scale = 1 + expected.abs().max()
    assert torch.allclose(here.gradient(at, draw), expected, rtol=1e-6, atol=1e-8 * scale.item() + 1e-6)
    assert len(at) >= 3
    assert expected.abs().max() > 0


@each_surface
def test_stated_places_are_what_they_are_called(name: str) -> None:
    part, here = SURFACES[name], surface(name)
    assert (here.loss(points(*part.minima)) - part.least).abs().max() < 1e-12
    (left, right), (low, high) = part.window
    grid = torch.cartesian_prod(torch.linspace(left, right, 60), torch.linspace(low, high, 60)).double()
    assert here.loss(grid).min() >= part.least - 1e-12, "lower than the minimum"
    if name != "surrogate":  # a share of errors has no slope anywhere
        for kind in (part.minima, part.local_minima, part.saddles):
            assert not kind or slope(name, points(*kind)).abs().max() < 1e-10
        assert all(curvatures(name, at)[0] > -1e-9 for at in (*part.minima, *part.local_minima))
        assert all(here.loss(points(at))[0] > part.least + 0.1 for at in part.local_minima)
    if name not in ("surrogate", "monkey_saddle"):
        assert all(curvatures(name, at)[0] < -0.1 < 0.1 < curvatures(name, at)[1] for at in part.saddles)


@each_surface
def test_entry_is_complete(name: str) -> None:
    part = SURFACES[name]
    assert all((part.what, part.source, part.formula, part.pitfall, part.difficulty, part.minima))
    for at in (part.start, *part.minima, *part.local_minima, *part.saddles):
        assert all(low <= value <= high for value, (low, high) in zip(at, part.window, strict=True))
    assert ("start", f"({part.start[0]:g}, {part.start[1]:g})") in part.facts()
    assert surface(name).loss(points(part.start))[0] > part.least


@pytest.mark.spec("O31", "I18")
def test_there_is_a_surface_for_every_difficulty() -> None:
    assert {part.difficulty for part in SURFACES.values()} == DIFFICULTIES


@pytest.mark.spec("O31")
def test_the_minimum_of_few_samples_is_not_that_of_new_ones() -> None:
    here, samples = surface("few_samples"), points(*FEW)
    end = torch.linalg.lstsq(samples[:, :2], samples[:, 2:]).solution.T
    assert here.gradient(end).abs().max() < 1e-12
    assert here.loss(end)[0] > 5 * here.part.least
    assert here.loss(descend("few_samples", 0.1, 40)).min() < 2.1 * here.part.least, "a better place lies on the way"


@pytest.mark.spec("O31")
def test_the_minimum_of_a_surrogate_makes_more_errors() -> None:
    here, end = surface("surrogate"), descend("surrogate", 1.0, 120)[-1:]
    assert here.gradient(end).abs().max() < 1e-3
    assert here.loss(end)[0] >= 5 * here.part.least - 1e-12
    drawn = within("surrogate")[1:]
    assert torch.equal(here.loss(drawn + 1e-6), here.loss(drawn)), "there is nothing to descend"


@pytest.mark.spec("O31")
def test_single_samples_pull_at_the_minimum_each_its_own_way() -> None:
    here = surface("single_samples")
    at = points(here.part.minima[0])
    pulls = torch.cat([here.gradient(at, (i + 0.5) / NUM_SAMPLES) for i in range(NUM_SAMPLES)])
    assert pulls.mean(dim=0).abs().max() < 1e-12, "without bias"
    assert pulls.norm(dim=1).min() > 0.4, "but never still"


@pytest.mark.spec("O31")
def test_a_rough_gradient_is_zero_short_of_the_minimum() -> None:
    at = points((0.12, 0.03))
    assert slope("rough_gradient", at).norm() > 0.1
    assert torch.equal(surface("rough_gradient").gradient(at), torch.zeros(1, 2, dtype=torch.float64))


@pytest.mark.spec("O31")
def test_the_quartic_has_no_rate_for_both_ends() -> None:
    """A step from x is x (1 - rate x^2): up the other side beyond rate 2 / x^2 = 2/9; below, x falls as 1 / sqrt(t)."""
    loss = surface("quartic").loss
    rises = loss(descend("quartic", 0.21, 30)).diff() > 0
    assert not rises.any()
    assert loss(descend("quartic", 0.23, 1)).diff()[0] > 0
    assert abs(descend("quartic", 0.21, 100)[-1, 0]) > 0.15
    assert curvatures("quartic", (3.0, 1.0))[1] > 500 * curvatures("quartic", (0.1, 0.0))[0]


@pytest.mark.spec("O31", "I11")
def test_small_steps_end_in_the_shallow_well_and_large_ones_leap_over_the_ridge() -> None:
    part = SURFACES["two_wells"]
    end = descend("two_wells", 0.05, 60)[-1]
    assert torch.allclose(end, points(part.local_minima[0])[0], atol=1e-9)
    assert surface("two_wells").loss(end) - part.least > 2.4
    assert (descend("two_wells", 0.25, 10)[:, 0] < part.saddles[0][0]).any()


@pytest.mark.spec("O31", "O33")
def test_the_start_decides_which_of_four_minima_is_found() -> None:
    here = surface("himmelblau")
    at = starts = points((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))
    for _ in range(80):
        at = at - 0.012 * here.gradient(at)
    near = torch.cdist(at, points(*here.part.minima)).min(dim=1)
    assert near.values.max() < 1e-6
    assert near.indices.unique().numel() == 4
    assert torch.equal(at.sign(), starts.sign())


@pytest.mark.spec("O31")
def test_the_saturated_unit_stands_still_before_it_falls() -> None:
    loss = surface("saturated_unit").loss
    from_plateau, from_half_way = (descend("saturated_unit", 1.0, 60, start) for start in (None, (-1.0, 0.0)))
    assert loss(from_plateau[-1]) > 0.9 * loss(from_plateau[0])
    assert loss(from_half_way[-1]) < 0.1 * loss(from_half_way[0])
    here, half_way = (
        surface("saturated_unit").gradient(points(SURFACES["saturated_unit"].start, (-1.0, 0.0))).norm(dim=1)
    )
    assert here < 0.02 * half_way


@pytest.mark.spec("O31")
def test_saddles_go_down_and_up() -> None:
    assert torch.allclose(curvatures("saddle", (0.0, 0.0)), torch.tensor([-1.0, 1.0], dtype=torch.float64))
    assert torch.equal(curvatures("monkey_saddle", (0.0, 0.0)), torch.zeros(2, dtype=torch.float64))
    angle = torch.linspace(0, 2 * math.pi, 721, dtype=torch.float64)
    around = surface("monkey_saddle").loss(0.1 * torch.stack((angle.cos(), angle.sin()), dim=1)).sign()
    assert (around.diff() != 0).sum() == 6, "three ways down, three up"


@pytest.mark.spec("O31")
def test_the_plain_has_hardly_a_gradient_that_points_the_right_way() -> None:
    here = surface("lone_well")
    (down,) = -here.gradient(points(here.part.start))
    assert down.norm() < 0.01 * math.exp(-0.5), "of the largest, at distance 1"
    assert torch.nn.functional.cosine_similarity(down, -points(here.part.start)[0], dim=0) > 0.999999
    assert curvatures("beale", SURFACES["beale"].minima[0])[1] > 100 * curvatures("beale", (3.0, 0.5))[0]
    corner, valley = surface("beale").gradient(points((4.5, 1.5), (2.3, 0.25))).norm(dim=1)
    assert corner > 1000 * valley


@pytest.mark.spec("O31")
def test_the_deep_chain_vanishes_and_explodes() -> None:
    small, large = surface("deep_chain").gradient(points((0.5, 0.5), (1.6, 1.0))).norm(dim=1)
    assert small < 0.01
    assert large > 1e6 * small


@pytest.mark.spec("O31")
def test_the_way_down_from_the_mountain_leads_away() -> None:
    here = surface("mountain")
    way = points(here.part.minima[0]) - points(here.part.start)
    assert (-here.gradient(points(here.part.start)) * way).sum() < 0
    path = descend("mountain", 1.0, 60)
    assert (path[:, 0].diff() < 0).all()
    assert here.loss(path[-1]) > here.part.least + 1.9


@pytest.mark.spec("O31")
def test_ravines_are_a_hundred_times_as_steep_one_way() -> None:
    for name in ("ravine", "tilted_ravine"):
        low, high = curvatures(name, (0.0, 0.0))
        assert high / low == pytest.approx(100.0)
    low, high = curvatures("rosenbrock", (1.0, 1.0))
    assert 2500 < high / low < 2510
    hessian = torch.autograd.functional.hessian(
        lambda p: surface("tilted_ravine").wanted(p[0], p[1]), points((0, 0))[0]
    )
    assert hessian[0, 0] == hessian[1, 1], "no rate for each parameter helps"


@pytest.mark.spec("O31")
def test_gradients_need_not_shrink_while_the_loss_falls() -> None:
    path = descend("rosenbrock", 0.001, 150)[5:]
    loss, norm = surface("rosenbrock").loss(path), surface("rosenbrock").gradient(path).norm(dim=1)
    assert (loss.diff() < 0).all()
    assert (norm.diff() > 0).all()


@pytest.mark.spec("O31")
def test_a_cliff_is_thousands_of_times_as_steep_as_its_plain() -> None:
    line = torch.stack((torch.full((4001,), 5.0), torch.linspace(-2.7, -2.5, 4001)), dim=1).double()
    norm = surface("cliff").gradient(line).norm(dim=1)
    assert norm.max() > 1000 * norm.median()
    assert surface("clipped_cliff").gradient(line).norm(dim=1).max() <= 0.25
