"""Which trials are worth going on with, judged by their validation figure after each epoch. All are optuna's.

none       every trial is trained to its end
median     stop one that is worse than the median of the earlier ones at the same epoch (Golovin et al. 2017)
halving    asynchronous successive halving: of every three, one goes on to three times the epochs (Li et al. 2020)
hyperband  halving from several first epochs, so that late bloomers have a chance (Li et al. 2018)
"""

from __future__ import annotations

from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

from limpid.errors import ConfigError, nearest

PRUNERS = ("none", "median", "halving", "hyperband")
WARM_SHARE = 5  # a fifth of the epochs pass before the median is asked: first epochs say little under a warm-up
FIRST_TRIALS = 5  # are trained to their end before a median means anything
FACTOR = 3  # of the epochs between two rungs, and of the trials that fall


def build_pruner(name: str, epochs: int) -> BasePruner:
    """The pruner of this name.

    Args:
        name: one of PRUNERS.
        epochs: most that a trial is trained; reports come once after each, numbered from 1.

    Raises ConfigError for another name, with the nearest.
    """
    plain = name.lower().replace("_", "-")
    if plain not in PRUNERS:
        hint = nearest(plain, PRUNERS)
        raise ConfigError(
            f"pruner={name} is not known."
            + (f" Did you mean {hint}?" if hint else "")
            + f" There are {', '.join(PRUNERS)}."
        )
    if plain == "median":
        return MedianPruner(n_startup_trials=FIRST_TRIALS, n_warmup_steps=max(1, epochs // WARM_SHARE))
    if plain == "halving":
        return SuccessiveHalvingPruner(min_resource=first_rung(epochs), reduction_factor=FACTOR)
    if plain == "hyperband":
        return HyperbandPruner(
            min_resource=min(first_rung(epochs), epochs), max_resource=max(epochs, 1), reduction_factor=FACTOR
        )
    return NopPruner()


def first_rung(epochs: int) -> int:
    """Epochs before the first decision: a ninth of all, so that two decisions thin the field before the last third."""
    return max(1, epochs // FACTOR**2)
