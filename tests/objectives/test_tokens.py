"""The loss of a sequence: a sum over its places, in which padding counts nothing."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from limpid.config import ObjectiveConfig
from limpid.errors import ConfigError
from limpid.objectives import build_objective
from limpid.objectives.tokens import IGNORED
from limpid.spec import DataSpec

SPEC = DataSpec(
    name="t", kind="text", task="tokens", input_shape=(5,), output_shape=(5,), num_outputs=7, vocabulary=7,
    class_counts=(1, 1, 1, 1, 4, 4, 8),
)  # fmt: skip
LENGTHS = (5, 3, 1, 4)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(4, 5, 7, generator=generator)
    target = torch.randint(0, 7, (4, 5), generator=generator)
    for row, length in enumerate(LENGTHS):
        target[row, length:] = IGNORED
    return outputs, target


@pytest.mark.spec("C15")
def test_loss_sums_over_the_places_and_padding_contributes_nothing() -> None:
    outputs, target = batch()
    objective = build_objective(ObjectiveConfig(), SPEC)
    total, per_row = 0.0, []
    for row, length in enumerate(LENGTHS):
        places = [F.cross_entropy(outputs[row, t][None], target[row, t][None]).item() for t in range(length)]
        total += sum(places)
        per_row.append(sum(places) / length)
    assert objective.loss(outputs, target).item() * sum(LENGTHS) == pytest.approx(total, rel=1e-5)
    assert objective.losses(outputs, target).tolist() == pytest.approx(per_row, rel=1e-5)
    outputs.requires_grad_()
    objective.loss(outputs, target).backward()
    padded = target == IGNORED
    assert (outputs.grad[padded] == 0).all()
    assert (outputs.grad[~padded].abs().sum(dim=1) > 0).all()
    garbage = torch.where(padded[..., None], torch.tensor(1e4), outputs.detach())
    assert objective.loss(garbage, target) == objective.loss(outputs, target)
    kept = objective.keep(outputs.detach(), target)
    torch.testing.assert_close(objective.kept_loss(kept, target), objective.loss(outputs, target).detach())


@pytest.mark.spec("C15")
def test_the_last_output_alone_is_a_mask_too() -> None:
    outputs, target = batch()
    last = torch.full_like(target, IGNORED)
    last[:, -1] = torch.tensor([4, 5, 6, 4])
    objective = build_objective(ObjectiveConfig(), SPEC)
    expected = F.cross_entropy(outputs[:, -1], last[:, -1])
    torch.testing.assert_close(objective.loss(outputs, last), expected)


def test_chance_and_figures() -> None:
    outputs, target = batch()
    objective = build_objective(ObjectiveConfig(), SPEC)
    shares = torch.tensor(SPEC.class_counts, dtype=torch.float64) / 20
    expected = -shares[target[target != IGNORED]].log().mean().item()
    assert objective.chance(target) == pytest.approx(expected, rel=1e-5)
    figures = objective.metrics(objective.keep(outputs, target), target)
    assert figures["perplexity"] == pytest.approx(math.exp(objective.loss(outputs, target).item()), rel=1e-5)
    with pytest.raises(ConfigError, match="does not fit tokens; use cross_entropy"):
        build_objective(ObjectiveConfig(loss="hinge"), SPEC)
