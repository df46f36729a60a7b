"""Architectures and weights of torchvision and timm, fitted to the data: another head, another first convolution.

Published weights expect the normalisation that they were trained with, so that a pretrained network scales its inputs
with the published statistics and not with those of the training split.
"""

from __future__ import annotations

import difflib
import sys
from contextlib import redirect_stdout
from typing import Any

import torch
from torch import nn

from limpid.catalogue.models import MODELS
from limpid.config import ModelConfig
from limpid.errors import MissingExtra, ModelError
from limpid.models.auxiliary import WithAuxiliary
from limpid.models.network import Network, check_output
from limpid.spec import DataSpec

# Of ImageNet's pixels scaled to 0 to 1, as torchvision documents them for its weights.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INCEPTIONS = ("googlenet", "inception_v3")
AUXILIARY_SIDE = 299  # of which 17 pixels are left, for a 5 x 5 average of stride 3 and a 5 x 5 convolution
PREFIXES = ("torchvision/", "timm/")


def build_library(config: ModelConfig, spec: DataSpec) -> Network:
    """The torchvision or timm architecture behind one of the catalogue's names."""
    return build_published(config.model_copy(update={"name": MODELS[config.name].library}), spec)


def build_published(config: ModelConfig, spec: DataSpec, *, known: tuple[str, ...] = ()) -> Network:
    """The named torchvision or timm classifier, with one output per class or target of the data.

    "torchvision/NAME" and "timm/NAME" choose the library; a bare name is looked for in torchvision first. Raises
    ModelError for an unknown name (naming the nearest), for data that are not images or too small for the architecture,
    and once, with what was tried, when the weights cannot be had.
    """
    library, name = _find(config.name, known)
    if spec.kind != "image":
        raise ModelError(
            f"{config.name} takes images of shape (channels, height, width); {spec.name} is of kind {spec.kind} with "
            f"shape {spec.input_shape}. Use model.name=mlp or linear."
        )
    if library == "torchvision":
        body, mean, std = _from_torchvision(name, spec, config.pretrained, config.options.get("auxiliary", 0.0))
    else:
        body, mean, std = _from_timm(name, spec, config.pretrained)
    if config.pretrained:
        spec = spec.model_copy(update=_scale(spec.input_shape[0], mean, std))
    network = Network(spec, body)
    check_output(network, spec, name=config.name)
    return network


def _find(name: str, known: tuple[str, ...]) -> tuple[str, str]:
    bare = name.split("/", 1)[1] if name.startswith(PREFIXES) else name
    torchvision_names = [] if name.startswith("timm/") else _torchvision_names()
    if bare in torchvision_names:
        return "torchvision", bare
    timm_names = [] if name.startswith("torchvision/") else _timm_names()
    if bare.split(".")[0] in timm_names:  # timm writes name.weights
        return "timm", bare
    names = dict.fromkeys([*known, *torchvision_names, *timm_names])  # both libraries have some
    near = difflib.get_close_matches(bare, names, n=3, cutoff=0.6)
    hint = f"Nearest: {', '.join(near)}." if near else f"Known: {', '.join(known)}, and torchvision's and timm's."
    raise ModelError(f"There is no model named {name}. {hint} `limpid models` lists them.")


def _torchvision_names() -> list[str]:
    try:
        import torchvision
    except ImportError:
        return []
    return list(torchvision.models.list_models(module=torchvision.models))


def _timm_names() -> list[str]:
    try:
        import timm
    except ImportError:
        return []
    return list(timm.list_models())


