"""Numbers and foreign text as people read them: with a unit, and without anything that acts on the screen."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any

# Shares of samples, printed in per cent; every other figure is printed as it is.
SHARES = frozenset({"accuracy", "balanced_accuracy", "exact_match", "token_accuracy", "top5_error"})
LOWER_IS_BETTER = frozenset({"loss", "top5_error", "mse", "rmse", "mae", "log_loss", "perplexity"})
LABELS = {
    "r2": "R²",
    "rmse": "RMSE",
    "mse": "MSE",
    "mae": "MAE",
    "f1": "F1",
    "macro_f1": "macro F1",
    "auc": "AUC",
    "log_loss": "log loss (nats)",
    "top5_error": "top-5 error",
    "token_accuracy": "token accuracy",
    "chance_loss": "loss of knowing nothing",
    "lr": "learning rate",
}
# Turn the direction of the text around them, or hide what follows; never wanted inside one line.
DIRECTION_MARKS = frozenset("\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def plain(value: object) -> str:
    """Any value as one harmless line: control and direction characters become visible escapes.

    >>> plain("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in DIRECTION_MARKS or unicodedata.category(character) in ("Cc", "Cs"):
        return character.encode("unicode_escape").decode("ascii")
    return character


def shorten(text: str, width: int) -> str:
    """At most `width` characters, the rest replaced by an ellipsis."""
    return text if len(text) <= width else text[: width - 1] + "…"


def squeeze(text: str, width: int) -> str:
    """At most `width` characters, with an ellipsis in the middle: names of one kind often differ at their end."""
    half = (width - 1) // 2
    return text if len(text) <= width else text[: width - 1 - half] + "…" + text[-half:]


def columns_of(text: str) -> int:
    """Terminal columns that a text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) != 0 for character in text)


def number(value: Any, digits: int = 4) -> str:
    """A number with `digits` significant digits; whole numbers exactly, with separators.

    >>> number(1234567), number(0.000123456), number(2.5), number(float("nan"))
    ('1,234,567', '0.0001235', '2.5', 'nan')
    """
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(float(value))
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share of 1 in per cent, two decimals.

    >>> percent(0.9756)
    '97.56 %'
    """
    return f"{100 * share:.2f} %" if math.isfinite(share) else str(float(share))


def figure(name: str, value: float) -> str:
    """A metric with its unit: shares in per cent, the rest with four significant digits."""
    return percent(value) if name in SHARES else number(float(value))


def interval(name: str, low: float, high: float) -> str:
    """An interval in the metric's unit: `96.10 to 98.42 %`; `no interval` where it is not known."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "no interval"
    if name in SHARES:
        return f"{100 * low:.2f} to {100 * high:.2f} %"
    return f"{number(float(low))} to {number(float(high))}"


def doubts(name: str, row: Mapping[str, Any]) -> list[str]:
    """What is said of a score's interval, at most one remark; none where the row does not speak of intervals."""
    bounds = (row.get("interval") or {}).get(name)
    if bounds:
        return [f"95 % interval {interval(name, *bounds)}"]
    return ["too few samples for an interval"] if row.get("interval") == {} else []


def label(name: str) -> str:
    """A metric's name for people: `balanced_accuracy` is "balanced accuracy", `r2` is "R²"."""
    return LABELS.get(name, plain(name).replace("_", " "))


def seconds(value: float) -> str:
    """A duration: `0.84 s`, `12.3 s`, `3 min 12 s`, `2 h 05 min`."""
    if not math.isfinite(value):
        return str(float(value))
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def rate(samples_per_second: float) -> str:
    """A throughput: `103 thousand samples/s`."""
    if samples_per_second >= 10_000:
        return f"{number(samples_per_second / 1000, 3)} thousand samples/s"
    return f"{number(samples_per_second, 3)} samples/s"


def value_text(value: Any) -> str:
    """A configuration value in one line: lists joined by commas, nothing for an empty one."""
    if isinstance(value, str):
        return plain(value)
    if value is None or isinstance(value, bool | int):
        return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, float):
        return number(value, 6)
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(key)} = {value_text(entry)}" for key, entry in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(value_text(entry) for entry in value) or "none"
    return plain(value)
