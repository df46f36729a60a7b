"""Every architecture of the catalogue trains by `train` on data that it takes, and answers for new samples.

The cases are read off the catalogue: a new architecture joins by being registered.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from limpid.catalogue.model_part import ModelPart
from limpid.catalogue.models import MODELS
from limpid.config_reader import config_from_dict
from limpid.deploy.trained import load_trained
from limpid.finished import generate, predict, translate
from limpid.models.registry import build_model
from limpid.record.run import Run
from limpid.spec import DataSpec
from tests.small_data import SMALL, Small, assert_finite, finite, make_small, train_small

# Sides of the least images that an architecture takes, where 12 pixels do not do.
SIDES = {
    **dict.fromkeys(("lenet5", "lenet-1998", "stn-lenet", "airbench"), 28), "lenet-lego": 16, "alexnet-small": 14,
    **dict.fromkeys(("alexnet", "alexnet-2012", "zfnet"), 67), "googlenet-2014": 80, "mark1": 20,
    **dict.fromkeys(("vgg11", "vgg13", "vgg16", "vgg19", "vgg16-gap"), 32),
    **dict.fromkeys(("inception-v3", "inception-v4", "inception-resnet-v2"), 96),
}  # fmt: skip
GREY = ("mark1", "lenet5", "lenet-1998")
HIDDEN = {"hidden": (12, 8)}  # of an mlp
MANY_WEIGHTS, MANY_MACS = 3_000_000, 130_000_000  # at the size of its source: one step then takes seconds
DEEP_MACS = 30_000_000  # half a second and more: heads for each task are proven every day on flatter networks
UNCOUNTED_DEEP = ("airbench",)
# Differ from another one, which trains every day, in their depth alone.
DEEPER_SIBLINGS = ("resnet32", "resnet44", "resnet56", "resnet110", "plain56")


def is_large(part: ModelPart) -> bool:
    counted = part.counted
    return counted is not None and (counted.parameters > MANY_WEIGHTS or counted.macs > MANY_MACS)


def is_deep(part: ModelPart) -> bool:
    return part.name in UNCOUNTED_DEEP or (part.counted is not None and part.counted.macs > DEEP_MACS)


def solved(part: ModelPart) -> bool:
    """Whether it finds its weights from all rows together."""
    return part.settings.get("training.batch_size") == "all"


def cases(*, every: bool) -> list[Any]:
    """(name, kind, task): of each architecture one for each kind and one for each task, or those that are left.

    Of a deep one only the first is a fast test.
    """
    found = []
    for part in MODELS.values():
        grid = [(kind, task) for kind in part.kinds for task in part.tasks if possible(part, kind, task)]
        grid = grid[:1] if is_large(part) else grid  # its body is the same for all
        first: dict[str, tuple[str, str]] = {}
        for kind, task in grid:
            first.setdefault(kind, (kind, task))
            first.setdefault(task, (kind, task))
        for case in grid if every else dict.fromkeys(first.values()):
            if not (every and case in first.values()):
                seldom = every or is_large(part) or part.name in DEEPER_SIBLINGS or (is_deep(part) and case != grid[0])
                marks = [pytest.mark.slow] if seldom else []
                found.append(pytest.param(part.name, *case, marks=marks, id=f"{part.name}-{case[0]}-{case[1]}"))
    return found


def possible(part: ModelPart, kind: str, task: str) -> bool:
    """Places of sequences are predicted for texts, pairs and captions, and pixels for images by networks that do."""
    if task != "tokens":
        return kind not in ("pairs", "captions")
    looks_ahead = part.name == "encoder"  # no next tokens, as its entry says
    return kind in ("pairs", "captions") or (kind == "text" and not looks_ahead) or part.tasks == ("tokens",)


def data_for(part: ModelPart, kind: str, task: str) -> Small:
    large = is_large(part)
    channels = 1 if part.name in GREY else 3
    side = SIDES.get(part.name, 64 if large and kind == "image" else 12)
    return make_small(kind, task, side=side, channels=channels, size=12 if large else 40)


def options_of(part: ModelPart) -> dict[str, Any]:
    small = {f"model__{name}": value for name, value in SMALL.items() if name in part.options}
    if is_large(part):
        return {"model": part.name, "batch_size": 2, "optimizer": "lion"}  # which moves all that has a gradient
    batch = {"batch_size": None} if solved(part) else {}
    return {**small, **batch, **(HIDDEN if part.name == "mlp" else {}), "model": part.name}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not outlive the test: weights of large networks fill a disk."""
    yield tmp_path
    shutil.rmtree(tmp_path / "run", ignore_errors=True)


