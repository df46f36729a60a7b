"""w7 with Limpid's populations: `python -m bench.population_w7 PLAN`; prints one JSON line, as the peers do."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

STARTED = float(os.environ.get("LIMPID_BENCH_STARTED", time.time()))
# Adam as its paper has it, at one rate, on raw rows, an evaluation after every epoch of which the best counts.
RECIPE = {
    "data__source": "digits",
    "model__name": "mlp",
    "model__hidden": (64, 32),
    "model__norm": "none",
    "model__dropout": 0.0,
    "objective__label_smoothing": 0.0,
    "augment__flip": False,
    "augment__crop": 0,
    "optim__name": "adam",
    "optim__schedule": "constant",
    "training__monitor": "accuracy",
}


def main() -> None:
    """Train the plan's configurations as one population."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--on", default="auto", help="the way to train it")
    options = parser.parse_args()
    plan: dict[str, Any] = json.loads(options.plan.read_text(encoding="utf-8"))

    from limpid.fork_server import expect_workers

    expect_workers(options.on, len(plan["configs"]))  # before torch is loaded, as the commands do
    from limpid.config import Config
    from limpid.config_reader import with_options
    from limpid.population.executors import train_population
    from limpid.population.ground import Ground
    from limpid.population.host import Listed
    from limpid.population.member import Member

    members = []
    for number, tried in enumerate(plan["configs"]):
        own = {"optim__lr": tried["lr"], "optim__weight_decay": tried["weight_decay"]}
        own |= {"batch_size": tried["batch_size"], "epochs": plan["epochs"]}
        members.append(Member(number, with_options(Config(), RECIPE | own)))
    ground, host = Ground(), Listed(members)
    dataset = ground.dataset(members[0].config)
    assert dataset.train.index is not None
    assert dataset.train.index.tolist() == plan["train"], "another split"
    started = time.perf_counter()
    train_population(host, ground, on=options.on)
    elapsed = time.perf_counter() - started
    outcomes = [host.outcomes[member.number] for member in members]
    failed = [outcome.reason for outcome in outcomes if outcome.state != "finished"]
    if failed:
        raise SystemExit(f"{len(failed)} of {len(outcomes)} trials failed: {failed[0]}")
    accuracies = [outcome.figure for outcome in outcomes]
    best = max(range(len(outcomes)), key=accuracies.__getitem__)
    values = {
        "trials": len(outcomes),
        "best_accuracy": accuracies[best],
        "mean_accuracy": sum(accuracies) / len(accuracies),
        "best": plan["configs"][best],
        "search_seconds": elapsed,
        "training_seconds": elapsed,
        "seconds_in_process": time.time() - STARTED,
    }
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
