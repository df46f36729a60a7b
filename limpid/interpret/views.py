"""The views that `limpid explain` shows of a network and a row, by name: each gives plain numbers, fit for JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from limpid.interpret.computation import computation
from limpid.interpret.sample import Sample

View = Callable[[nn.Module, Sample], dict[str, Any]]

VIEWS: dict[str, View] = {"computation": computation}
