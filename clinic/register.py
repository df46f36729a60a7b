"""Every condition by name, and which seeds of it are for calibrating and which for reporting."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from clinic import (
    conditions_bugs,
    conditions_data,
    conditions_learning,
    conditions_searches,
    conditions_signal,
    near_data,
)
from clinic.condition import Condition
from clinic.healthy import healthy

Half = Literal["calibration", "report"]

CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for group in (
        conditions_bugs.sick(),
        conditions_data.sick(),
        conditions_signal.sick(),
        conditions_learning.sick(),
        conditions_searches.sick(),
        near_data.near(),
        conditions_bugs.near(),
        conditions_signal.near(),
        conditions_learning.near(),
        conditions_searches.near(),
        healthy(),
        conditions_searches.healthy(),
    )
    for condition in group
}
REAL = "LIMPID_CLINIC_DATA"  # tells worker processes where the real data lie


def bring_real(folder: Path) -> None:
    """Add the conditions on real data of this folder, here and in the workers to come."""
    from clinic.real import conditions

    os.environ[REAL] = str(folder.resolve())
    CONDITIONS.update({condition.name: condition for condition in conditions(folder.resolve())})


if os.environ.get(REAL):
    bring_real(Path(os.environ[REAL]))
SEEDS = {"sick": 8, "near": 2, "healthy": 2}  # of each half, unless told
SEARCHES = 40  # of each condition of searches, where nothing is trained
SECONDS = {  # what a run of the dearer conditions takes on one core, roughly; of all others less than one
    **dict.fromkeys(
        (
            *("B13-no-causal-mask", "D06-bars-20", "D06-digits-20", "D06-digits-pairs-20", "D06-rings-20"),
            *("D14-turned-digits", "G01-two-units", "G02-memorised", "G02-wide-moons", "G05-column-tells"),
            *("G06-three-epochs", "G07-confident", "G08-one-town", "G13-corner", "O01-adamw-0.1", "O01-rings"),
            *("O01-sgd-1", "O02-rings", "O03-rising-rate", "O08-momentum", "O09-post-norm", "O12-forgetting"),
            *("S02-deep-large", "S02-deep-small", "S03-deep-sigmoid", "S03-recurrent", "S05-rate-1"),
            *("S07-deep-tanh", "S08-blow-up", "S09-sharp-attention"),
        ),
        1.5,
    ),
    **dict.fromkeys(("G06-much-too-long", "G10-memorising", "O01-tab-r", "O02-sgd-1e-5", "O05-constant-rate"), 3.0),
    **dict.fromkeys(("O02-adamw-1e-6", "O06-batch-of-two", "O07-full-batch"), 5.0),
}
DEARER = ((2.0, 3), (1.0, 5))  # of sick conditions above so many seconds, only so many seeds


def seeds_of(condition: Condition, half: Half, num_seeds: int | None) -> list[int]:
    """Even seeds calibrate, odd ones report; conditions that are held back are reported only."""
    usual = SEEDS[condition.group]
    if condition.group == "sick":
        price = SECONDS.get(condition.name, 0.0)
        usual = next((few for seconds, few in DEARER if price > seconds), usual)
    usual = SEARCHES if condition.scope == "search" else usual
    count = usual if num_seeds is None else num_seeds
    if half == "calibration":
        return [] if condition.held_back else [2 * i for i in range(count)]
    return [2 * i + 1 for i in range(count)]


def tasks(half: Half, num_seeds: int | None, only: Iterable[str] = ()) -> list[tuple[str, int]]:
    """(condition, seed) of a half; `only` keeps codes, groups and parts of names."""
    words = tuple(only)
    chosen = [c for c in CONDITIONS.values() if not words or any(_fits(c, word) for word in words)]
    found = [(c.name, seed) for c in chosen for seed in seeds_of(c, half, num_seeds)]
    return sorted(found, key=lambda task: task[1])  # an interrupted clinic has a little of everything


def _fits(condition: Condition, word: str) -> bool:
    return word in (condition.code, condition.group) or word in condition.name
