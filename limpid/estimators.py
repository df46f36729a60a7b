"""Limpid's training behind scikit-learn's interface: `Classifier` and `Regressor`.

Both pass scikit-learn's `check_estimator`, so they work in pipelines, grid searches and cross-validation, in one
process or several:

    GridSearchCV(Classifier(random_state=0), {"lr": [1e-3, 1e-2], "hidden": [(32,), (64, 32)]}, n_jobs=2)
    RandomizedSearchCV(make_pipeline(StandardScaler(), Classifier()), {"classifier__lr": loguniform(1e-4, 1e-1)})
    cross_val_score(Classifier(options={"training.patience": 5}), X, y, scoring="neg_log_loss")

A fit depends on its rows and its `random_state` alone, whatever trains beside it: the same numbers come out with any
`n_jobs`. joblib's worker processes share the cores among them, and fits in threads of one process take turns; `device`
"cpu" keeps several workers off one GPU. A searched value that cannot be used is a failed fit in scikit-learn's sense,
with `error_score`. Limpid's own `tune` and populations train many networks faster than a pool of workers does.

`fit` trains with `fitting.py`, quietly and without a run folder, and leaves random generators and threads of the
process as it found them. Training computes in the `precision` asked for, prediction in float64, so that a row's answer
does not depend on the other rows of its batch.

Shapes: N rows, F features, K classes, T regression targets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from limpid.config import Config
from limpid.config_reader import config_from_dict
from limpid.errors import ConfigError
from limpid.spec import Task

if TYPE_CHECKING:
    from torch import Tensor

PREDICT_ROWS = 8192  # rows per forward pass: bounds the memory that activations take
# Holding out 15 % of a few hundred rows lifted R^2 on diabetes from 0.12 to 0.45 (the last epoch over-fits noise), cost
# 0.04 on Friedman 1, and moved accuracies by under 0.01. Two seeds of three folds. The limit of 100 rows is a guess.
VALIDATION_SHARE, VALIDATION_FROM = 0.15, 100
SEEDS = 2**31  # TrainingConfig.seed is below this


class _NetworkEstimator(BaseEstimator):
    """What classifier and regressor share: the parameters, the fit, and the forward pass over raw rows."""

    def __init__(
        self,
        model: str = "mlp",
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        hidden: tuple[int, ...] | None = None,
        precision: str = "float32",
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        validation_share: float | None = None,
        verbose: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.hidden = hidden
        self.precision = precision
        self.random_state = random_state
        self.device = device
        self.validation_share = validation_share
        self.verbose = verbose
        self.options = options

    def _fit(self, X: NDArray[np.float32], y: NDArray[Any], *, task: Task) -> None:
        """Train on validated rows; y holds codes 0 to K-1 (int64) or values (float32, (N, T))."""
        from limpid.fitting import fit_arrays
        from limpid.objectives.registry import build_objective

        config = self._config(len(X))
        fitted = fit_arrays(np.require(X, requirements=["C", "W"]), y, task=task, config=config)
        self.network_ = fitted.network.cpu().eval()
        self.objective_ = build_objective(config.objective, fitted.spec)  # the fitted one may lie on another device
        self.spec_ = fitted.spec
        self.history_ = fitted.history
        if self.verbose:
            for row in self.history_:
                print("  ".join(f"{name} {value:.4g}" for name, value in row.items() if isinstance(value, int | float)))

    def _config(self, num_rows: int) -> Config:
        share = self.validation_share
        if share is None:
            share = VALIDATION_SHARE if num_rows >= VALIDATION_FROM else 0.0
        values: dict[str, dict[str, Any]] = {
            "data": {"valid_share": share, "test_share": 0.0},
            "model": {"name": self.model, "hidden": None if self.hidden is None else tuple(self.hidden)},
            "optim": {"lr": self.lr},
            "training": {
                "epochs": self.epochs,
                "batch_size": self.batch_size,
                "precision": self.precision,
                "device": self.device,
                "seed": self._seed(),
            },
        }
        for name, value in (self.options or {}).items():
            section, dot, key = name.partition(".")
            if not dot:
                raise ConfigError(f"options: {name!r} is not section.key, for example 'optim.weight_decay'.")
            values.setdefault(section, {})[key] = value
        return config_from_dict(values, origin=type(self).__name__)

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state) % SEEDS
        return int(check_random_state(self.random_state).randint(SEEDS - 1))

    def _outputs(self, X: Any) -> Tensor:
        """The network's outputs for the rows of X, (N, ...) float64."""
        import torch

        check_is_fitted(self, "network_")
        X = np.require(validate_data(self, X, reset=False, dtype=np.float32), requirements=["C", "W"])
        network: Any = self.network_
        body = network.body
        tensors = {**dict(body.named_parameters()), **dict(body.named_buffers())}
        double = {name: t.double() if t.is_floating_point() else t for name, t in tensors.items()}
        with torch.no_grad():
            parts = [
                torch.func.functional_call(body, double, (network.scale(rows).double(),))
                for rows in torch.from_numpy(X).split(PREDICT_ROWS)
            ]
        return torch.cat(parts)


