"""One entry for every kind of data, and a useful word for everything else."""

import numpy as np
import polars as pl
import pytest
import torch

from limpid.config import DataConfig
from limpid.data.sources import load_data, named_sources
from limpid.errors import DataError

ROWS = "".join(f"{i % 7},{'uv'[i % 2]}\n" for i in range(40))


def test_every_kind_of_source(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n" + ROWS)
    np.savez(tmp_path / "a.npz", x=np.eye(12), y=np.arange(12) % 2)
    frame = pl.DataFrame({"x": list(range(40)), "y": ["u", "v"] * 20})
    target = DataConfig(target=("y",))
    sources = [
        (str(tmp_path / "t.csv"), target, "table"),
        (tmp_path / "t.csv", target, "table"),
        (tmp_path / "a.npz", DataConfig(), "vector"),
        ("XOR", DataConfig(), "vector"),
        (frame, target, "table"),
        ((frame.drop("y"), frame["y"]), DataConfig(), "table"),
        ((np.eye(12), np.arange(12) % 2), DataConfig(), "vector"),
        ({"x": np.eye(12), "y": np.arange(12) % 2}, DataConfig(), "vector"),
        (torch.utils.data.TensorDataset(torch.eye(12), torch.arange(12) % 2), DataConfig(), "vector"),
    ]
    for source, config, kind in sources:
        dataset = load_data(source, config)
        assert dataset.spec.kind == kind
        assert load_data(dataset, config) is dataset
    assert load_data(np.eye(12), DataConfig(), y=np.arange(12) % 2).spec.num_train == 8


def test_the_seed_decides_the_split():
    splits = [load_data("digits", DataConfig(), seed=seed).train.index for seed in (0, 0, 1)]
    assert (splits[0] == splits[1]).all()
    assert not (splits[0] == splits[2]).all()


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("irs", "Did you mean 'iris'"),
        ("minst", "Did you mean 'mnist'"),
        ("weights.pt", "pickle"),
        ("data.pkl", "never opened"),
        ("nothing/here.csv", "no such file"),
        (3, "A int is not data"),
        (None, "No data given"),
    ],
)
def test_what_is_not_data(source, match):
    with pytest.raises(DataError, match=match):
        load_data(source, DataConfig())


def test_a_mistyped_file_name_is_put_right(tmp_path):
    (tmp_path / "adult.csv").write_text("x,y\n" + ROWS)
    with pytest.raises(DataError, match="Did you mean .*adult.csv"):
        load_data(tmp_path / "adlut.csv", DataConfig())
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises(DataError, match="not read"):
        load_data(tmp_path / "notes.docx", DataConfig())
    with pytest.raises(DataError, match="in memory"):
        load_data("xor", DataConfig(), y=[1, 2])


def test_a_pickle_is_never_opened(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "opened"), "w"))

    for ending in ("pt", "pkl"):
        (tmp_path / f"data.{ending}").write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(DataError, match="never opened"):
            load_data(tmp_path / f"data.{ending}", DataConfig())
    np.save(tmp_path / "data.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="never unpickled"):
        load_data(tmp_path / "data.npy", DataConfig())
    assert not (tmp_path / "opened").exists()


def test_names_are_described():
    assert {"digits", "xor", "mnist"} <= set(named_sources())


def test_images_and_published_sets_go_to_their_readers(tmp_path, monkeypatch):
    calls = []
    iris = load_data("iris", DataConfig())

    def note(name, source, seed):
        calls.append((name, source, seed))
        return iris

    for module, name in (("images", "load_images"), ("idx", "load_idx"), ("named", "load_named")):
        monkeypatch.setattr(
            f"limpid.data.{module}.{name}", lambda source, config, seed, name=name: note(name, source, seed)
        )
    folder, idx = tmp_path / "photos", tmp_path / "digits"
    (folder / "cats").mkdir(parents=True)
    idx.mkdir()
    files = [tmp_path / name for name in ("a.tar", "a.tar.gz", "a.tgz", "a.zip", "labels-ubyte", "images-ubyte.gz")]
    for file in (*files, idx / "train-images-idx3-ubyte"):
        file.write_bytes(b"x")
    for source in (folder, idx, *files, "mnist", "Fashion_MNIST"):
        load_data(source, DataConfig(), seed=7)
    expected = ["load_images", "load_idx", *["load_images"] * 4, "load_idx", "load_idx", "load_named", "load_named"]
    assert [name for name, _, _ in calls] == expected
    assert calls[-1] == ("load_named", "fashion-mnist", 7)
    assert calls[0][1] == folder
