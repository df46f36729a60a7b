"""What augmentation does to labels: before training by neighbours, after it by the trained network.

By neighbours: an augmented image gets the label of the clean image that is nearest to it in pixels, its own original
left out. Labels that are kept lose a little everywhere; a label that is broken turns into one other.

Shapes: N clean images, M augmented ones, V values of an image, K classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.data.augment import build_augment
from limpid.probes.data_sample import DataSample, sample_split
from limpid.probes.subject import Subject

ROWS = 1000
SIDE = 16  # pixels of a side in which neighbours are sought
LEAST_OF_CLASS = 10


def measure_neighbours(subject: Subject) -> dict[str, Any] | None:
    """{kept_clean, kept, flows}: how often the nearest clean image has the same label; None without augmentation."""
    made = _augmented(subject, (0,))
    if made is None:
        return None
    sample, (changed,) = made
    clean_NV, changed_MV = _vectors(sample.inputs[0]), _vectors(changed)
    target_N = _classes(sample.target)
    same = torch.eye(len(clean_NV), dtype=torch.bool)
    near_clean = torch.cdist(clean_NV, clean_NV).masked_fill_(same, float("inf")).argmin(1)
    near = torch.cdist(changed_MV, clean_NV).masked_fill_(same, float("inf")).argmin(1)
    return _flows(subject, target_N, target_N[near_clean], target_N[near]) | {"n": len(target_N)}


@torch.no_grad()
def measure_network(subject: Subject) -> dict[str, Any] | None:
    """{kept_clean, kept, flows, repeated} by the decisions of the trained network; None without augmentation."""
    made = _augmented(subject, (0, 1))
    if made is None or subject.objective is None:
        return None
    sample, (one, two) = made
    subject.network.eval()
    answers = []
    for x in (sample.inputs[0], one):
        parts = [subject.objective.predict(subject.answer(part.to(subject.target.device))) for part in x.split(128)]
        answers.append(torch.cat(parts).cpu())
    repeated = (one == two).flatten(1).all(1) & (one != sample.inputs[0]).flatten(1).any(1)
    values = _flows(subject, _classes(sample.target), answers[0], answers[1])
    return values | {"n": len(sample.target), "repeated": repeated.float().mean().item()}


def _augmented(subject: Subject, epochs: tuple[int, ...]) -> tuple[DataSample, list[Tensor]] | None:
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


def _vectors(x: Tensor) -> Tensor:
    """(N, V) small pictures, from 0 to 1."""
    small = torch.nn.functional.adaptive_avg_pool2d(
        x.float() / (255.0 if x.dtype == torch.uint8 else 1.0), (min(SIDE, x.shape[-2]), min(SIDE, x.shape[-1]))
    )
    return small.flatten(1)


def _classes(target: Tensor) -> Tensor:
    return target.flatten().long()


def _flows(subject: Subject, target_N: Tensor, clean_N: Tensor, changed_N: Tensor) -> dict[str, Any]:
    """Shares of kept labels, and the pairs of classes of which the first turns into the second most."""
    assert subject.spec is not None
    names = subject.spec.classes
    found = []
    for k in target_N.unique().tolist():
        of_class = target_N == k
        num = int(of_class.sum())
        if num < LEAST_OF_CLASS:
            continue
        before_K = torch.bincount(clean_N[of_class], minlength=len(names)).double() / num
        after_K = torch.bincount(changed_N[of_class], minlength=len(names)).double() / num
        gained_K = after_K - before_K
        gained_K[k] = -1.0
        to = int(gained_K.argmax())
        others = (after_K.sum() - after_K[k] - after_K[to]).item()
        found.append(
            {
                "from": names[k],
                "to": names[to],
                "n": num,
                "clean": before_K[to].item(),
                "changed": after_K[to].item(),
                "elsewhere": others,
            }
        )
    found.sort(key=lambda row: row["clean"] - row["changed"])
    return {
        "kept_clean": (clean_N == target_N).double().mean().item(),
        "kept": (changed_N == target_N).double().mean().item(),
        "flows": found[:4],
    }
