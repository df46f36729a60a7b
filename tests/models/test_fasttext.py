"""The mean of the tokens' vectors against its formula, and how much of a text is read for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from limpid import train
from limpid.config import ModelConfig
from limpid.models import build_model
from limpid.spec import DataSpec

SPEC = DataSpec(name="texts", kind="text", task="classification", input_shape=(9,), num_outputs=3, vocabulary=20)


def test_it_is_the_mean_of_the_tokens_vectors_behind_one_linear_layer() -> None:
    network = build_model(ModelConfig(name="fasttext", options={"width": 5}), SPEC, seed=0).eval()
    body: Any = network.body
    x_BT, lengths_B = torch.randint(4, 20, (4, 9)), torch.tensor([9, 1, 4, 6])
    outputs_BK = network(x_BT, lengths_B)
    for x_T, length, outputs_K in zip(x_BT, lengths_B, outputs_BK, strict=True):
        mean_W = body.embedding.weight[x_T[:length]].mean(dim=0)
        torch.testing.assert_close(outputs_K, body.head.weight @ mean_W + body.head.bias)
    full_BK = network(x_BT, torch.full((4,), 9))
    torch.testing.assert_close(full_BK[0], outputs_BK[0])
    assert not torch.allclose(full_BK[1], outputs_BK[1])


def test_the_order_of_the_words_says_nothing_to_it() -> None:
    network = build_model(ModelConfig(name="fasttext"), SPEC, seed=0).eval()
    x_BT = torch.randint(4, 20, (4, 9))
    torch.testing.assert_close(network(x_BT), network(x_BT.flip(1)))


def test_gradients_are_those_of_the_formula() -> None:
    network = build_model(ModelConfig(name="fasttext", options={"width": 5}), SPEC, seed=0).eval()
    body: Any = network.body
    x_BT, lengths_B = torch.randint(4, 20, (4, 9)), torch.tensor([9, 1, 4, 6])
    network(x_BT, lengths_B).square().sum().backward()
    ours_VW = body.embedding.weight.grad.clone()
    body.embedding.weight.grad = None
    means_BW = torch.stack([body.embedding(x_T[:n]).mean(dim=0) for x_T, n in zip(x_BT, lengths_B, strict=True)])
    body.head(means_BW).square().sum().backward()
    torch.testing.assert_close(ours_VW, body.embedding.weight.grad)


@pytest.mark.parametrize(("model", "read"), [(None, 700), ("fasttext", 700), ("lstm", 512)])
def test_a_whole_text_is_read_where_that_is_cheap(tmp_path: Path, model: str | None, read: int) -> None:
    """What tells the classes apart stands at the end of each text."""
    words = ["good", "bad"]
    texts = [" ".join(["word"] * 690 + [words[i % 2]] * 10) for i in range(60)]
    options: dict[str, Any] = {} if model is None else {"model__name": model}
    epochs = 40 if read == 700 else 0
    run = train(
        texts, y=[words[i % 2] for i in range(60)], training__epochs=epochs, record__doctor=False, record__report=False,
        record__out=str(tmp_path / "run"), **options,
    )  # fmt: skip
    assert run.header["config"]["model"]["name"] == (model or "fasttext")
    assert run.header["data"]["input_shape"] == [read]
    if epochs:
        assert run.events("result")[-1]["accuracy"] == 1.0


def test_the_context_that_is_asked_for_holds(tmp_path: Path) -> None:
    texts = ["word " * 100 + "end" for _ in range(40)]
    run = train(
        texts, y=["a", "b"] * 20, training__epochs=0, data__context=16, record__doctor=False, record__report=False,
        record__out=str(tmp_path / "run"),
    )  # fmt: skip
    assert run.header["data"]["input_shape"] == [16]
