"""w7 with KerasTuner; an oracle hands out the configurations one by one."""

import argparse
import os
import sys
import tempfile
import time


def main(backend):
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import keras_tuner
    from search_plan import HIDDEN, read_digits, read_plan, show

    class Given(keras_tuner.Oracle):
        """Hands out the plan's configurations in their order."""

        def populate_space(self, trial_id):
            number = len(self.start_order)
            if number >= len(plan.configs):
                return {"status": keras_tuner.engine.trial.TrialStatus.STOPPED, "values": None}
            return {"status": keras_tuner.engine.trial.TrialStatus.RUNNING, "values": dict(plan.configs[number])}

    class Digits(keras_tuner.HyperModel):
        def build(self, hp):
            lr = hp.Float("lr", 1e-5, 1.0, sampling="log")
            decay = hp.Float("weight_decay", 1e-8, 1.0, sampling="log")
            hp.Choice("batch_size", [32, 64, 128])
            penalty = keras.regularizers.L2(decay / 2)
            model = keras.Sequential(
                [
                    keras.Input((64,)),
                    *(keras.layers.Dense(width, "relu", kernel_regularizer=penalty) for width in HIDDEN),
                    keras.layers.Dense(10, kernel_regularizer=penalty),
                ]
            )
            model.compile(
                optimizer=keras.optimizers.Adam(lr),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["accuracy"],
            )
            return model

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, batch_size=hp.get("batch_size"), **kwargs)

    plan = read_plan()
    x_train, y_train, x_valid, y_valid = read_digits(plan)
    with tempfile.TemporaryDirectory() as folder:
        oracle = Given(objective=keras_tuner.Objective("val_accuracy", "max"), max_trials=len(plan.configs), seed=0)
        tuner = keras_tuner.Tuner(oracle, Digits(), directory=folder, overwrite=True)
        started = time.perf_counter()
        tuner.search(x_train, y_train, epochs=plan.epochs, validation_data=(x_valid, y_valid), verbose=0)
        elapsed = time.perf_counter() - started
        trials = [oracle.trials[name] for name in oracle.start_order]
        accuracies = [trial.score for trial in trials]
    show(plan, accuracies, search_seconds=elapsed, training_seconds=elapsed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", choices=("tensorflow", "jax", "torch"), default="tensorflow")
    options, rest = parser.parse_known_args()
    sys.argv = [sys.argv[0], *rest]
    main(options.backend)
