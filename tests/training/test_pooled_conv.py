"""The pooled convolution against conv2d, max_pool2d and relu, and the road that puts it into a model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from limpid.training.pooled_conv import PooledConv, pooled_conv
from limpid.training.pooled_road import MIN_BATCH, take_pooled_conv_road

# (N, C, O, H, W), kernel, padding: LeNet-5's two layers, odd sizes, kernels of even and unequal sides, one window only.
SHAPES = [
    ((5, 1, 6, 28, 28), (5, 5), (2, 2)),
    ((4, 6, 16, 14, 14), (5, 5), (0, 0)),
    ((3, 2, 4, 9, 11), (3, 2), (1, 0)),
    ((3, 2, 4, 8, 7), (2, 4), (0, 2)),
    ((2, 1, 1, 2, 2), (1, 1), (0, 0)),
    ((3, 3, 5, 7, 7), (1, 1), (1, 1)),
]
LAYOUTS = {
    "contiguous": lambda x: x.contiguous(),
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "batch last": lambda x: x.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1),
}


def plain(x: Tensor, w: Tensor, b: Tensor | None, padding: tuple[int, int], relu: bool) -> Tensor:
    y = functional.max_pool2d(functional.conv2d(x, w, b, padding=padding), 2)
    return y.relu() if relu else y


def with_gradients(compute, x: Tensor, w: Tensor, b: Tensor, padding: tuple[int, int], relu: bool) -> list[Tensor]:
    leaves = [tensor.detach().requires_grad_() for tensor in (x, w, b)]
    y = compute(*leaves, padding, relu)
    torch.manual_seed(1)
    return [y.detach(), *torch.autograd.grad(y, leaves, torch.randn(y.shape, dtype=y.dtype))]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(("shape", "kernel", "padding"), SHAPES)
@pytest.mark.parametrize("ties", [False, True])
def test_values_and_gradients_are_those_of_conv2d_and_max_pool2d(shape, kernel, padding, relu, layout, ties) -> None:
    torch.manual_seed(0)
    n, c, o, h, w = shape
    # Small integers are summed without rounding, so equal values are equal on both roads: the winner must be the same.
    x = torch.randint(-1, 2, (n, c, h, w)).double() if ties else torch.randn(n, c, h, w, dtype=torch.float64)
    w_OCKK = torch.randint(-1, 2, (o, c, *kernel)).double() if ties else torch.randn(o, c, *kernel).double()
    given = LAYOUTS[layout](x), w_OCKK, torch.randint(-1, 2, (o,)).double(), padding, relu
    expected = with_gradients(plain, *given)
    for found, twin in zip(with_gradients(PooledConv.apply, *given), expected, strict=True):
        torch.testing.assert_close(found, twin, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(pooled_conv(*given), expected[0], rtol=1e-12, atol=1e-12)


def test_of_a_constant_image_the_first_of_each_window_gets_the_gradient() -> None:
    x = torch.ones(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    PooledConv.apply(x, one, None, (0, 0), False).sum().backward()
    first = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    first[:, :, ::2, ::2] = 1
    assert x.grad is not None
    assert torch.equal(x.grad, first)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    w = torch.randn(3, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    b = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w, b: PooledConv.apply(x, w, b, (1, 1), True), (x, w, b))


@pytest.mark.parametrize("wanted", ["x", "w", "b"])
def test_only_wanted_gradients_are_computed(wanted: str) -> None:
    torch.manual_seed(0)
    leaves = {"x": torch.randn(3, 2, 8, 8), "w": torch.randn(4, 2, 3, 3), "b": torch.randn(4)}
    leaves[wanted].requires_grad_()
    (found,) = torch.autograd.grad(PooledConv.apply(*leaves.values(), (0, 0), True).sum(), leaves[wanted])
    (twin,) = torch.autograd.grad(plain(*leaves.values(), (0, 0), True).sum(), leaves[wanted])
    torch.testing.assert_close(found, twin, rtol=1e-5, atol=1e-4)


# ---- the road ----


def lenet() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.MaxPool2d(2), nn.ReLU(inplace=True),
        nn.Conv2d(6, 16, 5), nn.MaxPool2d(2), nn.ReLU(inplace=True),
        nn.Flatten(), nn.Linear(400, 10),
    )  # fmt: skip


def count_of_pooled(y: Tensor) -> int:
    """How many pooled convolutions the graph behind y holds."""
    seen, waiting, count = set(), [y.grad_fn], 0
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        count += "PooledConv" in type(node).__name__
        waiting += [parent for parent, _ in node.next_functions]
    return count


def test_training_on_the_road_gives_the_losses_of_the_plain_one() -> None:
    torch.manual_seed(3)
    x_all = torch.rand(20, 64, 1, 28, 28) * (torch.rand(20, 64, 1, 28, 28) > 0.7)  # a background of equal values
    y_all = torch.randint(0, 10, (20, 64))

    def losses(wanted: bool) -> list[float]:
        model, found = lenet(), []
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        with take_pooled_conv_road(model, wanted):
            assert count_of_pooled(model(x_all[0])) == (2 if wanted else 0)
            for x, y in zip(x_all, y_all, strict=True):
                loss = functional.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                found.append(loss.item())
        return found

    plain_losses = losses(False)
    assert plain_losses[-1] != plain_losses[0]
    assert losses(True) == pytest.approx(plain_losses, abs=1e-4)


def test_evaluation_takes_the_road_without_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, calls = lenet().eval(), torch.randn(MIN_BATCH, 1, 28, 28), []
    expected = model(x)
    monkeypatch.setattr(
        "limpid.training.pooled_road.pooled_conv", lambda *given: calls.append(given) or pooled_conv(*given)
    )
    with take_pooled_conv_road(model, True), torch.inference_mode():
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    assert len(calls) == 2


def test_model_and_layers_are_what_they_were_during_and_after() -> None:
    model, x = lenet(), torch.randn(MIN_BATCH, 1, 28, 28)
    names, expected, first = list(model.state_dict()), model(x), model[0](x)
    with take_pooled_conv_road(model, True):
        assert list(model.state_dict()) == names
        assert torch.equal(model[0](x), first)  # a layer called by itself does not pool
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    assert "forward" not in vars(model)
    assert torch.equal(model(x), expected)
    with pytest.raises(KeyError), take_pooled_conv_road(model, True):
        raise KeyError
    assert "forward" not in vars(model)
    with take_pooled_conv_road(model, False):
        assert "forward" not in vars(model)


@pytest.mark.parametrize("order", ["conv relu pool", "conv pool relu", "conv pool", "conv pool leaky"])
def test_relu_may_come_before_or_after_pooling(order: str) -> None:
    torch.manual_seed(0)
    kinds = {
        "conv": nn.Conv2d(3, 5, 3, bias=False),
        "relu": nn.ReLU(),
        "pool": nn.MaxPool2d((2, 2), stride=2),
        "leaky": nn.LeakyReLU(inplace=True),  # writes into what the road returns
    }
    model = nn.Sequential(*(kinds[name] for name in order.split()))
    x = torch.randn(MIN_BATCH, 3, 11, 12)
    expected = model(x)
    expected.pow(2).sum().backward()
    twin = kinds["conv"].weight.grad
    model.zero_grad()
    with take_pooled_conv_road(nn.ModuleList([model]), True):
        found = model(x)
        assert count_of_pooled(found) == 1
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        found.pow(2).sum().backward()
    torch.testing.assert_close(kinds["conv"].weight.grad, twin, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(1, 16, 3), nn.MaxPool2d(2)),
        (nn.Conv2d(8, 8, 3), nn.MaxPool2d(2)),
        (nn.Conv2d(2, 4, 3, groups=2), nn.MaxPool2d(2)),
        (nn.Conv2d(1, 4, 3, stride=2), nn.MaxPool2d(2)),
        (nn.Conv2d(1, 4, 3, dilation=2), nn.MaxPool2d(2)),
        (nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect"), nn.MaxPool2d(2)),
        (nn.Conv2d(1, 4, 3, padding="same"), nn.MaxPool2d(2)),
        (nn.Conv2d(1, 4, 3), nn.MaxPool2d(3)),
        (nn.Conv2d(1, 4, 3), nn.MaxPool2d(2, stride=1)),
        (nn.Conv2d(1, 4, 3), nn.MaxPool2d(2, padding=1)),
        (nn.Conv2d(1, 4, 3), nn.MaxPool2d(2, dilation=2)),
        (nn.Conv2d(1, 4, 3), nn.MaxPool2d(2, ceil_mode=True)),
        (nn.Conv2d(1, 4, 3), nn.AvgPool2d(2)),
        (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.MaxPool2d(2)),
    ],
    ids=lambda layers: str(nn.Sequential(*layers)).replace("\n", ""),
)
def test_other_layers_are_left_alone(layers: tuple[nn.Module, ...]) -> None:
    model = nn.Sequential(*layers)
    with take_pooled_conv_road(model, True):
        assert "forward" not in vars(model)


def test_inputs_that_do_not_fit_take_the_plain_road() -> None:
    model, x = lenet()[:3], torch.randn(MIN_BATCH, 1, 28, 28)
    with take_pooled_conv_road(model, True):
        assert count_of_pooled(model(x)) == 1
        for other in (x[1:], x[0]):
            y = model(other)
            assert count_of_pooled(y) == 0
            assert torch.equal(y, plain(other, model[0].weight, model[0].bias, (2, 2), True))
        with pytest.raises(RuntimeError, match="channels"):
            model(x.expand(-1, 2, -1, -1))
        with pytest.raises(RuntimeError, match="too small"):
            model(x[:, :, :, :1])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert count_of_pooled(model(x)) == 0
        heard: list[torch.Size] = []
        handle = model[0].register_forward_hook(lambda module, given, y: heard.append(y.shape))
        assert count_of_pooled(model(x)) == 0
        assert heard == [(MIN_BATCH, 6, 28, 28)]
        handle.remove()
        assert count_of_pooled(model(x)) == 1
        model.double()
        assert count_of_pooled(model(x.double())) == 0
