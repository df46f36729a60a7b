"""A condition: what is planted, where, and which check ought to say so; one case of it for every seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from clinic.fixtures import FIXTURES, Fixture

Group = Literal["sick", "healthy", "near"]


@dataclass(frozen=True)
class Case:
    """One run: arguments of `limpid.train`, or a loop of the user's own that the doctor watches.

    Attributes:
        source, y: the data.
        options: short names and section__key, as `limpid.train` takes them; "model" among them.
        loop: (folder of the run) -> None, in place of `limpid.train`; it records into that folder.
    """

    source: Any = None
    y: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    loop: Callable[[Path], None] | None = None


Build = Callable[[int, Path], Case]  # (seed, folder for files) -> case


@dataclass(frozen=True)
class Condition:
    """What is to be diagnosed.

    Attributes:
        name: "D06-digits-uniform"; a row of the confusion matrix.
        group: sick, healthy or near (a near miss: it looks like the fault and is none).
        code: check that ought to find the planted fault; of a near miss, the check that ought to be silent.
        build: makes the case of a seed.
        kin: codes that are as right an answer as `code`: another word for the same fault.
        also: codes that legitimately fire beside it, mostly as consequences.
        held_back: its fixture is kept out of calibration.
        scope: what the record is of, a training run or a search.
    """

    name: str
    group: Group
    code: str
    build: Build
    kin: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    held_back: bool = False
    scope: Literal["run", "search"] = "run"


def plain(fixture: str, **changes: Any) -> Build:
    """The fixture with these options changed; `optimizer`, `norm` and `schedule` choose its settings."""
    chosen = FIXTURES[fixture]

    def build(seed: int, folder: Path) -> Case:
        x, y = rows_of(chosen, seed, folder)
        return Case(x, y, options_of(chosen, changes))

    return build


def planted(fixture: str, fault: Callable[..., tuple[Any, Any]], **changes: Any) -> Build:
    """The fixture with a fault in its data: fault(x, y, seed) -> (x, y)."""
    chosen = FIXTURES[fixture]

    def build(seed: int, folder: Path) -> Case:
        x, y = fault(*chosen.rows(seed), seed)
        return Case(x, y, options_of(chosen, changes))

    return build


def wired(fixture: str, module: Callable[[], Any], **changes: Any) -> Build:
    """The fixture with a network of the user's own; `module()` makes it, after torch has been seeded."""
    chosen = FIXTURES[fixture]

    def build(seed: int, folder: Path) -> Case:
        import torch

        torch.manual_seed(seed)
        x, y = rows_of(chosen, seed, folder)
        options = options_of(chosen, changes)
        own = {key: value for key, value in options.items() if key not in OF_NAMED and not key.startswith("model__")}
        return Case(x, y, {**own, "model": module()})

    return build


OF_NAMED = {"hidden", "dropout"}  # options that a network of the user's own does not have


def rows_of(fixture: Fixture, seed: int, folder: Path) -> tuple[Any, Any]:
    """Inputs and targets; a text is written into the folder first."""
    from clinic.fixtures import text_file

    x, y = fixture.rows(seed)
    return (text_file(x, folder), None) if isinstance(x, str) else (x, y)


def options_of(fixture: Fixture, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fixture's options with these changes; None takes an option out."""
    how = {key: changes[key] for key in ("optimizer", "norm", "schedule") if changes.get(key) in KNOWN[key]}
    options = {**fixture.settings(**how), **{key: value for key, value in changes.items() if key not in how}}
    options.pop("norm", None)
    return {key: value for key, value in options.items() if value is not None}


KNOWN: dict[str, Iterable[str]] = {
    "optimizer": ("sgd", "adamw"),
    "norm": ("none", "batch", "layer"),
    "schedule": ("constant", "cosine", "one_cycle"),
}
