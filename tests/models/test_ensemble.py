"""Networks that answer as one: the mean of probabilities, in every task."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from limpid.config import ModelConfig
from limpid.models.ensemble import Ensemble, as_network, average, build_ensemble
from limpid.models.registry import build_model
from limpid.spec import DataSpec

PICTURES = DataSpec(
    name="p", kind="image", task="classification", input_shape=(1, 28, 28), num_outputs=10,
    classes=tuple("0123456789"), scale_mean=(0.13,), scale_std=(0.31,),
)  # fmt: skip


@pytest.mark.spec("A39")
def test_six_architectures_are_averaged_exactly() -> None:
    torch.manual_seed(0)
    configs = [
        ModelConfig(name="linear"),
        ModelConfig(name="mlp", hidden=(9,), norm="none", dropout=0.0),
        ModelConfig(name="mlp", hidden=(12, 7), norm="batch", dropout=0.1),
        ModelConfig(name="lenet5"),
        ModelConfig(name="convnet"),
        ModelConfig(name="resnet20"),
    ]
    members = [build_model(config, PICTURES, seed=i) for i, config in enumerate(configs)]
    for member in members:
        for p in member.parameters():
            p.data *= 1.5  # answers that differ
    network = as_network(members, PICTURES).eval()
    x = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        mean = torch.stack([member.eval()(x).double().softmax(dim=1) for member in members]).mean(dim=0)
        answer = network(x)
    torch.testing.assert_close(answer.double().softmax(dim=1), mean, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(answer.double().exp(), mean, rtol=1e-5, atol=1e-7)  # logits are log-probabilities
    rebuilt = build_ensemble([(config, PICTURES) for config in configs], PICTURES).eval()
    rebuilt.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(rebuilt(x), answer)


@pytest.mark.spec("A40")
def test_the_answer_is_the_mean_of_the_members_softmaxes() -> None:
    z_MBK = torch.randn(7, 11, 4, dtype=torch.float64) * 30  # far apart, so that naive exponentials would fail
    torch.testing.assert_close(average(z_MBK, "classification").softmax(-1), z_MBK.softmax(-1).mean(0))
    tokens = torch.randn(3, 2, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(average(tokens, "tokens").softmax(-1), tokens.softmax(-1).mean(0))
    for task in ("binary", "multilabel"):
        torch.testing.assert_close(average(z_MBK, task).sigmoid(), z_MBK.sigmoid().mean(0))
        torch.testing.assert_close((-average(z_MBK, task)).sigmoid(), (-z_MBK).sigmoid().mean(0))
    torch.testing.assert_close(average(z_MBK, "regression"), z_MBK.mean(0))
    assert average(torch.full((2, 1, 1), 200.0), "binary").isfinite().all()


def test_gradients_pass_in_float64() -> None:
    members = [nn.Linear(3, 4).double(), nn.Linear(3, 4).double()]
    for task in ("classification", "binary", "regression"):
        outputs = torch.stack([m(torch.randn(2, 3, dtype=torch.float64)) for m in members]).detach().requires_grad_()
        assert torch.autograd.gradcheck(lambda z, task=task: average(z, task), (outputs,))
    ensemble = Ensemble(members, "classification")
    ensemble(torch.randn(2, 3, dtype=torch.float64)).sum().backward()
    assert all(p.grad is not None for p in ensemble.parameters())


# The ledger's check of G8 names experiments (J40 to J43). What can be proven without training is what dropout averages.
@pytest.mark.spec("G8")
def test_scaled_weights_are_the_geometric_mean_of_all_thinned_networks() -> None:
    """For one layer and softmax, halving what dropout left in is exactly the ensemble of all 2^n sub-networks."""
    torch.manual_seed(1)
    n, K = 8, 3
    w, b, h = torch.randn(n, K).double(), torch.randn(K).double(), torch.randn(5, n).double()
    masks = torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)
    assert len(masks) == 2**n
    logs = torch.stack([((h * mask) @ w + b).log_softmax(-1) for mask in masks])
    geometric = logs.mean(0).softmax(-1)
    torch.testing.assert_close((h @ (w / 2) + b).softmax(-1), geometric)
    arithmetic = logs.exp().mean(0)
    assert (geometric - arithmetic).abs().max() < 0.2  # the mean of probabilities, bagging's, is near and not the same
    assert (geometric - arithmetic).abs().max() > 1e-3
