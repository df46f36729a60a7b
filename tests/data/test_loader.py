import threading
import time

import pytest
import torch

from limpid.data.dataset import ResidentRows, Split
from limpid.data.loader import Loader
from limpid.data.shuffle import epoch_order
from limpid.errors import DataError

CPU = torch.device("cpu")


class SlowRows:
    """Rows that are not resident: they are handed out one batch at a time."""

    def __init__(self, *tensors, bad=(), error=None):
        self.tensors = tensors
        self.bad = set(bad)
        self.error = error or OSError("disk gone")
        self.calls = 0

    def __len__(self):
        return len(self.tensors[0])

    def take(self, index_B):
        self.calls += 1
        if self.bad & set(index_B.tolist()):
            raise self.error
        return tuple(tensor[index_B] for tensor in self.tensors)


def tensors_of(kind, n=23):
    generator = torch.Generator().manual_seed(1)
    return {
        "image": (torch.randint(0, 256, (n, 3, 4, 6), dtype=torch.uint8, generator=generator),),
        "odd": (torch.randint(0, 256, (n, 1, 3, 3), dtype=torch.uint8, generator=generator),),
        "vector": (torch.randn(n, 5, generator=generator),),
        "table": (
            torch.randn(n, 3, generator=generator),
            torch.randint(0, 9, (n, 2), generator=generator),
        ),
        "half": (torch.randn(n, 4, 2, generator=generator).half(),),
    }[kind]


def collect(loader, epoch=0, start=0):
    return list(loader.epoch(epoch, start))


def same(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert len(a.inputs) == len(b.inputs)
        assert all(torch.equal(x, y) and x.dtype == y.dtype for x, y in zip(a.inputs, b.inputs, strict=True))
        assert torch.equal(a.target, b.target)
        assert torch.equal(a.index, b.index)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", ["image", "odd", "vector", "table", "half"])
def test_batches_equal_plain_indexing(kind, shuffle, channels_last):
    tensors = tensors_of(kind)
    target = torch.arange(23) * 10
    split = Split(ResidentRows(tensors), target)
    loader = Loader(split, batch_size=5, seed=7, shuffle=shuffle, device=CPU, channels_last=channels_last)
    order = epoch_order(23, 7, 3) if shuffle else torch.arange(23)
    batches = collect(loader, epoch=3)
    assert len(batches) == loader.num_batches == 5
    for number, batch in enumerate(batches):
        index = order[number * 5 : number * 5 + 5]
        assert torch.equal(batch.index, index)
        assert torch.equal(batch.target, target[index])
        for got, tensor in zip(batch.inputs, tensors, strict=True):
            assert got.dtype == tensor.dtype
            assert torch.equal(got, tensor[index])
            if got.ndim == 4 and channels_last:
                assert got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", ["image", "table"])
def test_streaming_gives_the_same_batches(kind, shuffle):
    tensors = tensors_of(kind)
    target = torch.arange(23)

    def loader(rows):
        return Loader(Split(rows, target), batch_size=4, seed=2, shuffle=shuffle, device=CPU, channels_last=True)

    same(collect(loader(ResidentRows(tensors)), 1), collect(loader(SlowRows(*tensors)), 1))


@pytest.mark.parametrize("make", [ResidentRows, lambda tensors: SlowRows(*tensors)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_start_is_a_seek(make, shuffle):
    rows = make(tensors_of("vector"))
    loader = Loader(Split(rows, torch.arange(23)), batch_size=4, seed=0, shuffle=shuffle, device=CPU)
    same(collect(loader, 2)[3:], collect(loader, 2, start=3))
    assert collect(loader, 2, start=6) == []
    if isinstance(rows, SlowRows):
        rows.calls = 0
        collect(loader, 2, start=4)
        assert rows.calls == 2


def test_sliced_batches_are_views():
    (x,) = tensors_of("vector")
    loader = Loader(Split(ResidentRows((x,)), torch.arange(23)), batch_size=4, seed=0, shuffle=False, device=CPU)
    assert next(loader.epoch(0)).inputs[0].data_ptr() == x.data_ptr()


def test_drop_last():
    split = Split(ResidentRows(tensors_of("vector")), torch.arange(23))
    loader = Loader(split, batch_size=5, seed=0, shuffle=True, device=CPU, drop_last=True)
    assert loader.num_batches == len(collect(loader)) == 4
    assert all(len(batch.target) == 5 for batch in collect(loader))
    only = Loader(split, batch_size=50, seed=0, shuffle=True, device=CPU, drop_last=True)
    assert only.num_batches == len(collect(only)) == 1


def test_every_row_comes_once_and_epochs_differ():
    split = Split(ResidentRows(tensors_of("vector")), torch.arange(23))
    loader = Loader(split, batch_size=5, seed=0, shuffle=True, device=CPU)
    first = torch.cat([batch.index for batch in loader.epoch(0)])
    second = torch.cat([batch.index for batch in loader.epoch(1)])
    assert torch.equal(first.sort().values, torch.arange(23))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("make", [ResidentRows, lambda tensors: SlowRows(*tensors)])
def test_augment_sees_batch_index_and_epoch(make):
    calls = []

    def augment(inputs, target, index, epoch):
        calls.append((index.tolist(), epoch))
        return tuple(x + 1 for x in inputs), target * 2

    tensors = tensors_of("vector")
    split = Split(make(tensors), torch.arange(23))
    loader = Loader(split, batch_size=9, seed=0, shuffle=True, device=CPU, augment=augment)
    for batch in loader.epoch(4):
        assert torch.equal(batch.inputs[0], tensors[0][batch.index] + 1)
        assert torch.equal(batch.target, batch.index * 2)
    assert [epoch for _, epoch in calls] == [4, 4, 4]


def reader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("limpid-read")]


@pytest.mark.parametrize("augment", [None, lambda inputs, target, index, epoch: (inputs, target)])
def test_closing_early_ends_the_readers(augment):
    rows = SlowRows(*tensors_of("vector", 1000))
    loader = Loader(Split(rows, torch.arange(1000)), batch_size=2, seed=0, shuffle=True, device=CPU, augment=augment)
    batches = loader.epoch(0)
    next(batches)
    assert reader_threads()
    batches.close()
    time.sleep(0.05)
    assert not reader_threads()
    assert rows.calls < 10


def test_an_unreadable_row_is_named():
    rows = SlowRows(*tensors_of("vector"), bad=[13])
    split = Split(rows, torch.arange(23), origin=[f"photo {i}.png" for i in range(23)])
    loader = Loader(split, batch_size=4, seed=0, shuffle=True, device=CPU)
    with pytest.raises(DataError, match=r"photo 13\.png could not be read: disk gone"):
        collect(loader)
    assert not reader_threads()


def test_a_data_error_passes_unchanged():
    rows = SlowRows(*tensors_of("vector"), bad=[1], error=DataError("a clear message"))
    loader = Loader(Split(rows, torch.arange(23)), batch_size=4, seed=0, shuffle=False, device=CPU)
    with pytest.raises(DataError, match="^a clear message$"):
        collect(loader)
