"""Cases in worker processes: what was done before is not done again, and an interrupted clinic goes on."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".clinic"
JUDGING = ("doctor", "reporting", "commands", "deploy")  # folders that no run depends on

Task = tuple[str, int]


def digest(*, judging: bool) -> str:
    """SHA-256 of the sources of the clinic and the package; without those that only read records, unless `judging`."""
    found = hashlib.sha256()
    for path in sorted((*(ROOT / "limpid").rglob("*.py"), *(ROOT / "clinic").glob("*.py"))):
        name = path.relative_to(ROOT)
        reads = len(name.parts) > 2 and name.parts[1] in JUDGING
        if judging or not (reads or name.name in ("tally.py", "summary.py", "shifts.py", "__main__.py")):
            found.update(f"{name}\n".encode() + path.read_bytes())
    return found.hexdigest()[:16]


class Ledger:
    """Rows of finished cases as JSON lines, the last one of a case counts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "rows.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self.rows: dict[Task, dict[str, Any]] = {}
        if self.file.is_file():
            text = self.file.read_text(encoding="utf-8")
            if text and not text.endswith("\n"):
                with self.file.open("a", encoding="utf-8") as file:
                    file.write("\n")
            for line in text.splitlines():
                try:
                    row = json.loads(line)
                except json.JSONDecodeError:
                    continue  # cut off by an interruption: the case is made again
                self.rows[row["condition"], row["seed"]] = row

    def add(self, row: dict[str, Any]) -> None:
        """Keep one row, in memory and on the disk."""
        self.rows[row["condition"], row["seed"]] = row
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def record_of(self, task: Task) -> Path:
        """Folder of the kept record of a case."""
        return self.folder / "records" / f"{task[0]}-{task[1]}"


def work(
    tasks: Iterable[Task],
    *,
    num_workers: int,
    dear: Callable[[Task], list[str]],
    stale: bool,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """The rows of these cases, from the ledger where sources are unchanged, else made by workers.

    Args:
        tasks: (condition, seed).
        num_workers: processes; 0: in this one.
        dear: the probes that a case gets beyond those of every training.
        stale: take records of earlier sources as they are, and only ask the rules again.
        say: told of progress.
    """
    ledger, chosen = Ledger(CACHE), list(tasks)
    runs, rules = digest(judging=False), digest(judging=True)
    todo: list[tuple[Task, list[str], bool]] = []
    for task in chosen:
        row = ledger.rows.get(task)
        done = row is not None and row["status"] != "error" and set(row["dear"]) >= set(dear(task))
        if not done or row is None or (row["runs"] != runs and not stale):
            todo.append((task, dear(task), False))
        elif row["rules"] != rules and row["status"] != "refused":
            todo.append((task, dear(task), True))

    def keep(row: dict[str, Any], number: int) -> None:
        ledger.add({**row, "runs": row.get("runs", runs), "rules": rules})
        if number % 20 == 0 or number == len(todo):
            say(f"{number} of {len(todo)} cases, {len(chosen) - len(todo)} known before")

    if num_workers == 0:
        for number, (task, probes, again) in enumerate(todo, 1):
            keep(_case(task, ledger.rows.get(task), ledger.record_of(task), probes, again), number)
    else:
        os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(num_workers, mp_context=context, initializer=_prepare) as pool:
            futures = [
                pool.submit(_case, task, ledger.rows.get(task), ledger.record_of(task), probes, again)
                for task, probes, again in todo
            ]
            for number, future in enumerate(as_completed(futures), 1):
                keep(future.result(), number)
    return [ledger.rows[task] for task in chosen]


def _prepare() -> None:
    import torch

    torch.set_num_threads(1)


def _case(task: Task, known: dict[str, Any] | None, record: Path, dear: list[str], again: bool) -> dict[str, Any]:
    """One case from the start, or its kept record judged again."""
    from clinic.register import CONDITIONS
    from clinic.ward import examine, judged

    if again and known is not None and record.is_dir():
        try:
            return {**known, **judged(record)}
        except Exception as error:  # a rule fell over: the row says which
            return {**known, "status": "error", "reason": f"{type(error).__name__}: {error}"[:500]}
    return examine(CONDITIONS[task[0]], task[1], record, dear=dear)
