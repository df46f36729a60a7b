"""Networks that say more of an image than its class: where, which pixels, seen from where."""

from __future__ import annotations

from limpid.catalogue.convolutional import MNIST, PATTERN
from limpid.catalogue.model_part import Counted, ModelPart

# What says where things are must not be moved without them.
UNMOVED = {"augment.flip": False, "augment.crop": 0, "augment.scale": 1.0}

PARTS = (
    ModelPart(
        name="stn-lenet",
        home="limpid.models.spatial_transformer:build_stn_lenet",
        what="LeNet behind a spatial transformer, which undoes turns, shifts and scales, from 26 pixels",
        source="Jaderberg et al. 2015 (arXiv 1506.02025)",
        year=2015,
        formula="y(p) = x(theta(x) p)",
        pitfall="Learning rates that suit the classifier may be too large for theta: the view runs off the image.",
        aliases=("spatial transformer", "stn"),
        family="convolutional",
        kinds=("image",),
        counted=Counted(MNIST, 10, 442_976, 2_354_300),
    ),
    ModelPart(
        name="localizer",
        home=PATTERN,
        pattern="[conv32/nobias-bn-relu-pool]*2 [conv64/nobias-bn-relu-pool?]*2 fc128-relu fc",
        what="regression of a box, or other positions in the image: it keeps what a global average forgets",
        source="in the manner of Sermanet et al. 2014 (arXiv 1312.6229)",
        year=2014,
        pitfall="Boxes are regression targets: four columns, for example centre and size in pixels.",
        aliases=("localiser", "box regression", "localization"),
        family="convolutional",
        kinds=("image",),
        tasks=("regression",),
        settings=UNMOVED,
        counted=Counted((1, 32, 32), 4, 98_596, 4_456_960),
    ),
    ModelPart(
        name="unet",
        home="limpid.models.unet:build_unet",
        what="a class for every pixel: halvings, doublings, and bridges between them",
        source="Ronneberger et al. 2015 (arXiv 1505.04597), small",
        year=2015,
        pitfall="Targets are a whole number for every pixel, (N, H, W) beside the images; negative ones do not count.",
        aliases=("segmentation",),
        family="convolutional",
        kinds=("image",),
        tasks=("tokens",),
        settings=UNMOVED,
        counted=Counted((1, 32, 32), 4, 118_356, 28_524_544),
    ),
)
