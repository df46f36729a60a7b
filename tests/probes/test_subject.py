"""A probe leaves the network as it found it, whatever it does to it."""

from __future__ import annotations

import torch
from torch import nn

from limpid.probes.probe import Probe, measure
from limpid.probes.registry import PROBES
from limpid.probes.subject import Subject


def make_subject() -> Subject:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    network[2].eval()
    inputs, target = torch.randn(16, 4), torch.randint(0, 3, (16,))
    nn.functional.cross_entropy(network(inputs), target).backward()
    return Subject(network, nn.functional.cross_entropy, (inputs,), target)


def wreck(subject: Subject) -> dict[str, float]:
    optimizer = torch.optim.SGD(subject.network.parameters(), lr=1.0)
    subject.network.train()
    subject.loss(subject.answer(), subject.target).backward()
    optimizer.step()
    optimizer.zero_grad()
    return {"drawn": torch.rand(()).item()}


def test_everything_is_as_it_was_after_a_probe() -> None:
    subject = make_subject()
    network = subject.network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    modes = [module.training for module in network.modules()]
    random_state = torch.get_rng_state()
    (row,) = measure(subject, [Probe("wreck", f"{__name__}:wreck", "", "", "before")])
    assert set(row) == {"name", "values", "seconds"}
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(
        p.grad is not None and torch.equal(g, p.grad) for g, p in zip(gradients, network.parameters(), strict=True)
    )
    assert modes == [module.training for module in network.modules()]
    assert torch.equal(random_state, torch.get_rng_state())


def test_names_are_unique_and_homes_exist() -> None:
    assert len({probe.name for probe in PROBES}) == len(PROBES)
    for probe in PROBES:
        module, _, name = probe.home.partition(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))
