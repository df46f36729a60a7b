"""Training as it happens: one line per epoch that stays, and a bar that moves. No thread, nothing to import.

Where nobody looks at a screen (a pipe, a file, TERM=dumb) the lines come without the bar and without control
characters; `quiet` shows nothing; `json` prints one object per line.
"""

from __future__ import annotations

import json as json_module
import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from limpid.reporting.reading import Row, score_name
from limpid.reporting.text import columns_of, figure, label, number, plain, rate, seconds

MOST_LINES = 25  # epochs printed of a long run, evenly spread; the record has all
LONGEST_SILENCE = 5.0  # seconds after which an epoch is printed in any case
FIRST_BAR = 0.5  # seconds: what is over sooner needs no bar
BETWEEN_BARS = 0.1  # seconds
BAR_COLUMNS = 24
WIPE = "\r\x1b[2K"  # back to the start of the line, and clear it


class Progress:
    """Shows the epochs of one run on a stream (standard output unless given); `unit` is what its bar counts."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        json: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        unit: str = "step",
    ) -> None:
        self.quiet, self.json, self.stream, self._clock, self._unit = quiet, json, stream or sys.stdout, clock, unit
        self.live = not quiet and not json and is_terminal(self.stream)
        self._total_steps = self._epochs = 0
        self._started = self._drawn = self._printed = clock()
        self._first_step: int | None = None
        self._bar = False
        self._last_epoch = 0
        self._pending: str | None = None

    def start(self, total_steps: int, epochs: int, header: str = "") -> None:
        """Training begins: steps and epochs it will take at most, and a line to print first."""
        self._total_steps, self._epochs, self._first_step = total_steps, epochs, None
        self._started = self._drawn = self._printed = self._clock()
        if self.json:
            self.emit("start", total_steps=total_steps, epochs=epochs, header=header)
        elif header:
            self.line(plain(header))

    def step(self, step: int, loss: float | None = None) -> None:
        """Move the bar. Cheap: does nothing off the screen, or when it was drawn a moment ago."""
        if not self.live:
            return
        now = self._clock()
        if self._first_step is None:
            self._first_step = step
        if now - self._started < FIRST_BAR or now - self._drawn < BETWEEN_BARS:
            return
        self._drawn = now
        self.stream.write(WIPE + encodable(self._bar_text(step, loss, now), self.stream))
        self.stream.flush()
        self._bar = True

    def epoch(self, row: Row, valid_row: Row | None = None) -> None:
        """An epoch is over: its row of the training split, and of the validation split where there is one."""
        if self.json:
            self.emit("epoch", train=row, valid=valid_row)
            return
        if self.quiet:
            return
        now, epoch = self._clock(), int(row.get("epoch") or self._last_epoch + 1)
        self._last_epoch = epoch
        text = epoch_line(row, valid_row, self._epochs)
        every = max(1, math.ceil(self._epochs / MOST_LINES))
        if epoch in (1, self._epochs) or epoch % every == 0 or now - self._printed > LONGEST_SILENCE:
            self._pending, self._printed = None, now
            self.line(text)
        else:
            self._pending = text

    def close(self) -> None:
        """Training is over, for whatever reason: print the last epoch if it was held back, and remove the bar."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self.line(pending)
        self._wipe()

    def line(self, text: str) -> None:
        """A line that stays. Nothing when quiet or speaking JSON."""
        if self.quiet or self.json:
            return
        self._wipe()
        self.stream.write(encodable(text, self.stream) + "\n")
        self.stream.flush()

    def emit(self, event: str, **fields: Any) -> None:
        """One JSON object on a line of its own, when speaking JSON."""
        if self.json and not self.quiet:
            self.stream.write(json_line({"event": event, **fields}) + "\n")
            self.stream.flush()

    def _wipe(self) -> None:
        if self._bar:
            self.stream.write(WIPE)
            self.stream.flush()
            self._bar = False

    def _bar_text(self, step: int, loss: float | None, now: float) -> str:
        share = min(1.0, step / self._total_steps) if self._total_steps else 0.0
        full = round(share * BAR_COLUMNS)
        parts = ["━" * full + "─" * (BAR_COLUMNS - full), f"{100 * share:3.0f} %"]
        if self._epochs:
            parts.append(f"epoch {min(self._last_epoch + 1, self._epochs)}/{self._epochs}")
        parts.append(f"{self._unit} {number(step)}/{number(self._total_steps)}")
        if loss is not None:
            parts.append(f"loss {number(float(loss))}")
        taken = step - (self._first_step or 0)
        if taken > 0 and self._total_steps:
            parts.append(f"{seconds((now - self._started) / taken * max(0, self._total_steps - step))} left")
        room = shutil.get_terminal_size().columns - 1
        while len(parts) > 2 and columns_of("  ".join(parts)) > room:
            parts.pop()
        return "  ".join(parts)[:room]


def epoch_line(row: Row, valid_row: Row | None, epochs: int) -> str:
    """One epoch in one line: `epoch  3/12  train loss 0.9061  valid loss 0.9413  accuracy 66.89 %  0.40 s  ...`."""
    epoch = row.get("epoch", "")
    parts = [f"epoch {epoch:>{len(str(epochs))}}/{epochs}" if epochs else f"epoch {epoch}"]
    parts.append(f"train loss {_fixed(row.get('loss'))}")
    if valid_row is not None:
        parts.append(f"valid loss {_fixed(valid_row.get('loss'))}")
        name = score_name(valid_row)
        if name is not None:
            parts.append(f"{label(name)} {figure(name, valid_row[name])}")
    if isinstance(row.get("seconds"), int | float):
        parts.append(seconds(row["seconds"]))
    if isinstance(row.get("samples_per_second"), int | float) and math.isfinite(row["samples_per_second"]):
        parts.append(rate(row["samples_per_second"]))
    return "  ".join(parts)


def is_terminal(stream: TextIO) -> bool:
    """Whether a bar can be drawn there."""
    return bool(getattr(stream, "isatty", bool)()) and os.environ.get("TERM") != "dumb"


def encodable(text: str, stream: TextIO) -> str:
    """The text with question marks for what the stream's encoding does not have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, errors="replace").decode(encoding)


def json_line(value: Any) -> str:
    """Strict JSON in ASCII: NaN and the infinities as the texts "nan", "inf" and "-inf", as in the record."""
    return json_module.dumps(_finite(value), allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value


def _fixed(loss: Any) -> str:
    """A loss in a column that does not jump: four decimals while they say something."""
    if not isinstance(loss, int | float) or not math.isfinite(loss):
        return plain(loss)
    return f"{loss:.4f}" if 0.001 <= abs(loss) < 1000 else f"{loss:.3e}"
