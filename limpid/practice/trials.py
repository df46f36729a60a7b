"""The paired trial of one treatment: twins with and without it, from the same seeds, until the gain is decided.

1. Each dose of a treatment is trained once, from the run's own seed; the best goes on, if it is better than none.
2. That dose is tried on fresh seeds, at which neither the finding nor the dose was chosen. Pairs are added until the
   interval of the gain lies above what matters, or there is no use in going on (doctor/gain.py).
3. Where whole trainings are dear, short ones come first, and only what gains there is tried at full length.
4. The check that found the symptom is asked again about a treated twin: the symptom must be gone, or milder.

All doses are trained as one population, and so are all pairs up to the next look.

A treatment is accepted when its gain is real and its symptom is not as before; otherwise it is withdrawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from limpid.config import Config
from limpid.doctor.checks import CHECKS
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.doctor.gain import LOOKS, RELEVANT, Gain, is_decided, measure_gain
from limpid.doctor.treatment import Patch, Treatment
from limpid.errors import LimpidError
from limpid.practice.budget import OutOfBudget
from limpid.practice.nursery import Nursery
from limpid.practice.patches import in_words, patched
from limpid.practice.symptoms import Symptom, compare_symptom, found_in
from limpid.practice.trial import Trial
from limpid.practice.twins import Outcome, Twin

CLASSES = ("classification", "binary", "multilabel")
DEAREST = 10.0  # seconds that asking for a symptom again may take


class Trials:
    """Trials on one run: the trainings behind them are shared, so that an untreated twin is trained once.

    Args:
        nursery: trains.
        seed: of the run; trials use the seeds behind it.
        tell: is told in one line what goes on just now.
        price: seconds that probes took on the run, by name.

    Attributes:
        findings: all that may be asked for again: a twin is then examined once for all of them, not once for each.
    """

    def __init__(
        self, nursery: Nursery, seed: int, tell: Callable[[str], None], price: Mapping[str, float] | None = None
    ) -> None:
        self.nursery, self.seed, self.tell, self.price = nursery, seed, tell, price or {}
        self.findings: Sequence[Finding] = ()

    def run(
        self,
        base: Config,
        treatment: Treatment,
        finding: Finding,
        evidence: Evidence,
        *,
        figure: str,
        share: float = 1.0,
        patch: Patch | None = None,
    ) -> Trial:
        """Try a treatment on top of a configuration.

        Args:
            base: what the untreated twins are trained with.
            evidence: of the run, with `base` for its configuration; treatments read it.
            figure: what is compared, unless the treatment has a figure of its own.
            share: of the steps of a whole training that the twins take.
            patch: the dose, where it is known from a shorter trial.

        Raises OutOfBudget when the time is over before anything can be said.
        """
        started = time.perf_counter()
        figure = treatment.figure if treatment.figure and evidence.task in CLASSES else figure
        about: dict[str, Any] = {
            "treatment": treatment.name,
            "finding": finding.code,
            "where": finding.where,
            "figure": figure,
        }
        patches = treatment.patches(evidence, finding) if patch is None else (patch,)
        if not patches:
            why = treatment.by_hand or "no option that it would change is other than it should be"
            return Trial(**about, patch={}, accepted=False, reason=f"not tried: {why}.")
        twins = _Twins(self.nursery, base, figure, 1.0 if treatment.whole else share)
        try:
            trial = self._judge(twins, treatment, patches, finding, about)
        except LimpidError as error:  # the patched run cannot be built, or its data cannot be read
            trial = Trial(**about, patch=patches[0], accepted=False, reason=f"not possible: {error}")
        return replace(trial, share=twins.share, trainings=twins.count, seconds=time.perf_counter() - started)

    def _judge(
        self,
        twins: _Twins,
        treatment: Treatment,
        patches: tuple[Patch, ...],
        finding: Finding,
        about: Mapping[str, Any],
    ) -> Trial:
        honest = finding.code in treatment.honest_for
        patch = patches[0]
        if not honest:
            patch, treated, untreated = self._best_dose(twins, treatment, patches)
            if treated >= untreated:
                reason = "no gain from the run's own seed."
                return Trial(**about, patch=patch, accepted=False, reason=reason, untreated=untreated, treated=treated)
        return self._compare(twins, treatment, patch, finding, about, honest)

    def _best_dose(self, twins: _Twins, treatment: Treatment, patches: tuple[Patch, ...]) -> tuple[Patch, float, float]:
        """The dose with the lowest figure from the run's own seed, which no pair uses; that figure, and the one without
        any."""
        between = f" to {in_words(patches[-1])}, {len(patches)} doses" if len(patches) > 1 else ""
        self.tell(f"{treatment.name}: {in_words(patches[0])}{between}, and none")
        wanted = [*(twins.treated(patch, self.seed) for patch in patches), twins.untreated(self.seed)]
        *losses, untreated = (outcome.judgement.loss for outcome in twins.train(wanted))
        best = int(np.argmin(losses))
        return patches[best], losses[best], untreated

    def _compare(
        self,
        twins: _Twins,
        treatment: Treatment,
        patch: Patch,
        finding: Finding,
        about: Mapping[str, Any],
        honest: bool,
    ) -> Trial:
        """Pairs from fresh seeds until the gain is decided; then the symptom."""
        pairs: list[tuple[Outcome, Outcome]] = []
        gain: Gain | None = None
        late = False
        for look in LOOKS:
            known = "" if gain is None else f", gain so far {gain.mean:.3g}"
            at_most = LOOKS[0] if honest else LOOKS[-1]
            self.tell(f"{treatment.name}, {in_words(patch)}: pairs {len(pairs) + 1} to {look} of {at_most}{known}")
            seeds = range(self.seed + 1 + len(pairs), self.seed + 1 + look)
            wanted = [twin for seed in seeds for twin in (twins.untreated(seed), twins.treated(patch, seed))]
            try:
                outcomes = twins.train(wanted)
            except OutOfBudget:
                late = True
                if gain is None:
                    raise
                break
            pairs.extend(zip(outcomes[::2], outcomes[1::2], strict=True))
            gain = measure_gain(
                np.stack([one.judgement.losses_N - two.judgement.losses_N for one, two in pairs]),
                least=RELEVANT * _mean([one.judgement.loss for one, _ in pairs]),
            )
            if is_decided(gain) or honest:
                break
        assert gain is not None
        symptom: Symptom = "not measured"
        if gain.real or honest:
            symptom = self._symptom(twins, patch, finding)
        if honest:
            accepted, reason = _is_honest(finding, symptom)
        else:
            accepted, reason = _helps(gain, symptom, late)
        return Trial(
            **about,
            patch=patch,
            accepted=accepted,
            reason=reason,
            untreated=_mean([one.judgement.loss for one, _ in pairs]),
            treated=_mean([two.judgement.loss for _, two in pairs]),
            gain=gain,
            score=(_mean([one.judgement.score for one, _ in pairs]), _mean([two.judgement.score for _, two in pairs])),
            score_name=pairs[0][0].judgement.name,
            seeds=tuple(self.seed + 1 + i for i in range(len(pairs))),
            symptom=symptom,
        )

    def is_gone(self, base: Config, seed: int, finding: Finding, *, figure: str, share: float) -> bool:
        """Whether a configuration does not show a finding any more, as far as that can be asked."""
        if not self._can_ask(finding):
            return False
        try:
            twin = Twin(base, seed, figure, share)
            outcome = self.nursery.raise_twin(twin, examined=self._reads(finding))
        except OutOfBudget:
            return False
        return found_in(finding.code, outcome) == ()

    def _symptom(self, twins: _Twins, patch: Patch, finding: Finding) -> Symptom:
        """The finding's check, asked about a treated twin and, where trials are short, about its untreated sibling."""
        if not self._can_ask(finding):
            return "not measured"
        reads = self._reads(finding)
        try:
            treated = twins.examine(twins.treated(patch, self.seed + 1), reads)
            untreated = twins.examine(twins.untreated(self.seed + 1), reads) if twins.share < 1.0 else None
        except OutOfBudget:
            return "not measured"
        return compare_symptom(finding, treated, untreated)

    def _can_ask(self, finding: Finding) -> bool:
        """Whether there is a check of this code, and what it reads is not too dear."""
        check = CHECKS.get(finding.code)
        return check is not None and self._price(check.reads) <= DEAREST

    def _reads(self, finding: Finding) -> tuple[str, ...]:
        """What a finding's check reads, and those of the others, as far as all together are not too dear."""
        shared: set[str] = set()
        for other in filter(self._can_ask, self.findings):
            more = shared | set(CHECKS[other.code].reads)
            shared = more if self._price(more) <= DEAREST else shared
        return tuple(sorted(shared | set(CHECKS[finding.code].reads)))

    def _price(self, reads: Iterable[str]) -> float:
        return sum(self.price.get(name, 0.0) for name in reads)


