"""From a resolved configuration and a data set to the parts that the training loop moves."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from limpid.catalogue.models import MODELS
from limpid.catalogue.part import load_home
from limpid.config import Config, RegularizeConfig
from limpid.data.augment import build_augment
from limpid.data.dataset import Dataset, Split
from limpid.data.loader import Loader
from limpid.defaults import resolve
from limpid.device import choose_device, choose_precision, machine_facts, prepare_cpu, spare_threads
from limpid.errors import ConfigError, ModelError
from limpid.models.cost import layer_table
from limpid.models.disturbance import disturb
from limpid.models.network import Network, wrap_module
from limpid.models.registry import build_model
from limpid.models.transfer import Account
from limpid.objectives.metrics import LOWER_IS_BETTER
from limpid.objectives.objective import Objective
from limpid.objectives.registry import build_objective
from limpid.optim.averaging import build_average
from limpid.optim.regularizers import attach_regularizers
from limpid.optim.schedules import build_schedule
from limpid.spec import DataSpec
from limpid.start import Start, begin, optimizer_of
from limpid.training.linear_road import onednn_wins, take_onednn_road
from limpid.training.loop import Parts, Plan
from limpid.training.pooled_road import take_pooled_conv_road
from limpid.training.sam_step import sam_step
from limpid.training.step import train_step
from limpid.training.thawing import ThawingLoader

EVAL_BATCH = 512  # samples; evaluation keeps no activations, so larger batches than in training pay
# Updates from which compiling pays back on a GPU (it takes about a minute there). A guess: not measured yet. On CPUs it
# was measured not to: 0.6 to 1.14 times the eager speed for tens of seconds of compilation (docs/LOG.md).
COMPILE_FROM = 20_000
LEARNED_ROWS = 5000  # training inputs from which a first layer is computed: a million 2x2 patches of small images
MOST_STEP_ROWS = 500  # rows of single steps that a run records


@dataclass(frozen=True)
class Wiring:
    """One run, put together: resolved configuration, why each open option became what it is, parts and plan."""

    config: Config
    reasons: dict[str, str]
    dataset: Dataset
    network: Network
    objective: Objective
    parts: Parts
    plan: Plan
    channels_last: bool
    account: Account | None = None  # of the weights that it started from
    members: list[dict[str, Any]] = field(default_factory=list)  # of an ensemble: how to build each of them again

    def header(self, given: Config) -> dict[str, Any]:
        """What run.json says of this run, beside its name and time."""
        layers = layer_table(self.network, self.dataset.spec)
        model = {
            "name": _name_of(self.config.model.name, self.members),
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "trainable": sum(p.numel() for p in self.network.parameters() if p.requires_grad),
            "macs": sum(layer["macs"] for layer in layers),
            "layers": layers,
            "start": None if self.account is None else {"text": self.account.text(), **vars(self.account)},
        }
        return {
            "config": self.config.model_dump(mode="json"),
            "given": given.model_dump(mode="json", exclude_unset=True),
            "reasons": self.reasons,
            "data": self.dataset.spec.model_dump(mode="json"),
            "fingerprint": self.dataset.fingerprint,
            "seed": self.config.training.seed,
            "machine": {**machine_facts(), "device": str(self.plan.device), "precision": self.plan.precision},
            "summary": self.dataset.summary,
            "model": model,
            **({"members": self.members} if self.members else {}),
        }

    @contextmanager
    def fast_roads(self) -> Iterator[None]:
        """While open, layers compute by the faster of several equivalent ways that this CPU has."""
        plain = self.plan.precision == "float32" and self.config.model.compile == "off"
        with (
            take_onednn_road(self.network, self.config.training.matmul == "onednn"),
            take_pooled_conv_road(self.network, plain and self.plan.device.type == "cpu"),
        ):
            yield

    def evaluation_loader(self, split: Split) -> Loader:
        """The split in its own order, without augmentation."""
        return Loader(
            split,
            batch_size=EVAL_BATCH,
            seed=0,
            shuffle=False,
            device=self.plan.device,
            channels_last=self.channels_last,
        )


def wire(given: Config, dataset: Dataset, *, module: nn.Module | None = None, start: Start | None = None) -> Wiring:
    """Resolve what is open and build everything.

    Args:
        given: the configuration as the user gave it.
        dataset: split and prepared.
        module: a network of the user's own, instead of a named one.
        start: weights that the network begins with, where they fit.

    Raises:
        ConfigError: a device that is not there, a figure to monitor that the task does not have, batches too small.
        ModelError: an architecture that does not fit the data, or cannot be trained.
    """
    spec = dataset.spec
    own_name = None if module is None else f"module:{type(module).__name__}"
    config, reasons = resolve(given, spec, model_name=own_name)
    training = config.training
    device = choose_device(training.device)
    prepare_cpu(training.threads)
    network = build_model(config.model, spec, seed=training.seed) if module is None else wrap_module(module, spec)
    account = None if start is None else begin(network, start, spec)
    disturb(config.regularize, network, name=config.model.name)
    _learn_inputs(network, dataset)
    convolutional = any(isinstance(layer, nn.Conv2d) for layer in network.modules())
    precision = choose_precision(training.precision, device, convolutional=convolutional)
    assert training.batch_size is not None and training.epochs is not None and config.optim.ema is not None
    matmul = training.matmul
    if matmul == "auto":
        measured = device.type == "cpu" and precision == "float32" and onednn_wins(network, training.batch_size)
        matmul = "onednn" if measured else "default"
    measured_here = {"precision": precision, "matmul": matmul}
    config = config.model_copy(update={"training": training.model_copy(update=measured_here)})
    if training.precision == "auto":
        reasons["training.precision"] = "measured on this machine"

    batch_size = training.batch_size
    spare_threads(training.threads, lambda: _step_operations(network, spec, batch_size))
    channels_last = convolutional and device.type in ("cpu", "cuda")
    network = network.to(device)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = build_objective(config.objective, spec)
    _check(network, objective, config, dataset)
    optimizer, thaw = optimizer_of(network, config, spec.num_outputs)
    attach_regularizers(config.regularize, network, optimizer)
    train = Loader(
        dataset.train,
        batch_size=training.batch_size,
        seed=training.seed,
        shuffle=True,
        device=device,
        augment=build_augment(config.augment, spec, training.seed),
        drop_last=_must_drop_last(network, len(dataset.train), training.batch_size),
        channels_last=channels_last,
    )
    steps_per_epoch = -(-train.num_batches // config.optim.accumulate)
    num_steps = min(steps_per_epoch * training.epochs, training.steps or steps_per_epoch * training.epochs)
    pays_back = device.type == "cuda" and num_steps >= COMPILE_FROM
    compiled = config.model.compile == "on" or (config.model.compile == "auto" and pays_back)
    config = config.model_copy(
        update={"model": config.model.model_copy(update={"compile": "on" if compiled else "off"})}
    )
    if compiled:
        if device.type == "cpu" and not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
            raise ModelError(
                "model.compile = on needs a C++ compiler, and there is none. Install g++, or leave it out."
            )
        network.compile()
    plan = Plan(
        num_epochs=training.epochs,
        num_steps=num_steps,
        device=device,
        precision=precision,
        accumulate=config.optim.accumulate,
        clip_norm=config.optim.clip_norm,
        monitor=training.monitor,
        higher_is_better=training.mode == "max"
        or (training.mode == "auto" and training.monitor not in LOWER_IS_BETTER),
        patience=training.patience or 0,
        min_delta=training.min_delta,
        baseline=training.baseline,
        restore_best=training.restore_best,
        evaluate_from=training.evaluate_from,
        evaluate_every=training.evaluate_every,
        checkpoint_seconds=training.checkpoint_seconds,
        checkpoint_steps=training.checkpoint_steps,
        log_every=max(1, -(-train.num_batches * training.epochs // MOST_STEP_ROWS)),
    )
    wiring = Wiring(
        config=config,
        reasons=reasons,
        dataset=dataset,
        network=network,
        objective=objective,
        parts=Parts(
            model=network,
            objective=objective,
            optimizer=optimizer,
            schedule=build_schedule(config.optim, num_steps=num_steps, steps_per_epoch=steps_per_epoch),
            train=train if thaw is None else ThawingLoader(train, config.model.thaw or 1, thaw),
            valid=None,
            average=build_average(
                config.optim, network, optimizer, num_steps=num_steps, steps_per_epoch=steps_per_epoch
            ),
            name_of=dataset.train.name_of,
            step=_step_of(config),
        ),
        plan=plan,
        channels_last=channels_last,
        account=account,
    )
    if dataset.valid is None:
        return wiring
    return _with_validation(wiring, dataset.valid)


def _step_operations(network: Network, spec: DataSpec, batch_size: int) -> float:
    """Floating-point operations of a training step: three passes of two for each multiply-add."""
    return 6.0 * batch_size * sum(layer["macs"] for layer in layer_table(network, spec))


def _name_of(model_name: str, members: list[dict[str, Any]]) -> str:
    """The name of the network for people: of an ensemble, its members'."""
    counts = Counter(member["model"]["name"] for member in members)
    return " + ".join(f"{count} x {name}" for name, count in counts.items()) or model_name


