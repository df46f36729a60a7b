"""Courses of the learning rate by name.

`home` is a function (*, num_steps, steps_per_epoch, warmup, **options) -> Schedule, where a Schedule maps the number of
finished steps to a multiplier of the peak rate; see optim/schedules.py. Every course can be warmed up: optim.warmup.
"""

from __future__ import annotations

from limpid.catalogue.part import Catalogue, Option, Part

FINAL = Option(0.0, "last rate as a share of the peak", 0.0, 1.0)
DROP = "factor by which the rate falls, at each drop or over an epoch"
START = "first (lowest) rate as a share of the peak"

SCHEDULES: Catalogue[Part] = Catalogue(
    "schedule",
    "optim",
    (
        Part(
            name="constant",
            home="limpid.optim.schedules:build_constant",
            what="one rate from the first step to the last, or with optim.warmup up to it in equal steps",
            source="Robbins & Monro 1951 ask for more; warm-up: Goyal et al. 2017 (arXiv 1706.02677)",
            aliases=("fixed", "warmup", "linear warm-up", "gradual warm-up"),
            formula="1, or min((step + 1) / W, 1)",
            pitfall="The noise of the last batches stays in the weights: a rate that falls ends lower.",
        ),
        Part(
            name="linear",
            home="limpid.optim.decays:build_linear",
            what="a straight line from the peak to the final rate, which then stays",
            source="Goodfellow, Bengio & Courville 2016, eq. 8.14",
            year=2016,
            aliases=("linear decay",),
            formula="(1 - k / tau) + (k / tau) final_lr up to step tau",
            pitfall="The book's final rate is about 1 % of the first: set optim.final_lr=0.01.",
            options={"tau": Option(0, "updates over which the rate falls; 0: the whole run", 0), "final_lr": FINAL},
        ),
        Part(
            name="step",
            home="limpid.optim.decays:build_step",
            what="a drop by a factor every so many epochs, or every so many updates",
            source="Krizhevsky et al. 2012; He et al. 2015",
            aliases=("step decay", "StepLR", "LambdaLR", "staircase"),
            formula="gamma ^ floor(epoch / step_epochs)",
            pitfall="A run shorter than step_epochs never sees a drop.",
            options={
                "step_epochs": Option(30, "epochs between drops", 1),
                "step_updates": Option(0, "updates between drops; 0: step_epochs counts", 0),
                "gamma": Option(0.1, DROP, 0.0, 1.0),
            },
        ),
        Part(
            name="multistep",
            home="limpid.optim.decays:build_multistep",
            what="a drop by a factor at each of the given epochs",
            source="He et al. 2015: after half and three quarters of the run",
            year=2015,
            aliases=("MultiStepLR", "milestones", "piecewise constant"),
            formula="gamma ^ (milestones reached)",
            options={
                "milestones": Option((0.5, 0.75), "epochs of the drops; below 1: shares of the run", 0.0),
                "gamma": Option(0.1, DROP, 0.0, 1.0),
            },
        ),
        Part(
            name="exponential",
            home="limpid.optim.decays:build_exponential",
            what="the same factor in every epoch, spread over its steps",
            source="torch's ExponentialLR at the start of every epoch",
            aliases=("ExponentialLR", "exponential decay"),
            formula="gamma ^ epoch, with fractions of epochs",
            pitfall="The last rate hangs on the number of epochs: 0.95 leaves 36 % after 20, 0.6 % after 100.",
            options={"gamma": Option(0.95, DROP, 0.0, 1.0)},
        ),
        Part(
            name="inverse_time",
            home="limpid.optim.decays:build_inverse_time",
            what="in inverse proportion to the time passed",
            source="Robbins & Monro 1951, whose convergence proof it satisfies",
            year=1951,
            aliases=("inverse time decay", "1/t", "time-based decay", "Robbins-Monro"),
            formula="1 / (1 + time_decay epoch), with fractions of epochs",
            options={"time_decay": Option(0.1, "1 / epochs after which the rate has halved", 0.0)},
        ),
        Part(
            name="inverse_sqrt",
            home="limpid.optim.decays:build_inverse_sqrt",
            what="up to the peak during the warm-up, then with the inverse square root of the step",
            source="Vaswani et al. 2017 (arXiv 1706.03762), section 5.3",
            year=2017,
            aliases=("noam", "transformer schedule"),
            formula="min((step + 1) / W, sqrt(W / (step + 1)))",
            pitfall="Without optim.warmup the rate falls from the first step: to a tenth of the peak after 100.",
        ),
        Part(
            name="polynomial",
            home="limpid.optim.decays:build_polynomial",
            what="a power of the share of the run that is left",
            source="Chen et al. 2016 (DeepLab, arXiv 1606.00915), power 0.9",
            year=2016,
            aliases=("poly", "PolynomialLR", "polynomial decay"),
            formula="final_lr + (1 - final_lr) (1 - t / T) ^ power",
            options={"power": Option(2.0, "exponent; 1 is a straight line", 0.0), "final_lr": FINAL},
        ),
        Part(
            name="cosine",
            home="limpid.optim.decays:build_cosine",
            what="half a cosine from the peak to the final rate",
            source="Loshchilov & Hutter 2017 (arXiv 1608.03983)",
            year=2016,
            aliases=("cosine annealing", "CosineAnnealingLR"),
            formula="final_lr + (1 - final_lr) (1 + cos(pi t / T)) / 2",
            options={"final_lr": FINAL},
        ),
        Part(
            name="cosine_restarts",
            home="limpid.optim.cycles:build_cosine_restarts",
            what="half a cosine again and again, each as long as the last or longer",
            source="Loshchilov & Hutter 2017 (arXiv 1608.03983)",
            year=2016,
            aliases=("SGDR", "warm restarts", "cosine annealing with warm restarts", "CosineAnnealingWarmRestarts"),
            formula="final_lr + (1 - final_lr) (1 + cos(pi t / T_i)) / 2, T_i = cycle_epochs cycle_growth^i",
            pitfall="A run that ends in the middle of a cycle ends at a high rate: let whole cycles fill the run.",
            options={
                "cycle_epochs": Option(10, "epochs of the first cycle", 1),
                "cycle_growth": Option(1, "how many times as long each cycle is as the last", 1),
                "final_lr": FINAL,
            },
        ),
        Part(
            name="cyclic",
            home="limpid.optim.cycles:build_cyclic",
            what="a saw between a low rate and the peak",
            source="Smith 2017 (arXiv 1506.01186)",
            year=2015,
            aliases=("triangular", "CLR", "CyclicLR"),
            formula="start_lr + (1 - start_lr) (1 - |step / s - 2 cycle - 1|), s = rise_epochs in steps",
            pitfall="It starts at the low rate. End on a whole number of teeth, 2 rise_epochs each.",
            options={
                "rise_epochs": Option(4, "epochs of a flank, up or down", 1),
                "start_lr": Option(0.1, START, 0.0, 1.0),
                "cycle_form": Option(
                    "triangular", "equal teeth, or each half as high", choices=("triangular", "triangular2")
                ),
            },
        ),
        Part(
            name="one_cycle",
            home="limpid.optim.cycles:build_one_cycle",
            what="up to the peak on one cosine, down on another",
            source="Smith & Topin 2018 (arXiv 1708.07120)",
            year=2017,
            aliases=("1cycle", "OneCycleLR", "super-convergence"),
            formula="from start_lr to 1 during the warm-up, then to final_lr at the last step",
            pitfall="The rise is optim.warmup, as a share of the steps: 0.25 by default.",
            options={
                "start_lr": Option(0.04, START, 0.0, 1.0),
                "final_lr": FINAL,
                "anneal": Option("cosine", "form of both flanks", choices=("cosine", "linear")),
            },
        ),
        Part(
            name="trapezoid",
            home="limpid.optim.decays:build_trapezoid",
            what="up during the warm-up, level, down at the end",
            source="Zhai et al. 2022 (arXiv 2106.04560); Hägele et al. 2024 (arXiv 2405.18392)",
            year=2021,
            aliases=("warmup-stable-decay", "WSD", "trapezoidal"),
            formula="min((step + 1) / W, 1, final_lr + (1 - final_lr) (1 - t / T)) with t from the start of the fall",
            options={
                "decay_share": Option(0.2, "share of the run during which the rate falls", 0.0, 1.0),
                "decay_form": Option(
                    "linear", "the fall: by 1 - t / T, or by 1 - sqrt(t / T)", choices=("linear", "sqrt")
                ),
                "final_lr": FINAL,
            },
        ),
        Part(
            name="plateau",
            home="limpid.optim.plateau:build_plateau",
            what="a drop by a factor whenever the monitored figure stops improving",
            source="by hand in Krizhevsky et al. 2012; torch's ReduceLROnPlateau",
            year=2012,
            aliases=("reduce on plateau", "ReduceLROnPlateau", "divide by ten on plateau"),
            formula="factor ^ (times that more than plateau_patience epochs brought no improvement)",
            pitfall="Runs shorter than plateau_patience never see a drop. training.patience should be the longer one.",
            options={
                "factor": Option(0.1, "factor of a reduction", 0.0, 1.0),
                "plateau_patience": Option(10, "epochs without improvement that are borne", 0),
                "threshold": Option(1e-4, "least gain that counts as improvement", 0.0),
                "threshold_mode": Option(
                    "relative", "threshold as a share of the best figure, or as it is", choices=("relative", "absolute")
                ),
                "cooldown": Option(0, "epochs after a reduction that are not counted", 0),
                "least_lr": Option(0.0, "smallest rate as a share of the peak", 0.0, 1.0),
            },
        ),
    ),
)