class _Twins:
    """The trainings of one trial; counts those that were made."""

    def __init__(self, nursery: Nursery, base: Config, figure: str, share: float) -> None:
        self.nursery, self.base, self.figure, self.share = nursery, base, figure, share
        self._before = nursery.trainings

    @property
    def count(self) -> int:
        return self.nursery.trainings - self._before

    def untreated(self, seed: int) -> Twin:
        return Twin(self.base, seed, self.figure, self.share)

    def treated(self, patch: Patch, seed: int) -> Twin:
        return Twin(patched(self.base, patch), seed, self.figure, self.share, like=self.base)

    def train(self, twins: Sequence[Twin]) -> list[Outcome]:
        return self.nursery.raise_twins(twins)

    def examine(self, twin: Twin, probes: Sequence[str]) -> Outcome:
        return self.nursery.raise_twin(twin, examined=probes)


def _is_honest(finding: Finding, symptom: Symptom) -> tuple[bool, str]:
    if finding.sure == "suspected":
        return False, "it is only suspected; whether this is known in time is yours to say."
    if symptom != "gone":
        return False, f"the symptom is {symptom} without it."
    return True, "the symptom is gone; the figure without it is the honest one."


def _helps(gain: Gain, symptom: Symptom, late: bool) -> tuple[bool, str]:
    if gain.harm:
        return False, "it makes things worse."
    if not gain.real:
        ran_out = "; the time was over" if late else ""
        if gain.mean <= 0 or gain.high <= gain.least:
            return False, "no gain that matters."
        return False, f"the gain is not told apart from none that matters{ran_out}."
    if symptom == "as before":
        return False, "the figure gains, but the symptom is as before."
    return True, "the gain is real" + ("." if symptom == "not measured" else f", and the symptom is {symptom}.")


def _mean(values: list[float]) -> float:
    return float(np.mean(values))
