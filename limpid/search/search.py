"""A search, top to bottom: trials, the best of them from fresh seeds, the winner. Start reading at `run_search`."""

from __future__ import annotations

import time
from typing import Any

from limpid.errors import ConfigError, LimpidError, Stopped
from limpid.population.choice import Choice
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.member import Member
from limpid.practice.examination import examine_data
from limpid.search.examination import conclude_search
from limpid.search.finalists import Finalist, Finals
from limpid.search.folder import BEST, STUDY, SearchFolder
from limpid.search.pruners import build_pruner
from limpid.search.result import SearchResult
from limpid.search.samplers import build_sampler
from limpid.search.stages import Stages
from limpid.search.study import Study
from limpid.search.trials import Audience, Trials
from limpid.search.winner import write_winner
from limpid.training.signals import StopRequest


def run_search(
    folder: SearchFolder, ground: Ground, *, on: str | None, seconds: float | None, audience: Audience
) -> SearchResult:
    """Try configurations, train the best again from fresh seeds, and make the winner's run.

    Every trial learns from the training rows and is judged on the validation rows; the test rows are read once, for the
    winner.

    Args:
        folder: of the search, new or left by an earlier process.
        ground: the data.
        on: how members are trained; see population/executors.py. None: as training.on says.
        seconds: after which no trial begins; the finalists come on top.
        audience: is told how it goes.

    Raises:
        ConfigError: no trial finished with a figure.
        Stopped: Ctrl-C or SIGTERM; the folder holds every trial that ended.
    """
    started = time.perf_counter() - folder.seconds
    run = folder.run
    if folder.concluded:
        run.close()
        return SearchResult(run, run.events("winner")[-1])
    base = folder.base
    on = on or base.training.on
    try:
        study = _study_of(folder)
    except BaseException:
        run.close()
        raise
    try:
        with StopRequest() as stop:
            if base.record.doctor and not run.events("probe"):
                examine_data(run, ground.wiring(Member(0, base)))
            audience.begins(folder)
            trials = Trials(study, folder, base, audience, seconds=seconds)
            stages = Stages(trials, lambda: Finals(folder, base, audience))

            def tell(choice: Choice) -> None:
                run.add("note", text=f"Trained {choice.text()}.")
                audience.way(choice.text())

            train_population(stages, ground, on=on, stop=stop, tell=tell)
        if not folder.best_trials():
            raise ConfigError(_nothing_found(folder, seconds))
        assert stages.finals is not None, "an executor asks until there is nobody more"
        ranked = stages.finals.ranked()
        write_winner(folder, ground, base, ranked[0].trial)
        result = SearchResult(run, _conclude(folder, ranked))
        conclude_search(run)
        run.add("end", status="finished", reason="all trials done", seconds=time.perf_counter() - started)
        if base.record.report:
            from limpid.reporting.html import write_report

            write_report(run)
        return result
    except Stopped as error:
        reason = f"Stopped by {error.signal}; what ended is kept."
        run.add("end", status="stopped", reason=reason, seconds=time.perf_counter() - started)
        raise Stopped(f"{reason} Continue with: limpid tune --resume {run.path}", error.signal) from None
    except LimpidError as error:
        run.add("end", status="failed", reason=str(error), seconds=time.perf_counter() - started)
        raise
    finally:
        audience.close()
        study.close()
        run.close()


def _study_of(folder: SearchFolder) -> Study:
    """Raises RecordError where its file is damaged."""
    plan = folder.plan
    sampler = build_sampler(plan.sampler, plan.seed, folder.space, plan.budget)
    pruner = build_pruner(plan.pruner, plan.epochs)
    name = str(folder.run.header["data"]["name"])
    return Study(folder.path / STUDY, name, sampler, pruner, higher_is_better=plan.higher_is_better)


def _conclude(folder: SearchFolder, ranked: list[Finalist]) -> dict[str, Any]:
    """Write who won, by how much, and how sure that is."""
    first, plan = ranked[0], folder.plan
    row: dict[str, Any] = {
        "trial": first.trial["number"],
        "params": first.trial["params"],
        "numbers": [entry["number"] for entry in first.rows],
        "metric": plan.metric,
        "figure": first.figure,
        "figures": list(first.figures),
        "interval": list(first.interval),
        "best": BEST,
        "finalists": [
            {"trial": one.trial["number"], "figure": one.figure, "figures": list(one.figures)} for one in ranked
        ],
    }
    if len(ranked) > 1:
        lead, (low, high) = first.lead(ranked[1])
        apart = low > 0 or high < 0  # false where there is no interval
        row |= {"second": ranked[1].trial["number"], "lead": lead, "lead_interval": [low, high], "tied": not apart}
    folder.run.add("winner", **row)
    return row


def _nothing_found(folder: SearchFolder, seconds: float | None) -> str:
    """Why there is no winner, and what to do."""
    rows = list(folder.trials.values())
    failed = [row for row in rows if row["state"] == "failed"]
    if failed and len(failed) == len(rows):
        narrow = "Narrow the space with --space FILE, to smaller learning rates where they diverge"
        count = "the one trial" if len(rows) == 1 else f"all {len(rows)} trials"
        return f"No configuration could be judged: {count} failed, the first because: {failed[0]['reason']} {narrow}."
    again = f"limpid tune --resume {folder.path}"
    if seconds is not None:
        return f"The time of {seconds:g} s was over before any trial ended. Go on with: {again} --time {2 * seconds:g}"
    return f"No trial of {len(rows)} came to its end: {folder.plan.pruner} let all go. Use --pruner none."
