"""The estimators keep scikit-learn's whole contract, and learn."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from limpid.errors import ConfigError
from limpid.estimators import Classifier, Regressor

QUICK = {"epochs": 12, "batch_size": 16, "lr": 0.02, "hidden": (32, 16), "random_state": 0}


@parametrize_with_checks([Classifier(**QUICK), Regressor(**QUICK)])
def test_scikit_learn_contract(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.fixture(scope="module")
def iris():
    data = load_iris()
    return data.data, data.target_names[data.target]


def test_learns_string_labels_better_than_chance(iris):
    X, y = iris
    model = Classifier(**QUICK).fit(X, y)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.score(X, y) > 0.9
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, atol=1e-9)
    assert (model.classes_[model.predict_proba(X).argmax(axis=1)] == model.predict(X)).all()


def test_one_seed_gives_the_same_network_and_another_seed_another(iris):
    X, y = iris
    first, again = (Classifier(**QUICK).fit(X, y).predict_proba(X) for _ in range(2))
    other = Classifier(**{**QUICK, "random_state": 1}).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_pickled_copy_answers_the_same(iris):
    X, y = iris
    model = Classifier(**QUICK).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))


def test_a_row_is_answered_alike_alone_and_among_others(iris):
    X, y = iris
    model = Classifier(**QUICK).fit(X, y)
    alone = np.concatenate([model.predict_proba(X[i : i + 1]) for i in range(0, 150, 10)])
    np.testing.assert_allclose(alone, model.predict_proba(X)[::10], rtol=1e-12)


@pytest.mark.parametrize("targets", [1, 3])
def test_regression_is_in_the_units_of_the_target(targets):
    X, y = make_regression(200, 5, n_targets=targets, noise=1.0, random_state=0)
    model = Regressor(**QUICK).fit(X, 1000.0 + 50.0 * y)
    assert model.predict(X).shape == y.shape
    assert model.score(X, 1000.0 + 50.0 * y) > 0.8


def test_targets_beyond_float32_are_refused():
    with pytest.raises(ValueError, match="too large for dtype"):
        Regressor(**QUICK).fit(np.eye(4), np.array([0.0, 1.0, 2.0, 1e39]))


def test_composes_with_pipeline_search_and_cross_validation(iris):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), Classifier(**{**QUICK, "epochs": 5}))
    assert len(cross_val_score(pipeline, X, y, cv=2)) == 2
    search = GridSearchCV(pipeline, {"classifier__hidden": [(4,), (8,)]}, cv=2).fit(X, y)
    assert search.best_params_["classifier__hidden"] in [(4,), (8,)]


def test_options_reach_the_configuration_and_leave_the_constructor_arguments_alone(iris):
    X, y = iris
    options = {"model.activation": "tanh", "objective.label_smoothing": 0.1}
    model = Classifier(**QUICK, options=options)
    assert clone(model).get_params() == model.get_params()
    plain = Classifier(**QUICK).fit(X, y).predict_proba(X)
    smooth = model.fit(X, y).predict_proba(X)
    assert smooth.max() < plain.max()  # smoothed targets ask for less certainty
    assert model.options == options


def test_held_out_rows_are_optional(iris):
    X, y = iris
    assert Classifier(**QUICK, validation_share=0.2).fit(X, y).spec_.num_train == 120
    assert Classifier(**QUICK, validation_share=0.0).fit(X, y).spec_.num_train == 150
    assert Classifier(**QUICK).fit(X[::2], y[::2]).spec_.num_train == 75  # too few to spare any


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"options": {"optim.weight_decai": 0.1}}, "optim.weight_decay"),
        ({"options": {"weight_decay": 0.1}}, "section.key"),
        ({"precision": "float8"}, "training.precision"),
        ({"epochs": -1}, "training.epochs"),
    ],
)
def test_wrong_options_are_named(iris, arguments, message):
    with pytest.raises(ConfigError, match=message):
        Classifier(**arguments).fit(*iris)


def test_one_class_is_refused_by_name(iris):
    with pytest.raises(ValueError, match="one class only: 'setosa'"):
        Classifier(**QUICK).fit(iris[0][:50], iris[1][:50])
