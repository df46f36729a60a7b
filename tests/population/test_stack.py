"""Members trained as one program: each is what it would be alone, and what happens to one is no other's affair."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.errors import Stopped
from limpid.population.ground import Ground
from limpid.population.host import Listed
from limpid.population.lobby import Lobby
from limpid.population.member import Member, Outcome
from limpid.population.one_by_one import train_one_by_one
from limpid.population.stack import train_stacked
from limpid.training.signals import StopRequest

MOONS = {"data__source": "moons", "data__size": 240, "model__name": "mlp", "model__hidden": (16, 8), "epochs": 3}
DIGITS = {"data__source": "digits", "model__name": "mlp", "model__hidden": (16, 12), "epochs": 2, "batch_size": 64}

# Sums are taken in another order, which a float32 step feels in its seventh digit. Over the few dozen steps here that
# grows to less than this, of weights of about 1 and of figures of about 1.
CLOSE = 2e-4


def member(number: int, bootstrap: int | None = None, **options: Any) -> Member:
    return Member(number, with_options(Config(), {"training__threads": 1} | options), bootstrap=bootstrap)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground()


def trained(members: list[Member], ground: Ground, way: Any = train_stacked) -> dict[int, Outcome]:
    host = Listed(members)
    way(host, ground)
    return host.outcomes


def assert_same(one: Outcome, other: Outcome, *, weights: float = CLOSE) -> None:
    """Equal in all that is counted, and close in all that is measured."""
    for name in ("number", "state", "reason", "monitor", "best_epoch", "best_step", "epochs", "steps"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.figures == pytest.approx(other.figures, abs=CLOSE)
    assert one.valid.keys() == other.valid.keys()
    for name, value in one.valid.items():
        assert other.valid[name] == pytest.approx(value, abs=CLOSE, nan_ok=True), name
    assert [sorted(row) for row in one.rows] == [sorted(row) for row in other.rows]
    for row, twin in zip(one.rows, other.rows, strict=True):
        assert {k: row[k] for k in ("split", "step", "epoch")} == {k: twin[k] for k in ("split", "step", "epoch")}
        assert twin.get("lr", 0.0) == pytest.approx(row.get("lr", 0.0), rel=1e-9)
        assert twin["loss"] == pytest.approx(row["loss"], abs=CLOSE)
    if one.weights is None or other.weights is None:
        assert one.weights is other.weights
        return
    assert list(one.weights) == list(other.weights)
    for name, tensor in one.weights.items():
        torch.testing.assert_close(other.weights[name], tensor, rtol=0.0, atol=weights)


def several(base: dict[str, Any], key: str, values: list[Any], **more: Any) -> list[Member]:
    return [member(i, **(base | more | {"seed": i, key: value})) for i, value in enumerate(values)]


POPULATIONS = {
    "seeds": several(MOONS, "seed", [0, 1, 2, 3]),
    "rates": several(DIGITS, "lr", [1e-3, 3e-3, 1e-2]),
    "decay": several(DIGITS, "optim__weight_decay", [0.0, 0.01, 0.3]),
    "decay of all": several(MOONS, "optim__decay_all", [True, False], optim__weight_decay=0.1),
    "epochs": several(MOONS, "epochs", [1, 2, 5]),
    "dropout": several(DIGITS, "model__dropout", [0.0, 0.2, 0.5]),
    "batch norm": several(MOONS, "model__norm", ["batch", "batch"]),
    "layer norm": several(MOONS, "model__norm", ["layer", "layer"]),
    "activations": several(MOONS, "model__activation", ["tanh", "tanh"]) + [member(2, **MOONS)],
    "maxout": several(MOONS, "model__activation", ["maxout", "maxout"]),
    "first weights": several(MOONS, "model__init", ["normal(0, 0.1)", None, "orthogonal"]),
    "optimisers": several(MOONS, "optim__name", ["sgd", "adam", "adamw", "rmsprop", "lion"]),
    "momentum": several(MOONS, "optim__momentum", [0.0, 0.5, 0.9], optim__name="sgd", optim__weight_decay=0.01),
    "betas": several(MOONS, "optim__betas", [(0.9, 0.999), (0.5, 0.9)], optim__name="adam", optim__weight_decay=0.01),
    "schedules": several(MOONS, "optim__schedule", ["constant", "cosine", "one_cycle"]),
    "clipping": several(MOONS, "optim__clip_norm", [None, 0.05, 0.5]),
    "accumulation": several(MOONS, "optim__accumulate", [2, 2]),
    "penalties": several(MOONS, "regularize__l1", [0.0, 1e-3]),
    "smoothing": several(DIGITS, "objective__label_smoothing", [0.0, 0.1]),
    "last weights": several(MOONS, "training__restore_best", [False, True], lr=0.1),
    "rare evaluation": several(MOONS, "training__evaluate_every", [1, 3]),
    "accuracy": several(DIGITS, "training__monitor", ["accuracy", "loss"]),
    "bootstraps": [member(i, bootstrap=i, **MOONS) for i in range(3)],
    "batches": several(MOONS, "batch_size", [8, 16, 8]),
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_each_is_what_it_would_be_alone(name: str, ground: Ground) -> None:
    members = POPULATIONS[name]
    alone, stacked = trained(members, ground, train_one_by_one), trained(members, ground)
    for one in members:
        assert_same(alone[one.number], stacked[one.number])


def test_a_table_with_categories_and_bins(tmp_path) -> None:
    generator = torch.Generator().manual_seed(0)
    x_N2 = torch.randn(4000, 2, generator=generator)
    colour_N = torch.randint(5, (4000,), generator=generator)
    kind = (x_N2[:, 0] + (colour_N > 2) > 0.5).tolist()
    rows = zip(x_N2.tolist(), colour_N.tolist(), kind, strict=True)
    text = "\n".join(["a,b,colour,kind", *(f"{a},{b},c{c},{'yes' if k else 'no'}" for (a, b), c, k in rows)])
    (tmp_path / "t.csv").write_text(text)
    options = {"data__source": str(tmp_path / "t.csv"), "data__target": ("kind",), "epochs": 1, "batch_size": 256}
    members = [member(i, seed=i, model__hidden=(16,), **options) for i in range(3)]
    ground = Ground()
    alone, stacked = trained(members, ground, train_one_by_one), trained(members, ground)
    weights = alone[0].weights
    assert weights is not None
    assert {"body.embedding.weight", "body.numbers.weight"} <= weights.keys()
    for one in members:
        assert_same(alone[one.number], stacked[one.number])


def test_numbers_as_targets() -> None:
    generator = torch.Generator().manual_seed(0)
    x_NF = torch.randn(300, 4, generator=generator)
    y_N = x_NF[:, 0] * 3 + x_NF[:, 1].square() + 10
    ground = Ground(x_NF.numpy(), y_N.numpy())
    members = [member(i, seed=i, epochs=3, lr=10.0**-i, model__hidden=(8,)) for i in range(1, 4)]
    alone, stacked = trained(members, ground, train_one_by_one), trained(members, ground)
    for one in members:
        assert {"r2", "rmse", "mae"} <= alone[one.number].valid.keys()
        assert_same(alone[one.number], stacked[one.number])


def test_half_precision(ground: Ground) -> None:
    """bfloat16 keeps eight bits, so that sums in another order differ in the third digit."""
    members = several(MOONS, "lr", [1e-3, 3e-3], training__precision="bf16")
    alone, stacked = trained(members, ground, train_one_by_one), trained(members, ground)
    for one in members:
        assert stacked[one.number].figures == pytest.approx(alone[one.number].figures, abs=0.02)


def test_neighbours_do_not_matter(ground: Ground) -> None:
    """The same member among others, in another place of a stack of the same width."""
    others = [member(i, seed=i, lr=0.01 * i, model__dropout=0.3, **MOONS) for i in range(1, 5)]
    one = member(0, seed=9, lr=0.02, model__dropout=0.1, **MOONS)
    first, last = trained([one, *others], ground), trained([*(member(8, seed=3, **MOONS),), *others[:3], one], ground)
    a, b = first[0].weights, last[0].weights
    assert a is not None
    assert b is not None
    for name in a:  # a number that ends a vector register in one place and begins one in another is rounded otherwise
        torch.testing.assert_close(a[name], b[name], rtol=0.0, atol=1e-6)


def test_one_that_diverges_fails_alone(ground: Ground) -> None:
    """Its reason is the lone loop's; its neighbours are what they are beside a healthy member."""
    lost = member(1, seed=1, lr=1e30, optimizer="sgd", **DIGITS)
    healthy = [member(i, seed=i, **DIGITS) for i in range(3)]
    alone = trained([lost], ground, train_one_by_one)[1]
    with_it, without = trained([healthy[0], lost, healthy[2]], ground), trained(healthy, ground)
    assert with_it[1].state == "failed"
    assert "NaN or infinite after step 1." in with_it[1].reason
    assert with_it[1].reason == alone.reason
    assert (with_it[1].weights, with_it[1].epochs) == (None, 0)
    for number in (0, 2):
        a, b = with_it[number].weights, without[number].weights
        assert a is not None
        assert b is not None
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=0.0, atol=1e-6)


