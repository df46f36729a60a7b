"""Faults of a training loop of the user's own, watched by the one-line doctor."""

from __future__ import annotations

from clinic.condition import Build

SICK: tuple[tuple[str, str, Build, dict[str, tuple[str, ...]]], ...] = ()
