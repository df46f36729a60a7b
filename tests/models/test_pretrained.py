"""Architectures and weights of other libraries. No test downloads anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import nn

from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models import build_model
from limpid.models.pretrained import IMAGENET_MEAN, _replace_stem
from limpid.spec import DataSpec

COLOUR = DataSpec(
    name="photos",
    kind="image",
    task="classification",
    input_shape=(3, 32, 32),
    num_outputs=7,
    scale_mean=(0.1,) * 3,
    scale_std=(0.2,) * 3,
)
GREY = COLOUR.model_copy(update={"input_shape": (1, 32, 32), "scale_mean": (0.1,), "scale_std": (0.2,)})


@pytest.mark.parametrize(
    "name", ["resnet18", "torchvision/squeezenet1_1", "googlenet", "timm/resnet10t", "timm/vit_tiny_patch16_224"]
)
@pytest.mark.parametrize("spec", [COLOUR, GREY], ids=["colour", "grey"])
def test_any_library_name_gets_our_head_and_stem(name: str, spec: DataSpec) -> None:
    network = build_model(ModelConfig(name=name), spec, seed=0)
    logits_BK = network(torch.randint(0, 256, (2, *spec.input_shape), dtype=torch.uint8))
    assert logits_BK.shape == (2, 7)
    assert network.scale.mean.flatten().tolist() == pytest.approx(spec.scale_mean)


def test_library_models_follow_the_seed() -> None:
    first, second = (build_model(ModelConfig(name="squeezenet1_1"), COLOUR, seed=4) for _ in range(2))
    for p, q in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(p, q)


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no model named resnet2O\. Nearest: .*resnet20"):
        build_model(ModelConfig(name="resnet2O"), COLOUR, seed=0)


def test_library_models_take_images_only() -> None:
    rows = DataSpec(name="rows", kind="vector", task="classification", input_shape=(4,), num_outputs=2)
    with pytest.raises(ModelError, match=r"squeezenet1_1 takes images.*kind vector with shape \(4,\)"):
        build_model(ModelConfig(name="squeezenet1_1"), rows, seed=0)
    with pytest.raises(ModelError, match=r"resnet18 takes data of kind image; rows is of kind vector"):
        build_model(ModelConfig(name="resnet18"), rows, seed=0)


def test_too_small_images_are_refused_with_their_shape() -> None:
    tiny = COLOUR.model_copy(update={"input_shape": (3, 8, 8)})
    with pytest.raises(ModelError, match=r"alexnet cannot take a batch.*\(2, 3, 8, 8\)"):
        build_model(ModelConfig(name="alexnet"), tiny, seed=0)


def test_weights_that_cannot_be_had_are_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def no_network(*_: Any, **__: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", no_network)
    with pytest.raises(ModelError) as caught:
        build_model(ModelConfig(name="resnet18", pretrained=True), COLOUR, seed=0)
    message = str(caught.value)
    assert "\n" not in message
    assert "no route to host" in message
    assert "resnet18-f37072fd.pth" in message.split("Put a copy at")[1]
    assert str(tmp_path) in message


def test_missing_timm_weights_are_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("offline")

    monkeypatch.setattr("timm.models._builder.load_pretrained", offline)
    with pytest.raises(ModelError, match=r"weights of resnet10t could not be had.*offline\. Put a copy"):
        build_model(ModelConfig(name="timm/resnet10t", pretrained=True), COLOUR, seed=0)


def test_local_copy_is_used_with_its_own_normalisation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torchvision

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(1)
    published = torchvision.models.squeezenet1_1().eval()
    weights = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(published.state_dict(), folder / weights.url.rpartition("/")[2])
    network = build_model(ModelConfig(name="squeezenet1_1", pretrained=True), COLOUR, seed=0)
    assert network.scale.mean.flatten().tolist() == pytest.approx(IMAGENET_MEAN)
    assert torch.equal(network.body.features[0].weight, published.features[0].weight)
    assert network.body.classifier[1].out_channels == 7


def test_learned_kernels_see_a_grey_image_as_its_rgb_copy() -> None:
    body = nn.Sequential(nn.Conv2d(3, 4, 3))
    x_B1HW = torch.rand(2, 1, 6, 6)
    expected = body(x_B1HW.expand(-1, 3, -1, -1))
    _replace_stem(body, 1)
    torch.testing.assert_close(body(x_B1HW), expected)
