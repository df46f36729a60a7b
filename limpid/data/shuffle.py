"""Randomness as a function of (seed, epoch, index): no state, so any point of any epoch can be reached directly.

Shapes: N rows of a split, B rows of a batch, M random numbers per row.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

# The odd 64-bit constants of splitmix64 (Steele, Lea, Flood 2014), as the signed integers that torch works with.
GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
MIX_2 = 0x94D049BB133111EB - (1 << 64)

# Batches that are sorted by length together: fifty leave a few per cent of padding and an order that is nearly random.
LENGTH_POOL = 50


def derive_seed(seed: int, *stream: int | str) -> int:
    """A seed of its own for each named stream of random numbers: 63 bits of a hash, never negative.

    >>> derive_seed(0, "order", 1) == derive_seed(0, "order", 1) != derive_seed(0, "order", 2)
    True
    """
    text = "/".join(str(part) for part in (int(seed), *stream))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def epoch_order(num_rows: int, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits the rows: a permutation, int64 (N,), on the CPU."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(num_rows, generator=generator)


def group_by_length(order_N: Tensor, lengths_N: Tensor, batch_size: int, seed: int) -> Tensor:
    """The order with rows of like length side by side, so that the padding of a batch is short.

    Every `LENGTH_POOL` batches of the order are sorted by length, and cut into batches that are shuffled among
    themselves; which rows meet still changes from epoch to epoch. A last, smaller batch stays the last.
    """
    generator = torch.Generator().manual_seed(seed)
    pieces = []
    for pool in order_N.split(LENGTH_POOL * batch_size):
        batches = list(pool[lengths_N[pool].argsort(stable=True)].split(batch_size))
        last = [batches.pop()] if len(batches[-1]) < batch_size else []
        shuffled = torch.randperm(len(batches), generator=generator).tolist()
        pieces += [batches[i] for i in shuffled] + last
    return torch.cat(pieces) if pieces else order_N


def uniforms(seed: int, epoch: int, index_B: Tensor, num: int) -> Tensor:
    """`num` random numbers per row, a function of (seed, epoch, index, column) alone.

        u(i, m) = mix(mix(key + i golden) + (m + 1) golden) >> 40, times 2^-24

    with splitmix64's `mix` and a key hashed from seed and epoch. Integer arithmetic modulo 2^64 throughout, so every
    device gives the same bits, whatever else is in the batch.

    Returns:
        float32 (B, num) in [0, 1), in steps of 2^-24, on the device of `index_B`.
    """
    key = derive_seed(seed, "row", epoch)
    row_B1 = _mix(index_B.to(torch.int64).unsqueeze(1) * GOLDEN + key)
    column_M = torch.arange(1, num + 1, device=index_B.device) * GOLDEN
    bits_BM = _mix(row_B1 + column_M)
    return _shift(bits_BM, 40).to(torch.float32) * 2.0**-24


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * MIX_1
    z = (z ^ _shift(z, 27)) * MIX_2
    return z ^ _shift(z, 31)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical shift to the right; torch's own keeps the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
