"""Every sequence model keeps the promises of its kind; a new one joins by being registered."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from limpid.catalogue.models import MODELS
from limpid.catalogue.sequence import PARTS
from limpid.config import ModelConfig
from limpid.errors import ModelError
from limpid.models import Network, build_model, layer_table, totals
from limpid.models.network import example_inputs
from limpid.spec import DataSpec

LENGTH, WRITTEN = 10, 7
SERIES = DataSpec(
    name="steps", kind="series", task="classification", input_shape=(LENGTH, 3), num_outputs=4,
    scale_mean=(1.0, 2.0, 3.0), scale_std=(1.0, 2.0, 0.5),
)  # fmt: skip
TEXT = DataSpec(name="texts", kind="text", task="classification", input_shape=(LENGTH,), num_outputs=4, vocabulary=20)
LANGUAGE = TEXT.model_copy(update={"task": "tokens", "output_shape": (LENGTH,), "num_outputs": 20})
TAGS = LANGUAGE.model_copy(update={"num_outputs": 5})
IMAGE = DataSpec(name="images", kind="image", task="classification", input_shape=(1, 12, 12), num_outputs=4)
ARRAY = DataSpec(name="arrays", kind="array", task="classification", input_shape=(LENGTH, 2, 2), num_outputs=4)
VECTOR = DataSpec(name="rows", kind="vector", task="classification", input_shape=(LENGTH,), num_outputs=4)
PAIRS = DataSpec(
    name="pairs", kind="pairs", task="tokens", input_shape=(LENGTH,), output_shape=(WRITTEN,), num_outputs=12,
    vocabulary=15,
)  # fmt: skip
CAPTIONS = DataSpec(
    name="scenes", kind="captions", task="tokens", input_shape=(3, 16, 16), output_shape=(WRITTEN,), num_outputs=12
)
SPECS = {
    "series": (SERIES,), "text": (TEXT, LANGUAGE, TAGS), "image": (IMAGE,), "array": (ARRAY,), "vector": (VECTOR,),
    "pairs": (PAIRS,), "captions": (CAPTIONS,),
}  # fmt: skip
SMALL: dict[str, Any] = {"units": 24, "width": 32, "heads": 2, "layers": 1, "channels": 8}
VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "rnn": ({"cell": "written", "nonlinearity": "relu", "layers": 2}, {"bidirectional": True, "layers": 2}),
    "lstm": ({"cell": "written"}, {"bidirectional": True, "pool": "mean"}, {"cell": "written", "bidirectional": True}),
    "gru": ({"cell": "written", "layers": 2}, {"bidirectional": True}),
    "seq2seq": ({"attention": "none", "recurrence": "lstm", "layers": 2}, {"attention": "dot", "both_ways": False}),
    "captioner": ({"attention": "additive", "recurrence": "lstm"}, {"attention": "dot"}),
    "gpt": ({"positions": "rope", "bias": True}, {"positions": "sinusoidal", "tied": False}),
    "encoder": ({"positions": "learned"}, {"positions": "rope"}),
    "vit": ({"positions": "sinusoidal", "patch": 3},),
    "transformer": ({"positions": "learned"},),
}


def fits(name: str, spec: DataSpec, options: dict[str, Any]) -> bool:
    language = spec.task == "tokens" and spec.num_outputs == spec.vocabulary
    looks_ahead = name == "encoder" or options.get("bidirectional", False)
    return spec.task in MODELS[name].tasks and not (language and looks_ahead)


CASES = [
    (part.name, spec, options)
    for part in PARTS
    for number, options in enumerate(({}, *VARIANTS.get(part.name, ())))
    for kind in part.kinds
    for spec in SPECS[kind][: None if number == 0 else 2]
    if fits(part.name, spec, options)
    and (number == 0 or kind in ("series", "text", "pairs", "captions") or part.name == "vit")
]
IDS = [f"{n}-{s.name}-{s.task}{''.join(f'-{v}' for v in o.values())}" for n, s, o in CASES]
every_case = pytest.mark.parametrize(("name", "spec", "options"), CASES, ids=IDS)


# Of each network, its options and each task, one kind of data is learned every day.
FIRST = {f"{name} {options} {spec.task}": i for i, (name, spec, options) in reversed([*enumerate(CASES)])}.values()
one_kind = pytest.mark.parametrize(
    ("name", "spec", "options"),
    [pytest.param(*case, marks=() if i in FIRST else pytest.mark.slow, id=IDS[i]) for i, case in enumerate(CASES)],
)


def build(name: str, spec: DataSpec, options: dict[str, Any], seed: int = 0) -> Network:
    known = MODELS[name].options
    small = {key: value for key, value in SMALL.items() if key in known}
    return build_model(ModelConfig(name=name, options={**small, **options}), spec, seed=seed)


def batch_of(spec: DataSpec, size: int, seed: int = 7) -> tuple[tuple[Tensor, ...], Tensor]:
    """Random inputs and targets of unequal lengths; the longest fills the sequence."""
    generator = torch.Generator().manual_seed(seed)

    def whole(high: int, *shape: int, low: int = 0) -> Tensor:
        return torch.randint(low, high, shape, generator=generator)

    lengths_B = whole(LENGTH + 1, size, low=2)
    lengths_B[0] = LENGTH
    inside_BT = torch.arange(LENGTH) < lengths_B[:, None]
    target = whole(spec.num_outputs, size)
    if spec.kind == "series":
        x = torch.randn(size, LENGTH, 3, generator=generator) + torch.tensor(spec.scale_mean)
        return (x * inside_BT.unsqueeze(2), lengths_B), target
    if spec.kind == "text":
        if spec.task == "tokens":
            target = whole(spec.num_outputs, size, LENGTH).masked_fill(~inside_BT, -100)
        tokens_BT = whole(20, size, LENGTH, low=4)
        tokens_BT[:, 0] = torch.arange(size) + 4  # texts that begin alike could not be told apart at their beginning
        return (tokens_BT * inside_BT, lengths_B), target
    if spec.kind == "pairs":
        source, given = whole(15, size, LENGTH, low=4) * inside_BT, whole(12, size, WRITTEN, low=4)
        return (source, lengths_B, given), whole(12, size, WRITTEN)
    if spec.kind == "captions":
        return (whole(256, size, 3, 16, 16).byte(), whole(12, size, WRITTEN)), whole(12, size, WRITTEN)
    if spec.kind == "image":
        return (whole(256, size, *spec.input_shape).byte(),), target
    return (torch.randn(size, *spec.input_shape, generator=generator),), target


def loss_of(outputs: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(outputs.flatten(0, -2), target.flatten(), ignore_index=-100)


def test_every_part_of_the_catalogue_is_here() -> None:
    assert {name for name, _, _ in CASES} == {part.name for part in PARTS}
    for part in PARTS:
        assert MODELS[part.name] is part


@every_case
def test_shape_and_every_parameter_gets_a_gradient(name: str, spec: DataSpec, options: dict[str, Any]) -> None:
    network = build(name, spec, options)
    inputs, target = batch_of(spec, 6)
    outputs = network(*inputs)
    places = (len(target[0]),) if spec.task == "tokens" else ()
    assert outputs.shape == (6, *places, spec.num_outputs)
    assert outputs.dtype is torch.float32
    loss_of(outputs, target).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@every_case
def test_same_seed_same_weights(name: str, spec: DataSpec, options: dict[str, Any]) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second, other = (build(name, spec, options, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())
    assert any(not torch.equal(p, q) for p, q in zip(first.parameters(), other.parameters(), strict=True))


@one_kind
@pytest.mark.spec("H8")
def test_starts_at_chance_and_memorises_eight_samples(name: str, spec: DataSpec, options: dict[str, Any]) -> None:
    network = build(name, spec, options)
    inputs, target = batch_of(spec, 8)
    with torch.no_grad():
        assert loss_of(network(*inputs), target).item() == pytest.approx(math.log(spec.num_outputs), rel=0.1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    loss = math.inf
    for _ in range(400):
        optimizer.zero_grad()
        error = loss_of(network(*inputs), target)
        error.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        loss = error.item()
        if loss < 0.05:
            break
    assert loss < 0.05


@every_case
@pytest.mark.spec("A43")
def test_padding_and_company_change_nothing(name: str, spec: DataSpec, options: dict[str, Any]) -> None:
    """A sequence alone, cut to its length, gets what it gets among longer ones, whatever the padding holds."""
    network = build(name, spec, options).eval()
    inputs, target = batch_of(spec, 6)
    with torch.no_grad():
        together = network(*inputs)
        for i in range(6):
            alone = [x[i : i + 1] for x in inputs]
            if spec.kind in ("series", "text", "pairs"):
                length = int(inputs[1][i])
                alone[0] = alone[0][:, :length]
                other = inputs[0].clone()
                other[i, length:] = 9
                torch.testing.assert_close(
                    cut(network(other, *inputs[1:])[i], spec, length), cut(together[i], spec, length)
                )
            else:
                length = LENGTH
            torch.testing.assert_close(
                cut(network(*alone)[0], spec, length), cut(together[i], spec, length), atol=2e-5, rtol=1e-4
            )


def cut(output: Tensor, spec: DataSpec, length: int) -> Tensor:
    """The places of a text's output that count."""
    return output[:length] if spec.kind == "text" and spec.task == "tokens" else output


