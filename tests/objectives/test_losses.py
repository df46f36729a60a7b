"""Every registered loss keeps the same promises; formulas in NumPy, golden values, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import limpid
from limpid.catalogue.losses import LOSSES
from limpid.config import ObjectiveConfig
from limpid.errors import ConfigError
from limpid.objectives import Objective, build_objective
from limpid.objectives.point_loss import PointLoss
from limpid.spec import DataSpec

CLASSES = DataSpec(
    name="c", kind="vector", task="classification", input_shape=(2,), num_outputs=4, class_counts=(5, 3, 2, 8)
)
BINARY = CLASSES.model_copy(update={"task": "binary", "num_outputs": 1, "class_counts": (75, 25)})
LABELS = CLASSES.model_copy(update={"task": "multilabel", "num_train": 10})
NUMBERS = DataSpec(
    name="n", kind="vector", task="regression", input_shape=(2,), num_outputs=2,
    target_mean=(100.0, 1.0), target_std=(10.0, 0.5),
)  # fmt: skip
SPECS = {spec.task: spec for spec in (CLASSES, BINARY, LABELS, NUMBERS)}
CASES = [(part.name, task) for part in LOSSES.values() for task in part.tasks if task in SPECS]
TRAINABLE = [(name, task) for name, task in CASES if not LOSSES[name].refusal]
OF_CLASSES = [(name, task) for name, task in TRAINABLE if task != "regression"]
OF_ONE_CLASS = [(name, task) for name, task in OF_CLASSES if task != "multilabel"]
every_loss = pytest.mark.parametrize(("name", "task"), TRAINABLE, ids=["-".join(case) for case in TRAINABLE])


def objective_of(name: str, task: str, **options: Any) -> Objective:
    return build_objective(ObjectiveConfig(loss=name, **options), SPECS[task])


def point_of(name: str, task: str, **options: Any) -> PointLoss:
    """The bare loss, in any arithmetic: outputs against a target in the outputs' units."""
    part = LOSSES[name]
    point = part.load()(task, **{**part.accept({}, "objective"), **options})
    assert isinstance(point, PointLoss)
    return point


