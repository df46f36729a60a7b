"""What every section of the configuration is made of: frozen typed options, words that a catalogue knows, and the
options of the parts that a section names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from limpid.catalogue.call import read_call
from limpid.catalogue.part import Catalogue, Part


def named_in(catalogue: Catalogue[Any]) -> AfterValidator:
    """A word that the catalogue knows, as the name that it has there; "auto" stays open."""
    return AfterValidator(lambda word: word if word in (None, "auto") else catalogue.find(word).name)


def called_from(catalogue: Catalogue[Any]) -> AfterValidator:
    """A word that the catalogue knows, with options in brackets or without; None and "own" stay as they are."""
    return AfterValidator(lambda text: text if text in (None, "own") else read_call(catalogue, text).text)


def fold_number(text: str | None) -> str | None:
    """The number of a fold among how many, such as 2/5; 0 stands for none of them."""
    number, _, count = (text or "0/2").partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(count) >= 2 and int(number) <= int(count)):
        raise ValueError("expected the number of a fold and how many there are, such as 2/5")
    return text


class Section(BaseModel):
    """A frozen group of options that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class PartSection(Section):
    """A section whose parts have options of their own: they are given like its other keys, and kept in `options`."""

    catalogues: ClassVar[tuple[Catalogue[Any], ...]]

    options: dict[str, Any] = Field(
        default_factory=dict, description="options of the chosen part; `limpid show NAME` lists them"
    )

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        loose = {key: values[key] for key in values if key not in cls.model_fields and cls.owners(key)}
        rest = {key: value for key, value in values.items() if key not in loose}
        return {**rest, "options": {**rest.get("options", {}), **loose}} if loose else rest

    @classmethod
    def owners(cls, option: str) -> list[Part]:
        """The parts of this section that have the option."""
        return [part for catalogue in cls.catalogues for part in catalogue.values() if option in part.options]

    @classmethod
    def part_options(cls) -> list[str]:
        """Every option that some part of this section has."""
        parts = [part for catalogue in cls.catalogues for part in catalogue.values()]
        return list(dict.fromkeys(option for part in parts for option in part.options))
