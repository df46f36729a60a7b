"""The layers of convolutional networks against worked examples, formulas and second implementations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models import build_model, layer_table, totals
from limpid.models.pattern import assemble
from limpid.models.pattern_layers import LRN_ALPHA, LRN_BETA, LRN_K, LRN_SIZE, side_behind
from limpid.models.squeeze_excitation import SqueezeExcitation
from limpid.spec import DataSpec

Array = NDArray[np.float64]


def rows(text: str) -> Tensor:
    """Digits in rows parted by / as a map of shape (1, 1, H, W)."""
    return torch.tensor([[float(digit) for digit in row] for row in text.split("/")])[None, None]


def layers(text: str, shape: tuple[int, ...]) -> nn.Sequential:
    return assemble(text, shape, num_outputs=None)[0].eval()


def only_filter(
    text: str, shape: tuple[int, ...], kernel: Sequence[Sequence[float]] | Sequence[float]
) -> nn.Sequential:
    """The layers of the pattern, whose one convolution has this kernel and no bias."""
    body = layers(text, shape)
    with torch.no_grad():
        body[0].weight.copy_(torch.tensor(kernel).reshape(body[0].weight.shape))
    return body


def convolve(x_CHW: Array, w_OCKK: Array, b_O: Array, stride: int, padding: int) -> Array:
    """Convolution by loops: the kernel slides, is not flipped, and products are summed."""
    x = np.pad(x_CHW, ((0, 0), (padding, padding), (padding, padding)))
    k = w_OCKK.shape[2]
    height, width = (x.shape[1] - k) // stride + 1, (x.shape[2] - k) // stride + 1
    y = np.empty((len(w_OCKK), height, width))
    for o, kernel in enumerate(w_OCKK):
        for i in range(height):
            for j in range(width):
                window = x[:, i * stride : i * stride + k, j * stride : j * stride + k]
                y[o, i, j] = (window * kernel).sum() + b_O[o]
    return y


@pytest.mark.spec("B12")
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (5, 1, 0), (3, 2, 0), (1, 1, 0), (4, 3, 2)])
def test_convolution_equals_its_loops(kernel: int, stride: int, padding: int) -> None:
    body = layers(f"conv4@{kernel}/s{stride}/p{padding}", (3, 9, 11))
    nn.init.normal_(body[0].bias)
    x = torch.randn(3, 9, 11)
    expected = convolve(
        x.double().numpy(),
        body[0].weight.detach().double().numpy(),
        body[0].bias.detach().double().numpy(),
        stride,
        padding,
    )
    np.testing.assert_allclose(body(x[None])[0].detach().numpy(), expected, atol=1e-5)
    assert tuple(expected.shape[1:]) == tuple(side_behind(side, kernel, stride, padding) for side in (9, 11))
    assert body[0].weight[0].numel() == kernel * kernel * 3  # per filter


@pytest.mark.spec("B12", "X21", "K58", "K66")
def test_five_filters_on_an_image_of_128_pixels() -> None:
    for channels, weights in ((1, 45), (3, 135)):
        body, shape = assemble("conv5/p0", (channels, 128, 128), num_outputs=None)
        assert shape == (5, 126, 126)  # H - K + 1, not H - (K - 1) / 2
        assert body[0].weight.numel() == weights
        assert body[0].bias.numel() == 5
        assert tuple(body(torch.zeros(1, channels, 128, 128)).shape[1:]) == shape
    assert 5 * 126 * 126 == 79_380


@pytest.mark.spec("B13")
def test_cross_filter_on_a_slanted_stroke() -> None:
    image = rows("11100/01110/00111/00110/01100")
    body = only_filter("conv1/p0", (1, 5, 5), [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    assert body(image)[0, 0].tolist() == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]


@pytest.mark.spec("B14")
def test_upright_edges_and_that_the_kernel_is_not_flipped() -> None:
    image = rows("00110/01010/00110/01000/01110")
    kernel = [[-1.0, 0.0, 1.0]] * 3
    expected = [[2, 2, -2], [1, 0, -1], [2, 0, -2]]
    assert only_filter("conv1/p0", (1, 5, 5), kernel)(image)[0, 0].tolist() == expected
    flipped = [row[::-1] for row in kernel][::-1]
    assert only_filter("conv1/p0", (1, 5, 5), flipped)(image)[0, 0].neg().tolist() == expected


@pytest.mark.spec("B15")
def test_one_dimension() -> None:
    signal = torch.tensor([1.0, 4, -1, 0, 2, -2, 1, 3, 3, 1])[None, None]
    body = only_filter("conv1@4/p0", (1, 10), [1.0, 2.0, 0.0, -1.0])
    assert isinstance(body[0], nn.Conv1d)
    assert body(signal).flatten().tolist() == [9, 0, 1, 3, -5, -3, 6]


@pytest.mark.spec("B16", "K62", "K44")
def test_patches_of_four_by_four_with_stride_two() -> None:
    body, shape = assemble("conv8@4/s2/p0", (1, 28, 28), num_outputs=None)
    assert body[0].weight[0].numel() == 16
    assert shape == (8, (28 - 4) // 2 + 1, 13)
    assert tuple(body(torch.zeros(1, 1, 28, 28)).shape[1:]) == shape
    for channels, weights in ((1, 65_536), (3, 196_608)):  # a bank of 256 filters of 16 x 16
        assert layers("conv256@16/nobias", (channels, 32, 32))[0].weight.numel() == weights


@pytest.mark.spec("B17")
def test_image_processing_kernels_on_a_constant_image() -> None:
    kernels = {
        "sharpen": ([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]], 1.0),
        "edges": ([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], 0.0),
        "strong edges": ([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]], 0.0),
    }
    constant = torch.full((1, 1, 7, 7), 3.0)
    for kernel, factor in kernels.values():
        assert sum(map(sum, kernel)) == factor
        inside = only_filter("conv1", (1, 7, 7), kernel)(constant)[..., 1:-1, 1:-1]
        assert torch.equal(inside, factor * constant[..., 1:-1, 1:-1])


@pytest.mark.spec("B18")
def test_stride_shrinks_the_map() -> None:
    sides = [assemble(f"conv1/s{stride}/p0", (1, 128, 128), num_outputs=None)[1][1] for stride in (1, 2, 3)]
    assert sides == [126, 63, 42]


@pytest.mark.spec("B19")
def test_zero_padding_and_valid_is_same() -> None:
    x = torch.randn(2, 3, 8, 8)
    same = layers("conv4", (3, 8, 8))
    valid = layers("conv4/p0", (3, 10, 10))
    valid.load_state_dict(same.state_dict())
    assert same(x).shape[2:] == x.shape[2:]
    assert torch.equal(same(x), valid(nn.ZeroPad2d(1)(x)))


POOLED = [[2, 4, 5, 7, 3, -2], [-2, 0, 0, 4, 9, 9], [1, 0, -1, 2, 1, 1]]
POOLED += [[1, 1, 6, 3, 7, 2], [3, 4, 0, -2, 3, 0], [3, 0, 5, 1, 0, 0]]


@pytest.mark.spec("B20")
def test_max_pooling() -> None:
    x = torch.tensor(POOLED, dtype=torch.float32)[None, None]
    assert layers("pool", (1, 6, 6))(x)[0, 0].tolist() == [[4, 7, 9], [1, 6, 7], [4, 5, 3]]


@pytest.mark.spec("B21", "K72")
def test_average_pooling() -> None:
    x = torch.tensor(POOLED, dtype=torch.float32)[None, None]
    assert layers("avgpool", (1, 6, 6))(x)[0, 0].tolist() == [[1, 4, 4.75], [0.75, 2.5, 2.75], [2.5, 1, 0.75]]


@pytest.mark.parametrize("word", ["maxpool", "avgpool"])
@pytest.mark.parametrize(
    "options", ["3/s2", "3/s2/ceil", "3/s2/p1", "2", "3/s1/p1", "5/s3", "2/s3/ceil", "4/s3/p2/ceil"]
)
@pytest.mark.parametrize("side", [6, 7, 13, 14])
def test_sides_of_pools_are_torchs(word: str, options: str, side: int) -> None:
    body, shape = assemble(word + options, (2, side, side + 1), num_outputs=None)
    assert tuple(body(torch.zeros(1, 2, side, side + 1)).shape[1:]) == shape


@pytest.mark.spec("B22")
def test_global_average_is_the_mean_of_each_map_of_any_size() -> None:
    body = layers("gap", (5, 4, 6))
    for shape in ((5, 4, 6), (5, 1, 1), (5, 9, 3)):
        x = torch.randn(2, *shape)
        torch.testing.assert_close(body(x), x.mean(dim=(2, 3)))


@pytest.mark.spec("B23")
def test_one_by_one_convolution_is_a_dense_layer_at_every_pixel() -> None:
    body = layers("conv7@1", (3, 5, 4)).double()
    dense = nn.Linear(3, 7).double()
    dense.load_state_dict({"weight": body[0].weight.flatten(1), "bias": body[0].bias})
    x = torch.randint(-8, 9, (2, 3, 5, 4)).double()  # whole numbers of few bits, whose sums are exact in any order
    with torch.no_grad():
        for parameter in (*body.parameters(), *dense.parameters()):
            parameter.copy_(torch.randint(-8, 9, parameter.shape, generator=torch.Generator().manual_seed(0)))
        dense.weight.copy_(body[0].weight.flatten(1))
    assert torch.equal(body(x), dense(x.movedim(1, -1)).movedim(-1, 1))


@pytest.mark.spec("B26")
def test_convolution_is_a_dense_matrix_of_repeated_entries() -> None:
    body = layers("conv2/p0", (1, 5, 5)).double()
    basis = torch.eye(25, dtype=torch.float64).view(25, 1, 5, 5)
    with torch.no_grad():
        matrix_FP = (body(basis) - body[0].bias[:, None, None]).flatten(1).T  # (2 * 3 * 3, 25)
        x = torch.randn(4, 1, 5, 5, dtype=torch.float64)
        expected = F.linear(x.flatten(1), matrix_FP, body[0].bias.repeat_interleave(9))
        torch.testing.assert_close(body(x).flatten(1), expected)
    for o in range(2):
        block = matrix_FP[9 * o : 9 * o + 9]
        assert (block != 0).sum() == 9 * 9
        values = block[block != 0].round(decimals=12).unique()
        assert len(values) == 9  # 81 connections share nine weights; a dense layer would have 225
        assert torch.equal(block[0, :13].nonzero(), block[1, 1:14].nonzero())  # the next row is the same, shifted


def test_convolution_moves_with_its_input() -> None:
    """Equivariance; invariance comes from pooling."""
    body = layers("conv2/p0", (1, 8, 8))
    x = torch.randn(1, 1, 8, 8)
    shifted = torch.roll(x, (1, 2), dims=(2, 3))
    torch.testing.assert_close(body(shifted)[..., 1:, 2:], body(x)[..., :-1, :-2])


@pytest.mark.spec("B27")
@pytest.mark.parametrize(("shape", "length"), [((50, 4, 4), 800), ((64, 12, 12), 9216)])
def test_flatten(shape: tuple[int, int, int], length: int) -> None:
    body, behind = assemble("flatten", shape, num_outputs=None)
    assert behind == (length,)
    x = torch.randn(2, *shape)
    assert torch.equal(body(x), x.reshape(2, -1))


@pytest.mark.spec("B28")
def test_batch_normalisation_exactly() -> None:
    norm = layers("bn", (1,))[0].double().train()
    with torch.no_grad():
        norm.weight.fill_(2.0)
        norm.bias.fill_(1.0)
    x = torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=torch.float64)
    y = norm(x).flatten()
    expected = [-1.6832708398, 0.1055763867, 1.8944236133, 3.6832708398]
    torch.testing.assert_close(y, torch.tensor(expected, dtype=torch.float64), atol=2e-10, rtol=0)
    assert y.mean().item() == pytest.approx(1.0)
    assert y.std(correction=0).item() == pytest.approx(2.0, rel=1e-5)
    # one update of the running estimates: a tenth of the batch's mean and of its unbiased variance
    assert norm.running_mean.item() == pytest.approx(0.25)
    assert norm.running_var.item() == pytest.approx(0.9 + 0.1 * 5 / 3)
    by_hand = 2 * (x - 0.25) / torch.sqrt(norm.running_var + 1e-5) + 1
    torch.testing.assert_close(norm.eval()(x), by_hand)


@pytest.mark.spec("B28")
def test_batch_normalisation_per_channel_has_the_right_gradient() -> None:
    norm = layers("bn", (3, 2, 2))[0].double().train()
    x = torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    mean, variance = x.mean(dim=(0, 2, 3), keepdim=True), x.var(dim=(0, 2, 3), keepdim=True, correction=0)
    torch.testing.assert_close(norm(x), (x - mean) / torch.sqrt(variance + 1e-5))
    weights = (norm.weight, norm.bias)
    assert torch.autograd.gradcheck(
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), (x, *weights), fast_mode=True
    )


@pytest.mark.spec("X8")
def test_gain_and_shift_of_batch_norm_are_learned_and_epsilon_is_there() -> None:
    """Not hyper-parameters: both move with the gradient. Without epsilon a unit that never changes would be NaN."""
    norm = layers("bn", (2,))[0].train()
    assert {name for name, p in norm.named_parameters() if p.requires_grad} == {"weight", "bias"}
    x = torch.cat((torch.randn(8, 1), torch.full((8, 1), 3.0)), dim=1)
    y = norm(x)
    assert norm.eps == 1e-5
    assert torch.isfinite(y).all()
    assert y[:, 1].abs().max() < 1e-3
    before = [p.detach().clone() for p in norm.parameters()]
    y.square().sum().backward()
    torch.optim.SGD(norm.parameters(), 0.1).step()
    assert not torch.equal(norm.weight[0], before[0][0])
    frozen = norm.eval()(x)  # running statistics alone, never mixed with those of the batch
    torch.testing.assert_close(norm(x[:1]), frozen[:1])


@pytest.mark.spec("B29", "X9")
def test_batch_norm_stands_where_it_is_written() -> None:
    before = layers("fc8-bn-relu", (4,))
    after = layers("fc8-relu-bn", (4,))
    free = layers("bn-fc8", (4,))
    assert [type(m) for m in before] == [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert [type(m) for m in after] == [nn.Linear, nn.ReLU, nn.BatchNorm1d]
    assert [type(m) for m in free] == [nn.BatchNorm1d, nn.Linear]
    last = layers("conv8-bn-relu", (3, 4, 4))
    assert [type(m) for m in last] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]


@pytest.mark.spec("B30")
def test_normalisation_over_neighbouring_maps() -> None:
    body = layers("lrn", (9, 2, 3))
    x = torch.randn(2, 9, 2, 3, dtype=torch.float64) * 30
    expected = torch.empty_like(x)
    for c in range(9):
        window = x[:, max(0, c - 2) : c + 3]  # of five maps; alpha is the paper's 1e-4
        expected[:, c] = x[:, c] / (2 + 1e-4 * window.square().sum(dim=1)) ** 0.75
    torch.testing.assert_close(body(x), expected)
    torch.testing.assert_close(body(x), nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)(x), atol=1e-6, rtol=0)
    assert (LRN_SIZE, LRN_ALPHA / LRN_SIZE, LRN_BETA, LRN_K) == (5, 1e-4, 0.75, 2.0)
    assert not torch.allclose(body(x), x / 2**0.75)


@pytest.mark.spec("B34")
def test_adding_and_laying_side_by_side() -> None:
    x = torch.randn(2, 4, 6, 6)
    residual = layers("res[conv4]", (4, 6, 6))
    torch.testing.assert_close(residual(x), residual[0].branch(x) + x)
    concat, shape = assemble("cat[conv3 | conv5@1 | maxpool3/s1/p1]", (4, 6, 6), num_outputs=None)
    assert shape == (12, 6, 6)
    parts = [branch(x) for branch in concat[0].branches]
    assert torch.equal(concat(x), torch.cat(parts, dim=1))
    assert torch.equal(parts[2], F.max_pool2d(x, 3, 1, 1))


@pytest.mark.spec("B35")
@pytest.mark.parametrize(("channels", "ratio"), [(64, 16), (32, 4)])
def test_squeeze_and_excitation(channels: int, ratio: int) -> None:
    gate = SqueezeExcitation(channels, ratio).double()
    parameters = sum(p.numel() for p in gate.parameters())
    assert parameters == 2 * channels**2 // ratio + channels // ratio + channels
    x = torch.randn(3, channels, 5, 4, dtype=torch.float64)
    s = x.mean(dim=(2, 3))
    weights = torch.sigmoid(
        torch.relu(s @ gate.squeeze.weight.T + gate.squeeze.bias) @ gate.excite.weight.T + gate.excite.bias
    )
    torch.testing.assert_close(gate(x), x * weights[:, :, None, None])
    nn.init.zeros_(gate.excite.weight)
    nn.init.constant_(gate.excite.bias, 40.0)  # the gate is 1 to the last bit
    assert torch.equal(gate(x), x)
    small = SqueezeExcitation(4, 2).double()
    assert torch.autograd.gradcheck(small, (torch.randn(2, 4, 3, 3, dtype=torch.float64, requires_grad=True),))


@pytest.mark.spec("A14", "X30")
def test_batch_norm_and_dropout_network() -> None:
    spec = DataSpec(name="v", kind="vector", task="classification", input_shape=(16,), num_outputs=2)
    pattern = "[fc64-bn-tanh-dropout0.5]*2 fc-bn"  # the softmax is the loss's
    network = build_model(ModelConfig(name=pattern, init="uniform(-0.05, 0.05)"), spec, seed=0)
    assert totals(layer_table(network, spec))[0] == 5_638
    block = [nn.Linear, nn.BatchNorm1d, nn.Tanh, nn.Dropout]
    assert [type(m) for m in network.body] == [*block, *block, nn.Linear, nn.BatchNorm1d]
    assert network.body[0].weight.abs().max() <= 0.05
    assert network.body[3].p == 0.5


@pytest.mark.spec("A13")
def test_every_layer_is_a_function() -> None:
    spec = DataSpec(name="v", kind="vector", task="regression", input_shape=(5,), num_outputs=3)
    network = build_model(ModelConfig(name="[fc8-relu]*3 fc"), spec, seed=0)
    dense = [m for m in network.body if isinstance(m, nn.Linear)]
    assert len(dense) == 4
    x = torch.randn(7, 5)
    y = x
    for layer in dense[:-1]:
        y = torch.clamp(F.linear(y, layer.weight, layer.bias), min=0)
    assert torch.equal(network(x), F.linear(y, dense[-1].weight, dense[-1].bias))
