"""New series, sequences and texts are prepared exactly as training prepared its own."""

import json

import numpy as np
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.sources import load_data
from limpid.deploy.samples import read_samples
from limpid.errors import DataError
from limpid.spec import UNKNOWN


def all_rows(samples):
    return samples.rows.take(torch.arange(len(samples.rows)))


def write_series(path, num, *, skip=()):
    lines = ["month,sales,region"]
    lines += [
        f"{2000 + i // 12}-{i % 12 + 1:02},{'' if i == 40 else i * 1.5 + i % 5},{'ab'[i % 2]}"
        for i in range(num)
        if i not in skip
    ]
    path.write_text("\n".join(lines))
    return path


def test_windows_of_a_series_are_those_of_training(tmp_path):
    path = write_series(tmp_path / "s.csv", 80)
    dataset = load_data(path, DataConfig(window=6, horizon=2, target=("sales",)))
    samples = read_samples(path, dataset.spec)
    x, lengths = all_rows(samples)
    assert samples.names == range(5, 80)
    assert set(lengths.tolist()) == {6}
    ends = dataset.train.index
    trained, _ = dataset.train.rows.take(torch.arange(len(dataset.train)))
    assert torch.equal(x[ends - 5], trained)
    longer = read_samples(write_series(tmp_path / "n.csv", 90), dataset.spec)
    assert torch.equal(all_rows(longer)[0][: len(x)], x)
    assert "named by the last row" in longer.report["notes"][0]


def test_series_that_do_not_fit(tmp_path):
    spec = load_data(write_series(tmp_path / "s.csv", 80), DataConfig(window=6, horizon=2, target=("sales",))).spec
    with pytest.raises(DataError, match=r"has 4 row\(s\); the network sees windows of 6"):
        read_samples(write_series(tmp_path / "short.csv", 4), spec)
    with pytest.raises(DataError, match=r"g\.csv, row 20 \(from 0\): a gap"):
        read_samples(write_series(tmp_path / "g.csv", 40, skip=(20,)), spec)
    (tmp_path / "c.csv").write_text("month,region\n2000-01,a\n" * 1 + "".join(f"2000-{m:02},a\n" for m in range(2, 10)))
    with pytest.raises(DataError, match=r"Column\(s\) missing: 'sales'"):
        read_samples(tmp_path / "c.csv", spec)
    with pytest.raises(DataError, match="no such file"):
        read_samples(tmp_path / "none.csv", spec)


def test_texts_from_every_source(tmp_path):
    texts = ["a good film", "a bad film", "good good", "bad bad film"] * 10
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(f"{text},{text[2:5]}\n" for text in texts[:2] * 20))
    spec = load_data(tmp_path / "t.csv", DataConfig(form="texts", target=("label",), context=3)).spec
    lines = ["a good film", "a terrible film and more", "bad"]
    (tmp_path / "new.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "new.csv").write_text("id,text\n" + "".join(f"{i},{line}\n" for i, line in enumerate(lines)))
    (tmp_path / "folder").mkdir()
    for i, line in enumerate(lines):
        (tmp_path / "folder" / f"{i}.txt").write_text(line)
    known = read_samples(lines, spec)
    tokens, lengths = all_rows(known)
    assert lengths.tolist() == [3, 3, 1]
    assert (tokens == UNKNOWN).sum() == 1  # terrible; the others were cut
    assert known.report["notes"] == [
        "3 of 9 token(s) do not occur in the training texts (unknown), such as 'terrible', 'and', 'more'."
    ]
    for name in ("new.txt", "new.csv", "folder"):
        samples = read_samples(tmp_path / name, spec)
        assert torch.equal(all_rows(samples)[0], tokens)
    assert read_samples(tmp_path / "folder", spec).names == ["0.txt", "1.txt", "2.txt"]
    assert read_samples(tmp_path / "new.csv", spec).report["extra"] == ["id"]
    (tmp_path / "odd.csv").write_text("id,words\n1,good\n")
    with pytest.raises(DataError, match="column 'text' with the texts is missing"):
        read_samples(tmp_path / "odd.csv", spec)
    (tmp_path / "empty.txt").write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        read_samples(tmp_path / "empty.txt", spec)


def test_sequences_from_every_source(tmp_path):
    x = [np.arange(n, dtype=float) for n in (1, 3, 2, 5)] * 10
    rows = [json.dumps({"x": each.tolist(), "y": i % 2}) for i, each in enumerate(x)]
    (tmp_path / "s.jsonl").write_text("\n".join(rows) + "\n")
    spec = load_data(tmp_path / "s.jsonl", DataConfig(target=("y",))).spec
    wanted, lengths = all_rows(read_samples(x, spec))
    assert lengths.tolist() == [len(each) for each in x]
    assert torch.equal(all_rows(read_samples(tmp_path / "s.jsonl", spec))[0], wanted)
    np.savez(tmp_path / "s.npz", x=np.concatenate(x), lengths=lengths.numpy())
    assert torch.equal(all_rows(read_samples(tmp_path / "s.npz", spec))[0], wanted)
    with pytest.raises(DataError, match=r"sequence 0 \(from 0\) has 2 feature\(s\); the model takes 1"):
        read_samples([np.zeros((3, 2))], spec)
    (tmp_path / "o.jsonl").write_text('{"z": [1]}\n')
    with pytest.raises(DataError, match=r"column\(s\) missing: 'x'"):
        read_samples(tmp_path / "o.jsonl", spec)


def test_networks_that_speak_are_asked_otherwise():
    with pytest.raises(DataError, match="limpid generate RUN"):
        read_samples(["12"], load_data("reversed", DataConfig(size=100)).spec)


def test_train_and_predict_on_the_command_line(limpid, tmp_path):
    path = write_series(tmp_path / "s.csv", 60)
    (tmp_path / "r.csv").write_text(
        "text,label\n" + "".join(f"{w} film {i},{w}\n" for i in range(20) for w in ("good", "bad"))
    )
    for name, new, options in (
        ("series", path, [path, "--window", 4, "--horizon", 2, "--target", "sales"]),
        ("texts", "new.txt", [tmp_path / "r.csv", "--form", "texts", "--target", "label", "--context", 3]),
    ):
        (tmp_path / "new.txt").write_text("a bad film\na zebra\n")
        done = limpid("train", *options, "--out", name, "--epochs", 1)
        assert done.code == 0, done.err
        answer = limpid("predict", name, new)
        assert answer.code == 0, answer.err
        said = answer.out + answer.err
        assert "prediction" in said
        assert ("prediction_sales+2" if name == "series" else "'zebra'") in said
