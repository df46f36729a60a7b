"""Back-propagation by hand, index by index, against autograd and central differences; all in float64.

Shapes: B samples, T steps, F features, H hidden units; lists of layers run from the input to the output.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

Function = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "sigmoid": (torch.sigmoid, lambda h: torch.sigmoid(h) * (1 - torch.sigmoid(h))),
    "tanh": (torch.tanh, lambda h: 1 - torch.tanh(h) ** 2),
    "relu": (torch.relu, lambda h: (h > 0).to(h.dtype)),
    "softplus": (nn.functional.softplus, torch.sigmoid),
    "identity": (lambda h: h, torch.ones_like),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def forward(weights: list[Tensor], x: Tensor, g: Function) -> tuple[list[Tensor], list[Tensor]]:
    """h^n_i = sum_j W^n_ij x^(n-1)_j and x^n = g(h^n), for all n; x^0 is the input."""
    xs, hs = [x], []
    for w in weights:
        h = torch.stack([sum((w[i, j] * xs[-1][j] for j in range(w.shape[1])), w.new_zeros(())) for i in range(len(w))])
        hs.append(h)
        xs.append(g(h))
    return xs, hs


def backward(weights: list[Tensor], x: Tensor, y: Tensor, g: Function, slope: Function) -> list[Tensor]:
    """e^L = g'(h^L)(p - y); e^n_j = g'(h^n_j) sum_i W^(n+1)_ij e^(n+1)_i; dL/dW^l_ab = x^(l-1)_b e^l_a."""
    xs, hs = forward(weights, x, g)
    errors = [slope(hs[-1]) * (xs[-1] - y)]
    for n in range(len(weights) - 2, -1, -1):
        above = weights[n + 1]
        e = [
            slope(hs[n])[j] * sum(above[i, j] * errors[0][i] for i in range(len(above))) for j in range(above.shape[1])
        ]
        errors.insert(0, torch.stack(e))
    return [
        torch.stack([torch.stack([xs[k][b] * errors[k][a] for b in range(w.shape[1])]) for a in range(len(w))])
        for k, w in enumerate(weights)
    ]


def half_squared_error(weights: list[Tensor], x: Tensor, y: Tensor, g: Function) -> Tensor:
    for w in weights:
        x = g(w @ x)
    return 0.5 * (y - x).square().sum()


def random_net(*widths: int) -> list[Tensor]:
    return [torch.randn(b, a).double() / math.sqrt(a) for a, b in zip(widths, widths[1:], strict=False)]


@pytest.mark.spec("O25")
@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("widths", [(3, 1), (4, 5, 2), (3, 6, 4, 5, 1)], ids=str)
def test_errors_propagated_by_hand_are_the_gradients(name: str, widths: tuple[int, ...]) -> None:
    g, slope = ACTIVATIONS[name]
    weights, x, y = random_net(*widths), torch.randn(widths[0]).double(), torch.randn(widths[-1]).double()
    by_hand = backward(weights, x, y, g, slope)
    leaves = [w.clone().requires_grad_() for w in weights]
    half_squared_error(leaves, x, y, g).backward()
    for mine, leaf in zip(by_hand, leaves, strict=True):
        torch.testing.assert_close(mine, leaf.grad, rtol=0, atol=1e-10)
    step = 1e-5
    for k, w in enumerate(weights):
        for a, b in np.ndindex(*w.shape):
            nearby = []
            for sign in (1, -1):
                moved = [v.clone() for v in weights]
                moved[k][a, b] += sign * step
                nearby.append(half_squared_error(moved, x, y, g).item())
            assert by_hand[k][a, b].item() == pytest.approx((nearby[0] - nearby[1]) / (2 * step), abs=1e-6)


@pytest.mark.spec("O26")
def test_every_line_of_the_derivation_is_the_same_number() -> None:
    """dL/dw_ab of the first layer, pushed through one layer after another."""
    g, slope = ACTIVATIONS["tanh"]
    weights, x, y = random_net(3, 4, 5, 2, 1), torch.randn(3).double(), torch.randn(1).double()
    xs, hs = forward(weights, x, g)
    errors = {len(weights): slope(hs[-1]) * (xs[-1] - y)}
    for n in range(len(weights) - 1, 0, -1):
        errors[n] = slope(hs[n - 1]) * (weights[n].T @ errors[n + 1])

    def activations_at(layer: int, first: Tensor) -> Tensor:
        out = x
        for w in [first, *weights[1:]][:layer]:
            out = g(w @ out)
        return out

    for a, b in [(0, 0), (2, 1), (3, 2)]:
        # the last line: x_b^(l-1) e_a^(l), with l = 1
        lines = [(x[b] * errors[1][a]).item()]
        for layer in range(1, len(weights)):
            # sum_k dx_k^(layer)/dw_ab sum_i w_ik^(layer+1) e_i^(layer+1)
            jacobian = torch.autograd.functional.jacobian(lambda w, n=layer: activations_at(n, w), weights[0])
            lines.append((jacobian[:, a, b] * (weights[layer].T @ errors[layer + 1])).sum().item())
        assert len(lines) == 4
        assert lines == pytest.approx([lines[0]] * 4, rel=1e-12)


def scalar_chain(w: list[float], b: list[float], a0: float, target: float) -> tuple[float, float, float, list[float]]:
    """dL/db_1 by hand and by autograd, dL/da_4, and the slopes; four sigmoids in a row, L = (a_4 - target)^2 / 2."""
    a, slopes = a0, []
    for wj, bj in zip(w, b, strict=True):
        a = 1 / (1 + math.exp(-(wj * a + bj)))
        slopes.append(a * (1 - a))
    dl_da4 = a - target
    by_hand = slopes[0] * w[1] * slopes[1] * w[2] * slopes[2] * w[3] * slopes[3] * dl_da4
    b1 = torch.tensor(b[0], dtype=torch.float64, requires_grad=True)
    out = torch.tensor(a0, dtype=torch.float64)
    for j, wj in enumerate(w):
        out = torch.sigmoid(wj * out + (b1 if j == 0 else b[j]))
    (0.5 * (out - target) ** 2).backward()
    return by_hand, b1.grad.item(), dl_da4, slopes


@pytest.mark.spec("O27")
@pytest.mark.parametrize("size", [0.1, 1.0, 5.0])
def test_the_scalar_chain_and_its_bound(size: float) -> None:
    w = [size * x for x in (1.0, -0.8, 1.2, 0.9)]
    by_hand, automatic, dl_da4, _ = scalar_chain(w, [0.1, -0.2, 0.05, 0.3], 0.7, 1.0)
    assert by_hand == pytest.approx(automatic, rel=1e-12)
    bound = (1 / 4) ** 4 * abs(w[1] * w[2] * w[3]) * abs(dl_da4)
    assert (1 / 4) ** 4 == 0.00390625
    assert 0 < abs(by_hand) <= bound * (1 + 1e-12)


@pytest.mark.spec("O27")
def test_small_weights_vanish_and_large_ones_explode() -> None:
    """At the middle of every sigmoid (slope 1/4) the gradient is w / 4 to the depth, so that w = 4 is the border."""

    def gradient(size: float, depth: int) -> float:
        slopes, a = 1.0, 0.5
        for _ in range(depth):
            a = 1 / (1 + math.exp(-(size * a - size / 2)))  # b = -w / 2 keeps z at zero
            slopes *= size * a * (1 - a)
        return slopes

    assert gradient(1.0, 10) == pytest.approx(0.25**10)
    assert gradient(4.0, 10) == pytest.approx(1.0)
    assert gradient(8.0, 10) == pytest.approx(2.0**10)


@pytest.mark.spec("O28", "X27")
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_one_hidden_layer_has_the_corrected_gradients(name: str) -> None:
    f, slope = ACTIVATIONS[name]
    # Square shapes, so that the printed form can be evaluated at all.
    x, w1, w2 = (torch.randn(4, 4).double() for _ in range(3))
    y = torch.randn(4, 4).double()
    leaf1, leaf2 = w1.clone().requires_grad_(), w2.clone().requires_grad_()
    (0.5 * (y - f(x @ leaf1) @ leaf2).square().sum()).backward()
    error = f(x @ w1) @ w2 - y
    torch.testing.assert_close(f(x @ w1).T @ error, leaf2.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(x.T @ ((error @ w2.T) * slope(x @ w1)), leaf1.grad, rtol=1e-12, atol=1e-12)
    printed1 = error * w2 * slope(x @ w1) * w1
    printed2 = error * f(x @ w1)
    assert not torch.allclose(printed1, leaf1.grad, atol=1e-3)
    assert not torch.allclose(w1.T @ ((error @ w2.T) * slope(x @ w1)), leaf1.grad, atol=1e-3), "W1 in the place of X"
    assert not torch.allclose(printed2, leaf2.grad, atol=1e-3)


def unfold(x_TF: Tensor, u: Tensor, w: Tensor, b: Tensor) -> list[Tensor]:
    """h_t = tanh(b + W h_(t-1) + U x_t), from h_0 = 0."""
    hs = [w.new_zeros(len(w))]
    for x in x_TF:
        hs.append(torch.tanh(b + w @ hs[-1] + u @ x))
    return hs


def through_time(x_TF: Tensor, u: Tensor, w: Tensor, b: Tensor, v: Tensor, y_T: Tensor) -> tuple[Tensor, ...]:
    """Gradients of sum_t (v h_t - y_t)^2 / 2 by going back along the unfolded graph."""
    hs = unfold(x_TF, u, w, b)
    du, dw, db, dv = (torch.zeros_like(p) for p in (u, w, b, v))
    later = torch.zeros_like(b)  # dL/dh_t that comes from step t + 1
    for t in range(len(x_TF), 0, -1):
        residual = v @ hs[t] - y_T[t - 1]
        dv += residual * hs[t]
        a = (1 - hs[t] ** 2) * (residual * v + later)
        du += torch.outer(a, x_TF[t - 1])
        dw += torch.outer(a, hs[t - 1])
        db += a
        later = w.T @ a
    return du, dw, db, dv


def recurrent_net(num_hidden: int, num_features: int) -> tuple[Tensor, ...]:
    shapes = [(num_hidden, num_features), (num_hidden, num_hidden), (num_hidden,), (num_hidden,)]
    return tuple(torch.randn(*shape).double() / math.sqrt(shape[-1]) for shape in shapes)


@pytest.mark.spec("O29")
def test_back_propagation_through_time_by_hand_is_autograds_and_torchs() -> None:
    u, w, b, v = recurrent_net(5, 3)
    x_TF, y_T = torch.randn(9, 3).double(), torch.randn(9).double()
    by_hand = through_time(x_TF, u, w, b, v, y_T)
    leaves = [p.clone().requires_grad_() for p in (u, w, b, v)]
    states = torch.stack(unfold(x_TF, *leaves[:3])[1:])
    (0.5 * (states @ leaves[3] - y_T).square().sum()).backward()
    for mine, leaf in zip(by_hand, leaves, strict=True):
        torch.testing.assert_close(mine, leaf.grad, rtol=0, atol=1e-12)
    cell = nn.RNN(3, 5).double()
    with torch.no_grad():
        for parameter, value in zip(cell.parameters(), (u, w, b, torch.zeros_like(b)), strict=True):
            parameter.copy_(value)
    (0.5 * (cell(x_TF)[0] @ v - y_T).square().sum()).backward()
    torch.testing.assert_close(by_hand[1], cell.weight_hh_l0.grad, rtol=0, atol=1e-12)


@pytest.mark.spec("O29")
def test_its_time_grows_in_a_straight_line_with_the_steps() -> None:
    u, w, b, v = recurrent_net(8, 3)
    lengths = np.array([50, 100, 150, 200, 250, 300])
    x_TF, y_T = torch.randn(300, 3).double(), torch.randn(300).double()

    def seconds(steps: int) -> float:
        began = time.process_time()  # of this process alone: a busy machine does not count
        through_time(x_TF[:steps], u, w, b, v, y_T[:steps])
        return time.process_time() - began

    best = 0.0
    least = np.full(len(lengths), math.inf)
    for _ in range(20):  # the least time of several: what disturbs a measurement only adds to it
        least = np.minimum(least, [seconds(int(steps)) for steps in lengths])
        fitted = np.polyval(np.polyfit(lengths, least, 1), lengths)
        best = 1 - ((least - fitted) ** 2).sum() / ((least - least.mean()) ** 2).sum()
        if best >= 0.98:
            break
    assert best >= 0.98


def deep_product(num_layers: int, target: float, *, rate: float = 0.1, weight: float = 1.2) -> tuple[float, ...]:
    """Loss before and after one step on y = prod(w_i) x, all layers moving at once, and what first order promises."""
    w = torch.full((num_layers,), weight, dtype=torch.float64, requires_grad=True)
    loss = 0.5 * (w.prod() - target) ** 2
    loss.backward()
    with torch.no_grad():
        after = 0.5 * ((w - rate * w.grad).prod() - target) ** 2
        promised = loss - rate * w.grad.square().sum()
    return loss.item(), after.item(), promised.item()


@pytest.mark.spec("O32", "J44")
def test_a_step_is_only_a_first_order_argument() -> None:
    before, after, promised = deep_product(10, 5.0)
    assert before == pytest.approx(0.7101178502, abs=1e-10)
    assert after == pytest.approx(12.4765040026, abs=1e-9)
    # The ledger's "linear prediction" is the change that first order promises, not the loss after it (-37.10).
    assert promised - before == pytest.approx(-37.81, abs=0.01)
    for layers, expected in ((1, 0.4050), (3, 0.1011), (10, 13.361)):
        before, after, promised = deep_product(layers, 1.2**layers - 1.0)
        assert before == pytest.approx(0.5)
        assert after == pytest.approx(expected, abs=1e-3 if layers == 10 else 1e-4)
        assert promised < before
