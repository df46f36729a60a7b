"""w4 in Keras 3 on torch, jax or tensorflow: a model, compile, fit."""

import os
import time

from report import Options, Report, read_options

options = read_options(backends=("jax", "torch", "tensorflow"))
os.environ["KERAS_BACKEND"] = options.backend  # Keras reads it once, on import
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import datasets  # noqa: E402
import keras  # noqa: E402
from keras import layers  # noqa: E402


class Clock(keras.callbacks.Callback):
    """Times the training part of an epoch; stops at the target."""

    def __init__(self, options: Options, report: Report) -> None:
        super().__init__()
        self.options, self.report = options, report

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.started, self.noted = time.perf_counter(), False

    def on_test_begin(self, logs: dict | None = None) -> None:
        self.note()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.note()
        if self.options.target and self.report.score((logs or {})["val_accuracy"], self.options.target):
            self.model.stop_training = True

    def note(self) -> None:
        if not self.noted:
            self.report.epoch(time.perf_counter() - self.started)
        self.noted = True


def main() -> None:
    x_train, y_train, x_test, y_test = datasets.mnist(options.data, options.limit)
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.LSTM(128),
            layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    report = Report(len(x_train))
    model.fit(
        x_train,
        y_train,
        batch_size=128,
        epochs=options.epochs,
        verbose=0,
        validation_data=(x_test, y_test) if options.target else None,
        validation_batch_size=1000,
        callbacks=[Clock(options, report)],
    )
    if not options.target:
        report.score(model.evaluate(x_test, y_test, batch_size=1000, verbose=0, return_dict=True)["accuracy"], None)
    report.show(options)


if __name__ == "__main__":
    main()
