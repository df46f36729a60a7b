"""VGG-16 with a global average, and the maps that show where in the image a class was seen (Zhou et al. 2016).

    M_c(x, y) = sum_k W_ck f_k(x, y)        mean over (x, y) of M_c, plus b_c, is the logit of class c

f are the maps that go into the global average, W and b the dense layer behind it: any network that ends so has them.

Shapes: B batch, K classes, C channels, (H, W) the maps' sides.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.pattern import build_pattern
from limpid.spec import DataSpec

VGG16_BUT_LAST_POOL = (
    "[conv64-relu]*2 pool [conv128-relu]*2 pool [conv256-relu]*3 pool [conv512-relu]*3 pool [conv512-relu]*3"
)


def build_vgg16_gap(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """13 convolutions of VGG-16 without the fifth pool, one of `width` maps, their means, and one dense layer."""
    text = f"{VGG16_BUT_LAST_POOL} conv{config.options['width']}-relu gap fc"
    return build_pattern(text, spec, name=config.name)


def class_activation_maps(network: nn.Module, x_BCHW: Tensor, *, size: tuple[int, int] | None = None) -> Tensor:
    """M of every class, (B, K, H, W), or with `size` enlarged to it, bilinearly. The network is run in evaluation mode.

    Raises ModelError for a network without a global average right before a dense layer.
    """
    means = [module for module in network.modules() if isinstance(module, nn.AdaptiveAvgPool2d)]
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    seen: dict[str, Tensor] = {}
    if not means or not layers:
        raise ModelError("Class-activation maps need a global average and a dense layer at the end of the network.")
    hooks = [
        means[-1].register_forward_pre_hook(lambda _, inputs: seen.update(maps=inputs[0])),
        layers[-1].register_forward_pre_hook(lambda _, inputs: seen.update(features=inputs[0])),
    ]
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(x_BCHW)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    maps_BCHW, features_BC = seen["maps"], seen["features"]
    if features_BC.shape != maps_BCHW.shape[:2]:
        raise ModelError("Class-activation maps need the last dense layer right behind the global average.")
    with torch.no_grad():
        maps_BKHW = torch.einsum("kc,bchw->bkhw", layers[-1].weight, maps_BCHW)
    if size is None:
        return maps_BKHW
    return F.interpolate(maps_BKHW, size=size, mode="bilinear", align_corners=False)
