"""w7 with scikit-learn's MLPClassifier, two joblib jobs at a time.

Its penalty alpha is divided by the batch size, so that alpha = weight decay x batch size is the same penalty.
"""

import time
import warnings

from joblib import Parallel, delayed
from search_plan import HIDDEN, read_digits, read_plan, show
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier


def trial(config, epochs, x_train, y_train, x_valid, y_valid):
    started = time.perf_counter()
    warnings.simplefilter("ignore", ConvergenceWarning)
    model = MLPClassifier(
        HIDDEN,
        alpha=config["weight_decay"] * config["batch_size"],
        batch_size=config["batch_size"],
        learning_rate_init=config["lr"],
        max_iter=epochs,
        random_state=0,
    )
    accuracy = model.fit(x_train, y_train).score(x_valid, y_valid)
    return accuracy, time.perf_counter() - started


def main():
    plan = read_plan()
    data = read_digits(plan)
    started = time.perf_counter()
    found = Parallel(n_jobs=2)(delayed(trial)(config, plan.epochs, *data) for config in plan.configs)
    elapsed = time.perf_counter() - started
    own = sum(seconds for _, seconds in found) / 2
    show(plan, [accuracy for accuracy, _ in found], search_seconds=elapsed, training_seconds=own)


if __name__ == "__main__":
    main()
