"""Paired trials on small runs: what is accepted, what is withdrawn, and that nothing of the run is touched."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_moons

import limpid
from limpid.commands.treating import treat as treat_from_terminal
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding
from limpid.doctor.treatment import Patch, Treatment
from limpid.doctor.treatments import TREATMENTS
from limpid.errors import ConfigError, DataError, ModelError, RecordError
from limpid.practice.budget import Budget, OutOfBudget
from limpid.practice.nursery import Nursery
from limpid.practice.patches import patched
from limpid.practice.symptoms import compare_symptom
from limpid.practice.therapist import Therapist
from limpid.practice.therapy import Therapy
from limpid.practice.trial import Trial
from limpid.practice.twins import Outcome, Twin
from limpid.practice.yardstick import figure_for
from limpid.record.run import Run
from limpid.reporting.therapy_lines import TrialScreen, therapy_lines
from limpid.workbench import treat

X, Y = make_moons(300, noise=0.2, random_state=0)
DATA = (X.astype(np.float32), Y)
SMALL: dict[str, Any] = {"model": "mlp", "hidden": [16], "model__dropout": 0.0, "epochs": 6, "batch_size": 32}
SMALL |= {"optimizer": "adamw", "lr": 0.03, "record__report": False, "record__doctor": False, "training__threads": 1}
SLOW_RATE = Finding(
    level="warning", symptom="s", value=1.0, threshold=0.0, code="X02", name="slow", treatments=("raise-rate",)
)


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Moons with a rate a thousand times too small."""
    return limpid.train(DATA, out=tmp_path_factory.mktemp("sick") / "run", **{**SMALL, "lr": 3e-5})


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return limpid.train(DATA, out=tmp_path_factory.mktemp("healthy") / "run", **SMALL)


@pytest.fixture(scope="module")
def cured(sick: Run, tmp_path_factory: pytest.TempPathFactory) -> Therapy:
    """What comes of the sick run."""
    return treat(sick, findings=[SLOW_RATE], source=DATA, out=tmp_path_factory.mktemp("cured") / "run")


def one_dose(**options: Any) -> Treatment:
    """A made-up treatment with one dose, its options with two underscores."""
    patch: Patch = {path.replace("__", "."): value for path, value in options.items()}
    return Treatment(name="made-up", what="w", why="w.", source="s", doses=lambda evidence, finding: [patch])


def trial_of(run: Run, treatment: Treatment, *, share: float = 1.0, budget: Budget | None = None) -> Trial:
    therapist = Therapist(run, source=DATA, budget=budget)
    figure = figure_for(therapist.config, therapist.nursery.ground.dataset(therapist.config).spec)
    return therapist.trials.run(therapist.config, treatment, SLOW_RATE, therapist.evidence, figure=figure, share=share)


# Twins


def test_a_twin_from_the_runs_own_seed_is_the_run(healthy: Run) -> None:
    therapist = Therapist(healthy, source=DATA)
    twin = therapist.nursery.raise_twin(Twin(therapist.config, therapist.config.training.seed, "log_loss"))
    stored = therapist.judge(healthy, therapist.config, "log_loss")
    assert stored is not None
    assert np.array_equal(twin.judgement.losses_N, stored.losses_N)
    assert twin.steps == healthy.events("end")[-1]["step"]


def test_an_examined_twin_is_trained_the_same(healthy: Run) -> None:
    therapist = Therapist(healthy, source=DATA)
    twin = Twin(therapist.config, 3, "log_loss")
    plain = Nursery(therapist.config, DATA).raise_twin(twin)
    examined = therapist.nursery.raise_twin(twin, examined=("loss_at_start",))
    assert np.array_equal(plain.judgement.losses_N, examined.judgement.losses_N)
    assert Evidence(examined.header, examined.rows).probe("loss_at_start") is not None


def test_twins_share_split_and_first_weights_where_shapes_allow(healthy: Run) -> None:
    therapist = Therapist(healthy, source=DATA)
    base = therapist.config
    normalised = patched(base, {"model.norm": "batch"})
    asked = (Twin(base, 5, "log_loss"), Twin(normalised, 5, "log_loss", like=base))
    one, two = (therapist.nursery.ground.wiring(therapist.nursery.member(twin)) for twin in asked)
    assert one.dataset is two.dataset
    first, second = (next(iter(w.network.body.parameters())).detach() for w in (one, two))  # type: ignore[union-attr]
    assert first.equal(second)
    batches = [next(iter(w.parts.train.epoch(0))) for w in (one, two)]
    assert batches[0].index.equal(batches[1].index)


def test_a_trial_cannot_read_the_test_split(healthy: Run) -> None:
    therapist = Therapist(healthy, source=DATA)
    assert therapist.nursery.ground.dataset(therapist.config).test() is None


def test_whoever_does_worse_than_knowing_nothing_counts_as_knowing_nothing(healthy: Run) -> None:
    therapist = Therapist(healthy, source=DATA)
    wild = patched(therapist.config, {"optim.lr": 1e5})
    twin = therapist.nursery.raise_twin(Twin(wild, 1, "log_loss"))
    assert twin.judgement.loss == pytest.approx(math.log(2), rel=0.02)


