"""w4 in fastai: DataLoaders, a Learner, fit. Decay and epsilon are set to those of the other programs."""

import time
from functools import partial

import datasets
import torch
from fastai.basics import Adam, Callback, CancelFitException, DataLoader, DataLoaders, Learner
from report import Options, Report, read_options
from sequence_networks import RowsLSTM
from torch import Tensor, nn
from torch.utils.data import TensorDataset


def accuracy(output: Tensor, y: Tensor) -> Tensor:
    return (output.argmax(1) == y).float().mean()


class Clock(Callback):
    """Times the training part of an epoch; stops at the target."""

    def __init__(self, options: Options, report: Report) -> None:
        self.options, self.report = options, report

    def before_train(self) -> None:
        self.started = time.perf_counter()

    def after_train(self) -> None:
        self.report.epoch(time.perf_counter() - self.started)

    def after_epoch(self) -> None:
        if self.report.score(self.recorder.metrics[0].value, self.options.target):
            raise CancelFitException


def main() -> None:
    options = read_options()
    x_train, y_train, x_test, y_test = (torch.from_numpy(a) for a in datasets.mnist(options.data, options.limit))
    dls = DataLoaders(
        DataLoader(TensorDataset(x_train, y_train), bs=128, shuffle=True),
        DataLoader(TensorDataset(x_test, y_test), bs=1000),
        device="cpu",
    )
    report = Report(len(x_train))
    learner = Learner(
        dls,
        RowsLSTM(),
        loss_func=nn.CrossEntropyLoss(),
        opt_func=partial(Adam, sqr_mom=0.999, eps=1e-8, wd=0),
        metrics=accuracy,
        cbs=Clock(options, report),
    )
    with learner.no_logging():
        learner.fit(options.epochs, lr=1e-3)
    report.show(options)


if __name__ == "__main__":
    main()
