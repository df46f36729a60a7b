"""What every optimiser of the catalogue keeps, by being in it."""

from __future__ import annotations

import copy
import hashlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import limpid
from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.catalogue.schedules import SCHEDULES
from limpid.config import Config, OptimConfig
from limpid.config_reader import with_options
from limpid.data.dataset import ResidentRows, Split
from limpid.data.loader import Loader
from limpid.defaults import complete_options
from limpid.errors import ConfigError, NonFiniteLoss
from limpid.optim import build_average, build_optimizer, build_schedule
from limpid.record import Checkpoint
from limpid.training.checkpoint import TrainingState, decode, encode
from limpid.training.loop import Parts, Plan, fit
from limpid.training.sam_step import sam_step
from limpid.training.step import train_step
from limpid.wiring import wire

CPU = torch.device("cpu")
LEARNERS = [name for name in OPTIMIZERS if name != "none"]
FORMS = [(name, form) for name in LEARNERS for form in getattr(OPTIMIZERS[name].options.get("form"), "choices", ())]
STATE_FROM_THE_START = {"adagrad"}  # torch fills the sums of all parameters when it is built

each_optimizer = pytest.mark.parametrize("name", LEARNERS)
# Beside the names: every form of one, and what is wrapped around an optimiser.
VARIANTS: list[dict[str, Any]] = [
    *({"name": name} for name in LEARNERS),
    *({"name": name, "form": form} for name, form in FORMS),
    {"name": "sgd", "momentum": 0.0},
    {"name": "sgd", "momentum": 0.0, "lookahead": 4},
    {"name": "sgd", "lookahead": 4},
    {"name": "adamw", "lookahead": 4},
    {"name": "muon", "lookahead": 4},
    {"name": "muon", "convolutions": False, "adjust_lr": "match_rms_adamw"},
    {"name": "sgd", "ema": 0.9},
    {"name": "sgd", "swa": 0.5},
    {"name": "adamw", "sam_rho": 0.05},
    {"name": "sgd", "sam_rho": 0.5, "sam_adaptive": True},
]
each_variant = pytest.mark.parametrize("options", VARIANTS, ids=lambda o: "-".join(f"{v}" for v in o.values()))


class Classes:
    """A classifier's objective, as small as one can be."""

    def keep(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return outputs

    def loss(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs, target)

    kept_loss = loss

    def metrics(self, outputs: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
        return {"accuracy": (outputs.argmax(1) == target).double().mean().item()}


class Silent:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, kind: str, **fields: Any) -> None:
        self.rows.append(fields)

    def step(self, step: int, loss: float) -> None: ...
    def epoch(self, row: dict[str, Any], valid_row: dict[str, Any] | None) -> None: ...


def config_of(**options: Any) -> OptimConfig:
    part = OPTIMIZERS[options["name"]]
    given = {"lr": part.lr, "weight_decay": part.weight_decay, "schedule": "constant", "warmup": 0.0, "ema": 0.0}
    return OptimConfig(**(given | options))


def make_split(num_rows: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_rows, 2, 4, 4, generator=generator)
    return Split(ResidentRows((x,)), (x[:, 0].mean((1, 2)) > 0).long(), index=torch.arange(num_rows))


def make_parts(*, num_steps: int = 24, steps_per_epoch: int = 6, **options: Any) -> Parts:
    """A kernel, normalisation, dropout, matrices and biases under an optimiser, with 6 batches to an epoch."""
    config = config_of(**options)
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 8), nn.Dropout(0.3), nn.ReLU(),
        nn.Linear(8, 2),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    train = make_split(90, 0)
    optimizer = build_optimizer(config, model)
    counts = {"num_steps": num_steps, "steps_per_epoch": steps_per_epoch}
    return Parts(
        model=model,
        objective=Classes(),
        optimizer=optimizer,
        schedule=build_schedule(config, **counts),
        train=Loader(train, batch_size=16, seed=3, shuffle=True, device=CPU),
        valid=Loader(make_split(40, 1), batch_size=64, seed=0, shuffle=False, device=CPU),
        average=build_average(config, model, optimizer, **counts),
        name_of=train.name_of,
        step=sam_step(config.sam_rho, adaptive=config.sam_adaptive) if config.sam_rho else train_step,
    )


