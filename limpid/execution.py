"""One run from its wiring to its report: train, score, write down how it ended, publish."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from limpid.config import RecordConfig
from limpid.errors import NonFiniteLoss, Stopped
from limpid.members import fit_members
from limpid.record.run import Run
from limpid.scoring import score_run, throughput
from limpid.training.checkpoint import TrainingState, encode, state_digest
from limpid.training.history import Silence
from limpid.training.loop import fit
from limpid.training.randomness import own_randomness
from limpid.training.signals import StopRequest
from limpid.wiring import Wiring


def execute(wiring: Wiring, run: Run, state: TrainingState | None, observer: Any) -> Run:
    """Run the loop inside the run folder, then score, report and close. An already finished run is left as it is."""
    observer = observer or Silence()
    if any(row["status"] == "finished" for row in run.events("end")):
        run.close()
        return run
    started = time.perf_counter()
    plan, keep = wiring.plan, wiring.config.training.keep

    def save(state: TrainingState) -> None:
        run.write_checkpoint(state.progress["step"], encode(state), keep=keep)

    try:
        observer.wired(wiring, run)
        with StopRequest() as stop, own_randomness(wiring.config.training.seed), wiring.fast_roads():
            if wiring.members:
                position = fit_members(wiring, run, observer, stop=stop)
            else:
                position = fit(wiring.parts, plan, run, observer, save=save, resume=state, stop=stop)
        score_run(wiring, run, position)
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
    except (Stopped, NonFiniteLoss) as error:
        status = "stopped" if isinstance(error, Stopped) else "failed"
        run.add("end", status=status, reason=str(error), seconds=time.perf_counter() - started)
        publish(run, wiring.config.record)
        if isinstance(error, Stopped):
            raise error.resumable(run.path) from None
        raise
    else:
        publish(run, wiring.config.record)
    finally:
        observer.close()
        run.close()
    return run


def publish(run: Run, config: RecordConfig) -> None:
    """Write the report and the mirrors that were asked for; also of a run that was cut short."""
    if config.report:
        from limpid.reporting.html import write_report

        write_report(run)
    if config.tensorboard:
        from limpid.reporting.mirrors import mirror_tensorboard

        mirror_tensorboard(run, Path(config.tensorboard))
    if config.mlflow:
        from limpid.reporting.mirrors import mirror_mlflow

        mirror_mlflow(run, config.mlflow)
