"""The search that is recommended after a search: its space, what else is to be asked for, and why.

Made of the sweep doctor's findings (doctor/rules_sweep_*.py): a range that ends too early is extended, one above which
training breaks down is cut, a knob that does nothing is held still, one that is missing beside another joins, and one
that matters is tightened around the best trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.doctor.diagnosis import Diagnosis
from limpid.doctor.finding import Finding
from limpid.doctor.rules_sweep_edge import extended
from limpid.doctor.rules_sweep_luck import ENOUGH
from limpid.doctor.rules_sweep_space import FEASIBLE
from limpid.doctor.rules_sweep_stability import failing_side
from limpid.errors import ConfigError
from limpid.record.trial_table import Range, TrialTable
from limpid.search.knob import Knob, frozen
from limpid.search.plan import BUDGET, SEEDS
from limpid.search.space import SHRINK, Space
from limpid.search.winner import literal

KEPT = 3  # best trials around which a range is tightened
DECAYS = (1e-6, 1e-2)  # of weights, where none was searched
BEYOND = 3.0  # factor by which a rate may rise where training is made stable
AWAY = 10.0  # factor on either side of a rate that was held still
SETTLING = ("H02", "H03", "H05", "H06", "H07")  # findings that are to be settled before ranges are tightened


@dataclass(frozen=True)
class NextSearch:
    """What to search next.

    Attributes:
        space: to be searched.
        changes: of the space and of what else is asked for, in words.
        options: of `limpid tune` that are to be changed: budget, pruner, epochs.
    """

    space: Space
    changes: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


def next_search(space: Space, trials: TrialTable, diagnosis: Diagnosis) -> NextSearch | None:
    """The search that the findings recommend; None where they recommend none, or there is nothing to go by.

    Of a search of architectures the space stays: no file can hold another one.
    """
    if not trials.ranked:
        return None
    knobs = {knob.path: knob for knob in space.knobs}
    warned = [finding for finding in diagnosis.findings if finding.level != "note"]
    codes = {finding.code for finding in warned}
    changes: list[str] = []
    if not space.has_patterns:
        for finding in warned:
            if finding.code == "H01":
                _extend(knobs, finding, diagnosis, changes)
        _stabilise(knobs, trials, codes, changes)
        if "H07" in codes:
            _join(knobs, trials, changes)
        _hold(knobs, trials, diagnosis, changes)
    options = _options(trials, diagnosis, codes, changes)
    if not (space.has_patterns or codes & set(SETTLING)):
        _tighten(knobs, trials, diagnosis, changes)
    if not changes:
        return None
    return NextSearch(Space(tuple(knobs.values()), "the recommended space"), tuple(changes), options)


def _extend(knobs: dict[str, Knob], finding: Finding, diagnosis: Diagnosis, changes: list[str]) -> None:
    """H01: the range goes on beyond the bound, as far as the configuration takes it."""
    knob, side = knobs[finding.where], diagnosis.statistics["H01"][finding.where]["side"]
    if knob.kind == "choice":
        values = sorted(knob.choices)
        edge, inner = (values[-1], values[-2]) if side == "high" else (values[0], values[1])
        beyond = edge * edge / inner if inner else 2 * edge
        beyond = round(beyond) if all(isinstance(value, int) for value in values) else beyond
        if beyond in values or not _accepted(knob.path, beyond):
            return
        knobs[knob.path] = replace(knob, choices=(*knob.choices, beyond))
        changes.append(f"{knob.path}: {beyond:g} as well")
        return
    low, high = extended(_range_of(knob), side)
    low = low if _accepted(knob.path, low) else knob.low
    high = high if _accepted(knob.path, high) else knob.high
    if (low, high) != (knob.low, knob.high):
        knobs[knob.path] = replace(knob, low=_as(knob, low), high=_as(knob, high))
        changes.append(f"{knob.path}: extend to {low:g}..{high:g} (was {knob.low:g}..{knob.high:g})")


def _stabilise(knobs: dict[str, Knob], trials: TrialTable, codes: set[str], changes: list[str]) -> None:
    """H04: what makes training stable joins. H02: a range ends where training breaks down."""
    found = failing_side(trials)
    if "H04" in codes:
        for knob in (
            Knob("optim.warmup", "choice", choices=(0.0, 0.1, 0.2), why="high rates survive behind a warm-up"),
            Knob("optim.clip_norm", "log", 0.1, 10.0, why="high rates survive with clipped gradients"),
        ):
            if knob.path not in knobs:
                knobs[knob.path] = knob
                changes.append(f"{knob.path}: {_ranged(knob)}, new: the best rate lies beside those that break down")
    if found is not None and "H02" in codes and found[0].path in knobs:
        knob, room = knobs[found[0].path], BEYOND if "H04" in codes else 1.0  # room for what stability may gain
        high = float(f"{found[1] * room:.3g}")
        if knob.low < high < knob.high:
            knobs[knob.path] = replace(knob, high=high)
            changes.append(f"{knob.path}: {knob.low:g}..{high:g} (was to {knob.high:g}), as training breaks down above")


def _join(knobs: dict[str, Knob], trials: TrialTable, changes: list[str]) -> None:
    """H07: rate and decay join the batch size."""
    rate = trials.option("optim.lr")
    if "optim.lr" not in knobs and isinstance(rate, int | float):
        low, high = float(f"{rate / AWAY:.3g}"), float(f"{rate * AWAY:.3g}")
        knobs["optim.lr"] = Knob("optim.lr", "log", low, high, why="the best rate depends on the batch size")
        changes.append(f"optim.lr: {low:g}..{high:g} (log), new: each batch size has its own best rate")
    if "optim.weight_decay" not in knobs:
        knobs["optim.weight_decay"] = Knob("optim.weight_decay", "log", *DECAYS, why="depends on the batch size too")
        changes.append(f"optim.weight_decay: {DECAYS[0]:g}..{DECAYS[1]:g} (log), new")


def _hold(knobs: dict[str, Knob], trials: TrialTable, diagnosis: Diagnosis, changes: list[str]) -> None:
    """H08: what surely does next to nothing stays at the best trial's value, if no other knob depends on it."""
    best = trials.best_trial
    idle = next((f for f in diagnosis.findings if f.code == "H08" and not f.where), None)
    if idle is None or best is None:
        return
    shares = diagnosis.statistics["H08"]
    for path, knob in list(knobs.items()):
        high = shares.get(path, {}).get("high", math.inf)
        depended = any(path in other.when for other in knobs.values())
        moved = any(finding.where == path for finding in diagnosis.findings if finding.level != "note")
        if high < idle.threshold and path in best.params and not (depended or knob.when or moved):
            value = frozen(best.params[path])
            value = float(f"{value:.3g}") if isinstance(value, float) else value
            knobs[path] = Knob(path, "choice", choices=(value,), why="it made no difference")
            changes.append(f"{path}: hold at {literal(value)}, it made no difference")