class Classifier(ClassifierMixin, _NetworkEstimator):
    """A neural network that predicts one of K classes, as a scikit-learn classifier.

    Args:
        model: Architecture, as listed by `limpid models`.
        epochs: Passes over the training rows; None chooses by the size of the data.
        batch_size: Rows per step; None chooses by the size of the data.
        lr: Learning rate, the peak under a schedule; None takes the model's own.
        hidden: Widths of the hidden layers of an MLP, for example (64, 32); None takes the model's own.
        precision: "float32", "bf16" or "auto" (bf16 where the machine computes it fast), for training.
        random_state: Seed of the split, the weights and the order: an int, a NumPy RandomState, or None.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps", for training.
        validation_share: Share of the rows held out to choose the best weights; None takes 0.15 from 100 rows on.
        verbose: Print the history after the fit.
        options: Any other configuration key, named as for `--set`: {"optim.weight_decay": 1e-4}; early stopping is
            {"training.patience": 5}. To search several, give whole dicts: {"options": [{...}, {...}]}.

    Attributes:
        classes_: The K labels in sorted order; columns of `predict_proba`.
        network_: The trained torch module, on the CPU; takes raw rows.
        history_: What happened in each epoch.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> Classifier(epochs=40, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train on X (N, F) of finite numbers and y (N,) of at least two labels, any type that sorts.

        Raises ValueError in scikit-learn's words when X or y is not of that form.
        """
        X, y = validate_data(self, X, y, dtype=np.float32, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"Classifier needs at least two classes; y holds one class only: {str(self.classes_[0])!r}."
            )
        self._fit(X, codes.astype(np.int64), task="classification")
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each class, (N, K); every row sums to 1."""
        outputs = self._outputs(X)
        probabilities_NK = self.objective_.probabilities(outputs)
        assert probabilities_NK is not None
        probabilities_NK = probabilities_NK.double()
        return np.asarray((probabilities_NK / probabilities_NK.sum(dim=1, keepdim=True)).numpy())

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each row, (N,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])


class Regressor(RegressorMixin, _NetworkEstimator):
    """A neural network that predicts one number or several, as a scikit-learn regressor.

    Args: those of `Classifier`.

    Attributes:
        network_: The trained torch module, on the CPU; takes raw rows.
        history_: What happened in each epoch.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train on X (N, F) and y (N,) or (N, T), finite numbers.

        Raises ValueError in scikit-learn's words when X or y is not of that form.
        """
        X, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, y_numeric=True, ensure_min_samples=2)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._one_target = y.ndim == 1
        with np.errstate(over="ignore"):
            values_NT = np.asarray(y, dtype=np.float32).reshape(len(y), -1)
        if not np.isfinite(values_NT).all():
            raise ValueError("Input y contains a value too large for dtype('float32').")
        self._fit(X, values_NT, task="regression")
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The predicted values in the units of y: (N,), or (N, T) when fitted with T targets."""
        outputs = self._outputs(X)
        values_NT = np.asarray(self.objective_.predict(outputs).double().numpy())
        return values_NT.reshape(-1) if self._one_target else values_NT

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
