"""A race as plain values, for its page: contours, paths, losses, and one optimiser at every rate.

Shapes: G grid lines.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from limpid.optim.surface import Surface
from limpid.practice.finish import Finish
from limpid.practice.race import RATES, Race

Row = dict[str, Any]

NUM_LINES = 61  # of a contour's grid, to each side


def race_record(race: Race) -> Row:
    """The whole race."""
    return {
        "terms": race.terms,
        "seed": race.seed,
        "steps": race.num_steps,
        "conclusions": race.conclusions,
        "standings": [asdict(row) | {"mean_rank": row.mean_rank} for row in race.standings],
        "surfaces": [_surface(race, surface) for surface in race.surfaces],
    }


def _surface(race: Race, surface: Surface) -> Row:
    part, finishes = surface.part, race.finishes[surface.part.name]
    told = ("name", "difficulty", "what", "formula", "source", "pitfall", "start", "window", "minima", "local_minima")
    row: Row = {key: getattr(part, key) for key in (*told, "saddles")}
    row |= {"facts": part.facts(), "contour": _contour(surface)}
    ranked = sorted(finishes, key=lambda finish: finish.rank)
    row["lines"] = [_line(race, part.name, finish) for finish in ranked]
    row["rates"] = _rates(race, surface, finishes[0])
    return row


def _contour(surface: Surface) -> Row:
    """The wanted loss over its minimum on a grid, and the loss that is descended where it is another, both (G, G)."""
    (left, right), (low, high) = surface.part.window
    x_G, y_G = (torch.linspace(*ends, NUM_LINES, dtype=torch.float64) for ends in ((left, right), (low, high)))
    points_GG2 = torch.stack(torch.meshgrid(x_G, y_G, indexing="xy"), dim=-1)
    wanted_GG, seen_GG = surface.loss(points_GG2), surface.seen(points_GG2)
    other = None if torch.equal(wanted_GG, seen_GG) else (seen_GG - seen_GG.min()).tolist()
    excess_GG = wanted_GG - surface.part.least
    return {"x": x_G.tolist(), "y": y_G.tolist(), "excess": excess_GG.tolist(), "descended": other}


def _line(race: Race, surface: str, finish: Finish) -> Row:
    call = race.competitors[finish.competitor]
    row: Row = {"optimizer": call.text, "place": finish.competitor, "lr": RATES[finish.rate_place]}
    row |= {"edge": finish.rate_place in (0, len(RATES) - 1)}
    row |= {key: getattr(finish, key) for key in ("rank", "excess", "near", "arrived", "diverged")}
    return row | _trace(race, surface, finish.competitor, finish.rate_place)


def _rates(race: Race, surface: Surface, finish: Finish) -> Row:
    """The first optimiser of the line-up at every rate; with the loss along x where it never leaves the start's y."""
    part = surface.part
    lines = [
        {"lr": rate, "chosen": r == finish.rate_place} | _trace(race, part.name, finish.competitor, r)
        for r, rate in enumerate(RATES)
    ]
    row: Row = {"optimizer": race.competitors[finish.competitor].text, "lines": lines, "slice": None}
    if bool((race.path_TCRS2[:, finish.competitor, :, race.surfaces.index(surface), 1] == part.start[1]).all()):
        x_G = torch.linspace(*part.window[0], 4 * NUM_LINES, dtype=torch.float64)
        along_G2 = torch.stack((x_G, torch.full_like(x_G, part.start[1])), dim=1)
        row["slice"] = {"x": x_G.tolist(), "excess": (surface.loss(along_G2) - part.least).tolist()}
    return row


def _trace(race: Race, surface: str, competitor: int, rate_place: int) -> Row:
    path_T2, loss_T = race.trace(surface, competitor, rate_place)
    least = next(one.part.least for one in race.surfaces if one.part.name == surface)
    return {"x": path_T2[:, 0].tolist(), "y": path_T2[:, 1].tolist(), "excess_at": (loss_T - least).tolist()}
