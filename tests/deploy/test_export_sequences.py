"""Sequence models as files for others: the same answers for whole and for short sequences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpid.deploy.export import export_run
from limpid.spec import DataSpec

SERIES = DataSpec(
    name="steps", kind="series", task="classification", input_shape=(8, 3), num_outputs=3, classes=("a", "b", "c")
)
LANGUAGE = DataSpec(
    name="text", kind="text", task="tokens", input_shape=(8,), output_shape=(8,), num_outputs=20, vocabulary=20
)
PAIRS = DataSpec(
    name="pairs", kind="pairs", task="tokens", input_shape=(6,), output_shape=(5,), num_outputs=12, vocabulary=15
)


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        ("lstm", SERIES),
        ("transformer", PAIRS),
        ("gru", LANGUAGE),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in (("encoder", SERIES), ("gpt", LANGUAGE))),
    ],
)
def test_exported_sequence_models_answer_alike(
    model: str, spec: DataSpec, make_run: Callable[..., Any], tmp_path: Path
) -> None:
    made = make_run(spec, model=model)
    results = export_run(made.path, tmp_path / "out", formats=("safetensors", "torch"))
    assert [result.format for result in results] == ["safetensors", "torch"]
    assert all(result.max_difference <= result.tolerance for result in results)
