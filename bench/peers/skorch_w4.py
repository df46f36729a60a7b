"""w4 in skorch: a classifier with scikit-learn's interface around the network."""

import datasets
import torch
from report import Options, Report, read_options
from sequence_networks import RowsLSTM
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn


class Target(Callback):
    """Scores the test rows after every epoch and stops at the target, as skorch's own early stopping does."""

    def __init__(self, options: Options, report: Report, test: tuple) -> None:
        self.options, self.report, self.test = options, report, test

    def on_epoch_end(self, net: NeuralNetClassifier, **kwargs: object) -> None:
        if self.options.target and self.report.score(net.score(*self.test), self.options.target):
            raise KeyboardInterrupt


def main() -> None:
    options = read_options()
    x_train, y_train, x_test, y_test = datasets.mnist(options.data, options.limit)
    report = Report(len(x_train))
    net = NeuralNetClassifier(
        RowsLSTM,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=128,
        max_epochs=options.epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        callbacks=[("target", Target(options, report, (x_test, y_test)))],
    )
    net.fit(x_train, y_train)
    for seconds in net.history[:, "dur"]:
        report.epoch(seconds)
    if not options.target:
        report.score(net.score(x_test, y_test), None)
    report.show(options)


if __name__ == "__main__":
    main()
