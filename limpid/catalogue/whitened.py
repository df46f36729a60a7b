"""Networks whose first layer is computed from the training images."""

from __future__ import annotations

from limpid.catalogue.model_part import ModelPart

PARTS = (
    ModelPart(
        name="airbench",
        home="limpid.models.airbench:build_airbench",
        what="learns small colour images in ten passes",
        source="Jordan 2024 (arXiv 2404.00498)",
        year=2024,
        formula="whitened 2x2 patches -> three groups of (conv - pool - norm - GELU - conv - norm - GELU) -> max",
        aliases=("airbench94", "hlb-cifar10", "speed recipe"),
        pitfall="Its first layer is learned from the training images, so that their scale must not change later.",
        family="convolutional",
        kinds=("image",),
        settings={
            "training.epochs": 10,
            "training.batch_size": 512,
            "objective.label_smoothing": 0.2,
            "optim.name": "sgd",
            "optim.lr": 0.75,
            "optim.weight_decay": 1.33e-3,
            "optim.momentum": 0.85,
            "optim.nesterov": True,
            "optim.schedule": "one_cycle",
            "optim.warmup": 0.23,
            "optim.start_lr": 0.2,
            "optim.final_lr": 0.03,
            "optim.anneal": "linear",
            "augment.crop": 2,
        },
        published={"accuracy": "94.0 % on CIFAR-10 in 9.9 epochs", "floating-point operations": "0.29 PFLOP"},
    ),
)
