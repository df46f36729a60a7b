"""A member of an ensemble behind a translation of its inputs, and before one of its answers.

What is learned from training rows (fills of missing cells, codes of categories, origins of dates, mean and deviation of
the target) differs between members that saw different rows. An ensemble takes samples in one encoding, that of its own
spec; each member gets them as its own rows would have had them:

    x_m = x[:, take] + shift          where a cell is missing: fill
    c_m = table[c]                    codes of categories and tokens, unknown where the member has not seen them
    z   = (z_m std_m + mean_m - mean) / std       answers, in units of the ensemble's standardised target

Shapes: B batch, F number features, C category columns, V tokens of a vocabulary, T targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from limpid.errors import ModelError
from limpid.spec import UNKNOWN, DataSpec

SAME = ("kind", "task", "output_shape", "num_outputs", "classes", "target_names")
Column = Mapping[str, Any]
Feature = tuple[int, float, int, float]  # of the joint encoding: place, shift, place of its indicator or -1, fill
Table = tuple[int, list[int]]  # place of a code column in the joint encoding, and the own code of each of its codes


class Translated(nn.Module):
    """A network, with the translation between its spec and another. Its tensors follow from both specs."""

    take_F: Tensor | None
    shift_F: Tensor
    missing_F: Tensor
    fill_F: Tensor
    tokens_V: Tensor | None
    gain_T: Tensor | None
    offset_T: Tensor

    def __init__(self, network: nn.Module, own: DataSpec, joint: DataSpec) -> None:
        super().__init__()
        self.network = network
        numbers, tables = _encodings(own, joint)
        rows: list[Any] = [None] * 4 if numbers is None else list(zip(*numbers, strict=True)) or [()] * 4
        names = {"take_F": torch.int64, "shift_F": torch.float32, "missing_F": torch.int64, "fill_F": torch.float32}
        for (name, dtype), values in zip(names.items(), rows, strict=True):
            self.register_buffer(name, None if values is None else torch.tensor(values, dtype=dtype), persistent=False)
        self.code_places = None if numbers is None else [place for place, _ in tables]
        for place, table in tables:
            self.register_buffer(f"table_{place}", torch.tensor(table), persistent=False)
        tokens = _tokens(own, joint) if own.kind == "text" else None
        self.register_buffer("tokens_V", None if tokens is None else torch.tensor(tokens), persistent=False)
        gain = offset = None
        if own.target_mean and joint.target_mean:
            mean_T, std_T = (torch.tensor(values, dtype=torch.float64) for values in _target(own))
            onto_mean_T, onto_std_T = (torch.tensor(values, dtype=torch.float64) for values in _target(joint))
            gain, offset = (std_T / onto_std_T).float(), ((mean_T - onto_mean_T) / onto_std_T).float()
        self.register_buffer("gain_T", gain, persistent=False)
        self.register_buffer("offset_T", offset, persistent=False)

    def forward(self, x: Tensor, *rest: Tensor) -> Tensor:
        if self.take_F is not None:
            missing_BF = torch.where(self.missing_F >= 0, x[:, self.missing_F.clamp(min=0)], 0.0) > 0.5
            x = torch.where(missing_BF, self.fill_F, x[:, self.take_F] + self.shift_F)
        if self.tokens_V is not None:
            x = self.tokens_V[x]
        if self.code_places is not None and rest:
            codes = [getattr(self, f"table_{c}")[rest[0][:, c]] for c in self.code_places]
            rest = (torch.stack(codes, dim=1),) if codes else ()
        outputs: Tensor = self.network(x, *rest)
        return outputs if self.gain_T is None else outputs * self.gain_T + self.offset_T


def translated(network: nn.Module, own: DataSpec, joint: DataSpec) -> nn.Module:
    """The network as one that takes samples, and answers, as `joint` says; itself where `own` says the same.

    Raises ModelError, naming what differs, where there is no translation.
    """
    for key in SAME:
        mine, theirs = getattr(own, key), getattr(joint, key)
        if mine != theirs:
            raise ModelError(
                f"Members cannot answer as one: {key.replace('_', ' ')} of one is {_short(mine)}, and of their "
                f"ensemble {_short(theirs)}. Members must have learned the same question."
            )
    same_inputs = _learned(own) == _learned(joint)
    same_target = _target(own) == _target(joint) or not (own.target_mean and joint.target_mean)
    if not same_inputs and (own.kind == "table" or (own.kind == "text" and own.input_shape == joint.input_shape)):
        return Translated(network, own, joint)
    same_inputs = same_inputs or own.kind == "series"  # whose gaps take the last known value
    if own.input_shape != joint.input_shape or own.feature_names != joint.feature_names or not same_inputs:
        raise ModelError(
            "Members cannot answer as one: their inputs differ, and only those of tables and words have a translation."
        )
    return network if same_target else Translated(network, own, joint)


def _learned(spec: DataSpec) -> dict[str, Any]:
    """What an encoding learned from training rows."""
    return {key: value for key, value in spec.preparation.items() if key == "encoder" or key.endswith("vocabulary")}


def _tokens(own: DataSpec, joint: DataSpec) -> list[int] | None:
    """Of each token of the joint vocabulary its number in the own one; None where they are the same."""
    mine, theirs = own.preparation.get("vocabulary"), joint.preparation.get("vocabulary")
    if mine is None or theirs is None or mine == theirs:
        return None
    if own.task == "tokens" or mine["merges"] or theirs["merges"] or mine["kind"] != theirs["kind"]:
        raise ModelError("Members cannot answer as one: each has learned tokens of its own. Use --tokens word or char.")
    special = joint.vocabulary - len(theirs["tokens"])
    number = {token: special + i for i, token in enumerate(mine["tokens"])}
    return [*range(special), *(number.get(token, UNKNOWN) for token in theirs["tokens"])]


def _target(spec: DataSpec) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return spec.target_mean, tuple(std if std > 0 else 1.0 for std in spec.target_std)


def _encodings(own: DataSpec, joint: DataSpec) -> tuple[list[Feature] | None, list[Table]]:
    """(take, shift, missing, fill) of each number feature, -1 where no cell is missing; the table of each code column.

    None where the encodings are the same.
    """
    mine, theirs = own.preparation.get("encoder"), joint.preparation.get("encoder")
    if own.kind != "table" or mine is None or theirs is None or mine == theirs:
        return None, []
    try:
        return _translate(mine, theirs, {name: number for number, name in enumerate(joint.feature_names)})
    except KeyError as error:
        raise ModelError(f"Members cannot answer as one: their ensemble knows no column {error}.") from None


def _translate(
    mine: Mapping[str, Any], theirs: Mapping[str, Any], place: Mapping[str, int]
) -> tuple[list[Feature], list[Table]]:
    known = {column["name"]: column for column in theirs["columns"]}
    numbers: list[Feature] = []
    tables: list[Table] = []
    categories = [column["name"] for column in theirs["columns"] if column["type"] == "category"]
    for column in mine["columns"]:
        other = known.get(column["name"])
        if other is None or other["type"] != column["type"]:
            raise ModelError(
                f"Members cannot answer as one: column {column['name']!r} is read as a {column['type']} by one of "
                f"them, and {'not at all' if other is None else 'as a ' + other['type']} by their ensemble. Declare "
                f"its type (--types {column['name']}=TYPE), or leave it out (--drop {column['name']})."
            )
        if column["type"] != "category":
            numbers += _features(column, other, place)
    for column in mine["columns"]:
        if column["type"] == "category" and mine["onehot"]:
            numbers += [(place[f"{column['name']}={value}"], 0.0, -1, 0.0) for value in column["values"]]
        elif column["type"] == "category":
            code = {value: number for number, value in enumerate(column["values"], 1)}
            table = [0, *(code.get(value, 0) for value in known[column["name"]]["values"])]
            tables.append((categories.index(column["name"]), table))
    return numbers, tables


def _features(own: Column, joint: Column, place: Mapping[str, int]) -> Iterator[Feature]:
    """The features of a number, boolean or date column: the first is its value, the last may be its indicator."""
    date = own["type"] == "date"
    indicator = place[f"{own['name']} missing"] if joint["indicator"] else -1
    value = place[f"{own['name']} days" if date else own["name"]]
    yield value, joint["origin"] - own["origin"], indicator, own["fill"] - own["origin"]
    if date:
        waves = 6 if own["clock"] else 4
        yield from ((value + step, 0.0, -1, 0.0) for step in range(1, waves + 1))
    if own["indicator"]:
        yield indicator, 0.0, -1, 0.0


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
