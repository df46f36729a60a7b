"""Courses of the learning rate by name.

`home` is a function (*, num_steps, steps_per_epoch, warmup, **options) -> Schedule, where a Schedule maps the number of
finished steps to a multiplier of the peak rate; see optim/schedules.py.
"""

from __future__ import annotations

from limpid.catalogue.part import Catalogue, Option, Part

FINAL = Option(0.0, "last rate as a share of the peak", 0.0, 1.0)

SCHEDULES: Catalogue[Part] = Catalogue(
    "schedule",
    "optim",
    (
        Part(
            name="constant",
            home="limpid.optim.schedules:build_constant",
            what="one rate from the first step to the last",
            source="Robbins & Monro 1951 ask for more",
            aliases=("fixed",),
            formula="1",
            pitfall="The noise of the last batches stays in the weights: a rate that falls ends lower.",
        ),
        Part(
            name="step",
            home="limpid.optim.schedules:build_step",
            what="a drop by a factor every so many epochs",
            source="Krizhevsky et al. 2012; He et al. 2015",
            formula="gamma ^ floor(epoch / step_epochs)",
            options={
                "step_epochs": Option(30, "epochs between drops", 1),
                "gamma": Option(0.1, "factor of a drop", 0.0, 1.0),
            },
        ),
        Part(
            name="cosine",
            home="limpid.optim.schedules:build_cosine",
            what="half a cosine from the peak to the final rate",
            source="Loshchilov & Hutter 2017 (arXiv 1608.03983)",
            year=2016,
            formula="final + (1 - final) (1 + cos(pi t / T)) / 2",
            options={"final_lr": FINAL},
        ),
        Part(
            name="one_cycle",
            home="limpid.optim.schedules:build_one_cycle",
            what="up to the peak on one cosine, down on another",
            source="Smith & Topin 2018 (arXiv 1708.07120)",
            year=2017,
            formula="from 1/25 to 1 during the warm-up, then to final_lr at the last step",
            options={"final_lr": FINAL},
        ),
    ),
)
