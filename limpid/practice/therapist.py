"""From the findings of a run to a better configuration, and the evidence for it: one trial after another.

Findings come root causes first, the treatments of each in the order in which its check proposes them. What a trial
accepts becomes the base of the next, so that every later treatment is tested on top of it; a finding that the new base
no longer shows is passed over. If one is left in the end, whatever is unusual in the options is tried too.

Each trial becomes a row of the run's record; nothing else of the run is touched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from limpid.config import Config, RecordConfig
from limpid.config_reader import config_from_dict
from limpid.deploy.trained import best_weights, fill
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.doctor.gain import LOOKS
from limpid.doctor.treatment import Treatment
from limpid.doctor.treatments import TREATMENTS, second_line
from limpid.errors import CheckpointError, ConfigError, ModelError, RecordError
from limpid.population.member import Member
from limpid.practice.budget import Budget, OutOfBudget
from limpid.practice.nursery import Nursery
from limpid.practice.patches import patched
from limpid.practice.therapy import Audience, Nobody, Therapy
from limpid.practice.trial import Trial
from limpid.practice.trials import Trials
from limpid.practice.yardstick import Judgement, figure_for, judge_network
from limpid.record.run import Run
from limpid.start import load_start
from limpid.wiring import Wiring, wire

SHORTEST = 0.05  # share of the run's steps that a trial takes at the least
NEARLY = 0.5  # from this share on trials take the whole length


@dataclass
class _State:
    """Where a therapy stands."""

    base: Config
    figure: str
    patch: dict[str, Any] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    untried: list[tuple[str, str]] = field(default_factory=list)
    tried: set[tuple[str, str]] = field(default_factory=set)


class Therapist:
    """Treats one run.

    Args:
        run: finished, stopped or failed.
        source, y: its data, where they were handed over in Python.
        budget: of all trials together.
        audience: is told what goes on.

    Raises:
        ConfigError: the run has no validation split, or several members.
        ModelError: it trained a module of the user's own, which cannot be built anew.
        RecordError: its data are not there any more, or are others.
    """

    def __init__(
        self,
        run: Run,
        *,
        source: Any = None,
        y: Any = None,
        budget: Budget | None = None,
        audience: Audience | None = None,
    ) -> None:
        self.run, self.audience = run, audience or Nobody()
        self.config = config_from_dict(run.header["config"], origin=f"{run.path}/run.json")
        _refuse(run, self.config)
        if source is None and self.config.data.source is None:
            raise RecordError(f"{run.path} was trained on data handed over in Python; hand over the same data again.")
        self.nursery = Nursery(self.config, source, y, budget=budget)
        dataset = self.nursery.ground.dataset(self.config)
        if dataset.fingerprint != run.header["fingerprint"]:
            raise RecordError(f"{run.path}: the data are not those that the run was trained on; restore them.")
        if dataset.valid is None:
            raise ConfigError(
                f"{run.path} kept no rows for validation, and trials are judged on nothing else. Train with "
                "data.valid_share above 0."
            )
        self.evidence = Evidence.of(run)
        price = {row["name"]: float(row.get("seconds", 0.0)) for row in run.events("probe")}
        self.trials = Trials(self.nursery, self.config.training.seed, self._now, price)

    def treat(self, findings: Sequence[Finding]) -> Therapy:
        """Try the treatments of these findings, in their order."""
        figure = figure_for(self.config, self.nursery.ground.dataset(self.config).spec)
        state = _State(self.config, figure)
        chosen = [finding for finding in findings if finding.level != "note" and finding.treatments]
        self.trials.findings = chosen
        share = self._share(sum(self._trainings(name, finding) for finding in chosen for name in finding.treatments))
        for finding in chosen:
            if self._is_gone(state, finding, share):
                self.audience.passed_over(finding)
                continue
            self._treat_one(state, finding, share)
        left = next((one for one in chosen if one.code[:1] in "BNSOG" and not self._is_gone(state, one, share)), None)
        if left is not None:
            self._treat_one(state, replace(left, treatments=second_line(self._evidence(state))), share)
        return Therapy(
            trials=tuple(state.trials),
            patch=state.patch,
            config=state.base,
            figure=state.figure,
            before=self.judge(self.run, self.config, state.figure),
            untried=tuple(state.untried),
            seconds=self.nursery.purse.seconds,
        )

    def judge(self, run: Run, config: Config, figure: str) -> Judgement | None:
        """A run's best network on the validation rows; None where it left no weights."""
        wiring = self.nursery.ground.wiring(Member(0, config))
        try:
            step, weights = best_weights(run)
        except CheckpointError:
            return None
        fill(wiring.network, weights, where=f"{run.path}, checkpoint of step {step}")
        return judge_network(wiring, figure)

    def treated(self, therapy: Therapy, out: str | None) -> tuple[Wiring, Config]:
        """The wiring of a new run with all that was accepted, and its configuration as given."""
        record = RecordConfig(out=out, report=self.config.record.report)
        config = therapy.config.model_copy(update={"record": record})
        start = load_start(config.model.start) if config.model.start else None
        given = patched(config_from_dict(self.run.header["given"]), therapy.patch)
        given = given.model_copy(update={"record": record})
        return wire(config, self.nursery.ground.dataset(config), start=start), given

    def concluded(self, therapy: Therapy, new: Run) -> Therapy:
        """With the new run beside the old one."""
        return replace(therapy, after=self.judge(new, therapy.config, therapy.figure), path=str(new.path))

    def _now(self, text: str) -> None:
        self.audience.now(text, self.nursery.purse.seconds)

    def _treat_one(self, state: _State, finding: Finding, share: float) -> None:
        for name in finding.treatments:
            while name in TREATMENTS and self._is_new(state, name, finding):
                try:
                    trial = self._try(state, TREATMENTS[name], finding, share)
                except OutOfBudget:
                    state.untried.append((name, finding.code))
                    break
                state.trials.append(trial)
                if not trial.accepted:
                    break
                state.base, state.figure = patched(state.base, trial.patch), trial.figure
                state.patch |= trial.patch
                if trial.symptom == "gone":
                    return
                if not TREATMENTS[name].again:
                    break

    def _is_new(self, state: _State, name: str, finding: Finding) -> bool:
        """Whether this treatment was not tried yet on the base of now; from here on it was."""
        about = finding.where if name in ("drop-column", "drop-rows") else ""
        key = (name + about, state.base.model_dump_json())
        if key in state.tried:
            return False
        state.tried.add(key)
        return True

    def _try(self, state: _State, treatment: Treatment, finding: Finding, share: float) -> Trial:
        """A trial, short at first where whole trainings are dear; recorded."""
        if treatment.whole and share < 1.0 and not self._can_afford(self._trainings(treatment.name, finding)):
            raise OutOfBudget
        evidence = self._evidence(state)
        trial = self.trials.run(state.base, treatment, finding, evidence, figure=state.figure, share=share)
        self._record(trial)
        if trial.accepted and trial.share < 1.0 and self._can_afford(2 * LOOKS[0]):
            try:
                confirmed = self.trials.run(
                    state.base, treatment, finding, evidence, figure=state.figure, patch=trial.patch
                )
            except OutOfBudget:
                return trial
            self._record(confirmed)
            return confirmed
        return trial

    def _evidence(self, state: _State) -> Evidence:
        """Of the run, with the base of now for its configuration."""
        header = {**self.evidence.header, "config": state.base.model_dump(mode="json")}
        return Evidence(header, self.evidence.rows, self.evidence.predictions, self.evidence.path)

    def _record(self, trial: Trial) -> None:
        with Run.open(self.run.path, write=True) as writer:
            writer.add("trial", **trial.to_row())
        self.audience.trial(trial.to_row())

    def _is_gone(self, state: _State, finding: Finding, share: float) -> bool:
        """Whether the base of now does not show a finding any more, as far as that can be asked."""
        if not state.patch:
            return False
        seed = self.config.training.seed + 1
        return self.trials.is_gone(state.base, seed, finding, figure=state.figure, share=share)

    def _cost(self) -> tuple[float, float]:
        """Seconds and steps of one whole training, as the record tells them."""
        rows = self.run.events("throughput")
        seconds = rows[-1]["seconds_training"] if rows else 0.0
        return float(seconds), float(max((epoch.step for epoch in self.evidence.epochs), default=0))

    def _can_afford(self, trainings: float) -> bool:
        seconds, steps = self._cost()
        return self.nursery.purse.can_afford(trainings * seconds, trainings * steps)

    def _trainings(self, name: str, finding: Finding) -> int:
        """How many a trial takes at the least: one for each dose, one without, and the pairs."""
        doses = len(TREATMENTS[name].patches(self.evidence, finding)) if name in TREATMENTS else 0
        return doses + 1 + 2 * LOOKS[0] if doses else 0

    def _share(self, trainings: int) -> float:
        """Share of a whole training that each twin can take so that all candidates have their turn."""
        seconds, steps = self._cost()
        budget, wanted = self.nursery.purse.budget, max(trainings, 1)
        share = min(
            budget.seconds / (wanted * seconds) if seconds else math.inf,
            budget.steps / (wanted * steps) if steps else math.inf,
        )
        return 1.0 if share >= NEARLY else max(share, SHORTEST)


def _refuse(run: Run, config: Config) -> None:
    if run.header.get("members") or config.training.members > 1:
        raise ConfigError(f"{run.path} is an ensemble; treat a run of one of its members.")
    if config.model.name.startswith("module:"):
        raise ModelError(
            f"{run.path} trained a module of your own, and a trial has to build the network anew. Name an "
            "architecture or a pattern of layers (`limpid models`)."
        )
