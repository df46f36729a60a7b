"""Losses against their formulas, decisions, chance, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from limpid.config import ObjectiveConfig
from limpid.errors import ConfigError
from limpid.objectives import build_objective
from limpid.spec import DataSpec

CLASSES = DataSpec(
    name="c",
    kind="vector",
    task="classification",
    input_shape=(2,),
    num_outputs=3,
    classes=("a", "b", "c"),
    class_counts=(50, 30, 20),
)
BINARY = CLASSES.model_copy(
    update={"task": "binary", "num_outputs": 1, "classes": ("no", "yes"), "class_counts": (75, 25)}
)
LABELS = CLASSES.model_copy(update={"task": "multilabel", "class_counts": (50, 25, 90), "num_train": 100})
NUMBERS = DataSpec(
    name="n",
    kind="vector",
    task="regression",
    input_shape=(2,),
    num_outputs=2,
    target_mean=(100.0, -1.0),
    target_std=(10.0, 0.5),
)
ALL = [CLASSES, BINARY, LABELS, NUMBERS]
every_task = pytest.mark.parametrize("spec", ALL, ids=[spec.task for spec in ALL])


def objective_of(spec: DataSpec, **options: object):
    return build_objective(ObjectiveConfig(**options), spec)


def batch_of(spec: DataSpec, size: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    outputs = torch.randn(size, spec.num_outputs, generator=generator)
    if spec.task == "classification":
        return outputs, torch.randint(0, spec.num_outputs, (size,), generator=generator)
    if spec.task == "regression":
        noise = torch.randn(size, spec.num_outputs, generator=generator)
        return outputs, torch.tensor(spec.target_mean) + noise * torch.tensor(spec.target_std)
    return outputs, (torch.rand(size, spec.num_outputs, generator=generator) < 0.4).float()


@pytest.mark.spec("C11")
@every_task
def test_loss_is_the_mean_of_the_losses_of_the_samples(spec: DataSpec) -> None:
    outputs, target = batch_of(spec)
    options: list[dict[str, object]] = [{}]
    options += [{"loss": "mae"}, {"loss": "huber"}] if spec.task == "regression" else [{"label_smoothing": 0.1}]
    options += [{"class_weights": "balanced"}] if spec.task in ("classification", "binary") else []
    for option in options:
        objective = objective_of(spec, **option)
        losses_B = objective.losses(outputs, target)
        assert losses_B.shape == (40,)
        torch.testing.assert_close(objective.loss(outputs, target), losses_B.mean())


@pytest.mark.spec("C22")
def test_loss_follows_the_task_unless_chosen() -> None:
    logits_BK, label_B = batch_of(CLASSES)
    torch.testing.assert_close(objective_of(CLASSES).loss(logits_BK, label_B), F.cross_entropy(logits_BK, label_B))
    logit_B1, label_B1 = batch_of(BINARY)
    expected = F.binary_cross_entropy_with_logits(logit_B1, label_B1)
    torch.testing.assert_close(objective_of(BINARY).loss(logit_B1, label_B1), expected)
    f_BT, y_BT = batch_of(NUMBERS)
    z_BT = (y_BT - torch.tensor([100.0, -1.0])) / torch.tensor([10.0, 0.5])
    torch.testing.assert_close(objective_of(NUMBERS).loss(f_BT, y_BT), ((f_BT - z_BT) ** 2).mean())
    torch.testing.assert_close(objective_of(NUMBERS, loss="mae").loss(f_BT, y_BT), (f_BT - z_BT).abs().mean())
    with pytest.raises(ConfigError, match="objective.loss=mse does not fit classification; use cross_entropy"):
        objective_of(CLASSES, loss="mse")


@pytest.mark.spec("C5")
@pytest.mark.parametrize(("t", "expected"), [(1.0, 0.2231435513), (0.0, 1.6094379124)])
def test_binary_cross_entropy_golden(t: float, expected: float) -> None:
    logit_B1 = torch.tensor([[math.log(0.8 / 0.2)]], dtype=torch.float64)
    assert objective_of(BINARY).loss(logit_B1, torch.tensor([[t]])).item() == pytest.approx(expected, abs=1e-7)


@pytest.mark.spec("C6")
def test_cross_entropy_of_two_classes_is_binary_and_its_gradient_is_p_minus_t() -> None:
    two = CLASSES.model_copy(update={"num_outputs": 2, "classes": ("a", "b"), "class_counts": (1, 1)})
    logit_B1, label_B1 = batch_of(BINARY)
    logits_B2 = torch.cat((torch.zeros_like(logit_B1), logit_B1), dim=1)
    torch.testing.assert_close(
        objective_of(two).losses(logits_B2, label_B1[:, 0].long()), objective_of(BINARY).losses(logit_B1, label_B1)
    )
    logits_BK, label_B = batch_of(CLASSES)
    logits_BK.requires_grad_()
    objective_of(CLASSES).losses(logits_BK, label_B).sum().backward()
    expected = logits_BK.detach().softmax(dim=1) - F.one_hot(label_B, 3)
    torch.testing.assert_close(logits_BK.grad, expected, atol=1e-6, rtol=0)


@pytest.mark.spec("C7")
def test_cross_entropy_is_nll_of_log_softmax() -> None:
    logits_BK, label_B = batch_of(CLASSES)
    expected = F.nll_loss(F.log_softmax(logits_BK, dim=1), label_B)
    torch.testing.assert_close(objective_of(CLASSES).loss(logits_BK, label_B), expected)
    torch.testing.assert_close(objective_of(CLASSES).loss(logits_BK.log_softmax(dim=1), label_B), expected)


@pytest.mark.spec("C9")
@pytest.mark.parametrize(("error", "expected"), [(0.5, 0.125), (1.0, 0.5), (2.0, 1.5), (-3.0, 2.5)])
def test_huber_golden(error: float, expected: float) -> None:
    plain = NUMBERS.model_copy(update={"num_outputs": 1, "target_mean": (0.0,), "target_std": (1.0,)})
    objective = objective_of(plain, loss="huber", delta=1.0)
    assert objective.loss(torch.tensor([[error]]), torch.tensor([[0.0]])).item() == expected


def test_huber_is_mean_of_targets_and_follows_delta() -> None:
    f_BT, y_BT = batch_of(NUMBERS)
    e_BT = (f_BT - (y_BT - torch.tensor([100.0, -1.0])) / torch.tensor([10.0, 0.5])).abs()
    expected = torch.where(e_BT <= 0.7, e_BT**2 / 2, 0.7 * (e_BT - 0.35)).mean()
    torch.testing.assert_close(objective_of(NUMBERS, loss="huber", delta=0.7).loss(f_BT, y_BT), expected)


@pytest.mark.spec("B39")
@pytest.mark.parametrize("spec", ALL[:3], ids=[spec.task for spec in ALL[:3]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_finite_at_huge_logits(spec: DataSpec, dtype: torch.dtype) -> None:
    _, target = batch_of(spec, 4)
    for sign in (1e4, -1e4):
        outputs = torch.full((4, spec.num_outputs), -sign, dtype=dtype)
        outputs[:, 0] = sign
        outputs.requires_grad_()
        loss = objective_of(spec).loss(outputs, target)
        loss.backward()
        assert loss.dtype is torch.float32
        assert loss.isfinite()
        assert outputs.grad is not None
        assert outputs.grad.isfinite().all()
        assert objective_of(spec).probabilities(outputs.detach()).isfinite().all()


@pytest.mark.spec("B8")
def test_probabilities_are_the_softmax() -> None:
    objective = objective_of(CLASSES)
    z = torch.tensor([[2.0, 1.0, 0.1]])
    golden = [0.6590011389, 0.2424329707, 0.0985658904]
    assert objective.probabilities(z)[0].tolist() == pytest.approx(golden, abs=1e-7)
    torch.testing.assert_close(objective.probabilities(z + 5), objective.probabilities(z))
    assert objective.probabilities(1000 * z).tolist() == [[1.0, 0.0, 0.0]]


def test_decisions_and_probabilities_by_task() -> None:
    assert objective_of(CLASSES).predict(torch.tensor([[0.0, 2.0, 1.0]])).tolist() == [1]
    binary = objective_of(BINARY)
    assert binary.predict(torch.tensor([[-1.0], [1.0]])).tolist() == [0, 1]
    expected = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    torch.testing.assert_close(binary.probabilities(torch.tensor([[0.0], [math.log(3)]])), expected)
    labels = objective_of(LABELS)
    assert labels.predict(torch.tensor([[-1.0, 1.0, 2.0]])).tolist() == [[0, 1, 1]]
    assert labels.probabilities(torch.zeros(1, 3)).tolist() == [[0.5, 0.5, 0.5]]
    numbers = objective_of(NUMBERS)
    assert numbers.predict(torch.tensor([[1.0, -2.0]])).tolist() == [[110.0, -2.0]]
    assert numbers.probabilities(torch.zeros(1, 2)) is None


@every_task
def test_metrics_hold_the_headline_and_are_numbers(spec: DataSpec) -> None:
    objective = objective_of(spec)
    figures = objective.metrics(*batch_of(spec))
    assert objective.score in figures
    assert all(type(value) is float and math.isfinite(value) for value in figures.values())


def test_metrics_of_regression_are_in_the_targets_units() -> None:
    f_BT, y_BT = torch.zeros(2, 2), torch.tensor([[90.0, -1.0], [110.0, -1.5]])
    figures = objective_of(NUMBERS).metrics(f_BT, y_BT)
    assert figures["mae"] == pytest.approx((10 + 0.25) / 2)
    assert figures["rmse"] == pytest.approx((10 + math.sqrt(0.125)) / 2)


def test_top5_is_reported_from_six_classes_on() -> None:
    six = CLASSES.model_copy(update={"num_outputs": 6, "class_counts": (1,) * 6})
    assert "top5_error" in objective_of(six).metrics(*batch_of(six))
    assert "top5_error" not in objective_of(CLASSES).metrics(*batch_of(CLASSES))


def test_chance_on_the_training_split_is_the_entropy_of_its_classes() -> None:
    label_B = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    entropy = -sum(p * math.log(p) for p in (0.5, 0.3, 0.2))
    assert objective_of(CLASSES).chance(label_B) == pytest.approx(entropy, abs=1e-6)
    label_B1 = torch.tensor([0.0] * 75 + [1.0] * 25)[:, None]
    entropy = -sum(p * math.log(p) for p in (0.75, 0.25))
    assert objective_of(BINARY).chance(label_B1) == pytest.approx(entropy, abs=1e-6)
    no_counts = CLASSES.model_copy(update={"class_counts": ()})
    assert objective_of(no_counts).chance(label_B) == pytest.approx(math.log(3), abs=1e-6)


def test_chance_of_numbers_is_one_and_of_labels_their_mean_entropy() -> None:
    y_BT = torch.tensor([[90.0, -1.5], [110.0, -0.5]])
    assert objective_of(NUMBERS).chance(y_BT) == pytest.approx(1.0)
    target_BK = torch.zeros(100, 3)
    for k, n in enumerate((50, 25, 90)):
        target_BK[:n, k] = 1
    entropies = [-sum(q * math.log(q) for q in (p, 1 - p)) for p in (0.5, 0.25, 0.9)]
    assert objective_of(LABELS).chance(target_BK) == pytest.approx(sum(entropies) / 3, abs=1e-3)


def test_no_constant_answer_beats_chance() -> None:
    _, label_B = batch_of(CLASSES, 100)
    counts = tuple(torch.bincount(label_B).tolist())
    spec = CLASSES.model_copy(update={"class_counts": counts})
    for option in ({}, {"class_weights": "balanced"}, {"class_weights": (1.0, 5.0, 2.0)}):
        objective = objective_of(spec, **option)
        chance = objective.chance(label_B)
        for seed in range(20):
            shift = 0.1 * torch.randn(3, generator=torch.Generator().manual_seed(seed))
            assert objective.loss((objective.prior + shift).expand(100, -1), label_B) >= chance - 1e-6


def test_balanced_weights_give_every_class_the_same_say() -> None:
    label_B = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    losses_B = objective_of(CLASSES, class_weights="balanced").losses(torch.zeros(100, 3), label_B)
    totals = [losses_B[label_B == k].sum().item() for k in range(3)]
    assert totals == pytest.approx([100 * math.log(3) / 3] * 3, rel=1e-5)
    label_B1 = torch.tensor([0.0] * 75 + [1.0] * 25)[:, None]
    losses_B = objective_of(BINARY, class_weights="balanced").losses(torch.zeros(100, 1), label_B1)
    assert losses_B[:75].sum().item() == pytest.approx(losses_B[75:].sum().item(), rel=1e-5)


def test_soft_targets_and_smoothing() -> None:
    logits_BK, label_B = batch_of(CLASSES)
    hard_BK = F.one_hot(label_B, 3).float()
    objective = objective_of(CLASSES)
    torch.testing.assert_close(objective.losses(logits_BK, hard_BK), objective.losses(logits_BK, label_B))
    smooth = objective_of(CLASSES, label_smoothing=0.3)
    expected = objective.losses(logits_BK, hard_BK * 0.7 + 0.1)
    torch.testing.assert_close(smooth.losses(logits_BK, label_B), expected)
    logit_B1, label_B1 = batch_of(BINARY)
    expected = objective_of(BINARY).losses(logit_B1, label_B1 * 0.8 + 0.1)
    torch.testing.assert_close(objective_of(BINARY, label_smoothing=0.2).losses(logit_B1, label_B1), expected)


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (CLASSES, {"class_weights": (1.0, 2.0)}, "expected 3 numbers.*a, b, c"),
        (CLASSES, {"class_weights": (0.0, 0.0, 0.0)}, "not all 0"),
        (NUMBERS, {"class_weights": "balanced"}, "this is regression"),
        (NUMBERS, {"label_smoothing": 0.1}, "this is a regression"),
        (NUMBERS, {"loss": "bce"}, "use mse or mae or huber"),
    ],
)
def test_misfits_are_refused(spec: DataSpec, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        objective_of(spec, **options)
