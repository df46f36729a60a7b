"""D06 to D09 on rows of the record: what is told, and what is not held against the data."""

from __future__ import annotations

import math
from typing import Any

import pytest

from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.rules_duplicates import copied_rows, shared_rows
from limpid.doctor.rules_labels import unrelated_labels, wrong_labels

NOISE = {
    "share": 0.2, "low": 0.18, "high": 0.22, "level": True, "joint_share": 0.2, "bands": [0.2, 0.2, 0.2, 0.3],
    "sided": 0.9, "minority": 0.9, "rows": 1500, "classes": 10, "flagged": 300, "pairs": [("3", "8", 0.05)],
    "examples": ["row 7"],
}  # fmt: skip
COPIES = {
    "rows": 1000, "copies": 0, "natural": 0.0, "conflicts": 0, "ceiling": 1.0, "blank": 0, "examples": [],
    "valid_rows": 200, "shared": 0, "shared_natural": 0.0, "shared_examples": [],
}  # fmt: skip


def evidence(name: str, values: dict[str, Any], kind: str = "vector", rows: tuple[Any, ...] = ()) -> Evidence:
    data = {"kind": kind, "task": "classification", "num_valid": 300, "class_counts": [500, 500]}
    return Evidence({"data": data}, [{"kind": "probe", "name": name, "values": values}, *rows])


def only(verdict: Verdict | None) -> Finding | None:
    assert verdict is not None
    assert verdict.statistics
    return verdict.findings[0] if verdict.findings else None


@pytest.mark.parametrize(("share", "level"), [(0.01, None), (0.05, "note"), (0.2, "warning")])
def test_wrong_labels_are_told_by_their_share(share: float, level: str | None) -> None:
    found = only(wrong_labels(evidence("label_noise", NOISE | {"share": share, "low": 0.8 * share})))
    assert (found.level if found else None) == level


def test_the_commonest_confusion_is_named() -> None:
    found = only(wrong_labels(evidence("label_noise_after", NOISE)))
    assert found is not None
    assert "'3' where '8'" in found.symptom
    assert found.rows == ("row 7",)


@pytest.mark.parametrize(
    "changes",
    [
        {"level": False},  # the disagreement rises from the surest rows on: overlapping classes
        {"share": 0.4, "minority": 0.5},  # nothing was learned: labels at random, D07
        {"classes": 2, "sided": 0.05, "minority": 0.3},  # one class that is hard to foretell
    ],
)
def test_hard_data_are_not_called_wrong(changes: dict[str, Any]) -> None:
    assert only(wrong_labels(evidence("label_noise", NOISE | changes))) is None


def test_in_tables_chance_in_the_world_may_be_the_reason() -> None:
    found = only(wrong_labels(evidence("label_noise", NOISE, kind="table")))
    assert found is not None
    assert found.level == "note"
    assert "columns do not say" in found.symptom


def signal(near: float, linear: float, kind: str = "table", rows: tuple[Any, ...] = ()) -> Finding | None:
    values = {"rows": 1000, "near": 0.0, "near_z": near, "linear": 0.0, "linear_z": linear}
    return only(unrelated_labels(evidence("label_signal", values, kind, rows)))


def epochs(accuracy: float, losses: tuple[float, ...]) -> tuple[Any, ...]:
    rows: list[Any] = [{"kind": "probe", "name": "plan", "values": {"num_epochs": len(losses)}}]
    for epoch, loss in enumerate(losses):
        rows.append({"kind": "metric", "split": "train", "epoch": epoch, "step": epoch, "loss": loss, "lr": 0.1})
        rows.append({"kind": "metric", "split": "valid", "epoch": epoch, "step": epoch, "accuracy": accuracy})
    return tuple(rows)


def test_shuffled_labels_of_a_table_are_told_before_training() -> None:
    found = signal(0.3, -1.0)
    assert found is not None
    assert found.level == "warning"
    assert signal(0.3, 6.0) is None, "a weak linear relation"
    assert signal(20.0, -1.0) is None, "a relation that only neighbours see"


