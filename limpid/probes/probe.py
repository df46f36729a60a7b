"""A probe: its name, where it is, what it measures and what that costs; and the list of all of them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from limpid.catalogue.part import load_home
from limpid.probes.subject import Subject

# "before": cheap, part of every training. "check": made by `limpid check`. "after": needs the trained network.
When = Literal["before", "check", "after"]


@dataclass(frozen=True)
class Probe:
    """One measurement. `home` names a function from a Subject to plain values, or None where it does not apply."""

    name: str
    home: str
    what: str
    price: str
    when: When


PROBES: tuple[Probe, ...] = (
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
    Probe(
        "overfit_batch",
        "limpid.probes.overfit_batch:measure",
        "how far a copy gets in memorising 16 rows (P2)",
        "400 steps of 16 rows, at most 9 s",
        "check",
    ),
    Probe(
        "gradient_check",
        "limpid.probes.gradient_check:measure",
        "backward() against central differences in double precision",
        "two passes of 4 rows for each tensor",
        "check",
    ),
    Probe(
        "structure",
        "limpid.probes.structure:measure",
        "which layers follow each other, and what lies between them",
        "one pass of 2 rows",
        "check",
    ),
    Probe(
        "rivals",
        "limpid.probes.rivals:measure",
        "how good simple rivals are on validation rows (P10)",
        "seconds: a linear model, nearest neighbours and boosted trees on at most 4,000 rows",
        "check",
    ),
    Probe(
        "row_gradients",
        "limpid.probes.data_gradients:measure",
        "share of the first gradient that 1 % of the rows send",
        "one pass of at most 1,000 rows",
        "check",
    ),
    Probe(
        "padding",
        "limpid.probes.data_tokens:measure_padding",
        "what padding does to loss and answers",
        "three passes of the probe's rows",
        "check",
    ),
    Probe(
        "shift_test_check",
        "limpid.probes.data_shift:measure_test",
        "whether a classifier tells test inputs from training inputs; targets are not looked at",
        "a linear classifier of 1,000 rows of each, nine times where they differ",
        "check",
    ),
    Probe(
        "rate_race",
        "limpid.probes.rate_race:measure",
        "short runs with a tenth to ten times the rate, and what each gains (P6)",
        "five to eight rates of 3 runs of up to 100 steps, about 6 s",
        "check",
    ),
    Probe(
        "label_noise",
        "limpid.probes.label_noise:measure",
        "labels that models which have not seen them hold to be wrong",
        "five small networks on 3,000 rows, about 3 s",
        "check",
    ),
    Probe(
        "near_duplicates",
        "limpid.probes.duplicates:measure_near",
        "rows that nearly equal others, in training and in validation",
        "distances of 1,000 rows to 20,000",
        "check",
    ),
    Probe(
        "input_matters",
        "limpid.probes.input_matters:measure",
        "what the trained network loses with other rows' inputs (P3)",
        "three passes of the probe's rows",
        "after",
    ),
    Probe(
        "train_error",
        "limpid.probes.train_error:measure",
        "what the trained network answers to training rows, in evaluation mode",
        "one pass of at most 2,000 rows",
        "after",
    ),
    Probe(
        "rivals_after",
        "limpid.probes.rivals:compare",
        "simple rivals beside the trained network on the same validation rows (P10)",
        "seconds, as `rivals`",
        "after",
    ),
    Probe(
        "slices",
        "limpid.probes.slices:measure",
        "errors of the trained network on groups of validation rows",
        "one pass of at most 5,000 rows",
        "after",
    ),
    Probe(
        "shortcut",
        "limpid.probes.shortcut:measure",
        "errors of the trained network with one part of the input covered",
        "one pass of 256 rows for each of at most 64 parts",
        "after",
    ),
    Probe(
        "unregularised",
        "limpid.probes.unregularised:measure",
        "validation error of a training with hardly any regularisation beside its twin",
        "two trainings of a few seconds, where a regulariser is strong",
        "after",
    ),
    Probe(
        "data_size",
        "limpid.probes.data_size:measure",
        "validation error of trainings on 25, 50 and 100 % of the rows (P11)",
        "three trainings of a few seconds",
        "after",
    ),
    Probe(
        "shift_test",
        "limpid.probes.data_shift:measure_test",
        "whether a classifier tells test inputs from training inputs; targets are not looked at",
        "a linear classifier of 1,000 rows of each, nine times where they differ",
        "after",
    ),
    Probe(
        "augmented",
        "limpid.probes.data_augment:measure",
        "what the trained network answers to augmented training images",
        "two passes of 1,000 rows",
        "after",
    ),
    Probe(
        "unaugmented",
        "limpid.probes.data_augment:measure_without",
        "validation error of a training without changes that can make another class of an image, beside its twin",
        "two trainings of a few seconds, where such a change is on",
        "after",
    ),
    Probe(
        "start_race",
        "limpid.probes.rate_race:measure",
        "the same race from the start of a run that is over (P6)",
        "five to eight rates of 3 runs of up to 100 steps, about 6 s",
        "after",
    ),
    Probe(
        "rate_fork",
        "limpid.probes.rate_fork:measure",
        "whether the trained network gains by shorter steps, where the rate did not fall (P6)",
        "6 runs of an epoch or 100 steps",
        "after",
    ),
    Probe(
        "batch_race",
        "limpid.probes.batch_race:measure",
        "short runs with a quarter of the batch, or four times it, where either is suspected",
        "9 runs of up to 400 steps, for batches up to 8 rows and runs up to 100 steps",
        "after",
    ),
    Probe(
        "noise_scale",
        "limpid.probes.noise_scale:measure",
        "noise of the gradient over its size, and samples that carry it alone (P7)",
        "two passes of the probe's rows, 64 of them one by one",
        "after",
    ),
    Probe(
        "curvature",
        "limpid.probes.curvature:measure",
        "largest curvature of the loss, and the rate that it allows (P8)",
        "20 double passes of 128 rows",
        "after",
    ),
    Probe(
        "label_noise_after",
        "limpid.probes.label_noise:measure",
        "labels that models which have not seen them hold to be wrong",
        "five small networks on 3,000 rows, about 3 s",
        "after",
    ),
    Probe(
        "near_duplicates_after",
        "limpid.probes.duplicates:measure_near",
        "rows that nearly equal others, in training and in validation",
        "distances of 1,000 rows to 20,000",
        "after",
    ),
)


def measure(subject: Subject, probes: Iterable[Probe]) -> Iterable[dict[str, Any]]:
    """Rows of the record, one for each probe that applies; the subject is left as it was found."""
    for probe in probes:
        started = time.perf_counter()
        with subject.untouched():
            values = load_home(probe.home)(subject)
        if values is not None:
            yield {"name": probe.name, "values": values, "seconds": time.perf_counter() - started}
