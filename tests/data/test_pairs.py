"""Pairs of texts: shifted targets, padding that does not count, and lines without a partner."""

import pytest
import torch

from limpid.config import DataConfig
from limpid.data.pairs import IGNORED, pad_codes, shift_targets
from limpid.data.sources import load_data
from limpid.data.vocabulary import Vocabulary
from limpid.errors import DataError
from limpid.objectives.tokens import NextToken
from limpid.spec import END, PADDING, START

ENGLISH = ["good day", "good night", "thank you", "where is the night train", "the train is good", "you"] * 10
GERMAN = ["guten Tag", "gute Nacht", "danke", "wo ist der Nachtzug", "der Zug ist gut", "du"] * 10


def write(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def spoken(dataset):
    """{source: target} of all splits, decoded from the tensors."""
    source = Vocabulary.from_state(dataset.spec.preparation["source_vocabulary"])
    target = Vocabulary.from_state(dataset.spec.preparation["vocabulary"])
    found = {}
    for split in (dataset.train, dataset.valid, dataset.test()):
        source_BS, lengths_B, given_BT = split.rows.tensors
        for s, n, g, w in zip(source_BS, lengths_B, given_BT, split.target, strict=True):
            assert (s[n:] == PADDING).all()
            said = w[w != IGNORED].tolist()
            assert said[-1] == END
            assert g.tolist() == [START, *said[:-1], *[PADDING] * (len(g) - len(said))]
            found[source.decode(s[:n].tolist())] = target.decode(said)
    return found


@pytest.mark.parametrize("form", ["tsv", "csv", "jsonl", "folder", "memory"])
def test_pairs_from_every_source(tmp_path, form):
    config = DataConfig(form="pairs")
    lines = list(zip(ENGLISH, GERMAN, strict=True))
    if form == "memory":
        dataset = load_data((ENGLISH, GERMAN), config)
    elif form == "folder":
        (tmp_path / "corpus").mkdir()
        write(tmp_path / "corpus" / "a-english.txt", ENGLISH)
        write(tmp_path / "corpus" / "b-german.txt", GERMAN)
        dataset = load_data(tmp_path / "corpus", config)
    elif form == "tsv":
        dataset = load_data(write(tmp_path / "p.tsv", ["\t".join(line) for line in lines]), config)
    elif form == "csv":
        dataset = load_data(
            write(tmp_path / "p.csv", ["de,en", *[f"{g},{e}" for e, g in lines]]),
            DataConfig(form="pairs", target=("de",)),
        )
    else:
        rows = [f'{{"en": "{e}", "de": "{g}"}}' for e, g in lines]
        dataset = load_data(write(tmp_path / "p.jsonl", rows), config)
    spec = dataset.spec
    assert (spec.kind, spec.task) == ("pairs", "tokens")
    known = spoken(dataset)
    assert {s: t for s, t in known.items() if "<unk>" not in s + t}.items() <= dict(lines).items()
    assert spec.input_shape[0] >= 2
    assert spec.output_shape[0] >= 2
    counts = torch.bincount(dataset.train.target[dataset.train.target != IGNORED], minlength=spec.num_outputs)
    assert spec.class_counts == tuple(counts.tolist())
    assert spec.class_counts[END] == spec.num_train


def test_the_same_source_is_in_one_part_only():
    dataset = load_data((ENGLISH, GERMAN), DataConfig(form="pairs"))
    parts = [set(split.index.remainder(6).tolist()) for split in (dataset.train, dataset.valid, dataset.test())]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]


def test_words_or_characters_by_what_the_texts_are():
    dataset = load_data(
        (["12", "340", "5", "67"] * 9, ["one two", "three four", "five", "six seven"] * 9), DataConfig(form="pairs")
    )
    kinds = [dataset.spec.preparation[key]["kind"] for key in ("source_vocabulary", "vocabulary")]
    assert kinds == ["char", "word"]


def test_long_pairs_are_left_out_and_counted():
    sources = [f"a{i}" for i in range(60)]
    targets = ["b c" if i % 10 else "b " * 30 for i in range(60)]
    dataset = load_data((sources, targets), DataConfig(form="pairs", context=10))
    assert dataset.spec.output_shape == (3,)
    assert any("6 pair(s) of more than 10 tokens were left out" in note for note in dataset.summary["notes"])


@pytest.mark.spec("C15")
def test_masked_padding_contributes_nothing_to_the_loss():
    torch.manual_seed(0)
    _, wanted = shift_targets([[5, 6, 7], [5], [7, 4]], 9)
    objective = NextToken((), 8, 0.0)
    logits = torch.randn(3, 9, 8, dtype=torch.float64, requires_grad=True)
    loss = objective.loss(logits, wanted)
    lengths = (4, 2, 3)
    alone = [
        torch.nn.functional.cross_entropy(logits[i, :n].float(), wanted[i, :n], reduction="sum")
        for i, n in enumerate(lengths)
    ]
    assert torch.allclose(loss, sum(alone) / sum(lengths), rtol=1e-6)
    loss.backward()
    for i, n in enumerate(lengths):
        assert not logits.grad[i, n:].any()
        assert logits.grad[i, :n].abs().sum(dim=1).gt(0).all()


def test_padding_and_shifting_by_hand():
    filled, lengths = pad_codes([[4, 5], [], [6, 7, 8, 9]], 3)
    assert filled.tolist() == [[4, 5, 0], [0, 0, 0], [6, 7, 8]]
    assert lengths.tolist() == [2, 1, 3]
    given, wanted = shift_targets([[4, 5]], 4)
    assert given.tolist() == [[START, 4, 5, PADDING]]
    assert wanted.tolist() == [[4, 5, END, IGNORED]]


def test_texts_without_a_partner(tmp_path):
    def refused(source, says, **config):
        with pytest.raises(DataError, match=says):
            load_data(source, DataConfig(form="pairs", **config))

    lines = [f"{e}\t{g}" for e, g in zip(ENGLISH, GERMAN, strict=True)]
    refused(
        write(tmp_path / "a.tsv", [*lines[:5], "alone", *lines[5:]]), r"a\.tsv: line 6: 1 field\(s\) where a pair has 2"
    )
    refused(
        write(tmp_path / "b.tsv", [*lines[:5], "left\t ", *lines[5:]]),
        r"line 6 \(from 1\): the text of 'target' is empty",
    )
    refused(write(tmp_path / "c.csv", ["a,b", "x,y", "x,y,z"]), r"c\.csv, line 3: 3 fields where line 1 has 2")
    refused((ENGLISH, GERMAN[:-1]), "source has 60 rows and target has 59. Pairs need equally many")
    (tmp_path / "d").mkdir()
    write(tmp_path / "d" / "en.txt", ENGLISH)
    refused(tmp_path / "d", "expected two .txt files of equally many lines, found 1")
    write(tmp_path / "d" / "de.txt", GERMAN[:-2])
    refused(tmp_path / "d", r"de\.txt has 58 lines and en\.txt has 60\. Pairs need equally many")
    refused(write(tmp_path / "e.tsv", lines), "every training pair is longer than 2 tokens", context=2, tokens="char")
    refused(write(tmp_path / "f.tsv", lines), "data.test is not read for pairs", test="x")
