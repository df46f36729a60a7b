"""scikit-learn's tools on the estimators: searches, cross-validation and curves, in one process and in workers."""

from __future__ import annotations

import os
import random
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris, make_friedman1
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from limpid.cores import usable_cores
from limpid.device import prepare_cpu
from limpid.errors import ConfigError
from limpid.estimators import Classifier, Regressor

QUICK: dict[str, Any] = {
    "epochs": 6, "batch_size": 16, "lr": 0.02, "hidden": (16,), "random_state": 0, "device": "cpu",
    "options": {"model.dropout": 0.2},  # draws from the generators that a process shares
}  # fmt: skip


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return X, load_iris().target_names[y]


@pytest.fixture(scope="module")
def friedman():
    return make_friedman1(200, random_state=0)


@pytest.fixture(scope="module")
def workers():
    """Two fresh worker processes that nobody told how many threads to use; gone afterwards."""
    get_reusable_executor().shutdown(wait=True)
    told = os.environ.pop("OMP_NUM_THREADS", None)
    yield 2
    get_reusable_executor().shutdown(wait=True)
    if told is not None:
        os.environ["OMP_NUM_THREADS"] = told


def threads_of_a_fit(estimator: Any, X: Any, y: Any) -> float:
    """As a scorer: the threads that the next fit in this process would train with."""
    return float(prepare_cpu(None))


def test_cross_validation_is_a_loop_over_folds(iris):
    X, y = iris
    folds = list(KFold(3, shuffle=True, random_state=0).split(X))
    by_hand = []
    for train, test in folds:
        model = Classifier(**QUICK).fit(X[train], y[train])
        by_hand.append(log_loss(y[test], model.predict_proba(X[test])))
    scores = cross_val_score(Classifier(**QUICK), X, y, cv=folds, scoring="neg_log_loss")
    np.testing.assert_allclose(scores, -np.array(by_hand), rtol=1e-12)


def test_workers_find_the_same_numbers_and_share_the_cores(iris, workers, tmp_path, monkeypatch):
    X, y = iris
    monkeypatch.chdir(tmp_path)
    scoring = {"loss": "neg_log_loss", "threads": threads_of_a_fit}
    one = cross_validate(Classifier(**QUICK), X, y, cv=4, scoring="neg_log_loss")
    two = cross_validate(Classifier(**QUICK), X, y, cv=4, scoring=scoring, n_jobs=workers)
    np.testing.assert_array_equal(one["test_score"], two["test_loss"])
    assert max(two["test_threads"]) <= max(1, usable_cores() // workers)
    assert list(tmp_path.iterdir()) == []


def test_fits_in_threads_take_turns(iris):
    X, y = iris
    alone = cross_val_score(Classifier(**QUICK), X, y, cv=4, scoring="neg_log_loss")
    with joblib.parallel_config(backend="threading"):
        together = cross_val_score(Classifier(**QUICK), X, y, cv=4, scoring="neg_log_loss", n_jobs=4)
    np.testing.assert_array_equal(alone, together)


def test_a_fit_leaves_the_process_as_it_was(iris):
    found = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for option in ({}, {"training.threads": 1}):
            torch.set_flush_denormal(False)
            states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate(), dict(os.environ)
            Classifier(**{**QUICK, "options": option}).fit(*iris).predict(iris[0])
            after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate(), dict(os.environ)
            assert torch.equal(states[0], after[0])
            assert states[1:] == after[1:]
            assert torch.get_num_threads() == 2
            assert float(torch.full((1,), 1e-40).mul(1)) != 0
    finally:
        torch.set_num_threads(found)


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_grid_search_refits_the_best(iris, workers, n_jobs):
    X, y = iris
    grid = {"lr": [1e-5, 0.02], "hidden": [(4,), (16,)]}
    scoring = ["accuracy", "neg_log_loss", "roc_auc_ovr"]
    search = GridSearchCV(Classifier(**QUICK), grid, cv=2, scoring=scoring, refit="neg_log_loss", n_jobs=n_jobs)
    search.fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_params_["lr"] == 0.02
    best = search.cv_results_["mean_test_neg_log_loss"].argmax()
    assert search.best_params_ == search.cv_results_["params"][best]
    again = Classifier(**{**QUICK, **search.best_params_}).fit(X, y)
    np.testing.assert_array_equal(search.predict_proba(X), again.predict_proba(X))
    assert search.score(X, y) == pytest.approx(-log_loss(y, again.predict_proba(X)))
    assert search.classes_.tolist() == ["setosa", "versicolor", "virginica"]


def test_random_search_over_a_pipeline_in_workers(iris, workers):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), Classifier(**QUICK))
    choices = {"classifier__lr": loguniform(1e-4, 1e-1), "classifier__options": [None, {"optim.weight_decay": 0.1}]}
    searches = [
        RandomizedSearchCV(pipeline, choices, n_iter=3, cv=2, n_jobs=jobs, random_state=0).fit(X, y)
        for jobs in (1, workers)
    ]
    tried = [search.cv_results_["params"] for search in searches]
    assert tried[0] == tried[1]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    np.testing.assert_array_equal(*scores)
    assert searches[0].best_estimator_["classifier"].lr == searches[0].best_params_["classifier__lr"]


