"""The loop against a plain one written out here, and its promises: resume, best weights, early stop, NaN, stop."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from limpid.data.dataset import ResidentRows, Split
from limpid.data.loader import Loader
from limpid.errors import NonFiniteLoss, Stopped
from limpid.optim.averaging import WeightAverage
from limpid.training.checkpoint import TrainingState
from limpid.training.loop import Parts, Plan, accumulation_weight, fit
from limpid.training.signals import StopRequest
from limpid.training.step import train_step

CPU = torch.device("cpu")


class CrossEntropy:
    """A classifier's objective, as small as one can be."""

    def keep(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return outputs

    def kept_loss(self, kept: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.loss(kept, target)

    def loss(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs, target)

    def metrics(self, outputs: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
        return {"accuracy": (outputs.argmax(1) == target).double().mean().item()}


class Rows:
    """A recorder and an observer at once."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, kind: str, **fields: Any) -> None:
        self.rows.append({"kind": kind, **fields})

    def step(self, step: int, loss: float) -> None: ...
    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None: ...

    def of(self, split: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row.get("split") == split]


def make_split(num_rows: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_rows, 6, generator=generator)
    y = (x[:, 0] * x[:, 1] > 0).long() + (x[:, 2] > 0.5).long()
    return Split(ResidentRows((x,)), y, index=torch.arange(num_rows))


def make_parts(*, batch_size: int = 16, ema: float | None = None, valid: bool = True, lr: float = 0.05) -> Parts:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    train, held_out = make_split(90, 0), make_split(60, 1)
    return Parts(
        model=model,
        objective=CrossEntropy(),
        optimizer=torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9),
        schedule=lambda step: 1.0 / (1 + step / 20),
        train=Loader(train, batch_size=batch_size, seed=3, shuffle=True, device=CPU),
        valid=Loader(held_out, batch_size=64, seed=0, shuffle=False, device=CPU) if valid else None,
        average=None if ema is None else WeightAverage(model, ema),
        name_of=train.name_of,
    )


def plan(**changes: Any) -> Plan:
    return Plan(**{"num_epochs": 4, "num_steps": 10**9, "device": CPU, "precision": "float32", **changes})


def snapshot(state: TrainingState) -> TrainingState:
    return copy.deepcopy(state)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_equals_a_plain_loop_bit_for_bit() -> None:
    parts = make_parts(valid=False)
    torch.manual_seed(7)
    recorded = Rows()
    fit(parts, plan(log_every=1), recorded, recorded)

    twin = make_parts(valid=False)
    torch.manual_seed(7)
    losses = []
    twin.model.train()
    for epoch in range(4):
        for batch in twin.train.epoch(epoch):
            for group in twin.optimizer.param_groups:
                group["lr"] = 0.05 * twin.schedule(len(losses))
            loss = nn.functional.cross_entropy(twin.model(*batch.inputs), batch.target)
            loss.backward()
            twin.optimizer.step()
            twin.optimizer.zero_grad()
            losses.append(loss.item())
    assert [row["loss"] for row in recorded.of("train_step")] == losses
    assert [row["step"] for row in recorded.of("train_step")] == list(range(1, len(losses) + 1))
    assert same(parts.model.state_dict(), twin.model.state_dict())


@pytest.mark.spec("O1")
def test_epoch_loss_is_the_sample_weighted_mean_of_its_batches() -> None:
    parts = make_parts(batch_size=40, valid=False)  # batches of 40, 40 and 10
    recorded = Rows()
    fit(parts, plan(num_epochs=1), recorded, recorded)
    steps = [row["loss"] for row in recorded.of("train_step")]
    expected = (40 * steps[0] + 40 * steps[1] + 10 * steps[2]) / 90
    assert recorded.of("train")[0]["loss"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("every", [1, 4, 6])
def test_resuming_any_checkpoint_gives_the_same_bits(every: int, ema: float | None) -> None:
    states: list[TrainingState] = []
    parts = make_parts(ema=ema)
    torch.manual_seed(5)
    whole = Rows()
    fit(
        parts,
        plan(checkpoint_steps=every, patience=0),
        whole,
        whole,
        save=lambda state: states.append(snapshot(state)),
    )
    final = parts.model.state_dict()
    for state in states:
        resumed = make_parts(ema=ema)
        torch.manual_seed(99)  # what the generator held before a resume must not matter
        rows = Rows()
        fit(resumed, plan(checkpoint_steps=every), rows, rows, resume=snapshot(state))
        assert same(resumed.model.state_dict(), final), f"differs when resumed at step {state.progress['step']}"
        expected = [row["loss"] for row in whole.of("valid") if row["epoch"] > state.progress["epoch"]]
        assert [row["loss"] for row in rows.of("valid")] == expected


def test_a_lost_random_state_would_be_noticed() -> None:
    """The negative control of the test above: without the generator's state dropout differs."""
    states: list[TrainingState] = []
    parts = make_parts()
    fit(parts, plan(checkpoint_steps=5), Rows(), Rows(), save=lambda state: states.append(snapshot(state)))
    resumed = make_parts()
    state = states[1]
    rng = dict(states[3].rng)
    fit(resumed, plan(), Rows(), Rows(), resume=TrainingState(**{**vars(state), "rng": rng}))
    assert not same(resumed.model.state_dict(), parts.model.state_dict())


def test_accumulated_batches_equal_one_large_batch() -> None:
    def run(batch_size: int, accumulate: int) -> dict[str, torch.Tensor]:
        parts = make_parts(batch_size=batch_size, valid=False)
        model = nn.Linear(6, 3).double()
        nn.init.constant_(model.weight, 0.1)
        nn.init.zeros_(model.bias)
        rows = ResidentRows((parts.train.split.rows.tensors[0].double(),))
        loader = Loader(Split(rows, parts.train.split.target), batch_size=batch_size, seed=3, shuffle=True, device=CPU)
        parts = Parts(
            **{**vars(parts), "model": model, "train": loader, "optimizer": torch.optim.SGD(model.parameters(), lr=0.1)}
        )
        fit(parts, plan(num_epochs=2, accumulate=accumulate), Rows(), Rows())
        return model.state_dict()

    large, small = run(30, 1), run(10, 3)
    for name in large:
        torch.testing.assert_close(small[name], large[name], rtol=1e-12, atol=1e-14)


def test_accumulation_weights_of_every_group_add_up_to_one() -> None:
    for num_batches in range(1, 9):
        for accumulate in range(1, 5):
            weights = [accumulation_weight(i, num_batches - 1, accumulate) for i in range(num_batches)]
            for first in range(0, num_batches, accumulate):
                assert sum(weights[first : first + accumulate]) == pytest.approx(1.0)


@pytest.mark.spec("G2")
def test_the_weights_of_the_best_epoch_come_back() -> None:
    parts = make_parts(lr=0.5)
    kept: dict[int, dict[str, torch.Tensor]] = {}

    class Keeper(Rows):
        def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None:
            kept[row["epoch"]] = {name: t.clone() for name, t in parts.model.state_dict().items()}

    recorded = Keeper()
    position = fit(parts, plan(num_epochs=12), recorded, recorded)
    losses = [row["loss"] for row in recorded.of("valid")]
    best = losses.index(min(losses)) + 1
    assert position.stopping.best_epoch == best < 12, "the run must get worse after its best epoch to show anything"
    assert same(parts.model.state_dict(), kept[best])


def test_patience_ends_the_run_and_says_so() -> None:
    parts = make_parts(lr=0.5)
    recorded = Rows()
    position = fit(parts, plan(num_epochs=100, patience=2), recorded, recorded)
    assert position.stopping.exhausted
    assert position.epoch == position.stopping.best_epoch + 2 < 100


def test_nan_in_a_row_is_named_and_the_weights_stay_finite() -> None:
    parts = make_parts()
    parts.train.split.rows.tensors[0][41, 2] = math.nan
    loader = Loader(parts.train.split, batch_size=16, seed=3, shuffle=True, device=CPU)
    parts = Parts(**{**vars(parts), "train": loader})
    saved: list[TrainingState] = []
    with pytest.raises(NonFiniteLoss, match=r"input holds NaN or infinite values in row 41") as caught:
        fit(parts, plan(), Rows(), Rows(), save=saved.append)
    assert caught.value.exit_code == 4
    assert all(torch.isfinite(tensor).all() for tensor in saved[-1].best.values())  # type: ignore[union-attr]


def test_nan_in_a_validation_row_ends_the_run_with_the_best_weights_kept() -> None:
    parts = make_parts()
    assert parts.valid is not None
    parts.valid.split.rows.tensors[0][3, 1] = math.nan
    valid = Loader(parts.valid.split, batch_size=16, seed=0, shuffle=False, device=CPU)
    saved: list[TrainingState] = []
    with pytest.raises(NonFiniteLoss, match="that of the validation rows"):
        fit(Parts(**{**vars(parts), "valid": valid}), plan(), Rows(), Rows(), save=saved.append)
    assert all(torch.isfinite(tensor).all() for tensor in saved[-1].model.values())


def test_weights_that_the_last_update_broke_are_noticed() -> None:
    """No later batch would notice them, and without validation they would count as the best."""
    parts = make_parts(valid=False, batch_size=90)  # one update an epoch
    schedule = parts.schedule
    parts = Parts(**{**vars(parts), "schedule": lambda step: math.inf if step == 3 else schedule(step)})
    saved: list[TrainingState] = []
    with pytest.raises(NonFiniteLoss, match=r"after step 4\. The update made the weights of 0\.weight infinite"):
        fit(parts, plan(num_epochs=4), Rows(), Rows(), save=saved.append)
    assert all(torch.isfinite(tensor).all() for tensor in saved[-1].best.values())  # type: ignore[union-attr]
    with pytest.raises(NonFiniteLoss, match="made the weights"):
        fit(make_parts(valid=False, batch_size=90), plan(num_epochs=4), Rows(), Rows(), resume=saved[-1])


def test_a_failure_within_a_group_of_batches_leaves_a_consistent_checkpoint() -> None:
    """Losses and sizes of batches that no update has used yet are not in it."""
    parts = make_parts(batch_size=10, valid=False)
    parts.train.split.rows.tensors[0][int(list(parts.train.epoch(0))[4].index[0])] = math.nan
    loader = Loader(parts.train.split, batch_size=10, seed=3, shuffle=True, device=CPU)
    saved: list[TrainingState] = []
    with pytest.raises(NonFiniteLoss):
        fit(Parts(**{**vars(parts), "train": loader}), plan(accumulate=3), Rows(), Rows(), save=saved.append)
    progress = saved[-1].progress
    assert (progress["step"], progress["batch"], len(progress["losses"]), len(progress["sizes"])) == (1, 3, 3, 3)


def test_a_diverging_run_names_weights_or_layer_and_keeps_the_best_epoch() -> None:
    parts = make_parts(lr=1e30)
    saved: list[TrainingState] = []
    with pytest.raises(NonFiniteLoss, match=r"(weights of \d\.\w+ were already|first layer with a NaN)"):
        fit(parts, plan(num_epochs=50), Rows(), Rows(), save=saved.append)
    assert all(torch.isfinite(tensor).all() for tensor in saved[-1].best.values())  # type: ignore[union-attr]


def test_a_request_to_stop_saves_and_leaves_and_resume_gives_the_same_bits() -> None:
    parts = make_parts()
    torch.manual_seed(5)
    fit(parts, plan(), Rows(), Rows())
    final = parts.model.state_dict()

    stopped = make_parts()
    torch.manual_seed(5)
    stop = StopRequest()
    schedule = stopped.schedule

    def ask_at_step_nine(step: int) -> float:
        if step == 9:
            stop.requested = "SIGTERM"
        return schedule(step)

    saved: list[TrainingState] = []
    with pytest.raises(Stopped, match="SIGTERM after step 10") as caught:
        fit(
            Parts(**{**vars(stopped), "schedule": ask_at_step_nine}),
            plan(),
            Rows(),
            Rows(),
            save=lambda state: saved.append(snapshot(state)),
            stop=stop,
        )
    assert caught.value.exit_code == 143
    resumed = make_parts()
    fit(resumed, plan(), Rows(), Rows(), resume=saved[-1])
    assert same(resumed.model.state_dict(), final)


@pytest.mark.spec("O20")
def test_clipping_comes_before_the_update_and_spares_small_gradients() -> None:
    model = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)

    class Dot:
        def loss(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return outputs.sum()

    class Sample:
        inputs = (torch.tensor([[3.0, 4.0]]),)
        target = torch.zeros(1)

    for clip_norm, expected in ((1.0, (0.6, 0.8)), (10.0, (3.0, 4.0))):
        before = model.weight.detach().clone()
        train_step(model, Dot(), optimizer, Sample(), clip_norm=clip_norm)
        moved = (before - model.weight.detach())[0]
        torch.testing.assert_close(moved, torch.tensor(expected), rtol=1e-5, atol=1e-6)
    assert model.weight.grad is None


@pytest.mark.spec("G3")
def test_without_restoring_the_last_weights_stay() -> None:
    parts = make_parts(lr=0.5)
    recorded = Rows()
    position = fit(parts, plan(num_epochs=12, restore_best=False), recorded, recorded)
    last = {name: t.clone() for name, t in parts.model.state_dict().items()}
    assert position.stopping.best_epoch < 12, "the run must get worse after its best epoch to show anything"
    assert (position.kept_epoch, position.kept_step) == (12, position.step)
    twin = make_parts(lr=0.5)
    fit(Parts(**{**vars(twin), "valid": None}), plan(num_epochs=12), Rows(), Rows())
    assert same(last, twin.model.state_dict())


@pytest.mark.spec("G3")
def test_evaluations_begin_and_recur_as_asked_and_the_last_epoch_has_one() -> None:
    recorded = Rows()
    position = fit(make_parts(), plan(num_epochs=8, evaluate_from=2, evaluate_every=3), recorded, recorded)
    assert [row["epoch"] for row in recorded.of("valid")] == [2, 5, 8]
    assert len(position.figures) == 3
    assert position.stopping.best_epoch in (2, 5, 8)
    every = Rows()
    fit(make_parts(), plan(num_epochs=7, evaluate_every=3), every, every)
    assert [row["epoch"] for row in every.of("valid")] == [1, 4, 7]


def test_a_schedule_that_answers_reads_the_training_loss_where_there_is_no_validation() -> None:
    class Listener:
        def __call__(self, step: int) -> float:
            return 1.0

        def follow(self, figures: list[float], *, higher_is_better: bool) -> None:
            self.figures, self.higher_is_better = figures, higher_is_better

    listener = Listener()
    parts = Parts(**{**vars(make_parts(valid=False)), "schedule": listener})
    recorded = Rows()
    fit(parts, plan(num_epochs=3, monitor="accuracy", higher_is_better=True), recorded, recorded)
    assert listener.figures == [row["loss"] for row in recorded.of("train")]
    assert listener.higher_is_better is False
