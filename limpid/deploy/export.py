"""A trained network in forms that others can load, each checked against the live one before it is written.

    safetensors   model.safetensors + config.json: the bare weights, and what rebuilds the network around them
    torch         model.pt2: a torch.export program
    onnx          model.onnx: for ONNX Runtime and the like, batch dimension free

The two programs are the whole road from raw samples to answers (`RawToAnswer`): they take what a `Network` takes,
unscaled, and return probabilities (N, K) for classification, (N, T, K) for tokens, (N, 1) for binary, (N, L) for
multi-label, and values in the target's units (N, T) for regression.
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

import limpid
from limpid.deploy.example_sequences import SEQUENCE_INPUTS, example_sequences
from limpid.deploy.trained import Trained, architecture, fill, load_trained
from limpid.errors import ConfigError, MissingExtra, ModelError
from limpid.objectives.objective import Objective
from limpid.record.files import write_file
from limpid.record.run import Run
from limpid.spec import DataSpec

Inputs = tuple[Tensor, ...]

# float32 sums in another order differ by some 1e-6 of a probability or of a target's standard deviation; a wrong
# constant, layout or scaling shows as 1e-2 and more. One order of magnitude above the first:
TOLERANCE = 1e-4
TRACED_BATCH = 3  # neither 0 nor 1, which torch.export would take for constants
CHECKED_BATCHES = (1, 16)  # both other than the traced one, to prove that the batch dimension is free


@dataclass(frozen=True)
class ExportResult:
    """One written format, and how far its answers were from the live network's on the same raw samples."""

    format: str
    paths: tuple[Path, ...]
    max_difference: float  # of probabilities, or of values in standard deviations of the target
    tolerance: float = TOLERANCE
    batches: tuple[int, ...] = CHECKED_BATCHES

    def __str__(self) -> str:
        files = ", ".join(map(str, self.paths))
        return f"{self.format}: {files} (largest difference from the live network {self.max_difference:.1e})"


class RawToAnswer(nn.Module):
    """network, then the objective's last step: raw samples to probabilities, or to values in the target's units."""

    def __init__(self, network: nn.Module, objective: Objective, spec: DataSpec) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.is_regression = spec.task == "regression"
        self.is_tokens = spec.task == "tokens"

    def forward(self, *inputs: Tensor) -> Tensor:
        outputs = self.network(*inputs)
        if self.is_regression:
            return self.objective.predict(outputs)
        if self.is_tokens:
            return outputs.float().softmax(dim=2)
        probabilities = self.objective.probabilities(outputs)
        assert probabilities is not None
        return probabilities


def export_run(
    run: Run | str | Path,
    out: str | Path,
    formats: Iterable[str] = ("safetensors", "torch", "onnx"),
    *,
    module: nn.Module | None = None,
) -> list[ExportResult]:
    """Write the run's best network into the folder `out` in each of `formats`, and check each one's answers.

    Raises:
        ConfigError: a format is unknown.
        MissingExtra: the packages for ONNX are not installed.
        ModelError: the network cannot be exported in this format, or the exported one answers differently.
    """
    formats = tuple(formats)
    for name in formats:
        if name not in _EXPORTERS:
            raise ConfigError(f"{name} is no format of export. Use any of {', '.join(_EXPORTERS)}.")
    if "onnx" in formats and not all(map(find_spec, ("onnx", "onnxruntime", "onnxscript"))):
        raise MissingExtra("Export to ONNX needs further packages: pip install 'limpid[export]'.")
    out = Path(out)
    if out.is_file():
        raise ConfigError(f"{out} is a file. Give a folder to write to with --out.")
    trained = load_trained(run, module=module)
    out.mkdir(parents=True, exist_ok=True)
    return [_EXPORTERS[name](trained, out) for name in formats]


def example_inputs(spec: DataSpec, batch: int, seed: int = 0) -> Inputs:
    """`batch` random raw samples of the spec's shape and dtype.

    Each is its own mixture of the training data's mean and noise: answers to pure noise would often be certain, and a
    certain answer hides small differences.
    """
    generator = torch.Generator().manual_seed(seed)
    if spec.kind in SEQUENCE_INPUTS:
        return example_sequences(spec, batch, generator)
    shape = (batch, *spec.input_shape)
    dtype = spec.preparation.get("dtype", "uint8" if spec.kind == "image" else "float32")
    if dtype == "int64":  # tokens of an unknown vocabulary, which has at least two
        return (torch.randint(0, 2, shape, generator=generator),)
    per_channel = spec.kind == "image" and len(spec.scale_mean) in (0, 1, spec.input_shape[0])
    per_value = (-1, 1, 1) if per_channel else spec.input_shape if spec.kind == "image" else (-1,)
    mean = torch.tensor(spec.scale_mean or (0.0,)).reshape(per_value)
    std = torch.tensor(spec.scale_std or (1.0,)).reshape(per_value)
    contrast = torch.rand(batch, *(1 for _ in spec.input_shape), generator=generator)
    samples = mean + contrast * std * torch.randn(shape, generator=generator)
    if dtype == "uint8":
        samples = (255 * samples).clamp(0, 255).to(torch.uint8)
    if not spec.cardinalities:
        return (samples,)
    codes = [torch.randint(0, size, (batch,), generator=generator) for size in spec.cardinalities]
    return samples, torch.stack(codes, dim=1)


