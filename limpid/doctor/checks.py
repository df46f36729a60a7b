"""The catalogue of checks, in the order of blame. Each file `rules_*` of this folder brings those of one subject."""

from __future__ import annotations

from limpid.doctor import (
    rules_course,
    rules_data_classes,
    rules_data_columns,
    rules_data_images,
    rules_data_inputs,
    rules_data_shift,
    rules_data_targets,
    rules_data_texts,
    rules_duplicates,
    rules_fit_answers,
    rules_fit_bias,
    rules_fit_course,
    rules_fit_layers,
    rules_fit_rivals,
    rules_fit_shortcut,
    rules_fit_splits,
    rules_fit_variance,
    rules_labels,
    rules_rate,
    rules_start,
    rules_steps,
    rules_throughput,
    rules_wiring_dependency,
    rules_wiring_layers,
    rules_wiring_loop,
    rules_wiring_modes,
    rules_wiring_outputs,
    rules_wiring_run,
)
from limpid.doctor.check import Check

CHECKS: dict[str, Check] = {
    check.code: check
    for check in sorted(
        (
            *rules_course.CHECKS,
            *rules_data_classes.CHECKS,
            *rules_data_columns.CHECKS,
            *rules_data_images.CHECKS,
            *rules_data_inputs.CHECKS,
            *rules_data_shift.CHECKS,
            *rules_data_targets.CHECKS,
            *rules_data_texts.CHECKS,
            *rules_duplicates.CHECKS,
            *rules_fit_answers.CHECKS,
            *rules_fit_bias.CHECKS,
            *rules_fit_course.CHECKS,
            *rules_fit_layers.CHECKS,
            *rules_fit_rivals.CHECKS,
            *rules_fit_shortcut.CHECKS,
            *rules_fit_splits.CHECKS,
            *rules_fit_variance.CHECKS,
            *rules_labels.CHECKS,
            *rules_rate.CHECKS,
            *rules_start.CHECKS,
            *rules_steps.CHECKS,
            *rules_throughput.CHECKS,
            *rules_wiring_dependency.CHECKS,
            *rules_wiring_layers.CHECKS,
            *rules_wiring_loop.CHECKS,
            *rules_wiring_modes.CHECKS,
            *rules_wiring_outputs.CHECKS,
            *rules_wiring_run.CHECKS,
        ),
        key=lambda check: (check.blame, check.code),
    )
}
