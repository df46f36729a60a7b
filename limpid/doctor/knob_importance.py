"""How much each knob of a search mattered, with an interval.

The figures of N trials become normal scores of their ranks, z, so that one trial that broke down does not outweigh the
rest. An additive model is fitted by ridge regression,

    z_n = mean + sum_j f_j(x_nj),    f_j: a cubic of u with three bends (numbers), or one constant per choice

with u the place of the value in its range. What knob j explains is measured on trials that the fit has not seen: with
f_j^(-n) fitted without trial n, which needs no second fit (Allen 1974),

    share_j = sum_n f_j^(-n)(x_nj) (z_n - mean) / sum_n (z_n - mean)^2

Shares of all knobs add up to what the model foretells of a left-out trial; a knob that does nothing has a share around
0, of either sign. Interactions, and what so few trials cannot show, are in no share: a knob explains at least so much.
The interval is +- t deviations over resamples of the trials; in each, all copies of a trial are left out together.

Trees (fANOVA) would see interactions too; they cost a second where this costs hundredths, and at 25 trials say no more.

Shapes: N trials, B resamples, P columns of all knobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limpid.record.trial_table import Range, Trial, TrialTable, active, key_of

Array = NDArray[np.float64]

RESAMPLES = 200  # deviations of shares then vary by a twentieth of themselves from seed to seed
FEWEST = 12  # trials below which nothing is said of a knob
MOST = 400  # trials that are looked at, the first and the last ones alike: beyond, intervals are narrow enough
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # of the ridge; the one that foretells best is taken
KNOTS = (0.25, 0.5, 0.75)  # places at which a course may bend


@dataclass(frozen=True)
class Importance:
    """What a knob explains of the differences between trials.

    Attributes:
        knob: path of the option.
        share: of the variance of the scores, 0 to 1, or a little below 0 where it explains nothing.
        low, high: interval of the share.
        trials: that it was measured on: those that finished and were asked for the knob.
        conditional: whether some finished trials were not asked for it.
    """

    knob: str
    share: float
    low: float
    high: float
    trials: int
    conditional: bool

    @property
    def sure(self) -> bool:
        """Whether it surely matters."""
        return self.low > 0.0

    def to_row(self) -> dict[str, Any]:
        """Plain values for the record."""
        return dict(vars(self))


def importances(trials: TrialTable) -> tuple[Importance, ...]:
    """Importance of every knob that enough finished trials were asked for, and that differed among them; networks as
    text, each of which is drawn once, are left out.

    A conditional knob is measured among the trials that were asked for it, beside the knobs that all of these had.
    """
    done = list(trials.ranked)
    done.sort(key=lambda trial: trial.number)
    if len(done) > MOST:
        done = done[:: -(-len(done) // MOST)]
    found: dict[tuple[int, ...], tuple[list[Range], Array]] = {}
    rows = []
    knobs = [knob for knob in trials.knobs if knob.kind != "pattern"]
    for knob in knobs:
        mine = active(done, knob.path)
        if len(mine) < FEWEST or len({key_of({"": trial.params[knob.path]}) for trial in mine}) < 2:
            continue
        among = tuple(trial.number for trial in mine)
        if among not in found:
            beside = [other for other in knobs if len(active(mine, other.path)) == len(mine)]
            found[among] = (beside, _shares(mine, beside, trials))
        beside, shares_BK = found[among]
        own = shares_BK[:, beside.index(knob)]
        share, spread = float(own[0]), float(own[1:].std())
        half = spread * _quantile(len(mine) - 4)
        low, high = max(share - half, -1.0), min(share + half, 1.0)
        rows.append(Importance(knob.path, share, low, high, len(mine), len(mine) < len(done)))
    return tuple(sorted(rows, key=lambda row: -row.share))


def _quantile(freedom: int) -> float:
    """97.5 % of Student's t: z + (z^3 + z) / (4 freedom), good to 1 % from eight on (Fisher 1925)."""
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom)