def test_halving_search_spends_epochs(iris):
    search = HalvingGridSearchCV(
        Classifier(**QUICK), {"lr": [1e-5, 1e-4, 0.01, 0.02]}, resource="epochs", min_resources=2, max_resources=8, cv=2
    ).fit(*iris)
    assert search.n_resources_[0] == 2
    assert search.best_params_["epochs"] == search.n_resources_[-1] > 2
    assert search.best_params_["lr"] >= 0.01


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_value_that_cannot_be_used_is_a_failed_fit(iris):
    search = GridSearchCV(Classifier(**QUICK), {"lr": [0.02, -1.0]}, cv=2)
    with pytest.warns(FitFailedWarning, match=r"optim\.lr = -1\.0 is not accepted"):
        search.fit(*iris)
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, False]
    with pytest.raises(ConfigError, match=r"optim\.lr"):
        search.set_params(error_score="raise").fit(*iris)


def test_a_learning_curve_grows_with_the_rows(iris, workers):
    X, y = iris
    sizes, _, scores = learning_curve(
        Classifier(**QUICK), X, y, cv=3, train_sizes=[0.1, 1.0], shuffle=True, random_state=0, n_jobs=workers
    )
    assert sizes.tolist() == [10, 100]
    assert scores[1].mean() > scores[0].mean()


def test_a_validation_curve_has_a_rate_that_learns(iris):
    _, scores = validation_curve(Classifier(**QUICK), *iris, param_name="lr", param_range=[1e-5, 0.02], cv=2)
    assert scores[1].mean() > scores[0].mean() + 0.1


def test_early_stopping_works_inside_of_folds(iris):
    model = Classifier(**{**QUICK, "epochs": 200, "options": {"training.patience": 2}}, validation_share=0.3)
    fitted = cross_validate(model, *iris, cv=3, return_estimator=True)["estimator"]
    lengths = [len({row["epoch"] for row in one.history_ if "epoch" in row}) for one in fitted]
    assert all(0 < length < 200 for length in lengths)
    assert len({tuple(row["loss"] for row in one.history_) for one in fitted}) == 3  # each fold its own


@pytest.mark.parametrize("scoring", ["r2", "neg_root_mean_squared_error", "neg_mean_absolute_error"])
def test_regressors_are_scored_by_name(friedman, scoring):
    scores = cross_val_score(Regressor(**QUICK), *friedman, cv=2, scoring=scoring)
    assert np.isfinite(scores).all()


def test_clones_are_unfitted_and_equal(iris):
    fitted = Classifier(**QUICK).fit(*iris)
    copy = clone(fitted)
    assert not hasattr(copy, "network_")
    assert copy.get_params() == fitted.get_params()
    np.testing.assert_array_equal(copy.fit(*iris).predict_proba(iris[0]), fitted.predict_proba(iris[0]))


def test_wrappers_take_the_estimators(iris, friedman):
    X, y = iris
    probabilities = cross_val_predict(Classifier(**QUICK), X, y, cv=2, method="predict_proba")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-9)
    bagged = BaggingClassifier(Classifier(**QUICK), 2, random_state=0).fit(X, y)
    assert len({one.random_state for one in bagged.estimators_}) == 2
    stacked = StackingClassifier([("a", Classifier(**QUICK)), ("b", Classifier(**{**QUICK, "lr": 0.01}))], cv=2)
    calibrated = CalibratedClassifierCV(Classifier(**QUICK), cv=2)
    for model in (bagged, stacked.fit(X, y), calibrated.fit(X, y)):
        assert accuracy_score(y, model.predict(X)) > 0.7
    logarithmic = TransformedTargetRegressor(Regressor(**QUICK), func=np.log1p, inverse_func=np.expm1)
    assert logarithmic.fit(*friedman).score(*friedman) > 0.3
    importance = permutation_importance(Classifier(**QUICK).fit(X, y), X, y, n_repeats=2, random_state=0)
    assert importance.importances_mean[2:].max() > importance.importances_mean[:2].max()  # petals tell the species
