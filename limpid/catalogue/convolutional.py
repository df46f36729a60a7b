"""Convolutional networks for small images."""

from __future__ import annotations

from limpid.catalogue.model_part import ModelPart


def _cifar_resnet(depth: int) -> ModelPart:
    return ModelPart(
        name=f"resnet{depth}",
        home=f"limpid.models.cifar_resnet:build_resnet{depth}",
        what=f"residual network of {depth} layers for small images",
        source="He et al. 2015, section 4.2 (arXiv 1512.03385)",
        year=2015,
        formula="y = relu(F(x) + x)",
        family="residual",
        kinds=("image",),
    )


PARTS = (
    ModelPart(
        name="lenet5",
        home="limpid.models.lenet:build_lenet5",
        what="LeNet-5, 28 or 32 pixels",
        source="LeCun et al. 1998",
        year=1998,
        aliases=("lenet",),
        family="convolutional",
        kinds=("image",),
    ),
    ModelPart(
        name="convnet",
        home="limpid.models.convnet:build_convnet",
        what="3x3 convolutions in stages, as deep as the image allows",
        source="in the manner of Simonyan & Zisserman 2015",
        year=2015,
        aliases=("cnn",),
        family="convolutional",
        kinds=("image",),
    ),
    *(_cifar_resnet(depth) for depth in (20, 32, 44, 56, 110)),
)