def test_a_short_twin_takes_its_share_of_the_steps(healthy: Run) -> None:
    therapist = Therapist(healthy, source=DATA)
    whole = therapist.nursery.raise_twin(Twin(therapist.config, 1, "log_loss"))
    short = therapist.nursery.raise_twin(Twin(therapist.config, 1, "log_loss", share=0.25))
    assert short.steps == int(0.25 * whole.steps)


# Trials


def test_a_real_gain_is_accepted_on_seeds_that_chose_nothing(sick: Run) -> None:
    trial = trial_of(sick, TREATMENTS["raise-rate"])
    assert trial.accepted
    assert trial.gain is not None
    assert trial.gain.low > 0
    assert trial.treated is not None
    assert trial.untreated is not None
    assert trial.untreated - trial.treated == pytest.approx(trial.gain.mean)
    assert sick.header["seed"] not in trial.seeds
    assert len(trial.seeds) >= 3


@pytest.mark.parametrize(
    ("treatment", "reason"),
    [
        (one_dose(optim__lr=1e-5), "own seed"),
        (one_dose(model__hidden=(17,)), ""),  # other first weights, and no other effect
        (one_dose(optim__clip_norm=1e9), "own seed"),  # nothing at all
        (one_dose(model__freeze="no such layer"), "not possible"),
        (TREATMENTS["unfreeze"], "not tried"),
        (TREATMENTS["shuffle"], "not tried: training here always shuffles"),
    ],
    ids=["harm", "nil", "nothing", "impossible", "does not apply", "by hand"],
)
def test_what_does_not_help_is_withdrawn(healthy: Run, treatment: Treatment, reason: str) -> None:
    trial = trial_of(healthy, treatment)
    assert not trial.accepted
    assert reason in trial.reason


def test_a_trial_is_the_same_each_time(healthy: Run) -> None:
    rows = [trial_of(healthy, one_dose(optim__lr=0.01)).to_row() for _ in range(2)]
    for row in rows:
        del row["seconds"]
    assert rows[0] == rows[1]


def test_the_budget_ends_a_training_and_then_nothing_begins(healthy: Run) -> None:
    with pytest.raises(OutOfBudget):
        trial_of(healthy, one_dose(optim__lr=0.01), budget=Budget(steps=50))


@pytest.mark.parametrize(
    ("text", "budget"),
    [("90", Budget(90)), ("1.5h", Budget(5400)), ("2 min", Budget(120)), ("2000 steps", Budget(steps=2000))],
)
def test_budgets_are_read(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "soon", "-3", "0", "5 weeks"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a time such as"):
        Budget.parse(text)


# Symptoms


def outcome_with(start_loss: float | None, healthy: Run) -> Outcome:
    """A twin whose record says what its first loss was."""
    therapist = Therapist(healthy, source=DATA)
    twin = therapist.nursery.raise_twin(Twin(therapist.config, 1, "log_loss"))
    values = {"loss": start_loss, "chance": 1.0, "n": 64}
    rows: list[Mapping[str, Any]] = [{"kind": "probe", "name": "loss_at_start", "values": values}]
    return replace(twin, rows=[] if start_loss is None else rows)


@pytest.mark.parametrize(
    ("loss", "symptom"), [(None, "not measured"), (1.0, "gone"), (3.0, "milder"), (11.0, "as before")]
)
def test_the_symptom_is_asked_again(healthy: Run, loss: float | None, symptom: str) -> None:
    finding = Finding(level="warning", symptom="s", value=10.0, threshold=8.0, code="B01")
    assert compare_symptom(finding, outcome_with(loss, healthy)) == symptom


# The whole way


def test_a_sick_run_is_treated_to_the_end(sick: Run, healthy: Run, cured: Therapy) -> None:
    assert cured.before is not None
    assert cured.after is not None
    new = Run.open(Path(cured.path))
    assert new.header["config"]["optim"]["lr"] == cured.patch["optim.lr"]
    assert new.header["given"]["optim"]["lr"] == cured.patch["optim.lr"]
    assert "Treated: " in new.events("note")[0]["text"]
    assert new.events("end")[-1]["status"] == "finished"
    therapist = Therapist(healthy, source=DATA)
    reference = therapist.judge(healthy, therapist.config, cured.figure)
    assert reference is not None
    assert cured.before.score < reference.interval[0] <= cured.after.score


def test_trials_are_in_the_record_and_nothing_else_is_touched(sick: Run, cured: Therapy) -> None:
    rows = Run.open(sick.path).events("trial")
    assert [row["treatment"] for row in rows][:1] == ["raise-rate"]
    assert rows[0]["accepted"] is True
    assert rows[0]["gain"]["interval"][0] > 0
    assert rows[0]["level"] == 0.05
    assert Run.open(sick.path).latest_checkpoint() is not None


def test_a_run_that_nothing_helps_stays_as_it_is(healthy: Run, tmp_path: Path) -> None:
    before = {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(healthy.path.rglob("*"))
        if path.is_file() and path.name != "events.jsonl"
    }
    events = (healthy.path / "events.jsonl").read_bytes()
    finding = replace(SLOW_RATE, treatments=("clip", "made-up"))
    therapy = treat(healthy, findings=[finding], source=DATA, out=tmp_path / "new")
    assert therapy.patch == {}
    assert therapy.after is None
    assert not (tmp_path / "new").exists()
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == digest for path, digest in before.items())
    assert (healthy.path / "events.jsonl").read_bytes().startswith(events)
    assert "stays as it is" in "\n".join(therapy_lines(therapy.to_row()))


