"""What goes around any optimiser, by name: averages of the weights, slow weights, steps against sharpness.

Each entry names the option that switches it on; `home` is what computes it.
"""

from __future__ import annotations

from limpid.catalogue.part import Catalogue, Option, Part

COMPANIONS: Catalogue[Part] = Catalogue(
    "companion of an optimizer",
    "optim",
    (
        Part(
            name="ema",
            home="limpid.optim.averaging:WeightAverage",
            what="a moving average of the weights is evaluated and kept: --set optim.ema=0.999",
            source="Polyak & Juditsky 1992; Tarvainen & Valpola 2017 (arXiv 1703.01780)",
            year=1992,
            formula="a <- a + (1 - d) (w - a), d = min(ema, (1 + t) / (10 + t))",
            pitfall="Its length is 1 / (1 - ema) steps; one longer than the run keeps the first, useless weights.",
            options={"ema": Option(0.0, "decay of the averaged weights; 0 is off", 0.0, 1.0)},
            aliases=("exponential moving average", "mean teacher weights"),
        ),
        Part(
            name="swa",
            home="limpid.optim.averaging:EqualAverage",
            what="the mean of the weights at the end of each of the last epochs: --set optim.swa=0.25",
            source="Izmailov et al. 2018 (arXiv 1803.05407)",
            year=2018,
            formula="a = mean of w over the ends of the last epochs",
            pitfall="Wants a rate that stays high, constant or in cycles: weights at a rate of zero are all the same.",
            options={"swa": Option(0.0, "last share of the steps; 0 is off", 0.0, 1.0)},
            aliases=("stochastic weight averaging",),
        ),
        Part(
            name="lookahead",
            home="limpid.optim.lookahead:Lookahead",
            what="slow weights follow the fast ones of any optimiser: --set optim.lookahead=5",
            source="Zhang et al. 2019 (arXiv 1907.08610)",
            year=2019,
            formula="every k steps: slow <- slow + alpha (fast - slow);  fast <- slow",
            pitfall="The fast weights lose a share of their way at each return, so the rate may have to grow.",
            options={
                "lookahead": Option(0, "steps k between two returns; 0 is off", 0),
                "lookahead_alpha": Option(0.5, "share of the way that the slow weights go", 0.0, 1.0),
            },
        ),
        Part(
            name="sam",
            home="limpid.training.sam_step:sam_step",
            what="the gradient is taken where the loss is worst nearby: --set optim.sam_rho=0.05",
            source="Foret et al. 2021 (arXiv 2010.01412); adaptive: Kwon et al. 2021 (arXiv 2102.11600)",
            year=2020,
            formula="w <- w - step of grad(w + rho g / |g|)",
            pitfall="Two passes a step: compare it with a plain run of twice the epochs.",
            options={
                "sam_rho": Option(0.0, "radius, in units of the weights; 0 is off", 0.0),
                "sam_adaptive": Option(False, "the radius is relative to each weight; then sam_rho=0.5"),
            },
            aliases=("sharpness aware minimisation", "sharpness aware minimization", "asam"),
        ),
    ),
)
