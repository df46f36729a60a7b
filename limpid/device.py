"""What machine this is, and which of its roads is fast. The only file that asks.

Arithmetic is chosen by measuring, not by processor flags: there are processors with bfloat16 instructions on which
bfloat16 products are slower than float32 ones, and processors on which one matrix library is half as fast as another.
A measurement takes about 0.1 s and is kept in the cache folder, per processor, torch version and number of threads.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from limpid.cores import usable_cores
from limpid.errors import ConfigError

# bfloat16 must beat float32 by this factor before a CPU uses it. Dimensionless; below it the casts between the two,
# which the measurement leaves out, eat the gain. A guess, checked on two kinds of CPU.
BF16_MUST_GAIN = 1.4

# Operations of a training step below which a second thread gains nothing, measured on two cores: a step of 140 million
# (convolutions on 8x8 digits) takes as long on one thread as on two, one of 320 million (LeNet-5) a tenth longer.
# Beside another busy process two threads make the small step a hundred times slower: each waits for the other in turn.
SMALL_STEP = 2e8


@dataclass(frozen=True)
class Rates:
    """Measured arithmetic of this machine, in 1e9 floating-point operations per second (a multiply-add counts two)."""

    linear_float32: float  # the road that nn.Linear takes
    linear_onednn: float  # the same product through oneDNN
    linear_bf16: float
    conv_float32: float
    conv_bf16: float

    def best_linear(self, precision: str) -> float:
        """The faster road for a matrix product of this precision."""
        return self.linear_bf16 if precision == "bf16" else max(self.linear_float32, self.linear_onednn)

    def conv(self, precision: str) -> float:
        return self.conv_bf16 if precision == "bf16" else self.conv_float32


def choose_device(name: str) -> torch.device:
    """The device of this name; "auto" takes CUDA, else MPS, else the CPU.

    Raises ConfigError when it does not exist here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"training.device = {name!r} is not a device. Use auto, cpu, cuda, cuda:N or mps.") from None
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise ConfigError(f"training.device = {name!r}: this machine has no such device. Use auto or cpu.")
    return device


def prepare_cpu(num_threads: int | None) -> int:
    """Set the CPU up for training and return the number of threads: as asked, or the cores that this process may use.

    Comes before the first tensor is touched. Beside the threads it sets two things that cost a CPU run dearly:

    - Numbers below 1e-38 become zero. Adam's averages of a silent unit's gradient decay into that range after some
      hundred steps, where arithmetic takes ten times longer. Threads that were started before keep such numbers.
    - Freed memory stays with the process. By default glibc gives blocks of this size back after every step and gets
      them again, zeroed, page by page: 15,000 page faults and a tenth of the time of a small ResNet's step.
    """
    torch.set_flush_denormal(True)
    _keep_freed_memory()
    if num_threads is None and "OMP_NUM_THREADS" not in os.environ:
        num_threads = usable_cores()
    if num_threads is not None and num_threads != torch.get_num_threads():
        torch.set_num_threads(num_threads)
    return torch.get_num_threads()


@contextmanager
def as_found() -> Iterator[None]:
    """After the block, torch has as many threads as it had before, and treats numbers below 1e-38 as it did.

    For what is called from programs that go on: an estimator among others, a function of the user's own.
    """
    num_threads = torch.get_num_threads()
    keeps_tiny = bool(torch.full((1,), 1e-40).mul(1) != 0)
    try:
        yield
    finally:
        torch.set_flush_denormal(not keeps_tiny)
        if torch.get_num_threads() != num_threads:
            torch.set_num_threads(num_threads)


@cache
def _keep_freed_memory() -> None:
    """Tell glibc's allocator not to trim its heap and not to map blocks below 32 MiB, the most that it allows."""
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_threshold = -1, -3  # names of the two knobs in malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(mmap_threshold, 32 * 2**20)


