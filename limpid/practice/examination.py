"""Before, during and after a run: what is measured around it, and what the checks say of that.

Measuring is the probes' and monitors', judging the doctor's; both meet in the record, and only there. This file says
when: the cheap probes before the first step, the monitors' rows and the epochs as they come, everything at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from torch import Tensor

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.data.bootstrap import resample
from limpid.data.dataset import Split
from limpid.data.loader import Batch, Loader
from limpid.data.shuffle import epoch_order
from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import Diagnosis, judge
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.doctor.told import Told
from limpid.models.registry import build_model
from limpid.probes.probe import Probe, measure
from limpid.probes.registry import PROBES
from limpid.probes.subject import Subject
from limpid.record.run import Run
from limpid.training.loop import evaluate
from limpid.training.monitor_schedule import plan_monitors, rows_of_a_pass
from limpid.training.monitors import Monitors, untouched
from limpid.training.step import autocast
from limpid.wiring import Wiring, wire

PROBE_ROWS = 256  # training rows that probes look at
FIXED_ROWS = 1000  # training rows whose loss is held against that of validation, at most
KEPT_KINDS = ("metric", "monitor", "probe", "finding", "end", "result")


class Examiner:
    """Stands between the loop and the record: passes every row on, keeps those that checks read, and judges them.

    It is the loop's recorder and its observer; findings go into the record and to the observer as soon as they are
    established, each once, and once more when it has become graver.
    """

    def __init__(self, run: Run, observer: Any) -> None:
        self.run, self.observer = run, observer
        self.rows: list[Mapping[str, Any]] = [row for row in run.events() if row["kind"] in KEPT_KINDS]
        self._told = Told(Finding.from_row(row) for row in run.events("finding"))
        self._measure_fixed: Callable[[int], Mapping[str, float] | None] = lambda epoch: None

    def add(self, kind: str, **fields: Any) -> None:
        """Record one row."""
        self.run.add(kind, **fields)
        if kind in KEPT_KINDS:
            self.rows.append({"kind": kind, **fields})

    def step(self, step: int, loss: float) -> None:
        self.observer.step(step, loss)

    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None:
        """An epoch is in the record: show it, and ask what can be asked by now."""
        fixed = self._measure_fixed(row["epoch"])
        if fixed is not None:
            self.add("metric", split="train_fixed", step=row["step"], epoch=row["epoch"], **fixed)
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

    def monitors(self, wiring: Wiring) -> Monitors:
        """What measures while the run goes on; from now on fixed training rows are looked at after epochs."""
        plan, dataset = wiring.plan, wiring.dataset
        macs = self.run.header["model"]["macs"]
        batch = probe_batch(wiring, rows_of_a_pass(macs))
        num_fixed = 0 if dataset.valid is None else min(FIXED_ROWS, len(dataset.valid), len(dataset.train))
        schedule = plan_monitors(
            num_steps=plan.num_steps,
            num_epochs=plan.num_epochs,
            batch_size=min((wiring.config.training.batch_size or 1) * plan.accumulate, len(dataset.train)),
            probe_rows=len(batch.target),
            fixed_rows=num_fixed,
            macs=macs,
        )
        context = subject_context(wiring)
        if num_fixed:
            self._measure_fixed = _fixed_measure(wiring, num_fixed, schedule.epochs)
        return Monitors(
            wiring.network,
            wiring.parts.optimizer,
            wiring.objective.loss,
            batch.inputs,
            batch.target,
            schedule,
            self,
            context,
        )

    def conclude(self) -> None:
        """The run is finished and scored: ask every check, with its predictions at hand."""
        diagnosis = judge(Evidence.of(self.run))
        self._tell(diagnosis.findings)
        self.run.add("diagnosis", **diagnosis.to_row())

    def judge(self, *moments: str) -> None:
        """Ask the checks of these moments; new findings are recorded and shown."""
        checks = [check for check in CHECKS.values() if check.when in moments]
        self._tell(judge(Evidence(self.run.header, self.rows), checks).findings)

    def _tell(self, findings: Iterable[Finding]) -> None:
        for finding in self._told.news(findings):
            self.add("finding", **finding.to_row())
            self.observer.finding(finding)


def _fixed_measure(
    wiring: Wiring, num_rows: int, epochs: Collection[int]
) -> Callable[[int], Mapping[str, float] | None]:
    """Epoch -> loss and metrics of fixed training rows in evaluation mode, at these epochs; else None."""
    rows = wiring.evaluation_loader(training_rows(wiring, num_rows)[0])
    context = subject_context(wiring)

    def measure_fixed(epoch: int) -> Mapping[str, float] | None:
        if epoch not in epochs:
            return None
        with untouched(wiring.network):
            return evaluate(wiring.parts, rows, context)

    return measure_fixed


def subject_of(wiring: Wiring) -> Subject:
    """The network of a wiring and what probes need to know of it."""
    batch = probe_batch(wiring, PROBE_ROWS)
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
        context=subject_context(wiring),
    )


def subject_context(wiring: Wiring) -> AbstractContextManager[Any] | None:
    """Arithmetic of the forward pass, as the loop has it."""
    return None if wiring.plan.precision == "float32" else autocast(wiring.plan.device, wiring.plan.precision)


def training_rows(wiring: Wiring, count: int) -> tuple[Split, Tensor]:
    """So many training rows, drawn by the run's seed, as a split of their own; and their numbers."""
    split = wiring.dataset.train
    index = epoch_order(len(split), wiring.config.training.seed, 0)[:count]
    return resample(split, index), index


def probe_batch(wiring: Wiring, count: int) -> Batch:
    """So many training rows for probes and monitors, as evaluation sees them."""
    split, index = training_rows(wiring, count)
    rows = Loader(
        split,
        batch_size=len(split),
        seed=0,
        shuffle=False,
        device=wiring.plan.device,
        channels_last=wiring.channels_last,
    )
    batch = next(iter(rows.epoch(0)))
    return Batch(batch.inputs, batch.target, index.to(wiring.plan.device))


def examine_data(run: Run, wiring: Wiring) -> None:
    """Measure before a search what is cheap, and write down what it says of the data, which all its networks share."""
    probes = (probe for probe in PROBES if probe.when == "before")
    rows = [{"kind": "probe", **row} for row in measure(subject_of(wiring), probes)]
    checks = [check for check in CHECKS.values() if check.when == "before" and check.code.startswith("D")]
    findings = judge(Evidence({**run.header, "kind": "run"}, rows), checks).findings
    run.add_rows([*rows, *({"kind": "finding", **finding.to_row()} for finding in findings)])


def check_wiring(wiring: Wiring, given: Config) -> Diagnosis:
    """Measure everything that can be measured before training, and ask every check that needs no more."""
    chosen: Iterable[Probe] = (probe for probe in PROBES if probe.when in ("before", "check"))
    rows = [{"kind": "probe", **row} for row in measure(subject_of(wiring), chosen)]
    evidence = Evidence(wiring.header(given), rows)
    diagnosis = judge(evidence, [check for check in CHECKS.values() if check.when == "before"])
    dropped = (f"{column} was not read: {why}" for column, why in wiring.dataset.summary.get("dropped", ()))
    return replace(diagnosis, notes=(*dropped, *diagnosis.notes))
