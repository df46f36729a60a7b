"""The checks of searches alone: a search asks no others, and need not read their files."""

from __future__ import annotations

from limpid.doctor import (
    rules_sweep_budget,
    rules_sweep_edge,
    rules_sweep_luck,
    rules_sweep_space,
    rules_sweep_stability,
)
from limpid.doctor.check import Check

SWEEP_CHECKS: dict[str, Check] = {
    check.code: check
    for check in sorted(
        (
            *rules_sweep_budget.CHECKS,
            *rules_sweep_edge.CHECKS,
            *rules_sweep_luck.CHECKS,
            *rules_sweep_space.CHECKS,
            *rules_sweep_stability.CHECKS,
        ),
        key=lambda check: check.code,
    )
}
