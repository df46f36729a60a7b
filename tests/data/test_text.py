"""Running texts: split in order, vocabulary of the training part, windows; and every text that cannot be used."""

import numpy as np
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.sources import load_data
from limpid.data.vocabulary import Vocabulary
from limpid.errors import ConfigError, DataError
from limpid.spec import UNKNOWN

TEXT = "".join(f"line {i}: the quick brown fox jumps over dog number {i * i}.\n" for i in range(200))


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "story.txt"
    file.write_text(TEXT)
    return file


def all_text(split, vocabulary):
    """The stretch of text that a split's windows cover, if they do not overlap."""
    tokens, _ = split.rows.take(torch.arange(len(split)))
    return vocabulary.decode(tokens.flatten().tolist())


@pytest.mark.spec("F18")
def test_the_text_is_split_in_its_order_and_cut_into_windows(path):
    dataset = load_data(path, DataConfig(context=20))
    spec = dataset.spec
    assert (spec.kind, spec.task, spec.input_shape, spec.output_shape) == ("text", "tokens", (20,), (20,))
    num = len(TEXT)
    first, second = num - 2 * round(0.05 * num), num - round(0.05 * num)
    vocabulary = Vocabulary.from_state(spec.preparation["vocabulary"])
    for split, part in zip(
        (dataset.train, dataset.valid, dataset.test()), (TEXT[:first], TEXT[first:second], TEXT[second:]), strict=True
    ):
        count = (len(part) - 1) // 20
        assert len(split) == count
        assert all_text(split, vocabulary) == part[: count * 20]
        assert torch.equal(split.rows.take(torch.arange(count))[0].flatten()[1:], split.target.flatten()[:-1])
    assert (spec.num_train, spec.num_valid, spec.num_test) == tuple(
        len(split) for split in (dataset.train, dataset.valid, dataset.test())
    )
    assert spec.num_outputs == spec.vocabulary == len(vocabulary) == 4 + len(set(TEXT[:first]))
    counts = np.bincount(vocabulary.encode(TEXT[:first]), minlength=len(vocabulary))
    assert spec.class_counts == tuple(counts.tolist())


def test_only_the_training_part_makes_the_vocabulary(tmp_path):
    file = tmp_path / "odd.txt"
    file.write_text("ab" * 520 + "ba☃" * 26)
    dataset = load_data(file, DataConfig(context=8))
    assert dataset.spec.vocabulary == 6
    tokens, _ = dataset.test().rows.take(torch.arange(len(dataset.test())))
    assert (tokens == UNKNOWN).any()
    assert any("do not occur in training: unknown" in note for note in dataset.summary["notes"])


def test_shares_stride_and_kind_of_token_are_options(path, tmp_path):
    config = DataConfig(context=10, stride=1, valid_share=0.1, test_share=0.0)
    dataset = load_data(path, config)
    num_train = len(TEXT) - round(0.1 * len(TEXT))
    assert dataset.test() is None
    assert len(dataset.train) == num_train - 10
    assert len(dataset.valid) == (round(0.1 * len(TEXT)) - 1) // 10  # judged windows do not overlap
    words = load_data(path, DataConfig(context=5, tokens="word"))
    assert "fox" in Vocabulary.from_state(words.spec.preparation["vocabulary"]).tokens
    pairs = load_data(path, DataConfig(context=5, tokens="bpe", vocabulary=80))
    assert pairs.spec.vocabulary == 80
    test = tmp_path / "other.txt"
    test.write_text("the fox of another text\n" * 4)
    other = load_data(path, DataConfig(context=10, test=str(test)))
    assert other.spec.num_test == (24 * 4 - 1) // 10
    assert other.fingerprint != load_data(path, DataConfig(context=10)).fingerprint


def test_the_fingerprint_is_of_the_text_alone(path, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_text(TEXT.replace("\n", "\r\n"))
    assert load_data(copy, DataConfig()).fingerprint == load_data(path, DataConfig()).fingerprint


def test_a_folder_of_texts_is_one_text(tmp_path):
    for name, text in (("b.txt", "second part. " * 30), ("a.txt", "first part! " * 30)):
        (tmp_path / name).write_text(text)
    dataset = load_data(tmp_path, DataConfig(context=6, valid_share=0.0, test_share=0.0))
    vocabulary = Vocabulary.from_state(dataset.spec.preparation["vocabulary"])
    assert all_text(dataset.train, vocabulary).startswith("first part! first")
    assert "! \nsecond part." in all_text(dataset.train, vocabulary)


def test_a_short_text_gets_a_context_that_fits(tmp_path):
    file = tmp_path / "short.txt"
    file.write_text("to be or not to be, that is the question. " * 12)
    dataset = load_data(file, DataConfig())
    assert dataset.spec.input_shape == (24,)
    assert any("has no room for more" in note for note in dataset.summary["notes"])


@pytest.mark.parametrize(
    ("content", "config", "says"),
    [
        (b"", {}, r"story\.txt is empty \(0 bytes\)\. Expected a text"),
        (b" \n\n", {}, r"story\.txt is empty\. Expected a text"),
        (b"abc\0def" * 50, {}, r"story\.txt, line 1: byte 3 is NUL"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(1, 256)), {}, r"story\.txt, line 1: byte 0 \(0x89\) is not UTF-8"),
        ("né\n".encode("latin-1"), {}, r"is not UTF-8.*iconv .*story\.txt > utf8\.txt"),
        ("hello".encode("utf-16"), {}, "UTF-16"),
        (b"a short text", {"context": 64}, r"too short: its \w+ part has 1 tokens \(char\), and a context of 64 takes"),
        (b"ab", {}, "too short"),
        (b"words " * 60, {"context": 100}, "its test part has 18 tokens|its valid part has 18 tokens"),
    ],
)
def test_texts_that_cannot_be_used(tmp_path, content, config, says):
    file = tmp_path / "story.txt"
    file.write_bytes(content)
    with pytest.raises(DataError, match=says):
        load_data(file, DataConfig(**config))


def test_a_missing_text_and_options_of_other_data(path):
    with pytest.raises(DataError, match="no such file"):
        load_data(path.with_name("stories.txt"), DataConfig())
    with pytest.raises(ConfigError, match=r"data\.window applies to series; story was read as text"):
        load_data(path, DataConfig(form="text", window=12))
    with pytest.raises(ConfigError, match=r"data\.context applies to running texts, labelled texts, pairs, captions"):
        load_data("iris", DataConfig(context=12))
