"""Exported networks answer as the live one, at any batch size, and nothing is written when they do not."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from limpid.config import ModelConfig
from limpid.deploy import export
from limpid.deploy.export import TOLERANCE, example_inputs, export_run
from limpid.errors import ConfigError, MissingExtra, ModelError
from limpid.models.registry import build_model
from limpid.spec import DataSpec

VECTOR = DataSpec(
    name="v",
    kind="vector",
    task="classification",
    input_shape=(4,),
    num_outputs=3,
    classes=("a", "ü", "c"),
    scale_mean=(5.0, 0.0, -3.0, 100.0),
    scale_std=(1.0, 2.0, 0.1, 30.0),
    class_counts=(1, 2, 3),
)
SPECS = {
    "vector": (VECTOR, "mlp"),
    "binary": (VECTOR.model_copy(update={"task": "binary", "num_outputs": 1, "classes": ("no", "yes")}), "linear"),
    "regression": (
        DataSpec(
            name="r",
            kind="vector",
            task="regression",
            input_shape=(4,),
            num_outputs=2,
            target_names=("u", "w"),
            scale_mean=(5.0, 0.0, -3.0, 100.0),
            scale_std=(1.0, 2.0, 0.1, 30.0),
            target_mean=(1000.0, 0.0),
            target_std=(50.0, 0.01),
        ),
        "mlp",
    ),
    "codes": (
        DataSpec(
            name="t",
            kind="table",
            task="multilabel",
            input_shape=(2,),
            num_outputs=2,
            classes=("p", "q"),
            cardinalities=(3, 5),
            category_names=("k", "l"),
            scale_mean=(1.0, 2.0),
            scale_std=(1.0, 3.0),
        ),
        "mlp",
    ),
    "image": (
        DataSpec(
            name="i",
            kind="image",
            task="classification",
            input_shape=(1, 28, 28),
            num_outputs=3,
            classes=("a", "b", "c"),
            scale_mean=(0.13,),
            scale_std=(0.3,),
            preparation={"kind": "image"},
        ),
        "lenet5",
    ),
}


@pytest.mark.parametrize(
    "case", [case if case in ("image", "codes") else pytest.param(case, marks=pytest.mark.slow) for case in SPECS]
)
def test_every_format_answers_like_the_live_network(make_run, tmp_path, case):
    onnxruntime = pytest.importorskip("onnxruntime")
    made = make_run(SPECS[case][0], model=SPECS[case][1])
    out = tmp_path / "out"
    results = export_run(made.path, out)
    assert [result.format for result in results] == ["safetensors", "torch", "onnx"]
    assert all(result.max_difference <= TOLERANCE for result in results)
    assert sorted(file.name for file in out.iterdir()) == [
        "config.json", "model.onnx", "model.pt2", "model.safetensors",
    ]  # fmt: skip
    program = torch.export.load(out / "model.pt2").module()
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 2, 7):  # none of them is the size it was traced with
        inputs = example_inputs(made.spec, batch, seed=99)
        with torch.no_grad():
            outputs = made.network(*inputs)
            answers = made.objective.probabilities(outputs)
            answers = made.objective.predict(outputs) if answers is None else answers
            unit = torch.tensor(made.spec.target_std or 1.0)
            torch.testing.assert_close(program(*inputs) / unit, answers / unit, rtol=0, atol=1e-4)
        feeds = {given.name: tensor.numpy() for given, tensor in zip(session.get_inputs(), inputs, strict=True)}
        (from_onnx,) = session.run(None, feeds)
        np.testing.assert_allclose(from_onnx / unit.numpy(), answers.numpy() / unit.numpy(), rtol=0, atol=1e-4)


def test_safetensors_and_config_rebuild_the_network_without_the_run(make_run, tmp_path):
    made = make_run(VECTOR)
    (result,) = export_run(made.path, tmp_path / "out", ["safetensors"])
    described = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    spec = DataSpec.model_validate(described["spec"])
    assert spec == made.spec
    rebuilt = build_model(ModelConfig.model_validate(described["model"]), spec, seed=0).eval()
    rebuilt.load_state_dict(load_file(tmp_path / "out" / "model.safetensors"))
    inputs = example_inputs(spec, 6)
    with torch.no_grad():
        assert torch.equal(rebuilt(*inputs), made.network(*inputs))
    assert "model.safetensors" in str(result)


def test_onnx_file_names_its_classes(make_run, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    export_run(make_run(VECTOR).path, tmp_path, ["onnx"])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["a", "ü", "c"]
    assert [value.name for value in (*session.get_inputs(), *session.get_outputs())] == ["features", "probabilities"]


def test_an_export_that_answers_differently_is_refused_and_not_written(make_run, tmp_path, monkeypatch):
    made = make_run(VECTOR)
    monkeypatch.setattr(torch.export, "save", _save_spoiled(torch.export.save))
    with pytest.raises(ModelError, match="differ from the live network's by .*Nothing was written"):
        export_run(made.path, tmp_path / "out", ["torch"])
    assert list((tmp_path / "out").iterdir()) == []


def _save_spoiled(save):
    def spoiled(program, file):
        with torch.no_grad():
            parameter = next(iter(program.state_dict.values()))
            parameter += 0.05
            save(program, file)
            parameter -= 0.05

    return spoiled


class Branching(nn.Module):
    """Its course depends on the values, which no trace can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x) if float(x.sum()) > 0 else -self.layer(x)


def test_a_network_that_cannot_be_traced_says_so(make_run, tmp_path):
    made = make_run(VECTOR, module=Branching())
    with pytest.raises(ModelError, match=r"module:Branching cannot be exported to torch\.export"):
        export_run(made.path, tmp_path / "out", ["torch"], module=Branching())
    assert list((tmp_path / "out").iterdir()) == []
    (result,) = export_run(made.path, tmp_path / "out", ["safetensors"], module=Branching())
    assert result.max_difference == 0.0


def test_a_file_is_no_folder_to_export_to(make_run, tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(ConfigError, match="taken is a file"):
        export_run(make_run(VECTOR).path, tmp_path / "taken", formats=("safetensors",))


def test_unknown_format_and_absent_packages_are_named_before_anything_is_written(make_run, tmp_path, monkeypatch):
    made = make_run(VECTOR)
    with pytest.raises(ConfigError, match="safetensors, torch, onnx"):
        export_run(made.path, tmp_path / "out", ["keras"])
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(MissingExtra, match=r"pip install 'limpid\[export\]'"):
        export_run(made.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
