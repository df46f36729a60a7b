import math

import numpy as np
import pytest
import torch

from limpid.config import AugmentConfig
from limpid.data.augment import ANGLE, AREA, FLIP, HOLE, JITTER, PLACE, RATIO, SHARE, SHIFT, build_augment
from limpid.data.mixing import BetaQuantile, cutmix, mix_targets, mixup
from limpid.data.pixel_ops import box, cutout, jitter, shift_and_flip, warp
from limpid.data.shuffle import derive_seed, uniforms
from limpid.errors import ConfigError
from limpid.spec import DataSpec

ALL = {
    "flip": True, "crop": 2, "scale": 0.5, "rotation": 20.0, "translate": 0.2, "shear": 15.0, "stretch": 0.2,
    "jitter": 0.4, "blur": 1.0, "noise": 0.05, "cutout": 3, "mixup": 0.4, "cutmix": 1.0,
}  # fmt: skip
PIXEL = [name for name in ALL if name not in ("mixup", "cutmix")]


def spec_of(channels=3, size=(8, 10), classes=4):
    return DataSpec(
        name="images",
        kind="image",
        task="classification",
        input_shape=(channels, *size),
        num_outputs=classes,
        scale_mean=(0.5, 0.25, 0.1)[:channels],
        scale_std=(0.2,) * channels,
    )


def images(num=16, channels=3, size=(8, 10), channels_last=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (num, channels, *size), dtype=torch.uint8, generator=generator)
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


def run(config, x, *, index=None, epoch=0, seed=0, target=None):
    augment = build_augment(AugmentConfig(**config), spec_of(x.shape[1], tuple(x.shape[2:])), seed)
    index = torch.arange(len(x)) if index is None else index
    target = torch.arange(len(x)) % 4 if target is None else target
    (out,), target = augment((x,), target, index, epoch)
    return out, target


# ---- naive twins: one image, one pixel at a time ----


def naive_shift_and_flip(image, flip, dy, dx):
    channels, height, width = image.shape
    picture = image[:, :, ::-1] if flip else image
    out = np.zeros_like(image)
    for h in range(height):
        for w in range(width):
            i, j = h + dy, w + dx
            if channels > 1:
                i = -i if i < 0 else 2 * (height - 1) - i if i >= height else i
                j = -j if j < 0 else 2 * (width - 1) - j if j >= width else j
            if 0 <= i < height and 0 <= j < width:
                out[:, h, w] = picture[:, i, j]
    return out


def naive_warp(image, area, ratio, place, angle):
    channels, height, width = image.shape
    wide, tall = min(1, math.sqrt(area * ratio)) * width, min(1, math.sqrt(area / ratio)) * height
    left, top = (width - wide) * place[1], (height - tall) * place[0]
    out = np.zeros(image.shape)
    for h in range(height):
        for w in range(width):
            # Pixel centres relative to the middle, turned, scaled into the part, back to pixel numbers.
            x, y = w + 0.5 - width / 2, h + 0.5 - height / 2
            turned_x = math.cos(angle) * x - math.sin(angle) * y
            turned_y = math.sin(angle) * x + math.cos(angle) * y
            at_x = left + wide / 2 + turned_x * wide / width - 0.5
            at_y = top + tall / 2 + turned_y * tall / height - 0.5
            if channels > 1:
                at_x, at_y = fold(at_x, width), fold(at_y, height)
            out[:, h, w] = bilinear(image, at_y, at_x)
    return out


def fold(at, length):
    """Mirror at the outer edges of the pixels, -0.5 and length - 0.5."""
    at = (at + 0.5) % (2 * length)
    at = 2 * length - at if at > length else at
    return min(max(at - 0.5, 0), length - 1)


