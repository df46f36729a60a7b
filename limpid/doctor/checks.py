"""The catalogue of checks, in the order of blame. Each file `rules_*` of this folder brings those of one subject."""

from __future__ import annotations

from limpid.doctor import rules_start
from limpid.doctor.check import Check

CHECKS: dict[str, Check] = {
    check.code: check
    for check in sorted(
        (*rules_start.CHECKS,),
        key=lambda check: (check.blame, check.code),
    )
}