def run(parts: Parts, **changes: Any) -> dict[str, torch.Tensor]:
    given = {key: changes.pop(key) for key in ("save", "resume") if key in changes}
    torch.manual_seed(7)
    plan = Plan(**{"num_epochs": 4, "num_steps": 24, "device": CPU, "precision": "float32"} | changes)
    fit(parts, plan, Silent(), Silent(), **given)
    return {name: tensor.clone() for name, tensor in parts.model.state_dict().items()}


def through_files(state: TrainingState, folder: Path) -> TrainingState:
    """What a checkpoint on the disk gives back."""
    folder.mkdir()
    files = {}
    for name, content in encode(state).items():
        (folder / name).write_bytes(content)
        files[name] = (len(content), hashlib.sha256(content).hexdigest())
    return decode(Checkpoint(folder, 0, 0, files))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@each_variant
def test_a_resumed_run_has_the_bits_of_one_that_was_left_alone(options: dict[str, Any], tmp_path: Path) -> None:
    saved: list[TrainingState] = []
    whole = run(
        make_parts(**options),
        checkpoint_steps=5,
        save=lambda state: saved.append(through_files(state, tmp_path / str(len(saved)))),
    )
    start = make_parts(**options).model.state_dict()
    assert not same(whole, start), "nothing was learned"
    assert all(tensor.isfinite().all() for tensor in whole.values())
    assert len(saved) == 5  # after 5, 10, 15, 20 steps, and at the end
    for state in (saved[0], saved[2]):
        assert same(run(make_parts(**options), resume=state), whole)


@each_variant
def test_state_dict_round_trip_goes_on_bit_for_bit(options: dict[str, Any]) -> None:
    parts, twin = make_parts(**options), make_parts(**options)
    batches = list(parts.train.epoch(0))

    def steps(of: Parts, some: list[Any]) -> None:
        torch.manual_seed(2)
        of.model.train()
        for batch in some:
            of.step(of.model, of.objective, of.optimizer, batch)

    steps(parts, batches)
    twin.model.load_state_dict(parts.model.state_dict())
    twin.optimizer.load_state_dict(copy.deepcopy(parts.optimizer.state_dict()))
    for one in (parts, twin):
        steps(one, batches)
    assert same(parts.model.state_dict(), twin.model.state_dict())


