"""Generated sequences, melodies, pairs and scenes: each sample says what it is meant to."""

import numpy as np
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.builtin import builtin_names
from limpid.data.sequence_toys import COLOURS, SCALE, SEQUENCE_TOYS, number_in_words
from limpid.data.sources import load_data
from limpid.data.vocabulary import Vocabulary
from limpid.errors import ConfigError
from limpid.spec import DataSpec

SIZES = {"notes": 300, "scenes": 60}


def load(name, **config):
    return load_data(name, DataConfig(size=SIZES.get(name, 200), **config))


def vocabulary_of(dataset, key="vocabulary"):
    return Vocabulary.from_state(dataset.spec.preparation[key])


@pytest.mark.parametrize("name", SEQUENCE_TOYS)
def test_every_generator_is_listed_repeatable_and_holds_its_promises(name):
    assert name in builtin_names()
    one, two, other = load(name), load(name), load_data(name, DataConfig(size=SIZES.get(name, 200)), seed=1)
    assert one.fingerprint == two.fingerprint != other.fingerprint
    spec = DataSpec.model_validate_json(one.spec.model_dump_json())
    assert spec == one.spec
    index = torch.arange(len(one.train))
    inputs = one.train.rows.take(index)
    assert all(len(x) == len(one.train) == spec.num_train for x in inputs)
    assert inputs[0].shape[1:] == spec.input_shape or inputs[0].shape[1] <= spec.input_shape[0]
    if spec.task == "tokens":
        assert one.train.target.shape[1:] == spec.output_shape
        assert int(one.train.target.max()) < spec.num_outputs
    if spec.kind in ("text", "pairs"):
        assert int(inputs[0].min()) >= 0
        assert int(inputs[0].max()) < spec.vocabulary
    assert spec.num_valid > 0
    assert one.test() is not None


def test_sequence_sums():
    dataset = load("sequence-sum")
    assert dataset.spec.scale_mean == ()  # raw units: a linear network with weights 1 must give the sum
    found = {}
    for split in (dataset.train, dataset.valid, dataset.test()):
        x, lengths = split.rows.take(torch.arange(len(split)))
        assert torch.equal(x.sum(dim=1), split.target)
        assert lengths.min() >= 2
        assert lengths.max() <= 5
        found |= {
            int(i): (row[:n, 0].tolist(), float(t))
            for i, row, n, t in zip(split.index, x, lengths, split.target, strict=True)
        }
    assert found[0] == ([1, 3, 7], 11)
    assert found[1] == ([12, 5], 17)
    noisy = load("sequence-sum", noise=0.5)
    x, _ = noisy.train.rows.take(torch.arange(len(noisy.train)))
    assert (x.sum(dim=1) - noisy.train.target).std().item() == pytest.approx(0.5, rel=0.2)


def test_tones_follow_their_contour():
    dataset = load("tones", noise=0.0)
    assert dataset.spec.classes == ("dipping", "falling", "level", "rising")
    x, lengths = dataset.train.rows.take(torch.arange(len(dataset.train)))
    for row, n, label in zip(x, lengths, dataset.train.target, strict=True):
        pitch = row[:n].argmax(dim=1).float()
        tone = dataset.spec.classes[int(label)]
        assert {"rising": pitch[-1] > pitch[0], "falling": pitch[-1] < pitch[0]}.get(tone, True)
        if tone == "dipping":
            assert pitch[n // 2] < min(pitch[0], pitch[-1])
        if tone == "level":
            assert pitch.min() == pitch.max()


def test_melodies_go_home():
    dataset = load("notes")
    vocabulary = vocabulary_of(dataset)
    assert set(vocabulary.tokens[4:]) == {*SCALE, "|"}
    tokens, _ = dataset.train.rows.take(torch.arange(len(dataset.train)))
    melodies = vocabulary.decode(tokens.flatten().tolist()).split(" | ")[1:-1]
    assert len(melodies) > 100
    for melody in melodies:
        place = [SCALE.index(note) for note in melody.split()]
        assert place[4:8] == [p + 1 for p in place[:4]]
        assert place[8:12] == place[:4]
        assert place[-1] == 0


def test_numbers_in_words():
    said = {0: "zero", 7: "seven", 19: "nineteen", 20: "twenty", 45: "forty five", 300: "three hundred"}
    said |= {407: "four hundred seven", 1000: "one thousand", 9999: "nine thousand nine hundred ninety nine"}
    assert {number: number_in_words(number) for number in said} == said
    assert len({number_in_words(number) for number in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    ("name", "rule"), [("number-words", lambda s: number_in_words(int(s))), ("reversed", lambda s: s[::-1])]
)
def test_pairs_follow_their_rule(name, rule):
    dataset = load_data(name, DataConfig(size=1500))
    source, target = vocabulary_of(dataset, "source_vocabulary"), vocabulary_of(dataset)
    seen = []
    for split in (dataset.train, dataset.valid, dataset.test()):
        source_BS, lengths, _ = split.rows.tensors
        for s, n, w in zip(source_BS, lengths, split.target, strict=True):
            text = source.decode(s[:n].tolist())
            assert target.decode(w[w >= 0].tolist()) == rule(text)
            seen.append(text)
    assert len(set(seen)) == len(seen) == 1500


def test_scenes_show_what_their_caption_says():
    dataset = load("scenes", noise=0.0)
    vocabulary = vocabulary_of(dataset)
    images, _ = dataset.train.rows.tensors
    for image, wanted in zip(images.numpy(), dataset.train.target, strict=True):
        words = vocabulary.decode(wanted[wanted >= 0].tolist()).split()
        inside = np.all(image == np.array(COLOURS[words[1]], np.uint8)[:, None, None], axis=0)
        rows, columns = np.nonzero(inside)
        assert len(rows) > 30
        middle = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
        for k, (low, high) in enumerate((("top", "bottom"), ("left", "right"))):
            assert (middle[k] < 13) == (low in words)
            assert (middle[k] > 19) == (high in words)
        assert ("centre" in words) == all(12 < m < 20 for m in middle)
        share = inside.sum() / ((rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1))
        shape = "square" if share == 1 else "circle" if share > 0.65 else "triangle"
        assert shape in words


def test_what_a_generator_cannot_do():
    with pytest.raises(ConfigError, match=r"data\.noise = 0\.5: reversed has no noise"):
        load("reversed", noise=0.5)
    with pytest.raises(ConfigError, match=r"data\.size = 20000: number-words has 10,000 different samples"):
        load_data("number-words", DataConfig(size=20_000))