def batch_of(name: str, task: str, size: int = 6, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    """Outputs, and a target in the units of the outputs."""
    generator = torch.Generator().manual_seed(3)
    spec = SPECS[task]
    outputs = torch.randn(size, spec.num_outputs, dtype=dtype, generator=generator)
    if task == "classification":
        return outputs, torch.randint(0, spec.num_outputs, (size,), generator=generator)
    if task == "regression":
        z = torch.randn(size, spec.num_outputs, dtype=dtype, generator=generator)
        return outputs, z.exp().round() if LOSSES[name].log_rate else z
    return outputs, (torch.rand(size, spec.num_outputs, generator=generator) < 0.5).to(dtype)


def naive(name: str, task: str, outputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Losses of the samples, one at a time, as the textbooks write them."""
    e = outputs - target if task == "regression" else None
    each = {
        "mse": lambda: e**2,
        "mae": lambda: abs(e),
        "huber": lambda: np.where(abs(e) <= 1, e**2 / 2, abs(e) - 0.5),
        "half_mse": lambda: e**2 / 2,
        "sum_squared_error": lambda: e**2 * outputs.shape[1],
        "smooth_l1": lambda: np.where(abs(e) < 1, e**2 / 2, abs(e) - 0.5),
        "log_cosh": lambda: np.log(np.cosh(e)),
        "quantile": lambda: abs(e) / 2,
        "poisson": lambda: np.exp(outputs) - target * outputs,
    }
    if task == "regression":
        return each[name]().mean(axis=1)
    if task == "classification":
        losses = []
        for z, y in zip(outputs, target, strict=True):
            p = np.exp(z) / np.exp(z).sum()
            losses.append(
                {
                    "cross_entropy": lambda z=z, y=y, p=p: -np.log(p[y]),
                    "focal": lambda z=z, y=y, p=p: -((1 - p[y]) ** 2) * np.log(p[y]),
                    "hinge": lambda z=z, y=y, p=p: sum(max(0, 1 + z[j] - z[y]) for j in range(len(z)) if j != y),
                    "brier": lambda z=z, y=y, p=p: sum((p[k] - (k == y)) ** 2 for k in range(len(z))),
                    "zero_one": lambda z=z, y=y, p=p: float(z.argmax() != y),
                }[name]()
            )
        return np.array(losses)
    p = 1 / (1 + np.exp(-outputs))
    true = np.where(target == 1, p, 1 - p)
    sign = 2 * target - 1
    return {
        "bce": lambda: -np.log(true),
        "focal": lambda: -((1 - true) ** 2) * np.log(true),
        "hinge": lambda: np.maximum(0, 1 - sign * outputs),
        "brier": lambda: (p - target) ** 2,
        "zero_one": lambda: (sign * outputs <= 0) * 1.0,
    }[name]().mean(axis=1)


@pytest.mark.parametrize(("name", "task"), CASES, ids=["-".join(case) for case in CASES])
def test_equals_its_formula(name: str, task: str) -> None:
    outputs, target = batch_of(name, task, 30, torch.float64)
    losses_B = point_of(name, task).losses(outputs, target)
    np.testing.assert_allclose(losses_B, naive(name, task, outputs.numpy(), target.numpy()), atol=1e-10)


@every_loss
def test_gradient(name: str, task: str) -> None:
    outputs, target = batch_of(name, task, dtype=torch.float64)
    point = point_of(name, task)
    assert torch.autograd.gradcheck(lambda z: point.losses(z, target), (outputs.requires_grad_(),))


@pytest.mark.spec("C11")
@every_loss
def test_loss_is_the_mean_of_the_losses(name: str, task: str) -> None:
    objective = objective_of(name, task)
    outputs, target = batch_of(name, task)
    for reached in (target, F.one_hot(target, 4) * 0.7 + 0.1 if task == "classification" else target):  # mixed samples
        losses_B = objective.losses(outputs, reached)
        assert losses_B.shape == (6,)
        assert losses_B.dtype is torch.float32
        torch.testing.assert_close(objective.loss(outputs, reached), losses_B.mean())


@pytest.mark.spec("B39")
@pytest.mark.parametrize(("name", "task"), [case for case in TRAINABLE if case[0] != "poisson"])  # e^10000 is no number
def test_finite_for_huge_outputs(name: str, task: str) -> None:
    _, target = batch_of(name, task)
    for sign in (1e4, -1e4):
        outputs = torch.full((6, SPECS[task].num_outputs), -sign)
        outputs[:, 0] = sign
        outputs.requires_grad_()
        loss = objective_of(name, task).loss(outputs, target)
        loss.backward()
        assert loss.isfinite()
        assert outputs.grad.isfinite().all()


@every_loss
def test_lowest_where_the_answer_is_right(name: str, task: str) -> None:
    _, target = batch_of(name, task)
    perfect = {
        "classification": lambda: 50 * F.one_hot(target, 4).float(),
        "regression": lambda: target.clamp(min=1e-9).log() if LOSSES[name].log_rate else target,
    }.get(task, lambda: 50 * (2 * target - 1))()
    point = point_of(name, task)
    best = point.mean(perfect, target)
    if name != "poisson":
        assert best.item() == pytest.approx(0, abs=1e-6)
    for seed in range(20):
        noise = torch.randn(perfect.shape, generator=torch.Generator().manual_seed(seed))
        assert point.mean(perfect + noise * (1 if task == "regression" else 60), target) >= best


@pytest.mark.parametrize(("name", "task"), OF_CLASSES)
def test_mixed_targets_weigh_the_losses_of_the_pure_ones(name: str, task: str) -> None:
    outputs, first = batch_of(name, task)
    second = first.flip(0)
    objective = objective_of(name, task)
    pure = 0.3 * objective.losses(outputs, first) + 0.7 * objective.losses(outputs, second)
    one_hot = F.one_hot(torch.stack((first, second)), 4).float() if task == "classification" else (first, second)
    torch.testing.assert_close(objective.losses(outputs, 0.3 * one_hot[0] + 0.7 * one_hot[1]), pure)


@pytest.mark.parametrize(("name", "task"), OF_ONE_CLASS)
def test_class_weights_multiply_the_losses(name: str, task: str) -> None:
    counts = SPECS[task].class_counts
    weights = torch.arange(1, len(counts) + 1).float()
    outputs, target = batch_of(name, task)
    weighted = objective_of(name, task, class_weights=tuple(weights.tolist()))
    scale = sum(counts) / sum(w * n for w, n in zip(weights, counts, strict=True))
    of_truth = weights[target.long()].flatten() * scale
    expected = objective_of(name, task).losses(outputs, target) * of_truth
    torch.testing.assert_close(weighted.losses(outputs, target), expected)
    torch.testing.assert_close(weighted.loss(outputs, target), expected.mean())


@pytest.mark.parametrize(("name", "task"), OF_CLASSES)
def test_smoothing_where_it_has_a_meaning(name: str, task: str) -> None:
    outputs, target = batch_of(name, task)
    if not LOSSES[name].smooths:
        with pytest.raises(ConfigError, match=f"label_smoothing.*{name} knows none"):
            objective_of(name, task, label_smoothing=0.1)
        return
    share = F.one_hot(target, 4) * 0.9 + 0.1 / 4 if task == "classification" else target * 0.9 + 0.05
    expected = objective_of(name, task).losses(outputs, share)
    torch.testing.assert_close(objective_of(name, task, label_smoothing=0.1).losses(outputs, target), expected)


@every_loss
def test_trains_by_name(name: str, task: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(120, 3)).astype(np.float32)
    y = {
        "classification": lambda: (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5),
        "binary": lambda: (X[:, 0] > 0).astype(int),
        "multilabel": lambda: (X > 0).astype(np.float32),
        "regression": lambda: random.poisson(np.exp(X[:, 0])).astype(np.float32),
    }[task]()
    options = {"hidden": (8,), "loss": name, "record__report": False, "task": task, "out": tmp_path / "run"}
    run = limpid.train(X, y=y, epochs=4, lr=0.003 if name == "sum_squared_error" else 0.01, **options)
    curve = [row["loss"] for row in run.events("metric") if row["split"] == "train"]
    assert curve[-1] < curve[0]


# Golden values and relations


def number(name: str, y: float, p: float, **options: Any) -> float:
    return point_of(name, "regression", **options).losses(torch.tensor([[p]]).double(), torch.tensor([[y]])).item()


@pytest.mark.spec("C1")
def test_half_squared_error_golden() -> None:
    assert number("half_mse", 1.0, 0.8) == pytest.approx(0.02, abs=1e-8)
    p = torch.tensor([[0.8]], dtype=torch.float64, requires_grad=True)
    point_of("half_mse", "regression").mean(p, torch.tensor([[1.0]], dtype=torch.float64)).backward()
    assert p.grad.item() == pytest.approx(0.8 - 1.0, abs=1e-10)


@pytest.mark.spec("C2", "C3", "C4", "X10")
def test_four_factors_of_the_squared_error() -> None:
    z = torch.randn(7, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradient, value, total = {}, {}, {}
    for name in ("mse", "half_mse", "sum_squared_error"):
        f = torch.zeros(7, 1, dtype=torch.float64, requires_grad=True)
        mean = point_of(name, "regression").mean(f, z)
        mean.backward()
        gradient[name], value[name] = f.grad, mean.item()
        total[name] = point_of(name, "regression").losses(f, z).sum().item()
    assert value["mse"] == pytest.approx((z**2).mean().item(), abs=1e-10)
    assert total["sum_squared_error"] == pytest.approx(7 * value["mse"], abs=1e-10)
    assert value["mse"] == pytest.approx(2 * value["half_mse"], abs=1e-10)
    torch.testing.assert_close(gradient["mse"], 2 * gradient["half_mse"], atol=1e-10, rtol=0)
    # it trains as the sum and is shown as the mean, so that batches and splits of any size compare
    torch.testing.assert_close(gradient["sum_squared_error"], 7 * gradient["mse"], atol=1e-10, rtol=0)
    assert value["sum_squared_error"] == pytest.approx(value["mse"], abs=1e-10)
    for name in value:  # the same minimiser: the mean of the targets
        m = torch.full((7, 1), z.mean().item(), dtype=torch.float64, requires_grad=True)
        point_of(name, "regression").mean(m, z).backward()
        assert m.grad.sum().abs() < 1e-10


@pytest.mark.spec("C8")
def test_hinge_golden() -> None:
    s = torch.tensor([[0.3], [2.0], [0.3]], dtype=torch.float64)
    y = torch.tensor([[1.0], [1.0], [0.0]], dtype=torch.float64)  # 0 stands for -1
    assert point_of("hinge", "binary").losses(s, y).tolist() == pytest.approx([0.7, 0, 1.3], abs=1e-10)
    assert point_of("hinge", "binary", squared=True).losses(s, y).tolist() == pytest.approx([0.49, 0, 1.69], abs=1e-10)
    assert point_of("hinge", "binary", margin=0.0).losses(s, y).tolist() == pytest.approx([0, 0, 0.3], abs=1e-10)
    scores, label = batch_of("hinge", "classification", 20, torch.float64)
    ours = point_of("hinge", "classification").losses(scores, label)
    torch.testing.assert_close(ours, 4 * F.multi_margin_loss(scores, label, reduction="none"), atol=1e-10, rtol=0)
    squares = point_of("hinge", "classification", squared=True).losses(scores, label)
    torch.testing.assert_close(
        squares, 4 * F.multi_margin_loss(scores, label, p=2, reduction="none"), atol=1e-10, rtol=0
    )


@pytest.mark.spec("C10")
def test_surrogates_lie_above_the_zero_one_loss_whose_gradient_is_zero() -> None:
    s = torch.linspace(-4, 4, 400, dtype=torch.float64)[:, None].requires_grad_()  # 0 itself is left out
    for truth in (0.0, 1.0):
        y = torch.full_like(s, truth)
        wrong = point_of("zero_one", "binary").losses(s, y)
        assert torch.autograd.grad(wrong.sum(), s)[0].abs().max() == 0
        assert (point_of("hinge", "binary").losses(s, y) >= wrong).all()
        assert (point_of("bce", "binary").losses(s, y) / math.log(2) >= wrong).all()
    scores, label = batch_of("zero_one", "classification", 200, torch.float64)
    wrong = point_of("zero_one", "classification").losses(scores.requires_grad_(), label)
    assert torch.autograd.grad(wrong.sum(), scores)[0].abs().max() == 0
    assert 0 < wrong.mean() < 1
    assert (point_of("hinge", "classification").losses(scores, label) >= wrong).all()
    assert (point_of("cross_entropy", "classification").losses(scores, label) / math.log(2) >= wrong).all()


def test_focal_is_cross_entropy_at_gamma_0_and_torchvisions_for_yes_or_no() -> None:
    from torchvision.ops import sigmoid_focal_loss

    outputs, target = batch_of("focal", "multilabel", 20)
    expected = sigmoid_focal_loss(outputs, target, alpha=-1, gamma=2).mean(dim=1)
    torch.testing.assert_close(point_of("focal", "multilabel").losses(outputs, target), expected)
    for task, plain in (("classification", "cross_entropy"), ("binary", "bce")):
        outputs, target = batch_of("focal", task, 20)
        ours = point_of("focal", task, gamma=0.0).losses(outputs, target)
        torch.testing.assert_close(ours, point_of(plain, task).losses(outputs, target))


def test_gradients_of_focal_are_finite_for_sure_answers_and_any_gamma() -> None:
    for gamma in (0.0, 0.5, 1.0, 2.0):
        z = torch.tensor([[100.0, 0.0], [0.0, 100.0]], requires_grad=True)
        point_of("focal", "classification", gamma=gamma).mean(z, torch.tensor([0, 0])).backward()
        assert z.grad.isfinite().all()


def test_each_loss_of_numbers_has_its_own_best_constant() -> None:
    y = torch.tensor([0.0, 1.0, 2.0, 3.0, 14.0], dtype=torch.float64)[:, None]
    grid = torch.arange(0, 15, 0.01, dtype=torch.float64)

    def best(name: str, **options: float) -> float:
        point = point_of(name, "regression", **options)
        return grid[torch.stack([point.mean(c.expand(5, 1), y) for c in grid]).argmin()].item()

    assert best("mse") == pytest.approx(4.0)  # the mean
    assert best("mae") == pytest.approx(2.0)  # the median
    assert best("quantile", tau=0.9) == pytest.approx(14.0)
    assert best("quantile", tau=0.1) == pytest.approx(0.0)
    assert best("huber", delta=3.0) == pytest.approx(2.25)  # between: 2.25 + 1.25 + 0.25 = 0.75 + 3
    assert best("poisson") == pytest.approx(math.log(4.0), abs=0.006)


def test_bends_are_options() -> None:
    assert number("smooth_l1", 0.0, 3.0, beta=2.0) == pytest.approx(2.0)
    assert number("smooth_l1", 0.0, 1.0, beta=2.0) == pytest.approx(0.25)
    assert number("log_cosh", 0.0, 300.0) == pytest.approx(300 - math.log(2))


def test_counts_are_answered_in_their_own_units() -> None:
    objective = build_objective(ObjectiveConfig(loss="poisson"), NUMBERS)
    torch.testing.assert_close(objective.predict(torch.tensor([[0.0, 1.0]])), torch.tensor([[1.0, math.e]]))
    torch.testing.assert_close(objective.predict(objective.prior), torch.tensor([100.0, 1.0]))
    negative = NUMBERS.model_copy(update={"target_mean": (1.0, -3.0)})
    with pytest.raises(ConfigError, match="poisson is for counts of 0 or more; the mean of this target is -3"):
        build_objective(ObjectiveConfig(loss="poisson"), negative)


@pytest.mark.spec("C22")
def test_default_by_task_and_users_choice() -> None:
    defaults = {"classification": "cross_entropy", "binary": "bce", "multilabel": "bce", "regression": "mse"}
    for task, name in defaults.items():
        outputs, target = batch_of(name, task)
        auto = build_objective(ObjectiveConfig(), SPECS[task])
        torch.testing.assert_close(auto.loss(outputs, target), objective_of(name, task).loss(outputs, target))
    outputs, target = batch_of("hinge", "classification")
    chosen = objective_of("multi-class hinge", "classification").loss(outputs, target)
    torch.testing.assert_close(chosen, point_of("hinge", "classification").mean(outputs, target))
    with pytest.raises(ConfigError, match="loss=huber does not fit binary; use bce or hinge or focal or brier"):
        objective_of("huber", "binary")


@pytest.mark.parametrize("task", ["classification", "binary", "multilabel"])
def test_zero_one_loss_is_not_trained_on(task: str) -> None:
    with pytest.raises(ConfigError, match="zero_one: its gradient is 0 almost everywhere.*hinge.*read accuracy"):
        objective_of("0-1 loss", task)


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("huber", {"delta": -1.0}, r"objective.delta=-1.0 is not accepted: at least 1e-09"),
        ("quantile", {"tau": 1.5}, r"objective.tau=1.5 is not accepted: from 0.001 to 0.999"),
        ("smooth_l1", {"beta": "wide"}, r"objective.beta='wide' is not accepted: expected a number"),
    ],
)
def test_options_of_losses_are_checked(name: str, option: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        objective_of(name, "regression", **option)
