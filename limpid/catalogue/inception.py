"""Networks of Inception modules: several filter sizes side by side."""

from __future__ import annotations

from limpid.catalogue.convolutional import CIFAR, IMAGENET, LIBRARY, PATTERN
from limpid.catalogue.model_part import Counted, ModelPart
from limpid.catalogue.part import Option

STEP = "limpid.training.auxiliary_step:auxiliary_step"
ADDED = "weight of the auxiliary classifiers' losses in training; 0 builds none"


def _small(one: int, three: int) -> str:
    return f"cat[conv{one}@1/nobias-bn-relu | conv{three}/nobias-bn-relu]"


def _halved(filters: int) -> str:
    return f"cat[conv{filters}/s2/nobias-bn-relu | maxpool3/s2/p1]"


SMALL = " ".join(
    (
        "conv96/nobias-bn-relu",
        *(_small(32, 32), _small(32, 48), _halved(80)),
        *(_small(112, 48), _small(96, 64), _small(80, 80), _small(48, 96), _halved(96)),
        *(_small(176, 160), _small(176, 160)),
        "gap fc",
    )
)

PARTS = (
    ModelPart(
        name="googlenet",
        home=LIBRARY,
        library="torchvision/googlenet",
        what="GoogLeNet with batch norm and 3x3 in place of 5x5 filters",
        source="Szegedy et al. 2014 (arXiv 1409.4842); torchvision",
        year=2014,
        pitfall="Not the published network: googlenet-2014 is.",
        aliases=("inception-v1", "inception"),
        family="inception",
        kinds=("image",),
        has_weights=True,
        options={"auxiliary": Option(0.0, ADDED, 0.0)},
        step=STEP,
        published={"parameters": "often given as 4 or 5 million, which no count supports", "top-5 error": "6.67 %"},
        counted=Counted(IMAGENET, 1000, 6_624_904, 1_498_376_192),
    ),
    ModelPart(
        name="googlenet-2014",
        home="limpid.models.googlenet:build_googlenet",
        what="GoogLeNet as published: 5x5 branches, no batch norm, auxiliary classifiers",
        source="Szegedy et al. 2014 (arXiv 1409.4842)",
        year=2014,
        formula="L = L(main) + 0.3 (L(aux 1) + L(aux 2))",
        pitfall="The auxiliary classifiers are there in training only; a checkpoint holds them all the same.",
        family="inception",
        kinds=("image",),
        options={"auxiliary": Option(0.3, ADDED, 0.0)},
        step=STEP,
        published={"top-5 error": "6.67 % (first in ILSVRC 2014)", "layers": "22"},
        counted=Counted(IMAGENET, 1000, 13_378_280, 1_582_671_872),
    ),
    ModelPart(
        name="googlenet-small",
        home=PATTERN,
        pattern=SMALL,
        what="Inception modules for small images, from 8 pixels",
        source="Zhang et al. 2017 (arXiv 1611.03530), small Inception",
        year=2017,
        aliases=("inception-small",),
        family="inception",
        kinds=("image",),
        published={"parameters": "1,649,402 (batch norm without gain)", "CIFAR-10 accuracy": "86 to 89 %"},
        counted=Counted(CIFAR, 10, 1_651_114, 266_734_880),
    ),
    ModelPart(
        name="inception-v3",
        home=LIBRARY,
        library="torchvision/inception_v3",
        what="factorised filters: 5x5 as two 3x3, 7x7 as 1x7 and 7x1",
        source="Szegedy et al. 2015 (arXiv 1512.00567); torchvision",
        year=2015,
        family="inception",
        kinds=("image",),
        has_weights=True,
        options={"auxiliary": Option(0.0, ADDED, 0.0)},
        step=STEP,
        published={"top-5 error": "5.6 % (one network, one crop)"},
        counted=Counted((3, 299, 299), 1000, 23_834_568, 5_713_216_096),
    ),
    ModelPart(
        name="inception-v4",
        home=LIBRARY,
        library="timm/inception_v4",
        what="deeper Inception of uniform modules, without residuals",
        source="Szegedy et al. 2016 (arXiv 1602.07261); timm",
        year=2016,
        pitfall="ResNet + Inception, as it is sometimes described, is inception-resnet-v2.",
        family="inception",
        kinds=("image",),
        has_weights=True,
        published={"top-5 error": "5.0 % (one network, one crop)"},
        counted=Counted((3, 299, 299), 1000, 42_679_816, 12_253_974_624),
    ),
    ModelPart(
        name="inception-resnet-v2",
        home=LIBRARY,
        library="timm/inception_resnet_v2",
        what="Inception modules as residual branches",
        source="Szegedy et al. 2016 (arXiv 1602.07261); timm",
        year=2016,
        family="inception",
        kinds=("image",),
        has_weights=True,
        published={"top-5 error": "4.9 % (one network, one crop)"},
        counted=Counted((3, 299, 299), 1000, 55_843_464, 13_155_794_016),
    ),
)
