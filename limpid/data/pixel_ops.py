"""Random changes of a batch of images that leave the label as it is.

Every function takes the random numbers of each image, so that an image comes out the same in whatever batch it is.
dtype and memory layout are kept; uint8 values are rounded and clipped to 0..255.

Shapes: B images, C channels, H x W pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# ITU-R BT.601 luma, in thousandths so that sums stay whole numbers.
LUMA = (299, 587, 114)

# Range of the width-to-height ratio of a scale crop (Szegedy et al. 2015, section 6).
ASPECT = (3 / 4, 4 / 3)


def shift_and_flip(x_BCHW: Tensor, flip_B: Tensor | None, dy_B: Tensor, dx_B: Tensor, border: int) -> Tensor:
    """Mirror left-right where `flip_B`, then move the window by (dy, dx), each from -border to border.

        out[b, c, h, w] = x[b, c, h + dy, w + dx]        outside: zero for grey images, mirrored for others

    Bytes are only moved: images and their mirror images are copied into rows with a border left and right, and every
    row of the result is one contiguous piece of such a row.
    """
    num, channels, height, width = x_BCHW.shape
    inner = _is_channels_last(x_BCHW)
    # As (B, planes, H, W, elements): channels are planes, or the elements of a pixel.
    pixels = x_BCHW.permute(0, 2, 3, 1).unsqueeze(1) if inner else x_BCHW.unsqueeze(-1)
    planes, elements = pixels.shape[1], pixels.shape[4]
    mirrored = border > 0 and channels > 1
    versions = 2 if mirrored or flip_B is not None else 1
    wide = width + 2 * border
    shape = (versions, num, planes, height, wide, elements)
    end, length = math.prod(shape), width * elements
    memory = x_BCHW.new_zeros(end + length)  # the last piece stays zero, for rows outside
    buffer = memory[:end].view(shape)
    buffer[0, :, :, :, border : border + width] = pixels
    if versions == 2:
        buffer[1, :, :, :, border : border + width] = pixels.flip(3)
    if mirrored:
        # What lies left of an image is what lies left of the right edge of its mirror image, and so on.
        for here, there in ((0, 1), (1, 0)) if flip_B is not None else ((0, 1),):
            buffer[here, :, :, :, :border] = buffer[there, :, :, :, width - 1 : width - 1 + border]
            buffer[here, :, :, :, border + width :] = buffer[there, :, :, :, border + 1 : 2 * border + 1]
    device = x_BCHW.device
    image_B = torch.arange(num, device=device)
    if flip_B is not None:
        image_B = image_B + flip_B * num
    row_BH = torch.arange(height, device=device) + dy_B[:, None]
    outside_BH = (row_BH < 0) | (row_BH >= height)
    row_BH = row_BH.abs()
    row_BH = torch.minimum(row_BH, 2 * (height - 1) - row_BH)
    plane_BP = image_B[:, None] * planes + torch.arange(planes, device=device)
    start_BPH = (plane_BP[:, :, None] * height + row_BH[:, None]) * wide + (border + dx_B)[:, None, None]
    start_BPH = start_BPH * elements
    if not mirrored:
        start_BPH = torch.where(outside_BH[:, None], end, start_BPH)
    windows = memory.as_strided((end + 1, length), (1, 1))
    rows = windows.index_select(0, start_BPH.reshape(-1)).view(num, planes, height, width, elements)
    return rows.squeeze(1).permute(0, 3, 1, 2) if inner else rows.squeeze(-1)


def warp(
    x_BCHW: Tensor,
    area_B: Tensor,
    ratio_B: Tensor,
    place_B2: Tensor,
    angle_B: Tensor,
    move_B2: Tensor | None = None,
    slant_B: Tensor | None = None,
    sides_B2: Tensor | None = None,
) -> Tensor:
    """Cut out a part of the image, bend it and scale it to full size, in one bilinear resampling.

    Args:
        area_B: Share of the area to keep, in (0, 1].
        ratio_B: Width over height of the part, relative to the image's.
        place_B2: Where the part lies, 0 (top, left) to 1 (bottom, right).
        angle_B: Rotation, radians, counter-clockwise.
        move_B2: Shift of the result as shares of its height and width, down and to the right.
        slant_B: Columns that each row is sheared by per row of distance from the middle.
        sides_B2: Factors on the height and width of what is seen.
    Outside: zero for grey images, mirrored for others.
    """
    num, channels, height, width = x_BCHW.shape
    wide_B = (area_B * ratio_B).sqrt().clamp(max=1.0)
    tall_B = (area_B / ratio_B).sqrt().clamp(max=1.0)
    middle_x_B = (1.0 - wide_B) * (2.0 * place_B2[:, 1] - 1.0)
    middle_y_B = (1.0 - tall_B) * (2.0 * place_B2[:, 0] - 1.0)
    device = x_BCHW.device
    u_W = ((2.0 * torch.arange(width, device=device) + 1.0) / width - 1.0)[None, None, :]
    v_H = ((2.0 * torch.arange(height, device=device) + 1.0) / height - 1.0)[None, :, None]
    if move_B2 is not None:
        u_W, v_H = u_W - 2.0 * move_B2[:, 1, None, None], v_H - 2.0 * move_B2[:, 0, None, None]
    if sides_B2 is not None:
        u_W, v_H = u_W / sides_B2[:, 1, None, None], v_H / sides_B2[:, 0, None, None]
    if slant_B is not None:
        u_W = u_W + slant_B[:, None, None] * v_H * (height / width)
    cos, sin = angle_B.cos()[:, None, None], angle_B.sin()[:, None, None]
    # Rotation in pixels, not in the -1..1 coordinates, whose units differ when H and W do.
    turned_x = cos * u_W - sin * v_H * (height / width)
    turned_y = sin * u_W * (width / height) + cos * v_H
    grid_x = middle_x_B[:, None, None] + wide_B[:, None, None] * turned_x
    grid_y = middle_y_B[:, None, None] + tall_B[:, None, None] * turned_y
    grid = torch.stack([grid_x, grid_y], dim=3).to(torch.float32)
    outside = "zeros" if channels == 1 else "reflection"
    result = F.grid_sample(x_BCHW.float(), grid, mode="bilinear", padding_mode=outside, align_corners=False)
    return like(result, x_BCHW)


def jitter(x_BCHW: Tensor, brightness_B: Tensor, contrast_B: Tensor, saturation_B: Tensor) -> Tensor:
    """Change brightness, contrast and saturation by factors (1 changes nothing).

        y = b x;    y <- m + c (y - m), m the image's mean luma of y;    y <- l + s (y - l), l the pixel's luma of y

    clipped once, at the end. Grey images have no saturation.
    """
    b, c, s = (factor[:, None, None, None] for factor in (brightness_B, contrast_B, saturation_B))
    channels = x_BCHW.shape[1]
    exact = torch.int64 if x_BCHW.dtype == torch.uint8 else torch.float64
    sum_BC = x_BCHW.sum(dim=(2, 3), dtype=exact)  # whole numbers: the same in any batch
    if channels == 3:
        sum_B = (sum_BC * torch.tensor(LUMA, device=x_BCHW.device)).sum(1).double() / 1000
    else:
        sum_B = sum_BC.sum(1).double() / channels
    mean = (sum_B / x_BCHW[0, 0].numel()).float()[:, None, None, None] * b
    y = mean + c * (b * x_BCHW.float() - mean)
    if channels == 3:
        red, green, blue = y.split(1, dim=1)
        luma = (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue) / 1000
        y = luma + s * (y - luma)
    return like(y, x_BCHW)


def blur(x_BCHW: Tensor, sigma_B: Tensor, most: float) -> Tensor:
    """Convolve every image with its own Gaussian, cut off at three times the largest deviation; edges are repeated.

        g(d) = exp(-d^2 / 2 sigma^2) / sum,    first along the columns, then along the rows

    Args:
        sigma_B: deviation, pixels; 0 leaves the image as it is.
        most: upper limit of sigma_B, which sets the size of the kernels.
    """
    num, channels, height, width = x_BCHW.shape
    radius = math.ceil(3 * most)
    d_K = torch.arange(-radius, radius + 1, device=x_BCHW.device, dtype=torch.float32)
    kernel_BK = torch.exp(-0.5 * (d_K / sigma_B[:, None].clamp(min=1e-3)).square())
    kernel_BK = kernel_BK / kernel_BK.sum(1, keepdim=True)
    kernel_PK = kernel_BK.repeat_interleave(channels, dim=0)
    y = x_BCHW.float().reshape(1, num * channels, height, width)
    down_P1K1, along_P11K = kernel_PK[:, None, :, None], kernel_PK[:, None, None, :]
    y = F.conv2d(F.pad(y, (0, 0, radius, radius), mode="replicate"), down_P1K1, groups=num * channels)
    y = F.conv2d(F.pad(y, (radius, radius, 0, 0), mode="replicate"), along_P11K, groups=num * channels)
    return like(y.view(num, channels, height, width), x_BCHW)


def add_noise(x_BCHW: Tensor, u_BN: Tensor, deviation: float) -> Tensor:
    """Add normal noise made of one uniform number in [0, 1) per value; of 255 times the deviation for bytes."""
    unit = 255.0 if x_BCHW.dtype == torch.uint8 else 1.0
    normal_BN = math.sqrt(2.0) * torch.erfinv((2.0 * u_BN - 1.0).clamp(min=-1.0 + 2.0**-24))
    return like(x_BCHW.float() + unit * deviation * normal_BN.view(x_BCHW.shape), x_BCHW)


def cutout(x_BCHW: Tensor, place_B2: Tensor, side: int, fill: Tensor) -> Tensor:
    """Fill a square around a random pixel; it may reach over the edge (DeVries and Taylor 2017).

    Args:
        place_B2: The pixel, as shares of (H, W), in [0, 1).
        side: Of the square, pixels.
        fill: (C,) value of each channel.
    """
    inside_BHW = box(x_BCHW, place_B2, torch.full_like(place_B2, side))
    return torch.where(inside_BHW.unsqueeze(1), fill.to(x_BCHW.dtype)[None, :, None, None], x_BCHW)


def box(x_BCHW: Tensor, place_B2: Tensor, size_B2: Tensor) -> Tensor:
    """Whether each pixel lies in the rectangle of `size_B2` (rows, columns) around a pixel: bool (B, H, W)."""
    inside = []
    for axis, length in enumerate(x_BCHW.shape[2:]):
        middle_B = (place_B2[:, axis] * length).floor()
        first_B = middle_B - (size_B2[:, axis] / 2).floor()
        at = torch.arange(length, device=x_BCHW.device)[None]
        inside.append((at >= first_B[:, None]) & (at < (first_B + size_B2[:, axis])[:, None]))
    return inside[0][:, :, None] & inside[1][:, None, :]


def log_uniform(u_B: Tensor, low: float, high: float) -> Tensor:
    """low (high / low)^u"""
    return low * torch.exp(u_B * math.log(high / low))


def like(y: Tensor, x: Tensor) -> Tensor:
    """Values `y` with the dtype and memory layout of `x`."""
    if x.dtype == torch.uint8:
        y = y.round_().clamp_(0, 255)
    layout = torch.channels_last if _is_channels_last(x) else torch.contiguous_format
    return y.to(x.dtype).contiguous(memory_format=layout)


def _is_channels_last(x: Tensor) -> bool:
    return x.ndim == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
