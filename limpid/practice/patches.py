"""Changes of options, `{"optim.lr": 0.01}`: made to a configuration, and said in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.doctor.treatment import Patch


def patched(config: Config, patch: Mapping[str, Any]) -> Config:
    """The configuration with some options changed, `{"optim.lr": 0.01}`."""
    return with_options(config, {path.replace(".", "__"): value for path, value in patch.items()})


def in_words(patch: Patch) -> str:
    """`optim.lr = 0.01, training.epochs = 30`."""
    return ", ".join(f"{path} = {_value(value)}" for path, value in patch.items())


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        shown = ", ".join(map(str, value[:4]))
        return shown if len(value) <= 4 else f"{shown} ... ({len(value)} in all)"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value).lower()
