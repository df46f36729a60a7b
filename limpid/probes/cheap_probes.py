"""Probes that are cheap enough for every training, before its first step."""

from __future__ import annotations

from limpid.probes.probe import Probe

CHEAP: tuple[Probe, ...] = (
    Probe(
        "loss_at_start",
        "limpid.probes.loss_at_start:measure",
        "loss of the fresh network beside that of the best constant answer (P1)",
        "one forward pass of a batch",
        "before",
    ),
    Probe(
        "outputs",
        "limpid.probes.outputs:measure",
        "range, sums and shape of the outputs beside what the loss expects",
        "four passes of 32 rows",
        "before",
    ),
    Probe(
        "dependency",
        "limpid.probes.dependency:measure",
        "whether an answer depends on its own sample only, and on the past only (P4)",
        "four passes of 16 rows",
        "before",
    ),
    Probe(
        "modes",
        "limpid.probes.modes:measure",
        "the same rows in training and in evaluation mode, and twice in the latter (P5)",
        "three passes of 64 rows",
        "before",
    ),
    Probe(
        "gradient_reach",
        "limpid.probes.gradient_reach:measure",
        "norm of the first gradient of every parameter that is to learn",
        "one forward and backward pass of 64 rows",
        "before",
    ),
    Probe(
        "quick_rivals",
        "limpid.probes.quick_rivals:measure",
        "constant answer, linear map and nearest neighbours on a few hundred rows (P10 in miniature)",
        "two small matrix products",
        "before",
    ),
    Probe(
        "inputs",
        "limpid.probes.data_inputs:measure",
        "scale, spread and holes of each feature, as it comes and as the network's body sees it",
        "sums over at most 1,000 rows",
        "before",
    ),
    Probe(
        "columns",
        "limpid.probes.data_columns:measure",
        "what each column alone tells of the target, and whether one numbers the rows",
        "counts of 2,000 rows for each column",
        "before",
    ),
    Probe(
        "targets",
        "limpid.probes.data_targets:measure",
        "size, skew and tails of number targets, and what the last layer can answer",
        "one sort of the targets",
        "before",
    ),
    Probe(
        "pictures",
        "limpid.probes.data_pictures:measure",
        "empty and grey images, and whether pixels lie where the shape says",
        "two passes over 256 images",
        "before",
    ),
    Probe(
        "tokens",
        "limpid.probes.data_tokens:measure",
        "shares of unknown tokens and padding",
        "400 texts of each split",
        "before",
    ),
    Probe(
        "shift",
        "limpid.probes.data_shift:measure_valid",
        "whether a classifier tells validation rows from training rows",
        "a linear classifier of 400 rows of each",
        "before",
    ),
    Probe(
        "parameters",
        "limpid.probes.parameters:measure",
        "which tensors there are, which of them learn, and which the optimiser moves",
        "nothing",
        "before",
    ),
    Probe(
        "signal_at_start",
        "limpid.probes.signal_at_start:measure",
        "spread of activations and gradients by layer, and units that are copies of others",
        "one forward and backward pass of 64 rows",
        "before",
    ),
    Probe(
        "duplicates",
        "limpid.probes.duplicates:measure",
        "rows that equal others: in training, with other labels, in validation",
        "a sum over 128 bytes of each row",
        "before",
    ),
    Probe(
        "label_signal",
        "limpid.probes.label_signal:measure",
        "whether neighbours and a linear map tell the labels better than shuffled ones (P9)",
        "products of 500 to 1,200 rows",
        "before",
    ),
)
