"""Text as numbers and back: a vocabulary learned from the training texts alone.

The first four tokens of every vocabulary are PADDING, UNKNOWN, START and END (limpid/spec.py). What a text holds that
the training texts did not have becomes UNKNOWN.

    char  one token for each character
    word  words and marks, a token each; white space is not kept
    bpe   byte-pair encoding of the UTF-8 bytes (Sennrich et al. 2016; the tokenizers library): frequent strings become
          one token, and every text of known bytes decodes to itself
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from limpid.errors import ConfigError, DataError
from limpid.spec import END, PADDING, START, UNKNOWN

Tokens = Literal["char", "word", "bpe"]
Codes = NDArray[np.int64]

SPECIAL = ("<pad>", "<unk>", "<start>", "<end>")
NUM_SPECIAL = len(SPECIAL)
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
CLOSING = re.compile(r" ([.,;:!?)\]}%])")
OPENING = re.compile(r"([(\[{]) ")
# Most tokens unless stated. Twenty thousand words are 96 to 98 % of running text; a thousand pairs of bytes halve to
# third the length of English text.
MOST_TOKENS = {"char": 1 << 20, "word": 20_000, "bpe": 1_024}


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by number.

    Attributes:
        kind: what a token is.
        tokens: text of each token, the four special ones first.
        lower: words are made small letters before they are looked up.
        merges: of byte pairs, the state of the tokenizers library as JSON.
    """

    kind: Tokens
    tokens: tuple[str, ...]
    lower: bool = False
    merges: str = ""

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> Codes:
        """int64 (T,); UNKNOWN for what training did not have."""
        if self.kind == "bpe":
            return np.asarray(self._pairs.encode(text, add_special_tokens=False).ids, np.int64)
        if self.kind == "char":
            return self._encode_characters(text)
        code_of = self._code_of
        return np.asarray([code_of.get(piece, UNKNOWN) for piece in self.pieces(text)], np.int64)

    def decode(self, codes: Iterable[int]) -> str:
        """The text of these tokens up to the first END; PADDING and START are left out, UNKNOWN shows as <unk>.

        Raises DataError for a number that is no token.
        """
        kept: list[int] = []
        for code in codes:
            if not 0 <= int(code) < len(self):
                raise DataError(f"{int(code)} is no token; the vocabulary has the tokens 0 to {len(self) - 1}.")
            if code == END:
                break
            if code not in (PADDING, START):
                kept.append(int(code))
        if self.kind == "bpe":
            return self._decode_pairs(kept)
        texts = [self.tokens[code] for code in kept]
        return "".join(texts) if self.kind == "char" else OPENING.sub(r"\1", CLOSING.sub(r"\1", " ".join(texts)))

    def pieces(self, text: str) -> list[str]:
        """The characters, or the words and marks, of a text."""
        if self.kind == "char":
            return list(text)
        return WORD.findall(text.lower() if self.lower else text)

    def unknown_in(self, text: str) -> list[str]:
        """The pieces of a text that become UNKNOWN, each once."""
        if self.kind == "bpe":
            encoding = self._pairs.encode(text, add_special_tokens=False)
            spans = [span for code, span in zip(encoding.ids, encoding.offsets, strict=True) if code == UNKNOWN]
            return list(dict.fromkeys(text[start:end] for start, end in spans))
        return list(dict.fromkeys(piece for piece in self.pieces(text) if piece not in self._code_of))

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values."""
        tokens = [] if self.merges else list(self.tokens[NUM_SPECIAL:])
        return {"kind": self.kind, "tokens": tokens, "lower": self.lower, "merges": self.merges}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Vocabulary:
        if state["merges"]:
            return cls("bpe", _pair_tokens(state["merges"]), merges=state["merges"])
        return cls(state["kind"], (*SPECIAL, *state["tokens"]), state["lower"])

    def _encode_characters(self, text: str) -> Codes:
        """Every character looked up at once, in a table of the code points."""
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        known = self._points
        inside = np.minimum(points, len(known) - 1)
        return np.where(points < len(known), known[inside], UNKNOWN).astype(np.int64)

    def _decode_pairs(self, codes: list[int]) -> str:
        pieces: list[str] = []
        run: list[int] = []
        for code in [*codes, UNKNOWN]:
            if code == UNKNOWN:
                pieces += [str(self._pairs.decode(run)), SPECIAL[UNKNOWN]]
                run = []
            else:
                run.append(code)
        return "".join(pieces[:-1])

    @cached_property
    def _code_of(self) -> dict[str, int]:
        return {token: code for code, token in enumerate(self.tokens) if code >= NUM_SPECIAL}

    @cached_property
    def _points(self) -> Codes:
        table = np.full(max((ord(token) for token in self.tokens[NUM_SPECIAL:]), default=0) + 1, UNKNOWN, np.int64)
        for code, token in enumerate(self.tokens[NUM_SPECIAL:], NUM_SPECIAL):
            table[ord(token)] = code
        return table

    @cached_property
    def _pairs(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self.merges)


def learn_vocabulary(
    texts: Sequence[str], kind: Tokens, *, most: int | None = None, least: int = 1, lower: bool = False
) -> Vocabulary:
    """The vocabulary of these texts, which must be those of the training split.

    Characters are in the order of their code points, words in the order of how often they occur.

    Args:
        most: tokens at most, the special ones included; the rarest become UNKNOWN.
        least: a word that occurs less often becomes UNKNOWN, so that training meets UNKNOWN too.
    Raises:
        DataError: the texts hold no token.
        ConfigError: so few tokens that byte pairs cannot be learned.
    """
    most = most or MOST_TOKENS[kind]
    if kind == "bpe":
        return _learn_pairs(texts, most)
    counts: Counter[str] = Counter()
    split = Vocabulary(kind, SPECIAL, lower)
    for text in texts:
        counts.update(text if kind == "char" else split.pieces(text))
    if not counts:
        raise DataError("The training texts hold no token: they are empty, or nothing but white space.")
    ranked = sorted(counts, key=lambda piece: (-counts[piece], piece))
    kept = [piece for piece in ranked if counts[piece] >= least] or ranked
    kept = kept[: most - NUM_SPECIAL]
    return Vocabulary(kind, (*SPECIAL, *(sorted(kept) if kind == "char" else kept)), lower)


def _learn_pairs(texts: Sequence[str], most: int) -> Vocabulary:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    pairs = Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN]))
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=most, special_tokens=list(SPECIAL), show_progress=False)
    pairs.train_from_iterator(texts, trainer, length=len(texts))
    num_tokens = pairs.get_vocab_size()
    if num_tokens <= NUM_SPECIAL:
        raise DataError("The training texts hold no token: they are empty.")
    if num_tokens > most:
        raise ConfigError(
            f"data.vocabulary = {most} is less than the {num_tokens} single bytes that the texts are made of. Allow "
            f"more than {num_tokens} tokens, or set data.tokens=char."
        )
    # Plain text that happens to read "<end>" must not become the token.
    state = json.loads(pairs.to_str())
    state["added_tokens"] = []
    merges = json.dumps(state, ensure_ascii=False)
    return Vocabulary("bpe", _pair_tokens(merges), merges=merges)


def _pair_tokens(merges: str) -> tuple[str, ...]:
    codes: dict[str, int] = json.loads(merges)["model"]["vocab"]
    return tuple(sorted(codes, key=codes.__getitem__))
