"""Cells and stacks against the equations, against torch's, and against a loop over single steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models import build_model
from limpid.models.elman import Elman
from limpid.models.gru import GRU
from limpid.models.lstm import LSTM
from limpid.models.recurrent import RecurrentStack, turned
from limpid.spec import DataSpec

WRITTEN: dict[str, Any] = {"rnn": Elman, "lstm": LSTM, "gru": GRU}
FUSED: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
every_cell = pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])


def series_spec(length: int, features: int = 1, outputs: int = 1, **changes: Any) -> DataSpec:
    values = {"name": "s", "kind": "series", "task": "regression", "input_shape": (length, features)}
    return DataSpec(**{**values, "num_outputs": outputs, **changes})


def fill(module: nn.Module, value: float) -> None:
    for name, parameter in module.named_parameters():
        nn.init.constant_(parameter, 0.0 if "bias" in name else value)


def twins(kind: str, num_inputs: int = 5, num_units: int = 7) -> tuple[nn.Module, nn.Module]:
    """Our layer and torch's with the same weights, in float64."""
    torch.manual_seed(4)
    ours, theirs = WRITTEN[kind](num_inputs, num_units).double(), FUSED[kind](num_inputs, num_units).double()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_(std=0.5)
        theirs.weight_ih_l0.copy_(ours.weight_ih)
        theirs.weight_hh_l0.copy_(ours.weight_hh)
        theirs.bias_ih_l0.copy_(ours.bias)
        theirs.bias_hh_l0.zero_()
        if kind == "gru":
            theirs.bias_hh_l0[2 * num_units :] = ours.bias_hh
    return ours, theirs


@pytest.mark.spec("A44", "B36")
def test_plain_cell_gives_the_golden_values() -> None:
    cell = Elman(1, 1).double()
    with torch.no_grad():
        for parameter, value in ((cell.weight_ih, 0.2), (cell.weight_hh, 0.5), (cell.bias, 0.1)):
            parameter.copy_(torch.tensor(value, dtype=torch.float64))
    h_T = cell(torch.tensor([1.0, 3.0, 7.0]).double().view(3, 1, 1))[0].flatten()
    expected = torch.tensor([0.2913126125, 0.6887934064, 0.9512154170], dtype=torch.float64)
    torch.testing.assert_close(h_T, expected, atol=1e-9, rtol=0)
    logits_T2 = h_T.unsqueeze(1) * torch.tensor([1.0, -1.0]).double()  # V = (1, -1), c = 0
    golden = torch.tensor([0.6416712466, 0.7986031522, 0.8701664008], dtype=torch.float64)
    torch.testing.assert_close(logits_T2.softmax(dim=1)[:, 0], golden, atol=1e-9, rtol=0)
    losses_T = nn.functional.cross_entropy(logits_T2, torch.zeros(3, dtype=torch.int64), reduction="none")
    torch.testing.assert_close(losses_T.sum(), -golden.log().sum(), atol=1e-8, rtol=0)


@pytest.mark.spec("A46", "B36")
def test_lstm_gives_the_golden_values_and_equals_torchs_cell() -> None:
    layer = LSTM(1, 1).double()
    fill(layer, 1.0)
    state: Any = None
    golden = ((0.5567699411, 0.3696063529), (1.1444461580, 0.6505352232), (1.7394875219, 0.7887658277))
    for c, h in golden:
        out, state = layer(torch.ones(1, 1, 1).double(), state)
        assert state[1].item() == pytest.approx(c, abs=1e-9)
        assert out.item() == state[0].item() == pytest.approx(h, abs=1e-9)

    ours, _ = twins("lstm")
    cell = nn.LSTMCell(5, 7).double()
    with torch.no_grad():
        cell.weight_ih.copy_(ours.weight_ih)
        cell.weight_hh.copy_(ours.weight_hh)
        cell.bias_ih.copy_(ours.bias)
        cell.bias_hh.zero_()
    x_TBI, pair = torch.randn(6, 3, 5).double(), None
    out_TBH, (h, c) = ours(x_TBI)
    for t, x_BI in enumerate(x_TBI):
        pair = cell(x_BI, pair)
        torch.testing.assert_close(out_TBH[t], pair[0], atol=1e-12, rtol=0)
    torch.testing.assert_close((h[0], c[0]), pair, atol=1e-12, rtol=0)


