"""A run's best network as a function from new raw samples to named answers.

Shapes: B batch, N samples, K classes, T regression targets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limpid.data.progress import watched
from limpid.deploy.predictions import Predictions
from limpid.deploy.samples import Samples, read_samples
from limpid.deploy.trained import Trained, load_trained
from limpid.device import choose_device
from limpid.record.run import Run

__all__ = ["Predictions", "Predictor", "load_predictor"]

# Samples per forward pass. Nothing is kept for a backward pass, so only the largest layer's activations count:
# 0.8 MB an image of 224 x 224 in the first stage of a residual network, a kilobyte a table row, half a megabyte a text
# of a thousand tokens.
BATCH_SIZES = {"image": 128, "series": 512, "text": 256}
BATCH_ROWS = 4096


class Predictor:
    """The network of a run, in evaluation mode, with the preparation of raw samples that training learned.

    Attributes:
        trained: network, spec, objective and configuration.
    """

    def __init__(self, trained: Trained, device: torch.device) -> None:
        self.trained = trained
        self.device = device

    def predict(self, source: Any, *, skip_bad: bool = False) -> Predictions:
        """Answer for every sample of `source`, computed in float32.

        Args:
            source: a table file, image file, folder or archive of images, .npy or .npz; or in Python a frame, NumPy
                array or tensor of raw samples, in the form that training took.
            skip_bad: leave out image files that cannot be used; the remarks of the answer name them.

        Raises DataError when the samples are missing, unreadable, or of another form than the model was trained on.
        """
        spec = self.trained.spec
        samples = read_samples(source, spec, skip_bad=skip_bad)
        outputs = self._outputs(samples)
        if samples.bad:
            outputs, samples = outputs[samples.good()], samples.without_bad(str(source))
        probabilities = self.trained.objective.probabilities(outputs)
        pixels = spec.kind == "image" and spec.task == "tokens"
        decisions = outputs.argmax(dim=2) if pixels else self.trained.objective.predict(outputs)
        return Predictions(
            spec=spec,
            names=samples.names,
            decisions=self._named(decisions),
            probabilities=None if probabilities is None else probabilities.numpy(),
            report={**samples.report, "count": len(samples.names)},
        )

    def _outputs(self, samples: Samples) -> Tensor:
        batch = BATCH_SIZES.get(self.trained.spec.kind, BATCH_ROWS)
        parts = []
        with torch.inference_mode():
            batches = torch.arange(len(samples.rows)).split(batch)
            for index_B in watched(batches, len(batches), "Predicting"):
                inputs = (tensor.to(self.device) for tensor in samples.rows.take(index_B))
                parts.append(self.trained.network(*inputs).cpu())
        return torch.cat(parts)

    def _named(self, decisions: Tensor) -> Any:
        spec = self.trained.spec
        if spec.task == "regression":
            return (decisions[:, 0] if spec.num_outputs == 1 else decisions).numpy()
        if spec.task == "multilabel":
            return [tuple(name for name, on in zip(spec.classes, row, strict=True) if on) for row in decisions.tolist()]
        if spec.task == "tokens":  # row by row
            return [tuple(spec.classes[k] for k in pixels) for pixels in decisions.tolist()]
        return [spec.classes[k] for k in decisions.tolist()]


def load_predictor(run: Run | str | Path, *, module: nn.Module | None = None, device: str = "cpu") -> Predictor:
    """The best network of a run, ready to answer.

    Args:
        run: a run or its folder.
        module: needed when the run trained a module of your own: an instance of it, with any weights.
        device: where to compute; see `limpid.device.choose_device`.

    Raises RecordError, CheckpointError or ModelError, as `load_trained` does.
    """
    chosen = choose_device(device)
    return Predictor(load_trained(run, module=module, device=str(chosen)), chosen)
