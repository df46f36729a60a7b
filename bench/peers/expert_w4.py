"""w4 as an expert writes it in PyTorch: resident data, fused optimiser, and the fastest precision.

"--precision" is measured beforehand: float32, medium (bf16 inside float32 matrix products) or bf16 (autocast).
"""

import time

import datasets
import torch
import torch.nn.functional as F
from report import Report, read_options
from sequence_networks import RowsLSTM
from torch import Tensor, nn


@torch.inference_mode()
def accuracy(model: nn.Module, x: Tensor, y: Tensor, autocast: torch.autocast) -> float:
    model.eval()
    with autocast:
        guess = torch.cat([model(x_B) for x_B in x.split(1000)]).argmax(1)
    return (guess == y).float().mean().item()


def main() -> None:
    options = read_options(precisions=("float32", "medium", "bf16"))
    if options.precision == "medium":
        torch.set_float32_matmul_precision("medium")
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16")
    x_train, y_train, x_test, y_test = (torch.from_numpy(a) for a in datasets.mnist(options.data, options.limit))

    model = RowsLSTM()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    report = Report(len(x_train))
    for epoch in range(options.epochs):
        started = time.perf_counter()
        model.train()
        for index in torch.randperm(len(x_train)).split(128):
            x, y = x_train[index], y_train[index]
            with autocast:
                loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        report.epoch(time.perf_counter() - started)
        if (options.target or epoch == options.epochs - 1) and report.score(
            accuracy(model, x_test, y_test, autocast), options.target
        ):
            break
    report.show(options)


if __name__ == "__main__":
    main()
