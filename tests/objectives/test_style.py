"""Content and style of images, in features of a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from limpid.objectives.style import content_loss, gram, style_loss


def features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.spec("C18")
def test_identical_images_cost_nothing_and_gram_is_symmetric() -> None:
    layers = [features(1, 3, 8, 8), features(1, 5, 4, 4)]
    assert content_loss(layers[0], layers[0]) == 0
    assert style_loss(layers, layers) == 0
    gram_BCC = gram(features(2, 4, 6, 5))
    assert gram_BCC.shape == (2, 4, 4)
    torch.testing.assert_close(gram_BCC, gram_BCC.transpose(1, 2), atol=1e-10, rtol=0)


def test_formulas() -> None:
    F, A, P = features(1, 3, 4, 5), features(1, 3, 4, 5, seed=1), features(1, 3, 4, 5, seed=2)
    assert content_loss(F, P).item() == pytest.approx(0.5 * ((F - P).numpy() ** 2).sum(), abs=1e-10)

    def naive_gram(x: torch.Tensor) -> np.ndarray:
        maps = x[0].numpy()
        return np.array([[(maps[i] * maps[j]).sum() for j in range(3)] for i in range(3)])

    distance = ((naive_gram(F) - naive_gram(A)) ** 2).sum()
    assert style_loss([F, F], [A, A], weights=[0.5, 2.0]).item() == pytest.approx(2.5 * distance, rel=1e-12)
    assert style_loss([F, F], [A, A]).item() == pytest.approx(distance / (4 * 3**2 * 20**2), rel=1e-12)


def test_style_is_blind_to_places_and_content_is_not() -> None:
    F = features(1, 3, 4, 5)
    moved = F.flatten(2)[:, :, torch.randperm(20, generator=torch.Generator().manual_seed(0))].view_as(F)
    assert style_loss([moved], [F]).item() == pytest.approx(0, abs=1e-20)
    assert content_loss(moved, F) > 1
    assert torch.autograd.gradcheck(lambda x: style_loss([x], [F]), (features(1, 3, 4, 5, seed=4).requires_grad_(),))
