"""The sweep doctor on real searches of an MLP on digits: a range that ends too early, one that does not; its rules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import limpid
from limpid.record.run import Run

OPTIONS = {"model": "mlp", "training__threads": 1, "record__report": False}
NARROW = {
    "optim": {
        "lr": {"low": 1e-6, "high": 1e-5, "scale": "log"},
        "weight_decay": {"low": 1e-4, "high": 0.1, "scale": "log"},
    },
    "model": {"dropout": {"low": 0.0, "high": 0.5}},
}


def warned(run: Run) -> set[str]:
    return {row["code"] for row in run.events("finding") if row["level"] != "note"}


@pytest.mark.slow
def test_rates_that_are_too_small_are_found_and_the_next_search_is_better(tmp_path: Path) -> None:
    sick = limpid.tune("digits", space=NARROW, budget=30, epochs=8, out=tmp_path / "sick", **OPTIONS)
    assert "H01" in warned(sick.run)
    (told,) = sick.run.events("next")
    assert "optim.lr: extend to 1e-06..0.0001 (was 1e-06..1e-05)" in told["changes"]
    mended = limpid.tune(
        "digits", space=tmp_path / "sick" / "next.toml", budget=30, epochs=8, out=tmp_path / "mended", **OPTIONS
    )
    metric = {search.winner["metric"] for search in (sick, mended)}
    assert metric == {"loss"}
    assert mended.winner["figure"] < 0.9 * sick.winner["figure"]


@pytest.mark.slow
def test_the_default_space_is_left_alone(tmp_path: Path) -> None:
    found = limpid.tune("digits", budget=30, epochs=10, out=tmp_path / "s", **OPTIONS)
    assert warned(found.run) == set()
    again = [finding.symptom for finding in limpid.diagnose(found.path).findings]
    assert again == [row["symptom"] for row in found.run.events("finding")]


@pytest.mark.slow
def test_a_search_reads_the_rules_of_searches_alone() -> None:
    """Those of runs would cost it a twelfth of a second."""
    told = "import sys; from limpid.search.examination import judge, Evidence; judge(Evidence({'kind': 'search'}, []))"
    told += "; print('limpid.doctor.sweep_checks' in sys.modules, 'limpid.doctor.checks' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
