"""What the machine is asked, and what is done with the answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from limpid import device as machine
from limpid.cores import usable_cores
from limpid.device import (
    Rates,
    as_found,
    choose_device,
    choose_precision,
    cpu_rates,
    measure_cpu_rates,
    prepare_cpu,
    remembered,
    spare_threads,
)
from limpid.errors import ConfigError
from limpid.training import linear_road
from limpid.training.linear_road import onednn_wins

CPU = torch.device("cpu")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Rates that a test may change, in place of a measurement; on a processor that has bfloat16."""
    rates = dict.fromkeys(Rates.__annotations__, 100.0)
    monkeypatch.setattr(machine, "cpu_rates", lambda: Rates(**rates))
    monkeypatch.setattr(machine, "_cpu_has_bf16", lambda: True)
    return rates


def test_auto_takes_bf16_only_where_it_is_clearly_faster(measured: dict[str, float]) -> None:
    assert choose_precision("auto", CPU, convolutional=False) == "float32"
    measured["linear_bf16"] = 300.0
    assert choose_precision("auto", CPU, convolutional=False) == "bf16"
    assert choose_precision("auto", CPU, convolutional=True) == "float32", "each kind of network by its own rate"
    measured["linear_onednn"] = 290.0
    assert choose_precision("auto", CPU, convolutional=False) == "float32", "the better float32 road is the rival"
    measured["conv_bf16"] = 300.0
    assert choose_precision("auto", CPU, convolutional=True) == "bf16"


def test_a_given_precision_is_kept() -> None:
    assert choose_precision("bf16", CPU, convolutional=False) == "bf16"
    assert choose_precision("float32", CPU, convolutional=True) == "float32"


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "cpu0"])
def test_devices_that_are_not_there_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        choose_device(name)


def test_measurements_are_positive_and_kept_between_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_CACHE", str(tmp_path))
    assert all(rate > 0 for rate in vars(measure_cpu_rates()).values())
    assert remembered("length", lambda: 3.5) == 3.5
    assert remembered("length", lambda: 4.5) == 3.5
    (tmp_path / "machine.json").write_text("{")
    assert remembered("length", lambda: 4.5) == 4.5, "a damaged file is measured anew"
    cpu_rates.cache_clear()
    rates = cpu_rates()
    assert len(json.loads((tmp_path / "machine.json").read_text())) == 2
    cpu_rates.cache_clear()
    assert cpu_rates() == rates


def test_a_cache_that_cannot_be_written_is_only_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIMPID_CACHE", str(tmp_path / "file" / "folder"))
    assert remembered("length", lambda: 1.0) == 1.0
    assert "measured anew" in capsys.readouterr().err


def test_the_linear_road_follows_the_measured_gain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_CACHE", str(tmp_path))
    asked = []

    def gain(*shape: int) -> float:
        asked.append(shape)
        return 2.0 if shape[0] == 64 else 1.0

    monkeypatch.setattr(linear_road, "_gain", gain)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(50, 60), nn.Linear(60, 2))
    assert onednn_wins(model, 64)
    assert not onednn_wins(model, 32)
    assert asked == [(64, 50, 60), (32, 50, 60)], "the largest layer decides"
    assert not onednn_wins(nn.Sequential(nn.ReLU()), 64)


def test_the_gain_is_a_ratio_of_times() -> None:
    assert 0.01 < linear_road._gain(8, 16, 16) < 100


def test_prepare_cpu_flushes_denormals_and_counts_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    with as_found():
        assert prepare_cpu(1) == 1
        assert (torch.tensor([1e-30]) * 1e-10).item() == 0.0
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert prepare_cpu(None) == 1 == torch.get_num_threads()
        monkeypatch.delenv("OMP_NUM_THREADS")
        assert prepare_cpu(None) == usable_cores() == torch.get_num_threads()


@pytest.mark.parametrize(("asked", "operations", "threads"), [(None, 1e6, 1), (None, 1e9, 2), (2, 1e6, 2)])
def test_small_steps_are_not_shared_among_threads(asked: int | None, operations: float, threads: int) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        spare_threads(asked, lambda: operations)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