def test_validation_that_is_not_finite_is_a_failure() -> None:
    """Inputs so large that a squared error of the validation rows overflows, where no training row does."""
    x_NF = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    ground = Ground(x_NF.numpy(), x_NF[:, 0].numpy())
    dataset = ground.dataset(member(0).config)
    assert dataset.valid is not None
    dataset.valid.target.fill_(1e30)
    members = [member(i, seed=i, epochs=2, model__hidden=(4,)) for i in range(2)]
    alone, stacked = trained(members, ground, train_one_by_one), trained(members, ground)
    for one in members:
        assert stacked[one.number].state == "failed"
        assert stacked[one.number].reason == alone[one.number].reason


def test_one_that_cannot_be_built_or_stacked(ground: Ground) -> None:
    members = [
        member(0, **(MOONS | {"model__norm": "batch", "batch_size": 1})),
        member(1, optim__ema=0.9, **MOONS),
        member(2, **MOONS),
    ]
    alone, stacked = trained(members, ground, train_one_by_one), trained(members, ground)
    assert [stacked[i].state for i in range(3)] == ["failed", "finished", "finished"]
    for one in members:
        assert_same(alone[one.number], stacked[one.number])


def test_patience_ends_one_and_not_the_others(ground: Ground) -> None:
    options = MOONS | {"epochs": 12, "lr": 0.05, "optimizer": "sgd", "training__min_delta": 0.02}
    members = [member(0, patience=1, **options), member(1, patience=0, **options), member(2, patience=2, **options)]
    alone, stacked = trained(members, ground, train_one_by_one), trained(members, ground)
    assert stacked[0].reason == "early stopping"
    assert stacked[0].epochs < stacked[1].epochs == 12
    for one in members:
        assert_same(alone[one.number], stacked[one.number])


