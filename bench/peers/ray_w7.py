"""w7 with Ray Tune over plain PyTorch on a local cluster of two processors."""

import logging
import os
import tempfile
import time

os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")

import ray
from ray import tune
from search_plan import read_digits, read_plan, show


def trial(config, plan, data):
    import torch
    from torch_trial import train_trial

    torch.set_num_threads(1)
    accuracy, seconds = train_trial(config["trial"], plan.epochs, *data)
    return {"accuracy": accuracy, "seconds": seconds}


def main():
    plan = read_plan()
    data = read_digits(plan)
    started = time.perf_counter()
    here = os.path.dirname(os.path.abspath(__file__))
    ray.init(
        address="local",  # one that runs already, or a stale one, is not this one
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": {"PYTHONPATH": here}},
    )
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_parameters(trial, plan=plan, data=data),
            param_space={"trial": tune.grid_search(plan.configs)},
            tune_config=tune.TuneConfig(metric="accuracy", mode="max"),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        found = tuner.fit()
        elapsed = time.perf_counter() - started
        by_config = {repr(result.config["trial"]): result.metrics for result in found}
    ray.shutdown()
    metrics = [by_config[repr(config)] for config in plan.configs]
    own = sum(one["seconds"] for one in metrics) / 2
    show(plan, [one["accuracy"] for one in metrics], search_seconds=elapsed, training_seconds=own)


if __name__ == "__main__":
    main()
