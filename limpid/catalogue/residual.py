"""Residual networks, their plain twins, and those that weigh their maps."""

from __future__ import annotations

from collections.abc import Callable

from limpid.catalogue.convolutional import CIFAR, IMAGENET, LIBRARY, PATTERN
from limpid.catalogue.model_part import Counted, ModelPart

PAPER = "He et al. 2015 (arXiv 1512.03385)"
SMALL_COUNTS = {  # parameters, multiply-adds
    20: (269_722, 40_551_040),
    32: (464_154, 68_862_592),
    44: (658_586, 97_174_144),
    56: (853_018, 125_485_696),
    110: (1_727_962, 252_887_680),
}


def _resnet(depth: int, parameters: int, macs: int, error: str) -> ModelPart:
    return ModelPart(
        name=f"resnet{depth}",
        home=LIBRARY,
        library=f"torchvision/resnet{depth}",
        what=f"residual network of {depth} layers for photographs",
        source=f"{PAPER}; torchvision",
        year=2015,
        formula="y = relu(F(x) + x)",
        family="residual",
        kinds=("image",),
        has_weights=True,
        published={"top-5 error": error} if error else {},
        counted=Counted(IMAGENET, 1000, parameters, macs),
    )


def _cifar_resnet(depth: int) -> ModelPart:
    return ModelPart(
        name=f"resnet{depth}",
        home=f"limpid.models.cifar_resnet:build_resnet{depth}",
        what=f"residual network of {depth} layers for small images",
        source=f"{PAPER}, section 4.2",
        year=2015,
        formula="y = relu(F(x) + x)",
        family="residual",
        kinds=("image",),
        counted=Counted(CIFAR, 10, *SMALL_COUNTS[depth]),
    )


def _convolution(width: int, stride: int) -> str:
    return f"conv{width}{'/s2' if stride == 2 else ''}/nobias-bn"


def _residual(width: int, stride: int, gate: str = "") -> str:
    return f"res[{_convolution(width, stride)}-relu-{_convolution(width, 1)}{gate}]-relu"


def _plain(width: int, stride: int) -> str:
    return f"{_convolution(width, stride)}-relu-{_convolution(width, 1)}-relu"


def _squeezed(width: int, stride: int) -> str:
    return _residual(width, stride, "-se16")


def _stages(block: Callable[[int, int], str], widths: tuple[int, ...], counts: tuple[int, ...]) -> str:
    """The first block of each stage but the first halves the side."""
    parts = []
    for stage, (width, count) in enumerate(zip(widths, counts, strict=True)):
        first = [f"{block(width, 2)}"] if stage else []
        rest = count - len(first)
        parts += first + ([f"[{block(width, 1)}]*{rest}"] if rest else [])
    return " ".join(parts)


LARGE, SMALL = (64, 128, 256, 512), (16, 32, 64)
PHOTOGRAPH_STEM = "conv64@7/s2/nobias-bn-relu maxpool3/s2/p1"
COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def _plain_large(depth: int, parameters: int, macs: int) -> ModelPart:
    return ModelPart(
        name=f"plain{depth}",
        home=PATTERN,
        pattern=f"{PHOTOGRAPH_STEM} {_stages(_plain, LARGE, COUNTS[depth])} gap fc",
        what=f"the {depth} layers of resnet{depth} without its shortcuts, for comparison",
        source=f"{PAPER}, figure 3",
        year=2015,
        pitfall="Deeper plain networks fit their training data worse: they are harder to optimise.",
        family="convolutional",
        kinds=("image",),
        published={"top-1 error": {18: "27.94 %", 34: "28.54 %"}[depth]},
        counted=Counted(IMAGENET, 1000, parameters, macs),
    )


def _plain_small(depth: int) -> ModelPart:
    blocks = (depth - 2) // 6
    return ModelPart(
        name=f"plain{depth}",
        home=PATTERN,
        pattern=f"conv16/nobias-bn-relu {_stages(_plain, SMALL, (blocks,) * 3)} gap fc",
        what=f"the {depth} layers of resnet{depth} without its shortcuts, for small images",
        source=f"{PAPER}, section 4.2",
        year=2015,
        pitfall="Deeper plain networks fit their training data worse: they are harder to optimise.",
        family="convolutional",
        kinds=("image",),
        counted=Counted(CIFAR, 10, *SMALL_COUNTS[depth]),
    )


PARTS = (
    *(_cifar_resnet(depth) for depth in (20, 32, 44, 56, 110)),
    _plain_small(20),
    _plain_small(56),
    ModelPart(
        name="se-resnet20",
        home=PATTERN,
        pattern=f"conv16/nobias-bn-relu {_stages(_squeezed, SMALL, (3, 3, 3))} gap fc",
        what="residual network of 20 layers that weighs its maps, for small images",
        source="Hu et al. 2017 (arXiv 1709.01507), section 6.2",
        year=2017,
        formula="y = x sigma(W_2 relu(W_1 mean(x)))",
        family="residual",
        kinds=("image",),
        counted=Counted(CIFAR, 10, 274_847, 40_815_200),
    ),
    ModelPart(
        name="resnet18-small",
        home=PATTERN,
        pattern=f"conv64/nobias-bn-relu {_stages(_residual, LARGE, COUNTS[18])} gap fc",
        what="resnet18 with a 3x3 first convolution and no first pool, for small images",
        source=f"after {PAPER}",
        year=2015,
        family="residual",
        kinds=("image",),
        counted=Counted(CIFAR, 10, 11_173_962, 555_422_720),
    ),
    _resnet(18, 11_689_512, 1_814_073_344, ""),
    _resnet(34, 21_797_672, 3_663_761_408, "7.4 % (ten crops)"),
    _resnet(50, 25_557_032, 4_089_184_256, "6.7 % (ten crops)"),
    _resnet(101, 44_549_160, 7_801_405_440, "6.1 % (ten crops)"),
    _resnet(152, 60_192_808, 11_513_626_624, "5.7 % (ten crops); 3.57 % for an ensemble (first in ILSVRC 2015)"),
    _plain_large(18, 11_515_688, 1_794_805_760),
    _plain_large(34, 21_623_848, 3_644_493_824),
    ModelPart(
        name="se-resnet50",
        home=LIBRARY,
        library="timm/seresnet50",
        what="resnet50 that weighs its maps",
        source="Hu et al. 2017 (arXiv 1709.01507); timm",
        year=2017,
        formula="y = x sigma(W_2 relu(W_1 mean(x)))",
        aliases=("senet", "squeeze-and-excitation"),
        family="residual",
        kinds=("image",),
        has_weights=True,
        published={"top-5 error": "6.6 % (one crop); 2.251 % for the ensemble that won ILSVRC 2017"},
        counted=Counted(IMAGENET, 1000, 28_088_024, 4_091_699_200),
    ),
)
