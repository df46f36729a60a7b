"""The linear support vector machine: the widest margin between two classes, one unit per class against the others.

    min over w, b of   1/2 |(w, b)|^2 + C sum_i max(0, 1 - t_i (w . x_i + b))^p,      t_i = -1 or 1

p = 2 (squared hinge) or 1 (hinge). Solved by liblinear (Fan et al. 2008) through scikit-learn on all rows at once; its
solution becomes the weights of a linear layer. The outputs are the margins w . x + b.

Shapes: B rows of a batch, F features, K units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from limpid.config import ModelConfig
from limpid.models.feature_maps import build_features
from limpid.spec import DataSpec

MOST_ITERATIONS = 5000
FAR = -1.0  # margin of a class that no training row has: clearly outside


class WidestMargin(nn.Module):
    """features -> linear."""

    def __init__(self, spec: DataSpec, *, features: str, penalty: float, loss: str) -> None:
        super().__init__()
        self.features, width = build_features(features, spec)
        self.linear = nn.Linear(width, spec.num_outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.spec = spec
        self.penalty = penalty
        self.loss = loss

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.features(x))

    @torch.no_grad()
    def solve(self, x_NF: NDArray[np.float64], label_N: NDArray[np.int64]) -> None:
        """Set the weights to liblinear's solution."""
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import LinearSVC

        machine = LinearSVC(C=self.penalty, loss=self.loss, dual="auto", max_iter=MOST_ITERATIONS, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last iterate is a usable separator
            machine.fit(x_NF, label_N)
        weight_KF, bias_K = torch.from_numpy(machine.coef_), torch.from_numpy(np.atleast_1d(machine.intercept_))
        if self.spec.task == "binary":
            self.linear.weight.copy_(weight_KF)
            self.linear.bias.copy_(bias_K)
            return
        if len(machine.classes_) == 2:  # one unit stands for both
            weight_KF, bias_K = torch.cat((-weight_KF, weight_KF)), torch.cat((-bias_K, bias_K))
        self.linear.weight.zero_()
        self.linear.bias.fill_(FAR)
        present_K = torch.from_numpy(machine.classes_.astype(np.int64)).to(self.linear.weight.device)
        self.linear.weight[present_K] = weight_KF.to(self.linear.weight)
        self.linear.bias[present_K] = bias_K.to(self.linear.bias)


def build_svm(config: ModelConfig, spec: DataSpec) -> nn.Module:
    """A linear support vector machine with penalty `C` on violations of the margin."""
    options = config.options
    return WidestMargin(spec, features=options["features"], penalty=options["C"], loss=options["hinge"])


def margin_step(model: Any, objective: Any, optimizer: torch.optim.Optimizer, batch: Any, **_: Any) -> Tensor:
    """Keep the rows; with the last one of the epoch, solve. Returns the mean loss of the batch afterwards, detached.

    The signature is that of training/step.py's train_step. Precision, clipping and accumulation have no meaning here.
    """
    body: WidestMargin = model.body
    memory: dict[str, Any] = optimizer.param_groups[0]["memory"]
    with torch.no_grad():
        memory.setdefault("x", []).append(body.features(model.scale(batch.inputs[0])).float().cpu())
    target = batch.target.flatten() if body.spec.task == "binary" else batch.target
    label_B = target.argmax(dim=1) if target.ndim == 2 else target.round().long()
    memory.setdefault("label", []).append(label_B.cpu())
    if sum(map(len, memory["label"])) >= body.spec.num_train:
        body.solve(torch.cat(memory["x"]).double().numpy(), torch.cat(memory["label"]).numpy())
        memory.clear()
    with torch.no_grad():
        loss: Tensor = objective.loss(model(*batch.inputs), batch.target)
    return loss
