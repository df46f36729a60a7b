"""How fast this machine could do a workload's multiply-adds if nothing else cost anything.

Every matrix product and convolution of a training step (forward, gradient of the weights, gradient of the inputs) is
timed alone, in the workload's own shapes, on each road that torch has to it:

    floor = sum over layers and passes of  2 * multiply-adds * batch / (rate of the fastest road)

`python -m bench.floor w1` prints it as JSON.

Shapes: B samples, I inputs, O outputs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench.workloads import WORKLOADS, Layer, Workload

REPEATS = 15  # timings of which the least counts: anything above it is somebody else's time
COPIED_BYTES = 256 * 2**20  # larger than any cache
Timings = dict[str, list[float]]  # seconds of each pass (forward, weights, inputs), by road


def seconds_of(run: Callable[[], object]) -> float:
    """Least of several timings of one call, after two that warm up."""
    run()
    run()
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def linear_timings(layer: Layer, batch_size: int) -> Timings:
    """The three products of a linear layer in float32 through torch's own choice, through oneDNN, and in bf16."""
    fan_in, fan_out = layer.sizes
    x_BI, w_OI, g_BO = torch.randn(batch_size, fan_in), torch.randn(fan_out, fan_in), torch.randn(batch_size, fan_out)
    products = [(x_BI, w_OI), (g_BO.t().contiguous(), x_BI.t().contiguous()), (g_BO, w_OI.t().contiguous())]
    products = products[: layer.passes()]

    def default(a: Tensor, b: Tensor) -> Tensor:
        return torch.nn.functional.linear(a, b)

    def onednn(a: Tensor, b: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")  # type: ignore[no-any-return]

    halves = [(a.bfloat16(), b.bfloat16()) for a, b in products]
    roads = {"linear float32": (default, products), "linear bf16": (default, halves)}
    if torch.backends.mkldnn.is_available():
        roads["linear float32 oneDNN"] = (onednn, products)
    return {road: [seconds_of(partial(run, a, b)) for a, b in pairs] for road, (run, pairs) in roads.items()}


def conv_timings(layer: Layer, batch_size: int) -> Timings:
    """The three passes of a convolution, channels-last, in float32 and bf16."""
    channels_in, channels_out, kernel, stride, padding, side = layer.sizes
    timings: Timings = {}
    for road, dtype in (("conv float32", torch.float32), ("conv bf16", torch.bfloat16)):
        last: Any = {"dtype": dtype, "memory_format": torch.channels_last}
        x = torch.randn(batch_size, channels_in, side, side).to(**last)
        w = torch.randn(channels_out, channels_in, kernel, kernel).to(**last)
        g = torch.randn_like(torch.nn.functional.conv2d(x, w, stride=stride, padding=padding))
        shape = ([stride, stride], [padding, padding], [1, 1], False, [0, 0], 1)

        def forward(x: Tensor = x, w: Tensor = w) -> Tensor:
            return torch.nn.functional.conv2d(x, w, stride=stride, padding=padding)

        def weights(g: Tensor = g, x: Tensor = x, w: Tensor = w, shape: Any = shape) -> object:
            return torch.ops.aten.convolution_backward(g, x, w, None, *shape, [False, True, False])

        def inputs(g: Tensor = g, x: Tensor = x, w: Tensor = w, shape: Any = shape) -> object:
            return torch.ops.aten.convolution_backward(g, x, w, None, *shape, [True, False, False])

        passes = (forward, weights, inputs)
        timings[road] = [seconds_of(run) for run in passes[: layer.passes()]]
    return timings


def bandwidth() -> float:
    """Bytes per second that a copy of memory moves, read and written ones both counted."""
    source = torch.ones(COPIED_BYTES // 4)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / seconds_of(lambda: target.copy_(source))


def measure_floor(workload: Workload) -> dict[str, Any]:
    """Rates by road in GFLOP/s, memory bandwidth in GB/s, and the samples/s that they allow."""
    operations: dict[str, float] = {}
    seconds: dict[str, float] = {}
    floor = {"": 0.0, "float32": 0.0, "bf16": 0.0}
    with torch.inference_mode():
        for layer in workload.layers:
            measured = (linear_timings if layer.kind == "linear" else conv_timings)(layer, workload.batch_rows())
            for road, passes in measured.items():
                amount = 2.0 * layer.macs() * layer.passes() * workload.batch_rows() * layer.count
                operations[road] = operations.get(road, 0.0) + amount
                seconds[road] = seconds.get(road, 0.0) + layer.count * sum(passes)
            for precision in floor:
                roads = [passes for road, passes in measured.items() if precision in road]
                floor[precision] += layer.count * sum(min(each) for each in zip(*roads, strict=True))
        bytes_per_second = bandwidth()
    return {
        "gflops": {road: operations[road] / seconds[road] / 1e9 for road in sorted(seconds)},
        "gigabytes_per_second": bytes_per_second / 1e9,
        "samples_per_second": workload.batch_rows() / floor[""],
        "float32_samples_per_second": workload.batch_rows() / floor["float32"],
        "bf16_samples_per_second": workload.batch_rows() / floor["bf16"],
        "macs_per_sample": workload.macs(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=sorted(WORKLOADS))
    print(json.dumps(measure_floor(WORKLOADS[parser.parse_args().workload])))
