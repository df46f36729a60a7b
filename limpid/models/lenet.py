"""LeNet-5 as it is taught today: ReLU and max-pooling (LeCun et al. 1998 had squashing units and sub-sampling).

    conv 5x5, 6 -> pool 2 -> conv 5x5, 16 -> pool 2 -> 400 -> 120 -> 84 -> K

With one channel and ten classes it has 61,706 parameters.
"""

from __future__ import annotations

from torch import nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models.initialize import initialize
from limpid.spec import DataSpec

# The 400 inputs of the first dense layer need 32 x 32 pixels; 28 x 28 are padded by two in the first convolution.
PADDING = {32: 0, 28: 2}


def build_lenet5(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """LeNet-5 for 28 x 28 or 32 x 32 images. Raises ModelError for any other size."""
    channels, height, width = spec.input_shape
    if height != width or height not in PADDING:
        raise ModelError(
            f"lenet5 takes images of 28 x 28 or 32 x 32 pixels; these have {height} x {width}. "
            "Set data.image_size=32, or use model.name=convnet, which adapts to the size."
        )
    head = nn.Linear(84, spec.num_outputs)
    # ReLU and max-pooling commute; in this order ReLU works on a quarter of the values.
    body = nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=PADDING[height]),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 16, 5),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(inplace=True),
        nn.Linear(120, 84),
        nn.ReLU(inplace=True),
        head,
    )
    initialize(body, head)
    return body