def input_names(spec: DataSpec) -> list[str]:
    """Names of the exported program's inputs."""
    if spec.kind in SEQUENCE_INPUTS:
        return SEQUENCE_INPUTS[spec.kind]
    first = {"image": "image", "vector": "features", "table": "numbers", "array": "array"}[spec.kind]
    return [first, "codes"] if spec.cardinalities else [first]


def _export_safetensors(trained: Trained, out: Path) -> ExportResult:
    from safetensors.torch import load, save

    state = {name: tensor.contiguous().clone() for name, tensor in trained.network.state_dict().items()}
    weights = save(state)
    described = {
        "format": 1,
        "limpid": limpid.__version__,
        "torch": torch.__version__.partition("+")[0],
        "model": trained.config.model.model_dump(mode="json"),
        "objective": trained.config.objective.model_dump(mode="json"),
        "spec": trained.spec.model_dump(mode="json"),
        **({"members": list(trained.members)} if trained.members else {}),
        "inputs": input_names(trained.spec),
        "run": trained.run.id,
        "step": trained.step,
    }
    config = json.dumps(described, indent=2, ensure_ascii=False).encode()
    spec = DataSpec.model_validate(json.loads(config)["spec"])
    copied = architecture(trained.config, spec, trained.module, trained.members, where=str(out))
    fill(copied, load(weights), where=str(out))
    difference = _check(trained, RawToAnswer(copied.eval(), trained.objective, spec), "safetensors")
    paths = (out / "model.safetensors", out / "config.json")
    write_file(paths[0], weights)
    write_file(paths[1], config)
    return ExportResult("safetensors", paths, difference)


def _export_torch(trained: Trained, out: Path) -> ExportResult:
    path = out / "model.pt2"
    with _refusal(trained, "torch.export"), tempfile.TemporaryDirectory() as scratch:
        program = _program(trained)
        file = Path(scratch) / path.name
        torch.export.save(program, file)
        reloaded = torch.export.load(file).module()
        data = file.read_bytes()
    difference = _check(trained, reloaded, "torch")
    write_file(path, data)
    return ExportResult("torch", (path,), difference)


def _export_onnx(trained: Trained, out: Path) -> ExportResult:
    import onnxruntime

    path = out / "model.onnx"
    names, output = input_names(trained.spec), "values" if trained.spec.task == "regression" else "probabilities"
    with _refusal(trained, "ONNX"), tempfile.TemporaryDirectory() as scratch:
        exported = torch.onnx.export(
            _program(trained), input_names=names, output_names=[output], dynamo=True, verbose=False
        )
        assert exported is not None
        about = {"classes": json.dumps(trained.spec.classes), "targets": json.dumps(trained.spec.target_names)}
        exported.model.metadata_props.update(about)
        file = Path(scratch) / path.name
        exported.save(file, external_data=False)
        data = file.read_bytes()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of optimisations that it leaves out
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run_session(*inputs: Tensor) -> Tensor:
        feeds = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run([output], feeds)[0])

    difference = _check(trained, run_session, "onnx")
    write_file(path, data)
    return ExportResult("onnx", (path,), difference)


def _program(trained: Trained) -> torch.export.ExportedProgram:
    inputs = example_inputs(trained.spec, TRACED_BATCH)
    batch = torch.export.Dim("batch", min=1)
    live = RawToAnswer(trained.network, trained.objective, trained.spec).eval()
    return torch.export.export(live, inputs, dynamic_shapes={"inputs": tuple({0: batch} for _ in inputs)})


def _check(trained: Trained, exported: Callable[..., Tensor], form: str) -> float:
    """Largest difference between the exported network's answers and the live one's, over several batch sizes."""
    live = RawToAnswer(trained.network, trained.objective, trained.spec).eval()
    unit = torch.tensor(trained.spec.target_std or 1.0)
    worst = 0.0
    for batch in CHECKED_BATCHES:
        inputs = example_inputs(trained.spec, batch, seed=batch)
        with torch.no_grad():
            expected, given = live(*inputs), exported(*inputs)
        if given.shape != expected.shape:
            raise ModelError(
                f"Export to {form}: {batch} samples gave answers of shape {tuple(given.shape)}, the live network "
                f"{tuple(expected.shape)}. Nothing was written."
            )
        difference = float(((given - expected) / unit).abs().max())
        worst = max(worst, difference) if difference == difference else float("nan")
        if not worst <= TOLERANCE:
            raise ModelError(
                f"Export to {form}: the answers differ from the live network's by {worst:.3g}, more than "
                f"{TOLERANCE:g}. Nothing was written."
            )
    return worst


@contextmanager
def _refusal(trained: Trained, form: str) -> Iterator[None]:
    """Quietens the tracer, and turns its failure into one message."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RuntimeError, ValueError, TypeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{trained.config.model.name} cannot be exported to {form}: {reason} Export it as safetensors instead."
        ) from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


_EXPORTERS: dict[str, Callable[[Trained, Path], ExportResult]] = {
    "safetensors": _export_safetensors,
    "torch": _export_torch,
    "onnx": _export_onnx,
}
