"""Networks that say where: spatial transformer, box regression, segmentation. The images are drawn here."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.config import ModelConfig, ObjectiveConfig
from limpid.errors import ModelError
from limpid.models import build_model
from limpid.models.spatial_transformer import warp
from limpid.objectives import build_objective
from limpid.spec import DataSpec

SIDE = 32
GREY = DataSpec(
    name="shapes", kind="image", task="classification", input_shape=(1, SIDE, SIDE), num_outputs=4, scale_mean=(0.3,)
)


def shapes(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, 1, 32, 32) of one bright shape each on noise, its box (x0, y0, x1, y1), and each pixel's class.

    0 is the background, 1 a rectangle, 2 an ellipse, 3 a diamond.
    """
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    images = random.uniform(0, 0.35, (count, SIDE, SIDE))
    boxes = np.empty((count, 4))
    classes = np.zeros((count, SIDE, SIDE), dtype=np.int64)
    for n in range(count):
        width, height = random.integers(10, 20, 2)
        left, top = random.integers(0, SIDE - width + 1), random.integers(0, SIDE - height + 1)
        u = np.abs(columns - left - width / 2) / (width / 2)
        v = np.abs(rows - top - height / 2) / (height / 2)
        kind = n % 3 + 1
        inside = {1: np.maximum(u, v), 2: np.hypot(u, v), 3: u + v}[kind] < 1
        images[n][inside] += random.uniform(0.4, 0.65)
        boxes[n] = left, top, left + width, top + height
        classes[n][inside] = kind
    return torch.tensor(images[:, None], dtype=torch.float32), torch.tensor(boxes).float(), torch.tensor(classes)


