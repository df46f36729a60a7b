"""Surfaces by name: losses of two parameters, at least one for each difficulty of optimisation."""

from __future__ import annotations

from limpid.catalogue.landforms import GOODFELLOW, LANDFORMS, OWN
from limpid.catalogue.part import Catalogue
from limpid.catalogue.surface_part import SurfacePart

# What is descended there is not what is wanted.
ESTIMATES = (
    SurfacePart(
        name="few_samples",
        home="limpid.optim.estimates:true_risk",
        descends="limpid.optim.estimates:empirical_risk",
        difficulty="empirical against true risk",
        what="the error on new samples, while the error on three samples is descended",
        formula="wanted: ((x - 1)^2 + (y + 0.5)^2 + 0.25) / 2;  descended: mean of (x a + y c - t)^2 / 2 of three",
        source=GOODFELLOW + "; the samples are " + OWN,
        pitfall="The better the optimiser, the nearer to the minimum of the wrong function.",
        start=(-1.5, -2.0),
        window=((-2.2, 2.8), (-2.6, 1.6)),
        minima=((1.0, -0.5),),
        least=0.125,
    ),
    SurfacePart(
        name="surrogate",
        home="limpid.optim.estimates:zero_one_loss",
        descends="limpid.optim.estimates:logistic_loss",
        difficulty="surrogate losses",
        what="the share of errors of a line, while the logistic loss is descended",
        formula="wanted: share of margins m <= 0;  descended: mean of log(1 + exp(-m)),  m = label (x a + y c)",
        source=GOODFELLOW + "; the samples are " + OWN,
        pitfall="The share of errors has no slope; the surrogate has, and one far outlier moves its minimum away.",
        start=(-1.0, 2.0),
        window=((-2.5, 3.0), (-1.5, 3.0)),
        minima=((1.0, 0.0),),
        least=1 / 19,
    ),
    SurfacePart(
        name="single_samples",
        home="limpid.optim.estimates:all_samples",
        descends="limpid.optim.estimates:single_sample",
        difficulty="stochastic estimates",
        what="a regression on twenty samples, one of them at each step",
        formula="wanted: mean of (2 x cos + y sin - t)^2 / 2 over 20 samples;  descended: that of one, drawn at random",
        source="Robbins & Monro 1951; the samples are " + OWN,
        year=1951,
        pitfall="At a constant rate the noise keeps the iterate away from the minimum, the further the larger the "
        "rate.",
        start=(-1.5, 2.0),
        window=((-2.2, 3.0), (-2.2, 2.6)),
        minima=((1.0, -0.5),),
        least=0.125,
    ),
    SurfacePart(
        name="rough_gradient",
        home="limpid.optim.estimates:bowl",
        descends="limpid.optim.estimates:bowl_with_rounded_gradient",
        difficulty="inexact gradients",
        what="a bowl whose gradient is rounded to multiples of 0.25, as in arithmetic of few bits",
        formula="(x^2 + 4 y^2) / 2, with round(4 g) / 4 for the gradient g",
        source=GOODFELLOW + "; the function is " + OWN,
        pitfall="Where the gradient rounds to zero, descent stops short of the minimum.",
        start=(1.9, 0.9),
        window=((-2.2, 2.2), (-1.2, 1.2)),
        minima=((0.0, 0.0),),
    ),
)

SURFACES: Catalogue[SurfacePart] = Catalogue("surface", "surface", (*ESTIMATES, *LANDFORMS))
