"""Arguments that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from limpid.errors import ConfigError

if TYPE_CHECKING:
    from limpid.config import Config

RunFolder = Annotated[Path, typer.Argument(help="run folder, as printed by train")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object per line instead of text")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="print nothing but errors")]


def also_taking(command: Callable[..., Any], *, but: Collection[str]) -> Callable[[Callable[..., Any]], Any]:
    """Give a command that ends in `**named` the parameters of another one, except some and those that it has itself."""

    def widen(function: Callable[..., Any]) -> Callable[..., Any]:
        own, theirs = inspect.signature(function), inspect.signature(command)
        parameters = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        taken = [one for name, one in theirs.parameters.items() if name not in {*but, *own.parameters}]
        leading = [one for one in taken if one.name == "source"]
        rest = [one for one in taken if one.name != "source"]
        hints = get_type_hints(command, include_extras=True) | get_type_hints(function, include_extras=True)
        arranged = [one.replace(annotation=hints[one.name]) for one in (*leading, *parameters, *rest)]
        function.__signature__ = own.replace(parameters=arranged)  # type: ignore[attr-defined]
        function.__annotations__ = {one.name: one.annotation for one in arranged}
        return function

    return widen


def given_config(named: dict[str, Any], config: Path | None, assignments: Iterable[str]) -> Config:
    """The configuration of options as the terminal gives them: a file, over it options by name, over them --set."""
    from limpid.config import Config
    from limpid.config_reader import load_config, override, with_options

    if "from_" in named:
        named["start"] = named.pop("from_")
    if "types" in named:
        named["types"] = dict(_pair(text) for text in named["types"])
    if "hidden" in named:
        named["hidden"] = [_whole(text, "--hidden") for text in named["hidden"].split(",") if text.strip()]
    given = Config() if config is None else load_config(config)
    return override(with_options(given, named), assignments)


def _pair(text: str) -> tuple[str, str]:
    column, separator, kind = text.rpartition("=")
    if not separator or not column:
        raise ConfigError(f"--types {text}: expected COLUMN=TYPE, for example --types zip=category.")
    return column, kind


def _whole(text: str, option: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError(
            f"{option}: {text.strip()!r} is not a whole number; expected widths such as 128,64."
        ) from None