@every_cell
@pytest.mark.spec("B36")
def test_written_cells_equal_torchs_fused_ones_with_gradients_and_states(kind: str) -> None:
    ours, theirs = twins(kind)
    x_TBI = torch.randn(9, 4, 5).double()
    weight_TBH = torch.randn(9, 4, 7).double()
    first = torch.randn(1, 4, 7).double()
    gradients = []
    for layer in (ours, theirs):
        x, start = x_TBI.clone().requires_grad_(), first.clone().requires_grad_()
        out_TBH, state = layer(x, (start, start) if kind == "lstm" else start)
        last = state[1] if kind == "lstm" else state
        ((out_TBH * weight_TBH).sum() + last.square().sum()).backward()
        gradients.append((out_TBH, last, x.grad, start.grad))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(ours.weight_hh.grad, theirs.weight_hh_l0.grad, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(ours.weight_ih.grad, theirs.weight_ih_l0.grad, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(ours.bias.grad, theirs.bias_ih_l0.grad, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(
    "make", [Elman, LSTM, GRU, lambda i, h: Elman(i, h, "relu"), lambda i, h: Elman(i, h, "identity")]
)
def test_gradients_equal_differences(make: Any) -> None:
    torch.manual_seed(1)
    layer = make(3, 4).double()
    parameters = tuple(layer.parameters())
    x_TBI = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)

    def run(x: Tensor, *values: Tensor) -> Tensor:
        names = [name for name, _ in layer.named_parameters()]
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))[0]

    assert torch.autograd.gradcheck(run, (x_TBI, *parameters))


@every_cell
@pytest.mark.spec("A43")
def test_unrolled_computation_equals_the_loop_over_single_steps(kind: str) -> None:
    """The same weights at every step, whatever the number of steps."""
    layer = WRITTEN[kind](3, 5).double()
    x_TBI, state = torch.randn(12, 2, 3).double(), None
    whole_TBH, _ = layer(x_TBI)
    for t in range(12):
        out, state = layer(x_TBI[t : t + 1], state)
        torch.testing.assert_close(out[0], whole_TBH[t], atol=1e-14, rtol=0)


@every_cell
@pytest.mark.parametrize("cell", ["fused", "written"])
@pytest.mark.spec("A43")
def test_number_of_parameters_does_not_depend_on_the_steps(kind: str, cell: str) -> None:
    config = ModelConfig(name=kind, options={"cell": cell, "layers": 2})
    short, long = (build_model(config, series_spec(steps), seed=0) for steps in (3, 300))
    sizes = [{name: p.shape for name, p in network.named_parameters()} for network in (short, long)]
    assert sizes[0] == sizes[1]
    inputs = torch.randn(2, 300, 1), torch.tensor([300, 7])
    assert torch.equal(long(*inputs), _with_weights_of(long, short)(*inputs))


def _with_weights_of(source: nn.Module, target: nn.Module) -> nn.Module:
    target.load_state_dict(source.state_dict())
    return target


@pytest.mark.spec("A45")
def test_linear_recurrence_sums_exactly() -> None:
    config = ModelConfig(name="rnn", options={"units": 1, "nonlinearity": "identity", "cell": "written"})
    network = build_model(config, series_spec(3), seed=0)
    fill(network, 1.0)
    inputs = torch.tensor([[1.0, 3.0, 7.0], [12.0, 5.0, 0.0]]).unsqueeze(2), torch.tensor([3, 2])
    assert network(*inputs).flatten().tolist() == [11.0, 17.0]


