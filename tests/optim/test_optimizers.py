"""Update rules against golden values, and decay groups."""

from __future__ import annotations

import inspect
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from limpid.catalogue.optimizers import OPTIMIZERS
from limpid.config import OptimConfig
from limpid.errors import ConfigError, ModelError
from limpid.optim import build_average, build_optimizer, param_groups


class Point(nn.Module):
    """One weight that starts at 1, as a 1 x 1 matrix so that it decays like any weight."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.ones(1, 1, dtype=torch.float64))


def iterates(curvature: float = 1.0, steps: int = 3, fused: bool = True, **options: object) -> list[float]:
    """Successive weights on f = curvature theta^2 / 2 from 1, as evaluation sees them."""
    point = Point()
    config = OptimConfig(**({"lr": 0.1, "weight_decay": 0.0, "ema": 0.0} | options))
    optimizer = build_optimizer(config, point, fused=fused)
    average = build_average(config, point, optimizer, num_steps=steps, steps_per_epoch=1)
    path = []
    for _ in range(steps):
        optimizer.zero_grad()
        (curvature * point.theta**2 / 2).sum().backward()
        optimizer.step()
        with nullcontext() if average is None else average.averaged(point):
            path.append(point.theta.item())
    return path


fused_or_not = pytest.mark.parametrize("fused", [True, False])

GOLDEN = [
    ("descent", pytest.mark.spec("O7"), {"name": "sgd", "momentum": 0.0}, [0.9, 0.81, 0.729]),
    ("decay", pytest.mark.spec("O19"), {"name": "sgd", "momentum": 0.0, "weight_decay": 0.5}, [0.85, 0.7225, 0.614125]),
    ("momentum", pytest.mark.spec("O8", "X18"), {"name": "sgd", "momentum": 0.9}, [0.9, 0.72, 0.486]),
    ("heavy ball", pytest.mark.spec("O8"), {"name": "momentum"}, [0.9, 0.72, 0.486]),
    ("dampening", pytest.mark.spec("O8", "X18"), {"name": "sgd", "dampening": 0.5}, [0.9, 0.765, 0.60525]),
    ("dampened ball", pytest.mark.spec("O8", "X18"), {"name": "momentum", "dampening": 0.5}, [0.95, 0.8575, 0.731375]),
    ("nesterov", pytest.mark.spec("O9"), {"name": "nesterov"}, [0.9, 0.729, 0.51759]),
    ("look-ahead", pytest.mark.spec("O9"), {"name": "sgd", "nesterov": True}, [0.81, 0.5751, 0.327321]),
    ("adagrad", pytest.mark.spec("O10"), {"name": "adagrad"}, [0.9090909091, 0.8464580835, 0.7965095070]),
    (
        "rooted",
        pytest.mark.spec("O10", "X16"),
        {"name": "adagrad", "form": "inside_root"},
        [0.9046537411, 0.8393387333, 0.7875127680],
    ),
    (
        "lagged",
        pytest.mark.spec("O10", "X16"),
        {"name": "adagrad", "form": "lagged"},
        [0.6837722340, 0.6185771095, 0.5691706299],
    ),
    ("rmsprop", pytest.mark.spec("O11"), {"name": "rmsprop", "alpha": 0.9}, [0.7597469266, 0.6028864269, 0.4850100818]),
    (
        "rooted rmsprop",
        pytest.mark.spec("O11"),
        {"name": "rmsprop", "alpha": 0.9, "form": "inside_root"},
        [0.7763932023, 0.6212010234, 0.5024919704],
    ),
    (
        "adadelta",
        pytest.mark.spec("O12", "X17"),
        {"name": "adadelta", "lr": 1.0},
        [0.2928932188, 0.0383340899, 0.0040032858],
    ),
    (
        "rooted adam",
        pytest.mark.spec("O13", "X15"),
        {"name": "adam", "form": "inside_root"},
        [0.9046537411, 0.8101037241, 0.7166954065],
    ),
    (
        "uncorrected",
        pytest.mark.spec("O14", "X15"),
        {"name": "adam", "form": "uncorrected"},
        [0.9240253073, 0.7965107068, 0.6338098724],
    ),
    ("adam", pytest.mark.spec("O15", "X15"), {"name": "adam"}, [0.9090909091, 0.8188911024, 0.7296875678]),
    (
        "corrected",
        pytest.mark.spec("O16", "X19"),
        {"name": "amsgrad", "form": "corrected"},
        [0.9090909091, 0.8225315355, 0.7403204199],
    ),
    ("amsgrad", pytest.mark.spec("O16", "X19"), {"name": "amsgrad"}, [0.9090909091, 0.8188911024, 0.7296875678]),
    ("nadam", pytest.mark.spec("O17"), {"name": "nadam"}, [0.9039589292, 0.8362867164, 0.7751118761]),
]


@fused_or_not
@pytest.mark.parametrize(("options", "golden"), [pytest.param(o, g, marks=m, id=i) for i, m, o, g in GOLDEN])
def test_three_steps_of_each_rule(options: dict[str, object], golden: list[float], fused: bool) -> None:
    eps = {"eps": 0.1} if "eps" in OPTIMIZERS[str(options["name"])].options else {}
    # torch keeps NAdam's product of momenta in float32.
    tolerance = 1e-7 if options["name"] == "nadam" else 1e-9
    assert iterates(fused=fused, **eps, **options) == pytest.approx(golden, abs=tolerance)


@pytest.mark.spec("O2", "O7")
def test_descent_converges_below_two_over_the_curvature() -> None:
    curvature = 4.0
    plain = {"name": "sgd", "momentum": 0.0, "steps": 400}
    assert abs(iterates(curvature, lr=0.99 * 2 / curvature, **plain)[-1]) < 0.01
    assert abs(iterates(curvature, lr=1.01 * 2 / curvature, **plain)[-1]) > 100
    speed_and_movement, theta = [], 1.0
    for _ in range(3):
        v = 0.1 * theta
        theta -= v
        speed_and_movement.append(theta)
    assert iterates(**{**plain, "steps": 3}) == pytest.approx(speed_and_movement, abs=1e-15)


@fused_or_not
@pytest.mark.spec("O19")
def test_decay_shrinks_a_weight_without_gradient_by_one_minus_lr_lambda(fused: bool) -> None:
    for name in ("sgd", "adamw"):
        path = iterates(0.0, name=name, momentum=0.0, weight_decay=0.3, fused=fused)
        assert path == pytest.approx([0.97, 0.97**2, 0.97**3], abs=1e-12)


def test_adamw_decays_apart_from_the_gradient() -> None:
    coupled = iterates(name="adam", weight_decay=0.3)
    decoupled = iterates(name="adamw", weight_decay=0.3)
    assert decoupled[0] == pytest.approx(0.97 - 0.1, abs=1e-6)  # Adam's first step has the size of lr
    assert coupled[0] == pytest.approx(1 - 0.1, abs=1e-6)


TORCHS = {
    "sgd": torch.optim.SGD, "asgd": torch.optim.ASGD, "rprop": torch.optim.Rprop, "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop, "adadelta": torch.optim.Adadelta, "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW, "amsgrad": torch.optim.Adam, "nadam": torch.optim.NAdam, "adamax": torch.optim.Adamax,
    "radam": torch.optim.RAdam, "adafactor": torch.optim.Adafactor, "muon": torch.optim.Muon,
}  # fmt: skip
# Ours on purpose: descent without momentum is what nobody should begin with, and 10^6 steps never come.
OWN_DEFAULTS = {("sgd", "momentum"): 0.9, ("asgd", "t0"): 100.0}
OWN_NAMES = {"form", "decoupled", "adjust_lr", "convolutions", "adam_lr", "betas"}


@pytest.mark.parametrize("name", TORCHS)
@pytest.mark.spec("O18")  # as it is printed, except for the momentum: see OWN_DEFAULTS
def test_options_have_torchs_names_and_defaults(name: str) -> None:
    signature = {key: value.default for key, value in inspect.signature(TORCHS[name]).parameters.items()}
    for key, option in OPTIMIZERS[name].options.items():
        if key in OWN_NAMES - set(signature) or (name, key) == ("muon", "eps"):  # of its AdamW
            continue
        expected = OWN_DEFAULTS.get((name, key), signature[key])
        assert option.default == (pytest.approx(expected) if isinstance(expected, float) else expected), key


@pytest.mark.spec("O18")
def test_sgd_takes_every_option_of_torchs() -> None:
    torchs = {"lr", "momentum", "dampening", "weight_decay", "nesterov"}
    assert torchs <= {*OptimConfig.model_fields, *OPTIMIZERS["sgd"].options}
    group = build_optimizer(OptimConfig(name="sgd", lr=0.1, momentum=0.0, weight_decay=0.0), Point()).param_groups[0]
    defaults = {key: value.default for key, value in inspect.signature(torch.optim.SGD).parameters.items()}
    assert {key: group[key] for key in torchs - {"lr"}} == {key: defaults[key] for key in torchs - {"lr"}}


def test_dampening_and_nesterov_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match=r"optim.dampening must be 0 with optim.nesterov=true"):
        iterates(name="sgd", nesterov=True, dampening=0.1)


def test_the_root_form_of_rmsprop_is_plain() -> None:
    with pytest.raises(ConfigError, match="has neither momentum nor centered"):
        iterates(name="rmsprop", form="inside_root", momentum=0.5)


@pytest.mark.spec("O8")
def test_the_ball_keeps_its_speed_when_the_rate_falls_and_torchs_brakes() -> None:
    paths = {}
    for name in ("momentum", "sgd"):
        point = Point()
        optimizer = build_optimizer(OptimConfig(name=name, lr=0.1, weight_decay=0.0), point)
        path = []
        for lr in (0.1, 0.1, 0.01):
            optimizer.param_groups[0]["lr"] = lr
            point.theta.square().sum().div(2).backward()
            optimizer.step()
            optimizer.zero_grad()
            path.append(point.theta.item())
        paths[name] = path
    assert paths["momentum"][:2] == pytest.approx(paths["sgd"][:2], abs=1e-12)
    assert paths["momentum"][2] == pytest.approx(0.72 - (0.9 * 0.18 + 0.01 * 0.72))
    assert paths["sgd"][2] == pytest.approx(0.72 - 0.01 * (0.9 * 1.8 + 0.72))


def moved(name: str, steps: int, *, weight_decay: float = 0.0, **options: object) -> tuple[list[Tensor], Tensor]:
    """The gradients that an optimiser met on a random bumpy function of 40 numbers, and where it ended."""
    generator = torch.Generator().manual_seed(1)
    mix = torch.randn(40, 40, dtype=torch.float64, generator=generator) / 6
    point = nn.Module()
    point.w = nn.Parameter(torch.randn(40, 1, dtype=torch.float64, generator=generator))
    optimizer = build_optimizer(
        OptimConfig(name=name, lr=0.01, weight_decay=weight_decay, decay_all=True, **options), point
    )
    grads = []
    for _ in range(steps):
        ((mix @ point.w).tanh() ** 2 + 0.1 * point.w.cos()).sum().backward()
        grads.append(point.w.grad.clone())
        optimizer.step()
        optimizer.zero_grad()
    first = torch.Generator().manual_seed(1)
    torch.randn(40, 40, dtype=torch.float64, generator=first)
    return [torch.randn(40, 1, dtype=torch.float64, generator=first), *grads], point.w.detach()


@pytest.mark.spec("O17")
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_nadam_is_the_printed_algorithm(weight_decay: float) -> None:
    (w, *grads), found = moved("nadam", 100, weight_decay=weight_decay, momentum_decay=4e-3)
    m, v, product, b1, b2, psi = 0.0, 0.0, 1.0, 0.9, 0.999, 4e-3
    for t, grad in enumerate(grads, 1):
        g = grad + weight_decay * w
        mu, mu_next = (b1 * (1 - 0.5 * 0.96 ** (s * psi)) for s in (t, t + 1))
        product *= mu
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        m_hat = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
        w = w - 0.01 * m_hat / ((v / (1 - b2**t)).sqrt() + 1e-8)
    torch.testing.assert_close(found, w, rtol=0, atol=1e-5)


@pytest.mark.parametrize("form", ["inside_root", "uncorrected"])
def test_forms_of_adam_follow_their_formulas(form: str) -> None:
    (w, *grads), found = moved("adam", 50, form=form, eps=1e-3)
    m, s = 0.0, 0.0
    for t, g in enumerate(grads, 1):
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
        if form == "inside_root":
            w = w - 0.01 * m / (1 - 0.9**t) / (s / (1 - 0.999**t) + 1e-3).sqrt()
        else:
            w = w - 0.01 * m / (s.sqrt() + 1e-3)
    torch.testing.assert_close(found, w, rtol=1e-10, atol=1e-12)


def test_corrected_amsgrad_follows_its_formula() -> None:
    (w, *grads), found = moved("amsgrad", 50, form="corrected", eps=1e-3)
    m, s, c = 0.0, 0.0, torch.zeros(40, 1, dtype=torch.float64)
    for t, g in enumerate(grads, 1):
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
        c = torch.maximum(c, s / (1 - 0.999**t))
        w = w - 0.01 * m / (1 - 0.9**t) / (c.sqrt() + 1e-3)
    torch.testing.assert_close(found, w, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("form", ["inside_root", "lagged"])
def test_forms_of_adagrad_follow_their_formulas(form: str) -> None:
    options = {"eps": 1e-3, "lr_decay": 0.1, "initial_accumulator_value": 0.2}
    (w, *grads), found = moved("adagrad", 50, form=form, **options)
    total = 0.2
    for t, g in enumerate(grads):
        rate = 0.01 / (1 + 0.1 * t)
        w = w - rate * g / (total + (g**2 if form == "inside_root" else 0) + 1e-3 + 0 * g).sqrt()
        total = total + g**2
    torch.testing.assert_close(found, w, rtol=1e-10, atol=1e-12)


def test_root_form_of_rmsprop_follows_its_formula() -> None:
    (w, *grads), found = moved("rmsprop", 50, form="inside_root", eps=1e-3, weight_decay=0.1)
    s = 0.0
    for g_plain in grads:
        g = g_plain + 0.1 * w
        s = 0.99 * s + 0.01 * g**2
        w = w - 0.01 * g / (s + 1e-3).sqrt()
    torch.testing.assert_close(found, w, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_lion_follows_its_formula(decay: float) -> None:
    (w, *grads), found = moved("lion", 50, weight_decay=decay, betas=(0.8, 0.95))
    m = 0.0
    for g in grads:
        w = w - 0.01 * ((0.8 * m + 0.2 * g).sign() + decay * w)
        m = 0.95 * m + 0.05 * g
    torch.testing.assert_close(found, w, rtol=1e-10, atol=1e-12)


def test_nesterov_without_momentum_is_plain_descent() -> None:
    assert iterates(name="sgd", momentum=0.0, nesterov=True) == pytest.approx([0.9, 0.81, 0.729])


@pytest.mark.spec("O9")
def test_nesterov_goes_along_the_points_where_it_looks_ahead() -> None:
    theta, v, path, ahead = 1.0, 0.0, [], []
    for _ in range(3):
        v = 0.9 * v + 0.1 * (theta - 0.9 * v)  # the gradient of theta^2 / 2 at the point ahead
        theta -= v
        path.append(theta)
        ahead.append(theta - 0.9 * v)
    assert path == pytest.approx([0.9, 0.729, 0.51759], abs=1e-12)
    assert ahead == pytest.approx([0.81, 0.5751, 0.327321], abs=1e-12)
    assert iterates(name="sgd", momentum=0.9, nesterov=True) == pytest.approx(ahead, abs=1e-12)


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Embedding(5, 3)
        self.conv = nn.Conv2d(3, 4, 3)
        self.batch_norm = nn.BatchNorm2d(4)
        self.layer_norm = nn.LayerNorm((4, 2))  # weights of two dimensions are still no weights of a product
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.tied = self.dense = nn.Linear(4, 2)


@pytest.mark.spec("G7", "X12")
def test_only_weights_decay_unless_asked_for() -> None:
    model = Mixed()
    decayed, rest = param_groups(model, 0.1)
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.1, 0.0)
    assert [id(p) for p in decayed["params"]] == [id(model.conv.weight), id(model.dense.weight)]
    together = {id(p) for p in decayed["params"] + rest["params"]}
    trainable = {id(p) for p in model.parameters() if p.requires_grad}
    assert together == trainable
    assert len(decayed["params"]) + len(rest["params"]) == len(trainable)
    everything = param_groups(model, 0.1, decay_all=True)
    assert [(len(g["params"]), g["weight_decay"]) for g in everything] == [(len(trainable), 0.1)]
    assert [g["weight_decay"] for g in param_groups(model, 0.0)] == [0.0]


def test_nothing_to_train_is_an_error() -> None:
    with pytest.raises(ModelError, match="Linear has no trainable parameter"):
        build_optimizer(OptimConfig(name="sgd", lr=0.1, weight_decay=0.0), nn.Linear(2, 2).requires_grad_(False))


def test_open_options_are_for_the_defaults_to_fill() -> None:
    with pytest.raises(AssertionError):
        build_optimizer(OptimConfig(name="sgd"), Point())


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_fused_equals_the_plain_update(name: str) -> None:
    assert iterates(name=name, weight_decay=0.1, steps=20) == pytest.approx(
        iterates(name=name, weight_decay=0.1, steps=20, fused=False), abs=1e-9
    )