def _from_torchvision(
    name: str, spec: DataSpec, pretrained: bool, auxiliary: float
) -> tuple[nn.Module, tuple[float, ...], tuple[float, ...]]:
    import torchvision

    if pretrained:
        weights = torchvision.models.get_model_weights(name).DEFAULT
        place = f"{torch.hub.get_dir()}/checkpoints/{weights.url.rpartition('/')[2]}"
        try:
            with redirect_stdout(sys.stderr):  # what torch says of a download is no result of ours
                # get_model unpickles whatever lies there; this refuses a file that holds more than tensors before that.
                weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
                body = torchvision.models.get_model(name, weights=weights, progress=False)
        except Exception as error:  # libraries raise many kinds here; all mean that the weights could not be had
            raise _no_weights(name, weights.url, place, error) from error
    else:
        options: dict[str, Any] = {"init_weights": True} if name in INCEPTIONS else {}
        if name.startswith("vit_"):
            options = {"image_size": spec.input_shape[1]}
        body = torchvision.models.get_model(name, weights=None, **options)
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    if name in INCEPTIONS:
        if not auxiliary:
            body.aux_logits = False
        elif name == "inception_v3" and min(spec.input_shape[1:]) < AUXILIARY_SIDE:
            raise ModelError(
                f"The auxiliary classifier of inception-v3 needs images of {AUXILIARY_SIDE} pixels or more; these have "
                f"{spec.input_shape[1]} x {spec.input_shape[2]}. Set data.image_size={AUXILIARY_SIDE}, or auxiliary=0."
            )
        for branch in ("aux1", "aux2", "AuxLogits"):
            if hasattr(body, branch) and auxiliary:
                _replace_head(getattr(body, branch), spec.num_outputs)
            elif hasattr(body, branch):
                setattr(body, branch, None)
        body.transform_input = False  # theirs is (x - 0.5) / 0.5, which our scaling does
        mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    _replace_head(body, spec.num_outputs)
    _replace_stem(body, spec.input_shape[0])
    return WithAuxiliary(body, auxiliary) if auxiliary else body, mean, std


def _from_timm(name: str, spec: DataSpec, pretrained: bool) -> tuple[nn.Module, tuple[float, ...], tuple[float, ...]]:
    try:
        import timm
    except ImportError:
        raise MissingExtra(f"model.name=timm/{name} needs timm: pip install timm") from None

    options: dict[str, Any] = {"num_classes": spec.num_outputs, "in_chans": spec.input_shape[0]}
    published = timm.get_pretrained_cfg(name)
    if published is not None and published.fixed_input_size:  # transformers learn a vector per patch position
        options["img_size"] = spec.input_shape[1:]
    try:
        body = timm.create_model(name, pretrained=pretrained, **options)
    except Exception as error:
        if not pretrained:
            raise ModelError(f"timm cannot build {name}: {error}.") from error
        origin = f"https://huggingface.co/timm/{name}"
        raise _no_weights(name, origin, "the Hugging Face cache (environment variable HF_HOME)", error) from error
    if published is None:
        return body, IMAGENET_MEAN, IMAGENET_STD
    return body, tuple(published.mean), tuple(published.std)


def _no_weights(name: str, origin: str, place: str, error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelError(
        f"The published weights of {name} could not be had from {origin}: {reason}. Put a copy at {place}, "
        "or leave out model.pretrained to start from random weights."
    )


def _replace_head(body: nn.Module, num_outputs: int) -> None:
    """The last dense layer, or 1x1 convolution, gets one output per class."""
    name, last = [(n, m) for n, m in body.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    if isinstance(last, nn.Linear):
        head: nn.Module = nn.Linear(last.in_features, num_outputs, bias=last.bias is not None)
        nn.init.normal_(head.weight, std=0.1 / last.in_features**0.5)  # type: ignore[arg-type]
    else:
        head = nn.Conv2d(last.in_channels, num_outputs, last.kernel_size)  # type: ignore[arg-type]
        nn.init.normal_(head.weight, std=0.1 / last.in_channels**0.5)  # type: ignore[arg-type]
    if head.bias is not None:
        nn.init.zeros_(head.bias)  # type: ignore[arg-type]
    _put(body, name, head)


def _replace_stem(body: nn.Module, channels: int) -> None:
    """The first convolution takes `channels`; learned kernels are spread so that grey acts as its RGB copy."""
    name, first = next((n, m) for n, m in body.named_modules() if isinstance(m, nn.Conv2d))
    if first.in_channels == channels:
        return
    stem = nn.Conv2d(
        channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    with torch.no_grad():
        mean_kernel = first.weight.mean(dim=1, keepdim=True)
        stem.weight.copy_(mean_kernel.expand_as(stem.weight) * (first.in_channels / channels))
        if first.bias is not None and stem.bias is not None:
            stem.bias.copy_(first.bias)
    _put(body, name, stem)


def _put(body: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(body.get_submodule(parent), child, module)


def _scale(channels: int, mean: tuple[float, ...], std: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
    if channels == len(mean):
        return {"scale_mean": mean, "scale_std": std}
    return {"scale_mean": (sum(mean) / len(mean),) * channels, "scale_std": (sum(std) / len(std),) * channels}