@pytest.mark.spec("A45")
def test_learned_linear_recurrence_goes_on_to_lengths_that_it_never_saw() -> None:
    torch.manual_seed(0)
    config = ModelConfig(name="rnn", options={"units": 1, "nonlinearity": "identity", "cell": "written"})
    network = build_model(config, series_spec(5), seed=0)
    with torch.no_grad():
        network.body.stack.layers[0].weight_hh.fill_(0.5)
    lengths_B = torch.randint(2, 6, (256,))
    x_BT1 = (torch.rand(256, 5) * (torch.arange(5) < lengths_B.unsqueeze(1))).unsqueeze(2)
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=200, tolerance_change=0, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (network(x_BT1, lengths_B) - x_BT1.sum(dim=1)).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    x_BT1 = torch.rand(200, 20, 1)
    error = network(x_BT1, torch.full((200,), 20)) - x_BT1.sum(dim=1)
    assert error.abs().max() < 0.1


def test_backward_half_reads_each_sequence_from_its_own_end() -> None:
    x_TBF = torch.arange(1.0, 9.0).view(4, 2, 1)
    lengths_B = torch.tensor([4, 2])
    turned_TB = turned(x_TBF, lengths_B).squeeze(2)
    assert turned_TB[:, 0].tolist() == [7.0, 5.0, 3.0, 1.0]
    assert turned_TB[:, 1].tolist() == [4.0, 2.0, 6.0, 8.0]


@every_cell
def test_bidirectional_stack_equals_torchs_with_packed_sequences(kind: str) -> None:
    torch.manual_seed(2)
    stack = RecurrentStack(FUSED[kind], 3, 4, 2, bidirectional=True)
    theirs = FUSED[kind](3, 4, num_layers=2, bidirectional=True, batch_first=True)
    with torch.no_grad():
        for number in range(2):
            for layers, ending in ((stack.layers, ""), (stack.backward_layers, "_reverse")):
                for name, parameter in layers[number].named_parameters():
                    getattr(theirs, name.replace("l0", f"l{number}") + ending).copy_(parameter)
    x_BTF, lengths_B = torch.randn(5, 6, 3), torch.tensor([6, 2, 5, 1, 3])
    packed = nn.utils.rnn.pack_padded_sequence(x_BTF, lengths_B, batch_first=True, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    out_BTH, _ = stack(x_BTF, lengths_B)
    for i, length in enumerate(lengths_B.tolist()):
        torch.testing.assert_close(out_BTH[i, :length], expected[i, :length], atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@every_cell
def test_written_cells_take_at_most_half_as_long_again_as_torchs(kind: str) -> None:
    """Forward and backward, 28 steps of 28 numbers, 128 units, batch 128: least of many timings."""
    from limpid.device import least_seconds, prepare_cpu

    prepare_cpu(1)
    x_TBI = torch.randn(28, 128, 28)
    seconds = []
    for make in (WRITTEN[kind], FUSED[kind]):
        layer = make(28, 128)
        seconds.append(least_seconds(lambda layer=layer: layer(x_TBI)[0].sum().backward(), repeats=60))
    assert seconds[0] < 1.5 * seconds[1]


def test_forecast_follows_level_and_scale_of_its_window() -> None:
    """y(a + b x) = a + b y(x): what was learned at one level and scale holds at any other."""
    spec = series_spec(
        12, 2, 3, scale_mean=(50.0, 1.0), scale_std=(10.0, 1.0), target_mean=(50.0,) * 3, target_std=(10.0,) * 3,
        preparation={"kind": "forecast", "target_features": [0]},
    )  # fmt: skip
    network = build_model(ModelConfig(name="lstm", options={"units": 16}), spec, seed=0).eval()
    x_BTF, lengths_B = torch.randn(4, 12, 2) * 10 + 50, torch.full((4,), 12)
    moved_BTF = x_BTF.clone()
    moved_BTF[:, :, 0] = 3 * x_BTF[:, :, 0] + 1000
    units = torch.tensor(10.0)
    first, moved = (network(x, lengths_B) * units + 50 for x in (x_BTF, moved_BTF))
    torch.testing.assert_close(moved, 3 * first + 1000, atol=0.02, rtol=1e-4)
    plain = build_model(ModelConfig(name="lstm", options={"units": 16, "relative": False}), spec, seed=0)
    assert plain(x_BTF, lengths_B).shape == (4, 3)
