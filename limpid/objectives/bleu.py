"""BLEU: how much of a translation's wording the references have, 0 to 100.

    BLEU = 100 min(1, exp(1 - r / c)) exp(1/4 sum_{n=1..4} ln p_n)

p_n is the share of the candidates' n-grams that occur in a reference, each at most as often as in one of them; c is
the number of words of all candidates, r that of the references nearest in length. Counts are summed over the corpus.

Source: Papineni et al. 2002. An n-gram order without a match makes the score 0; short texts take `smooth`, which adds
one to counts of orders above the first (Lin & Och 2004).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

Words = Sequence[str]
ORDERS = 4


def bleu(candidates: Sequence[Words], references: Sequence[Sequence[Words]], *, smooth: bool = False) -> float:
    """Corpus BLEU of tokenised texts.

    Args:
        candidates: the words of each translation.
        references: for each of them one or more right ones.
        smooth: add one to matches and totals of n-grams of two words and more.
    """
    assert len(candidates) == len(references), "one list of references per candidate"
    matches, totals = [0] * ORDERS, [0] * ORDERS
    length = reference_length = 0
    for words, right in zip(candidates, references, strict=True):
        length += len(words)
        reference_length += min((abs(len(one) - len(words)), len(one)) for one in right)[1]
        for n in range(1, ORDERS + 1):
            counts = _ngrams(words, n)
            most: Counter[tuple[str, ...]] = Counter()
            for one in right:
                most |= _ngrams(one, n)
            matches[n - 1] += sum((counts & most).values())
            totals[n - 1] += sum(counts.values())
    if smooth:
        matches = [matches[0], *(m + 1 for m in matches[1:])]
        totals = [totals[0], *(t + 1 for t in totals[1:])]
    shares = [(m, t) for m, t in zip(matches, totals, strict=True) if t > 0]
    if not shares or any(m == 0 for m, _ in shares):
        return 0.0
    brevity = min(0.0, 1.0 - reference_length / length)
    return 100.0 * math.exp(brevity + sum(math.log(m / t) for m, t in shares) / len(shares))


def _ngrams(words: Words, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