@every_case
def test_cost_equals_counted_operations(name: str, spec: DataSpec, options: dict[str, Any]) -> None:
    network = build(name, spec, options)
    parameters, macs = totals(layer_table(network, spec))
    assert parameters == sum(p.numel() for p in network.parameters())
    if options.get("cell") == "written" or "lstm" in (name, options.get("recurrence")):
        # The counter sees neither in-place products nor the fused LSTM: the plain RNN's count by gates must do.
        plain, gates = ("lstm", 4) if "lstm" in (name, options.get("recurrence")) else (name, 1)
        layers = {row["name"]: row for row in layer_table(network, spec) if "layers." in row["name"]}
        length = {"pairs": WRITTEN, "captions": WRITTEN, "image": 12}.get(spec.kind, LENGTH)
        gates = {"rnn": 1, "lstm": 4, "gru": 3}[plain]
        for layer_name, row in layers.items():
            module = network.get_submodule(f"body.{layer_name}" if not layer_name.startswith("body") else layer_name)
            matrices = [p for p in module.parameters() if p.ndim == 2]
            num_inputs, num_units = matrices[0].shape[1], matrices[1].shape[1]
            steps = LENGTH if "encoder" in layer_name else length
            assert row["macs"] == steps * gates * num_units * (num_inputs + num_units), layer_name
        return
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(*example_inputs(spec, 1))
    assert 2 * macs == counter.get_total_flops()