def test_of_pictures_a_network_that_memorises_and_scores_chance_is_asked_for() -> None:
    assert signal(0.3, 0.1, "image") is None
    assert signal(0.3, 0.1, "image", epochs(0.51, (0.7, 0.5, 0.2))) is not None
    assert signal(0.3, 0.1, "image", epochs(0.51, (0.7, 0.7, 0.7))) is None, "it has learned nothing yet"
    assert signal(0.3, 0.1, "image", epochs(0.8, (0.7, 0.5, 0.2))) is None
    assert signal(0.3, 0.1, "table", epochs(0.8, (0.7, 0.5, 0.2))) is None


def test_one_lucky_epoch_of_many_is_no_learning() -> None:
    rows = list(epochs(0.5, (0.7, 0.6, 0.5, 0.4, 0.3, 0.2)))
    rows[6] |= {"accuracy": 0.62}  # 3.4 standard errors of 200 rows, in the third epoch alone
    assert signal(0.3, 0.1, "image", tuple(rows)) is not None


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, None),
        ({"copies": 40}, None),
        ({"copies": 150}, "warning"),
        ({"copies": 20, "conflicts": 20, "ceiling": 0.99}, "warning"),
        ({"copies": 700, "conflicts": 500, "natural": 1.0}, "note"),
    ],
)
def test_copies_within_training(changes: dict[str, Any], level: str | None) -> None:
    found = only(copied_rows(evidence("duplicates", COPIES | changes)))
    assert (found.level if found else None) == level


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, None),
        ({"shared": 2}, None),
        ({"shared": 40, "shared_examples": ["row 3"]}, "warning"),
        ({"shared": 190, "shared_natural": 0.9}, "note"),
        ({"near": 0, "near_asked": 200, "near_chance": 0.0, "near_shared": 40, "near_shared_asked": 200,
          "near_shared_chance": 0.001}, "warning"),
        ({"near": 0, "near_asked": 200, "near_chance": 0.0, "near_shared": 4, "near_shared_asked": 200,
          "near_shared_chance": 0.012}, None),  # rows of two columns are near each other by chance
    ],
)  # fmt: skip
def test_rows_on_both_sides_of_the_split(changes: dict[str, Any], level: str | None) -> None:
    found = only(shared_rows(evidence("duplicates", COPIES | changes)))
    assert (found.level if found else None) == level


@pytest.mark.parametrize(
    ("values", "level"),
    [
        ({"rows": 200, "shared": 2, "natural": 0.0}, None),
        ({"rows": 200, "shared": 40, "natural": 0.0, "examples": ["row 3"]}, "warning"),
        ({"rows": 200, "shared": 40, "natural": 0.9}, "note"),
        ({"rows": 10000, "shared": 10, "natural": 0.0}, "note"),
        ({"rows": 0, "shared": 0}, None),
    ],
)
@pytest.mark.parametrize("name", ["test_duplicates", "test_duplicates_after"])
def test_test_rows_that_were_trained_on(values: dict[str, Any], level: str | None, name: str) -> None:
    verdict = shared_rows(evidence(name, values))
    found = verdict.findings if verdict else ()
    assert [(one.level, one.where) for one in found] == ([] if level is None else [(level, "test")])


@pytest.mark.parametrize("rule", [wrong_labels, unrelated_labels, copied_rows, shared_rows])
@pytest.mark.parametrize("value", [math.nan, None, "x"])
def test_rules_survive_what_is_not_a_number(rule: Any, value: Any) -> None:
    rows = [
        {"kind": "probe", "name": name, "values": dict.fromkeys(values, value)}
        for name, values in (
            ("label_noise", NOISE),
            ("label_signal", {"near_z": 0, "linear_z": 0, "rows": 1}),
            ("duplicates", COPIES),
            ("test_duplicates", {"rows": 1, "shared": 0}),
        )
    ]
    verdict = rule(Evidence({}, rows))
    assert verdict is None or not verdict.findings
