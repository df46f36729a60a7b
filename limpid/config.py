"""Every knob of a run, as frozen sections. `None` and "auto" mean: chosen from the data (defaults.py), then shown.

A section is seen only by the `build_*` function of its folder. What only one part has (an optimiser's momentum, a
model's heads) is an option of that part, described in catalogue/ and kept in its section's `options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from limpid.catalogue.activations import ACTIVATIONS
from limpid.catalogue.initializers import INITIALIZERS
from limpid.catalogue.losses import LOSSES
from limpid.catalogue.models import MODELS
from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.catalogue.part import Catalogue
from limpid.catalogue.schedules import SCHEDULES
from limpid.section import PartSection, Section, called_from, fold_number, named_in


def _own_name(word: str) -> str:
    """The name of a model of our own for any alias; other words may be torchvision's or timm's."""
    return MODELS.get_name(word) or word


class DataConfig(Section):
    """What goes in: the source, how its columns are read, and how it is split."""

    source: str | None = Field(default=None, description="built-in name, file, folder or archive")
    data_dir: str | None = Field(default=None, description="folder with local copies of named data sets")
    target: tuple[str, ...] = Field(default=(), description="column(s) to predict; without a header: its number from 0")
    drop: tuple[str, ...] = Field(default=(), description="columns to leave out")
    leave_out: tuple[str, ...] = Field(
        default=(), description="training rows to leave out, by name: a file's, or row 17; rows of other splits stay"
    )
    corrections: str | None = Field(
        default=None, description="table of rows to drop or relabel, as `limpid audit` writes it"
    )
    types: dict[str, Literal["number", "category", "boolean", "date"]] = Field(
        default_factory=dict, description="column types that override the inferred ones"
    )
    header: bool | None = Field(
        default=None, description="whether the first row holds the column names; None infers it"
    )
    task: Literal["auto", "classification", "binary", "multilabel", "regression"] = Field(
        default="auto", description="kind of prediction; auto infers it from the target"
    )
    encode: Literal["auto", "embed", "onehot"] = Field(
        default="auto", description="categories as codes for embeddings, or as one-hot numbers"
    )
    missing: Literal["impute", "error"] = Field(
        default="impute", description="missing values: fill (median, with an indicator) or refuse"
    )
    test: str | None = Field(default=None, description="separate test file of the same form")
    split: str = Field(default="random", description="random, group:COLUMN or time:COLUMN")
    valid_share: float | None = Field(default=None, ge=0.0, lt=1.0, description="share of rows kept for validation")
    test_share: float | None = Field(default=None, ge=0.0, lt=1.0, description="share of rows kept for the test")
    fold: Annotated[str | None, AfterValidator(fold_number)] = Field(
        default=None,
        description="2/5: the second of five parts of all rows but the test's validates; 0/5: none, all of them train",
    )
    train_share: float | None = Field(
        default=None, gt=0.0, le=1.0, description="share of the training rows that is used; larger ones hold smaller"
    )
    train_draw: int = Field(default=0, ge=0, description="which of the random draws of that share")
    size: int | None = Field(default=None, ge=4, description="samples to generate (generators only)")
    noise: float | None = Field(default=None, ge=0.0, description="noise of a generator, in units of its features")
    form: Literal["auto", "table", "series", "sequences", "text", "texts", "pairs", "captions"] = Field(
        default="auto", description="how the source is read, where its ending does not tell"
    )
    window: int | None = Field(default=None, ge=1, description="series: steps that the network sees")
    horizon: int | None = Field(default=None, ge=1, description="series: steps ahead that it predicts")
    stride: int | None = Field(default=None, ge=1, description="series, text: steps between the starts of two windows")
    times: Literal["check", "mend", "ignore"] = Field(
        default="check",
        description="series: refuse gaps, duplicate and unordered times; mend them; or take rows as they come",
    )
    tokens: Literal["auto", "char", "word", "bpe"] = Field(default="auto", description="text: what a token is")
    vocabulary: int | None = Field(default=None, ge=8, description="text: most tokens, the four special ones included")
    context: int | None = Field(default=None, ge=2, description="text: tokens of a sample; longer ones are cut")
    scale: Literal["auto", "standardise", "minmax", "symmetric", "decorrelate", "whiten", "zca", "none"] = Field(
        default="auto", description="how numbers are brought to one range, learned from the training split"
    )
    scale_per: Literal["auto", "channel", "pixel"] = Field(
        default="auto", description="images: what has statistics of its own"
    )
    components: int | None = Field(
        default=None, ge=1, description="directions of largest variance that decorrelate, whiten and zca keep"
    )
    image_size: int | None = Field(default=None, ge=1, le=4096, description="side of the square images, pixels")
    colour: Literal["auto", "grey", "rgb"] = Field(default="auto", description="channels of the decoded images")
    fit: Literal["crop", "pad", "stretch"] = Field(default="crop", description="how images are made square")
    skip_bad: bool = Field(default=False, description="leave out unreadable images instead of refusing them")
    memory_share: float = Field(default=0.4, gt=0.0, le=1.0, description="share of free memory that data may take")
    workers: int = Field(default=2, ge=0, description="threads that decode images and stream data")


class AugmentConfig(Section):
    """Random changes of training images; all off unless set (defaults.py sets them per kind of data)."""

    flip: bool | None = Field(default=None, description="mirror left-right with probability 1/2")
    crop: int | None = Field(
        default=None, ge=0, description="shift by up to this many pixels, reflected or zero border"
    )
    scale: float | None = Field(
        default=None, gt=0.0, le=1.0, description="least share of the area kept by a scale crop"
    )
    rotation: float | None = Field(default=None, ge=0.0, le=180.0, description="largest rotation, degrees")
    translate: float | None = Field(default=None, ge=0.0, lt=1.0, description="largest shift, as a share of the side")
    shear: float | None = Field(default=None, ge=0.0, lt=90.0, description="largest slant of the columns, degrees")
    stretch: float | None = Field(default=None, ge=0.0, lt=1.0, description="largest change of either side, as a share")
    blur: float | None = Field(default=None, ge=0.0, le=16.0, description="largest deviation of a blur, pixels")
    noise: float | None = Field(default=None, ge=0.0, le=1.0, description="deviation of noise on pixels from 0 to 1")
    jitter: float | None = Field(default=None, ge=0.0, le=1.0, description="strength of brightness/contrast/saturation")
    cutout: int | None = Field(default=None, ge=0, description="side of the erased square, pixels")
    mixup: float | None = Field(default=None, ge=0.0, description="alpha of mixup's Beta(alpha, alpha); 0 is off")
    cutmix: float | None = Field(default=None, ge=0.0, description="alpha of cutmix's Beta(alpha, alpha); 0 is off")


class ModelConfig(PartSection):
    """What computes."""

    catalogues: ClassVar[tuple[Catalogue[Any], ...]] = (MODELS,)

    @model_validator(mode="before")
    @classmethod
    def _keep_is_not_dropped(cls, values: Any) -> Any:
        keep = values.get("keep") if isinstance(values, Mapping) else None
        if not isinstance(keep, int | float) or not 0.0 < keep <= 1.0:
            return values
        if values.get("dropout") is not None:
            raise ValueError("keep and dropout are two words for one share: give one")
        return {**values, "keep": None, "dropout": round(1.0 - keep, 12)}

    name: Annotated[str, AfterValidator(_own_name)] = Field(
        default="auto", description="architecture, by name or as a pattern of layers; `limpid models` lists them"
    )
    hidden: tuple[PositiveInt, ...] | None = Field(default=None, description="widths of an MLP's hidden layers")
    activation: Annotated[str, called_from(ACTIVATIONS)] = Field(
        default="relu", description="non-linearity, such as relu or leaky_relu(0.1); `limpid activations` lists them"
    )
    init: Annotated[str | None, called_from(INITIALIZERS)] = Field(
        default=None,
        description="first weights, such as normal(0, 0.01); None: the model's own. `limpid initializers` lists them",
    )
    bias_init: Annotated[str, called_from(INITIALIZERS)] = Field(
        default="own", description="first biases of dense, convolutional and recurrent layers; own: the model's"
    )
    embedding_init: Annotated[str, called_from(INITIALIZERS)] = Field(
        default="own", description="first vectors of embeddings; own: the model's"
    )
    norm: Literal["none", "batch", "layer"] | None = Field(default=None, description="normalisation in an MLP")
    dropout: float | None = Field(default=None, ge=0.0, lt=1.0, description="share of hidden units dropped")
    keep: float | None = Field(default=None, gt=0.0, le=1.0, description="share of hidden units kept: 1 - dropout")
    numbers: Literal["auto", "plain", "piecewise"] = Field(
        default="auto", description="an MLP's numbers as they are, or piecewise-linear codes too (tables)"
    )
    embedding: int | None = Field(default=None, ge=1, description="size of category embeddings; None: by cardinality")
    pretrained: bool = Field(default=False, description="start from published weights (torchvision, timm)")
    compile: Literal["auto", "off", "on"] = Field(default="auto", description="torch.compile, where it pays back")
    start: str | None = Field(default=None, description="run folder or .safetensors file whose weights are taken over")
    freeze: str = Field(
        default="", description="what does not learn: backbone, a number of leading blocks, or a pattern of names"
    )
    thaw: int | None = Field(default=None, ge=1, description="epochs after which one more frozen block learns")


class ObjectiveConfig(PartSection):
    """What is wanted."""

    catalogues: ClassVar[tuple[Catalogue[Any], ...]] = (LOSSES,)

    loss: Annotated[str, named_in(LOSSES)] = Field(
        default="auto", description="loss; auto takes the task's own. `limpid losses` lists them"
    )
    label_smoothing: float | None = Field(default=None, ge=0.0, lt=1.0, description="share moved to the other classes")
    class_weights: Literal["balanced"] | tuple[float, ...] | None = Field(
        default=None, description="weight of each class in the loss, or balanced"
    )
    standardise: bool = Field(
        default=True, description="regression: train in units of the target's deviation, not in its own"
    )


class OptimConfig(PartSection):
    """How the weights move."""

    catalogues: ClassVar[tuple[Catalogue[Any], ...]] = (OPTIMIZERS, SCHEDULES)

    name: Annotated[str, named_in(OPTIMIZERS)] = Field(
        default="auto", description="optimiser; `limpid optimizers` lists them"
    )
    lr: float | None = Field(default=None, gt=0.0, description="learning rate (the peak, under a schedule)")
    weight_decay: float | None = Field(default=None, ge=0.0, description="L2 (SGD, Adam) or decoupled (AdamW) decay")
    decay_all: bool = Field(default=False, description="decay biases and normalisation weights too")
    schedule: Annotated[str, named_in(SCHEDULES)] = Field(
        default="auto", description="course of the learning rate; `limpid schedules` lists them"
    )
    warmup: float | None = Field(default=None, ge=0.0, lt=1.0, description="share of the steps that warm up")
    clip_norm: float | None = Field(default=None, gt=0.0, description="largest global norm of the gradient")
    accumulate: int = Field(default=1, ge=1, description="batches whose gradients are averaged into one step")
    ema: float | None = Field(default=None, ge=0.0, lt=1.0, description="decay of the averaged weights; 0 is off")
    swa: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="last share of the steps whose epochs' weights are averaged equally"
    )
    lookahead: int = Field(default=0, ge=0, description="steps after which slow weights follow the fast ones; 0 is off")
    lookahead_alpha: float = Field(default=0.5, gt=0.0, le=1.0, description="share of the way that slow weights follow")
    sam_rho: float = Field(
        default=0.0, ge=0.0, description="radius of sharpness-aware minimisation (0.05): two passes a step; 0 is off"
    )
    sam_adaptive: bool = Field(default=False, description="measure that radius relative to each weight (0.5)")
    layer_decay: float = Field(
        default=1.0, gt=0.0, le=1.0, description="factor of the rate from each block to the one before it; 1: one rate"
    )


class RegularizeConfig(Section):
    """What holds the weights back; all off unless set. Weight decay stands in section optim."""

    l1: float = Field(default=0.0, ge=0.0, description="strength of the sum of |w|")
    l2: float = Field(default=0.0, ge=0.0, description="strength of half the sum of w^2, as a gradient")
    l2_sum: float = Field(default=0.0, ge=0.0, description="strength of the sum of w^2 without the half: l2 / 2")
    proximal: bool = Field(default=False, description="l1 by soft thresholding after the step: exact zeros")
    on: str = Field(default="weights", description="weights (matrices and kernels), all, or a pattern of names")
    max_norm: float | None = Field(default=None, gt=0.0, description="largest norm of a unit's incoming weights")
    input_noise: float = Field(default=0.0, ge=0.0, description="deviation of noise on the scaled inputs")
    stochastic_depth: float = Field(default=0.0, ge=0.0, lt=1.0, description="share of residual branches dropped")


class TrainingConfig(Section):
    """How long, how large, on what, from which seed."""

    epochs: int | None = Field(default=None, ge=0, description="passes over the training split")
    steps: int | None = Field(default=None, ge=1, description="updates of the weights; ends the run within an epoch")
    batch_size: int | None = Field(default=None, ge=1, description="samples per step")
    seed: int = Field(default=0, ge=0, lt=2**31, description="one seed for split, weights, order and augmentation")
    precision: Literal["auto", "bf16", "float32"] = Field(default="auto", description="arithmetic of the step")
    matmul: Literal["auto", "default", "onednn"] = Field(
        default="auto", description="library of float32 matrix products on a CPU; auto measures"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:N or mps")
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads; None: one per core, one where steps are small"
    )
    patience: int | None = Field(default=None, ge=0, description="epochs without improvement before stopping; 0: never")
    min_delta: float = Field(default=0.0, ge=0.0, description="least change of the monitored figure that counts")
    baseline: float | None = Field(
        default=None, description="figure to beat: epochs that do not are epochs without improvement"
    )
    monitor: str = Field(
        default="auto", description="validation figure that picks the best weights (auto: loss or score)"
    )
    mode: Literal["auto", "min", "max"] = Field(
        default="auto", description="whether the monitored figure is to fall or to rise; auto knows its own figures"
    )
    restore_best: bool = Field(default=True, description="end with the weights of the best epoch, not of the last")
    evaluate_from: int = Field(default=1, ge=1, description="first epoch that is followed by an evaluation")
    evaluate_every: int = Field(default=1, ge=1, description="epochs from one evaluation to the next")
    checkpoint_seconds: float = Field(default=60.0, gt=0.0, description="time between checkpoints")
    checkpoint_steps: int | None = Field(
        default=None, ge=1, description="steps between checkpoints; overrides the time"
    )
    keep: int = Field(default=2, ge=1, description="checkpoints kept")
    members: int = Field(default=1, ge=1, le=1000, description="networks whose probabilities are averaged")
    ensemble: Literal["bagging", "seeds", "snapshot", "folds"] = Field(
        default="bagging", description="what members differ by: bootstrap rows, seed, cycle of one training, or fold"
    )
    sizes: tuple[Annotated[float, Field(gt=0.0, le=1.0)], ...] = Field(
        default=(), description="shares of the training rows on which members are trained too: a learning curve"
    )
    on: str = Field(
        default="auto",
        description="what trains members: auto, stacked, stacks, processes, one-by-one, ray, or a Ray address",
    )


class RecordConfig(Section):
    """Where the run is written, and its mirrors."""

    out: str | None = Field(default=None, description="run folder; None: runs/<time>-<data>-<model>-<id>")
    tensorboard: str | None = Field(default=None, description="folder of a TensorBoard mirror of the record")
    mlflow: str | None = Field(default=None, description="tracking URI of an MLflow mirror of the record")
    report: bool = Field(default=True, description="write report.html at the end")
    doctor: bool = Field(default=True, description="measure before and during training, and say what looks wrong")


class Config(Section):
    """One run. The sections are the folders of the package, in the order of the flow."""

    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optim: OptimConfig = OptimConfig()
    regularize: RegularizeConfig = RegularizeConfig()
    training: TrainingConfig = TrainingConfig()
    record: RecordConfig = RecordConfig()
