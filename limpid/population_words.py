"""The words that ask for several networks in one run, as the options that they stand for.

seeds=8              eight networks that differ by their seed
bag=10               ten networks on bootstrap resamples of the training rows
folds=5              five networks, each validated on another fifth of all rows but the test's
sizes=[0.1, 0.5, 1]  networks on growing parts of the training rows; sizes=5: five parts, each twice the one before
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from limpid.errors import ConfigError

WORDS = ("seeds", "folds", "bag", "sizes")
SEEDS_OF_SIZES = 3  # of each size, where nobody says how many: the fewest whose spread says something


def spell_out(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with these words replaced. Raises ConfigError for words that exclude one another.

    >>> spell_out({"lr": 0.1, "bag": 10})
    {'lr': 0.1, 'training__members': 10, 'training__ensemble': 'bagging'}
    """
    asked = {name: options[name] for name in WORDS if options.get(name) is not None}
    rest = {name: value for name, value in options.items() if name not in WORDS}
    if len(asked) > 1 and asked.keys() != {"seeds", "sizes"}:
        given = " and ".join(f"{name} = {value}" for name, value in asked.items())
        raise ConfigError(f"{given} do not go together. Give one of seeds, folds and bag; sizes goes with seeds alone.")
    if "folds" in asked:
        count = _count("folds", asked["folds"], least=2)
        return rest | {"training__members": count, "training__ensemble": "folds", "data__fold": f"0/{count}"}
    if "bag" in asked:
        return rest | {"training__members": _count("bag", asked["bag"], least=2), "training__ensemble": "bagging"}
    if "sizes" in asked:
        count = _count("seeds", asked.get("seeds", SEEDS_OF_SIZES), least=1)
        shares = _shares(asked["sizes"])
        return rest | {"training__members": count, "training__ensemble": "seeds", "training__sizes": shares}
    if "seeds" in asked:
        return rest | {"training__members": _count("seeds", asked["seeds"], least=1), "training__ensemble": "seeds"}
    return rest


def _count(word: str, value: Any, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{word} = {value}: expected a whole number, {least} or more.")
    return value


def _shares(value: Any) -> tuple[float, ...]:
    """Rising shares of the training rows: a number of them, a text with commas, or the shares themselves.

    >>> _shares("3"), _shares("1, 0.2")
    ((0.25, 0.5, 1.0), (0.2, 1.0))
    """
    parts = [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    try:
        numbers = [float(part) for part in ([parts] if isinstance(parts, int | float) else parts)]
    except (TypeError, ValueError):
        numbers = [math.nan]
    if len(numbers) == 1 and numbers[0] >= 2 and numbers[0].is_integer() and numbers[0] <= 20:
        return tuple(0.5**power for power in reversed(range(int(numbers[0]))))
    if len(set(numbers)) < 2 or not all(0 < number <= 1 for number in numbers):
        raise ConfigError(
            f"sizes = {value}: expected at least two shares of the training rows, such as 0.1,0.3,1, or how many "
            "sizes there are to be, such as 5."
        )
    return tuple(sorted(set(numbers)))
