"""How well an output repeats the input."""

from __future__ import annotations

import pytest
import torch

from limpid.objectives.reconstruction import reconstruction_losses


@pytest.mark.spec("C16")
def test_squared_error_of_a_perfect_copy_is_zero() -> None:
    x_BCHW = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    assert reconstruction_losses(x_BCHW, x_BCHW).tolist() == [0.0] * 5
    other = x_BCHW + torch.arange(5.0).view(5, 1, 1, 1)
    torch.testing.assert_close(reconstruction_losses(other, x_BCHW), torch.arange(5.0) ** 2)


@pytest.mark.spec("C16")
def test_binary_cross_entropy_is_lowest_for_the_copy() -> None:
    x_BF = torch.rand(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    entropy_B = -(x_BF * x_BF.log() + (1 - x_BF) * (1 - x_BF).log()).mean(dim=1)
    copy = reconstruction_losses(x_BF.logit(), x_BF, "bce")
    torch.testing.assert_close(copy, entropy_B, atol=1e-10, rtol=0)
    assert (reconstruction_losses(x_BF.logit() + 0.3, x_BF, "bce") > copy).all()
    black_and_white = x_BF.round()
    assert reconstruction_losses(100 * (2 * black_and_white - 1), black_and_white, "bce").max() < 1e-12