def bilinear(image, y, x):
    total = 0.0
    for i, j in ((math.floor(y) + a, math.floor(x) + b) for a in (0, 1) for b in (0, 1)):
        if 0 <= i < image.shape[1] and 0 <= j < image.shape[2]:
            total = total + image[:, i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return total


def naive_jitter(image, b, c, s):
    y = image.astype(float) * b
    weights = np.array([0.299, 0.587, 0.114]).reshape(3, 1, 1) if len(image) == 3 else np.ones((1, 1, 1))
    mean = (weights * y).sum(0).mean()
    y = mean + c * (y - mean)
    if len(image) == 3:
        luma = (weights * y).sum(0)
        y = luma + s * (y - luma)
    return np.clip(np.round(y), 0, 255)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("border", [0, 3])
@pytest.mark.parametrize("flips", [False, True])
def test_shift_and_flip_equals_its_twin(channels, channels_last, border, flips):
    x = images(channels=channels, channels_last=channels_last)
    generator = torch.Generator().manual_seed(1)
    flip = torch.rand(16, generator=generator) < 0.5 if flips else None
    dy, dx = torch.randint(-border, border + 1, (2, 16), generator=generator)
    out = shift_and_flip(x, flip, dy, dx, border)
    for i in range(16):
        expected = naive_shift_and_flip(x[i].numpy(), bool(flips and flip[i]), int(dy[i]), int(dx[i]))
        assert np.array_equal(out[i].numpy(), expected)
    assert out.dtype == torch.uint8
    assert out.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


@pytest.mark.parametrize("channels", [1, 3])
def test_warp_equals_its_twin(channels):
    x = images(6, channels)
    generator = torch.Generator().manual_seed(2)
    area = 0.3 + 0.7 * torch.rand(6, generator=generator)
    ratio = 0.75 + 0.5 * torch.rand(6, generator=generator)
    place = torch.rand(6, 2, generator=generator)
    angle = torch.rand(6, generator=generator) - 0.5
    out = warp(x, area, ratio, place, angle)
    for i in range(6):
        expected = naive_warp(
            x[i].numpy().astype(float), float(area[i]), float(ratio[i]), place[i].tolist(), float(angle[i])
        )
        assert np.abs(out[i].numpy() - expected).max() < 0.51  # half a unit of rounding


def test_warp_of_nothing_changes_nothing():
    x = images(4)
    one = torch.ones(4)
    assert torch.equal(warp(x, one, one, torch.rand(4, 2), 0 * one), x)


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_equals_its_twin(channels):
    x = images(5, channels)
    b, c, s = 1 + 0.4 * (2 * torch.rand(3, 5, generator=torch.Generator().manual_seed(3)) - 1)
    out = jitter(x, b, c, s)
    for i in range(5):
        expected = naive_jitter(x[i].numpy(), float(b[i]), float(c[i]), float(s[i]))
        assert np.abs(out[i].numpy().astype(float) - expected).max() <= 1  # ties of rounding
    same = torch.ones(5)
    assert torch.equal(jitter(x, same, same, same), x)


def test_cutout_equals_its_twin():
    x = images(8)
    place = torch.rand(8, 2, generator=torch.Generator().manual_seed(4))
    out = cutout(x, place, 3, torch.tensor([9.0, 8.0, 7.0]))
    for i in range(8):
        expected = x[i].clone()
        y, w = int(place[i, 0] * 8), int(place[i, 1] * 10)
        expected[:, max(0, y - 1) : y + 2, max(0, w - 1) : w + 2] = torch.tensor([9, 8, 7], dtype=torch.uint8).view(
            3, 1, 1
        )
        assert torch.equal(out[i], expected)


def test_mixup_equals_its_twin():
    x, target = images(7), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    share = torch.rand(7, generator=torch.Generator().manual_seed(5))
    out, weight = mixup(x, share)
    soft = mix_targets(target, weight, 4)
    for i in range(7):
        j, s = 6 - i, float(share[i])
        expected = np.round(s * x[i].numpy() + (1 - s) * x[j].numpy())
        assert np.abs(out[i].numpy() - expected).max() <= 1
        row = np.zeros(4)
        row[target[i]] += s
        row[target[j]] += 1 - s
        assert soft[i].numpy() == pytest.approx(row, abs=1e-6)
    assert soft.dtype == torch.float32


def test_cutmix_weighs_targets_by_the_area_that_is_left():
    x = images(6)
    share = torch.tensor([0.0, 0.3, 0.6, 0.9, 1.0, 0.5])
    place = torch.rand(6, 2, generator=torch.Generator().manual_seed(6))
    out, weight = cutmix(x, share, place)
    inside = box(x, place, ((1 - share).sqrt()[:, None] * torch.tensor([8, 10])).round())
    for i in range(6):
        expected = torch.where(inside[i], x[5 - i], x[i])
        assert torch.equal(out[i], expected)
        assert weight[i] == pytest.approx(1 - inside[i].float().mean().item())
    assert torch.equal(out[4], x[4])
    assert weight[4] == 1


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
def test_shares_follow_the_beta_distribution(alpha):
    u = (torch.arange(20_000) + 0.5) / 20_000
    x = BetaQuantile(alpha)(u).double()
    assert (x.diff() >= 0).all()
    assert x.mean().item() == pytest.approx(0.5, abs=1e-3)
    assert x.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=5e-3)
    assert ((x >= 0) & (x <= 1)).all()
    if alpha == 1.0:
        assert torch.allclose(x, u.double(), atol=1e-4)


@pytest.mark.spec("F5")
@pytest.mark.parametrize("name", PIXEL)
def test_pixel_changes_keep_the_label_and_are_seeded(name):
    x, target = images(), torch.arange(16) % 4
    config = {name: ALL[name]}
    out, kept = run(config, x, target=target)
    assert torch.equal(kept, target)
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert not torch.equal(out, x)
    assert torch.equal(out, run(config, x)[0])
    assert not torch.equal(out, run(config, x, epoch=1)[0])
    assert not torch.equal(out, run(config, x, seed=1)[0])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_changes_alike_in_any_batch(channels, channels_last):
    x = images(40, channels, channels_last=channels_last)
    config = {name: ALL[name] for name in PIXEL}
    together, _ = run(config, x)
    some = torch.tensor([17, 3, 39])
    picked = x[some].contiguous(memory_format=torch.channels_last) if channels_last else x[some]
    few, _ = run(config, picked, index=some)
    assert torch.equal(few, together[some])
    alone, _ = run(config, x[17:18], index=torch.tensor([17]))
    assert torch.equal(alone, together[17:18])


