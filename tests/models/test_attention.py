"""Attention against its formula and torch's, what causal means, and how places are told."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from limpid.config import ModelConfig
from limpid.models import build_model
from limpid.models.attention import (
    AdditiveAttention,
    CrossAttention,
    DotAttention,
    SelfAttention,
    attention_weights,
    dot_attention,
)
from limpid.models.positions import Positions, Rotary, sinusoids
from limpid.spec import DataSpec

LANGUAGE = DataSpec(
    name="text", kind="text", task="tokens", input_shape=(16,), output_shape=(16,), num_outputs=30, vocabulary=30
)


def gpt(**options: Any) -> nn.Module:
    options = {"width": 32, "heads": 4, "layers": 2, **options}
    return build_model(ModelConfig(name="gpt", options=options), LANGUAGE, seed=3).eval()


@pytest.mark.spec("A47")
@pytest.mark.parametrize("causal", [False, True])
def test_scaled_dot_product_is_the_formula_with_rows_that_sum_to_one(causal: bool) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 5, 4).double() for _ in range(3))
    mixed, weights = dot_attention(query, key, value, causal=causal)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3, 5).double(), atol=1e-12, rtol=0)
    for b, h, t in ((0, 0, 0), (1, 2, 3), (0, 1, 4)):
        seen = t + 1 if causal else 5
        scores = [math.exp(float(query[b, h, t] @ key[b, h, s]) / math.sqrt(4)) for s in range(seen)]
        expected = sum(score / sum(scores) * value[b, h, s] for s, score in enumerate(scores))
        torch.testing.assert_close(mixed[b, h, t], expected, atol=1e-12, rtol=0)
    fused = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=causal)
    torch.testing.assert_close(mixed, fused, atol=1e-12, rtol=0)


@pytest.mark.spec("A47")
@pytest.mark.parametrize("make", [lambda: AdditiveAttention(4, 6, 5), lambda: DotAttention(4, 6)])
def test_attention_to_one_key_is_its_value_and_weights_can_be_looked_at(make: Any) -> None:
    torch.manual_seed(0)
    attention = make()
    query_BTQ, memory_BSK = torch.randn(2, 3, 4), torch.randn(2, 7, 6)
    torch.testing.assert_close(attention(query_BTQ, memory_BSK[:, :1]), memory_BSK[:, :1].expand(-1, 3, -1))
    mask_BS = torch.arange(7) < torch.tensor([[7], [1]])
    with attention_weights(attention) as shown:
        mixed = attention(query_BTQ, memory_BSK, mask_BS)
        weights_BTS = shown[""].weights
        assert weights_BTS is not None
        torch.testing.assert_close(weights_BTS.sum(dim=2), torch.ones(2, 3))
        assert not weights_BTS[1, :, 1:].any()
        torch.testing.assert_close(mixed, weights_BTS @ memory_BSK)
    torch.testing.assert_close(mixed[1], memory_BSK[1, :1].expand(3, -1))
    assert attention.weights is None
    attention(query_BTQ, memory_BSK)
    assert attention.weights is None  # nobody looks


@pytest.mark.spec("A47")
def test_additive_scores_are_the_formula() -> None:
    torch.manual_seed(0)
    attention = AdditiveAttention(4, 6, 5)
    query, memory = torch.randn(1, 1, 4), torch.randn(1, 3, 6)
    w, b, u, v = attention.query.weight, attention.query.bias, attention.key.weight, attention.score.weight[0]
    scores = torch.stack([v @ torch.tanh(w @ query[0, 0] + b + u @ memory[0, s]) for s in range(3)])
    torch.testing.assert_close(attention(query, memory)[0, 0], scores.softmax(dim=0) @ memory[0])


@pytest.mark.spec("A47")
def test_looking_changes_nothing_and_shows_every_layer() -> None:
    network = gpt()
    tokens_BT = torch.randint(4, 30, (2, 16))
    plain = network(tokens_BT)
    with attention_weights(network) as shown:
        torch.testing.assert_close(network(tokens_BT), plain, atol=1e-5, rtol=1e-4)
        assert len(shown) == 2
        for module in shown.values():
            assert module.weights is not None
            assert module.weights.shape == (2, 4, 16, 16)
            assert not module.weights.triu(1).any()


def test_heads_equal_torchs_multi_head_attention() -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    ours, cross = SelfAttention(12, 3, causal=False), CrossAttention(12, 3)
    with torch.no_grad():
        for layer in (ours, cross):
            layer.out.weight.copy_(theirs.out_proj.weight)
            layer.out.bias.copy_(theirs.out_proj.bias)
        ours.qkv.weight.copy_(theirs.in_proj_weight)
        ours.qkv.bias.copy_(theirs.in_proj_bias)
        for layer, rows in ((cross.query, slice(0, 12)), (cross.key_value, slice(12, 36))):
            layer.weight.copy_(theirs.in_proj_weight[rows])
            layer.bias.copy_(theirs.in_proj_bias[rows])
    x_BTW, memory_BSW = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    valid_BS = torch.arange(7) < torch.tensor([[7], [3]])
    expected, _ = theirs(x_BTW, x_BTW, x_BTW)
    torch.testing.assert_close(ours(x_BTW), expected, atol=1e-6, rtol=1e-5)
    expected, _ = theirs(x_BTW, memory_BSW, memory_BSW, key_padding_mask=~valid_BS)
    torch.testing.assert_close(cross(x_BTW, memory_BSW, valid_BS[:, None, None]), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.spec("A48")
@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rope"])
def test_a_later_token_changes_no_earlier_output(positions: str) -> None:
    network = gpt(positions=positions)
    tokens_BT = torch.randint(4, 30, (2, 16))
    before = network(tokens_BT)
    for t in (0, 7, 15):
        changed_BT = tokens_BT.clone()
        changed_BT[:, t] = (tokens_BT[:, t] - 4 + 1) % 26 + 4
        after = network(changed_BT)
        assert torch.equal(after[:, :t], before[:, :t])
        assert not torch.equal(after[:, t:], before[:, t:])


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rope"])
@pytest.mark.parametrize("pieces", [(16,), (1,) * 16, (5, 1, 1, 9)])
def test_kept_keys_and_values_give_the_same_logits(positions: str, pieces: tuple[int, ...]) -> None:
    network = gpt(positions=positions)
    tokens_BT = torch.randint(4, 30, (2, 16))
    whole_BTV = network(tokens_BT)
    state, parts = None, []
    for piece in tokens_BT.split(pieces, dim=1):
        logits, state = network.body.extend(piece, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole_BTV, atol=1e-5, rtol=1e-4)


def test_rotary_products_depend_on_the_distance_alone() -> None:
    rotary = Rotary(8, 6)
    query, key = torch.randn(1, 1, 1, 6), torch.randn(1, 1, 1, 6)
    products = [float((rotary(query, t + 3) * rotary(key, t)).sum()) for t in (0, 2, 40)]
    assert products[1] == pytest.approx(products[0], abs=1e-5)
    assert products[2] == pytest.approx(products[0], abs=1e-4)  # beyond the first table
    assert float((rotary(query, 4) * rotary(key, 0)).sum()) != pytest.approx(products[0], abs=1e-3)


def test_sinusoids_are_the_papers_and_go_on_without_end() -> None:
    table_TW = sinusoids(50, 8)
    for t, i in ((0, 0), (3, 1), (49, 3)):
        angle = t / 10_000 ** (2 * i / 8)
        assert table_TW[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
        assert table_TW[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
    positions = Positions("sinusoidal", 4, 8)
    torch.testing.assert_close(positions(torch.zeros(1, 50, 8))[0], table_TW)
    assert positions.most is None
    assert Positions("learned", 4, 8).most == 4


@pytest.mark.spec("B33")
def test_token_embedding_is_one_hot_times_matrix_with_gradient_on_used_rows_only() -> None:
    spec = LANGUAGE.model_copy(update={"task": "classification", "num_outputs": 3, "output_shape": ()})
    network = build_model(ModelConfig(name="lstm", options={"units": 8}), spec, seed=0)
    embedding = network.body.inputs.layer
    tokens_BT = torch.tensor([[5, 9, 5], [7, 9, 4]])
    one_hot = nn.functional.one_hot(tokens_BT, 30).float()
    assert torch.equal(embedding(tokens_BT), one_hot @ embedding.weight)
    network(tokens_BT, torch.tensor([3, 3])).sum().backward()
    assert embedding.weight.grad.any(dim=1).nonzero().flatten().tolist() == [4, 5, 7, 9]
