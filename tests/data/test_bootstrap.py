"""Bootstrap resamples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from limpid.data.bootstrap import bootstrap_index, resample
from limpid.data.dataset import ResidentRows, Split


@pytest.mark.spec("A40", "G9")
def test_a_resample_holds_63_percent_of_the_distinct_rows() -> None:
    N = 20_000
    index_N = bootstrap_index(N, seed=3)
    share = len(index_N.unique()) / N
    assert abs(share - (1 - math.exp(-1))) < 4 * 0.31 / math.sqrt(N)  # four standard deviations
    assert torch.equal(index_N, bootstrap_index(N, seed=3))
    assert not torch.equal(index_N, bootstrap_index(N, seed=4))


class Streamed:
    """Rows that are read when asked for."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index_B: Tensor) -> tuple[Tensor, ...]:
        return (self.x[index_B],)


@pytest.mark.parametrize("resident", [True, False])
def test_rows_targets_and_names_stay_together(resident: bool) -> None:
    x = torch.arange(50.0).reshape(25, 2)
    split = Split(
        rows=ResidentRows((x,)) if resident else Streamed(x),
        target=torch.arange(25) * 10,
        origin=[f"file{i}" for i in range(25)],
        index=torch.arange(25) + 100,
    )
    index_N = bootstrap_index(25, seed=0)
    again = resample(split, index_N)
    assert len(again) == len(again.rows) == 25
    for i, row in enumerate(index_N.tolist()):
        assert torch.equal(again.rows.take(torch.tensor([i]))[0], x[[row]])
        assert again.target[i] == 10 * row
        assert again.name_of(i) == f"file{row}"
        assert again.index is not None
        assert again.index[i] == 100 + row
