"""Probes that `limpid check` makes beside the cheap ones, in seconds."""

from __future__ import annotations

from limpid.probes.probe import Probe

CHECKED: tuple[Probe, ...] = (
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
        "test_duplicates",
        "limpid.probes.duplicates:measure_test",
        "test rows that are among the training rows; targets are not looked at",
        "one pass of the rows, of the first 1,000 where they are read one by one",
        "check",
    ),
)
