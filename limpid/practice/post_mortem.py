"""After a run: what can only be measured on the trained network is measured once, recorded, and everything judged.

The run's data are read and its network wired again; the rows go into the run's own record, so that a second diagnosis
needs neither. Where data, weights or a writable folder are missing, what is there is judged, and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from torch import nn

from limpid.deploy.trained import best_weights, fill
from limpid.doctor.diagnosis import Diagnosis, judge
from limpid.doctor.evidence import Evidence
from limpid.errors import LimpidError
from limpid.opening import recorded_data
from limpid.practice.examination import subject_of
from limpid.probes.probe import Probe, measure
from limpid.probes.registry import PROBES
from limpid.probes.subject import Subject
from limpid.record.run import Run
from limpid.training.randomness import own_randomness
from limpid.wiring import Wiring, wire

Tell = Callable[[str], None]


def diagnose_run(
    run: Run, *, source: Any = None, y: Any = None, module: nn.Module | None = None, tell: Tell | None = None
) -> Diagnosis:
    """Measure what is missing, and ask every check what the record shows.

    Args:
        run: opened for reading; new rows are written under its lock.
        source, y: the data, where the run had them handed over in Python.
        module: the network, where the run trained a module of the user's own: the same architecture with any weights.
        tell: called with a line before each measurement.
    """
    known = {row["name"] for row in run.events("probe")}
    missing = [probe for probe in PROBES if probe.when == "after" and probe.name not in known]
    if not missing or run.header.get("members") or not run.events("end"):
        return _judged(run, [], ())
    try:
        wiring = rewired(run, source, y, module)
    except LimpidError as error:
        return _judged(run, [], (f"The trained network was not examined, only its record: {error}",))
    rows = list(_measured(trained_subject(wiring), missing, wiring.config.training.seed, tell or (lambda text: None)))
    unwritten, notes = _recorded(run, rows)
    diagnosis = _judged(run, unwritten, notes)
    if not notes:
        with Run.open(run.path, write=True) as writing:
            writing.add("diagnosis", **diagnosis.to_row())
    return diagnosis


def rewired(run: Run, source: Any = None, y: Any = None, module: nn.Module | None = None) -> Wiring:
    """The run wired again on its data, with its best weights.

    Raises RecordError where the data are not at hand or not the same, CheckpointError without weights that verify.
    """
    config, dataset = recorded_data(run, source, y, module)
    step, weights = best_weights(run)
    model = config.model.model_copy(update={"pretrained": False, "compile": "off"})
    wiring = wire(config.model_copy(update={"model": model}), dataset, module=module)
    fill(wiring.network, weights, where=f"{run.path}, checkpoint of step {step}")
    began_elsewhere = bool(config.model.start or config.model.pretrained)
    return replace(wiring, config=config) if began_elsewhere else wiring


def trained_subject(wiring: Wiring) -> Subject:
    """The subject of probes; a network that began with other weights than its seed's cannot be built anew."""
    subject = subject_of(wiring)
    if wiring.config.model.start or wiring.config.model.pretrained:
        return replace(subject, fresh=None, rewire=None)
    return subject


def _measured(subject: Subject, probes: Iterable[Probe], seed: int, tell: Tell) -> Iterable[dict[str, Any]]:
    """Rows of the record; a probe that does not apply leaves an empty one, so that nobody asks it again."""
    for probe in probes:
        tell(f"measuring {probe.name}: {probe.what}; {probe.price}")
        with own_randomness(seed):
            rows = list(measure(subject, [probe]))
        yield from rows or [{"name": probe.name, "values": {}}]


def _recorded(run: Run, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Write the rows into the record; returns those that could not be written, and a note why."""
    try:
        with Run.open(run.path, write=True) as writing:
            for row in rows:
                writing.add("probe", **row)
    except (LimpidError, OSError) as error:
        return rows, (f"What was measured now is not kept, and will be measured again next time: {error}",)
    return [], ()


def _judged(run: Run, rows: Iterable[dict[str, Any]], notes: tuple[str, ...]) -> Diagnosis:
    evidence = Evidence.of(run)
    unwritten = [{"kind": "probe", **row} for row in rows]
    complete = Evidence(evidence.header, [*evidence.rows, *unwritten], evidence.predictions, evidence.path)
    return replace(judge(complete), notes=notes)
