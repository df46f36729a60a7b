"""What the doctor costs a training that nobody asked it about: `python -m bench.doctor_price w1 w2 w3`.

The same run, with and without `record.doctor`, one after the other in turn: probes before the first step, monitors,
losses of fixed rows, and the checks after every epoch. Random images, because time does not depend on what they show.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.overhead import CASES, FIXED, random_images
from limpid.config import Config
from limpid.config_reader import override
from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.opening import new_run
from limpid.wiring import wire
from limpid.workbench import execute

ROWS = {"w1": 60_000, "w2": 60_000, "w3": 12_800}
EPOCHS = {"w1": 4, "w2": 2, "w3": 2}
VALID_ROWS = 1000


def with_validation(dataset: Dataset) -> Dataset:
    """The same data with its first rows as a validation split."""
    images, labels = dataset.train.rows.tensors[0], dataset.train.target  # type: ignore[attr-defined]
    valid = Split(ResidentRows((images[:VALID_ROWS],)), labels[:VALID_ROWS])
    return Dataset(dataset.spec, dataset.train, valid, lambda: None, fingerprint="random")


def measure_price(key: str, repeats: int) -> dict[str, float]:
    """Seconds of a run without and with the doctor, the probes' share of that, and both in percent of the former."""
    case = CASES[key]
    dataset = with_validation(random_images(case.shape, ROWS[key]))
    batches = f"training.batch_size={case.batch_size}"
    seconds: dict[bool, list[float]] = {True: [], False: []}
    probes: list[float] = []
    for repeat in range(repeats + 1):
        for doctor in (True, False):
            given = override(
                Config(), [*case.options, *FIXED, batches, f"training.epochs={EPOCHS[key]}", "record.report=false"]
            )
            record = given.record.model_copy(update={"doctor": doctor, "out": str(Path(tempfile.mkdtemp()) / "run")})
            given = given.model_copy(update={"record": record})
            wiring = wire(given, dataset)
            run = new_run(wiring, given)
            started = time.perf_counter()
            execute(wiring, run, None, None)
            if repeat or not repeats:  # the first round warms up
                seconds[doctor].append(time.perf_counter() - started)
                if doctor:
                    probes.append(sum(row.get("seconds", 0.0) for row in run.events("probe")))
    plain, doctored = median(seconds[False]), median(seconds[True])
    before = median(probes)
    return {
        "plain": plain,
        "doctored": doctored,
        "probes": before,
        "percent": 100 * (doctored - plain) / plain,
        "later_percent": 100 * (doctored - before - plain) / plain,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="+", choices=sorted(ROWS))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for name in arguments.workloads:
        found = measure_price(name, arguments.repeats)
        print(
            f"{name}: {EPOCHS[name]} epochs take {found['plain']:.2f} s alone and {found['doctored']:.2f} s with the "
            f"doctor ({found['percent']:+.1f} %): probes before {found['probes']:.2f} s, the rest "
            f"{found['later_percent']:+.1f} %"
        )