def test_memory_layout_does_not_matter():
    config = {name: ALL[name] for name in PIXEL}
    plain, _ = run(config, images())
    inner, _ = run(config, images(channels_last=True))
    assert torch.equal(plain, inner)
    assert inner.is_contiguous(memory_format=torch.channels_last)


def test_the_builder_uses_the_random_numbers_as_documented():
    x = images()
    u = uniforms(derive_seed(0, "augment"), 0, torch.arange(16), 17)
    out, _ = run({"flip": True, "crop": 2}, x)
    step = (u[:, SHIFT : SHIFT + 2] * 5).long() - 2
    assert torch.equal(out, shift_and_flip(x, u[:, FLIP] < 0.5, step[:, 0], step[:, 1], 2))
    out, _ = run({"scale": 0.4, "rotation": 30.0}, x)
    ratio = 0.75 * (16 / 9) ** u[:, RATIO]
    angle = (2 * u[:, ANGLE] - 1) * math.pi / 6
    expected = warp(x, 0.4 + 0.6 * u[:, AREA], ratio, u[:, PLACE : PLACE + 2], angle)
    assert (out.int() - expected.int()).abs().max() <= 1
    out, _ = run({"jitter": 0.5}, x)
    b, c, s = (0.5 + u[:, JITTER : JITTER + 3]).T
    assert (out.int() - jitter(x, b, c, s).int()).abs().max() <= 1
    out, _ = run({"cutout": 4}, x)
    assert torch.equal(out, cutout(x, u[:, HOLE : HOLE + 2], 4, torch.tensor([128.0, 64.0, 26.0])))


def test_rotation_of_a_quarter_turn_is_exact():
    x = images(2, 3, (6, 6))
    quarter = torch.full((2,), math.pi / 2)
    one = torch.ones(2)
    assert torch.equal(warp(x, one, one, torch.zeros(2, 2), quarter), torch.rot90(x, 1, (2, 3)))


@pytest.mark.parametrize("config", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixed_targets_are_distributions(config):
    x = images()
    out, target = run(config, x)
    assert target.shape == (16, 4)
    assert target.dtype == torch.float32
    assert torch.allclose(target.sum(1), torch.ones(16))
    assert out.dtype == torch.uint8
    assert torch.equal(out, run(config, x)[0])


def test_one_sample_is_its_own_partner():
    x = images(1)
    out, target = run({"mixup": 0.4}, x, target=torch.tensor([2]))
    assert torch.equal(out, x)
    assert target.tolist() == [[0, 0, 1, 0]]


def test_mixup_of_vectors():
    spec = DataSpec(name="v", kind="vector", task="classification", input_shape=(3,), num_outputs=2)
    augment = build_augment(AugmentConfig(mixup=1.0), spec, 0)
    x = torch.randn(4, 3)
    (out,), target = augment((x,), torch.tensor([0, 1, 1, 0]), torch.arange(4), 0)
    share = BetaQuantile(1.0)(uniforms(derive_seed(0, "augment"), 0, torch.arange(4), 17)[:, SHARE])
    for i, partner in enumerate((3, 2, 1, 0)):
        assert torch.allclose(out[i], share[i] * x[i] + (1 - share[i]) * x[partner])
    assert target[1].tolist() == [0, 1]  # both are of class 1


@pytest.mark.parametrize("config", [{}, {"flip": False, "crop": 0, "mixup": 0.0, "rotation": 0.0, "scale": 1.0}])
def test_nothing_on_is_none(config):
    assert build_augment(AugmentConfig(**config), spec_of(), 0) is None


def test_options_that_mean_nothing_are_refused():
    table = DataSpec(name="t", kind="table", task="binary", input_shape=(2,), num_outputs=1, cardinalities=(3,))
    with pytest.raises(ConfigError, match="augment.flip"):
        build_augment(AugmentConfig(flip=True), table, 0)
    with pytest.raises(ConfigError, match="mixup"):
        build_augment(AugmentConfig(mixup=0.2), table, 0)
    with pytest.raises(ConfigError, match="augment.crop = 8"):
        build_augment(AugmentConfig(crop=8), spec_of(), 0)


def test_shares_of_flips_and_shifts():
    u = uniforms(derive_seed(0, "augment"), 0, torch.arange(20_000), 3)
    assert (u[:, FLIP] < 0.5).float().mean().item() == pytest.approx(0.5, abs=0.015)
    counts = torch.bincount((u[:, SHIFT] * 9).long())
    assert len(counts) == 9
    assert (counts / 20_000 - 1 / 9).abs().max() < 0.01
