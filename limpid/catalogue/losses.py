"""Losses by name.

`home` is a function (task, **options) -> PointLoss (objectives/point_loss.py), which maps float32 outputs and the
target of the task (see DataSpec) to the loss of each sample, (B,). For classes and labels it also takes the keywords
`smoothing` and `weights`. Targets of a regression come standardised; those of a loss with `log_rate` as they are, and
its outputs are logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass

from limpid.catalogue.part import Catalogue, Option, Part


@dataclass(frozen=True, kw_only=True)
class LossPart(Part):
    """A loss, and the tasks that it is for."""

    tasks: tuple[str, ...]
    smooths: bool = False  # whether label smoothing has a meaning for it
    log_rate: bool = False  # whether outputs are logarithms of the answer
    refusal: str = ""  # why nothing can be trained on it


CLASSES = ("classification", "binary", "multilabel")
NUMBERS = ("regression",)

LOSSES: Catalogue[LossPart] = Catalogue(
    "loss",
    "objective",
    (
        LossPart(
            name="cross_entropy",
            home="limpid.objectives.losses:build_cross_entropy",
            what="surprise at the true class",
            source="Good 1952; Bridle 1990",
            formula="-sum_k t_k log softmax(z)_k",
            pitfall="Takes logits. A log-softmax at the output changes nothing (this is then the NLL); a softmax there "
            "would be the second one, and the loss could not fall below ln(1 + (K - 1) / e).",
            aliases=("cce", "nll", "log loss", "softmax loss", "categorical cross entropy", "negative log likelihood"),
            tasks=("classification", "tokens"),
            smooths=True,
        ),
        LossPart(
            name="bce",
            home="limpid.objectives.losses:build_bce",
            what="surprise at the truth of a yes or no, from the logit",
            source="Cox 1958",
            formula="-(t ln p + (1 - t) ln(1 - p)),  p = sigmoid(z)",
            pitfall="Takes the logit, not the sigmoid of it.",
            aliases=("binary cross entropy", "logistic loss"),
            tasks=("binary", "multilabel"),
            smooths=True,
        ),
        LossPart(
            name="mse",
            home="limpid.objectives.number_losses:build_mse",
            what="squared error of the standardised target",
            source="Gauss 1809",
            formula="e^2",
            pitfall="A single outlier can weigh more than all other samples; huber limits it.",
            aliases=("squared error", "l2 loss", "mean squared error"),
            tasks=NUMBERS,
        ),
        LossPart(
            name="mae",
            home="limpid.objectives.number_losses:build_mae",
            what="absolute error of the standardised target",
            source="Boscovich 1757; Laplace 1793",
            formula="|e|",
            pitfall="Answers with the median, and its gradient does not shrink near the goal: let the rate fall.",
            aliases=("absolute error", "l1 loss", "mean absolute error"),
            tasks=NUMBERS,
        ),
        LossPart(
            name="huber",
            home="limpid.objectives.number_losses:build_huber",
            what="squared near zero, absolute far from it",
            source="Huber 1964",
            year=1964,
            formula="e^2 / 2 if |e| <= delta else delta (|e| - delta / 2)",
            pitfall="delta is in standard deviations of the target.",
            options={"delta": Option(1.0, "where it turns linear, in units of the scaled target", 1e-9)},
            tasks=NUMBERS,
        ),
        LossPart(
            name="half_mse",
            home="limpid.objectives.number_losses:build_half_mse",
            what="half the squared error, whose gradient is the error itself",
            source="the convention of back-propagation texts",
            formula="e^2 / 2",
            pitfall="Half the gradient of mse: the same learning rate is half as large a step.",
            aliases=("half squared error",),
            tasks=NUMBERS,
        ),
        LossPart(
            name="sum_squared_error",
            home="limpid.objectives.number_losses:build_sum_squared_error",
            what="squared errors added up over targets and samples, not averaged",
            source="Legendre 1805",
            year=1805,
            formula="sum_i e_i^2",
            pitfall="Its gradient grows with the batch: divide the learning rate by batch_size. What is shown is the "
            "mean per sample, so that batches and splits compare.",
            aliases=("sse", "residual sum of squares"),
            tasks=NUMBERS,
        ),
        LossPart(
            name="smooth_l1",
            home="limpid.objectives.number_losses:build_smooth_l1",
            what="huber divided by its bend: slope 1 far from zero",
            source="Girshick 2015 (arXiv 1504.08083)",
            year=2015,
            formula="e^2 / (2 beta) if |e| < beta else |e| - beta / 2",
            pitfall="Equal to huber only for beta = delta = 1.",
            options={"beta": Option(1.0, "where it turns linear, in units of the scaled target", 1e-9)},
            tasks=NUMBERS,
        ),
        LossPart(
            name="log_cosh",
            home="limpid.objectives.number_losses:build_log_cosh",
            what="squared near zero, absolute far from it, and smooth between",
            source="Green 1990",
            year=1990,
            formula="ln cosh e",
            pitfall="Bends at 1 standard deviation of the target, always; huber can be told where.",
            tasks=NUMBERS,
        ),
        LossPart(
            name="quantile",
            home="limpid.objectives.number_losses:build_quantile",
            what="answers with a quantile of the target instead of its mean",
            source="Koenker & Bassett 1978",
            year=1978,
            formula="max(-tau e, (1 - tau) e)",
            pitfall="R^2 and RMSE judge means: for tau other than 0.5 they look bad, and should.",
            options={"tau": Option(0.5, "share of targets that are to lie below the answer", 0.001, 0.999)},
            aliases=("pinball",),
            tasks=NUMBERS,
        ),
        LossPart(
            name="poisson",
            home="limpid.objectives.number_losses:build_poisson",
            what="for counts: outputs are the logarithm of the expected count",
            source="Nelder & Wedderburn 1972",
            year=1972,
            formula="e^f - y f",
            pitfall="Targets must not be negative, and come unscaled; outputs above 80 overflow. The loss itself may "
            "be negative: the term ln y!, which no weight can change, is left out.",
            aliases=("poisson nll",),
            tasks=NUMBERS,
            log_rate=True,
        ),
        LossPart(
            name="hinge",
            home="limpid.objectives.losses:build_hinge",
            what="how far the truth falls short of leading by a margin; zero beyond it",
            source="Cortes & Vapnik 1995; several classes: Weston & Watkins 1999",
            year=1995,
            formula="max(0, m - y s), y = +-1;  of K classes sum_{j != y} max(0, m + s_j - s_y)",
            pitfall="Scores are no logits: the probabilities made of them are not calibrated. margin=0 is the "
            "perceptron's criterion, which all-zero scores satisfy.",
            options={
                "margin": Option(1.0, "lead that costs nothing", 0.0),
                "squared": Option(False, "square each shortfall: smooth, and harder on outliers"),
            },
            aliases=("svm loss", "max margin", "multi-class hinge"),
            tasks=CLASSES,
        ),
        LossPart(
            name="focal",
            home="limpid.objectives.losses:build_focal",
            what="cross-entropy that turns away from samples that are right already",
            source="Lin et al. 2017 (arXiv 1708.02002)",
            year=2017,
            formula="-(1 - p)^gamma ln p of the true class",
            pitfall="Probabilities come out too timid. The paper's alpha is objective.class_weights here.",
            options={"gamma": Option(2.0, "how fast it turns away; 0 is cross-entropy", 0.0)},
            tasks=CLASSES,
            smooths=True,
        ),
        LossPart(
            name="brier",
            home="limpid.objectives.losses:build_brier",
            what="squared error of the probabilities",
            source="Brier 1950",
            year=1950,
            formula="sum_k (p_k - t_k)^2;  of a yes or no (p - t)^2",
            pitfall="Where the network is sure and wrong the gradient vanishes: slow starts with bad first weights.",
            aliases=("squared error of probabilities", "quadratic score"),
            tasks=CLASSES,
            smooths=True,
        ),
        LossPart(
            name="zero_one",
            home="limpid.objectives.losses:build_zero_one",
            what="1 for a wrong decision, 0 for a right one: what is often meant, and cannot be trained on",
            source="the true loss of interest; 1 - accuracy",
            formula="1 if decision != truth else 0",
            pitfall="Its gradient is 0 almost everywhere. hinge, and cross-entropy over ln 2, lie above it.",
            aliases=("0-1", "0-1 loss", "misclassification"),
            tasks=CLASSES,
            refusal="its gradient is 0 almost everywhere, so no weight would move. Train on {fits}, and read accuracy, "
            "which is 1 minus it.",
        ),
    ),
)
