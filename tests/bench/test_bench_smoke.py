"""The arithmetic of the benchmark runner: no peer, no data set and no timing is needed."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import struct
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from bench.__main__ import read_command_line
from bench.child import run_child
from bench.programs import last_object, limpid_command, peer_command, read_events
from bench.subset import make_subset
from bench.summary import Result, Spread, advantage, floor_text, number, spread, table
from bench.workloads import WORKLOADS, Layer, Mode

PEERS = Path(__file__).parents[2] / "bench" / "peers"
STEADY = Mode("steady", "train_samples_per_second", epochs=3)
PROCESS = Mode("process", "seconds", epochs=1)
TARGET = Mode("target", "seconds_to_target", epochs=30, target=0.98, limpid_epochs=2)


def peer_module(name: str):
    """A file of bench/peers, loaded without making its folder importable for other tests."""
    specification = importlib.util.spec_from_file_location(f"bench_peer_{name}", PEERS / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def run_of(program: str, mode: str = "steady", **values) -> Result:
    return Result(program, mode, **{"seconds": 4.0, "peak_megabytes": 500.0, **values})


def test_spread_is_the_median_with_its_range():
    assert spread([5.0, None, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0, 3)
    assert spread([1.0, 2.0, 3.0, 10.0]).median == 2.5
    assert spread([None, None]) is None


def test_numbers_keep_three_digits():
    assert [number(x) for x in (103456.7, 999.6, 12.345, 0.98765, 5.0, 0)] == [
        "103,000", "1,000", "12.3", "0.988", "5.00", "0",
    ]  # fmt: skip
    assert Spread(12.345, 10.0, 1234.0, 3).render() == "12.3 (10.0-1,230)"


def test_advantage_is_above_one_when_limpid_is_faster():
    fast, slow = Spread(200.0, 200.0, 200.0, 1), Spread(100.0, 100.0, 100.0, 1)
    assert advantage(fast, slow, "train_samples_per_second") == 2.0
    assert advantage(slow, fast, "seconds") == 2.0
    assert advantage(fast, slow, "seconds_to_target") == 0.5
    assert advantage(None, slow, "seconds") is None


def test_table_puts_limpid_first_then_peers_from_best_to_worst():
    results = [
        run_of("torch", train_samples_per_second=20_000.0, test_accuracy=0.97),
        run_of("expert", train_samples_per_second=80_000.0, test_accuracy=0.972),
        run_of("limpid", train_samples_per_second=100_000.0, test_accuracy=0.971),
        run_of("limpid", train_samples_per_second=120_000.0, test_accuracy=0.973),
        run_of("fastai", error="exit 1: ImportError: a | b"),
        run_of("torch", mode="process", train_samples_per_second=1.0),
    ]
    lines = table(results, STEADY).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == ["limpid", "expert", "torch", "fastai"]
    assert lines[2] == "| limpid | 110,000 (100,000-120,000) |  | 0.9720 | 500 | 2 of 2 |"
    assert lines[3] == "| expert | 80,000 | 1.38 | 0.9720 | 500 | 1 of 1 |"
    assert "failed: exit 1: ImportError: a / b" in lines[5]
    assert all(line.count("|") == 7 for line in lines)


def test_table_of_seconds_and_of_a_target_not_reached():
    seconds = [run_of("limpid", "process", seconds=2.0), run_of("torch", "process", seconds=5.0)]
    assert "| torch | 5.00 | 2.50 |" in table(seconds, PROCESS)
    target = [run_of("limpid", "target", seconds_to_target=3.0), run_of("skorch", "target", epochs=30)]
    text = table(target, TARGET)
    assert "| skorch | not reached in 30 epochs | - |" in text
    assert "0 of 1" in text


def test_floor_text_gives_the_share_of_each_program():
    floor = {
        "gflops": {"linear float32": 200.0, "linear bf16": 150.0},
        "gigabytes_per_second": 20.0,
        "samples_per_second": 200_000.0,
        "float32_samples_per_second": 200_000.0,
        "bf16_samples_per_second": 150_000.0,
    }
    results = [
        run_of("limpid", train_samples_per_second=100_000.0, epochs=3),
        run_of("torch", train_samples_per_second=9e9, epochs=1),  # one epoch is no steady state
    ]
    text = floor_text(floor, results)
    assert "linear float32 200, linear bf16 150 GFLOP/s" in text
    assert "- limpid: 50 % of the floor" in text
    assert "torch:" not in text


def test_events_become_the_figures_of_a_peer():
    def epoch(number, rate, seconds):
        return {"kind": "metric", "split": "train", "epoch": number, "samples_per_second": rate, "seconds": seconds}

    rows = [
        {"kind": "metric", "split": "train_step", "step": 1, "loss": 2.3},
        epoch(1, 10.0, 10.0),
        epoch(2, 100.0, 1.0),
        epoch(3, 50.0, 3.0),
        {"kind": "result", "split": "valid", "accuracy": 0.1},
        {"kind": "result", "split": "test", "accuracy": 0.97},
    ]
    found = read_events(rows)
    assert found["train_samples_per_second"] == pytest.approx(250 / 4)
    assert found["test_accuracy"] == 0.97
    assert found["epochs"] == 3
    assert read_events(rows[:2])["train_samples_per_second"] == 10.0
    assert read_events([])["test_accuracy"] is None


def test_last_object_skips_chatter():
    assert last_object('{"a": 1}\nwarning\n{"a": 2}\nbye\n') == {"a": 2}
    assert last_object("nothing") == {}


def test_report_of_a_peer_leaves_the_first_epoch_out():
    report = peer_module("report").Report(1000)
    for seconds in (9.0, 1.0, 3.0):
        report.epoch(seconds)
    assert not report.score(0.97, 0.98)
    assert report.score(0.981, 0.98)
    line = json.loads(report.line())
    assert line["train_samples_per_second"] == pytest.approx(500.0)
    assert line["test_accuracy"] == 0.981
    assert 0 < line["seconds_to_target"] <= line["seconds_in_process"]


def test_every_peer_and_every_mode_can_be_asked_for(monkeypatch, tmp_path):
    for workload in WORKLOADS.values():
        for mode in workload.modes:
            words = ["bench", workload.key, "--data", str(tmp_path), "--modes", mode.name, "--peers", *workload.peers]
            monkeypatch.setattr(sys, "argv", words)
            assert read_command_line().peers == [*workload.peers]
        monkeypatch.setattr(sys, "argv", ["bench", workload.key, "--data", str(tmp_path)])
        assert {*workload.peers} <= {*read_command_line().peers}


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=lambda workload: workload.key)
def test_every_peer_has_a_script_and_every_command_names_its_data(workload):
    for mode in workload.modes:
        for peer in workload.peers:
            command = peer_command(peer, workload, mode, Path("DATA"), precision="bf16")
            assert Path(command[1]).exists()
            assert ("--target" in command) == (mode.target is not None)
            assert ("--precision" in command) == (peer == "expert")
            assert ("--backend" in command) == ("-" in peer)
        command = limpid_command(workload, mode, Path("DATA"), Path("OUT"), extra=["training.threads=1"])
        assert "{data}" not in " ".join(command)
        assert any("DATA" in word for word in command)
        assert command[-1] == "--json"
        assert "training.threads=1" in command
        # a target run is Limpid's own recipe; the others are everybody's
        assert ("optim.schedule=constant" in command) == (mode.target is None and not workload.own_recipe)


def test_multiply_adds_equal_torch_count():
    networks = peer_module("networks")
    torch = pytest.importorskip("torch")
    cases = {
        "w1": (networks.MLP(), (784,)),
        "w2": (networks.LeNet5(), (1, 28, 28)),
        "w3": (networks.ResNet20(), (3, 32, 32)),
        "w6": (networks.MLP(108, 128, 64, 1), (108,)),
    }
    for key, (network, shape) in cases.items():
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, *shape))
        assert WORKLOADS[key].macs() == counter.get_total_flops() / 2


def test_first_layer_needs_no_gradient_of_its_inputs():
    assert Layer("linear", (3, 4), first=True).passes() == 2
    assert Layer("linear", (3, 4)).passes() == 3


def test_a_child_is_measured_and_its_words_are_kept():
    code = "import os, sys; x = bytearray(80_000_000); print(os.environ['LIMPID_BENCH_STARTED'] and 'out'); sys.exit(3)"
    child = run_child([sys.executable, "-c", code])
    assert child.code == 3
    assert child.output == "out\n"
    assert child.peak_megabytes > 80
    assert 0 < child.seconds < 30
    slow = run_child([sys.executable, "-c", "import time; time.sleep(30)"], limit=0.3)
    assert slow.code == -9
    assert slow.seconds < 10


def test_subset_keeps_the_first_rows_in_the_same_layout(tmp_path):
    source = tmp_path / "source"
    (source / "mnist").mkdir(parents=True)
    (source / "tables").mkdir()
    images = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2)
    idx = b"\0\0\x08\x03" + struct.pack(">3I", *images.shape) + images.tobytes()
    (source / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx))
    (source / "tables" / "adult-test.csv").write_text("a\nb\nc\n")
    with tarfile.open(source / "cifar10-images.tar.gz", "w:gz") as tar:
        for i in range(4):
            member = tarfile.TarInfo(f"cifar10/train/cat/{i}.jpg")
            member.size = 1
            tar.addfile(member, io.BytesIO(bytes([i])))

    part = make_subset(source, tmp_path / "part", num_train=20, num_test=2)
    datasets = peer_module("datasets")
    np.testing.assert_array_equal(datasets.read_idx(part / "mnist" / "train-images-idx3-ubyte.gz"), images)
    assert (part / "tables" / "adult-test.csv").read_text() == "a\nb\n"
    with tarfile.open(part / "cifar10-images.tar.gz") as tar:
        assert tar.getnames() == ["cifar10/train/cat/0.jpg", "cifar10/train/cat/1.jpg"]

    fewer = make_subset(source, tmp_path / "fewer", num_train=4, num_test=2)
    np.testing.assert_array_equal(datasets.read_idx(fewer / "mnist" / "train-images-idx3-ubyte.gz"), images[:4])
