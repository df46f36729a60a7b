"""What augmentation does to labels: what the trained network says of augmented images, and what it learns without.

A change that turns one class into another (a half turn makes 9 of 6) costs validation score however long the training;
one that is merely hard does not. So the network is trained once more without it, beside a twin with it.

Shapes: N training images, M validation images.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from limpid.data.augment import build_augment
from limpid.probes.data_sample import DataSample, sample_split
from limpid.probes.retraining import affordable_steps
from limpid.probes.subject import Subject
from limpid.probes.twin_errors import twin_errors

ROWS = 1000
EPOCHS = 8  # of which none may change an image like the first; a mirror alone does so once in 256
# Changes that can make another thing of what is shown, and from where on; the price of two trainings is paid for them.
STRONG = {"rotation": 45.0, "translate": 0.3, "shear": 40.0, "stretch": 0.5}
LEAST_AREA = 0.2  # of a scale crop
OFF = {"flip": False, "crop": 0, "scale": 1.0}  # of all other changes: 0


@torch.no_grad()
def measure(subject: Subject) -> dict[str, Any] | None:
    """{n, clean, augmented, repeated}: shares of right answers on training images, and of images that all of eight
    epochs change alike; None without augmentation."""
    made = _augmented(subject, range(EPOCHS))
    if made is None or subject.objective is None:
        return None
    sample, (one, *more) = made
    subject.network.eval()
    shares = []
    for x in (sample.inputs[0], one):
        parts = [subject.objective.predict(subject.answer(part.to(subject.target.device))) for part in x.split(128)]
        shares.append((torch.cat(parts).cpu() == sample.target.flatten().long()).double().mean().item())
    repeated_N = (one != sample.inputs[0]).flatten(1).any(1)
    for other in more:
        repeated_N &= (one == other).flatten(1).all(1)
    share = repeated_N.float().mean().item()
    return {"n": len(sample.target), "clean": shares[0], "augmented": shares[1], "repeated": share}


def measure_without(subject: Subject) -> dict[str, Any] | None:
    """{options, n, steps, error, free_error, gain, se}: validation errors of two trainings, with strong changes and
    without, and mean and standard error of their difference on the same rows; None where no change is strong."""
    dataset = subject.dataset
    if dataset is None or dataset.valid is None or subject.spec is None or subject.spec.kind != "image":
        return None
    options = strong_changes(subject)
    steps = affordable_steps(subject) if options else None
    if steps is None:
        return None
    return twin_errors(subject, options, steps)


def strong_changes(subject: Subject) -> dict[str, Any]:
    """Options that switch off what may change the meaning of an image; mirroring only where images are grey."""
    assert subject.config is not None and subject.spec is not None
    config = subject.config.augment
    strong = [name for name, least in STRONG.items() if (getattr(config, name) or 0.0) > least]
    strong += ["scale"] if (config.scale or 1.0) < LEAST_AREA else []
    strong += ["flip"] if config.flip and subject.spec.input_shape[0] == 1 else []
    return {f"augment__{name}": OFF.get(name, 0.0) for name in strong}


def _augmented(subject: Subject, epochs: Iterable[int]) -> tuple[DataSample, list[Tensor]] | None:
    """Training images and what augmentation makes of them in these epochs, mixing left out."""
    config, spec, dataset = subject.config, subject.spec, subject.dataset
    if config is None or spec is None or dataset is None or spec.kind != "image":
        return None
    if spec.task not in ("classification", "binary"):
        return None
    alone = config.augment.model_copy(update={"mixup": None, "cutmix": None})
    augment = build_augment(alone, spec, config.training.seed)
    if augment is None:
        return None
    sample = sample_split(dataset.train, ROWS)
    made = [augment(sample.inputs, sample.target, sample.position, epoch)[0][0] for epoch in epochs]
    return sample, made
