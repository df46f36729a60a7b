"""One case from data to findings: trained in a temporary folder, diagnosed from its record, told in one row."""

from __future__ import annotations

import math
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from clinic.condition import Case, Condition

LONGEST_SECONDS = 180  # of one case; beyond it something hangs
KEPT = ("run.json", "events.jsonl", "predictions.npz")  # what rules read
EVERYWHERE = {
    "device": "cpu",
    "precision": "float32",
    "training__matmul": "default",  # measured otherwise, which may differ from run to run
    "training__threads": 1,
    "model__compile": "off",
    "record__report": False,
}


def examine(condition: Condition, seed: int, kept: Path, *, dear: Sequence[str]) -> dict[str, Any]:
    """Train, measure and diagnose one case.

    Args:
        condition: what is planted.
        seed: of data, weights and order.
        kept: folder for the record without its weights, so that rules can be asked again.
        dear: probes of `limpid check` and of `limpid diagnose` that are made too.

    Returns a row of plain values; whatever goes wrong becomes its status "error", with the reason.
    """
    started = time.perf_counter()
    row: dict[str, Any] = {"condition": condition.name, "seed": seed, "dear": sorted(dear)}
    try:
        with warnings.catch_warnings(), limited(LONGEST_SECONDS), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            row |= live(condition, seed, Path(folder), dear)
            shutil.rmtree(kept, ignore_errors=True)
            if row["status"] != "refused":
                kept.mkdir(parents=True)
                for name in KEPT:
                    if (Path(folder) / "run" / name).is_file():
                        shutil.copy(Path(folder) / "run" / name, kept / name)
                row |= judged(kept)
    except Exception as error:  # the clinic goes on: what happened is in the row
        row |= {"status": "error", "reason": f"{type(error).__name__}: {error}"[:500]}
    return {**row, "seconds": round(time.perf_counter() - started, 2)}


def live(condition: Condition, seed: int, folder: Path, dear: Sequence[str]) -> dict[str, Any]:
    """Let the run happen in folder/run: how it ended, and its score on held-out rows."""
    import limpid
    from limpid.errors import LimpidError, NonFiniteLoss

    path = folder / "run"
    files = folder / "files"
    files.mkdir()
    case = condition.build(seed, files)
    if case.loop is not None:
        case.loop(path)
        return {"status": "finished", "score": None}
    rows = measured_before(condition.build(seed, files), seed, dear)
    status, reason = "finished", ""
    try:
        limpid.train(case.source, y=case.y, out=path, **arguments(case, seed))
    except NonFiniteLoss as error:
        status, reason = "failed", str(error)
    except LimpidError as error:
        return {"status": "refused", "reason": f"{type(error).__name__}: {error}"[:500], "score": None}
    if status == "finished":
        rows += measured_after(condition.build(seed, files), path, seed, dear)
    with limpid.Run.open(path, write=True) as run:
        for row in rows:
            run.add("probe", **row)
        result = (run.events("result") or [{}])[-1]
    score = result.get(result.get("score"))
    return {"status": status, "reason": reason[:500], "score": score}


def arguments(case: Case, seed: int) -> dict[str, Any]:
    """Of `limpid.train`: the case's own, and what makes every case alike."""
    return {**EVERYWHERE, "seed": seed, **case.options}


def measured_before(case: Case, seed: int, names: Sequence[str]) -> list[dict[str, Any]]:
    """What `limpid check` measures, of the probes named, as rows of the record."""
    from limpid.errors import LimpidError
    from limpid.opening import wire_new
    from limpid.practice.examination import subject_of
    from limpid.probes.probe import measure
    from limpid.probes.registry import PROBES
    from limpid.training.randomness import own_randomness

    probes = [probe for probe in PROBES if probe.when == "check" and probe.name in names]
    if not probes:
        return []
    options = arguments(case, seed)
    model, config = options.pop("model", None), options.pop("config", None)
    try:
        wiring, _ = wire_new(case.source, case.y, model, config, options)
        with own_randomness(seed):
            return list(measure(subject_of(wiring), probes))
    except LimpidError:
        return []  # training says the same in a moment


def measured_after(case: Case, path: Path, seed: int, names: Sequence[str]) -> list[dict[str, Any]]:
    """What `limpid diagnose` measures on the trained network, of the probes named, as rows of the record."""
    from torch import nn

    from limpid.practice.post_mortem import rewired, trained_subject
    from limpid.probes.probe import measure
    from limpid.probes.registry import PROBES
    from limpid.record.run import Run
    from limpid.training.randomness import own_randomness

    probes = [probe for probe in PROBES if probe.when == "after" and probe.name in names]
    if not probes:
        return []
    model = case.options.get("model")
    wiring = rewired(Run.open(path), case.source, case.y, model if isinstance(model, nn.Module) else None)
    with own_randomness(seed):
        return list(measure(trained_subject(wiring), probes))


def judged(kept: Path) -> dict[str, Any]:
    """What all rules say of a kept record."""
    from limpid.doctor.diagnosis import judge
    from limpid.doctor.evidence import Evidence
    from limpid.record.run import Run

    diagnosis = judge(Evidence.of(Run.open(kept)))
    findings = [
        {"code": one.code, "level": one.level, "where": one.where, "because": one.because, "value": one.value,
         "threshold": one.threshold, "symptom": one.symptom}
        for one in diagnosis.findings
    ]  # fmt: skip
    first = diagnosis.root or (diagnosis.findings[0] if diagnosis.findings else None)
    return {
        "findings": [{key: plain(value) for key, value in one.items()} for one in findings],
        "first": first.code if first else "",
        "asked": sorted(diagnosis.statistics),
        "statistics": {code: plain(values) for code, values in diagnosis.statistics.items()},
    }


def plain(value: Any, longest: int = 12) -> Any:
    """Values that fit into a line of JSON: four digits, no NaN, no long lists."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in list(value.items())[:longest]}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value[:longest]]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)[:80]
    return float(f"{number:.4g}") if math.isfinite(number) else str(number)


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise TimeoutError inside after so many seconds."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
