"""Series of one or several columns as windows of the past and values of the future.

Windows are cut after the steps have been split by time, and belong to the part that holds all the steps that they
predict: no training target lies in the steps that validate or test, while validation and test may look back.

Shapes: S steps, N windows, F features, C target columns, H steps ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from limpid.config import DataConfig
from limpid.data.column_types import as_numbers, infer_type
from limpid.data.dataset import Dataset, Split
from limpid.data.encode import TableEncoder
from limpid.data.encoder_fit import FittedColumns, fit_encoder
from limpid.data.folds import fold_borders, refuse_parts, subset_of
from limpid.data.frames import TableFile, read_table
from limpid.data.origin import named
from limpid.data.season import find_season
from limpid.data.split import split_shares
from limpid.data.table_roles import column_name
from limpid.data.time_axis import Arranged, arrange_times, counts_steps
from limpid.data.windows import SeriesWindows
from limpid.errors import DataError
from limpid.spec import DataSpec

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

DEFAULT_WINDOW, DEFAULT_HORIZON = 24, 1  # steps, of a series without a season
SEASONS_SEEN = 2  # of a series with one: the last season and the one before it tell a repetition from a trend
MOST_WINDOW, MOST_HORIZON = 168, 24  # steps of the defaults: recurrent networks take time for each


@dataclass(frozen=True)
class Series:
    """A table of equally spaced steps, read for forecasting."""

    frame: pl.DataFrame  # in order of time, missing rows null
    targets: tuple[str, ...]
    fitted: FittedColumns
    numbers_SF: NDArray[np.float32]
    target_SC: Floats  # NaN where missing
    borders: tuple[int, int, int]  # steps from which validation begins, before which it ends, and the test begins
    arranged: Arranged


def load_series(path: str | Path, config: DataConfig) -> Dataset:
    """A table file as a forecasting data set. Raises DataError for whatever is wrong with it."""
    with named(str(path)):
        return series_dataset(read_table(path, header=config.header), config, name=Path(path).stem, origin=str(path))


def series_dataset(file: TableFile, config: DataConfig, *, name: str, origin: str) -> Dataset:
    """Windows of `config.window` steps, and the targets of the `config.horizon` steps that follow.

    Raises:
        DataError: times with gaps, twice or out of order (see `data.times`), no target, a series too short for
            window and horizon, or any faulty cell.
    """
    series = _read_series(file, config, origin)
    season = find_season(series.target_SC[: series.borders[0], 0], series.arranged.axis.seasons())
    window, horizon, reason = _window_and_horizon(config, season, series.borders[0])
    ends, wanted = _windows(series, window, horizon, config.stride or 1, origin)
    tensor_SF = torch.from_numpy(series.numbers_SF)

    def part(which: str) -> Split:
        end_N = ends[which]
        rows = SeriesWindows(tensor_SF, torch.from_numpy(end_N), window=window)
        index = torch.from_numpy(series.arranged.rows[end_N])
        return Split(rows, torch.from_numpy(wanted[which].astype(np.float32)), index=index)

    splits = {which: part(which) for which in ends}
    counts = {which: len(split) for which, split in splits.items()}
    naive = _naive_errors(series, ends, wanted, season, horizon)
    spec = _spec(name, file, series, config, (window, horizon, season), counts, naive)
    summary = {
        "rows": len(series.numbers_SF),
        "columns": series.fitted.columns,
        "dropped": series.fitted.dropped,
        "notes": [
            *series.arranged.notes,
            reason,
            _naive_note(naive, season),
            *file.notes,
            *series.fitted.notes,
            *_missing_notes(series),
        ],
        "split": counts | {"how": "in order of time; a window belongs to the part that holds all it predicts"},
        "task": "regression",
        "task_reason": f"a forecast, {horizon} step(s) ahead",
        "target": list(series.targets),
    }
    return Dataset(spec, splits["train"], splits.get("valid"), lambda: splits.get("test"), file.digest, summary)


def encode_steps(encoder: TableEncoder, frame: pl.DataFrame, rows: Index | None = None) -> NDArray[np.float32]:
    """Features (S, F) of every step. A missing number takes the last known one, the first ones the training median."""
    numbers_SF = encoder.transform(frame, rows).numbers
    at = 0
    for column in encoder.numeric:
        width = len(column.feature_names())
        if column.type == "number":
            values = frame[column.name]
            missing_S = missing_cells(values)
            if missing_S.any():
                last_S = np.maximum.accumulate(np.where(missing_S, -1, np.arange(len(missing_S))))
                numbers_SF[:, at] = np.where(last_S < 0, numbers_SF[:, at], numbers_SF[np.maximum(last_S, 0), at])
        at += width
    return numbers_SF


def missing_cells(cells: pl.Series) -> NDArray[np.bool_]:
    """Which cells of a number column are missing."""
    return as_numbers(cells, "number")[0].is_null().to_numpy()


def _read_series(file: TableFile, config: DataConfig, origin: str) -> Series:
    import polars as pl

    frame = file.frame
    how, _, by = config.split.partition(":")
    if how not in ("random", "time") or config.test is not None:
        given = "data.test" if config.test is not None else f"data.split = {config.split}"
        raise DataError(f"{origin}: {given} does not apply to a series, which is split in order of time.")
    drop = [column_name(text, frame.columns, origin) for text in config.drop]
    targets = tuple(column_name(text, frame.columns, origin) for text in config.target)
    named_time = column_name(by, frame.columns, origin) if how == "time" else None
    frame = frame.drop(drop)
    arranged = arrange_times(frame.drop(targets), named_time, config.times, origin)
    left_out = dict.fromkeys(arranged.axis.columns, "time")
    others = [name for name in frame.columns if name not in (*targets, *left_out)]
    counters = {name: "counts the rows" for name in others if counts_steps(frame[name])}
    if targets or len(counters) < len(others):
        left_out |= counters
    targets = targets or _only_number(frame.drop(list(left_out)), origin)
    gather = pl.Series([None if row < 0 else row for row in arranged.rows.tolist()], dtype=pl.UInt32)
    frame = frame.select(pl.all().gather(gather))
    refuse_parts(config, "the training part of a series is one piece. Leave it out.")
    valid_share, test_share = split_shares(config, has_test=False)
    num_steps = frame.height
    second = num_steps - round(test_share * num_steps)
    fold = subset_of(config).fold
    first, until = (second - round(valid_share * num_steps), second) if fold is None else fold_borders(second, fold)
    fitted = fit_encoder(
        frame[:first],
        frame,
        leave_out=left_out,
        types={**dict.fromkeys(targets, "number"), **config.types},
        onehot=True,
        refuse_missing=config.missing == "error",
        rows=arranged.rows[:first],
    )
    for entry in fitted.columns:
        entry["type"] = "time" if entry["name"] in arranged.axis.columns else entry["type"]
    numbers_SF = encode_steps(fitted.encoder, frame, arranged.rows)
    features = fitted.encoder.feature_names()
    target_SC = np.stack([numbers_SF[:, features.index(name)] for name in targets], axis=1).astype(np.float64)
    for c, name in enumerate(targets):
        target_SC[missing_cells(frame[name]), c] = np.nan
    return Series(frame, targets, fitted, numbers_SF, target_SC, (first, until, second), arranged)


def _only_number(frame: pl.DataFrame, origin: str) -> tuple[str, ...]:
    kinds = {name: infer_type(frame[name]) for name in frame.columns}
    numbers = [name for name, kind in kinds.items() if kind is not None and kind.type == "number"]
    if len(numbers) != 1:
        found = ", ".join(map(repr, numbers)) or "none"
        raise DataError(f"{origin}: which column is to be forecast? Set data.target (--target). Numbers: {found}.")
    return (numbers[0],)


def _window_and_horizon(config: DataConfig, season: int | None, num_train: int) -> tuple[int, int, str]:
    window = config.window or min(SEASONS_SEEN * season if season else DEFAULT_WINDOW, MOST_WINDOW, num_train // 3)
    horizon = config.horizon or (min(season, MOST_HORIZON, num_train // 3) if season else DEFAULT_HORIZON)
    window, horizon = max(window, 1), max(horizon, 1)
    why = f"a season of {season} steps was found" if season else "no season was found"
    chosen = [word for word, given in (("--window", config.window), ("--horizon", config.horizon)) if given is None]
    how = f"{why}; {' and '.join(chosen)} change it" if chosen else why
    return window, horizon, f"windows of {window} step(s) forecast {horizon} step(s) ahead ({how})"


def _windows(
    series: Series, window: int, horizon: int, stride: int, origin: str
) -> tuple[dict[str, Index], dict[str, Floats]]:
    """Last step seen, and targets (N, H C), of the windows of each part; those with a missing target are left out."""
    num_steps = len(series.numbers_SF)
    first, until, second = series.borders
    bounds = {"train": (0, first), "valid": (first, until), "test": (second, num_steps)}
    ends: dict[str, Index] = {}
    wanted: dict[str, Floats] = {}
    for which, (begin, end) in bounds.items():
        if begin == end:
            continue
        end_N = np.arange(max(begin - 1, window - 1), end - horizon, stride if which == "train" else 1)
        target_NHC = series.target_SC[end_N[:, None] + np.arange(1, horizon + 1)]
        target_NT = target_NHC.reshape(len(end_N), horizon * len(series.targets))
        known = ~np.isnan(target_NT).any(axis=1)
        if not known.any():
            lacking = "a missing target in every window" if len(end_N) else "no window"
            raise DataError(
                f"{origin}: the {which} part has {end - begin} of {num_steps} steps and {lacking}: a window takes "
                f"{window} step(s) and {horizon} to forecast. Give a longer series, a smaller --window or --horizon, "
                "or other data.valid_share and data.test_share."
            )
        ends[which], wanted[which] = end_N[known].astype(np.int64), target_NT[known]
    return ends, wanted


def _naive_errors(
    series: Series, ends: dict[str, Index], wanted: dict[str, Floats], season: int | None, horizon: int
) -> dict[str, float]:
    """Mean absolute error, on the validation (or else training) windows, of the last value and of the last season's."""
    which = "valid" if "valid" in ends else "train"
    end_N, ahead_H = ends[which], np.arange(1, horizon + 1)
    filled = series.numbers_SF[:, [series.fitted.encoder.feature_names().index(name) for name in series.targets]]
    last = np.repeat(filled[end_N][:, None], horizon, axis=1).reshape(len(end_N), -1)
    errors = {"last": float(np.abs(last - wanted[which]).mean())}
    if season is not None and (end_N.min() + 1 >= season):
        back_H = season * -(-ahead_H // season) - ahead_H
        seasonal = filled[end_N[:, None] - back_H].reshape(len(end_N), -1)
        errors["season"] = float(np.abs(seasonal - wanted[which]).mean())
    return errors


def _naive_note(naive: dict[str, float], season: int | None) -> str:
    text = f"mean absolute error to beat on the validation steps: {naive['last']:.4g} by repeating the last value"
    return text + (f", {naive['season']:.4g} by repeating the last {season} steps" if "season" in naive else "")


def _missing_notes(series: Series) -> list[str]:
    missing = int(np.isnan(series.target_SC).any(axis=1).sum())
    return [f"{missing:,} step(s) without a target: windows that would predict them are left out"] if missing else []


def _spec(
    name: str,
    file: TableFile,
    series: Series,
    config: DataConfig,
    sizes: tuple[int, int, int | None],
    counts: dict[str, int],
    naive: dict[str, float],
) -> DataSpec:
    window, horizon, season = sizes
    encoder = series.fitted.encoder
    features = encoder.feature_names()
    train_SF = series.numbers_SF[: series.borders[0]]
    mean, std = encoder.scale(train_SF)
    target_mean = np.nanmean(series.target_SC[: series.borders[0]], axis=0)
    target_std = np.nanstd(series.target_SC[: series.borders[0]], axis=0)
    for target, spread in zip(series.targets, target_std, strict=True):
        if not spread > 0:
            raise DataError(f"The target {target!r} has the same value in all training steps.")
    remembered = max(window, season or 0)
    return DataSpec(
        name=name,
        kind="series",
        task="regression",
        input_shape=(window, len(features)),
        num_outputs=horizon * len(series.targets),
        target_names=tuple(f"{target}+{ahead}" for ahead in range(1, horizon + 1) for target in series.targets),
        feature_names=features,
        scale_mean=mean,
        scale_std=std,
        target_mean=tuple(np.tile(target_mean, horizon).tolist()),
        target_std=tuple(np.tile(target_std, horizon).tolist()),
        num_train=counts["train"],
        num_valid=counts.get("valid", 0),
        num_test=counts.get("test", 0),
        preparation={
            "kind": "forecast",
            "encoder": encoder.to_state(),
            "columns": list(file.frame.columns),
            "dropped": [*config.drop, *series.arranged.axis.columns, *(one for one, _ in series.fitted.dropped)],
            "target": list(series.targets),
            "target_features": [features.index(target) for target in series.targets],
            "header": file.header,
            "window": window,
            "horizon": horizon,
            "season": season,
            "times": series.arranged.axis.to_state(),
            "order": config.times,
            "last": series.numbers_SF[-remembered:].tolist(),
            "naive": naive,
        },
    )
