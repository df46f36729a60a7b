"""Networks drawn and changed fit their data; evolution is the published algorithm; a search of them is worth it."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.errors import ConfigError
from limpid.models.pattern import WORDS, assemble
from limpid.models.pattern_parser import Group, Layer, parse_pattern
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.host import Listed
from limpid.population.member import Member
from limpid.search import moves
from limpid.search.architecture import Frame, architecture_space
from limpid.search.evolution import Evolution
from limpid.search.knob import Knob
from limpid.search.pattern_text import group, layer, places, replaced, text_of
from limpid.search.samplers import build_sampler
from limpid.search.space import Space
from limpid.spec import DataSpec

optuna.logging.set_verbosity(optuna.logging.ERROR)
FRAMES = [
    Frame((1, 28, 28), 10, 5e6),
    Frame((3, 32, 32), 10, 5e6),
    Frame((1, 8, 8), 10, 1e6),
    Frame((2,), 1, 2e5),
    Frame((30,), 3, 2e4),
    Frame((4, 50), 3, 1e6),
    Frame((2, 3, 4, 5), 2, 1e5),
]
DIGITS = DataSpec(name="d", kind="image", task="classification", input_shape=(1, 8, 8), num_outputs=10, num_train=1200)
PATTERN = "[conv16@3-bn-relu]*2 pool res[conv32-relu] dropout0.2 gap fc64-tanh fc"
SELDOM = ((3, 32, 32), (30,))  # like another one, only larger
by_frame = pytest.mark.parametrize(
    "frame",
    [pytest.param(frame, marks=pytest.mark.slow if frame.shape in SELDOM else ()) for frame in FRAMES],
    ids=lambda frame: "x".join(map(str, frame.shape)),
)


def parsed(text: str) -> tuple[Layer | Group, ...]:
    return parse_pattern(text, WORDS)


@pytest.mark.parametrize(
    "text",
    [
        PATTERN,
        "conv64@5x3/s2/p1/nobias-relu maxpool3/s2 lrn fc-leaky_relu(0.1)".replace("maxpool", "pool"),
        "cat[conv8@1 | conv8@3-relu-conv8@5] pool? [[fc8-relu]*2-dropout]*3 fc",
        "input res[conv8-bn]*3 avgpool2/ceil se4 lstm32 fc",
    ],
)
def test_layers_are_written_as_they_are_read(text: str) -> None:
    assert parsed(text_of(parsed(text))) != ()
    again = text_of(parsed(text_of(parsed(text))))
    assert again == text_of(parsed(text))
    assert strip(parsed(again)) == strip(parsed(text))


def strip(nodes: tuple[Layer | Group, ...]) -> list[object]:
    """Without the places in the text."""
    return [
        (n.word, n.size, n.kernel, n.options, n.optional)
        if isinstance(n, Layer)
        else (n.kind, n.repeat, [strip(branch) for branch in n.branches])
        for n in nodes
    ]


def test_a_place_in_the_tree_is_replaced_and_nothing_else() -> None:
    nodes = parsed(PATTERN)
    for path, node in places(nodes):
        assert text_of(replaced(nodes, path, (node,))) == text_of(nodes)
        changed = replaced(nodes, path, (layer("dropout", 0.123),))
        assert text_of(changed).count("dropout0.123") == 1
    assert text_of(replaced(parsed("[fc8]*2 fc"), (0, 0, 0), ())) == "fc"  # a group that loses all is gone


@by_frame
def test_networks_drawn_fit_and_differ(frame: Frame) -> None:
    rng = np.random.default_rng(0)
    texts = [frame.drawn(rng) for _ in range(12)]
    assert len(set(texts)) >= 10
    for text in texts:
        body, shape = assemble(text, frame.shape, num_outputs=frame.outputs)
        assert shape == (frame.outputs,)
        assert body.eval()(torch.randn(2, *frame.shape)).shape == (2, frame.outputs)
        assert sum(p.numel() for p in body.parameters() if p.ndim > 1) <= frame.work  # each weight works once or more


@by_frame
def test_a_chain_of_moves_stays_within_the_frame(frame: Frame) -> None:
    rng = np.random.default_rng(1)
    chain = [frame.drawn(rng)]
    for _ in range(15):
        chain.append(frame.changed(chain[-1], rng))
        assert chain[-1] != chain[-2]
        body, _ = assemble(chain[-1], frame.shape, num_outputs=frame.outputs)
        assert body.eval()(torch.randn(2, *frame.shape)).shape == (2, frame.outputs)
    assert frame.drawn(np.random.default_rng(1)) == chain[0]


def outcomes(move: moves.Move, text: str = PATTERN, count: int = 120) -> set[str]:
    """Everything that a move makes of a network."""
    rng = np.random.default_rng(0)
    found = (move(parsed(text), rng) for _ in range(count))
    return {text_of(nodes) for nodes in found if nodes is not None}


@pytest.mark.parametrize(
    ("move", "wanted"),
    [
        (moves.widen, "[conv32@3-bn-relu]*2 pool res[conv32-relu] dropout0.2 gap fc64-tanh fc"),
        (moves.widen, "[conv16@3-bn-relu]*2 pool res[conv32-relu] dropout0.2 gap fc48-tanh fc"),
        (moves.deepen, "[conv16@3-bn-relu]*2 pool res[conv32-relu] dropout0.2 gap fc64-tanh fc64-tanh fc"),
        (moves.deepen, "[conv16@3-bn-relu-conv16@3-bn-relu]*2 pool res[conv32-relu] dropout0.2 gap fc64-tanh fc"),
        (moves.drop, "[conv16@3-bn-relu]*2 pool res[conv32-relu] dropout0.2 gap fc"),
        (moves.drop, "pool res[conv32-relu] dropout0.2 gap fc64-tanh fc"),
        (moves.drop, "[conv16@3-bn-relu]*2 res[conv32-relu] dropout0.2 gap fc64-tanh fc"),
        (moves.reshape_kernel, "[conv16@5-bn-relu]*2 pool res[conv32-relu] dropout0.2 gap fc64-tanh fc"),
        (moves.reactivate, "[conv16@3-bn-gelu]*2 pool res[conv32-gelu] dropout0.2 gap fc64-gelu fc"),
        (moves.reactivate, "[conv16@3-bn-relu]*2 pool res[conv32-relu] dropout0.2 gap fc64-elu fc"),
        (moves.insert, "[conv16@3-bn-relu]*2 pool res[conv32-relu] dropout0.2 gap fc64-tanh dropout0.1 fc"),
        (moves.insert, "[conv16@3-bn-relu]*2 pool res[conv32-bn-relu] dropout0.2 gap fc64-tanh fc"),
        (moves.insert, "[conv16@3-bn-relu-pool]*2 pool res[conv32-relu] dropout0.2 gap fc64-tanh fc"),
        (moves.repeat, "[conv16@3-bn-relu]*3 pool res[conv32-relu] dropout0.2 gap fc64-tanh fc"),
        (moves.repeat, "[conv16@3-bn-relu] pool res[conv32-relu] dropout0.2 gap fc64-tanh fc"),
        (moves.bridge, "[conv16@3-bn-relu]*2 pool res[conv32-relu] dropout0.2 gap res[fc64-tanh] fc"),
        (moves.bridge, "[conv16@3-bn-relu]*2 pool conv32-relu dropout0.2 gap fc64-tanh fc"),
    ],
)
def test_each_move_does_what_it_says(move: moves.Move, wanted: str) -> None:
    assert wanted in outcomes(move)


def test_no_move_touches_the_head() -> None:
    for move in moves.MOVES:
        assert all(text.endswith(" fc") or text == "fc" for text in outcomes(move)), move.__name__
        assert outcomes(move, "fc") == set()


@pytest.mark.slow
def test_work_that_no_network_keeps_to_is_refused() -> None:
    with pytest.raises(ConfigError, match="No network for samples of 1 x 8 x 8 stays within 100 multiply-adds"):
        Frame((1, 8, 8), 10, 100.0).drawn(np.random.default_rng(0))
    assert Frame((100,), 2, 200.0).drawn(np.random.default_rng(0)) == "fc"  # all that such a limit leaves


def pattern_space() -> Space:
    return Space(
        (Knob("model.name", "pattern", high=1e6, shape=(1, 8, 8), outputs=10), Knob("optim.lr", "log", 1e-4, 1e-1))
    )


def depth(params: dict[str, object]) -> float:
    """A score that needs no training: convolutions and dense layers of a network, up to ten."""
    text = str(params["model.name"])
    return min(text.count("conv") + text.count("fc"), 10)


def test_architectures_are_asked_like_any_knob_and_kept_with_their_trial() -> None:
    space = pattern_space()
    for name in ("random", "quasi-random", "tpe", "two-stage", "evolution"):
        study = optuna.create_study(sampler=build_sampler(name, 0, space, 12), direction="maximize")
        for _ in range(12):
            trial = study.ask()
            params = space.ask(trial)
            assert space.ask(trial) == params
            assert space.params_of(study.trials[-1]) == params
            assert Frame.of(space.knobs[0]).fits(parsed(str(params["model.name"])))
            study.tell(trial, depth(params))
    with pytest.raises(ConfigError, match="a grid needs values to lay out"):
        build_sampler("grid", 0, space, 12)


def evolved(budget: int, seed: int = 0) -> tuple[Evolution, optuna.Study, list[dict[str, object]]]:
    space = pattern_space()
    sampler = build_sampler("evolution", seed, space, budget)
    assert isinstance(sampler, Evolution)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    asked = []
    for _ in range(budget):
        trial = study.ask()
        asked.append(space.ask(trial))
        study.tell(trial, depth(asked[-1]))
    return sampler, study, asked


Evolved = tuple[Evolution, optuna.Study, list[dict[str, object]]]


@pytest.fixture(scope="module")
def evolution() -> Evolved:
    return evolved(32)


def test_evolution_is_the_published_algorithm(evolution: Evolved) -> None:
    """Algorithm 1 of Real et al. 2019 on a queue, with our draws: append the child, drop the oldest."""
    sampler, study, asked = evolution
    population = sampler.population
    assert population == 8
    for number in range(population, 32):
        told = asked[: sampler.known(number)]
        queue = told[:population]
        for member in told[population:]:
            queue = [*queue[1:], member]  # the oldest dies
        assert queue == [sampler.space.params_of(trial) for trial in sampler.alive(sampler.seen(study, number))]
        drawn = np.random.default_rng([0, number, 2]).choice(len(queue), size=2, replace=False)
        parent = max(sorted(drawn), key=lambda place, queue=queue: depth(queue[place]))  # of equals the older
        assert sampler.parent_of(study, number) == parent + max(0, len(told) - population)


@pytest.mark.slow
def test_evolution_climbs_where_chance_does_not() -> None:
    frame = Frame.of(pattern_space().knobs[0])
    late = np.mean([depth(params) for seed in range(2) for params in evolved(40, seed)[2][20:]])
    chance = np.mean([depth({"model.name": frame.drawn(np.random.default_rng(seed))}) for seed in range(20)])
    assert late > chance + 1


def test_children_are_new_and_inherit_the_other_knobs_nearly(evolution: Evolved) -> None:
    sampler, study, asked = evolution
    assert len({str(params["model.name"]) for params in asked}) >= 30
    for number in range(sampler.population, 32):
        parent = asked[sampler.parent_of(study, number)]
        rate = sampler.space.knobs[1]
        assert abs(rate.place(asked[number]["optim.lr"]) - rate.place(parent["optim.lr"])) < 0.6


def test_failed_networks_have_no_children() -> None:
    space = pattern_space()
    sampler = build_sampler("evolution", 0, space, 12)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    for _ in range(12):
        trial = study.ask()
        space.ask(trial)
        study.tell(trial, state=TrialState.FAIL)
    assert len(study.trials) == 12


def test_a_pattern_of_the_users_is_where_a_search_begins() -> None:
    config = with_options(Config(), {"model__name": PATTERN})
    space = architecture_space(config, DIGITS)
    study = optuna.create_study(sampler=build_sampler("evolution", 0, space, 20))
    assert space.ask(study.ask())["model.name"] == PATTERN
    assert Space.from_dict(space.to_dict()) == space
    assert architecture_space(with_options(config, {"lr": 0.1}), DIGITS).paths == ("model.name",)


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [
        (DIGITS.model_copy(update={"kind": "text", "input_shape": (9,)}), {}, "are searched for numbers and images"),
        (DIGITS.model_copy(update={"kind": "table", "cardinalities": (3,)}), {}, "data.encode=onehot"),
        (DIGITS, {"model__name": "lstm"}, "model.name=lstm is no pattern of layers to begin with"),
    ],
)
def test_data_and_models_without_patterns_are_refused(spec: DataSpec, options: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        architecture_space(with_options(Config(), options), spec)


@pytest.mark.slow
@pytest.mark.spec("A64")
def test_a_search_of_architectures_beats_the_median_random_network() -> None:
    options = {"data__source": "digits", "epochs": 2, "training__threads": 1, "training__batch_size": 64}
    base = with_options(Config(), options)
    ground = Ground()
    spec = ground.dataset(base).spec
    space = architecture_space(base, spec)
    sampler = build_sampler("evolution", 0, space, 14)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    accuracies: list[float] = []
    for number in range(14):
        trial = study.ask()
        config = with_options(base, space.patch(space.ask(trial)))
        host = Listed([Member(number, config)])
        train_population(host, ground, on="one-by-one")
        outcome = host.outcomes[number]
        if outcome.state == "finished":
            study.tell(trial, outcome.valid["accuracy"])
            accuracies.append(outcome.valid["accuracy"])
        else:
            study.tell(trial, state=TrialState.FAIL)
    assert isinstance(sampler, Evolution)
    at_random = accuracies[: sampler.population]
    assert len(accuracies) >= 12
    assert max(accuracies) > np.median(at_random)
    assert np.median(accuracies[-6:]) > np.median(at_random)  # and the children, not only the best of many
    assert max(accuracies) > 0.9


def test_a_group_holds_what_it_is_given() -> None:
    assert (
        text_of((group("res", (layer("conv", 8, 3), layer("relu")), repeat=2), layer("fc"))) == "res[conv8@3-relu]*2 fc"
    )
