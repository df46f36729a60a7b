"""Before, during and after a run: what is measured around it, and what the checks say of that.

Measuring is the probes' and monitors', judging the doctor's; both meet in the record, and only there. This file says
when: the cheap probes before the first step, the monitors' rows and the epochs as they come, everything at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.data.loader import Loader
from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import Diagnosis, judge
from limpid.doctor.evidence import Evidence
from limpid.models.registry import build_model
from limpid.probes.probe import PROBES, Probe, measure
from limpid.probes.subject import Subject
from limpid.record.run import Run
from limpid.training.step import autocast
from limpid.wiring import Wiring, wire

PROBE_ROWS = 256  # training rows that probes look at
KEPT_KINDS = ("metric", "monitor", "probe", "finding", "end", "result")


class Examiner:
    """Stands between the loop and the record: passes every row on, keeps those that checks read, and judges them.

    It is the loop's recorder and its observer; findings go into the record and to the observer as soon as they are
    established, each once.
    """

    def __init__(self, run: Run, observer: Any) -> None:
        self.run, self.observer = run, observer
        self.rows: list[Mapping[str, Any]] = [row for row in run.events() if row["kind"] in KEPT_KINDS]
        self._told = {(row["code"], row.get("where", "")) for row in run.events("finding")}

    def add(self, kind: str, **fields: Any) -> None:
        """Record one row."""
        self.run.add(kind, **fields)
        if kind in KEPT_KINDS:
            self.rows.append({"kind": kind, **fields})

    def step(self, step: int, loss: float) -> None:
        self.observer.step(step, loss)

    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None:
        """An epoch is in the record: show it, and ask what can be asked by now."""
        self.observer.epoch(row, valid_row)
        self.judge("before", "during")

    def examine(self, wiring: Wiring) -> None:
        """Measure what is cheap before the first step, and say what it shows; not again in a resumed run."""
        if any(row["kind"] == "probe" for row in self.rows):
            return
        plan = {
            "num_steps": wiring.plan.num_steps,
            "num_epochs": wiring.plan.num_epochs,
            "batches_per_epoch": wiring.parts.train.num_batches,
        }
        self.add("probe", name="plan", values=plan)
        for row in measure(subject_of(wiring), (probe for probe in PROBES if probe.when == "before")):
            self.add("probe", **row)
        self.judge("before")

    def judge(self, *moments: str) -> None:
        """Ask the checks of these moments; new findings are recorded and shown."""
        checks = [check for check in CHECKS.values() if check.when in moments]
        for finding in judge(Evidence(self.run.header, self.rows), checks).findings:
            if (finding.code, finding.where) not in self._told:
                self._told.add((finding.code, finding.where))
                self.add("finding", **finding.to_row())
                self.observer.finding(finding)


def subject_of(wiring: Wiring) -> Subject:
    """The network of a wiring and what probes need to know of it."""
    split = wiring.dataset.train
    loader = Loader(
        split,
        batch_size=min(PROBE_ROWS, len(split)),
        seed=wiring.config.training.seed,
        shuffle=True,
        device=wiring.plan.device,
        channels_last=wiring.channels_last,
    )
    batch = next(iter(loader.epoch(0)))
    spec, config = wiring.dataset.spec, wiring.config

    def rewire(options: Mapping[str, Any]) -> Wiring:
        return wire(with_options(config, dict(options)), wiring.dataset)

    named = not config.model.name.startswith("module:")
    return Subject(
        network=wiring.network,
        loss=wiring.objective.loss,
        inputs=batch.inputs,
        target=batch.target,
        index=batch.index,
        optimizer=wiring.parts.optimizer,
        objective=wiring.objective,
        dataset=wiring.dataset,
        spec=spec,
        config=config,
        fresh=(lambda seed: build_model(config.model, spec, seed=seed)) if named else None,
        rewire=rewire if named else None,
        context=None if wiring.plan.precision == "float32" else autocast(wiring.plan.device, wiring.plan.precision),
    )


def check_wiring(wiring: Wiring, given: Config) -> Diagnosis:
    """Measure everything that can be measured before training, and ask every check that needs no more."""
    rows: list[dict[str, Any]] = []
    chosen: Iterable[Probe] = (probe for probe in PROBES if probe.when in ("before", "check"))
    rows += [{"kind": "probe", **row} for row in measure(subject_of(wiring), chosen)]
    evidence = Evidence(wiring.header(given), rows)
    return judge(evidence, [check for check in CHECKS.values() if check.when == "before"])


def diagnose_run(run: Run) -> Diagnosis:
    """Ask every check what the record of a run shows."""
    return judge(Evidence.of(run))
