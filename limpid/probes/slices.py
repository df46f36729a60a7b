"""Where does the trained network fail? Errors on groups of validation rows: category values, and thirds of each number.

Shapes: M validation rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.probes.flat_rows import choose_rows
from limpid.probes.rivals import EVALUATION_ROWS
from limpid.probes.subject import Subject
from limpid.spec import DataSpec

VALID_ROWS = 5000
LEAST_ROWS = 30  # of a slice, and outside it
MOST_COLUMNS = 50
KEPT = 12  # slices that are recorded, the worst first


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{examined, score, slices: [{name, n, error, rest, se}]}, where `error` and `rest` are mean errors inside a slice
    and outside it and `se` that of their difference; None for data without columns.

    The error of a row is 1 for a wrong answer, and for numbers the squared error over the target's variance.
    """
    dataset, spec = subject.dataset, subject.spec
    if dataset is None or dataset.valid is None or spec is None or subject.objective is None:
        return None
    if spec.kind not in ("table", "vector", "image") or spec.task == "tokens":
        return None
    index_M = choose_rows(dataset.valid, VALID_ROWS)
    inputs = tuple(tensor.cpu() for tensor in dataset.valid.rows.take(index_M))
    errors_M = row_errors(subject, index_M)
    found = []
    for name, member_M in _groups(inputs, spec):
        inside, outside = errors_M[member_M], errors_M[~member_M]
        if min(len(inside), len(outside)) < LEAST_ROWS:
            continue
        se = (inside.var() / len(inside) + outside.var() / len(outside)).sqrt().item()
        found.append(
            {"name": name, "n": len(inside), "error": inside.mean().item(), "rest": outside.mean().item(), "se": se}
        )
    found.sort(key=lambda row: (row["rest"] - row["error"]) / max(row["se"], 1e-9))
    return {"examined": len(found), "n": len(index_M), "slices": found[:KEPT]}


@torch.no_grad()
def row_errors(subject: Subject, index_M: Tensor) -> Tensor:
    """(M,) float64 error of the network on each of these validation rows, in evaluation mode."""
    dataset, spec, objective = subject.dataset, subject.spec, subject.objective
    assert dataset is not None and dataset.valid is not None and spec is not None and objective is not None
    subject.network.eval()
    errors = []
    for part in index_M.split(EVALUATION_ROWS):
        inputs = tuple(tensor.to(subject.target.device) for tensor in dataset.valid.rows.take(part))
        decision = objective.predict(subject.answer(*inputs).float()).cpu()
        errors.append(decision_errors(decision, dataset.valid.target[part].cpu(), spec))
    return torch.cat(errors)


def decision_errors(decision: Tensor, target: Tensor, spec: DataSpec) -> Tensor:
    """(M,) float64: 1 for a wrong answer, the share of wrong labels, or squared errors over the target's variance."""
    if spec.task == "regression":
        spread_T = torch.tensor(spec.target_std or (1.0,)).double().clamp_min(1e-12)
        return ((decision.double() - target.double()) / spread_T).pow(2).flatten(1).mean(dim=1)
    wrong = (decision.reshape(len(target), -1) != target.reshape(len(target), -1).long()).double()
    return wrong.mean(dim=1)


def _groups(inputs: tuple[Tensor, ...], spec: DataSpec) -> Any:
    """(name, bool (M,)) of every group; groups of a column do not overlap."""
    first = inputs[0].float()
    if spec.kind == "image":
        yield from _thirds("brightness", first.flatten(1).mean(dim=1))
        yield from _thirds("contrast", first.flatten(1).std(dim=1))
        return
    for j in range(min(first.shape[1], MOST_COLUMNS)):
        name = spec.feature_names[j] if j < len(spec.feature_names) else f"column {j}"
        yield from _thirds(name, first[:, j])
    for j in range(len(spec.cardinalities) if len(inputs) > 1 else 0):
        name = spec.category_names[j] if j < len(spec.category_names) else f"category column {j}"
        for code in range(min(spec.cardinalities[j], MOST_COLUMNS)):
            yield f"{name} = {_value_name(spec, name, code)}", inputs[1][:, j] == code


def _thirds(name: str, values_M: Tensor) -> Any:
    low, high = values_M.quantile(torch.tensor([1 / 3, 2 / 3])).tolist()
    if low == high:
        yield f"{name} > {low:.4g}", values_M > low
        return
    yield f"{name} <= {low:.4g}", values_M <= low
    yield f"{name} between {low:.4g} and {high:.4g}", (values_M > low) & (values_M <= high)
    yield f"{name} > {high:.4g}", values_M > high


def _value_name(spec: DataSpec, column: str, code: int) -> str:
    """The category behind a code, where the preparation keeps it."""
    known = spec.preparation.get("categories") or {}
    values = known.get(column) if isinstance(known, dict) else None
    return "unknown" if code == 0 else str(values[code - 1]) if values and code <= len(values) else f"code {code}"
