"""Rules of data on rows: what they say of sick values, and that they are silent, or decline, on the others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from limpid.doctor.checks import CHECKS
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Verdict

CODES = ("D01", "D02", "D03", "D04", "D05", "D10", "D11", "D12", "D13", "D14", "D15", "D16", "D17", "D18", "D19")


def ask(code: str, header: dict[str, Any] | None = None, predictions: Any = None, **probes: Any) -> Verdict | None:
    rows = [{"kind": "probe", "name": name, "values": values} for name, values in probes.items()]
    return CHECKS[code].rule(Evidence(header or {}, rows, predictions))


def levels(verdict: Verdict | None) -> list[str]:
    assert verdict is not None
    return [finding.level for finding in verdict.findings]


def feature(name: str = "x", mean: float = 0.0, std: float = 1.0, distinct: int = 500, common: float = 0.0) -> Any:
    raw = {"raw_mean": mean, "raw_std": std}
    return {"name": name, "mean": mean, "std": std, "distinct": distinct, "common": common, **raw}


def inputs(*features: Any, **more: Any) -> dict[str, Any]:
    return {"features": list(features), "rows": 500, "largest": 3.0, "typical_std": 1.0, **more}


def leak(gain: float, others: float, *, columns: int = 12, **more: Any) -> dict[str, Any]:
    row = {"target": "y", "column": "paid", "gain": gain, "others": others, "same": False, "numbers": False, **more}
    return {"n": 1000, "num_columns": columns, "columns": [row], "order": [], "ids": []}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("value", [None, math.nan, math.inf, "odd", [], {}])
def test_rules_survive_rows_that_hold_nothing_usable(code: str, value: Any) -> None:
    keys: tuple[str, ...] = (
        "features",
        "columns",
        "targets",
        "auc",
        "p",
        "n",
        "scaled",
        "change",
        "order",
        "flat",
        "largest",
        "train",
    )
    keys += ("kept", "gain", "se", "loss_on_padding", "moved", "top_share", "not_finite", "constant", "ids", "unseen")
    values = {key: value if isinstance(value, list | dict) or key not in LISTS else None for key in keys}
    probes = dict.fromkeys(CHECKS[code].reads, values)
    spec = {"task": "classification", "class_counts": [value, 3], "num_train": value}
    CHECKS[code].rule(Evidence({"data": spec}, [{"kind": "probe", "name": n, "values": v} for n, v in probes.items()]))


LISTS = ("features", "columns", "targets", "constant", "ids", "order", "n", "scaled", "change", "unseen", "train")


def test_values_that_are_not_finite_stop_the_run() -> None:
    assert levels(ask("D01", inputs=inputs(not_finite=3))) == ["stop"]
    assert levels(ask("D01", inputs=inputs(feature("flag", 0.01, 0.1, distinct=2, common=0.99)))) == []


def test_a_column_that_comes_alive_in_validation_is_warned_of() -> None:
    alive = inputs(constant=[{"name": "x3", "later": 0.4, "rows": 900}])
    assert levels(ask("D01", inputs=alive)) == ["warning"]
    assert levels(ask("D01", inputs=alive, shift={"auc": 0.9, "p": 1e-9})) == []  # D12 says it better
    rare = inputs(constant=[{"name": "x3", "later": 0.004, "rows": 900}])
    assert levels(ask("D01", inputs=rare)) == ["note"]


def test_holes_and_constant_columns_are_notes() -> None:
    columns = [{"name": "deck", "missing": 70, "role": "feature"}, {"name": "y", "missing": 90, "role": "target"}]
    summary = {"columns": columns, "dropped": [["unit", "constant: every training row says 7"]]}
    verdict = ask("D01", {"summary": summary, "data": {"num_train": 100}})
    assert levels(verdict) == ["note", "note"]
    assert verdict is not None
    assert verdict.statistics["missing"] == {"deck": 0.7}


@pytest.mark.parametrize(
    ("features", "loud"),
    [
        ([feature("a"), feature("b", 0.0, 1e4)], True),  # other units
        ([feature("a"), feature("temperature", 20.0, 5.0)], True),  # far from zero
        ([feature("a"), feature("concentration", 0.0, 1e-4)], True),  # too small to be seen beside the others
        ([feature("a"), feature("pixel", 0.95, 0.2)], False),  # white paper, from 0 to 1
        ([feature("a"), feature("corner", 0.001, 0.005, distinct=9, common=0.97)], False),  # a pixel that is mostly off
        ([feature("a"), feature("town=Bern", 0.02, 0.14, distinct=2, common=0.98)], False),
    ],
)
def test_features_far_from_size_one(features: list[Any], loud: bool) -> None:
    assert levels(ask("D02", inputs=inputs(*features))) == (["warning"] if loud else [])
    assert levels(ask("D02", inputs=inputs(*features, normalised_first=True))) == []


def test_inputs_that_all_but_vanish() -> None:
    assert levels(ask("D03", inputs=inputs(feature(), largest=0.004))) == ["warning"]
    assert levels(ask("D03", inputs=inputs(feature(), largest=0.9))) == []
    assert levels(ask("D03", inputs=inputs(feature(), equal_rows=True))) == ["warning"]


@pytest.mark.parametrize(
    ("values", "loud"),
    [
        ({"order": 0.38, "agreement": -0.1, "agreement_other": 0.9}, True),  # a photograph, regrouped
        ({"order": 1.09, "agreement": -0.01, "agreement_other": 1.0}, True),  # noise in tinted channels, regrouped
        ({"order": 2.2, "agreement": 0.9, "agreement_other": 0.9}, False),
        ({"order": 4.2, "agreement": -0.3, "agreement_other": 0.96}, False),  # coloured shapes
        ({"order": 1.0, "agreement": 0.0, "agreement_other": 0.0}, False),  # noise
        ({"channels_last": True, "shape": [32, 32, 3]}, True),
    ],
)
def test_pixels_in_another_order(values: dict[str, Any], loud: bool) -> None:
    assert levels(ask("D04", pictures={"n": 16, **values})) == (["warning"] if loud else [])


def imbalanced(found: int, of: int = 30, counts: tuple[int, int] = (990, 10)) -> Verdict | None:
    header = {"data": {"task": "binary", "class_counts": counts, "classes": ["no", "yes"]}}
    truth = np.array([0] * 300 + [1] * of)
    guess = np.array([0] * 300 + [1] * found + [0] * (of - found))
    return ask("D05", header, {"target": truth[:, None].astype(np.float32), "prediction": guess})


def test_imbalance_is_a_warning_only_if_a_class_is_not_found() -> None:
    assert levels(imbalanced(2)) == ["warning"]
    assert levels(imbalanced(28)) == ["note"]
    assert levels(imbalanced(1, of=2)) == ["note"]  # two rows say nothing
    assert levels(imbalanced(2, counts=(500, 100))) == []


def test_one_column_far_ahead_of_all_others_is_asked_about() -> None:
    verdict = ask("D10", columns=leak(0.9, 0.6))
    assert levels(verdict) == ["warning"]
    assert verdict is not None
    assert verdict.findings[0].symptom.endswith("Is it known before 'y' is?")
    assert verdict.findings[0].sure == "suspected"


@pytest.mark.parametrize(
    "columns",
    [
        leak(0.83, 0.73),  # petals of irises
        leak(0.9, 0.93),  # displacement and cylinders of engines
        leak(0.82, 0.2, numbers=True),  # a sum of two variables
        leak(0.9, 0.05, columns=2),  # one coordinate of a curve
    ],
)
def test_columns_that_may_tell_much(columns: dict[str, Any]) -> None:
    assert levels(ask("D10", columns=columns)) == []


def test_the_target_under_another_name_is_established() -> None:
    verdict = ask("D10", columns=leak(1.0, 0.95, columns=2, same=True))
    assert verdict is not None
    assert [finding.sure for finding in verdict.findings] == ["established"]


def test_numbered_rows() -> None:
    values = leak(0.6, 0.1)
    values["columns"][0]["column"] = "number"
    values["ids"] = [{"column": "number", "density": 0.7, "follows": 1.0}]
    assert levels(ask("D11", columns=values)) == ["warning"]
    assert levels(ask("D10", columns=values)) == []
    values["columns"][0]["gain"] = 0.02
    assert levels(ask("D11", columns=values)) == ["note"]
    values["ids"] = [{"column": "salary", "density": 0.001, "follows": 0.1}]
    assert levels(ask("D11", columns=values)) == []
    assert levels(ask("D11", columns={**leak(0.1, 0.1), "order": [{"target": "y", "gain": 0.7}]})) == ["note"]


def shifted(auc: float = 0.9, p: float = 1e-9, **more: Any) -> dict[str, Any]:
    row = {"name": "x1", "distance": 0.1, "p": 0.3, "mean": 0.0, "mean_other": 0.1, "std": 1.0}
    return {"auc": auc, "p": p, "n": [400, 60], "num_features": 10, "features": [row], **more}


def test_shift() -> None:
    assert levels(ask("D12", shift=shifted())) == ["warning"]
    assert levels(ask("D12", shift=shifted(0.7, 0.01))) == []  # a small set
    assert levels(ask("D12", shift=shifted(0.55, 1e-5))) == []  # certain, and small
    by_time = {"config": {"data": {"split": "time:day"}}}
    assert levels(ask("D12", by_time, shift=shifted())) == ["note"]
    assert levels(ask("D12", by_time, shift_test=shifted())) == ["warning"]


def test_what_undoes_the_difference_is_named() -> None:
    change = {"turned by 90 degrees anticlockwise": 0.52, "mirrored left to right": 0.9, "transposed": 0.51}
    verdict = ask("D12", shift_test=shifted(change=change))
    assert verdict is not None
    (finding,) = verdict.findings
    assert finding.symptom.startswith("The test images look turned by 90 degrees anticlockwise, or transposed: ")
    assert (finding.sure, finding.where) == ("confirmed", "test")


def test_one_set_on_another_scale_is_not_called_a_shift() -> None:
    for scaled in (
        {"factor": 1 / 255, "common": True, "unit": [False, False], "num_features": 3},
        {"factor": 4.0, "common": False, "unit": [True, False], "num_features": 3},
    ):
        assert levels(ask("D13", shift=shifted(scaled=scaled))) == ["warning"]
        assert levels(ask("D12", shift=shifted(scaled=scaled))) == []
    alike = {"factor": 1.1, "common": True, "unit": [False, False], "num_features": 3}
    assert levels(ask("D13", shift=shifted(scaled=alike))) == []


def test_augmentation() -> None:
    costly = {"gain": 0.3, "se": 0.02, "error": 0.33, "free_error": 0.03, "options": ["augment.rotation"], "n": 270}
    assert levels(ask("D14", unaugmented=costly)) == ["warning"]
    assert levels(ask("D14", unaugmented={**costly, "gain": 0.03, "se": 0.02})) == []
    assert levels(ask("D14", augmented={"clean": 0.95, "augmented": 0.4, "repeated": 0.0})) == ["warning"]
    assert levels(ask("D14", augmented={"clean": 0.95, "augmented": 0.8, "repeated": 0.0})) == []
    assert levels(ask("D14", augmented={"clean": 0.95, "augmented": 0.9, "repeated": 0.2})) == ["warning"]


def scored(low: float, high: float, n: int) -> list[str]:
    header = {"data": {"task": "classification", "num_train": 80, "num_valid": n, "num_test": 0}}
    row = {"kind": "result", "score": "accuracy", "accuracy": 0.6, "interval": {"accuracy": [low, high]}, "n": n}
    return levels(CHECKS["D15"].rule(Evidence(header, [row])))


def test_a_score_on_few_rows() -> None:
    assert scored(0.39, 0.78, 20) == ["warning"]
    assert scored(0.80, 1.0, 15) == []  # all right: a wide margin
    before = {"data": {"task": "binary", "num_train": 80, "num_valid": 20, "num_test": 0}}
    assert levels(ask("D15", before)) == ["note"]
    before["data"]["num_valid"] = 300
    assert levels(ask("D15", before)) == []


def target(mean: float = 0.0, std: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"n": 900, "targets": [{"name": "y", "mean": mean, "std": std, "skew": 0.1, "top_share": 0.03, **more}]}


def test_targets_as_the_loss_sees_them() -> None:
    assert levels(ask("D16", targets=target())) == []
    assert levels(ask("D16", targets=target(1000.0, 50.0))) == ["warning"]
    assert levels(ask("D16", targets=target(0.0, 0.01))) == ["warning"]
    assert levels(ask("D16", targets=target(skew=9.0))) == ["note"]
    reach = {"layer": "ReLU", "low": 0.0, "high": 1e30, "outside": 0.5}
    assert levels(ask("D16", targets={**target(), "reach": reach})) == ["warning"]


def test_rows_that_decide_the_gradient() -> None:
    verdict = ask("D19", targets=target(top_share=0.4, rows=["row 7", "row 9"]))
    assert levels(verdict) == ["warning"]
    assert verdict is not None
    assert verdict.findings[0].rows == ("row 7", "row 9")
    assert levels(ask("D19", targets=target(top_share=0.12))) == []
    assert levels(ask("D19", row_gradients={"n": 1000, "top_share": 0.5, "rows": []})) == ["warning"]


def test_texts() -> None:
    assert levels(ask("D17", tokens={"train": {"unknown": 0.03}, "valid": {"unknown": 0.04}})) == []
    assert levels(ask("D17", tokens={"train": {"unknown": 0.03}, "valid": {"unknown": 0.1}})) == ["note"]
    assert levels(ask("D17", tokens={"train": {"unknown": 0.5}})) == ["warning"]
    assert levels(ask("D17", {"summary": {"cut": {"texts": 0.8, "tokens": 0.36}}})) == ["note"]
    assert levels(ask("D17", {"summary": {"cut": {"texts": 1.0, "tokens": 0.6}}})) == ["warning"]
    assert levels(ask("D17", padding={"loss_on_padding": 0.7, "moved": 0.4})) == ["warning", "warning"]
    assert levels(ask("D17", padding={"loss_on_padding": 0.0, "moved": 1e-6})) == []


def test_odd_images() -> None:
    assert levels(ask("D18", pictures={"n": 200, "flat": 0, "grey": 0})) == []
    assert levels(ask("D18", pictures={"n": 200, "flat": 60, "grey": 3})) == ["warning", "note"]
    assert levels(ask("D18", pictures={"n": 200, "flat": 1, "grey": 200})) == ["note"]  # all are grey
    summary = {"summary": {"notes": ["2 unreadable image(s) left out: a.png, b.png."]}}
    verdict = ask("D18", summary, pictures={"n": 200, "flat": 0})
    assert levels(verdict) == ["note"]
