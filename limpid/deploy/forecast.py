"""A series continued beyond its end, with an interval from how far off the network was on the validation steps.

Beyond the horizon that it was trained for, the network is given its own answers. Columns that are not forecast keep
the values of the last season, or their last ones.

The interval is split conformal (Vovk et al. 2005; Lei et al. 2018): at each step ahead it reaches as far as the
ceil((n + 1) coverage)-th of the n absolute errors from validation windows, each forecast in the same way. Over series
that go on as they did it then covers at least that share; drifting ones are promised nothing.

Shapes: N windows, T steps of a window, F features, C target columns, A steps ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limpid.config import Config
from limpid.data.dataset import Dataset, Split
from limpid.data.encode import TableEncoder
from limpid.data.frames import read_table
from limpid.data.series import encode_steps
from limpid.data.time_axis import TimeAxis, arrange_times
from limpid.data.windows import SeriesWindows
from limpid.deploy.trained import Trained, load_trained
from limpid.errors import ConfigError, DataError, LimpidError, ModelError
from limpid.record.run import Run
from limpid.spec import DataSpec

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
MOST_WINDOWS = 512  # validation windows that are forecast for the interval, evenly chosen


@dataclass(frozen=True)
class Forecast:
    """Values of the coming steps, and how far to trust them.

    Attributes:
        times: of the steps, as text.
        values: (A, C) in the targets' units.
        radius: (A, C), half the width of the interval; None where the training data could not be read again.
        coverage: share of true values that the interval is made for.
        errors: mean absolute error on the test split of the network, of the last value, and of the last season.
    """

    times: list[str]
    names: tuple[str, ...]
    values: Floats
    radius: Floats | None
    coverage: float
    errors: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pl.DataFrame:
        """time, then each target with its low and high end."""
        import polars as pl

        columns: dict[str, Any] = {"time": self.times}
        for c, name in enumerate(self.names):
            columns[name] = self.values[:, c]
            if self.radius is not None:
                columns[f"{name}_low"] = self.values[:, c] - self.radius[:, c]
                columns[f"{name}_high"] = self.values[:, c] + self.radius[:, c]
        return pl.DataFrame(columns)

    def remarks(self) -> list[str]:
        """What to know about it, one sentence each."""
        lines = list(self.notes)
        if self.errors:
            figures = ", ".join(f"{error:.4g} by {who}" for who, error in self.errors.items())
            lines.append(f"Mean absolute error on the test split: {figures}.")
        if self.radius is not None:
            lines.append(f"low to high is a {self.coverage:.0%} interval from the errors on the validation steps.")
        return lines


def forecast_run(
    run: Run | str | Path, source: str | Path | None = None, *, steps: int | None = None, coverage: float = 0.9
) -> Forecast:
    """Continue the run's series, or that of the table `source`, by `steps` (default: the horizon of training).

    Raises:
        ModelError: the run forecasts no series.
        ConfigError: steps below 1, or a coverage that is no share.
        DataError: `source` cannot be used, or is shorter than a window.
    """
    trained = load_trained(run)
    spec = trained.spec
    if spec.preparation.get("kind") != "forecast":
        raise ModelError(
            f"{trained.run.path} forecasts no series: its data are of kind {spec.kind}. Train on a table of steps in "
            "time with --horizon."
        )
    steps = spec.preparation["horizon"] if steps is None else steps
    if steps < 1 or not 0 < coverage < 1:
        raise ConfigError("--steps must be at least 1, and --coverage between 0 and 1.")
    past_SF, axis = _past(spec, source)
    values_AC = roll(trained, torch.from_numpy(past_SF)[None], steps)[0].numpy().astype(np.float64)
    radius, errors, notes = None, {}, []
    try:
        dataset = _training_data(trained)
    except LimpidError as error:
        notes.append(f"No interval and no comparison: {error}")
    else:
        judged = dataset.valid or dataset.train
        if dataset.valid is None:
            notes.append("There is no validation split: the interval is from training errors, and too narrow.")
        radius = _radius(trained, judged, steps, coverage)
        errors = test_errors(trained, dataset)
    times = [axis.after(ahead) for ahead in range(1, steps + 1)]
    return Forecast(times, tuple(spec.preparation["target"]), values_AC, radius, coverage, errors, tuple(notes))


@torch.inference_mode()
def roll(trained: Trained, past_NSF: Tensor, steps: int) -> Tensor:
    """(N, A, C): forecasts of so many steps, answers being appended to the past where the horizon is too short."""
    spec = trained.spec
    about = spec.preparation
    window, season, columns = about["window"], about["season"], about["target_features"]
    past_NSF = past_NSF.float()
    parts: list[Tensor] = []
    for _ in range(math.ceil(steps / about["horizon"])):
        seen_NTF = past_NSF[:, -window:]
        lengths_N = torch.full((len(seen_NTF),), window)
        answer_NK = trained.objective.predict(trained.network(seen_NTF, lengths_N))
        answer_NHC = answer_NK.unflatten(1, (-1, len(columns)))
        parts.append(answer_NHC)
        horizon = answer_NHC.shape[1]
        if season and season <= past_NSF.shape[1]:
            back = season * -(-np.arange(1, horizon + 1) // season) - np.arange(1, horizon + 1)
            ahead_NHF = past_NSF[:, past_NSF.shape[1] - 1 - back].clone()
        else:
            ahead_NHF = past_NSF[:, -1:].repeat(1, horizon, 1)
        ahead_NHF[:, :, columns] = answer_NHC
        past_NSF = torch.cat((past_NSF, ahead_NHF), dim=1)
    return torch.cat(parts, dim=1)[:, :steps]


def test_errors(trained: Trained, dataset: Dataset) -> dict[str, float]:
    """Mean absolute errors over the test windows; with no test split there are none."""
    split = dataset.test()
    if split is None:
        return {}
    about = trained.spec.preparation
    rows = _windows(split)
    horizon, columns, season = about["horizon"], about["target_features"], about["season"]
    wanted_NHC = split.target.unflatten(1, (horizon, -1))
    series_SC = rows.series_SF[:, columns]
    answer_NHC = roll(trained, rows.take(torch.arange(len(rows)))[0], horizon)
    errors = {
        "the network": float((answer_NHC - wanted_NHC).abs().mean()),
        "the last value": float((series_SC[rows.ends_N].unsqueeze(1) - wanted_NHC).abs().mean()),
    }
    ahead_H = torch.arange(1, horizon + 1)
    if season and int(rows.ends_N.min()) + 1 >= season:
        back_H = season * -(-ahead_H // season) - ahead_H
        seasonal_NHC = series_SC[rows.ends_N.unsqueeze(1) - back_H]
        errors["the last season"] = float((seasonal_NHC - wanted_NHC).abs().mean())
    return errors


def conformal_radius(errors_N: Floats, coverage: float) -> float:
    """The ceil((n + 1) coverage)-th smallest of n absolute errors; the largest where there are too few.

    >>> conformal_radius(np.arange(1.0, 10.0), 0.9), conformal_radius(np.arange(1.0, 20.0), 0.9)
    (9.0, 18.0)
    """
    rank = math.ceil((len(errors_N) + 1) * coverage)
    return float(np.sort(errors_N)[min(rank, len(errors_N)) - 1])


def _radius(trained: Trained, split: Split, steps: int, coverage: float) -> Floats:
    """(A, C) from windows whose future is known; steps that no window reaches take the widest before them."""
    rows = _windows(split)
    about = trained.spec.preparation
    series_SF, columns = rows.series_SF, about["target_features"]
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_WINDOWS)).round().astype(int))
    end_N = rows.ends_N.numpy()[chosen]
    last = int(rows.ends_N.max()) + about["horizon"]  # the last step that the split holds
    remembered = max(about["window"], about["season"] or 0)
    end_N = end_N[end_N + 1 >= remembered] if (end_N + 1 >= remembered).any() else end_N
    num_past = min(remembered, int(end_N.min()) + 1)
    past_NSF = series_SF[torch.from_numpy(end_N[:, None] + np.arange(1 - num_past, 1))]
    answer_NAC = roll(trained, past_NSF, steps).numpy()
    radius_AC = np.zeros(answer_NAC.shape[1:])
    for a in range(steps):
        known = end_N + a + 1 <= last
        if known.any():
            errors_NC = np.abs(series_SF[end_N[known] + a + 1][:, columns].numpy() - answer_NAC[known, a])
            radius_AC[a] = [conformal_radius(errors_NC[:, c].astype(float), coverage) for c in range(len(columns))]
    return np.maximum.accumulate(radius_AC, axis=0)  # what lies further ahead is not known better


def _past(spec: DataSpec, source: str | Path | None) -> tuple[NDArray[np.float32], TimeAxis]:
    """The steps before the forecast (S, F), and the time of the last one."""
    about = spec.preparation
    if source is None:
        return np.asarray(about["last"], np.float32), TimeAxis.from_state(about["times"])
    file = read_table(source, header=False if about["header"] is False else None, columns=about["columns"])
    frame = file.frame
    encoder = TableEncoder.from_state(about["encoder"])
    needed = [column.name for column in encoder.columns]
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise DataError(
            f"{source}: column(s) missing: {', '.join(map(repr, absent))}. The model was trained with them."
        )
    named = TimeAxis.from_state(about["times"]).columns
    arranged = arrange_times(frame, named[0] if len(named) == 1 else None, about["order"], str(source))
    rows = arranged.rows
    if (rows < 0).any():
        import polars as pl

        frame = frame.select(
            pl.all().gather(pl.Series([None if row < 0 else row for row in rows.tolist()], dtype=pl.UInt32))
        )
    else:
        frame = frame[rows]
    if frame.height < about["window"]:
        raise DataError(f"{source} has {frame.height} steps; a forecast looks at the last {about['window']}.")
    return encode_steps(encoder, frame, rows), arranged.axis


def _training_data(trained: Trained) -> Dataset:
    """The series that the run was trained on, read again. Raises LimpidError where it is gone or has changed."""
    from limpid.data.sources import load_data

    config: Config = trained.config
    if config.data.source is None:
        raise DataError("the series was handed over in Python and is not kept with the run.")
    dataset = load_data(config.data.source, config.data, seed=config.training.seed, takes_codes=False)
    if dataset.fingerprint != trained.run.header["fingerprint"]:
        raise DataError(f"{config.data.source} is not what the run was trained on any more.")
    return dataset


def _windows(split: Split) -> SeriesWindows:
    assert isinstance(split.rows, SeriesWindows)
    return split.rows
