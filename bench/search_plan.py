"""What w7 tries: configurations drawn once, and the hold-out on which all programs choose."""

from __future__ import annotations

import json
import random
from pathlib import Path

LR = (-4.0, -1.5)  # exponents of ten, drawn evenly
WEIGHT_DECAY = (-6.0, -2.0)
BATCH_SIZES = (32, 64, 128)


def draw_configs(num_trials: int, seed: int = 0) -> list[dict[str, float | int]]:
    """Learning rate and weight decay log-uniform, batch size evenly; more trials begin with the same ones."""
    draw = random.Random(seed)
    return [
        {
            "lr": 10 ** draw.uniform(*LR),
            "weight_decay": 10 ** draw.uniform(*WEIGHT_DECAY),
            "batch_size": draw.choice(BATCH_SIZES),
        }
        for _ in range(num_trials)
    ]


def write_space(path: Path) -> Path:
    """The same ranges as a search space for `limpid tune`."""
    lines = []
    for option, (low, high) in (("optim.lr", LR), ("optim.weight_decay", WEIGHT_DECAY)):
        lines += [f"[{option}]", f"low = {10**low!r}", f"high = {10**high!r}", 'scale = "log"', ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join([*lines, "[training.batch_size]", f"choices = {list(BATCH_SIZES)}", ""])
    path.write_text(text, encoding="utf-8")
    return path


def write_plan(path: Path, num_trials: int, epochs: int) -> Path:
    """The plan as JSON: epochs, rows of digits to train on and to choose on (Limpid's own split), configurations."""
    from limpid.config import Config
    from limpid.config_reader import with_options
    from limpid.population.ground import Ground

    dataset = Ground().dataset(with_options(Config(), {"data__source": "digits"}))
    assert dataset.valid is not None
    assert dataset.train.index is not None
    assert dataset.valid.index is not None
    plan = {
        "epochs": epochs,
        "train": dataset.train.index.tolist(),
        "valid": dataset.valid.index.tolist(),
        "configs": draw_configs(num_trials),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plan), encoding="utf-8")
    return path
