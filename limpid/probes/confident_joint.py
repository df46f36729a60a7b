"""How many labels are wrong, and which: the confident joint, and what the easiest rows say.

The confident joint counts rows by their given label i and the label j that they are confidently held to have,

    t_j = mean of p(j | x) over the rows with given label j
    C_ij = number of rows with given label i whose most probable class among {j: p(j | x) >= t_j} is j

and, scaled to the counts of the given labels, its share off the diagonal estimates the share of wrong labels. It needs
probabilities p of models that have not seen the row's label.

Where classes overlap, honest labels disagree with any model, and the joint counts some of them as wrong. The surest
rows tell: if labels are wrong by accident, as many of them are among the rows that a model is surest of (within what it
predicts) as among others; if classes overlap, hardly any are. Two explanations of the disagreement d_1, d_2, d_3 of the
surest three quarters of the rows are held against each other by their likelihoods,

    accident   d_b = r
    overlap    d_b = mean over quarter b of u / (u + exp|m + s z|),  z normal, u = K - 1, m the logit of guessing

with r and s fitted. Where accident explains them better by three nats, and nothing rises beyond chance and that, the
disagreement is level: the estimate is the smaller of the joint's share and the disagreement of the surest half. Else
wrong labels and overlap cannot be told apart: the estimate is then that of the surest quarter, and its interval reaches
from 0 to the joint's share.

Source: Northcutt, Jiang, Chuang 2021, "Confident Learning"; for sure rows ("anchor points") Liu and Tao 2016.

Shapes: N rows, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Index = NDArray[np.int64]

BANDS = 4  # quarters of the rows of each predicted class, the surest first
RISE = 1.25  # least ratio of two bands' disagreement that counts as a rise, if chance does not explain it
BEYOND = 3.0  # standard errors; with 2, 15 of 232 sets with wrong labels had a rise by luck
ODDS = 3.0  # nats; 630 to 1,260 rows with 10 or 20 % wrong labels: 7 and more in 232 sets; weak relations: 18 of 444
FEW, DOUBT = 0.03, 2.0  # a disagreement that nothing is made of: both explain it, so that a rise alone is looked for
Z = 1.96
QUANTILES = 100 * BANDS
SPREADS = np.geomspace(0.05, 12.0, 40)  # s, of margins in nats


@dataclass(frozen=True)
class NoiseEstimate:
    """Share of wrong labels with its interval, and what it rests on.

    Attributes:
        share, low, high: of all rows; the interval holds the sampling error of the disagreement.
        level: whether the disagreement is level over the surest rows, so that the estimate can be believed.
        odds: log likelihood of accident less that of overlap, nats.
        joint_share: of the confident joint alone.
        bands: disagreement of the surest quarter of the rows, the second, third and last.
        sided: the least disagreement among the surest half of any predicted class, over that of all of them: near 1
            when every class has its share of wrong labels, near 0 when one class alone is hard to predict.
        disagree: share of rows whose label is not what is predicted.
        joint: (K, K) shares of all rows by given label (row) and probable label (column).
    """

    share: float
    low: float
    high: float
    level: bool
    odds: float
    joint_share: float
    bands: tuple[float, ...]
    sided: float
    disagree: float
    joint: NDArray[np.float64]


def confident_joint(p_NK: Floats, label_N: Index) -> NDArray[np.float64]:
    """(K, K) estimated shares of rows by given label i and true label j; see the head of this file."""
    num_classes = p_NK.shape[1]
    count_K = np.bincount(label_N, minlength=num_classes)
    sums_K = np.bincount(label_N, weights=p_NK[np.arange(len(label_N)), label_N], minlength=num_classes)
    threshold_K = np.where(count_K > 0, sums_K / np.maximum(count_K, 1), np.inf)
    sure_NK = np.where(p_NK >= threshold_K, p_NK, -1.0)
    held_N = sure_NK.argmax(1)
    known_N = sure_NK.max(1) >= 0
    joint_KK = np.zeros((num_classes, num_classes))
    np.add.at(joint_KK, (label_N[known_N], held_N[known_N]), 1.0)
    empty_K = np.flatnonzero(joint_KK.sum(1) == 0)
    joint_KK[empty_K, empty_K] = 1.0
    joint_KK *= (count_K / joint_KK.sum(1))[:, None]
    return np.asarray(joint_KK / len(label_N))


def estimate_noise(p_NK: Floats, label_N: Index) -> NoiseEstimate:
    """The share of wrong labels among rows with out-of-sample probabilities."""
    joint_KK = confident_joint(p_NK, label_N)
    joint_share = float(1.0 - np.trace(joint_KK))
    predicted_N = p_NK.argmax(1)
    rank_N, wrong_N = surest_first(p_NK), predicted_N != label_N
    band_N = np.minimum((rank_N * BANDS).astype(int), BANDS - 1)
    parts = [wrong_N[band_N == band] for band in range(BANDS)]
    easy_N = rank_N < 0.5
    easy = wrong_N[easy_N]
    common = float(np.bincount(label_N).max()) / len(label_N)
    odds = accident_or_overlap(
        [int(part.sum()) for part in parts], [len(part) for part in parts], p_NK.shape[1], common
    )
    plain = easy.mean() <= FEW
    least = DOUBT if plain else BEYOND
    level = not _rises(parts[0], parts[1], least) and not _rises(easy, parts[2], least) and (plain or odds > ODDS)
    share = min(joint_share, float(easy.mean()))
    low, high = wilson(share, len(easy))
    if not level:
        share = min(share, float(parts[0].mean()))
        low, high = 0.0, max(joint_share, share)
    by_class = [float(wrong_N[easy_N & (predicted_N == k)].mean()) for k in np.unique(predicted_N[easy_N])]
    return NoiseEstimate(
        share=share,
        low=low,
        high=high,
        level=level,
        odds=odds,
        joint_share=joint_share,
        bands=tuple(float(part.mean()) if len(part) else 0.0 for part in parts),
        sided=min(by_class) / float(easy.mean()) if easy.any() else 1.0,
        disagree=float(wrong_N.mean()),
        joint=joint_KK,
    )


def accident_or_overlap(wrong_B: list[int], rows_B: list[int], num_classes: int, common: float) -> float:
    """Log likelihood of the first explanation at the head of this file less that of the second, each at its best, nats.

    Args:
        wrong_B, rows_B: disagreements and rows of each band, the surest first; the last is left out.
        num_classes: K.
        common: share of the commonest class, which a guess gets right.
    """
    wrong_b, rows_b = np.array(wrong_B[:-1], dtype=float), np.array(rows_B[:-1], dtype=float)
    rest = num_classes - 1
    logit = max(0.0, math.log(max(common, 1e-9) * rest / max(1 - common, 1e-9)))
    normal_q = np.array([NormalDist().inv_cdf((i + 0.5) / QUANTILES) for i in range(QUANTILES)])
    margin_sq = np.sort(np.abs(logit + SPREADS[:, None] * normal_q), axis=1)[:, ::-1]
    overlap_sb = (rest / (rest + np.exp(margin_sq))).reshape(len(SPREADS), BANDS, -1).mean(axis=2)[:, :-1]

    def likelihood(share: Floats) -> Floats:
        p = share.clip(1e-9, 1 - 1e-9)
        found: Floats = (wrong_b * np.log(p) + (rows_b - wrong_b) * np.log1p(-p)).sum(axis=-1)
        return found

    accident = likelihood(np.full(BANDS - 1, wrong_b.sum() / max(rows_b.sum(), 1.0)))
    return float(accident - likelihood(overlap_sb).max())


def suspect_labels(p_NK: Floats, label_N: Index, estimate: NoiseEstimate) -> tuple[Index, NDArray[np.float64]]:
    """Numbers of the rows whose labels are probably wrong, the most suspect first, and (N,) the lead of each row.

        lead = max_j p(j | x) - p(label | x)

    The list is as long as the estimate has wrong labels: of planted ones it held 87 to 99 % on digits and MNIST at 5 to
    20 %, and 87 to 98 % of its rows were planted.
    """
    lead_N = p_NK.max(1) - p_NK[np.arange(len(label_N)), label_N]
    share = estimate.joint_share if estimate.level else estimate.share
    num = min(round(share * len(label_N)), int((lead_N > 0).sum()))
    return np.argsort(-lead_N, kind="stable")[:num], lead_N


def surest_first(p_NK: Floats) -> NDArray[np.float64]:
    """(N,) place from 0 (surest) to 1 of each row among those of its predicted class, by the lead of that class."""
    top_N2 = np.partition(p_NK, -2, axis=1)[:, -2:]
    lead_N, predicted_N = top_N2[:, 1] - top_N2[:, 0], p_NK.argmax(1)
    order = np.lexsort((-lead_N, predicted_N))
    count_K = np.bincount(predicted_N, minlength=p_NK.shape[1])
    start_K = np.cumsum(count_K) - count_K
    rank_N = np.empty(len(p_NK))
    rank_N[order] = (np.arange(len(p_NK)) - start_K[predicted_N[order]] + 0.5) / count_K[predicted_N[order]]
    return rank_N


def wilson(share: float, n: int) -> tuple[float, float]:
    """Interval of 95 % of a share of n draws (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    reach = Z / (1 + Z**2 / n) * (share * (1 - share) / n + Z**2 / (4 * n**2)) ** 0.5
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _rises(sure: NDArray[np.bool_], less_sure: NDArray[np.bool_], errors: float) -> bool:
    """Whether the disagreement of less sure rows is larger, by more than so many standard errors."""
    if len(sure) < 2 or len(less_sure) < 2:
        return False
    a, b = float(sure.mean()), float(less_sure.mean())
    error = (a * (1 - a) / len(sure) + b * (1 - b) / len(less_sure)) ** 0.5
    return b - a > errors * error and b > RISE * a
