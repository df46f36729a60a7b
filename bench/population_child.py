"""One population, or a loop of single runs, in a process of its own: `python -m bench.population_child JOB`.

JOB is a JSON object: `options` for the configuration, `members`, `way` and `on`. Prints one JSON line.

    population   members that differ in their seed, by train_population, without a folder
    run          the same as one run of `limpid.train`, with folder, record and members
    loop         as many single runs of `limpid.train`, one after another
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from typing import Any

import torch

import limpid
from limpid.config import Config
from limpid.config_reader import with_options
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.host import Listed
from limpid.population.member import Member


def main() -> None:
    """Do the job that the command line describes."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    warm = dict(job, members=1, options=job["options"] | {"epochs": 1})
    ground = Ground()
    if job["way"] == "population":
        in_population(warm, ground)
        process, clock = time.process_time(), time.perf_counter()
        figures = in_population(job, ground)
    else:
        in_folders(dict(warm, way="loop"))
        process, clock = time.process_time(), time.perf_counter()
        figures = in_folders(job)
    values = {"seconds": time.perf_counter() - clock, "cpu_seconds": time.process_time() - process}
    values["figure"] = sum(figures) / len(figures)
    if torch.cuda.is_available():
        values["device_megabytes"] = torch.cuda.max_memory_allocated() / 1e6
    print(json.dumps(values), flush=True)


def in_population(job: dict[str, Any], ground: Ground) -> list[float]:
    """The best validation figure of each member."""
    config = with_options(Config(), job["options"])
    ground.dataset(config)
    host = Listed(Member(number, with_options(config, {"seed": number})) for number in range(job["members"]))
    train_population(host, ground, on=job["on"])
    failed = [outcome.reason for outcome in host.outcomes.values() if outcome.state != "finished"]
    if failed:
        raise SystemExit(failed[0])
    return [outcome.figure for outcome in host.outcomes.values()]


def in_folders(job: dict[str, Any]) -> list[float]:
    """The test loss of each run."""
    options = job["options"] | {"record__report": False}
    with tempfile.TemporaryDirectory() as folder:
        if job["way"] == "run":
            many = {"training__members": job["members"], "training__ensemble": "seeds"}
            runs = [limpid.train(**options, **many, record__out=f"{folder}/run")]
        else:
            runs = [
                limpid.train(**options, seed=seed, record__out=f"{folder}/{seed}") for seed in range(job["members"])
            ]
        return [run.events("result")[-1]["loss"] for run in runs]


if __name__ == "__main__":
    main()
