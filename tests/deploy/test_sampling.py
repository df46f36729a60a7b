"""What temperature, top-k and top-p keep."""

from __future__ import annotations

import pytest
import torch

from limpid.deploy.sampling import NEVER, Sampling, choose, kept_probabilities
from limpid.errors import ConfigError

SCORES = torch.tensor([[-torch.inf, -torch.inf, -torch.inf, 0.0, 3.0, 1.0, 2.0]])


def drawn(how: Sampling, rows: int = 4000) -> torch.Tensor:
    return choose(SCORES.expand(rows, -1), how, how.generator())


def test_plain_draws_follow_the_probabilities() -> None:
    share = torch.bincount(drawn(Sampling(seed=1)), minlength=7) / 4000
    torch.testing.assert_close(share, SCORES[0].softmax(dim=0), atol=0.03, rtol=0)


def test_temperature_sharpens_and_zero_takes_the_likeliest() -> None:
    share = torch.bincount(drawn(Sampling(temperature=0.5, seed=1)), minlength=7) / 4000
    torch.testing.assert_close(share, (2 * SCORES[0]).softmax(dim=0), atol=0.03, rtol=0)
    assert set(drawn(Sampling(temperature=0)).tolist()) == {4}


def test_top_k_keeps_so_many() -> None:
    assert set(drawn(Sampling(top_k=2)).tolist()) == {4, 6}
    assert set(drawn(Sampling(top_k=1)).tolist()) == {4}
    assert torch.equal(kept_probabilities(SCORES, Sampling(top_k=99)), SCORES.softmax(dim=1))


def test_top_p_keeps_the_fewest_that_reach_it() -> None:
    # probabilities 0.644, 0.237, 0.087, 0.032 in order of likelihood
    for top_p, kept in ((0.5, {4}), (0.65, {4, 6}), (0.9, {4, 5, 6}), (0.99, {3, 4, 5, 6})):
        probabilities_V = kept_probabilities(SCORES, Sampling(top_p=top_p))[0]
        assert set(probabilities_V.nonzero().flatten().tolist()) == kept
        assert probabilities_V.sum().item() == pytest.approx(1.0)
        ratio = probabilities_V[4] / SCORES.softmax(dim=1)[0, 4]
        torch.testing.assert_close(probabilities_V[list(kept)], SCORES.softmax(dim=1)[0, list(kept)] * ratio)


def test_same_seed_same_draws_and_special_tokens_never() -> None:
    assert torch.equal(drawn(Sampling(seed=5)), drawn(Sampling(seed=5)))
    assert not torch.equal(drawn(Sampling(seed=5)), drawn(Sampling(seed=6)))
    logits = torch.zeros(1000, 7)
    logits[:, NEVER] = 50.0
    assert not set(choose(logits, Sampling(), Sampling().generator()).tolist()) & set(NEVER)


@pytest.mark.parametrize("values", [{"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_values_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        Sampling(**values)