def overlap(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of boxes (x0, y0, x1, y1)."""
    low, high = torch.maximum(boxes[:, :2], others[:, :2]), torch.minimum(boxes[:, 2:], others[:, 2:])
    inter = (high - low).clamp(min=0).prod(dim=1)
    areas = [(b[:, 2:] - b[:, :2]).clamp(min=0).prod(dim=1) for b in (boxes, others)]
    return inter / (areas[0] + areas[1] - inter)


def learn(name: str, spec: DataSpec, x: Tensor, target: Tensor, *, epochs: int, lr: float = 3e-3) -> nn.Module:
    network = build_model(ModelConfig(name=name), spec, seed=0)
    objective = build_objective(ObjectiveConfig(), spec)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
    steps = epochs * (len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator)[: len(x) // 64 * 64].split(64):
            optimizer.zero_grad()
            objective.loss(network(x[rows]), target[rows]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@pytest.mark.spec("A41", "B37")
def test_the_identity_changes_nothing_and_the_sampler_has_a_gradient() -> None:
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    x = torch.rand(2, 3, 28, 28)
    torch.testing.assert_close(warp(x, theta.expand(2, 2, 3)), x, atol=1e-5, rtol=0)
    odd = torch.rand(2, 1, 33, 17)  # positions are exact in binary: so are the values
    assert torch.equal(warp(odd, theta.expand(2, 2, 3)), odd)
    mirrored = warp(odd, torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]]).expand(2, 2, 3))
    assert torch.equal(mirrored, odd.flip(3))
    small = torch.rand(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    tilted = torch.tensor([[[0.91, 0.13, 0.07], [-0.11, 0.83, 0.05]]], dtype=torch.float64, requires_grad=True)

    def sample(x: Tensor, theta: Tensor) -> Tensor:  # `warp` itself computes positions in float32
        return F.grid_sample(x, F.affine_grid(theta, [1, 1, 4, 5], align_corners=True), align_corners=True)

    assert torch.autograd.gradcheck(sample, (small, tilted))
    torch.testing.assert_close(warp(small, tilted), sample(small, tilted), atol=1e-5, rtol=0)


@pytest.mark.spec("A41")
def test_the_transformer_starts_as_the_identity_and_learns_to_move() -> None:
    network = build_model(ModelConfig(name="stn-lenet"), GREY, seed=0)
    transformer, classifier = network.body
    x = torch.rand(3, 1, SIDE, SIDE)
    torch.testing.assert_close(transformer(x), x, atol=1e-5, rtol=0)
    torch.testing.assert_close(network.eval()(x), classifier(network.scale(x)), atol=1e-4, rtol=1e-4)
    F.cross_entropy(network(x), torch.tensor([0, 1, 2])).backward()
    assert transformer.theta.weight.grad.abs().sum() > 0
    with torch.no_grad():
        transformer.theta.bias.copy_(torch.tensor([1.0, 0, 2 / (SIDE - 1), 0, 1, 0]))  # one pixel to the right
    torch.testing.assert_close(transformer(x)[..., :-1], x[..., 1:], atol=1e-5, rtol=0)


def test_unet_needs_a_target_for_every_pixel() -> None:
    spec = GREY.model_copy(update={"task": "tokens", "output_shape": (100,)})
    with pytest.raises(ModelError, match="32 x 32 pixels, 1024 in a row; the targets of shapes have shape"):
        build_model(ModelConfig(name="unet"), spec, seed=0)
    with pytest.raises(ModelError, match="unet is for tokens"):
        build_model(ModelConfig(name="unet"), GREY, seed=0)


def test_unet_takes_odd_sides() -> None:
    spec = GREY.model_copy(update={"task": "tokens", "input_shape": (1, 9, 14), "output_shape": (126,)})
    network = build_model(ModelConfig(name="unet"), spec, seed=0)
    assert network(torch.rand(2, 1, 9, 14)).shape == (2, 126, 4)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.spec("A42")
def test_boxes_are_found() -> None:
    x, boxes, _ = shapes(3000, seed=1)
    mean, std = boxes.mean(dim=0), boxes.std(dim=0)
    spec = GREY.model_copy(
        update={"task": "regression", "target_mean": tuple(mean.tolist()), "target_std": tuple(std.tolist())}
    )
    network = learn("localizer", spec, x, boxes, epochs=12)
    unseen, wanted, _ = shapes(300, seed=2)
    with torch.no_grad():
        found = network(unseen) * std + mean
    assert overlap(found, wanted).mean() >= 0.7
    assert overlap(mean.expand(300, 4), wanted).mean() < 0.5  # without looking


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.spec("A42")
def test_pixels_are_told_apart() -> None:
    x, _, classes = shapes(900, seed=1)
    spec = GREY.model_copy(update={"task": "tokens", "output_shape": (SIDE * SIDE,)})
    network = learn("unet", spec, x, classes.flatten(1), epochs=8)
    unseen, _, wanted = shapes(150, seed=2)
    with torch.no_grad():
        found = network(unseen).argmax(dim=2)
    right = (found == wanted.flatten(1)).float().mean()
    assert right >= 0.95
    assert right > (wanted == 0).float().mean() + 0.1  # the background alone


def turned(x: Tensor, seed: int) -> Tensor:
    """Each image turned by up to 60 degrees and shifted by up to 5 pixels."""
    generator = torch.Generator().manual_seed(seed)
    angle = (torch.rand(len(x), generator=generator) * 2 - 1) * math.pi / 3
    shift = (torch.rand(len(x), 2, generator=generator) * 2 - 1) * 5 / 14
    cosine, sine = angle.cos(), angle.sin()
    theta = torch.stack((cosine, -sine, shift[:, 0], sine, cosine, shift[:, 1]), dim=1).view(-1, 2, 3)
    return warp(x, theta)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.spec("A41")
def test_turned_digits_are_read_better_behind_a_transformer() -> None:
    folder = os.environ.get("LIMPID_DATA")
    if not folder:
        pytest.skip("set LIMPID_DATA to a folder that holds mnist")
    import limpid

    dataset = limpid.load_data("mnist", data_dir=folder)
    spec = dataset.spec
    known, held_out = torch.arange(12_000), torch.arange(len(dataset.valid))
    x = turned(dataset.train.rows.take(known)[0].float() / 255, seed=1)
    y = dataset.train.target[known]
    unseen = turned(dataset.valid.rows.take(held_out)[0].float() / 255, seed=2)
    accuracy = {}
    for name in ("lenet-lego", "stn-lenet"):
        network = learn(name, spec, x, y, epochs=6, lr=1e-3)
        with torch.no_grad():
            right = torch.cat([network(part).argmax(dim=1) for part in unseen.split(500)]) == dataset.valid.target
        accuracy[name] = right.float().mean().item()
    noise = math.sqrt(2 * 0.05 * 0.95 / len(unseen))  # one standard error of the difference at 95 %
    assert accuracy["stn-lenet"] > accuracy["lenet-lego"] + 2 * noise, accuracy
