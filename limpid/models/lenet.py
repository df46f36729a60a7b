"""LeNet as it is taught today, ReLU and max-pooling, and as it was: squashing units and averages (LeCun et al. 1998).

    lenet5      conv 5x5, 6 -> pool 2 -> conv 5x5, 16 -> pool 2 -> 400 -> 120 -> 84 -> K
    lenet-1998  the same sizes, with a third convolution of 120 maps in the place of the first dense layer

With one channel and ten classes either has 61,706 parameters. (The original's second convolution saw only some of the
maps before it, and its last layer measured distances.)
"""

from __future__ import annotations

from torch import nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.pattern import build_pattern
from limpid.spec import DataSpec

# The 400 inputs of the first dense layer need 32 x 32 pixels; 28 x 28 are padded by two in the first convolution.
PADDING = {32: 0, 28: 2}
RISING = ("relu", "leaky_relu", "tanh", "sigmoid", "elu", "selu", "softplus", "softsign", "relu6", "hardtanh")


def build_lenet5(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """LeNet-5 for 28 x 28 or 32 x 32 images, with the configured activation. Raises ModelError for any other size."""
    act, pool, padding = config.activation, config.options["pool"] + "pool", _padding(config.name, spec)
    # A rising function and max-pooling commute; in this order the function works on a quarter of the values.
    stage = f"{pool}-{act}" if pool == "maxpool" and act.partition("(")[0] in RISING else f"{act}-{pool}"
    text = f"conv6@5/p{padding}-{stage} conv16@5/p0-{stage} fc120-{act} fc84-{act} fc"
    return build_pattern(text, spec, name=config.name)


def build_lenet_1998(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """CONV-POOL-CONV-POOL-CONV-FC for 28 x 28 or 32 x 32 images. Raises ModelError for any other size."""
    squash, pool, dense = config.options["squash"], config.options["pool"] + "pool", config.options["dense"]
    hidden = f"fc{dense}-{squash}" if dense else ""
    text = (
        f"conv6@5/p{_padding(config.name, spec)}-{squash}-{pool} conv16@5/p0-{squash}-{pool} "
        f"conv120@5/p0-{squash} flatten {hidden} fc"
    )
    return build_pattern(text, spec, name=config.name)


def _padding(name: str, spec: DataSpec) -> int:
    _, height, width = spec.input_shape
    if height != width or height not in PADDING:
        raise ModelError(
            f"{name} takes images of 28 x 28 or 32 x 32 pixels; these have {height} x {width}. "
            "Set data.image_size=32, or use model.name=convnet, which adapts to the size."
        )
    return PADDING[height]
