"""Records of runs for tests of the checks of the fit: header, epochs, result and predictions, written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limpid.doctor.evidence import Evidence

Row = dict[str, Any]
NUM_VALID = 400


def record(
    *,
    train: Sequence[float],
    valid: Sequence[float],
    fixed: Sequence[float] | None = None,
    accuracy: Sequence[float] | None = None,
    fixed_accuracy: Sequence[float] | None = None,
    test_accuracy: float | None = None,
    probes: Mapping[str, Row] | None = None,
    predictions: Mapping[str, Any] | None = None,
    config: Row | None = None,
    spec: Row | None = None,
    **header: Any,
) -> Evidence:
    """A finished run of a classifier of ten classes, with one value per epoch of each curve."""
    rows: list[Row] = [{"kind": "probe", "name": name, "values": values} for name, values in (probes or {}).items()]
    best = min(range(len(valid)), key=lambda i: valid[i]) if valid else 0
    for i, loss in enumerate(train):
        place = {"kind": "metric", "epoch": i + 1, "step": 20 * (i + 1)}
        rows.append({**place, "split": "train", "loss": loss, "lr": 0.001})
        if i < len(valid):
            right = accuracy[i] if accuracy else 0.9
            rows.append({**place, "split": "valid", "loss": valid[i], "accuracy": right})
        if fixed is not None:
            right = fixed_accuracy[i] if fixed_accuracy else 0.95
            rows.append({**place, "split": "train_fixed", "loss": fixed[i], "accuracy": right})
    share = (accuracy[best] if accuracy else 0.9) if test_accuracy is None else test_accuracy
    spread = 1.96 * (share * (1 - share) / NUM_VALID) ** 0.5
    result = {"split": "test", "epoch": best + 1, "n": NUM_VALID, "loss": min(valid, default=1.0), "accuracy": share}
    rows.append(
        {
            **result,
            "kind": "result",
            "score": "accuracy",
            "interval": {"accuracy": [share - spread, share + spread]},
            "chance_loss": 2.3,
        }
    )
    rows.append({"kind": "end", "status": "finished"})
    data = {"task": "classification", "kind": "vector", "num_train": 2000, "num_valid": NUM_VALID}
    data |= {"num_test": NUM_VALID, "class_counts": [200] * 10, **(spec or {})}
    summary = {"split": {"how": "random, stratified by class"}}
    full = {"data": data, "config": config or {}, "summary": summary, "model": {}, **header}
    return Evidence(full, rows, predictions)


def rivals(best: float, *, n: int = NUM_VALID, name: str = "trees", **more: Any) -> Row:
    """Values of a probe of rivals: a constant answer, a linear model of no use, and one good rival."""
    half = 1.96 * (best * (1 - best) / n) ** 0.5
    figures = {
        "constant": {"score": 0.1, "low": 0.08, "high": 0.12},
        "linear": {"score": 0.15, "low": 0.12, "high": 0.18},
        name: {"score": best, "low": best - half, "high": best + half},
    }
    return {"score": "accuracy", "n": n, "rows": 1000, "best": name, "rivals": figures, **more}
