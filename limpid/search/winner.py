"""The winner of a search as a run of its own, and as a configuration to train it again.

The run is the trial that won, with the weights and the rows that it had: nothing is trained here. Its seed is that of
the split, as in `limpid train --config best.toml`, which gives the same network again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from torch import Tensor

import limpid
from limpid.config import Config, RecordConfig
from limpid.config_reader import with_options
from limpid.errors import RecordError
from limpid.population.ground import Ground
from limpid.population.lone import train_member
from limpid.population.member import Member
from limpid.record import files
from limpid.record.run import Run
from limpid.scoring import score_run
from limpid.search.folder import BEST, BEST_CONFIG, Row, SearchFolder
from limpid.start import load_start
from limpid.training.checkpoint import state_digest
from limpid.training.position import Position
from limpid.training.randomness import own_randomness
from limpid.training.stopping import EarlyStopping
from limpid.training.tensors import BEST as WEIGHTS
from limpid.training.tensors import encode_tensors
from limpid.wiring import Wiring, wire


def write_winner(folder: SearchFolder, ground: Ground, base: Config, trial: Row) -> Run:
    """Make best/ and best.toml of the trial that won, and read the test split for it; what is there already stays."""
    path = folder.path / BEST
    earlier = _finished(folder)
    if earlier is not None and earlier.header["trial"] == trial["number"]:
        return earlier
    if earlier is not None:
        folder.run.add(
            "note",
            text=f"The test split was read before, for trial {earlier.header['trial']}, which won until the search "
            "was extended. The score of the new winner comes from a second look at these rows.",
        )
    if path.exists():
        files.remove_tree(path)
    config = with_options(base, folder.space.patch(trial["params"]))
    start = load_start(config.model.start) if config.model.start else None
    wiring = wire(config, ground.tested(config), start=start)
    wiring.network.load_state_dict(_weights(folder, ground, config, trial))
    text = to_toml(wiring.config.model_copy(update={"record": RecordConfig()}))
    figure = f"{folder.plan.metric} {trial['figure']:.6g} on the validation rows"
    heading = f"# The best configuration that a search found: trial {trial['number']}, {figure}.\n"
    files.write_file(folder.path / BEST_CONFIG, (heading + text).encode())
    header = {"created": datetime.now().astimezone().isoformat(), "limpid": limpid.__version__}
    with Run.create(path, header | wiring.header(config) | {"trial": trial["number"]}) as run:
        _write(run, wiring, folder.epochs_of(trial["number"]), trial)
    return run


def _finished(folder: SearchFolder) -> Run | None:
    """The run of an earlier winner, if it is whole."""
    try:
        run = Run.open(folder.path / BEST)
    except RecordError:
        return None
    return run if any(row["status"] == "finished" for row in run.events("end")) else None


def _weights(folder: SearchFolder, ground: Ground, config: Config, trial: Row) -> Mapping[str, Tensor]:
    """Of the trial; where a crash of the machine has lost them, it is trained once more."""
    weights: Mapping[str, Tensor] | None = folder.kept(trial["number"])
    if weights is None:
        again = train_member(Member(trial["number"], config), ground, lambda row, valid_row: True)
        if again.weights is None:
            raise RecordError(f"{folder.path}: trial {trial['number']} could not be trained again: {again.reason}")
        folder.run.add("note", text=f"The weights of trial {trial['number']} were lost; it was trained once more.")
        weights = again.weights
    return weights


def _write(run: Run, wiring: Wiring, rows: list[Mapping[str, Any]], trial: Row) -> None:
    stopping = EarlyStopping(
        wiring.plan.higher_is_better, best=trial["figure"], best_epoch=trial["best_epoch"], best_step=trial["best_step"]
    )
    position = Position(
        stopping,
        epoch=trial["epochs"],
        step=trial["steps"],
        figures=list(trial["figures"]),
        seconds=trial["seconds"],
        finished=True,
        restore_best=wiring.plan.restore_best,
    )
    run.add_rows({"kind": "metric", **row} for row in rows)
    weights = wiring.network.state_dict()
    run.write_checkpoint(position.step, {WEIGHTS: encode_tensors(weights)}, keep=1)
    run.add("checkpoint", step=position.step, epoch=position.epoch)
    with own_randomness(wiring.config.training.seed), wiring.fast_roads():
        score_run(wiring, run, position)
    run.add(
        "end",
        status="finished",
        reason=trial["reason"],
        step=position.step,
        best_step=position.kept_step,
        digest=state_digest(weights),
        seconds=trial["seconds"],
    )


def to_toml(config: Config) -> str:
    """A configuration as the TOML that `load_config` reads; what is open is left out."""
    lines = []
    for section, values in config.model_dump(exclude_unset=True).items():
        given = {**values, **values.get("options", {})}
        entries = [
            f"{key} = {literal(value)}" for key, value in given.items() if key != "options" and value is not None
        ]
        lines += [f"[{section}]", *entries, ""] if entries else []
    return "\n".join(lines)


def literal(value: Any) -> str:
    """A value in TOML.

    >>> literal((64, 0.5, "a", {"b c": True}))
    '[64, 0.5, "a", {"b c" = true}]'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)} = {literal(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(entry) for entry in value) + "]"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
