"""How far an image is from the content of one image and from the style of another, in features of a network.

Gatys, Ecker & Bethge 2016. Content is where features are; style is which features occur together, wherever.

    content = sum (F - P)^2 / 2          style = sum_l w_l |Gram(F_l) - Gram(A_l)|^2          Gram_ij = sum_p F_ip F_jp

Shapes: B images, C channels, H height, W width of a layer's features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def content_loss(features: Tensor, wanted: Tensor) -> Tensor:
    """Half the squared distance of two tensors of features, a scalar."""
    return (features - wanted).square().sum() / 2


def gram(features_BCHW: Tensor) -> Tensor:
    """Sums over the places of an image of products of its channels, (B, C, C), symmetric."""
    features_BCP = features_BCHW.flatten(2)
    return features_BCP @ features_BCP.transpose(1, 2)


def style_loss(features: Sequence[Tensor], wanted: Sequence[Tensor], weights: Sequence[float] | None = None) -> Tensor:
    """Weighted squared distances of the Gram matrices of several layers, a scalar.

    Args:
        features: of each layer, (B, C, H, W).
        wanted: of the image whose style is wanted; it may have another size.
        weights: of each layer; None: the paper's 1 / (4 C^2 (H W)^2), shared equally by the layers.
    """
    if weights is None:
        weights = [1 / (4 * f.shape[1] ** 2 * f[0, 0].numel() ** 2 * len(features)) for f in features]
    distances = [
        weight * (gram(f) - gram(a)).square().sum() for weight, f, a in zip(weights, features, wanted, strict=True)
    ]
    return torch.stack(distances).sum()
