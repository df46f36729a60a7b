"""Ng's chart gives the branch that its figures stand for."""

from __future__ import annotations

import pytest

from limpid.doctor.decision_chart import walk


@pytest.mark.spec("H7")
@pytest.mark.parametrize(
    ("percent", "branch"),
    [
        ((5, 6, 6, 6), "bias"),
        ((1.5, 6, 6, 6), "variance"),
        ((1.5, 2, 8, 8), "mismatch"),
        ((1.5, 2, 2.2, 7), "validation over-fitted"),
        ((1.5, 2, 2.2, 2.3), "done"),
    ],
)
def test_each_branch_is_reached(percent: tuple[float, ...], branch: str) -> None:
    found = walk([error / 100 for error in percent], target=0.01, gap=0.02)
    assert found.branch == branch
    assert [step.high for step in found.steps[:-1]] == [False] * (len(found.steps) - 1)
    assert found.steps[-1].high == (branch != "done")


def test_what_was_not_measured_is_stepped_over() -> None:
    found = walk((0.015, None, 0.08, None), target=0.01)
    assert found.branch == "mismatch"
    assert found.steps[2].against == 0.015
    assert walk((0.015, None, 0.02, None), target=0.01).branch == "done"


def test_a_gap_may_be_wider_where_an_error_is_unsure() -> None:
    assert walk((0.05, 0.06, 0.06, 0.06), target=0.01, gap=(0.05, 0.02, 0.02, 0.02)).branch == "done"