def _shares(mine: Sequence[Trial], knobs: Sequence[Range], trials: TrialTable) -> Array:
    """Shares of the knobs, first of the trials as they are, then of each resample: (1 + B, K)."""
    columns = [_columns([trial.params[knob.path] for trial in mine], knob) for knob in knobs]
    owner = np.repeat(np.arange(len(columns)), [part.shape[1] for part in columns])
    X_NP = np.concatenate(columns, axis=1)
    X_NP = X_NP / np.maximum(X_NP.std(axis=0), 1e-9)
    z_N = normal_scores(np.array([trials.goodness(trial.figure) for trial in mine]))
    count = len(mine)
    if z_N.std() == 0.0:  # all trials ended alike
        return np.zeros((1 + RESAMPLES, len(knobs)))
    own = np.ones((1, count))
    strength = min(STRENGTHS, key=lambda s: _foretold(X_NP, z_N, own, s, owner, len(knobs))[1])
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES)
    weights_BN = np.concatenate([own, drawn.astype(np.float64)])
    return _foretold(X_NP, z_N, weights_BN, strength, owner, len(knobs))[0]


def _foretold(
    X_NP: Array, z_N: Array, weights_BN: Array, strength: float, owner: NDArray[np.intp], num_knobs: int
) -> tuple[Array, float]:
    """Shares of each resample (B, K), and the mean squared error of foretelling left-out trials of the first."""
    shares_BK = np.empty((len(weights_BN), num_knobs))
    error = np.inf
    for b, w_N in enumerate(weights_BN):
        total = w_N.sum()
        Xc_NP, zc_N = X_NP - (w_N @ X_NP) / total, z_N - (w_N @ z_N) / total
        gram = Xc_NP.T @ (w_N[:, None] * Xc_NP) + strength * np.eye(X_NP.shape[1])
        half_NP = np.linalg.solve(gram, Xc_NP.T).T
        beta_P = half_NP.T @ (w_N * zc_N)
        leverage_N = np.minimum(w_N * ((half_NP * Xc_NP).sum(axis=1) + 1.0 / total), 0.999)
        residual_N = (zc_N - Xc_NP @ beta_P) / (1.0 - leverage_N)
        # Without trial n the coefficients are beta - half_n w_n residual_n.
        term_NP = Xc_NP * (beta_P - half_NP * (w_N * residual_N)[:, None])
        explained_P = (w_N * zc_N) @ term_NP / max(float(w_N @ zc_N**2), 1e-12)
        shares_BK[b] = np.bincount(owner, explained_P, minlength=num_knobs)
        error = float((residual_N**2).mean()) if b == 0 else error
    return shares_BK, error


def _columns(values: Sequence[Any], knob: Range) -> Array:
    """What a course over the knob's values is made of: one row per trial."""
    if not knob.is_number:
        keys = np.array([key_of({"": value}) for value in values])
        return np.stack([(keys == key).astype(np.float64) for key in np.unique(keys)], axis=1)
    places = np.array([knob.place(value) or 0.0 for value in values])
    low, high = places.min(), places.max()
    u = 2.0 * (places - low) / max(high - low, 1e-12) - 1.0
    smooth = [u, (3 * u**2 - 1) / 2, (5 * u**3 - 3 * u) / 2][: max(1, len(np.unique(places)) - 1)]
    bent = [np.maximum(u - (2 * knot - 1), 0.0) for knot in KNOTS] if len(smooth) == 3 else []
    return np.stack([*smooth, *bent], axis=1)


def normal_scores(values: Array) -> Array:
    """Values of a normal sample in their stead, the smallest for the smallest (van der Waerden 1952)."""
    quantile = NormalDist().inv_cdf
    return np.array([quantile((rank + 0.5) / len(values)) for rank in ranks(values)])


def ranks(values: Array) -> Array:
    """Ranks from 0; equals share their mean."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[which], dtype=np.float64)
