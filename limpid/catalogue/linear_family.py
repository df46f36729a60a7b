"""Perceptrons, linear models and their companions. All but `linear` find their weights by a step of their own."""

from __future__ import annotations

from limpid.catalogue.model_part import ANY_NUMBERS, ModelPart
from limpid.catalogue.part import Option

FEATURES = Option(
    "none",
    "what the model sees of the inputs: themselves, with all products of two, or radius and angle",
    choices=("none", "poly2", "polar"),
)
CLASSES = ("classification", "binary")
PERCEPTRON_RULE = (
    "y = 1 if w . x + b > 0 else 0;  w <- w + alpha (d - y) x,  b <- b + alpha (d - y);  alpha is optim.lr"
)
# A model that is solved, not descended to, takes every row once.
ONE_PASS = {
    "training.epochs": 1,
    "training.batch_size": "all",
    "training.precision": "float32",
    "optim.schedule": "constant",
}
# The rule's own loss is the number of mistakes.
ONLINE = {"training.precision": "float32", "training.monitor": "accuracy", "optim.schedule": "constant"}

PARTS = (
    ModelPart(
        name="perceptron",
        home="limpid.models.perceptron:build_perceptron",
        what="threshold units, corrected after every mistake",
        source="Rosenblatt 1958; bound: Novikoff 1962",
        year=1958,
        formula=PERCEPTRON_RULE,
        pitfall="Comes to rest only if the classes can be separated by a plane; exclusive or cannot (Minsky & Papert "
        "1969). The word also stands for networks with one hidden layer: that is mlp.",
        aliases=("perceptron rule", "rosenblatt", "threshold unit"),
        options={"features": FEATURES},
        family="linear",
        kinds=ANY_NUMBERS,
        tasks=("classification", "binary", "multilabel"),
        step="limpid.models.perceptron:perceptron_step",
        optimizer="none",
        settings=ONLINE,
    ),
    ModelPart(
        name="mark1",
        home="limpid.models.retina:build_mark1",
        what="the first machine: 400 photocells, fixed random association units, trained response units",
        source="Rosenblatt 1958; Hay, Lynch & Smith 1960 (Mark I Operators' Manual)",
        year=1958,
        formula=PERCEPTRON_RULE + ";  x = [retina . random wires > 0]",
        pitfall="Only the response units learn. Dates differ by what they mean: published 1957/58, built 1960.",
        aliases=("mark i", "mark i perceptron", "retina"),
        options={"units": Option(1000, "association units; 0: the response units see the retina", 0)},
        family="linear",
        kinds=("image",),
        tasks=("classification", "binary", "multilabel"),
        step="limpid.models.perceptron:perceptron_step",
        optimizer="none",
        settings=ONLINE,
    ),
    ModelPart(
        name="linear",
        home="limpid.models.linear:build_linear",
        what="linear or logistic regression",
        source="Legendre 1805; Cox 1958",
        year=1805,
        formula="y = x W + b",
        aliases=("logistic", "logistic regression", "linear regression", "softmax regression", "neuron"),
        options={"features": FEATURES},
        family="linear",
        kinds=ANY_NUMBERS,
    ),
    ModelPart(
        name="least-squares",
        home="limpid.models.ridge:build_least_squares",
        what="linear model with its explicit solution, by the pseudo-inverse",
        source="Legendre 1805; Penrose 1955",
        year=1805,
        formula="theta = (A'A)^+ A'y;  classes: estimates their shares",
        pitfall="With nearly as many inputs as rows it fits the noise: ridge.",
        aliases=("ols", "ordinary least squares", "pseudo-inverse", "explicit solution", "normal equations"),
        options={"features": FEATURES},
        family="linear",
        kinds=ANY_NUMBERS,
        step="limpid.models.ridge:solve_step",
        optimizer="none",
        settings=ONE_PASS,
    ),
    ModelPart(
        name="ridge",
        home="limpid.models.ridge:build_ridge",
        what="least squares with a penalty on the weights, its strength chosen by cross-validation",
        source="Hoerl & Kennard 1970; Tikhonov 1943",
        year=1970,
        formula="theta = (A'A + strength I)^-1 A'y, the bias free;  classes: estimates their shares",
        pitfall="The strength belongs to sums over rows, so more rows weaken a given one.",
        aliases=("tikhonov", "ridge regression", "ridge classifier"),
        options={
            "features": FEATURES,
            "strength": Option(None, "of the penalty; None: the best of 15 over the folds", 0.0),
            "folds": Option(5, "parts of the training rows for choosing the strength", 2, 100),
        },
        family="linear",
        kinds=ANY_NUMBERS,
        step="limpid.models.ridge:solve_step",
        optimizer="none",
        settings=ONE_PASS,
    ),
    ModelPart(
        name="svm",
        home="limpid.models.margin:build_svm",
        what="linear support vector machine, one class against the others",
        source="Cortes & Vapnik 1995; Fan et al. 2008 (liblinear)",
        year=1995,
        formula="min 1/2 |w|^2 + C sum max(0, 1 - t (w . x + b))^p,  t = -1 or 1",
        pitfall="Its outputs are margins, not calibrated probabilities. All rows must fit in memory.",
        aliases=("support vector machine", "linear svm", "svc"),
        options={
            "features": FEATURES,
            "C": Option(1.0, "price of a violated margin", 1e-9),
            "hinge": Option("squared_hinge", "p = 2 or 1", choices=("squared_hinge", "hinge")),
        },
        family="linear",
        kinds=ANY_NUMBERS,
        tasks=CLASSES,
        step="limpid.models.margin:margin_step",
        optimizer="none",
        settings=ONE_PASS,
    ),
    ModelPart(
        name="knn",
        home="limpid.models.neighbours:build_neighbours",
        what="k nearest neighbours: the training rows are the model",
        source="Fix & Hodges 1951; Cover & Hart 1967",
        year=1951,
        formula="p_c = (n_c + 1/K) / (k + 1) of the k nearest rows;  regression: their mean",
        pitfall="Keeps every training row in the checkpoint, and each answer costs a distance to all of them.",
        aliases=("k-nearest neighbours", "nearest neighbours", "k nearest neighbors", "nearest neighbour"),
        options={"k": Option(5, "neighbours asked", 1)},
        family="linear",
        kinds=ANY_NUMBERS,
        step="limpid.models.neighbours:store_step",
        optimizer="none",
        settings=ONE_PASS,
    ),
)
