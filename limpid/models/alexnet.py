"""AlexNet of 2012 with its normalisation of neighbouring maps, and ZFNet of 2013, which looks closer at the image.

AlexNet ran on two GPUs: its second, fourth and fifth convolution see half of the maps each (groups = 2), which makes
60,965,224 parameters for 1000 classes; one tower has 62,378,344. The paper normalises before pooling, courses after.
torchvision's alexnet (model.name=alexnet) is the later one-column form without normalisation.
"""

from __future__ import annotations

from torch import nn

from limpid.config import ModelConfig
from limpid.models.pattern import build_pattern
from limpid.spec import DataSpec

DENSE = "fc4096-relu-dropout0.5 fc4096-relu-dropout0.5 fc"
POOL = "maxpool3/s2"
STAGES = {"before": f"relu-lrn-{POOL}", "after": f"relu-{POOL}-lrn", "none": f"relu-{POOL}"}


def build_alexnet_2012(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """For images of 227 pixels; smaller ones work down to 67."""
    stage, towers = STAGES[config.options["lrn"]], config.options["towers"]
    text = (
        f"conv96@11/s4/p0-{stage} conv256@5/p2/g{towers}-{stage} "
        f"conv384-relu conv384/g{towers}-relu conv256/g{towers}-relu {POOL} {DENSE}"
    )
    return build_pattern(text, spec, name=config.name)


def build_zfnet(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """For images of 224 pixels: a first convolution of 7 x 7 with stride 2 in place of 11 x 11 with stride 4."""
    third, fourth, fifth = config.options["middle"].split("-")
    stage = f"relu-{POOL}/ceil-lrn"
    text = (
        f"conv96@7/s2/p1-{stage} conv256@5/s2/p0-{stage} "
        f"conv{third}-relu conv{fourth}-relu conv{fifth}-relu {POOL} {DENSE}"
    )
    return build_pattern(text, spec, name=config.name)
