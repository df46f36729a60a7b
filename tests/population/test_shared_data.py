"""Data sets that are laid down and taken up again: the same bits, at one place, whatever their rows are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limpid.config import DataConfig
from limpid.data.bootstrap import bootstrap_index, resample
from limpid.data.dataset import Dataset, GatheredRows, ResidentRows, Split
from limpid.data.pixels import MappedRows
from limpid.data.sources import load_data
from limpid.data.windows import TokenWindows
from limpid.errors import DiskFull
from limpid.population import shared_data
from limpid.population.shared_data import Shelf, pack, unpack


def pictures(folder: Path) -> Path:
    noise = np.random.default_rng(0)
    for kind in ("light", "dark"):
        (folder / kind).mkdir(parents=True)
        for i in range(20):
            pixels = noise.integers(0, 100, (8, 8, 3), dtype=np.uint8) + (100 if kind == "light" else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / kind / f"{i}.png")
    return folder


def rows_of(split: Split) -> list[torch.Tensor]:
    index_N = torch.arange(len(split))
    taken = [*split.rows.take(index_N), split.target]
    own = split.rows.targets(index_N) if isinstance(split.rows, GatheredRows) else None
    return taken if own is None else [*taken, own]


def assert_same(one: Dataset, other: Dataset) -> None:
    assert one.spec == other.spec
    assert one.fingerprint == other.fingerprint
    for left, right in ((one.train, other.train), (one.valid, other.valid)):
        assert left is not None
        assert right is not None
        assert type(left.rows) is type(right.rows)
        assert all(torch.equal(a, b) for a, b in zip(rows_of(left), rows_of(right), strict=True))
        assert [left.name_of(i) for i in range(3)] == [right.name_of(i) for i in range(3)]


def sources(folder: Path) -> dict[str, tuple[object, DataConfig]]:
    walk = np.random.default_rng(1).normal(size=400).cumsum()
    series = folder / "walk.csv"
    series.write_text("v\n" + "\n".join(f"{v:.3f}" for v in walk) + "\n")
    text = folder / "saying.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 60)
    return {
        "resident": ("digits", DataConfig()),
        "series": (series, DataConfig(form="series", window=8, horizon=2)),
        "tokens": (text, DataConfig(form="text", tokens="char", context=16)),
        "mapped": (pictures(folder / "pictures"), DataConfig(memory_share=1e-9)),
    }


@pytest.mark.parametrize("kind", ["resident", "series", "tokens", "mapped"])
def test_laid_data_are_the_same(kind: str, tmp_path: Path) -> None:
    source, config = sources(tmp_path)[kind]
    dataset = load_data(source, config)
    with Shelf() as shelf:
        laid = shelf.lay(dataset)
        assert_same(laid.dataset(), dataset)
        assert shelf.lay(dataset) is laid
        assert laid.dataset().test() is None
        folder = shelf.folder
        assert all(start % 64 == 0 for start, _ in laid.pieces)
    assert not folder.exists()


def test_pictures_on_disk_stay_there(tmp_path: Path) -> None:
    source, config = sources(tmp_path)["mapped"]
    dataset = load_data(source, config)
    assert isinstance(dataset.train.rows, MappedRows)
    with Shelf() as shelf:
        there = shelf.lay(dataset).dataset().train.rows
        assert isinstance(there, MappedRows)
        assert there.pixels.base is not None
        assert not there.pixels.flags.writeable
        assert sum(path.stat().st_size for path in shelf.folder.iterdir()) < dataset.train.rows.pixels.nbytes
    read = unpack(pack(dataset.train, keep_files=False))
    assert type(read.rows.pixels) is np.ndarray
    assert np.array_equal(read.rows.pixels, dataset.train.rows.pixels)


def test_views_share_their_storage() -> None:
    rows = TokenWindows(torch.arange(5000), context=100, stride=1)
    head = pack(rows)
    assert len(head) < 2 * rows.stream_S.nbytes  # all windows written out would take 200 times as much
    again = unpack(head)
    assert again.inputs_NT.data_ptr() == again.stream_S.data_ptr()
    again.stream_S[7] = -1
    assert again.targets_NT[6, 0] == -1


@pytest.mark.parametrize(
    "tensor",
    [
        torch.empty(0, 3),
        torch.tensor(2.5),
        torch.arange(24.0).view(2, 3, 4).permute(2, 0, 1),
        torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        torch.arange(100)[10:20],
        torch.randn(5).bfloat16(),
        torch.ones(3, dtype=torch.bool),
    ],
    ids=["empty", "scalar", "permuted", "channels-last", "slice", "bf16", "bool"],
)
def test_tensors_come_back_as_they_were(tensor: torch.Tensor) -> None:
    again = unpack(pack(tensor))
    assert torch.equal(again, tensor)
    assert (again.dtype, again.stride()) == (tensor.dtype, tensor.stride())


def test_a_writer_changes_its_own_copy_alone() -> None:
    x = torch.zeros(5000, 2)
    split = Split(ResidentRows((x,)), torch.zeros(5000, dtype=torch.int64))
    dataset = Dataset(load_data("moons", DataConfig(size=8)).spec, split, None, lambda: None, "")
    with Shelf() as shelf:
        one, other = (shelf.lay(dataset).dataset().train.rows for _ in range(2))
        assert isinstance(one, ResidentRows)
        assert isinstance(other, ResidentRows)
        one.tensors[0].fill_(1.0)
        assert other.tensors[0].sum() == 0


def test_a_resample_of_laid_rows_is_that_of_the_rows(tmp_path: Path) -> None:
    source, config = sources(tmp_path)["series"]
    train = load_data(source, config).train
    index_N = bootstrap_index(len(train), 3)
    one, other = resample(train, index_N), resample(unpack(pack(train)), index_N)
    assert all(torch.equal(a, b) for a, b in zip(rows_of(one), rows_of(other), strict=True))


def test_no_room_to_share_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_data, "_write", refuse)
    with Shelf() as shelf, pytest.raises(DiskFull, match="No space left on device.*TMPDIR"):
        shelf.lay(load_data("moons", DataConfig()))
