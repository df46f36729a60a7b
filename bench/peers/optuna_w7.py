"""w7 with an Optuna study over plain PyTorch; the configurations are put into its queue."""

import argparse
import sys
import time

import optuna
from search_plan import read_digits, read_plan, show
from torch_trial import train_trial


def main(style):
    plan = read_plan()
    data = read_digits(plan)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spent = []

    def objective(trial):
        config = {
            "lr": trial.suggest_float("lr", 1e-5, 1.0, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-8, 1.0, log=True),
            "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128]),
        }
        accuracy, seconds = train_trial(config, plan.epochs, *data, style=style)
        spent.append(seconds)
        return accuracy

    started = time.perf_counter()
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    for config in plan.configs:
        study.enqueue_trial(config)
    study.optimize(objective, n_trials=len(plan.configs))
    elapsed = time.perf_counter() - started
    accuracies = [trial.value for trial in study.trials]
    show(plan, accuracies, search_seconds=elapsed, training_seconds=sum(spent))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--style", choices=("tutorial", "resident"), default="tutorial")
    options, rest = parser.parse_known_args()
    sys.argv = [sys.argv[0], *rest]
    main(options.style)
