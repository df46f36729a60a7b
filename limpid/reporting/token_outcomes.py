"""What a run that predicts tokens got right, place by place, and which sequences surprised it most.

Shapes: N sequences of the split, T places.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from limpid.reporting.figures import Figure, layout_of
from limpid.reporting.outcomes import WrongRow, row_name
from limpid.reporting.reading import Reading
from limpid.reporting.text import plain, squeeze

if TYPE_CHECKING:
    import numpy as np

SPECIAL = ("", "<unk>", "", "<end>")  # padding and start say nothing
LONGEST_TEXT = 200  # characters of a sequence in the table


def token_pair(reading: Reading) -> tuple[np.ndarray, np.ndarray] | None:
    """(target, likeliest token) as int64 (N, T), negative targets not counting; None for other tasks."""
    import numpy as np

    arrays = reading.predictions
    if reading.task != "tokens" or not {"target", "prediction"} <= arrays.keys() or len(arrays["target"]) == 0:
        return None
    return arrays["target"].astype(np.int64), arrays["prediction"].astype(np.int64)


def place_figure(reading: Reading) -> Figure | None:
    """Share of the tokens that were right at each place of the sequence."""
    pair = token_pair(reading)
    if pair is None or pair[0].shape[1] < 2:
        return None
    asked_NT = pair[0] >= 0
    count_T = asked_NT.sum(0)
    right_T = ((pair[0] == pair[1]) & asked_NT).sum(0)
    places = [t for t in range(len(count_T)) if count_T[t]]
    trace = {
        "type": "scatter",
        "mode": "lines",
        "name": "right",
        "x": [t + 1 for t in places],
        "y": [100.0 * int(right_T[t]) / int(count_T[t]) for t in places],
        "customdata": [int(count_T[t]) for t in places],
        "line": {"color": "@valid", "width": 2},
        "hovertemplate": "place %{x}: %{y:.1f} % of %{customdata}<extra></extra>",
    }
    layout = layout_of("place in the sequence", "tokens that were right (%)")
    layout["yaxis"] |= {"rangemode": "tozero"}
    return {"data": [trace], "layout": layout | {"showlegend": False}}


def surprising_rows(reading: Reading, most: int = 12) -> list[WrongRow]:
    """The sequences with the largest mean loss, as text: what stood there, and what was likeliest at each place."""
    import numpy as np

    pair, losses = token_pair(reading), reading.predictions.get("losses")
    if pair is None or losses is None:
        return []
    texts, glue = _vocabulary(reading)
    rows = []
    for i in np.argsort(-np.nan_to_num(losses.astype(np.float64), nan=np.inf), kind="stable")[:most]:
        asked_T = pair[0][i] >= 0
        true, guess = (_text(tokens[i][asked_T], texts, glue) for tokens in pair)
        wrong = bool((pair[0][i] != pair[1][i])[asked_T].any())
        rows.append(WrongRow(int(i), row_name(reading, int(i)), true, guess, None, None, float(losses[i]), wrong))
    return rows


def _text(tokens_T: np.ndarray, texts: list[str], glue: str) -> str:
    pieces = [texts[k] if k < len(texts) else f"<{k}>" for k in map(int, tokens_T)]
    return squeeze(plain(glue.join(pieces)), LONGEST_TEXT)


def _vocabulary(reading: Reading) -> tuple[list[str], str]:
    """The text of every predicted token, and what stands between two of them."""
    preparation: dict[str, Any] = reading.data.get("preparation") or {}
    state = preparation.get("target_vocabulary") or preparation.get("vocabulary") or {}
    if state.get("merges"):
        code_of: dict[str, int] = json.loads(state["merges"])["model"]["vocab"]
        # Byte pairs write a space as one letter of their own, and other bytes as letters that stand for them.
        texts = [name.replace("Ġ", " ").replace("Ċ", "\n") for name, _ in sorted(code_of.items(), key=lambda p: p[1])]
        return [*SPECIAL, *texts[len(SPECIAL) :]], ""
    return [*SPECIAL, *map(str, state.get("tokens", ()))], " " if state.get("kind") == "word" else ""
