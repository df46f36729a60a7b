"""What is written for people when a run has ended: its report, and the mirrors that were asked for."""

from __future__ import annotations

from pathlib import Path

from limpid.record.run import Run


def publish(run: Run, *, report: bool, tensorboard: str | None = None, mlflow: str | None = None) -> None:
    """Write the report and the mirrors; also of a run that was cut short.

    Args:
        report: whether report.html is wanted.
        tensorboard: folder of a TensorBoard mirror.
        mlflow: tracking URI of an MLflow mirror.
    """
    if report:
        from limpid.reporting.html import write_report

        write_report(run)
    if tensorboard:
        from limpid.reporting.mirrors import mirror_tensorboard

        mirror_tensorboard(run, Path(tensorboard))
    if mlflow:
        from limpid.reporting.mirrors import mirror_mlflow

        mirror_mlflow(run, mlflow)
