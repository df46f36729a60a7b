"""A resumed network goes on bit for bit; what does not fit, or could run code, is refused."""

from __future__ import annotations

import hashlib
import io
import json
import math
import pickle
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from limpid.errors import CheckpointError
from limpid.optim.averaging import WeightAverage
from limpid.record import Checkpoint, Run
from limpid.training.checkpoint import capture, decode, encode, load_weights, restore, state_digest
from limpid.training.randomness import seed_random
from limpid.training.tensors import decode_tensors, encode_tensors

Parts = tuple[nn.Module, torch.optim.Optimizer, WeightAverage]


class Net(nn.Module):
    """Convolution, normalisation, dropout, a tied weight and odd buffers, in a few hundred numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.encode = nn.Linear(16, 5)
        self.head = nn.Linear(5, 16)
        self.head.weight = nn.Parameter(self.encode.weight.T.clone())
        self.again = nn.Linear(5, 16)
        self.again.weight = self.head.weight
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("scale", torch.tensor(0.1, dtype=torch.bfloat16))
        self.register_buffer("count", torch.tensor(2**40 + 1))
        self.register_buffer("none", torch.empty(0, 3))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.encode(self.drop(self.norm(self.conv(x)).flatten(1)))
        return self.head(hidden) + self.again(hidden)


OPTIMIZERS: dict[str, Callable[[list[dict[str, Any]]], torch.optim.Optimizer]] = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True),
    "plain sgd": lambda groups: torch.optim.SGD(groups, lr=0.05),
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.01, betas=(0.8, 0.9), amsgrad=True),
    "adamw fused": lambda groups: torch.optim.AdamW(groups, lr=0.01, fused=True),
    "tensor lr": lambda groups: torch.optim.Adam(groups, lr=torch.tensor(0.01), foreach=False),
}


def build(name: str, seed: int) -> Parts:
    torch.manual_seed(seed)
    model = Net().to(memory_format=torch.channels_last)
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    return model, OPTIMIZERS[name](groups), WeightAverage(model, 0.9)


def take_steps(parts: Parts, num_steps: int) -> list[str]:
    """Steps on inputs from the global generators; the digest of all state after each."""
    model, optimizer, average = parts
    digests = []
    for _ in range(num_steps):
        x = torch.randn(5, 3, 4, 4) * random.random() + float(np.random.rand())
        model(x.to(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        average.update(model)
        files = encode(capture(model, optimizer, average, None, {}))
        digests.append(hashlib.sha256(b"".join(files.values())).hexdigest())
    return digests


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_network_has_the_same_state_after_every_step(tmp_path: Path, name: str) -> None:
    parts = build(name, seed=0)
    take_steps(parts, 3)
    best = {key: value.clone() for key, value in parts[0].state_dict().items()}
    progress = {"step": 3, "loss": 0.1 + 0.2, "worst": math.inf, "bad": math.nan, "none": None, "sizes": [1, 2]}
    with Run.create(tmp_path / "run", {}) as run:
        run.write_checkpoint(3, encode(capture(*parts, best, progress)), keep=1)
    expected = take_steps(parts, 3)

    resumed = build(name, seed=1)
    random.seed(5)
    np.random.seed(5)
    np.random.randn()
    checkpoint = Run.open(tmp_path / "run").latest_checkpoint()
    assert checkpoint is not None
    state = decode(checkpoint)
    restore(state, *resumed)
    assert take_steps(resumed, 3) == expected
    assert math.isnan(state.progress.pop("bad"))
    assert state.progress == {key: value for key, value in progress.items() if key != "bad"}
    assert resumed[0].again.weight is resumed[0].head.weight
    assert state_digest(load_weights(checkpoint)) == state_digest(best)


@pytest.mark.parametrize("generator", ["torch", "python", "numpy"])
def test_without_one_generator_the_resumed_network_would_differ(generator: str) -> None:
    """The control of the test above."""
    parts = build("sgd", seed=0)
    saved = as_checkpoint(encode(capture(*parts, None, {})))
    expected = take_steps(parts, 2)
    other = build("sgd", seed=1)
    state = decode(saved)
    state.rng[generator] = capture(*other, None, {}).rng[generator]
    restore(state, *other)
    assert take_steps(other, 2) != expected


def test_one_seed_starts_every_generator() -> None:
    def draw(seed: int) -> list[float]:
        seed_random(seed)
        return [torch.rand(1).item(), random.random(), float(np.random.rand())]

    first = draw(3)
    assert draw(3) == first
    assert all(one != other for one, other in zip(first, draw(4), strict=True))


def test_state_before_the_first_step_is_restored_too() -> None:
    parts = build("adamw fused", seed=0)
    saved = as_checkpoint(encode(capture(*parts, None, {})))
    expected = take_steps(parts, 2)
    other = build("adamw fused", seed=1)
    take_steps(other, 2)  # its moments must go
    restore(decode(saved), *other)
    assert take_steps(other, 2) == expected


def test_moments_get_the_layout_of_their_weights() -> None:
    parts = build("adamw fused", seed=0)
    take_steps(parts, 1)
    other = build("adamw fused", seed=1)
    restore(decode(as_checkpoint(encode(capture(*parts, None, {})))), *other)
    weight = other[0].conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    assert other[1].state[weight]["exp_avg"].stride() == weight.stride()


class InMemory(Checkpoint):
    """A checkpoint that was never written."""

    def read(self, name: str) -> bytes:
        return self.files[name]  # type: ignore[return-value]


def as_checkpoint(files: dict[str, bytes]) -> Checkpoint:
    return InMemory(Path("memory"), 0, 0, files)  # type: ignore[arg-type]


def refuse(parts: Parts, other: Parts, match: str) -> None:
    """Restoring must raise, and leave the other parts as they were."""
    state = decode(as_checkpoint(encode(capture(*parts, None, {}))))
    before = state_digest(other[0].state_dict())
    torch_state = torch.get_rng_state()
    with pytest.raises(CheckpointError, match=match):
        restore(state, *other)
    assert state_digest(other[0].state_dict()) == before
    assert torch.equal(torch.get_rng_state(), torch_state)


def parts_of(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Parts:
    return model, optimizer or torch.optim.Adam(model.parameters()), WeightAverage(model, 0.9)


def test_other_shapes_names_dtypes_and_optimisers_are_named() -> None:
    parts = parts_of(nn.Linear(3, 2))
    take = parts[0](torch.ones(1, 3)).sum()
    take.backward()
    parts[1].step()
    refuse(parts, parts_of(nn.Linear(3, 4)), r"for weight, expected \(4, 3\) of torch.float32, found \(2, 3\)")
    refuse(parts, parts_of(nn.Linear(3, 2).double()), r"for weight, .*torch.float64, found .*torch.float32")
    refuse(parts, parts_of(nn.Linear(3, 2, bias=False)), "holds bias, which is not there")
    refuse(parts_of(nn.Linear(3, 2, bias=False)), parts, "has no bias")
    model = nn.Linear(3, 2)
    refuse(parts, parts_of(model, torch.optim.SGD(model.parameters(), lr=1.0)), "another optimiser: option")
    groups = [{"params": [model.weight]}, {"params": [model.bias]}]
    refuse(parts, parts_of(model, torch.optim.Adam(groups)), "has 1 groups of parameters, this one 2")
    refuse(parts, parts_of(model, torch.optim.Adam([model.weight])), "Group 0 .* bias differs")
    with pytest.raises(CheckpointError, match=r"optim\.ema was changed"):
        restore(decode(as_checkpoint(encode(capture(*parts, None, {})))), parts[0], parts[1], None)


def test_moments_of_a_wrong_shape_are_refused_before_a_kernel_sees_them() -> None:
    parts = parts_of(nn.Linear(3, 2))
    parts[0](torch.ones(1, 3)).sum().backward()
    parts[1].step()
    parts[1].state[parts[0].weight]["exp_avg"] = torch.zeros(1000)
    refuse(parts, parts_of(nn.Linear(3, 2)), r"exp_avg of weight: expected shape \(2, 3\), found \(1000,\)")


def test_extra_state_that_is_no_tensor_is_refused_when_saving() -> None:
    class Extra(nn.Linear):
        def get_extra_state(self) -> Any:
            return {"a": 1}

    with pytest.raises(CheckpointError, match="_extra_state: the model keeps a dict"):
        capture(*parts_of(Extra(1, 1)), None, {})


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        torch.randn(4, 6).T,
        torch.randn(8)[::2],
        torch.randn(3).bfloat16(),
        torch.randn(3).half(),
        torch.tensor(3),
        torch.tensor([True, False]),
        torch.empty(0, 2),
        torch.tensor([math.nan, math.inf, -0.0]),
        torch.randn(1).expand(5),
        nn.Parameter(torch.randn(3)),
        torch.arange(5, dtype=torch.uint8),
    ],
)
def test_tensors_survive_exactly(tensor: Tensor) -> None:
    read = decode_tensors(encode_tensors({"a": tensor, "same": tensor}), "x")
    for name in ("a", "same"):
        assert read[name].dtype == tensor.dtype
        assert read[name].shape == tensor.shape
        assert state_digest({"": read[name]}) == state_digest({"": tensor})


def test_a_header_whose_size_looks_like_a_pickle_or_an_archive_is_read() -> None:
    """A size of 128 begins like a pickle, 19280 like a zip, 35615 is no multiple of 8 but files need not be padded."""
    for size in (0x80, 0x4B50, 0x8B1F):
        header = json.dumps({"a": entry()}).encode().ljust(size)
        assert decode_tensors(header_file(header, struct.pack("<f", 1.5)), "x")["a"].tolist() == [1.5]


def test_the_digest_sees_names_dtypes_shapes_and_values_but_not_order_or_layout() -> None:
    a, b = torch.randn(2, 3, 4, 4), torch.randn(3)
    digest = state_digest({"a": a, "b": b})
    assert len(digest) == 64
    assert digest == state_digest({"b": b, "a": a.to(memory_format=torch.channels_last)})
    different = [
        {"a": a, "c": b},
        {"a": a},
        {"a": a, "b": b.view(1, 3)},
        {"a": a, "b": b.view(torch.int32)},
        {"a": a, "b": torch.nextafter(b, b + 1)},
        {"a": b, "b": a},
    ]
    assert len({digest, *(state_digest(other) for other in different)}) == len(different) + 1
    assert state_digest({"a": torch.tensor(0.0)}) != state_digest({"a": torch.tensor(-0.0)})


def test_weights_come_from_the_best_the_last_or_a_file(tmp_path: Path) -> None:
    model, best = {"a": torch.ones(2)}, {"a": torch.zeros(2)}
    files = {"model.safetensors": encode_tensors(model)}
    assert state_digest(load_weights(as_checkpoint(files))) == state_digest(model)
    files["best.safetensors"] = encode_tensors(best)
    assert state_digest(load_weights(as_checkpoint(files))) == state_digest(best)
    save_file(model, tmp_path / "w.safetensors")
    assert state_digest(load_weights(tmp_path / "w.safetensors")) == state_digest(model)
    with pytest.raises(CheckpointError, match="no such file"):
        load_weights(tmp_path / "none.safetensors")


class Bomb:
    """Writes a file when unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.canary, "code ran")


