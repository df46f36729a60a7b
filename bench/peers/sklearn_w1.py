"""w1 with scikit-learn's MLPClassifier, one pass over the data per partial_fit."""

import time

import datasets
import numpy as np
from report import Report, read_options
from sklearn.neural_network import MLPClassifier


def main() -> None:
    options = read_options()
    x_train, y_train, x_test, y_test = datasets.mnist(options.data, options.limit)
    x_train, x_test = x_train.reshape(-1, 784), x_test.reshape(-1, 784)
    model = MLPClassifier((512, 256), batch_size=128, learning_rate_init=1e-3, alpha=0.0)
    report = Report(len(x_train))
    classes = np.unique(y_train)
    for epoch in range(options.epochs):
        started = time.perf_counter()
        model.partial_fit(x_train, y_train, classes=classes)
        report.epoch(time.perf_counter() - started)
        if (options.target or epoch == options.epochs - 1) and report.score(
            model.score(x_test, y_test), options.target
        ):
            break
    report.show(options)


if __name__ == "__main__":
    main()
