"""The audit: the rows of a data set that somebody should look at, as a table and a page, and what was decided on them.

    limpid.audit("photos/").write("audit/")          suspects.csv and gallery.html
    limpid.train("photos/", data__corrections="audit/corrections.csv")

Measuring is the probes', showing is reporting's; this file fetches the data and joins the two.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from limpid.config import Config
from limpid.config_reader import config_from_dict, with_options
from limpid.data.corrections import COLUMNS, Correction, correct, read_corrections, table_text
from limpid.data.dataset import Dataset
from limpid.data.sources import load_data
from limpid.doctor.rules_labels import MANY, believable, enough_labels
from limpid.errors import ConfigError, DataError
from limpid.models.registry import takes_codes
from limpid.practice.row_views import describe_row
from limpid.probes.confident_joint import NoiseEstimate
from limpid.probes.label_noise import noise_values
from limpid.probes.suspect_copies import suspect_copies
from limpid.probes.suspects import KINDS, Rows, Suspect, rows_of, suspect_classes, suspect_numbers
from limpid.record.files import write_file
from limpid.record.run import Run, open_run
from limpid.reporting.gallery import MOST_CARDS, render_gallery

CLEAR = 0.01  # share of wrong labels below which nobody asks why
TABLE, GALLERY = "suspects.csv", "gallery.html"


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        suspects: by kind, the most suspect first.
        noise: how many labels are wrong; None where rows do not have one class each.
        sure: whether that can be told from classes that overlap and models that are too weak.
        natural: equal rows that were left alone, since their values are so common that chance explains them.
        decided: what an earlier table of corrections, which has been applied, asks for.
        rows: number of rows that were looked at; test rows count only in the search for leaks.
    """

    dataset: Dataset
    source: str
    suspects: tuple[Suspect, ...]
    noise: NoiseEstimate | None
    sure: bool
    natural: int
    decided: tuple[Correction, ...]
    rows: int
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """Suspects by kind."""
        found = Counter(suspect.kind for suspect in self.suspects)
        return {kind: found[kind] for kind in KINDS if found[kind]}

    def to_rows(self) -> list[dict[str, Any]]:
        """Rows of the table: earlier decisions, then suspects, which are kept until somebody says otherwise."""
        earlier = [
            {"row": each.row, "given": each.given, "kind": "decided", "action": action, "suggested_action": action}
            | {"suggested": each.label or "", "split": "", "confidence": "", "other": ""}
            for each in self.decided
            for action in ("drop" if each.label is None else f"relabel:{each.label}",)
        ]
        found = []
        for suspect in self.suspects:
            row = asdict(suspect)
            found.append(row | {"confidence": round(suspect.confidence, 4), "action": "keep"})
        return earlier + found

    def write(self, folder: str | Path) -> tuple[Path, Path]:
        """Write suspects.csv and gallery.html into a folder, which is made; returns their paths.

        Raises DataError when the folder cannot be made.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"--out {folder}: the folder cannot be made: {error.strerror}.") from None
        table, page = folder / TABLE, folder / GALLERY
        rows = self.to_rows()
        write_file(table, table_text(rows).encode())
        write_file(page, self._page(rows).encode("utf-8", errors="backslashreplace"))
        return table, page

    def lines(self) -> list[str]:
        """What was found, for the terminal."""
        spec = self.dataset.spec
        lines = [f"{spec.name}: {self.rows:,} rows of training and validation looked at in {self.seconds:.0f} s"]
        if self.noise is not None:
            lines.append("{}: {} ({})".format(*self._facts()[0]))
        counts = self.counts
        lines += [f"{count:>6,}  {KINDS[kind]}" for kind, count in counts.items()]
        if not counts:
            lines.append("Nothing was found that somebody should look at.")
        if self.natural:
            lines.append(
                f"{self.natural:,} equal rows were left alone: their values are so common that chance explains them"
            )
        if self.decided:
            lines.append(f"{len(self.decided):,} earlier decisions were applied before and are kept in the table")
        return lines

    def to_row(self) -> dict[str, Any]:
        """Plain values, for machines."""
        noise = self.noise
        estimate = None if noise is None else {"share": noise.share, "low": noise.low, "high": noise.high}
        return {
            "data": self.dataset.spec.name,
            "rows": self.rows,
            "label_noise": estimate if noise is None or estimate is None else estimate | {"sure": self.sure},
            "counts": self.counts,
            "natural": self.natural,
            "decided": len(self.decided),
            "seconds": self.seconds,
        }

    def _facts(self) -> list[tuple[str, str, str]]:
        facts = []
        if self.noise is not None:
            noise = self.noise
            value, detail = f"{noise.share:.1%}", f"95 % interval {noise.low:.1%} to {noise.high:.1%}"
            if not self.sure and noise.high > CLEAR:
                value, detail = "cannot tell", "wrong labels and hard rows look alike in these data"
            facts.append(("labels probably wrong", value, detail))
        facts.append(("rows looked at", f"{self.rows:,}", "training and validation"))
        counts = self.counts
        copies = sum(counts.get(kind, 0) for kind in ("conflict", "leak", "copy"))
        facts.append(("copies", f"{copies:,}", "rows that others equal"))
        return facts

    def _page(self, rows: Sequence[dict[str, Any]]) -> str:
        earlier = len(rows) - len(self.suspects)
        shown: Counter[str] = Counter()
        places = _places(self.dataset)
        full: list[dict[str, Any]] = [*rows[:earlier]]
        for row, suspect in zip(rows[earlier:], self.suspects, strict=True):
            shown[suspect.kind] += 1
            if shown[suspect.kind] > MOST_CARDS:
                full.append(row)
                continue
            other = places.get(suspect.other) if suspect.kind in ("conflict", "leak", "copy") else None
            described = describe_row(self.dataset, suspect.split, suspect.position)
            if other is not None:
                described["other_picture"] = describe_row(self.dataset, *other).get("picture")
            full.append(row | described | {"classes": self.noise is not None or bool(self.dataset.spec.classes)})
        return render_gallery(
            full,
            KINDS,
            title=self.dataset.spec.name,
            facts=self._facts(),
            classes=self.dataset.spec.classes if self.dataset.spec.task in ("classification", "binary") else (),
            columns=COLUMNS,
            how_to_use=f"limpid train {self.source} --set data.corrections=corrections.csv",
        )


def audit(
    source: Any = None,
    *,
    y: Any = None,
    config: Config | None = None,
    out: str | Path | None = None,
    apply: str | Path | None = None,
    **options: Any,
) -> Audit:
    """Find the rows that somebody should look at: `limpid.audit("photos/", out="audit")`.

    Args:
        source: data (see `load_data`), or a run: its folder, or what `train` returned.
        y: targets, if `source` holds only the inputs.
        config: options; the other arguments override it.
        out: folder for suspects.csv and gallery.html.
        apply: an edited table: it is applied first, and its decisions are kept in the new table.
        **options: of section `data`, and seed=.

    Raises DataError when the data cannot be used or the table does not fit them, ConfigError for an unknown option.
    """
    started = time.perf_counter()
    given, source, y = _given(source, y, config, options)
    dataset = load_data(source, given.data, seed=given.training.seed, takes_codes=takes_codes("mlp"), y=y)
    decided = []
    if given.data.corrections is not None:
        decided = read_corrections(given.data.corrections)
    if apply is not None:
        decided += read_corrections(apply)
        dataset = correct(dataset, apply)
    with torch.no_grad():
        rows = rows_of(dataset)
        labels, noise = suspect_classes(rows)
        numbers = suspect_numbers(rows)
        copies = suspect_copies(rows, dataset)
    sure = noise is not None and _is_sure(noise, rows)
    if not sure:
        labels = [replace(one, kind="doubt", suggested_action="keep") if one.kind == "label" else one for one in labels]
    done = {each.row for each in decided}
    order = {kind: place for place, kind in enumerate(KINDS)}
    found = [one for one in (*labels, *numbers, *copies.found) if one.row not in done]
    found.sort(key=lambda one: order[one.kind])
    made = Audit(
        dataset=dataset,
        source=str(source) if isinstance(source, str | Path) else "SOURCE",
        suspects=tuple(found),
        noise=noise,
        sure=sure,
        natural=copies.natural,
        decided=tuple(decided),
        rows=len(rows),
        seconds=time.perf_counter() - started,
    )
    if out is not None:
        made.write(out)
    return made


def _given(source: Any, y: Any, config: Config | None, options: dict[str, Any]) -> tuple[Config, Any, Any]:
    """Options and data of a source, or of a run."""
    folder = isinstance(source, str | Path) and (Path(source) / "run.json").is_file()
    if isinstance(source, Run) or folder:
        run = open_run(source)
        kept = config_from_dict(run.header["config"], origin=f"{run.path}/run.json")
        given = with_options(kept, options)
        if given.data.source is None:
            raise ConfigError(
                f"{run.path} was trained on data handed over in Python; audit these: limpid.audit((X, y))."
            )
        return given, given.data.source, y
    given = with_options(config or Config(), options)
    source = given.data.source if source is None else source
    if source is None:
        raise ConfigError("Nothing to audit: give a data source or a run, for example limpid.audit('digits').")
    return given, source, y


def _is_sure(noise: NoiseEstimate, rows: Rows) -> bool:
    """Whether the doctor would believe the estimate, or there is nothing to believe."""
    values = noise_values(noise, rows.targets.flatten().long().numpy())
    return noise.high <= CLEAR or (believable(values) and (noise.share <= MANY.value or enough_labels(values)))


def _places(dataset: Dataset) -> dict[str, tuple[str, int]]:
    """Split and place of every row by name."""
    splits = [("train", dataset.train)] + ([] if dataset.valid is None else [("valid", dataset.valid)])
    return {split.name_of(i): (name, i) for name, split in splits for i in range(len(split))}
