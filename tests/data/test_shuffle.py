import torch

from limpid.data.shuffle import derive_seed, epoch_order, uniforms

MASK = (1 << 64) - 1


def naive_uniform(key: int, i: int, m: int) -> float:
    """splitmix64's finaliser on Python integers."""

    def mix(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    return (mix((mix((i * golden + key) & MASK) + (m + 1) * golden) & MASK) >> 40) / 2**24


def test_uniforms_equal_the_formula_on_plain_integers():
    index = torch.tensor([0, 1, 7, 59_999, 2**40])
    numbers = uniforms(3, 5, index, 4)
    key = derive_seed(3, "row", 5)
    expected = [[naive_uniform(key, i, m) for m in range(4)] for i in index.tolist()]
    assert numbers.dtype == torch.float32
    assert numbers.tolist() == expected


def test_uniforms_look_uniform_and_uncorrelated():
    index = torch.arange(50_000)
    u = uniforms(0, 0, index, 3).double()
    assert u.min() >= 0.0
    assert u.max() < 1.0
    # Five standard errors: sd of the mean is 1/sqrt(12 n), of a correlation 1/sqrt(n).
    n = len(index)
    assert (u.mean(0) - 0.5).abs().max() < 5 / (12 * n) ** 0.5
    assert (u.var(0) - 1 / 12).abs().max() < 5 * (1 / 180 / n) ** 0.5
    other_epoch = uniforms(0, 1, index, 1).double()[:, 0]
    other_seed = uniforms(1, 0, index, 1).double()[:, 0]
    first = u[:, 0]
    pairs = [(first[:-1], first[1:]), (first, u[:, 1]), (first, u[:, 2]), (first, other_epoch), (first, other_seed)]
    for a, b in pairs:
        assert torch.corrcoef(torch.stack([a, b]))[0, 1].abs() < 5 / n**0.5
    counts = torch.histc(first, bins=64, min=0, max=1)
    chi_square = ((counts - n / 64) ** 2 / (n / 64)).sum()
    assert chi_square < 63 + 5 * (2 * 63) ** 0.5


def test_uniforms_do_not_depend_on_the_rest_of_the_batch():
    together = uniforms(1, 2, torch.tensor([4, 9, 2]), 5)
    alone = uniforms(1, 2, torch.tensor([9]), 5)
    fewer = uniforms(1, 2, torch.tensor([9]), 2)
    assert torch.equal(together[1], alone[0])
    assert torch.equal(alone[:, :2], fewer)


def test_order_is_a_permutation_of_its_own_per_epoch_and_seed():
    order = epoch_order(1000, 0, 0)
    assert order.dtype == torch.int64
    assert torch.equal(order.sort().values, torch.arange(1000))
    assert torch.equal(order, epoch_order(1000, 0, 0))
    assert not torch.equal(order, epoch_order(1000, 0, 1))
    assert not torch.equal(order, epoch_order(1000, 1, 0))
    assert epoch_order(0, 0, 0).tolist() == []


def test_order_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    epoch_order(10, 0, 0)
    uniforms(0, 0, torch.arange(3), 2)
    assert torch.equal(before, torch.get_rng_state())


def test_derived_seeds_differ_by_stream():
    seeds = {derive_seed(0, "a"), derive_seed(0, "b"), derive_seed(1, "a"), derive_seed(0, "a", 1), derive_seed(0)}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
