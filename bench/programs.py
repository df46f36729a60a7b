"""The command of each program, and what its run said."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.child import Child, run_child
from bench.environment import WORK, peer_python
from bench.summary import Result
from bench.workloads import Mode, Workload

PEERS = Path(__file__).parent / "peers"
LIMPID_CACHE = WORK / "limpid-cache"  # measured rates and decoded images, apart from the user's own
PRECISIONS = ("float32", "medium", "bf16")  # among which the expert chooses, by measuring


def peer_command(peer: str, workload: Workload, mode: Mode, data: Path, *, precision: str = "float32") -> list[str]:
    """The command line of a peer's script; "keras-jax" is script keras with back end jax."""
    name, _, backend = peer.partition("-")
    command = [str(peer_python()), str(PEERS / f"{name}_{workload.key}.py")]
    command += ["--epochs", str(mode.epochs), "--data", str(data), "--json"]
    if mode.target is not None:
        command += ["--target", str(mode.target)]
    if backend:
        command += ["--backend", backend]
    if peer == "expert":
        command += ["--precision", precision]
    return command


def limpid_command(workload: Workload, mode: Mode, data: Path, out: Path, *, extra: Sequence[str] = ()) -> list[str]:
    """The `limpid train` command that does the same; `extra` are further --set assignments."""
    program = Path(sys.executable).with_name("limpid")
    start = [str(program)] if program.exists() else [sys.executable, "-c", "from limpid.cli import main; main()"]
    options = [text.replace("{data}", str(data)) for text in (workload.source, *workload.limpid_options(mode))]
    for assignment in extra:
        options += ["--set", assignment]
    folder = [] if "{data}" in workload.source else ["--data-dir", str(data)]
    return [*start, "train", *options, *folder, "--out", str(out), "--json"]


def run_peer(peer: str, workload: Workload, mode: Mode, data: Path, *, precision: str = "float32") -> Result:
    """Run a peer once."""
    child = run_child(peer_command(peer, workload, mode, data, precision=precision))
    if child.code != 0:
        return _failure(peer, mode, child)
    values = last_object(child.output)
    return _result(peer, mode, child, values)


def run_limpid(workload: Workload, mode: Mode, data: Path, *, extra: Sequence[str] = ()) -> Result:
    """Run Limpid once, in a run folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = limpid_command(workload, mode, data, out, extra=extra)
        child = run_child(command, env={"LIMPID_CACHE": str(LIMPID_CACHE)})
        if child.code != 0:
            return _failure("limpid", mode, child)
        rows = [json.loads(line) for line in (out / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    values = read_events(rows)
    accuracy = values["test_accuracy"]
    reached = mode.target is not None and accuracy is not None and accuracy >= mode.target
    values["seconds_to_target"] = child.seconds if reached else None
    if values["train_samples_per_second"] is not None:
        values["train_samples_per_second"] *= workload.tokens
    return _result("limpid", mode, child, values)


def warm_limpid(workload: Workload, data: Path, *, extra: Sequence[str] = ()) -> Result:
    """An unmeasured run that measures the machine anew and decodes images, as the peers' cache is filled beforehand."""
    (LIMPID_CACHE / "machine.json").unlink(missing_ok=True)
    return run_limpid(workload, Mode("warm", "seconds", epochs=1), data, extra=extra)


def read_events(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Throughput and test accuracy of a run's event rows, as a peer's script would report them.

    Like the peers' figure, throughput leaves the first epoch out when there are more.
    """
    epochs = [row for row in rows if row["kind"] == "metric" and row.get("split") == "train"]
    steady = epochs[1:] or epochs
    throughput = None
    if steady:
        samples = sum(row["samples_per_second"] * row["seconds"] for row in steady)
        throughput = samples / sum(row["seconds"] for row in steady)
    test = [row for row in rows if row["kind"] == "result" and row.get("split") == "test"]
    return {
        "train_samples_per_second": throughput,
        "test_accuracy": test[-1].get("accuracy") if test else None,
        "test_loss": test[-1].get("loss") if test else None,
        "seconds_to_target": None,
        "epochs": len(epochs),
    }


def last_object(text: str) -> dict[str, Any]:
    """The last line of a program's output that is a JSON object; its chatter before that does not matter."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    return {}


def _result(program: str, mode: Mode, child: Child, values: Mapping[str, Any]) -> Result:
    return Result(
        program=program,
        mode=mode.name,
        seconds=child.seconds,
        peak_megabytes=child.peak_megabytes,
        train_samples_per_second=values.get("train_samples_per_second"),
        test_accuracy=values.get("test_accuracy"),
        test_loss=values.get("test_loss") if values.get("test_accuracy") is None else None,
        seconds_to_target=values.get("seconds_to_target"),
        epochs=values.get("epochs"),
    )


def _failure(program: str, mode: Mode, child: Child) -> Result:
    said = [line for line in child.errors.splitlines() if line.strip()]
    reason = f"exit {child.code}: {said[-1].strip() if said else 'no message'}"
    return Result(program, mode.name, child.seconds, child.peak_megabytes, error=reason)