class Bowl(nn.Module):
    """f = sum of a w^2 / 2 over a matrix and a bias, with curvatures from 1 to 6; and a weight that f does not need."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden = nn.Linear(3, 2)
        self.unused = nn.Linear(3, 2)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.randn(2, 3))
            self.hidden.bias.fill_(1.0)

    def forward(self) -> torch.Tensor:
        curvature = torch.arange(1.0, 7.0).reshape(2, 3)
        return (curvature * self.hidden.weight**2).sum() / 2 + (self.hidden.bias**2).sum() / 2


@each_variant
def test_a_quadratic_falls_and_weights_without_gradient_stay_as_they_are(options: dict[str, Any]) -> None:
    bowl = Bowl()
    # Both start with steps that eps alone decides: sqrt(eps), and g / sqrt(eps).
    eps = {"adadelta": {"eps": 1e-3}, "lagged": {"eps": 1.0}}.get(options.get("form", options["name"]), {})
    config = config_of(weight_decay=0.0, **eps, **options)
    # Rates are for networks. Steps of Lion and Muon do not shrink with the gradient: they come as near as the rate.
    config = config.model_copy(update={"lr": min(max(config.lr or 0.0, 0.01), 0.05)})
    config = config if "rho" not in config.options else config.model_copy(update={"lr": 1.0})
    optimizer = build_optimizer(config, bowl)
    average = build_average(config, bowl, optimizer, num_steps=400, steps_per_epoch=10)
    first, untouched = bowl().item(), copy.deepcopy(bowl.unused.state_dict())
    for _ in range(400):
        bowl().backward()
        optimizer.step()
        optimizer.zero_grad()
        if average is not None:
            average.update(bowl)
    if average is None:
        last = bowl().item()
    else:
        with average.averaged(bowl):
            last = bowl().item()
    assert last < 0.3 * first
    assert same(bowl.unused.state_dict(), untouched)
    if options["name"] not in STATE_FROM_THE_START:
        assert not {*bowl.unused.parameters()} & {*optimizer.state}


@each_optimizer
def test_decay_shrinks_weights_and_spares_biases(name: str) -> None:
    if OPTIMIZERS[name].decay == "none":
        with pytest.raises(ConfigError, match=f"{name} has no weight decay: set optim.weight_decay=0"):
            build_optimizer(config_of(name=name, weight_decay=0.1), Bowl())
        return
    still = {"lambd": 0.0} if "lambd" in OPTIMIZERS[name].options else {}  # asgd's own decay, which spares nobody
    bowl = Bowl()
    before = copy.deepcopy(bowl.state_dict())
    optimizer = build_optimizer(config_of(name=name, weight_decay=0.5, **still), bowl)
    assert sorted(group["weight_decay"] for group in optimizer.param_groups) in ([0.0, 0.5], [0.0, 0.5, 0.5])
    for _ in range(3):
        for p in bowl.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
    assert bowl.hidden.weight.norm() < before["hidden.weight"].norm()
    assert torch.equal(bowl.hidden.bias, before["hidden.bias"])


@each_optimizer
def test_every_schedule_drives_it(name: str) -> None:
    place = LEARNERS.index(name)
    schedules = [*SCHEDULES]
    for schedule in {schedules[(place + jump) % len(schedules)] for jump in (0, 3, 7, 11)}:
        parts = make_parts(name=name, schedule=schedule, num_steps=6, steps_per_epoch=3, accumulate=2)
        weights = run(parts, num_epochs=2, num_steps=6, accumulate=2, clip_norm=0.1)
        assert all(tensor.isfinite().all() for tensor in weights.values()), schedule


@each_optimizer
def test_an_unknown_option_is_refused_and_its_owners_are_named(name: str) -> None:
    own = OPTIMIZERS[name].options
    foreign = next(key for part in OPTIMIZERS.values() for key in part.options if key not in own)
    given = OptimConfig(name=name, schedule="constant", options={foreign: 0.1})
    config = Config().model_copy(
        update={"optim": given, "objective": Config().objective.model_copy(update={"loss": "mse"})}
    )
    with pytest.raises(ConfigError, match=f"optim.{foreign} is not an option of {name}.*belongs to") as error:
        complete_options(config)
    assert OPTIMIZERS.owners(foreign)[0] in str(error.value)


@each_optimizer
def test_a_list_of_the_wrong_length_is_refused(name: str) -> None:
    for key, option in OPTIMIZERS[name].options.items():
        if isinstance(option.default, tuple):
            with pytest.raises(ConfigError, match=rf"optim\.{key} takes 2 numbers, such as .*; found 1"):
                build_optimizer(config_of(name=name, weight_decay=0.0, **{key: (0.5,)}), Bowl())


@each_optimizer
def test_entry_is_complete(name: str) -> None:
    part = OPTIMIZERS[name]
    assert all((part.what, part.source, part.formula, part.pitfall, part.year))
    assert part.schedule in SCHEDULES
    for key, option in part.options.items():
        assert option.what, key
        assert option.choices or isinstance(option.default, bool) or option.range_text(), f"{key} has no range"
        assert option.accept(option.default, key) == option.default


@each_optimizer
def test_moons_train_through_the_workbench(name: str, tmp_path: Path) -> None:
    given = {"optimizer": name, "epochs": 2, "size": 240, "hidden": (8,), "seed": 5, "record__report": False}
    given["optim__clip_norm"], given["optim__accumulate"] = 1.0, 2
    run = limpid.train("moons", **given, record__out=str(tmp_path / "run"))
    losses = [row["loss"] for row in run.events("metric")]
    assert all(map(math.isfinite, losses))
    assert losses[-1] != losses[0]


@pytest.mark.slow
@each_optimizer
def test_the_default_rate_is_near_the_best_of_a_sweep(name: str) -> None:
    """On the digits, validation loss with the default rate against five rates from a tenth of it to ten times it."""
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    dataset = limpid.load_data(digits.data.astype("float32"), y=digits.target)

    def loss_with(**more: float) -> tuple[float, float]:
        given = {"model__name": "mlp", "hidden": (64,), "epochs": 12, "batch_size": 32, "optimizer": name, **more}
        wiring = wire(with_options(Config(), given), dataset)
        torch.manual_seed(0)
        seen = Silent()
        try:
            fit(wiring.parts, wiring.plan, seen, seen)
        except NonFiniteLoss:
            return math.inf, math.inf
        losses = [row["loss"] for row in seen.rows if row.get("split") == "valid"]
        return wiring.config.optim.lr or 0.0, min(losses)

    rate, found = loss_with()
    assert found < 2 * min(found, *(loss_with(lr=factor * rate)[1] for factor in (0.1, 0.3, 3.0, 10.0)))