def check_weights(run: Run, part: ModelPart) -> None:
    """Every tensor that can learn is another one than at first; of a model that is solved, at least one tensor."""
    trained = load_trained(run)
    spec, config = DataSpec.model_validate(run.header["data"]), config_from_dict(run.header["config"])
    before = build_model(config.model, spec, seed=config.training.seed)
    after = trained.network.state_dict()
    assert finite(after)
    changed = {name for name, value in before.state_dict().items() if not torch.equal(value, after[name])}
    if part.optimizer == "none":
        assert changed
        return
    still = {name for name, value in before.named_parameters() if value.requires_grad} - changed
    assert not still, f"these did not move: {sorted(still)}"


def check_answers(run: Run, small: Small, kind: str, task: str) -> None:
    if kind == "pairs":
        assert len(translate(run, small.samples)[0]) == 2
    elif task == "tokens" and kind == "text":
        assert generate(run, small.samples, length=5, seed=0)
    elif task != "tokens" or kind == "image":
        answers = predict(run, small.samples)
        assert len(answers.decisions) == 2
        if answers.probabilities is not None:
            assert finite({"": torch.from_numpy(answers.probabilities)})


@pytest.mark.parametrize(("name", "kind", "task"), [*cases(every=False), *cases(every=True)])
def test_an_architecture_trains_and_answers(name: str, kind: str, task: str, folder: Path) -> None:
    part = MODELS[name]
    small = data_for(part, kind, task)
    steps = 1 if part.optimizer == "none" else 3  # a network may begin shut: its first step opens it
    own: dict[str, Any] = {"precision": "float32"}
    if part.optimizer != "none":
        own["optim__weight_decay"] = 0.0  # it moves what no gradient reaches
    run = train_small(small, folder / "run", steps=steps, **own, **options_of(part))
    assert_finite(run)
    assert run.header["config"]["model"]["name"] == name
    assert (run.header["data"]["kind"], run.header["data"]["task"]) == (kind, task)
    check_weights(run, part)
    check_answers(run, small, kind, task)


def test_every_architecture_is_trained_here() -> None:
    assert {case.values[0] for case in cases(every=False)} == {*MODELS}


# Large ones train in float32 above.
PRECISIONS = [
    (name, precision) for name in MODELS for precision in ("float32", "bf16")[1 if is_large(MODELS[name]) else 0 :]
]
QUICK = [pair for pair in PRECISIONS if not is_large(MODELS[pair[0]]) and pair[0] not in DEEPER_SIBLINGS]
SAMPLED = random.Random(3).sample(QUICK, 10)


@pytest.mark.parametrize(
    ("name", "precision"),
    [pytest.param(*pair, marks=[] if pair in SAMPLED else [pytest.mark.slow]) for pair in PRECISIONS],
)
def test_an_architecture_trains_in_each_precision(name: str, precision: str, folder: Path) -> None:
    part = MODELS[name]
    kind, task = next((kind, task) for kind in part.kinds for task in part.tasks if possible(part, kind, task))
    run = train_small(data_for(part, kind, task), folder / "run", precision=precision, **options_of(part))
    assert_finite(run)
    assert run.header["machine"]["precision"] == precision


@pytest.mark.parametrize(
    ("kind", "task"),
    [(kind, "classification") for kind in ("image", "vector", "table", "array", "series", "text")]
    + [(kind, "tokens") for kind in ("text", "pairs", "captions")]
    + [("image", "regression"), ("image", "tokens")],
)
def test_a_run_on_each_kind_of_data_has_a_report(kind: str, task: str, folder: Path) -> None:
    small = make_small(kind, task, channels=1, size=24)
    own = {"model": "mlp"} if kind == "array" else {}
    run = train_small(small, folder / "run", record__report=True, **own)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "</html>" in page
    assert run.header["config"]["model"]["name"] in page