@every_case
def test_runs_under_bf16_autocast(name: str, spec: DataSpec, options: dict[str, Any]) -> None:
    network = build(name, spec, options)
    inputs, target = batch_of(spec, 6)
    exact = network.eval()(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(*inputs)
    assert not torch.equal(rough.float(), exact)
    assert (rough - exact).abs().max() < 0.1 * exact.abs().max() + 0.03
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = network(*inputs)
    loss_of(outputs.float(), target).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@every_case
def test_state_dict_round_trip(name: str, spec: DataSpec, options: dict[str, Any]) -> None:
    source, target = build(name, spec, options, seed=1), build(name, spec, options, seed=2)
    inputs, _ = batch_of(spec, 4)
    source(*inputs)  # running statistics move
    target.load_state_dict(source.state_dict())
    assert torch.equal(source.eval()(*inputs), target.eval()(*inputs))


@pytest.mark.parametrize(
    ("name", "spec", "options", "message"),
    [
        ("lstm", LANGUAGE, {"bidirectional": True}, "bidirectional"),
        ("encoder", LANGUAGE, {}, "gpt"),
        ("rnn", SERIES, {"nonlinearity": "identity"}, "cell=written"),
        ("gpt", LANGUAGE, {"width": 30, "heads": 4}, "model.heads=4"),
        ("gpt", LANGUAGE, {"width": 12, "heads": 4, "positions": "rope"}, "rope"),
        ("vit", IMAGE, {"patch": 5}, "model.patch=5"),
        ("transformer", TEXT, {}, "pairs"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(
    name: str, spec: DataSpec, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        build(name, spec, options)


def test_dropout_acts_in_training_only() -> None:
    for name, spec in (("lstm", TEXT), ("gpt", LANGUAGE), ("transformer", PAIRS), ("seq2seq", PAIRS)):
        options = {"layers": 2, **{k: v for k, v in SMALL.items() if k in MODELS[name].options and k != "layers"}}
        network = build_model(ModelConfig(name=name, options=options, dropout=0.5), spec, seed=0)
        inputs, _ = batch_of(spec, 3)
        assert not torch.equal(network(*inputs), network(*inputs)), name
        network.eval()
        assert torch.equal(network(*inputs), network(*inputs)), name
