"""Windows and padding against Python loops, and padded batches against single sequences."""

import time

import pytest
import torch
from torch import nn

from limpid.data.dataset import Split
from limpid.data.loader import Loader
from limpid.data.shuffle import group_by_length
from limpid.data.windows import PaddedRows, SeriesWindows, TokenWindows, end_to_end
from limpid.errors import DataError

CPU = torch.device("cpu")


def ragged(num=37, features=3, longest=11):
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(1, longest + 1, (num,), generator=generator).tolist()
    return [torch.randn(length, features, generator=generator) for length in lengths]


@pytest.mark.parametrize("stride", [1, 3, 5, 8])
def test_token_windows_are_slices(stride):
    stream = torch.arange(40) * 7 % 31
    rows = TokenWindows(stream, context=5, stride=stride)
    expected = [(stream[i : i + 5], stream[i + 1 : i + 6]) for i in range(0, len(stream) - 5, stride)]
    assert len(rows) == len(expected)
    index = torch.randperm(len(rows))
    tokens, lengths = rows.take(index)
    assert torch.equal(tokens, torch.stack([expected[i][0] for i in index]))
    assert torch.equal(rows.targets(index), torch.stack([expected[i][1] for i in index]))
    assert lengths.tolist() == [5] * len(rows)


def test_a_stream_shorter_than_its_window_is_refused():
    with pytest.raises(DataError, match="5 tokens are too few for a context of 5"):
        TokenWindows(torch.arange(5), context=5, stride=1)


def test_series_windows_are_slices():
    series = torch.randn(30, 2)
    ends = torch.tensor([4, 29, 11, 12])
    x, lengths = SeriesWindows(series, ends, window=5).take(torch.tensor([3, 0, 1]))
    assert torch.equal(x, torch.stack([series[8:13], series[0:5], series[25:30]]))
    assert x.is_contiguous()
    assert lengths.tolist() == [5, 5, 5]


@pytest.mark.parametrize("longest", [None, 20])
def test_padding_puts_zeros_behind_each_sequence(longest):
    sequences = ragged()
    flat, lengths = end_to_end(sequences)
    numbers = torch.tensor([5, 36, 0, 7])
    x, length = PaddedRows(flat, lengths, numbers_N=numbers, longest=longest).take(torch.tensor([2, 1, 3]))
    wanted = [sequences[i] for i in (0, 36, 7)]
    assert x.shape == (3, longest or max(map(len, wanted)), 3)
    assert length.tolist() == list(map(len, wanted))
    for row, sequence in zip(x, wanted, strict=True):
        assert torch.equal(row[: len(sequence)], sequence)
        assert not row[len(sequence) :].any()
    assert torch.equal(flat, torch.cat(sequences))  # the store is left as it was


def test_padded_tokens_are_int64():
    x, _ = PaddedRows(torch.tensor([5, 6, 7], dtype=torch.int32), torch.tensor([1, 2])).take(torch.tensor([0, 1]))
    assert x.dtype == torch.int64
    assert x.tolist() == [[5, 0], [6, 7]]


@pytest.mark.spec("F19")
@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_padded_batch_gives_what_single_sequences_give(cell):
    torch.manual_seed(0)
    sequences = ragged()
    network = cell(3, 8, batch_first=True).double()
    flat, lengths = end_to_end(sequences)
    target = torch.arange(len(sequences))
    split = Split(PaddedRows(flat, lengths), target)
    loader = Loader(split, batch_size=8, seed=1, shuffle=True, device=CPU)
    seen = []
    with torch.no_grad():
        for batch in loader.epoch(0):
            x, length = batch.inputs
            packed = nn.utils.rnn.pack_padded_sequence(x.double(), length, batch_first=True, enforce_sorted=False)
            outputs, _ = nn.utils.rnn.pad_packed_sequence(network(packed)[0], batch_first=True)
            for row, n, num in zip(outputs, batch.target.tolist(), length.tolist(), strict=True):
                alone, _ = network(sequences[n].double()[None])
                assert num == len(sequences[n])
                assert torch.allclose(row[:num], alone[0], rtol=0, atol=1e-14)
                seen.append(n)
    assert sorted(seen) == target.tolist()


@pytest.mark.spec("F19")
def test_batches_of_training_hold_sequences_of_like_length():
    generator = torch.Generator().manual_seed(5)
    lengths = torch.randint(1, 200, (2000,), generator=generator)
    rows = PaddedRows(torch.zeros(int(lengths.sum()), 1), lengths)
    loader = Loader(Split(rows, torch.zeros(2000)), batch_size=16, seed=0, shuffle=True, device=CPU)
    first = [batch.index for batch in loader.epoch(0)]
    assert sorted(torch.cat(first).tolist()) == list(range(2000))
    filled = sum(len(index) * int(lengths[index].max()) for index in first)
    by_chance = sum(len(index) * int(lengths[index].max()) for index in torch.randperm(2000).split(16))
    assert filled < 1.08 * lengths.sum()
    assert by_chance > 1.7 * lengths.sum()
    assert {tuple(index.tolist()) for index in first} != {tuple(batch.index.tolist()) for batch in loader.epoch(1)}
    again = [batch.index for batch in loader.epoch(0, start=40)]
    assert all(torch.equal(a, b) for a, b in zip(first[40:], again, strict=True))


def test_grouping_is_a_permutation_whose_small_batch_is_last():
    lengths = torch.tensor([5, 1, 4, 2, 3, 9, 7])
    order = group_by_length(torch.tensor([6, 5, 4, 3, 2, 1, 0]), lengths, 3, seed=1)
    assert sorted(order.tolist()) == list(range(7))
    assert order[6:].tolist() == [5]
    assert {tuple(sorted(order[i : i + 3].tolist())) for i in (0, 3)} == {(1, 3, 4), (0, 2, 6)}


def test_windows_come_in_the_order_of_the_epoch_from_any_batch_on():
    stream = torch.arange(1000)
    rows = TokenWindows(stream, context=8, stride=8)
    loader = Loader(Split(rows, rows.targets_NT), batch_size=10, seed=2, shuffle=True, device=CPU)
    batches = list(loader.epoch(3))
    assert len(batches) == loader.num_batches
    assert sorted(torch.cat([batch.index for batch in batches]).tolist()) == list(range(len(rows)))
    for batch in batches:
        assert torch.equal(batch.inputs[0][:, 0], batch.index * 8)
        assert torch.equal(batch.target, batch.inputs[0] + 1)
    later = list(loader.epoch(3, start=5))
    assert all(torch.equal(a.target, b.target) for a, b in zip(batches[5:], later, strict=True))
    plain = list(Loader(Split(rows, rows.targets_NT), batch_size=10, seed=2, shuffle=False, device=CPU).epoch(0))
    assert torch.equal(torch.cat([batch.index for batch in plain]), torch.arange(len(rows)))


@pytest.mark.slow
def test_a_batch_of_windows_costs_well_under_100_microseconds():
    rows = TokenWindows(torch.randint(0, 65, (1_000_000,)), context=64, stride=1)
    loader = Loader(Split(rows, rows.targets_NT), batch_size=12, seed=0, shuffle=True, device=CPU)

    def measure():
        batches = loader.epoch(0)
        next(batches)
        start = time.perf_counter()
        for _ in range(500):
            next(batches)
        return (time.perf_counter() - start) / 500

    assert min(measure() for _ in range(5)) < 60e-6