def test_notes_are_not_treated(sick: Run) -> None:
    assert treat(sick, findings=[replace(SLOW_RATE, level="note")], source=DATA).trials == ()


def test_what_the_budget_does_not_last_for_is_said(sick: Run) -> None:
    therapy = treat(sick, findings=[SLOW_RATE], source=DATA, budget="5 steps")
    assert therapy.untried == (("raise-rate", "X02"),)
    assert "untried    raise-rate for X02" in "\n".join(therapy_lines(therapy.to_row()))


def test_where_trainings_are_dear_trials_are_short_first(sick: Run) -> None:
    steps = sick.events("end")[-1]["step"]
    therapy = treat(sick, findings=[SLOW_RATE], source=DATA, budget=f"{3 * steps} steps")
    assert {trial.share < 0.5 for trial in therapy.trials} == {True}


def test_it_is_told_in_words(cured: Therapy, capsys: pytest.CaptureFixture[str]) -> None:
    screen = TrialScreen("5m")
    for trial in cured.trials:
        screen.trial(trial.to_row())
    screen.passed_over(SLOW_RATE)
    print("\n".join(therapy_lines(cured.to_row())))
    text = capsys.readouterr().out
    assert "accepted   raise-rate for X02: optim.lr = 0.0" in text
    assert "X02 slow is gone" in text
    assert "Treated: validation accuracy " in text
    assert "accepted in at most 5 % of all cases" in text


def test_from_the_terminal(sick: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Diagnosis:
        findings = (SLOW_RATE,)

    with pytest.raises(RecordError, match="handed over in Python"):
        treat_from_terminal(sick.path, Diagnosis, budget="5m", out=tmp_path / "new", json=True)


# Refusals


def test_a_run_without_validation_cannot_be_treated(tmp_path: Path) -> None:
    run = limpid.train(DATA, out=tmp_path / "run", **{**SMALL, "data__valid_share": 0.0, "epochs": 1})
    with pytest.raises(ConfigError, match="no rows for validation"):
        treat(run, findings=[SLOW_RATE], source=DATA)


def test_other_data_are_refused(sick: Run) -> None:
    with pytest.raises(RecordError, match="not those that the run was trained on"):
        treat(sick, findings=[SLOW_RATE], source=(DATA[0] + 1, DATA[1]))


def test_a_module_of_ones_own_is_refused(tmp_path: Path) -> None:
    from torch import nn

    options = {key: value for key, value in SMALL.items() if key not in ("model", "hidden", "model__dropout")}
    run = limpid.train(DATA, model=nn.Linear(2, 1), out=tmp_path / "run", **{**options, "epochs": 1})
    with pytest.raises(ModelError, match="a module of your own"):
        treat(run, findings=[SLOW_RATE], source=DATA)


# The options that treatments need


def test_rows_are_left_out_of_training_alone() -> None:
    whole = limpid.load_data(DATA)
    names = [whole.train.name_of(i) for i in (0, 5)]
    fewer = limpid.load_data(DATA, data__leave_out=names)
    assert len(fewer.train) == len(whole.train) - 2
    assert fewer.spec.num_train == len(fewer.train)
    assert sum(fewer.spec.class_counts) == len(fewer.train)
    assert not {fewer.train.name_of(i) for i in range(len(fewer.train))} & set(names)
    assert fewer.valid is not None
    assert whole.valid is not None
    assert fewer.valid.target.equal(whole.valid.target)
    assert fewer.train.rows.take(fewer.train.index[:0] * 0)[0].shape[1] == 2  # type: ignore[index]


def test_rows_of_other_splits_cannot_be_left_out() -> None:
    whole = limpid.load_data(DATA)
    assert whole.valid is not None
    with pytest.raises(DataError, match="no training row is called"):
        limpid.load_data(DATA, data__leave_out=[whole.valid.name_of(0)])


def test_a_target_can_be_learned_in_its_own_units(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 3)).astype(np.float32)
    y = 100 + 5 * x[:, 0]
    options = {**SMALL, "epochs": 2}
    scores = []
    for standardise in (True, False):
        run = limpid.train((x, y), out=tmp_path / str(standardise), objective__standardise=standardise, **options)
        scores.append(run.events("result")[-1]["r2"])
        guesses = limpid.predict(run, x).to_frame()
        assert len(guesses) == 200
    assert scores[0] > -1 > scores[1]
