"""What the sweep doctor says of a search: at its end into its record, and whenever somebody asks."""

from __future__ import annotations

from dataclasses import replace

from limpid.doctor.diagnosis import Diagnosis, judge
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.errors import ConfigError
from limpid.record.files import write_file
from limpid.record.run import Run
from limpid.record.trial_table import TrialTable
from limpid.reporting.search_lines import next_command
from limpid.search.next_search import arguments, next_search, space_toml
from limpid.search.space import Space

NEXT = "next.toml"  # the recommended space, in the search's folder


def diagnose_search(run: Run, *, treat: bool = False) -> Diagnosis:
    """Ask the checks of searches what the record shows, whether the search is over or not. Nothing is written.

    Raises ConfigError when it is to be treated: its cure is another search.
    """
    if treat:
        raise ConfigError(
            f"{run.path} is a search, and its cure is another search: limpid diagnose {run.path} says which. "
            f"To treat the winner, give its run: {run.path / 'best'}."
        )
    evidence = Evidence.of(run)
    diagnosis = judge(evidence)
    of_data = (Finding.from_row(row) for row in run.events("finding") if row["code"].startswith("D"))
    diagnosis = replace(diagnosis, findings=(*of_data, *diagnosis.findings))
    found = evidence.trials.next if evidence.trials else None
    if found is None:
        return diagnosis
    return replace(diagnosis, notes=(*found["changes"], f"next search: {next_command(found, run.path)}"))


def conclude_search(run: Run) -> Diagnosis:
    """Diagnose a search whose winner is known, and write what was found.

    The record gets a row for each knob's importance and each finding, the diagnosis, and the search that is recommended
    next, whose space is written as next.toml too; that of architectures no file can hold.

    Args:
        run: the search's record, opened for writing; its rows of trials, finalists and winner are complete.
    """
    rows = [*run.events(), {"kind": "end"}]
    diagnosis = judge(Evidence(run.header, rows, path=str(run.path)))
    for knob, numbers in diagnosis.statistics.get("H08", {}).items():
        run.add("importance", knob=knob, **numbers)
    for finding in diagnosis.findings:
        run.add("finding", **finding.to_row())
    run.add("diagnosis", **diagnosis.to_row())
    trials = TrialTable(run.header, rows)
    found = next_search(Space.from_dict(run.header["space"]), trials, diagnosis)
    (run.path / NEXT).unlink(missing_ok=True)
    if found is not None:
        text = "" if found.space.has_patterns else space_toml(found.space, found.changes)
        if text:
            write_file(run.path / NEXT, text.encode())
        run.add("next", changes=list(found.changes), arguments=arguments(trials, found), space=text)
    return diagnosis
