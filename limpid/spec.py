"""What the data promise to the model and the objective, as one plain value.

A `DataSpec` is made by data/, read by models/, objectives/, deploy/ and reporting/, and stored in run.json. It holds no
tensors and imports no torch, so that a run can be read without either.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Task = Literal["classification", "binary", "multilabel", "regression", "tokens"]
Kind = Literal["image", "vector", "table", "array", "series", "text", "pairs", "captions"]


# The first tokens of every vocabulary.
PADDING, UNKNOWN, START, END = range(4)


class DataSpec(BaseModel):
    """Shapes, dtypes, classes and task of a data set, with everything that prediction on new raw samples needs.

    `inputs` of a batch are always a tuple of tensors with the batch first:

    - kind "image":  (uint8 or float32 of shape (B, C, H, W),)
    - kind "vector": (float32 of shape (B, F),), not yet scaled
    - kind "table":  (float32 numbers (B, F),) or (numbers (B, F), int64 codes (B, len(cardinalities)))
    - kind "array":  (tensor of any other shape (B, ...),)
    - kind "series": (float32 (B, T, F), int64 lengths (B,)), zero beyond a sequence's length; input_shape (T, F)
    - kind "text":   (int64 tokens (B, T), int64 lengths (B,)), PADDING beyond the length; input_shape (T,)
    - kind "pairs":  (int64 source tokens (B, S), int64 lengths (B,), int64 given target tokens (B, T)); input_shape
      (S,), output_shape (T,). The given tokens are the target behind a START; what is wanted ends with an END.
    - kind "captions": (uint8 images (B, C, H, W), int64 given tokens (B, T)); input_shape (C, H, W), output_shape (T,)

    Targets of a batch: int64 (B,) for classification; float32 (B, num_outputs) in {0, 1} for binary and multilabel;
    float32 (B, num_outputs) in the target's own units for regression; int64 (B, T) for tokens, with -100 at places that
    do not count. For tokens num_outputs is the size of the vocabulary that is predicted.

    `scale_mean` and `scale_std` standardise the first input: per channel or pixel for images (of values 0 to 1 if
    uint8), per feature for vectors and tables; `scale_rotation` turns it then. They are learned from the training split
    and applied on the device by the model's first stage (models/network.py), so that a model takes raw samples.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    task: Task
    input_shape: tuple[int, ...]  # of the first input, without the batch: (C, H, W), (F,), ...
    output_shape: tuple[int, ...] = ()  # (T,) where outputs are sequences
    num_outputs: int  # K classes; 1 for binary; number of labels, of regression targets, or of tokens
    vocabulary: int = 0  # tokens that the first input is made of, the special ones included (text, pairs)
    classes: tuple[str, ...] = ()  # K names; 2 for binary (negative, positive); label names for multilabel
    target_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()  # of the first input's F columns
    cardinalities: tuple[int, ...] = ()  # number of codes of each category column, code 0 = unknown
    category_names: tuple[str, ...] = ()
    scale_mean: tuple[float, ...] = ()
    scale_std: tuple[float, ...] = ()
    scale_rotation: tuple[
        tuple[float, ...], ...
    ] = ()  # (values of a sample, values that are left), see data/scaling.py
    scaled_shape: tuple[int, ...] = ()  # of the first input behind the scaling, where that is another
    quantiles: tuple[tuple[float, ...], ...] = ()  # tables: rising edges per feature, fewer than 2 where it has no code
    target_mean: tuple[float, ...] = ()  # regression: of the training split, in the target's units
    target_std: tuple[float, ...] = ()
    class_counts: tuple[int, ...] = ()  # of the training split
    num_train: int = 0
    num_valid: int = 0
    num_test: int = 0
    preparation: dict[str, Any] = {}  # state of the fitted transform of raw samples (data/encode.py, data/images.py)

    def behind_scale(self) -> DataSpec:
        """The spec as the network's body sees it: turned pixels are a vector, and turned columns have no quantiles."""
        if not self.scale_rotation:
            return self
        seen: dict[str, Any] = {"quantiles": ()}
        if self.scaled_shape:
            seen |= {"input_shape": self.scaled_shape, "kind": "table" if self.kind == "table" else "vector"}
            seen["feature_names"] = tuple(f"direction {i + 1}" for i in range(self.scaled_shape[0]))
        return self.model_copy(update=seen)
