"""Inception modules and networks, with the auxiliary classifiers of their training."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from limpid.config import ModelConfig, ObjectiveConfig
from limpid.errors import ModelError
from limpid.models import build_model, layer_table, totals
from limpid.models.auxiliary import Outputs
from limpid.models.googlenet import TABLE, inception
from limpid.models.network import Network
from limpid.models.pattern import assemble
from limpid.objectives import build_objective
from limpid.spec import DataSpec
from limpid.training.auxiliary_step import auxiliary_step
from limpid.training.step import train_step

LARGE = DataSpec(name="p", kind="image", task="classification", input_shape=(3, 224, 224), num_outputs=1000)
SMALL = LARGE.model_copy(update={"input_shape": (3, 112, 112), "num_outputs": 5})


def build(name: str, spec: DataSpec, **options: object) -> Network:
    return build_model(ModelConfig(name=name, options=options), spec, seed=0)


def count(name: str, spec: DataSpec, **options: object) -> tuple[int, int]:
    with torch.device("meta"):
        return totals(layer_table(build(name, spec, **options), spec))


def macs(pattern: str, shape: tuple[int, int, int]) -> int:
    with torch.device("meta"):
        module, _ = assemble(pattern, shape, num_outputs=None)
        spec = LARGE.model_copy(update={"input_shape": shape, "kind": "array"})
        return totals(layer_table(module, spec))[1]


@pytest.mark.spec("A30")
def test_module_keeps_the_sides_and_adds_the_widths() -> None:
    for widths in TABLE.values():
        one, _, three, _, five, pool = widths
        assert assemble(inception(widths), (48, 14, 14), num_outputs=None)[1] == (one + three + five + pool, 14, 14)
    naive = "cat[conv128@1 | conv192@3 | conv96@5 | maxpool3/s1/p1]"
    reduced = "cat[conv128@1 | conv64@1-conv192@3 | conv64@1-conv96@5 | maxpool3/s1/p1-conv64@1]"
    assert macs(naive, (256, 28, 28)) == 854_196_224
    assert macs(reduced, (256, 28, 28)) == 271_351_808


@pytest.mark.spec("A31", "X1", "K14", "K15", "K16")
def test_googlenet_counts() -> None:
    plain = count("googlenet-2014", LARGE, auxiliary=0.0)
    assert plain[0] == 6_998_552
    assert plain[0] - (1024 * 1000 + 1000) == 5_973_552
    assert count("googlenet-2014", LARGE)[0] == 13_378_280 == 6_998_552 + 6_379_728
    assert count("googlenet", LARGE) == (6_624_904, 1_498_376_192)
    assert count("googlenet", LARGE, auxiliary=0.3)[0] == 13_004_888
    with torch.device("meta"):
        network = build("googlenet-2014", LARGE, auxiliary=0.0)
    # The longest path through a module has two layers with weights, and there are nine modules.
    stem = [m for m in network.body.first[:12] if isinstance(m, nn.Conv2d)]
    assert len(stem) + 2 * len(TABLE) + 1 == 22


@pytest.mark.spec("A31")
def test_auxiliary_classifiers_are_there_in_training_only() -> None:
    for name in ("googlenet-2014", "googlenet"):
        network = build(name, SMALL, auxiliary=0.3)
        x = torch.rand(2, 3, 112, 112)
        outputs = network(x)
        assert isinstance(outputs, Outputs)
        assert [tuple(o.shape) for o in (outputs.main, *outputs.auxiliary)] == [(2, 5)] * 3
        assert outputs.weight == 0.3
        network.eval()
        assert tuple(network(x).shape) == (2, 5)
    assert isinstance(build("googlenet-2014", SMALL, auxiliary=0.0)(x), torch.Tensor)


class Batch:
    def __init__(self, x: torch.Tensor, target: torch.Tensor) -> None:
        self.inputs, self.target = (x,), target


@pytest.mark.spec("A31")
def test_the_step_adds_the_weighted_losses() -> None:
    torch.manual_seed(0)
    spec = SMALL.model_copy(update={"input_shape": (3, 80, 80)})
    network = build("googlenet-2014", spec)
    objective = build_objective(ObjectiveConfig(), spec)
    batch = Batch(torch.rand(3, 3, 80, 80), torch.tensor([0, 3, 1]))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    torch.manual_seed(1)
    outputs = network(*batch.inputs)
    losses = [F.cross_entropy(o, batch.target) for o in (outputs.main, *outputs.auxiliary)]
    expected = losses[0] + 0.3 * (losses[1] + losses[2])
    before = network.body.auxiliary[0][-1].weight.clone()
    torch.manual_seed(1)  # the same dropout
    assert auxiliary_step(network, objective, optimizer, batch).item() == pytest.approx(expected.item(), rel=1e-5)
    assert not torch.equal(network.body.auxiliary[0][-1].weight, before)


def test_without_auxiliary_outputs_it_is_the_plain_step() -> None:
    spec = SMALL.model_copy(update={"input_shape": (3, 8, 8)})
    objective = build_objective(ObjectiveConfig(), spec)
    batch = Batch(torch.rand(4, 3, 8, 8), torch.tensor([0, 3, 1, 4]))
    losses = []
    for step in (train_step, auxiliary_step):
        network = build("convnet", spec)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        losses.append([step(network, objective, optimizer, batch).item() for _ in range(3)])
    assert losses[0] == losses[1]


@pytest.mark.spec("A32")
def test_factorised_filters_and_inception_v3() -> None:
    c = 8

    def weights(pattern: str) -> int:
        module, _ = assemble(pattern, (c, 17, 17), num_outputs=None)
        return sum(m.weight.numel() for m in module if isinstance(m, nn.Conv2d))

    assert weights(f"conv{c}@5") == 25 * c * c
    assert weights(f"[conv{c}@3]*2") == 18 * c * c
    assert weights(f"conv{c}@7") == 49 * c * c
    assert weights(f"conv{c}@1x7 conv{c}@7x1") == 14 * c * c
    spec = LARGE.model_copy(update={"input_shape": (3, 299, 299)})
    assert count("inception-v3", spec) == (23_834_568, 5_713_216_096)
    assert count("inception-v3", spec, auxiliary=0.3)[0] == 27_161_264


def test_auxiliary_classifier_of_inception_v3_needs_its_size() -> None:
    for side in (298, 299):
        spec = SMALL.model_copy(update={"input_shape": (3, side, side)})
        if side == 298:
            with pytest.raises(ModelError, match="299 pixels or more; these have 298 x 298"):
                build("inception-v3", spec, auxiliary=0.3)
            continue
        with torch.device("meta"):
            network = build("inception-v3", spec, auxiliary=0.3)
        outputs = network.train()(torch.zeros(2, 3, side, side, device="meta"))
        assert [tuple(o.shape) for o in (outputs.main, *outputs.auxiliary)] == [(2, 5)] * 2


@pytest.mark.spec("A33", "X42", "K29")
@pytest.mark.slow
def test_inception_v4_and_inception_resnet() -> None:
    spec = LARGE.model_copy(update={"input_shape": (3, 299, 299)})
    assert count("inception-v4", spec)[0] == 42_679_816
    with torch.device("meta"):
        v4 = build("inception-v4", spec).body
        residual = build("inception-resnet-v2", spec).body
    names = [type(m).__name__ for m in v4.features]
    assert [names.count(f"Inception{letter}") for letter in "ABC"] == [4, 7, 3]
    assert {"ReductionA", "ReductionB"} <= set(names)
    head = [m for m in v4.modules() if isinstance(m, nn.Linear)][-1]
    assert (head.in_features, head.out_features) == (1536, 1000)
    # Inception with residual additions is the other one.
    assert sum(type(m).__name__.startswith("Block") for m in residual.modules()) > 20
