"""The advisor of transfer learning: four plans, and measurements that choose among them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from limpid.data.dataset import Dataset, ResidentRows, Split
from limpid.deploy.advice import LARGE_FROM, advise, plan
from limpid.deploy.features import Source
from limpid.errors import ConfigError
from limpid.models.network import Network
from limpid.spec import DataSpec


@pytest.mark.spec("A61")
def test_size_and_similarity_give_the_four_plans() -> None:
    plans = {
        key: plan(*key)
        for key in (("small", "similar"), ("large", "similar"), ("small", "different"), ("large", "different"))
    }
    assert [one.number for one in plans.values()] == [1, 2, 3, 4]
    assert "linear classifier on the codes" in plans["small", "similar"].what
    assert "--freeze backbone" in plans["small", "similar"].options  # no fine-tuning
    assert plans["large", "similar"].what == "fine-tune the whole network"
    assert "earlier layer" in plans["small", "different"].what
    assert "train everything" in plans["large", "different"].what
    assert not any("freeze" in option for option in plans["large", "different"].options)


class Rings(nn.Module):
    """A network that knows rings: its codes hold the radius where `useful`, noise where not."""

    def __init__(self, useful: bool) -> None:
        super().__init__()
        self.early = nn.Linear(2, 2)
        nn.init.eye_(self.early.weight)
        nn.init.zeros_(self.early.bias)
        self.middle = nn.Linear(2, 2)
        self.head = nn.Linear(2, 2)
        self.useful = useful

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.early(x)
        codes = torch.stack((z.norm(dim=1), z[:, 0]), dim=1) if self.useful else torch.sin(1e4 * z)
        return self.head(codes + 0 * self.middle(z))


def rings(useful: bool, num: int) -> Source:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(num, 2, generator=generator)
    y = (x.norm(dim=1) > 1.177).long()
    spec = DataSpec(
        name="rings", kind="vector", task="classification", input_shape=(2,), num_outputs=2, classes=("in", "out")
    )
    split = Split(ResidentRows((x,)), y)
    dataset = Dataset(spec=spec, train=split, valid=None, make_test=lambda: None, fingerprint="")
    torch.manual_seed(0)
    return Source(Network(spec, Rings(useful)), spec, dataset)


@pytest.mark.spec("A61")
@pytest.mark.parametrize(
    ("useful", "num", "number"),
    [(True, 400, 1), (True, 2 * LARGE_FROM, 2), (False, 400, 3), (False, 2 * LARGE_FROM, 4)],
)
def test_what_is_measured_chooses_the_plan(useful: bool, num: int, number: int) -> None:
    advice = advise(rings(useful, num))
    assert advice.plan.number == number
    assert advice.rows_per_class == num / 2
    assert (advice.similarity > 0.5) is useful
    said = "\n".join(advice.lines())
    assert f"plan {number}: {advice.plan.what}" in said
    assert f"{num // 2:,} training rows per class" in said


def test_advice_is_for_classes() -> None:
    source = rings(True, 50)
    spec = source.spec.model_copy(update={"task": "regression"})
    dataset = Dataset(spec=spec, train=source.dataset.train, valid=None, make_test=lambda: None, fingerprint="")
    with pytest.raises(ConfigError, match="is for classes"):
        advise(Source(source.network, spec, dataset))


def test_the_command_says_what_it_measured_and_what_to_type(limpid: Callable[..., Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.integers(0, 90, size=(60, 16, 16, 3)) + 60 * y[:, None, None, None]
    np.savez(tmp_path / "p.npz", x=x.astype(np.uint8), y=y)
    assert limpid("train", "p.npz", "--model", "convnet", "--epochs", "1", "--out", "run", "-q").code == 0
    done = limpid("advise", "p.npz", "--from", "run")
    assert done.code == 0, done.err
    assert done.out.startswith("size: ")
    assert "similarity: " in done.out
    assert "  limpid " in done.out
    facts = json.loads(limpid("advise", "p.npz", "--from", "run", "--json").out)
    assert facts["plan"]["number"] in (1, 3)
    assert limpid("advise", "p.npz").code == 2