def _tighten(knobs: dict[str, Knob], trials: TrialTable, diagnosis: Diagnosis, changes: list[str]) -> None:
    """What surely matters, with its best inside its range, is searched again around the best trials."""
    shares = diagnosis.statistics.get("H08", {})
    moved = {finding.where for finding in diagnosis.findings if finding.code in ("H01", "H04")}
    best = trials.ranked[:KEPT]
    for path, knob in list(knobs.items()):
        values = [trial.params[path] for trial in best if path in trial.params]
        seen = shares.get(path, {})
        sure = seen.get("low", -1.0) > 0.0 and seen["trials"] >= ENOUGH
        if not sure or path in moved or knob.kind not in ("linear", "log", "whole") or not values:
            continue
        tight = knob.tightened(values, SHRINK)
        low, high = (float(f"{bound:.3g}") for bound in (tight.low, tight.high))
        if low < high and (low, high) != (knob.low, knob.high):
            knobs[path] = replace(knob, low=_as(knob, low), high=_as(knob, high))
            changes.append(f"{path}: {low:g}..{high:g} (was {knob.low:g}..{knob.high:g}), around the best trials")


def _options(trials: TrialTable, diagnosis: Diagnosis, codes: set[str], changes: list[str]) -> dict[str, Any]:
    """What else is to be asked for: trials, pruner, epochs."""
    options: dict[str, Any] = {}
    if "H02" in codes and diagnosis.statistics["H02"]["feasible"] >= FEASIBLE.value:  # few trials, not a barren space
        options["budget"] = max(BUDGET, 2 * len(trials.searched))
        what = "grid" if trials.header.get("sampler") == "grid" else "budget"  # a grid is laid out anew, not extended
        changes.append(f"{what}: {options['budget']} trials (were {len(trials.searched)})")
    if "H05" in codes:
        options["pruner"] = "none"
        changes.append(f"pruner: none (was {trials.header.get('pruner')}), which ended trials that begin slowly")
    if "H06" in codes:
        numbers = diagnosis.statistics["H06"]
        planned = int(numbers["epochs"])
        options["epochs"] = max(2, round(3 * numbers["share"] * planned)) if numbers["share"] < 0.5 else 2 * planned
        changes.append(f"epochs: {options['epochs']} (were {planned})")
    return options


