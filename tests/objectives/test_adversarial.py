"""The game of a generator and a discriminator, from logits."""

from __future__ import annotations

import math

import pytest
import torch

from limpid.objectives.adversarial import discriminator_loss, game_value, generator_loss


def logits(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@pytest.mark.spec("C17")
def test_value_of_a_discriminator_that_cannot_tell() -> None:
    value = game_value(logits(0.0, 0.0), logits(0.0, 0.0, 0.0)).item()
    assert value == pytest.approx(-1.3862943611, abs=1e-10)
    assert value == pytest.approx(-2 * math.log(2), abs=1e-10)


def test_formulas_in_probabilities() -> None:
    real, fake = logits(0.3, -1.2, 2.0), logits(-0.7, 1.1)
    D_real, D_fake = real.sigmoid(), fake.sigmoid()
    value = D_real.log().mean() + (1 - D_fake).log().mean()
    torch.testing.assert_close(game_value(real, fake), value, atol=1e-10, rtol=0)
    torch.testing.assert_close(discriminator_loss(real, fake), -value, atol=1e-10, rtol=0)
    torch.testing.assert_close(generator_loss(fake), -D_fake.log().mean(), atol=1e-10, rtol=0)
    torch.testing.assert_close(generator_loss(fake, "minimax"), (1 - D_fake).log().mean(), atol=1e-10, rtol=0)


def test_gradients_and_the_slope_that_minimax_lacks() -> None:
    assert torch.autograd.gradcheck(discriminator_loss, (logits(0.3, -1.2), logits(0.5, 0.1)))
    assert torch.autograd.gradcheck(generator_loss, (logits(0.5, 0.1),))
    seen_through = logits(-10.0)  # the discriminator is sure
    assert torch.autograd.grad(generator_loss(seen_through, "minimax"), seen_through)[0].abs() < 1e-4
    assert torch.autograd.grad(generator_loss(seen_through), seen_through)[0] == pytest.approx(-1, abs=1e-4)
    far = logits(1e4, -1e4)
    assert discriminator_loss(far, far).isfinite()
    assert generator_loss(far).isfinite()
