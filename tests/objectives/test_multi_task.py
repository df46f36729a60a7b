"""Several heads, one weighted sum."""

from __future__ import annotations

import pytest
import torch

from limpid.config import ObjectiveConfig
from limpid.objectives import build_objective
from limpid.objectives.multi_task import Head, MultiTask
from limpid.spec import DataSpec

KIND = DataSpec(name="k", kind="vector", task="classification", input_shape=(5,), num_outputs=3, class_counts=(2, 3, 4))
AGE = DataSpec(
    name="a", kind="vector", task="regression", input_shape=(5,), num_outputs=2,
    target_mean=(40.0, 0.0), target_std=(10.0, 1.0),
)  # fmt: skip
MARRIED = KIND.model_copy(update={"task": "binary", "num_outputs": 1, "class_counts": (5, 4)})


def heads(*weights: float) -> list[Head]:
    places = [("kind", KIND, slice(0, 3), slice(0, 1)), ("age", AGE, slice(3, 5), slice(1, 3)),
              ("married", MARRIED, slice(5, 6), slice(3, 4))]  # fmt: skip
    return [
        Head(name, build_objective(ObjectiveConfig(), spec), weight, outputs, target)
        for weight, (name, spec, outputs, target) in zip(weights, places, strict=True)
    ]


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    kind = torch.tensor([0, 1, 2, 2, 1, 0, 2, 1])[:, None].float()
    age = 40 + 10 * torch.randn(8, 2, generator=generator)
    married = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])[:, None].float()
    return torch.randn(8, 6, generator=generator), torch.cat((kind, age, married), dim=1)


@pytest.mark.spec("C19")
def test_gradient_is_the_weighted_sum_of_the_gradients() -> None:
    outputs, target = batch()

    def gradient(*weights: float) -> torch.Tensor:
        leaf = outputs.clone().requires_grad_()
        MultiTask(heads(*weights)).loss(leaf, target).backward()
        return leaf.grad

    weighted = gradient(0.5, 2.0, 3.0)
    parts = [gradient(1.0, 0.0, 0.0), gradient(0.0, 1.0, 0.0), gradient(0.0, 0.0, 1.0)]
    torch.testing.assert_close(weighted, 0.5 * parts[0] + 2.0 * parts[1] + 3.0 * parts[2], atol=1e-6, rtol=0)
    assert all(part.abs().sum() > 0 for part in parts)


def test_each_head_sees_its_own_columns() -> None:
    outputs, target = batch()
    objective = MultiTask(heads(0.5, 2.0, 3.0))
    kind, age, married = objective.heads
    alone = (
        0.5 * kind.objective.losses(outputs[:, :3], target[:, 0].long())
        + 2.0 * age.objective.losses(outputs[:, 3:5], target[:, 1:3])
        + 3.0 * married.objective.losses(outputs[:, 5:], target[:, 3:])
    )
    torch.testing.assert_close(objective.losses(outputs, target), alone)
    torch.testing.assert_close(objective.loss(outputs, target), alone.mean())
    figures = objective.metrics(outputs, target)
    assert objective.score == "kind_accuracy"
    assert figures["kind_accuracy"] == pytest.approx((outputs[:, :3].argmax(1) == target[:, 0]).double().mean().item())
    assert {"age_rmse", "married_auc"} <= set(figures)
    decisions = objective.predict(outputs)
    assert decisions.shape == (8, 4)
    torch.testing.assert_close(decisions[:, 1], outputs[:, 3] * 10 + 40)
    assert objective.probabilities(outputs).shape == (8, 5)
    low, high = objective.interval(outputs, target)
    assert low <= figures["kind_accuracy"] <= high
    assert objective.chance(target) > 0


def test_numbers_alone_have_no_probabilities() -> None:
    age = heads(1.0, 1.0, 1.0)[1]
    assert MultiTask([age]).probabilities(batch()[0]) is None