def header_file(header: bytes, body: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if size is None else size) + header + body


def entry(dtype: str = "F32", shape: tuple[int, ...] = (1,), offsets: tuple[int, int] = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def hostile_files(canary: Path) -> dict[str, bytes]:
    zipped = io.BytesIO()
    torch.save(Bomb(canary), zipped)
    legacy = io.BytesIO()
    torch.save(Bomb(canary), legacy, _use_new_zipfile_serialization=False)
    return {
        "zip of torch.save": zipped.getvalue(),
        "legacy torch.save": legacy.getvalue(),
        **{f"pickle {p}": pickle.dumps(Bomb(canary), protocol=p) for p in range(pickle.HIGHEST_PROTOCOL + 1)},
        "gzip": b"\x1f\x8b\x08\x00" + bytes(20),
        "empty": b"",
        "short": b"\x00" * 7,
        "huge header declared": header_file(b"{}", size=2**63),
        "100 MB header declared": header_file(b"{}", size=100 * 2**20),
        "header one too long": header_file(b"{}", size=3),
        "not JSON": header_file(b"nonsense"),
        "deep JSON": header_file(b'{"a":' + b"[" * 100_000),
        "repeated name": header_file(
            b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
            b"x",
        ),
        "overlap": header_file(json.dumps({"a": entry(), "b": entry()}).encode(), bytes(4)),
        "hole": header_file(json.dumps({"a": entry(offsets=(4, 8))}).encode(), bytes(8)),
        "2 GB declared": header_file(
            json.dumps({"a": entry(shape=(2**29,), offsets=(0, 2**31))}).encode(), bytes(1000)
        ),
        "overflowing shape": header_file(json.dumps({"a": entry(shape=(2**62, 2**62))}).encode(), bytes(4)),
        "negative shape": header_file(json.dumps({"a": entry(shape=(-1,))}).encode(), bytes(4)),
        "unknown dtype": header_file(json.dumps({"a": entry(dtype="F99")}).encode(), bytes(4)),
        "trailing bytes": header_file(json.dumps({"a": entry()}).encode(), bytes(5)),
        "long header": header_file(b"{" + b" " * 2**24 + b"}"),
    }


def test_hostile_tensor_files_are_refused_and_run_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for case, data in hostile_files(canary).items():
        path = tmp_path / "weights.safetensors"
        path.write_bytes(data)
        tracemalloc.start()
        with pytest.raises(CheckpointError, match="weights.safetensors"):
            load_weights(path)
        assert tracemalloc.get_traced_memory()[1] < 200e6, case
        tracemalloc.stop()
        parts = parts_of(nn.Linear(1, 1))
        for name in ("model.safetensors", "training.safetensors", "best.safetensors"):
            files = {**encode(capture(*parts, {}, {})), name: data}
            with pytest.raises(CheckpointError, match=name):
                decode(as_checkpoint(files))
    assert not canary.exists()
    with (tmp_path / "real.pkl").open("wb") as file:
        pickle.dump(Bomb(canary), file)
    pickle.loads((tmp_path / "real.pkl").read_bytes())
    assert canary.exists(), "the canary does not sing: the test proves nothing"


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".pkl"])
def test_pickled_weights_are_refused_by_name_with_advice(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match=r"expected a \.safetensors file.*never loaded.*save_file"):
        load_weights(path)
    path.rename(tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match=r"is a pickle or an archive.*never loaded.*save_file"):
        load_weights(tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "damaged"),
        ("[]", "expected a JSON object"),
        ('{"format": 9}', "format 9; this version reads 1"),
        ('{"format": 1}', "'optimizer' is missing"),
        ('{"format": 1, "optimizer": {"$tensor": "absent"}}', "'absent' is missing"),
        ('{"format": 1, "format": 1}', "stands twice"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_damaged_state_is_refused(text: str, match: str) -> None:
    files = encode(capture(*parts_of(nn.Linear(1, 1)), None, {}))
    with pytest.raises(CheckpointError, match=match) as error:
        decode(as_checkpoint({**files, "state.json": text.encode()}))
    assert "state.json" in str(error.value)
