"""BLEU against its definition, worked out by hand."""

from __future__ import annotations

import math

import pytest

from limpid.objectives.bleu import bleu


@pytest.mark.spec("A49")
def test_identical_texts_score_a_hundred() -> None:
    texts = ["the cat is on the mat".split(), "a dog sits on the old bench".split()]
    assert bleu(texts, [[text] for text in texts]) == pytest.approx(100.0)
    assert bleu([["one", "word"]], [[["one", "word"]]]) == pytest.approx(100.0)  # shorter than the longest n-grams


def test_nothing_in_common_scores_nothing() -> None:
    assert bleu(["a b c d e".split()], [["v w x y z".split()]]) == 0.0
    assert bleu([[]], [["a".split()]]) == 0.0


def test_the_papers_repeated_word_is_clipped() -> None:
    """Papineni et al., example 2: "the" seven times has a modified precision of 2/7."""
    candidate = ["the"] * 7
    references = ["the cat is on the mat".split(), "there is a cat on the mat".split()]
    smoothed = bleu([candidate], [references], smooth=True)
    shares = [2 / 7, 1 / 7, 1 / 6, 1 / 5]  # n-grams above the first: (0 + 1) / (total + 1)
    assert smoothed == pytest.approx(100 * math.exp(sum(map(math.log, shares)) / 4))
    assert bleu([candidate], [references]) == 0.0


def test_counts_are_of_the_whole_corpus_and_short_translations_are_punished() -> None:
    candidates = ["it is a nice day".split(), "we like green tea".split()]
    references = [["it is a nice day today".split()], ["we like hot green tea".split(), "we like green tea".split()]]
    shares = [(5 + 4) / 9, (4 + 3) / 7, (3 + 2) / 5, (2 + 1) / 3]
    brevity = math.exp(1 - (6 + 4) / 9)
    expected = 100 * brevity * math.exp(sum(math.log(share) for share in shares) / 4)
    assert bleu(candidates, references) == pytest.approx(expected)
    worse = ["it is a day nice".split(), candidates[1]]
    shares = [9 / 9, (2 + 3) / 7, (1 + 2) / 5, (0 + 1) / 3]
    assert bleu(worse, references) == pytest.approx(
        100 * brevity * math.exp(sum(math.log(share) for share in shares) / 4)
    )
