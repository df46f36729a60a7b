"""The public verbs that make a run: each wires the folders in the order of the flow and sees the run to its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, overload

from torch import nn

from limpid.config import Config, RecordConfig
from limpid.config_reader import config_from_dict, with_options
from limpid.data.dataset import Dataset
from limpid.data.sources import load_data as _load_data
from limpid.data.sources import named_sources
from limpid.doctor.diagnosis import Diagnosis
from limpid.doctor.finding import Finding
from limpid.errors import ConfigError, NonFiniteLoss, Stopped
from limpid.models.registry import takes_codes
from limpid.opening import new_run, read_data, refuse_early, reopen, wire_new
from limpid.population.ensembles import fit_members, keep_whole
from limpid.population.held_out import score_held_out
from limpid.population.joining import join
from limpid.population.lineup import Lineup, line_up
from limpid.practice.budget import Budget
from limpid.practice.examination import Examiner, check_wiring
from limpid.practice.patches import in_words
from limpid.practice.post_mortem import diagnose_run
from limpid.practice.therapist import Therapist
from limpid.practice.therapy import Audience, Therapy
from limpid.record.run import Run, open_run
from limpid.reporting.publishing import publish
from limpid.scoring import score_run, throughput
from limpid.training.checkpoint import TrainingState, encode, state_digest
from limpid.training.history import Silence
from limpid.training.loop import fit
from limpid.training.position import Position
from limpid.training.randomness import own_randomness
from limpid.training.rate_finder import RateCurve, search_rate
from limpid.training.signals import StopRequest
from limpid.training.stopping import EarlyStopping
from limpid.wiring import Wiring, wire


def load_data(source: Any, *, y: Any = None, seed: int = 0, **options: Any) -> Dataset:
    """Read, split and prepare data without training: `limpid.load_data("adult.csv", target="income")`.

    Args:
        source: built-in name, file, folder, archive, arrays, tensors, frame, torch Dataset, or (X, y).
        y: targets, if `source` holds only the inputs.
        seed: of the split.
        **options: of section `data`, such as target=, drop=, types=, test=, split=.

    Raises DataError when the data cannot be used, ConfigError for an unknown option.
    """
    config = with_options(Config(), options)
    return _load_data(source, config.data, seed=seed, takes_codes=takes_codes("mlp"), y=y)


def train(
    source: Any = None,
    *,
    y: Any = None,
    model: str | nn.Module | None = None,
    config: Config | None = None,
    resume: str | Path | None = None,
    observer: Any = None,
    **options: Any,
) -> Run:
    """Train one network and record it: `run = limpid.train("adult.csv", target="income")`.

    Args:
        source: data (see `load_data`), or a `Config` that names them in data.source.
        y: targets, if `source` holds only the inputs.
        model: name of an architecture, or any module that maps the inputs to (B, num_outputs).
        config: every knob; the other arguments override it.
        resume: folder of a run to continue from its last checkpoint, bit for bit as if it had never stopped; data
            and module that were handed over as objects must be handed over again.
        observer: shows progress; None is silent.
        **options: short names (lr=, epochs=, target=, ...) or section__key=; and recipe=, the name of settings that all
            others override.

    Returns the finished run; its folder holds the record, the weights and report.html.

    Raises:
        ConfigError, DataError, ModelError: something given cannot be used; nothing has been written.
        NonFiniteLoss: training diverged; the run folder holds the last good weights.
        Stopped: Ctrl-C or SIGTERM; the run folder holds a checkpoint to resume from.
    """
    if resume is not None:
        module = model if isinstance(model, nn.Module) else None
        return _resume(Path(resume), source, y, module, options, observer)
    wiring, given = wire_new(source, y, model, config, options)
    wiring, lineup = line_up(wiring, given, source, y)
    return execute(wiring, new_run(wiring, given), None, observer, lineup)


def _resume(path: Path, source: Any, y: Any, module: nn.Module | None, options: dict[str, Any], observer: Any) -> Run:
    wiring, run, state = reopen(path, source, y, module, options)
    try:
        given = config_from_dict(run.header["given"], origin=f"{run.path}/run.json")
        wiring, lineup = line_up(wiring, given, source, y)
    except BaseException:
        run.close()
        raise
    return execute(wiring, run, state, observer, lineup)


def find_rate(
    source: Any = None,
    *,
    y: Any = None,
    model: str | nn.Module | None = None,
    config: Config | None = None,
    lowest: float = 1e-6,
    highest: float = 10.0,
    num_steps: int = 200,
    **options: Any,
) -> RateCurve:
    """Suggest a learning rate by a short training with rising rates, of which nothing is kept; arguments of `train`."""
    wiring, _ = wire_new(source, y, model, config, options)
    with own_randomness(wiring.config.training.seed), wiring.fast_roads():
        return search_rate(wiring.parts, wiring.plan, lowest=lowest, highest=highest, num_steps=num_steps)


def check(
    source: Any = None,
    *,
    y: Any = None,
    model: str | nn.Module | None = None,
    config: Config | None = None,
    **options: Any,
) -> Diagnosis:
    """Examine data, network and wiring before training, of which nothing is kept; arguments of `train`."""
    wiring, given = wire_new(source, y, model, config, options)
    with own_randomness(wiring.config.training.seed):
        return check_wiring(wiring, given)


@overload
def diagnose(run: Run | str | Path, *, treat: Literal[True], **how: Any) -> Therapy: ...
@overload
def diagnose(run: Run | str | Path, *, treat: Literal[False] = False, **how: Any) -> Diagnosis: ...
def diagnose(run: Run | str | Path, *, treat: bool = False, **how: Any) -> Diagnosis | Therapy:
    """What the checks say of a run or a search: ranked findings, each with the number that it rests on.

    What takes the trained network is measured once and written into the record. source=, y= and module= hand over what
    the run was given in Python; tell= is called with a line before each measurement.
    With `treat=True` their treatments are tried, and what comes back is what came of that; see `treat` for budget= and
    out=.
    """
    opened = open_run(run)
    if opened.header.get("kind") == "search":
        from limpid.search.examination import diagnose_search

        return diagnose_search(opened, treat=treat)
    return therapise(opened, **how) if treat else diagnose_run(opened, **how)


def treat(
    run: Run | str | Path,
    *,
    findings: Sequence[Finding] | None = None,
    budget: str | float = "5m",
    out: str | Path | None = None,
    source: Any = None,
    y: Any = None,
    audience: Audience | None = None,
    observer: Any = None,
) -> Therapy:
    """Try the treatments of a run's findings in paired trials, and train what really helps to the end as a new run.

    Args:
        run: what is treated; its record gets a row for each trial, its report tells of them, and nothing else changes.
        findings: what is to be treated; None: what a diagnosis finds.
        budget: of the trials, "5m" or "20000 steps"; the new run comes on top.
        out: folder of the new run.
        source, y: the data, where the run had them handed over in Python.
        audience: is told what is tried; None is silent.
        observer: shows the progress of the new run.

    Raises ConfigError, ModelError or RecordError when the run cannot be trained again.
    """
    opened = open_run(run)
    therapist = Therapist(opened, source=source, y=y, budget=Budget.parse(budget), audience=audience)
    if out is not None:
        refuse_early(RecordConfig(out=str(out)))
    therapy = therapist.treat(diagnose_run(opened, source=source, y=y).findings if findings is None else findings)
    publish(opened, report=therapist.config.record.report)
    if not therapy.patch:
        return therapy
    wiring, given = therapist.treated(therapy, None if out is None else str(out))
    new = new_run(wiring, given)
    new.add("note", text=f"Treated: {opened.path} with {in_words(therapy.patch)}.")
    return therapist.concluded(therapy, execute(wiring, new, None, observer))


therapise = treat  # under a name that `diagnose` does not hide


def ensemble(*runs: Run | str | Path, out: str | Path | None = None, source: Any = None, y: Any = None) -> Run:
    """The best networks of several runs, of any architectures, as the one network of a new run: the mean of answers.

    Args:
        runs: at least two, trained on the same data.
        out: folder of the new run.
        source, y: the data, where the first run had them handed over in Python; they are needed for its score.

    Raises ConfigError when the runs do not answer the same question.
    """
    opened = [open_run(run) for run in runs]
    if len(opened) < 2:
        raise ConfigError("An ensemble takes at least two runs.")
    config = config_from_dict(opened[0].header["config"], origin=f"{opened[0].path}/run.json")
    record = RecordConfig(out=None if out is None else str(out), report=config.record.report)
    config = config.model_copy(update={"record": record})
    refuse_early(record)
    source = config.data.source if source is None else source
    wiring = join(wire(config, read_data(source, config, y, None)), opened)
    return execute(wiring, new_run(wiring, config), None, None)


def list_datasets() -> list[dict[str, Any]]:
    """The data sets that have a name."""
    return [{"name": name, "what": what} for name, what in named_sources().items()]


def execute(wiring: Wiring, run: Run, state: TrainingState | None, observer: Any, lineup: Lineup | None = None) -> Run:
    """Run the loop inside the run folder, then score, report and close. An already finished run is left as it is.

    With `lineup` the loop is that of each member; joined runs have members, and nothing is left to train.
    """
    observer = observer or Silence()
    if any(row["status"] == "finished" for row in run.events("end")):
        run.close()
        return run
    started = time.perf_counter()
    plan, keep = wiring.plan, wiring.config.training.keep

    def save(state: TrainingState) -> None:
        run.write_checkpoint(state.progress["step"], encode(state), keep=keep)

    examiner = Examiner(run, observer) if wiring.config.record.doctor and not wiring.members else None
    try:
        observer.wired(wiring, run)
        with StopRequest() as stop, own_randomness(wiring.config.training.seed), wiring.fast_roads():
            monitors = None
            if examiner is not None:
                examiner.examine(wiring)
                monitors = examiner.monitors(wiring)
            if lineup is not None:
                if wiring.config.record.doctor:
                    Examiner(run, observer).examine(lineup.ground.wiring(lineup.members[0]))
                wiring, position = fit_members(wiring, lineup, run, observer, stop=stop)
            elif wiring.members:
                position = keep_whole(wiring, run, Position(EarlyStopping(plan.higher_is_better)))
            else:
                watching = (run, observer) if examiner is None else (examiner, examiner)
                position = fit(wiring.parts, plan, *watching, save=save, resume=state, stop=stop, monitors=monitors)
        score_run(wiring, run, position)
        if lineup is not None:
            score_held_out(wiring, lineup, run)
        run.add("throughput", **throughput(wiring, position, time.perf_counter() - started))
        reason = "early stopping" if position.stopping.exhausted else "all epochs done"
        run.add(
            "end",
            status="finished",
            reason=reason,
            step=position.step,
            best_step=position.kept_step,
            digest=state_digest(wiring.network.state_dict()),
            seconds=time.perf_counter() - started,
        )
        if examiner is not None:
            examiner.conclude()
    except (Stopped, NonFiniteLoss) as error:
        status = "stopped" if isinstance(error, Stopped) else "failed"
        log = run if examiner is None else examiner
        log.add("end", status=status, reason=str(error), seconds=time.perf_counter() - started)
        if examiner is not None and status == "failed":
            examiner.judge("before", "during")
        publish(run, **wiring.config.record.model_dump(include={"report", "tensorboard", "mlflow"}))
        if isinstance(error, Stopped):
            raise error.resumable(run.path) from None
        raise
    else:
        publish(run, **wiring.config.record.model_dump(include={"report", "tensorboard", "mlflow"}))
    finally:
        observer.close()
        run.close()
    return run