def _learn_inputs(network: Network, dataset: Dataset) -> None:
    """Let an architecture that computes its first layer from the training inputs do so; a resumed run overwrites it."""
    learn = getattr(network.body, "learn_inputs", None)
    if learn is not None:
        first = dataset.train.rows.take(torch.arange(min(len(dataset.train), LEARNED_ROWS)))[0]
        learn(network.scale(first))


def _step_of(config: Config) -> Callable[..., Tensor]:
    """The training step of the architecture: forward, loss, backward, update, unless it brings its own."""
    name, optim = config.model.name, config.optim
    home = MODELS[name].step if name in MODELS else ""
    if home and optim.sam_rho:
        raise ConfigError(f"optim.sam_rho: {name} is trained by a step of its own. Leave optim.sam_rho out.")
    if optim.sam_rho:
        return sam_step(optim.sam_rho, adaptive=optim.sam_adaptive)
    return load_home(home) if home else train_step


def _check(network: nn.Module, objective: Objective, config: Config, dataset: Dataset) -> None:
    """Notice before the first step what would end the run at some later one."""
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ModelError("The model has no parameter that can be trained: none requires a gradient.")
    target = dataset.train.target[:2]
    known_nothing = objective.keep(objective.prior_outputs(target), target)
    figures = ["loss", *objective.metrics(known_nothing, target)]
    if config.training.monitor not in figures:
        raise ConfigError(
            f"training.monitor={config.training.monitor} is not a figure of {dataset.spec.task}. "
            f"Use one of {', '.join(figures)}."
        )
    name = config.model.name
    if name in MODELS and MODELS[name].optimizer == "none" and config.regularize != RegularizeConfig():
        raise ConfigError(f"Section regularize acts on gradient steps, which {name} does not take. Leave it out.")
    steps, batch_size = config.training.steps, config.training.batch_size or 1
    solved = name in MODELS and MODELS[name].settings.get("training.batch_size") == "all"
    if solved and steps is not None and steps * batch_size < len(dataset.train):
        raise ConfigError(
            f"training.steps={steps} of {batch_size} rows end before {name} has seen all {len(dataset.train):,}, and "
            "it finds its weights only then. Leave training.steps out."
        )
    smallest = min(batch_size, len(dataset.train))
    if smallest == 1 and any(isinstance(layer, nn.BatchNorm1d) for layer in network.modules()):
        raise ConfigError(
            "training.batch_size=1: batch normalisation needs at least two samples to a batch. "
            "Use larger batches, or model.norm=layer."
        )


def _with_validation(wiring: Wiring, valid: Split) -> Wiring:
    parts = Parts(**{**vars(wiring.parts), "valid": wiring.evaluation_loader(valid)})
    return Wiring(**{**vars(wiring), "parts": parts})


def _must_drop_last(network: nn.Module, num_rows: int, batch_size: int) -> bool:
    """Whether a last batch of one sample would break batch normalisation, which needs two."""
    normalises = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules())
    return normalises and num_rows > batch_size and num_rows % batch_size == 1