def spare_threads(num_threads: int | None, step_operations: Callable[[], float]) -> None:
    """Go on with one thread where steps are too small to be shared, unless a number of threads was asked for."""
    if num_threads is None and torch.get_num_threads() > 1 and step_operations() < SMALL_STEP:
        torch.set_num_threads(1)


def choose_precision(wanted: str, device: torch.device, *, convolutional: bool) -> str:
    """ "bf16" or "float32": as wanted, or where "auto", bf16 if this device computes it fast."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    if device.type != "cpu" or not _cpu_has_bf16():
        return "float32"
    rates = cpu_rates()
    bf16, float32 = rates.linear_bf16, max(rates.linear_float32, rates.linear_onednn)
    if convolutional:
        bf16, float32 = rates.conv_bf16, rates.conv_float32
    return "bf16" if bf16 > BF16_MUST_GAIN * float32 else "float32"


@cache
def cpu_rates() -> Rates:
    """Measured rates of this CPU at the present number of threads."""
    return Rates(**remembered("rates", lambda: asdict(measure_cpu_rates())))


def remembered(what: str, measure: Callable[[], Any]) -> Any:
    """A measurement (a JSON value) of this processor, torch and thread count: from the cache folder, or made now."""
    path = cache_folder() / "machine.json"
    key = f"{_cpu_name()} | torch {torch.__version__} | {torch.get_num_threads()} threads | {what}"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        known = {}
    if key in known:
        return known[key]
    known[key] = measure()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(known, indent=1), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        print(f"note: {path} could not be written ({error.strerror}); the machine is measured anew.", file=sys.stderr)
    return known[key]


def measure_cpu_rates() -> Rates:
    """Time a matrix product and a convolution of the size that small networks have, on each road."""
    x, w = torch.randn(256, 512), torch.randn(512, 512)
    x_half, w_half = x.bfloat16(), w.bfloat16()
    image = torch.randn(32, 32, 16, 16).contiguous(memory_format=torch.channels_last)
    kernel = torch.randn(32, 32, 3, 3).contiguous(memory_format=torch.channels_last)
    image_half, kernel_half = image.bfloat16(), kernel.bfloat16()
    linear_flop, conv_flop = 2.0 * 256 * 512 * 512, 2.0 * 32 * 16 * 16 * 32 * 32 * 9
    has_onednn = torch.backends.mkldnn.is_available()
    with torch.inference_mode():
        return Rates(
            linear_float32=linear_flop / least_seconds(lambda: functional.linear(x, w)) / 1e9,
            linear_onednn=linear_flop / least_seconds(lambda: onednn_product(x, w)) / 1e9 if has_onednn else 0.0,
            linear_bf16=linear_flop / least_seconds(lambda: functional.linear(x_half, w_half)) / 1e9,
            conv_float32=conv_flop / least_seconds(lambda: functional.conv2d(image, kernel, padding=1)) / 1e9,
            conv_bf16=conv_flop / least_seconds(lambda: functional.conv2d(image_half, kernel_half, padding=1)) / 1e9,
        )


def onednn_product(x_BI: Tensor, w_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """x w^T + bias in float32 through oneDNN, (B, O). No gradient is recorded."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x_BI, w_OI, bias_O, "none", [], "")
    return product


def machine_facts() -> dict[str, str | int]:
    """What a record needs to say about this machine and its software."""
    facts: dict[str, str | int] = {
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def cache_folder() -> Path:
    """Where measurements and decoded images are kept: LIMPID_CACHE, or ~/.cache/limpid."""
    return Path(os.environ.get("LIMPID_CACHE") or Path.home() / ".cache" / "limpid")


def least_seconds(run: Callable[[], object], repeats: int = 7) -> float:
    """Least of several timings of one call; the first call, which sets things up, is not counted."""
    run()
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


@cache
def _cpu_name() -> str:
    return _cpu_field("model name") or platform.processor() or platform.machine()


def _cpu_has_bf16() -> bool:
    return "bf16" in _cpu_field("flags") or platform.machine() in ("arm64", "aarch64")


def _cpu_field(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, "")
