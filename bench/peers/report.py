"""What every peer script shares: its options, its clock, and the JSON line that it ends with."""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

# The runner notes when it started the process, so that interpreter start and imports count.
STARTED = float(os.environ.get("LIMPID_BENCH_STARTED", time.time()))


@dataclass
class Options:
    """The command line of a peer script."""

    epochs: int
    target: float | None  # test accuracy to stop at, 0 to 1
    data: Path
    limit: int | None  # training rows to use
    json: bool
    backend: str = ""
    precision: str = "float32"


@dataclass
class Report:
    """Seconds of every epoch and test accuracies, as they come in."""

    num_samples: int
    epoch_seconds: list[float] = field(default_factory=list)
    test_accuracy: float | None = None
    test_loss: float | None = None
    seconds_to_target: float | None = None

    def epoch(self, seconds: float) -> None:
        """Note one pass over the training rows, evaluation left out."""
        self.epoch_seconds.append(seconds)

    def score(self, accuracy: float, target: float | None) -> bool:
        """Note a test accuracy; True when it reaches the target, and training may stop."""
        self.test_accuracy = float(accuracy)
        reached = target is not None and accuracy >= target
        if reached and self.seconds_to_target is None:
            self.seconds_to_target = time.time() - STARTED
        return reached

    def line(self) -> str:
        """One JSON object. Throughput leaves the first epoch out when there are more."""
        steady = self.epoch_seconds[1:] or self.epoch_seconds
        return json.dumps(
            {
                "train_samples_per_second": self.num_samples * len(steady) / sum(steady),
                "test_accuracy": self.test_accuracy,
                "test_loss": self.test_loss,
                "seconds_to_target": self.seconds_to_target,
                "seconds_in_process": time.time() - STARTED,
                "epochs": len(self.epoch_seconds),
            }
        )

    def show(self, options: Options) -> None:
        """Print the result, as JSON or for people."""
        if options.json:
            print(self.line(), flush=True)
        else:
            for key, value in json.loads(self.line()).items():
                print(f"{key:26} {value}")


def read_options(*, backends: tuple[str, ...] = (), precisions: tuple[str, ...] = ()) -> Options:
    """Parse the command line that all peers share; a peer may add a choice of back end or precision."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--target", type=float, default=None, help="stop at this test accuracy, 0 to 1")
    parser.add_argument("--data", type=Path, default=os.environ.get("LIMPID_DATA"), help="data folder (LIMPID_DATA)")
    parser.add_argument("--limit", type=int, default=None, help="use the first N training rows only")
    parser.add_argument("--json", action="store_true")
    if backends:
        parser.add_argument("--backend", choices=backends, default=backends[0])
    if precisions:
        parser.add_argument("--precision", choices=precisions, default=precisions[0])
    options = Options(**vars(parser.parse_args()))
    if options.data is None:
        parser.error("--data DIR is missing, and LIMPID_DATA is not set")
    return options
