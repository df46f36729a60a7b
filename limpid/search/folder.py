"""The folder of a search: an ordinary run folder, in which every trial is a member.

    run.json       what was asked, of what data, in what space
    events.jsonl   a "member" row for each trial and each finalist's seed, after its epochs' "metric" rows
    study.log      the same trials as optuna's journal (study.py)
    kept/          weights of the best trials so far, from which the winner is made
    best.toml      the winner's complete configuration
    best/          the winner's run

A row is written when a member has ended, and only then is optuna told: what a killed search leaves is every member that
ended, and in study.log those that were in training, which are trained again under their number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from limpid.config import Config
from limpid.config_reader import config_from_dict, with_options
from limpid.errors import CheckpointError, RecordError
from limpid.population.member import Outcome
from limpid.record import files
from limpid.record.run import Run
from limpid.search.plan import FINALISTS, SearchPlan
from limpid.search.space import Params, Space
from limpid.training.tensors import decode_tensors, encode_tensors

Row = dict[str, Any]
STUDY, KEPT, BEST, BEST_CONFIG = "study.log", "kept", "best", "best.toml"
FINAL = "final"
# Rows that a search which goes on concludes anew.
CONCLUSIONS = frozenset({"winner", "finding", "diagnosis", "importance", "next", "end"})


class SearchFolder:
    """A search's folder, opened for writing.

    Attributes:
        run: the record.
        base: configuration that every trial changes: as given, with what was measured on this machine for all of them.
        trials: rows of the search's own members, by number.
        finals: rows of the finalists' seeds, by `repeat`.
        seconds: that earlier processes searched, as far as they told.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.plan = SearchPlan.from_header(run.header)
        self.base = _base_of(run)
        self.space = Space.from_dict(run.header["space"])
        self.trials: dict[int, Row] = {}
        self.finals: dict[str, Row] = {}
        self._best: list[Row] = []
        self.budget = self.plan.budget
        self.seconds = 0.0
        for row in run.events():
            if row["kind"] == "extension":
                self.budget = row["budget"]
            elif row["kind"] == "member":
                self._remember(row)
            elif row["kind"] == "end":
                self.seconds = row["seconds"]

    def _remember(self, row: Row) -> None:
        if row["stage"] == FINAL:
            self.finals[repeat(row["params"], row["seed"])] = row
            return
        self.trials[row["number"]] = row
        known = {repeat(best["params"], best["seed"]) for best in self._best}
        if row["state"] == "finished" and repeat(row["params"], row["seed"]) not in known:
            sign = -1.0 if self.plan.higher_is_better else 1.0
            ranked = sorted([*self._best, row], key=lambda best: (sign * best["figure"], best["number"]))
            self._best = ranked[:FINALISTS]

    @property
    def path(self) -> Path:
        return self.run.path

    @property
    def concluded(self) -> bool:
        """Whether nothing is left to do."""
        return any(row["status"] == "finished" for row in self.run.events("end"))

    def go_on(self, budget: int | None) -> None:
        """Forget what an earlier process did not come to the end of, and what it concluded; perhaps with more trials.

        Raises RecordError for fewer trials than there are.
        """
        if budget is not None and budget < len(self.trials):
            raise RecordError(f"--budget {budget}: {self.path} has {len(self.trials)} trials already. Give more.")
        known = {row["number"] for row in (*self.trials.values(), *self.finals.values())}
        self.run.forget(lambda row: _concludes(row) or row.get("member", -1) not in {-1, *known})
        if budget is not None and budget != self.budget:
            self.budget = budget
            self.run.add("extension", budget=budget)

    def add(self, stage: str, params: Params, seed: int, outcome: Outcome, **fields: Any) -> Row:
        """Write what came of a member, and its epochs before it."""
        metric = [{"kind": "metric", "member": outcome.number, **row} for row in outcome.rows]
        row = {"kind": "member", "stage": stage, "params": params, "seed": seed, **fields, **outcome.to_row()}
        self.run.add_rows([*metric, row])
        self._remember(row)
        return row

    def best_trials(self, count: int = FINALISTS) -> list[Row]:
        """The best trials that finished, best first, each configuration once; of equals the earlier."""
        return self._best[:count]

    def keep(self, outcome: Outcome) -> None:
        """Keep the weights of a trial if it is one of the best so far, and those of the best alone."""
        best = {row["number"] for row in self.best_trials()}
        if outcome.number not in best or outcome.weights is None:
            return
        with files.unforced():  # a trial whose weights a crash of the machine has cut is trained again
            files.make_folder(self.path / KEPT, exist_ok=True)
            files.write_file(self._weights_of(outcome.number), encode_tensors(outcome.weights))
            for path in (self.path / KEPT).iterdir():
                if path.stem not in {str(number) for number in best}:
                    files.remove_tree(path)

    def kept(self, number: int) -> dict[str, Tensor] | None:
        """The weights of a trial; None where they are not whole."""
        path = self._weights_of(number)
        try:
            return decode_tensors(path.read_bytes(), str(path)) if path.exists() else None
        except CheckpointError:
            return None

    def epochs_of(self, number: int) -> list[Mapping[str, Any]]:
        """The metric rows of a member, as a run of its own would hold them."""
        rows = [row for row in self.run.events("metric") if row["member"] == number]
        return [{key: row[key] for key in row if key not in ("kind", "time", "member")} for row in rows]

    def _weights_of(self, number: int) -> Path:
        return self.path / KEPT / f"{number}.safetensors"


def repeat(params: Mapping[str, Any], seed: int) -> str:
    """A name of a configuration from a seed: equal for equal members."""
    return json.dumps([params, seed], sort_keys=True)


def _base_of(run: Run) -> Config:
    """Measured once for all trials, so that a search from the same seed is the same search on this machine."""
    given = config_from_dict(run.header["given"], origin=f"{run.path}/run.json")
    resolved = run.header["config"]["training"]
    return with_options(given, {f"training__{key}": resolved[key] for key in ("precision", "matmul")})


def _concludes(row: Row) -> bool:
    """Whether a row was written at the end of a search; what was found in the data was found before it."""
    return row["kind"] in CONCLUSIONS and not (row["kind"] == "finding" and row["code"].startswith("D"))
