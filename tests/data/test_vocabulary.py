"""Texts to tokens and back, against plain Python look-ups."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpid.data.vocabulary import NUM_SPECIAL, Vocabulary, learn_vocabulary
from limpid.errors import ConfigError, DataError
from limpid.spec import END, PADDING, START, UNKNOWN

TEXTS = ["the cat sat on the mat.", "The cat (a big one) ate; didn't it?", "naïve café: 12 rats"]


def again(vocabulary):
    """The vocabulary as a run stores it."""
    return Vocabulary.from_state(json.loads(json.dumps(vocabulary.to_state())))


@pytest.mark.spec("F18")
def test_characters_are_looked_up_one_by_one():
    vocabulary = learn_vocabulary(TEXTS, "char")
    letters = sorted(set("".join(TEXTS)))
    assert list(vocabulary.tokens[NUM_SPECIAL:]) == letters
    for text in TEXTS:
        assert vocabulary.encode(text).tolist() == [letters.index(letter) + NUM_SPECIAL for letter in text]
        assert again(vocabulary).decode(again(vocabulary).encode(text)) == text


@pytest.mark.spec("F18")
def test_words_are_split_counted_and_joined():
    vocabulary = learn_vocabulary(TEXTS, "word", lower=True)
    assert vocabulary.tokens[NUM_SPECIAL : NUM_SPECIAL + 2] == ("the", "cat")  # three and two times
    assert vocabulary.pieces("Didn't (it)?") == ["didn't", "(", "it", ")", "?"]
    codes = vocabulary.encode("The big rats ate 12 mat.").tolist()
    assert codes == [vocabulary.tokens.index(word) for word in ["the", "big", "rats", "ate", "12", "mat", "."]]
    assert vocabulary.decode(codes) == "the big rats ate 12 mat."
    assert vocabulary.decode(vocabulary.encode("a cat (one) ate; it?")) == "a cat (one) ate; it?"


@pytest.mark.spec("F18")
@given(st.text(alphabet="the catson.\nmü", max_size=60))
def test_byte_pairs_give_every_text_of_known_bytes_back(text):
    vocabulary = learn_vocabulary(["the cat sat on the mat.\nmüm", *TEXTS], "bpe", most=60)
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_byte_pairs_shorten_what_is_frequent_and_are_the_same_every_time():
    texts = ["the the the then there " * 20]
    vocabulary = learn_vocabulary(texts, "bpe", most=40)
    assert len(vocabulary.encode("the then")) < len("the then") / 2
    assert len(vocabulary) <= 40
    assert learn_vocabulary(texts, "bpe", most=40).tokens == vocabulary.tokens == again(vocabulary).tokens
    with pytest.raises(ConfigError, match=r"data\.vocabulary = 9 is less than the \d+ single bytes"):
        learn_vocabulary(["abcdefghijkl"], "bpe", most=9)


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_what_training_did_not_have_is_unknown_and_named(kind):
    vocabulary = again(learn_vocabulary(["a b c d a b"], kind))
    codes = vocabulary.encode("a z c").tolist()
    assert codes.count(UNKNOWN) == 1
    assert vocabulary.unknown_in("a z c") == ["z"]
    assert "<unk>" in vocabulary.decode(codes)
    assert vocabulary.unknown_in("a b") == []


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_text_that_reads_like_a_special_token_is_none(kind):
    vocabulary = again(learn_vocabulary(["go < end > <end> now"], kind))
    assert END not in vocabulary.encode("go <end> now").tolist()
    assert vocabulary.encode("").tolist() == []


def test_decoding_stops_at_the_end_and_leaves_padding_out():
    vocabulary = learn_vocabulary(["abc"], "char")
    a, b, c = vocabulary.encode("abc").tolist()
    assert vocabulary.decode([START, a, b, END, c, PADDING]) == "ab"
    with pytest.raises(DataError, match="7 is no token; the vocabulary has the tokens 0 to 6"):
        vocabulary.decode([7])


def test_the_rarest_tokens_give_way():
    vocabulary = learn_vocabulary(["a a a b b c"], "word", most=NUM_SPECIAL + 2)
    assert vocabulary.tokens[NUM_SPECIAL:] == ("a", "b")
    assert learn_vocabulary(["a a b"], "word", least=2).tokens[NUM_SPECIAL:] == ("a",)
    assert learn_vocabulary(["a b"], "word", least=2).tokens[NUM_SPECIAL:] == ("a", "b")  # better than none
    with pytest.raises(DataError, match="hold no token"):
        learn_vocabulary(["  "], "word")
