"""Probes of the trained network, made once by `limpid diagnose`."""

from __future__ import annotations

from limpid.probes.probe import Probe

AFTERWARDS: tuple[Probe, ...] = (
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
    Probe(
        "test_duplicates_after",
        "limpid.probes.duplicates:measure_test",
        "test rows that are among the training rows; targets are not looked at",
        "one pass of the rows, of the first 1,000 where they are read one by one",
        "after",
    ),
)