def arguments(trials: TrialTable, found: NextSearch) -> list[str]:
    """What `limpid tune` is to be given beside --space: what this search was given, with what changes."""
    given = trials.header.get("given") or {}
    words = [str((given.get("data") or {}).get("source") or "SOURCE")]
    words += ["--budget", str(found.options.get("budget", trials.budget or BUDGET))]
    pruner = found.options.get("pruner", trials.header.get("pruner"))
    words += ["--sampler", str(trials.header.get("sampler"))] if trials.header.get("sampler") != "random" else []
    words += ["--pruner", str(pruner)] if pruner not in (None, "none") else []
    words += ["--metric", trials.metric]
    seeds = trials.header.get("seeds", SEEDS)
    words += ["--seeds", str(seeds)] if seeds != SEEDS else []
    words += ["--architectures"] if found.space.has_patterns else []
    own = {"data.source", "training.monitor", "record.report"}
    own |= {knob.path for knob in found.space.knobs if knob.kind != "pattern"}  # a network is where these begin
    if "epochs" in found.options:
        own.add("training.epochs")
        words += ["--epochs", str(found.options["epochs"])]
    for section, values in given.items():
        for key, value in {**(values or {}), **((values or {}).get("options") or {})}.items():
            if f"{section}.{key}" not in own and value is not None and key != "options":
                words += ["--set", f"{section}.{key}={literal(value) if not isinstance(value, str) else value}"]
    return words


def space_toml(space: Space, changes: tuple[str, ...] = ()) -> str:
    """The space as the file that `limpid tune --space` reads."""
    lines = [f"# {change}" for change in changes] + [""] * bool(changes)
    for knob in space.knobs:
        lines.append(f"[{knob.path}]")
        if knob.kind == "choice":
            lines.append(f"choices = {literal(knob.choices)}")
        else:
            lines += [f"low = {literal(knob.low)}", f"high = {literal(knob.high)}"]
            lines += ['scale = "log"'] if knob.on_log else []
        if knob.when:
            lines.append("when = " + literal({path: list(values) for path, values in knob.when.items()}))
        lines += [f"why = {literal(knob.why)}", ""] if knob.why else [""]
    return "\n".join(lines)


def _accepted(path: str, value: Any) -> bool:
    """Whether the configuration takes this value."""
    try:
        with_options(Config(), {path.replace(".", "__"): int(value) if value == int(value) else value})
    except ConfigError:
        return False
    return True


def _range_of(knob: Knob) -> Range:
    return Range.of(knob.to_dict())


def _ranged(knob: Knob) -> str:
    return ", ".join(map(str, knob.choices)) if knob.choices else f"{knob.low:g}..{knob.high:g} (log)"


def _as(knob: Knob, bound: float) -> float:
    return int(bound) if knob.kind == "whole" else bound
