"""Labelled texts from folders, archives, tables and memory."""

import tarfile

import numpy as np
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.loader import Loader
from limpid.data.sources import load_data
from limpid.data.vocabulary import Vocabulary
from limpid.errors import DataError
from limpid.spec import UNKNOWN

GOOD = ["what a lovely film", "good, really good acting", "I enjoyed it very much", "a lovely, good story"]
BAD = ["what a terrible film", "bad; really bad acting", "I hated it", "a terrible, bad story and a long one"]


def write_folder(root, times=10):
    for label, texts in (("good", GOOD), ("bad", BAD)):
        for i in range(times * len(texts)):
            file = root / label / f"{i:03}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{texts[i % len(texts)]} {i % 7}")
    return root


def texts_of(split, spec):
    vocabulary = Vocabulary.from_state(spec.preparation["vocabulary"])
    found = []
    for i in range(len(split)):
        tokens, lengths = split.rows.take(torch.tensor([i]))
        assert tokens.shape == (1, int(lengths))
        found.append(vocabulary.decode(tokens[0].tolist()))
    return found


@pytest.mark.spec("F18")
@pytest.mark.parametrize("packed", [False, True])
def test_class_folders_of_texts(tmp_path, packed):
    source = write_folder(tmp_path / "reviews")
    if packed:
        with tarfile.open(tmp_path / "reviews.tar.gz", "w:gz") as archive:
            archive.add(source, "reviews")
        source = tmp_path / "reviews.tar.gz"
    dataset = load_data(source, DataConfig())
    spec = dataset.spec
    assert (spec.name, spec.kind, spec.task, spec.classes) == ("reviews", "text", "binary", ("bad", "good"))
    assert (spec.num_train, spec.num_valid, spec.num_test) == (56, 12, 12)
    for split in (dataset.train, dataset.valid, dataset.test()):
        for text, label, file in zip(texts_of(split, spec), split.target[:, 0], split.origin, strict=True):
            number = int(file[-7:-4])
            folder = "good" if label == 1 else "bad"
            assert file.endswith(f"{folder}/{number:03}.txt")
            assert text == f"{(GOOD if label == 1 else BAD)[number % 4]} {number % 7}".lower()


def test_the_words_are_those_of_the_training_texts(tmp_path):
    texts = [f"word{i} common" for i in range(100)]
    dataset = load_data((texts, ["a", "b"] * 50), DataConfig())
    vocabulary = Vocabulary.from_state(dataset.spec.preparation["vocabulary"])
    assert vocabulary.tokens[4:] == ("common",)  # the others occur once
    both = load_data((texts, ["a", "b"] * 50), DataConfig(vocabulary=300))
    assert both.spec.vocabulary == 4 + 1 + both.spec.num_train
    tokens, _ = both.test().rows.take(torch.tensor([0, 1]))
    assert tokens.tolist() == [[UNKNOWN, 4], [UNKNOWN, 4]]


def test_long_texts_are_cut_and_empty_ones_unknown():
    texts = ["a b c", "", "a " * 50, "c b a b c"] * 10
    dataset = load_data((texts, [0, 1, 0, 1] * 10), DataConfig(context=4))
    assert dataset.spec.input_shape == (4,)
    lengths = torch.cat([dataset.train.rows.take(torch.tensor([i]))[1] for i in range(len(dataset.train))])
    assert set(lengths.tolist()) == {1, 3, 4}
    notes = " ".join(dataset.summary["notes"])
    assert "they are cut after 4" in notes.replace("  ", " ")
    assert "10 empty text(s) are read as one unknown token" in notes
    free = load_data((texts, [0, 1, 0, 1] * 10), DataConfig())
    assert free.spec.input_shape == (50,)


def test_a_table_with_a_column_of_text(tmp_path):
    path, test = tmp_path / "t.csv", tmp_path / "test.csv"
    rows = [f'{i},"{(GOOD + BAD)[i % 8]}",{"good" if i % 8 < 4 else "bad"},{i % 8 / 2}' for i in range(80)]
    path.write_text("id,review,label,stars\n" + "\n".join(rows))
    test.write_text("stars,label,review\n" + '1,good,"a lovely film"\n2,bad,"long and bad"\n')
    dataset = load_data(path, DataConfig(form="texts", target=("label",), test=str(test)))
    assert dataset.spec.preparation["column"] == "review"
    assert dataset.spec.num_test == 2
    assert dataset.test().target[:, 0].tolist() == [1.0, 0.0]
    assert texts_of(dataset.test(), dataset.spec) == ["a lovely film", "long and bad"]
    assert any("'id', 'stars'" in note for note in dataset.summary["notes"])
    stars = load_data(path, DataConfig(form="texts", target=("stars",), task="regression"))
    assert (stars.spec.task, stars.spec.num_outputs) == ("regression", 1)


def test_parts_given_by_folders(tmp_path):
    write_folder(tmp_path / "d" / "train", 4)
    write_folder(tmp_path / "d" / "test", 1)
    dataset = load_data(tmp_path / "d", DataConfig())
    assert dataset.spec.num_test == 8
    assert dataset.spec.num_train + dataset.spec.num_valid == 32


def test_batches_are_padded_to_their_longest_text():
    dataset = load_data((GOOD * 10 + BAD * 10, ["g"] * 40 + ["b"] * 40), DataConfig())
    loader = Loader(dataset.train, batch_size=8, seed=0, shuffle=True, device=torch.device("cpu"))
    for batch in loader.epoch(0):
        tokens, lengths = batch.inputs
        assert tokens.shape[1] == lengths.max()
        assert ((tokens != 0).sum(dim=1) == lengths).all()


def test_what_cannot_be_used(tmp_path):
    with pytest.raises(DataError, match="There are 2 texts and 3 targets"):
        load_data((["a", "b"], [0, 1, 1]), DataConfig())
    (tmp_path / "only" / "good").mkdir(parents=True)
    (tmp_path / "only" / "good" / "1.txt").write_text("fine")
    with pytest.raises(DataError, match=r"(?s)only one class \('good'\).*texts/cat/1\.txt"):
        load_data(tmp_path / "only", DataConfig())
    folder = write_folder(tmp_path / "r", 1)
    (folder / "bad" / "000.txt").write_bytes(b"\0\1\2")
    with pytest.raises(DataError, match=r"bad/000\.txt, line 1: byte 0 is NUL"):
        load_data(folder, DataConfig())
    table = tmp_path / "n.csv"
    table.write_text("a,label\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(20)))
    with pytest.raises(DataError, match="which column holds the label"):
        load_data(table, DataConfig(form="texts"))
    with pytest.raises(DataError, match="data.form = captions takes"):
        load_data(write_npz(tmp_path), DataConfig(form="captions"))


def write_npz(root):
    path = root / "a.npz"
    np.savez(path, x=np.zeros((4, 2)), y=np.arange(4))
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_a_test_file_that_would_not_be_read_is_refused(tmp_path, packed):
    folder = write_folder(tmp_path / "texts")
    source = (GOOD + BAD, [0, 0, 0, 0, 1, 1, 1, 1]) if packed else folder
    with pytest.raises(DataError, match="data.test"):
        load_data(source, DataConfig(form="texts", test=str(folder)))
