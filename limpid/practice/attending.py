"""The doctor beside a user's own loop: attached in one line to a network and its optimiser, without Limpid's engine.

    doctor = limpid.Doctor(model, optimizer, loss=criterion)
    for x, y in loader:
        ...                                                  # the loop as it is
    print(doctor.report())

It looks on by hooks (training/own_loop.py), measures with the probes and monitors of every run, writes the same rows
into memory, and asks the same checks. Weights, gradients and random numbers are as they would have been without it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import Diagnosis, judge
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.doctor.told import Told
from limpid.errors import ConfigError
from limpid.probes.loss_form import wanted_by
from limpid.probes.modes import sensitive
from limpid.probes.own_subject import own_subject
from limpid.probes.probe import measure
from limpid.probes.registry import PROBES
from limpid.probes.subject import Subject
from limpid.reporting.finding_lines import diagnosis_lines, finding_line
from limpid.training.monitor_schedule import MonitorSchedule
from limpid.training.monitors import Monitors
from limpid.training.own_loop import LoopWatch, Seen
from limpid.training.randomness import own_randomness

LEAST_GAP, GROWTH = 5, 6  # steps between measurements: 5 at first, a sixth of the steps so far later on
TASKS = {
    "logits": "classification",
    "logit": "multilabel",
    "numbers": "regression",
    "log-probabilities": "classification",
}
AFTERWARDS = ("input_matters",)  # what can be asked of a trained network in a moment
PATIENCE = 10  # steps without a loss that was seen
UNHEARD = "No loss was seen: hand it over as loss=, or call doctor.loss(outputs, target) in its place."


class Doctor:
    """Looks after one training loop, whatever it is written in.

    Args:
        model: the network, or the module that holds it.
        optimizer: that moves its weights.
        loss: the loss as the loop calls it, with outputs and target: a module, or a function that its module calls by
            name. None: the losses of torch that the model holds. A loss that is neither can be called as
            `doctor.loss(outputs, target)`.
        quiet: say nothing while training; findings wait for `report()`.

    Attributes:
        loss: what to call in place of a loss that cannot be watched.

    Raises ConfigError for a loss that is no callable.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: Callable[..., Any] | None = None,
        *,
        quiet: bool = False,
    ) -> None:
        if loss is not None and not callable(loss):
            raise ConfigError(f"loss={loss!r}: expected a module or function that takes outputs and target.")
        self.model, self.optimizer, self.quiet = model, optimizer, quiet
        self._criterion: Callable[..., Any] | None = loss
        self._rows: list[dict[str, Any]] = []
        self._told = Told()
        self._next, self._probed, self._closed, self._repeatable = 1, False, False, False
        self._monitors: Monitors | None = None
        losses = [m for m in model.modules() if isinstance(m, nn.modules.loss._Loss)] if loss is None else [loss]
        self._watch = LoopWatch(model, optimizer, losses, self._before_step, self._after_step)
        self._undo: list[Callable[[], None]] = []
        self.loss = self._listen_to(losses)

    def __enter__(self) -> Doctor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(finished=error is None)

    def close(self, *, finished: bool = True) -> None:
        """The loop is over: take every hook off, and ask what only a finished run can tell."""
        if self._closed:
            return
        self._closed = True
        if self._monitors is not None:
            self._monitors.close()
        for undo in self._undo:
            undo()
        if finished and self._watch.seen is not None:
            self._measure(self._watch.seen, AFTERWARDS)
        self._watch.close()
        self.add("end", status="finished" if finished else "failed", step=self._watch.step)
        self._tell(self.findings)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Everything that was measured, as rows of a record."""
        watch = self._watch
        watch.read()
        watched = {"passes": {**watch.passes, "layers": sensitive(self.model)}, "batches": watch.order.row()}
        if watch.step:
            watched["accumulation"] = {"steps": watch.step, "stale": watch.stale}
        last = [{"kind": "monitor", "name": n, "step": watch.step, "values": v} for n, v in watched.items()]
        return [*self._rows, *watch.curve, *watch.epochs, *last]

    @property
    def diagnosis(self) -> Diagnosis:
        """All checks on what was measured so far; `to_row()` of it is for machines."""
        return judge(Evidence(self._header(), self.rows))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, root causes first."""
        return self.diagnosis.findings

    def report(self) -> str:
        """Findings with cause, remedy and evidence, and what was checked without finding anything."""
        lines = diagnosis_lines(self.diagnosis.to_row())
        lines += [f"note: {row['text']}" for row in self._rows if row["kind"] == "note"]
        if self._watch.step and self._watch.seen is None:
            lines.append(UNHEARD)
        return "\n".join(lines)

    def add(self, kind: str, **fields: Any) -> None:
        """Write one row down."""
        self._rows.append({"kind": kind, **fields})

    def _listen_to(self, losses: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
        """Watch the losses where the loop calls them; returns one that is watched for sure."""
        for module in losses:
            if isinstance(module, nn.Module):
                self._undo.append(module.register_forward_hook(self._heard, with_kwargs=True).remove)
        loss = losses[0] if losses else _no_loss
        if isinstance(loss, nn.Module) or not losses:
            return loss

        @functools.wraps(loss)
        def watched(*args: Any, **kwargs: Any) -> Any:
            answer = loss(*args, **kwargs)
            self._heard(loss, args, kwargs, answer)
            return answer

        home, name = sys.modules.get(getattr(loss, "__module__", "")), getattr(loss, "__name__", "")
        if home is not None and getattr(home, name, None) is loss:
            setattr(home, name, watched)
            self._undo.append(lambda: setattr(home, name, loss))
        return watched

    def _heard(self, loss: Any, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        named = dict(kwargs)
        both = [*args[:2], *(named.pop(key) for key in ("input", "target") if key in kwargs)]
        if len(both) == 2 and len(args) <= 2:
            self._criterion = loss
            self._watch.hear(both[0], both[1], named, answer)

    def _before_step(self, step: int) -> None:
        """The gradients of a step are there, or its closure is about to compute them."""
        if not self._probed and self._watch.seen is not None:
            self._begin(self._watch.seen)

    def _after_step(self, step: int) -> None:
        seen = self._watch.seen
        if not self._probed and seen is not None:
            with self._fresh_weights():
                self._begin(seen)
        elif not self._probed and step == PATIENCE:
            self._probed = True
            self._ready(Subject(self.model, _no_loss, (), torch.empty(0), optimizer=self.optimizer))
            if not self.quiet:
                print(f"limpid.Doctor: {UNHEARD}", file=sys.stderr)
        if step >= self._next and self._monitors is not None:
            self._next = step + max(LEAST_GAP, step // GROWTH)
            with self._aside():
                if self._repeatable:
                    self._monitors.measure_pass(step)
                self._monitors.watch_update(step)
            self._judge()

    def _begin(self, seen: Seen) -> None:
        """The first batch is known: measure the fresh network on it, and ready the monitors for the steps to come."""
        assert self._criterion is not None
        self._probed = True
        subject = own_subject(seen, self._criterion, self.optimizer)
        known = {id(p) for p in subject.network.parameters()}
        whole = all(id(p) in known for group in self.optimizer.param_groups for p in group["params"])
        self._repeatable = whole and seen.how != "changed"
        self._measure(seen, [probe.name for probe in PROBES if probe.when == "before" and probe.name != "parameters"])
        self._ready(subject if whole else replace(subject, network=self.model))
        self._watch.fresh = {}
        self._judge()

    def _ready(self, subject: Subject) -> None:
        """Take down which tensors there are, and make the monitors that follow them."""
        self._make("parameters", subject)
        none: frozenset[int] = frozenset()
        self._monitors = Monitors(
            subject.network,
            self.optimizer,
            subject.loss,
            subject.inputs,
            subject.target,
            MonitorSchedule(none, none, none, 0.0),
            self,
            subject.context,
        )

    def _measure(self, seen: Seen, names: Iterable[str]) -> None:
        """Make probes on what was seen; where the network's answer cannot be repeated, on that answer alone."""
        assert self._criterion is not None
        subject = own_subject(seen, self._criterion, self.optimizer)
        for name in names:
            if seen.how != "changed" or name in ("loss_at_start", "outputs"):
                self._make(name, subject)

    def _make(self, name: str, subject: Subject) -> None:
        chosen = [probe for probe in PROBES if probe.name == name]
        with self._aside():
            try:
                self._rows += [{"kind": "probe", **row} for row in measure(subject, chosen)]
            except Exception as error:  # a user's network may refuse what a probe does; his loop must go on
                self.add("note", text=f"probe {name} could not be made: {error}")

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """While open nothing is taken for the loop's, and random numbers are drawn from generators of our own."""
        self._watch.deaf = True
        try:
            with own_randomness(0):
                yield
        finally:
            self._watch.deaf = False

    @contextmanager
    def _fresh_weights(self) -> Iterator[None]:
        """While open the model has the weights of before its first pass: some loops show a batch only after a step."""
        now = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        try:
            self._load(self._watch.fresh or {})
            yield
        finally:
            self._load(now)

    @torch.no_grad()
    def _load(self, weights: dict[str, Tensor]) -> None:
        for name, tensor in self.model.state_dict().items():
            if name in weights:
                tensor.copy_(weights[name])

    def _judge(self) -> None:
        checks = [check for check in CHECKS.values() if check.when != "after"]
        self._tell(judge(Evidence(self._header(), self.rows), checks).findings)

    def _tell(self, findings: Iterable[Finding]) -> None:
        for finding in self._told.news(findings):
            if finding.level != "note" and not finding.because and not self.quiet:
                print(finding_line({"step": self._watch.step or None} | finding.to_row()), file=sys.stderr)

    def _header(self) -> dict[str, Any]:
        """As much of a run's header as is known of somebody else's loop."""
        group = self.optimizer.param_groups[0]
        optim = {"name": type(self.optimizer).__name__.lower(), "lr": group.get("initial_lr", group.get("lr"))}
        optim |= {key: group[key] for key in ("weight_decay", "momentum") if key in group}
        wants = "" if self._criterion is None else wanted_by(self._criterion)
        seen = self._watch.seen
        tokens = wants == "logits" and seen is not None and seen.target.ndim > 1 and not seen.target.is_floating_point()
        learning = [p.numel() for p in self.model.parameters() if p.requires_grad]
        return {
            "config": {
                "optim": optim,
                "training": {} if seen is None else {"batch_size": len(seen.inputs[0])},
            },
            "data": {"task": "tokens" if tokens else TASKS.get(wants, "")},
            "model": {"name": type(self.model).__name__, "trainable": sum(learning)},
        }


def _no_loss(*_: Any) -> Tensor:
    raise ConfigError("Doctor: no loss was handed over, and the model holds none. Hand it over as loss=.")
