"""First values of weights by name.

`home` is a function (weight, place, **options) that fills a tensor in place; `place` holds fan_in and fan_out of the
weight, and the gain of the model's activation (models/gain.py). Options are written behind the name, as in a call:
`--set model.init="normal(0, 0.01)"`. Names and defaults that torch.nn.init has are the same here.
"""

from __future__ import annotations

from dataclasses import dataclass

from limpid.catalogue.part import Catalogue, Option, Part


@dataclass(frozen=True, kw_only=True)
class InitializerPart(Part):
    """A way to draw first values; some need a matrix and have no meaning for a bias."""

    needs_matrix: bool = False


KAIMING = {
    "a": Option(0.0, "slope below zero that leaky_relu's gain is for", 0.0),
    "mode": Option("fan_in", "keep the size of the signal, or of the gradient", choices=("fan_in", "fan_out")),
    "nonlinearity": Option(
        "leaky_relu",
        "whose gain: a name, or model for the model's own activation",
        choices=("leaky_relu", "relu", "linear", "sigmoid", "tanh", "selu", "model"),
    ),
}
GAIN = {"gain": Option(1.0, "factor on the deviation", 0.0)}

INITIALIZERS: Catalogue[InitializerPart] = Catalogue(
    "initializer",
    "model.init",
    (
        InitializerPart(
            name="kaiming_normal",
            home="limpid.models.first_weights:kaiming_normal",
            what="normal, variance 2 / fan_in: keeps the signal's size under ReLU",
            source="He et al. 2015 (arXiv 1502.01852, eq. 10)",
            year=2015,
            formula="N(0, gain^2 / fan_in)      gain^2 = 2 / (1 + a^2)",
            pitfall="Each residual branch added to the signal doubles its variance; norms or small branches help.",
            options=KAIMING,
            aliases=("he_normal", "he", "kaiming", "xavier/2"),
        ),
        InitializerPart(
            name="kaiming_uniform",
            home="limpid.models.first_weights:kaiming_uniform",
            what="uniform, variance 2 / fan_in: keeps the signal's size under ReLU",
            source="He et al. 2015 (arXiv 1502.01852); torch.nn.init",
            year=2015,
            formula="U(-L, L),  L = gain sqrt(3 / fan_in)",
            pitfall="torch's dense layers use it with a = sqrt(5), our torch_default: a sixth of this variance.",
            options=KAIMING,
            aliases=("he_uniform",),
        ),
        InitializerPart(
            name="he_truncated",
            home="limpid.models.first_weights:he_truncated",
            what="normal cut off at two deviations, variance 2 / fan_in",
            source="Keras he_normal",
            year=2015,
            formula="N(0, s^2) cut at +-2 s,  s = sqrt(2 / fan_in) / 0.8796",
            pitfall="The cut takes away a fifth of the variance; early Keras left it so (rescale=false).",
            options={"rescale": Option(True, "widen s so that what is left has the wanted variance")},
            aliases=("keras he_normal", "truncated he_normal", "he_normal_truncated"),
        ),
        InitializerPart(
            name="xavier_normal",
            home="limpid.models.first_weights:xavier_normal",
            what="normal, between the needs of the forward and the backward pass",
            source="Glorot & Bengio 2010",
            year=2010,
            formula="N(0, 2 gain^2 / (fan_in + fan_out))",
            pitfall="The second number is a variance; some texts print N(0, deviation). For tanh and sigmoid: with "
            "ReLU the variance halves with each layer.",
            options=GAIN,
            aliases=("glorot_normal", "xavier", "glorot"),
        ),
        InitializerPart(
            name="xavier_uniform",
            home="limpid.models.first_weights:xavier_uniform",
            what="uniform, between the needs of the forward and the backward pass",
            source="Glorot & Bengio 2010; the default of Keras",
            year=2010,
            formula="U(-L, L),  L = gain sqrt(6 / (fan_in + fan_out))",
            pitfall="For tanh and sigmoid: under ReLU the variance halves with each layer.",
            options=GAIN,
            aliases=("glorot_uniform",),
        ),
        InitializerPart(
            name="lecun_normal",
            home="limpid.models.first_weights:lecun_normal",
            what="normal, variance 1 / fan_in: keeps the signal's size in a linear layer, and under selu",
            source="LeCun et al. 1998, Efficient BackProp",
            year=1998,
            formula="N(0, 1 / fan_in)",
            pitfall="Often taught under the name Xavier, whose own formula has fan_in + fan_out.",
            aliases=("lecun", "fan-in xavier"),
        ),
        InitializerPart(
            name="lecun_uniform",
            home="limpid.models.first_weights:lecun_uniform",
            what="uniform, variance 1 / fan_in",
            source="LeCun et al. 1998, Efficient BackProp; Keras",
            year=1998,
            formula="U(-L, L),  L = sqrt(3 / fan_in)",
            pitfall="Too small before ReLU by a factor of sqrt(2).",
        ),
        InitializerPart(
            name="fan_sum_normal",
            home="limpid.models.first_weights:fan_sum_normal",
            what="normal, variance k / (fan_in + fan_out)",
            source="variations on Glorot & Bengio 2010",
            year=2010,
            formula="N(0, k / (fan_in + fan_out))",
            pitfall="k = 2 is xavier_normal; k = 4 suits ReLU between layers of equal width.",
            options={"k": Option(2.0, "variance times the sum of the fans", 0.0)},
        ),
        InitializerPart(
            name="torch_default",
            home="limpid.models.first_weights:torch_default",
            what="what torch's dense and convolutional layers start with",
            source="torch.nn.Linear, kaiming_uniform_(a=sqrt(5))",
            year=2017,
            formula="U(-L, L),  L = 1 / sqrt(fan_in)",
            pitfall="A sixth of the variance that ReLU needs: deep networks without norms start almost silent.",
            aliases=("pytorch",),
        ),
        InitializerPart(
            name="normal",
            home="limpid.models.first_weights:normal",
            what="normal, of one size for every layer",
            source="torch.nn.init; AlexNet: normal(0, 0.01)",
            formula="N(mean, std^2)",
            pitfall="The size of a sum grows with the number of inputs: with std 1 its variance is their number.",
            options={"mean": Option(0.0, "centre"), "std": Option(1.0, "standard deviation", 0.0)},
            aliases=("gaussian", "randn"),
        ),
        InitializerPart(
            name="truncated_normal",
            home="limpid.models.first_weights:truncated_normal",
            what="normal, of one size for every layer, cut off at two deviations",
            source="TensorFlow's truncated_normal; torch trunc_normal_",
            formula="N(mean, std^2) within mean +- 2 std",
            pitfall="The cut leaves 0.88 of the deviation.",
            options={"mean": Option(0.0, "centre"), "std": Option(1.0, "deviation before the cut", 0.0)},
        ),
        InitializerPart(
            name="uniform",
            home="limpid.models.first_weights:uniform",
            what="uniform, of one size for every layer",
            source="torch.nn.init",
            formula="U(a, b)",
            pitfall="The default has no negative weight: all units start alike. Most people mean uniform(-0.1, 0.1).",
            options={"a": Option(0.0, "least"), "b": Option(1.0, "most")},
        ),
        InitializerPart(
            name="keras_uniform",
            home="limpid.models.first_weights:uniform",
            what="what Keras 1 and 2 call uniform",
            source="Keras RandomUniform",
            year=2015,
            formula="U(-0.05, 0.05)",
            pitfall="Of one size for every layer: too small for narrow ones.",
            options={"a": Option(-0.05, "least"), "b": Option(0.05, "most")},
        ),
        InitializerPart(
            name="zeros",
            home="limpid.models.first_weights:zeros",
            what="all zero",
            source="the case that fails",
            formula="0",
            pitfall="With two layers or more nothing below the last bias ever learns: each weight's gradient is 0.",
        ),
        InitializerPart(
            name="constant",
            home="limpid.models.first_weights:constant",
            what="all the same",
            source="the case that fails",
            formula="value",
            pitfall="The units of a layer get the same gradient and stay the same unit for ever.",
            options={"value": Option(0.1, "of every weight")},
        ),
        InitializerPart(
            name="orthogonal",
            home="limpid.models.first_weights:orthogonal",
            what="a random rotation: keeps lengths exactly, at any depth",
            source="Saxe et al. 2013 (arXiv 1312.6120)",
            year=2013,
            formula="gain Q,  Q^T Q = 1 (or Q Q^T)",
            pitfall="Exact for linear layers; under ReLU give orthogonal(1.414).",
            options=GAIN,
            needs_matrix=True,
        ),
        InitializerPart(
            name="identity",
            home="limpid.models.first_weights:identity",
            what="each unit copies one input",
            source="Le et al. 2015 (arXiv 1504.00941); torch eye_ and dirac_",
            year=2015,
            formula="gain 1",
            pitfall="Units beyond the number of inputs are zero, and alike. Meant for recurrent weights.",
            options=GAIN,
            aliases=("eye", "dirac"),
            needs_matrix=True,
        ),
        InitializerPart(
            name="sparse",
            home="limpid.models.first_weights:sparse",
            what="normal, with a share of each unit's inputs cut",
            source="Martens 2010",
            year=2010,
            formula="N(0, std^2), a share of each input's weights 0",
            pitfall="The zeros are first values only; they learn like the others.",
            options={
                "sparsity": Option(0.1, "share of the weights of each input that is 0", 0.0, 1.0),
                "std": Option(0.01, "standard deviation of the others", 0.0),
            },
            needs_matrix=True,
        ),
    ),
)