class Watching(Listed):
    """Prunes what it is told to, and remembers who was in training together."""

    def __init__(self, members: list[Member], pruned: tuple[int, ...] = ()) -> None:
        super().__init__(members)
        self.pruned = pruned
        self.heard: list[tuple[int, int]] = []

    def epochs(self, told: Any) -> list[bool]:
        return [self.epoch(*one) for one in told]

    def epoch(self, member: Member, row: Mapping[str, Any], valid_row: Mapping[str, Any] | None) -> bool:
        self.heard.append((member.number, row["epoch"]))
        return member.number not in self.pruned


def test_places_that_become_free_are_given_away(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.population.lobby.MOST_WIDTH", 3)
    monkeypatch.setattr("limpid.population.lobby.LEAST_WIDTH", 3)
    members = [member(i, seed=i, **(MOONS | {"epochs": 2 + i % 3})) for i in range(8)]
    host = Watching(members, pruned=(1, 4))
    train_stacked(host, ground)
    alone = trained(members, ground, train_one_by_one)
    assert host.heard[:6] == [(0, 1), (1, 1), (2, 1), (0, 2), (3, 1), (2, 2)]  # 3 has the place of 1
    for number, outcome in host.outcomes.items():
        if number in host.pruned:
            assert (outcome.state, outcome.reason, outcome.weights) == ("pruned", "let go after epoch 1", None)
        else:
            assert_same(alone[number], outcome)


def test_a_host_that_waits_for_answers_is_asked_again(ground: Ground) -> None:
    class Adaptive(Listed):
        """One member at a time: each after the outcome of the last."""

        busy = False

        def next(self) -> Member | None:
            if self.busy:
                return None
            found = super().next()
            self.busy = found is not None
            return found

        def done(self, member: Member, outcome: Outcome) -> None:
            super().done(member, outcome)
            self.busy = False

    host = Adaptive([member(i, seed=i, **MOONS) for i in range(3)])
    train_stacked(host, ground)
    assert sorted(host.outcomes) == [0, 1, 2]


def test_a_request_to_stop_is_heard(ground: Ground) -> None:
    stop = StopRequest()

    class Interrupted(Listed):
        def epochs(self, told: Any) -> list[bool]:
            return [self.epoch(*one) for one in told]

        def epoch(self, member: Member, row: Mapping[str, Any], valid_row: Mapping[str, Any] | None) -> bool:
            if row["epoch"] == 2:
                stop.requested = "SIGINT"
            return True

    host = Interrupted([member(i, seed=i, **(MOONS | {"epochs": 1 + 3 * i})) for i in range(3)])
    state = torch.get_rng_state()
    with pytest.raises(Stopped, match=r"Stopped by SIGINT; 2 member\(s\) in training were given up"):
        train_stacked(host, ground, stop=stop)
    assert list(host.outcomes) == [0]
    assert torch.equal(torch.get_rng_state(), state)


def test_nobody_is_nobody(ground: Ground) -> None:
    assert trained([], ground) == {}


def test_widths_follow_the_weights(ground: Ground) -> None:
    small, large = member(0, **MOONS), member(1, **(MOONS | {"model__hidden": (256, 256)}))
    lobby = Lobby(Listed([small, large]), ground)
    assert lobby.ask()
    assert sorted(company.width for company in lobby.companies.values()) == [8, 64]


def test_seconds_are_shared(ground: Ground) -> None:
    outcomes = trained([member(i, seed=i, **MOONS) for i in range(4)], ground)
    seconds = [outcome.seconds for outcome in outcomes.values()]
    assert min(seconds) > 0
    assert math.isclose(min(seconds), max(seconds))
