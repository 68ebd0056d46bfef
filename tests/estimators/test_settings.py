"""Settings of estimators: checks, conversion, error messages, and scikit-learn's interface."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pytest
from pydantic import AfterValidator
from sklearn.base import clone

from emms.errors import EstimatorError
from emms.estimators import ESTIMATORS, all_settings, make_estimator, seeded
from emms.estimators.base import SampleEstimator
from emms.estimators.emms import EMMS, EMMSCV
from emms.estimators.knn import KNN
from emms.estimators.linear_probe import LinearProbe

if TYPE_CHECKING:
    from somewhere import Distance

OTHER_THAN_DEFAULT: dict[str, dict[str, Any]] = {
    "emms": {"solver": "released", "tolerance": 1e-300, "max_iter": 10**12},
    "emms-cv": {"validation": 3},
    "emms-decoded": {"validation": 3, "others": 9, "seed": 2**70},
    "logme": {"formula": "released"},
    "logme-f-label": {"formula": "released"},
    "transrate": {"eps": 0.1, "weights": "share", "scale": "trace"},
    "lda": {"shrinkage": 0.5},
    "sfda": {"shrinkage": 1e-10},
    "parc": {"n_components": 2, "pca": "exact", "max_samples": 3, "seed": 0},
    "gbc": {"covariance": "diagonal", "n_components": 1, "floor": 1e-9},
    "nleep": {"components_per_class": 1, "energy": 1.0, "covariance": "full", "seed": 7},
    "pactran-dirichlet": {"alpha": 1e300},
    "pactran-gamma": {"alpha": 0.5},
    "pactran-gauss": {"strength": 10.0, "variance": 10.0},
    "etran": {"lowest": 1.0},
    "occam-int": {"scale": "spread"},
    "occam-concept-variance": {"alpha": 1.0},
    "knn": {"k": 300, "distance": "euclidean"},
    "knn-labels": {"k": 3, "distance": "euclidean"},
    "linear-probe": {"folds": 2, "C": 0.1, "seed": 1, "max_iter": 50},
}


@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_each_has_the_interface_of_scikit_learn(name):
    settings = OTHER_THAN_DEFAULT.get(name, {})
    estimator = make_estimator(name, **settings)
    assert estimator.get_params() == make_estimator(name).get_params() | settings
    for copied in (clone(estimator), copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))):
        assert type(copied) is type(estimator)
        assert copied.get_params() == estimator.get_params()
    assert repr(estimator).startswith(f"{type(estimator).__name__}(")
    assert all(f"{setting}={value!r}" in repr(estimator) for setting, value in settings.items())
    assert make_estimator(name).set_params(**settings).get_params() == estimator.get_params()
    assert all_settings(name, settings) == estimator.get_params()


def test_all_settings_are_tested():
    for name, estimator in ESTIMATORS:
        assert set(estimator().get_params()) - {"validation"} <= set(OTHER_THAN_DEFAULT.get(name, {})), name


def test_a_fitted_estimator_is_cloned_without_its_results():
    X, Z, y = np.random.default_rng(0).standard_normal((30, 4)), np.eye(3)[:, :, None], np.arange(30) % 3
    fitted = EMMS("released").fit(X, Z, y)
    assert not hasattr(clone(fitted), "score_")
    assert pickle.loads(pickle.dumps(fitted)).score_ == copy.deepcopy(fitted).score_ == fitted.score_


def test_the_cross_validated_form_has_one_setting():
    assert EMMSCV().get_params() == {"validation": 5}
    assert repr(EMMSCV(3)) == "EMMSCV(validation=3)"
    with pytest.raises(EstimatorError, match=r"'emms-cv' has no setting 'solver' \(settings: validation\)"):
        EMMSCV().set_params(solver="exact")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("emsm", {}, "estimator 'emsm' is unknown; did you mean 'emms'"),
        (
            "emms",
            {"solvr": "exact"},
            r"estimator 'emms' has no setting 'solvr'; did you mean 'solver'\? \(settings: sol",
        ),
        ("logme", {"solver": "exact"}, r"no setting 'solver' \(settings: formula\)"),
        ("h-score", {"shrinkage": 1}, r"'h-score' has no setting 'shrinkage' \(settings: none\)"),
        ("emms", {"solver": "quick"}, "'solver' should be 'exact', 'alternating' or 'released', not 'quick'"),
        ("emms", {"solver": ["exact"]}, r"'solver' should be 'exact', 'alternating' or 'released', not \['exact'\]"),
        ("emms", {"tolerance": 0}, "estimator 'emms': setting 'tolerance' should be greater than 0, not 0"),
        ("emms", {"tolerance": "abc"}, "'tolerance' should be a valid number, not 'abc'"),
        ("emms", {"tolerance": ".nan"}, "'tolerance' should be a valid number, not '.nan'"),
        ("emms", {"tolerance": "nan"}, "'tolerance' should be a finite number, not 'nan'"),
        ("emms", {"tolerance": float("inf")}, "'tolerance' should be a finite number, not inf"),
        ("emms", {"tolerance": None}, "'tolerance' should be a valid number, not None"),
        ("emms", {"max_iter": 0}, "'max_iter' should be greater than or equal to 1, not 0"),
        ("emms", {"max_iter": 1.5}, "'max_iter' should be a valid integer, not 1.5"),
        ("emms", {"max_iter": True}, "'max_iter' should be a valid integer, not True"),
        ("emms", {"max_iter": np.bool_(True)}, "'max_iter' should be a valid integer, not np.True_"),
        ("emms", {"max_iter": float("nan")}, "'max_iter' should be a finite number, not nan"),
        ("emms", {"validation": 1}, "'validation' should be 0, or 2 or more, not 1"),
        ("emms", {"validation": -2}, "'validation' should be greater than or equal to 0, not -2"),
        ("emms", {"validation": 5, "solver": "released"}, "with 'validation', .* should be 'exact', not 'released'"),
        ("emms-cv", {"validation": 0}, "'emms-cv': setting 'validation' should be greater than or equal to 2, not 0"),
        ("emms-decoded", {"validation": 1}, "'validation' should be greater than or equal to 2"),
        ("emms-decoded", {"others": 0}, "'others' should be greater than or equal to 1"),
        ("gbc", {"covariance": "full"}, "'covariance' should be 'spherical' or 'diagonal', not 'full'"),
        ("gbc", {"n_components": 0}, "'n_components' should be greater than or equal to 1, not 0"),
        ("gbc", {"floor": 0}, "'floor' should be greater than 0, not 0"),
        ("lda", {"shrinkage": 0}, "'lda': setting 'shrinkage' should be greater than or equal to 0.0000000001, not 0"),
        ("lda", {"shrinkage": 1.5}, "'shrinkage' should be less than or equal to 1, not 1.5"),
        ("lda", {"shrinkage": "much"}, "'shrinkage' should be a valid number, not 'much'"),
        ("sfda", {"shrinkage": 1e-12}, "'shrinkage' should be greater than or equal to 0.0000000001, not 1e-12"),
        ("parc", {"pca": "full"}, "'pca' should be 'randomised' or 'exact', not 'full'"),
        ("parc", {"n_components": 1}, "'n_components' should be greater than or equal to 2, not 1"),
        ("parc", {"max_samples": 2}, "'max_samples' should be greater than or equal to 3, not 2"),
        ("parc", {"seed": -1}, "'seed' should be greater than or equal to 0, not -1"),
        ("logme", {"formula": "new"}, "'formula' should be 'evidence' or 'released', not 'new'"),
        ("knn", {"k": 0}, "'knn': setting 'k' should be greater than or equal to 1, not 0"),
        ("knn", {"distance": "manhattan"}, "'distance' should be 'cosine' or 'euclidean', not 'manhattan'"),
        ("nleep", {"components_per_class": 2.5}, "'components_per_class' should be a valid integer, not 2.5"),
        ("nleep", {"energy": 1.2}, "'energy' should be less than or equal to 1, not 1.2"),
        ("nleep", {"covariance": "tied"}, "'covariance' should be 'diag' or 'full', not 'tied'"),
        ("pactran-gauss", {"strength": 0}, "'strength' should be greater than 0, not 0"),
        ("pactran-gauss", {"variance": "x"}, "'variance' should be a valid number, not 'x'"),
        (
            "pactran-gamma",
            {"alpha": float("nan")},
            "'pactran-gamma': setting 'alpha' should be a finite number, not nan",
        ),
        ("occam-int", {"scale": "unit"}, "'scale' should be 'raw' or 'spread', not 'unit'"),
        ("occam-concept-variance", {"alpha": -1}, "'alpha' should be greater than 0, not -1"),
        ("etran", {"lowest": 2}, "'lowest' should be less than or equal to 1, not 2"),
        ("linear-probe", {"folds": 1}, "'folds' should be greater than or equal to 2, not 1"),
        ("linear-probe", {"seed": True}, "'seed' should be a valid integer, not True"),
        ("transrate", {"eps": 0}, "'eps' should be greater than 0, not 0"),
        ("transrate", {"weights": "size"}, "'weights' should be 'equal' or 'share', not 'size'"),
        ("transrate", {"scale": "unit"}, "'scale' should be 'none' or 'trace', not 'unit'"),
    ],
)
def test_invalid_settings_raise_with_the_valid_range(name, settings, message):
    with pytest.raises(EstimatorError, match=message):
        make_estimator(name, **settings)
    if name in ESTIMATORS.names():
        with pytest.raises(EstimatorError, match=message):
            ESTIMATORS.get(name)(**settings)
        with pytest.raises(EstimatorError, match=message):
            make_estimator(name).set_params(**settings)


def test_too_many_arguments_are_an_error_that_lists_the_settings():
    with pytest.raises(EstimatorError, match=r"'knn': too many positional arguments \(settings: k, distance\)"):
        KNN(5, "cosine", 1)


def test_invalid_settings_do_not_change_the_estimator():
    estimator = EMMS(validation=5)
    with pytest.raises(EstimatorError, match="with 'validation'"):
        estimator.set_params(max_iter=7, solver="released")
    assert estimator.get_params() == EMMS(validation=5).get_params()


@pytest.mark.parametrize("given", [3, np.int64(3), np.uint8(3), np.float32(3), 3.0, "3", " 3 "])
def test_accepted_types_of_integers(given):
    for estimator in (KNN(given), KNN(k=given), make_estimator("knn", k=given), KNN().set_params(k=given)):
        assert type(estimator.k) is int
        assert estimator.k == 3
    assert all_settings("knn", {"k": given}) == {"k": 3, "distance": "cosine"}


@pytest.mark.parametrize("given", [1e-8, "1e-8", np.float64(1e-8), "0.00000001"])
def test_accepted_types_of_floats(given):
    assert type(LinearProbe(C=given).C) is float
    assert make_estimator("linear-probe", C=given).C == 1e-8
    assert type(LinearProbe(C=1).C) is float


def test_the_seed_of_a_run_is_passed_to_estimators_with_a_seed():
    assert seeded("knn", {"k": 3}, 7) == {"k": 3}
    assert seeded("parc", {"pca": "exact"}, 7) == {"seed": 7, "pca": "exact"}
    assert seeded("parc", {"seed": 1}, 7) == {"seed": 1}


# Estimators of other packages, with any kind of constructor.


class Plugin(SampleEstimator):
    """An estimator without a score."""

    name, summary, paper, cost = "plugin", "nothing", "none", "nothing"

    def _score(self, X, y, n_classes):
        return 0.0


@pytest.fixture
def registered(monkeypatch):
    return lambda plugin: monkeypatch.setattr(ESTIMATORS, "get", lambda name: plugin)


def test_a_constructor_without_annotations(registered):
    class Plain(Plugin):
        def __init__(self, k=3, kind="a"):
            self.k, self.kind = k, kind

    registered(Plain)
    assert make_estimator("plugin", k="7").k == "7"
    assert all_settings("plugin", {"k": 4}) == {"k": 4, "kind": "a"}
    assert clone(Plain(4)).get_params() == {"k": 4, "kind": "a"}
    with pytest.raises(EstimatorError, match=r"has no setting 'kid'; did you mean 'kind'\? \(settings: k, kind\)"):
        make_estimator("plugin", kid=1)


def test_a_constructor_that_does_not_store_its_settings(registered):
    class Private(Plugin):
        def __init__(self, k: int):
            self._k = 2 * k

    registered(Private)
    assert make_estimator("plugin", k="7")._k == 14
    assert all_settings("plugin", {"k": "7"}) == {"k": 7}
    with pytest.raises(EstimatorError, match=r"'plugin': missing a required argument: 'k' \(settings: k\)"):
        make_estimator("plugin")


def test_annotations_that_only_type_checkers_can_import(registered):
    class Checked(Plugin):
        def __init__(self, distance: Distance, k: int = 3, weigh: Counter | np.ndarray = None):
            self.distance, self.k, self.weigh = distance, k, weigh

    registered(Checked)
    assert make_estimator("plugin", distance="far", k="7", weigh=np.sum).get_params()["k"] == 7
    with pytest.raises(EstimatorError, match="'k' should be a valid integer, not 'x'"):
        make_estimator("plugin", distance="far", k="x")


def test_annotations_that_are_not_types(registered):
    class Described(Plugin):
        def __init__(self, k: "how many neighbours" = 3, size: 5 = 4):  # noqa: F722
            self.k, self.size = k, size

    registered(Described)
    assert make_estimator("plugin", k=7, size=8).get_params() == {"k": 7, "size": 8}


def _even(k: int) -> int:
    if k % 2:
        raise ValueError("k must be even")
    return k


def test_messages_of_custom_validators_are_passed_on(registered):
    class Even(Plugin):
        def __init__(self, k: Annotated[int, AfterValidator(_even)] = 2, weights: tuple[float, float] = (1, 1)):
            self.k, self.weights = k, weights

    registered(Even)
    assert make_estimator("plugin", weights=[1, 2]).weights == (1, 2)
    with pytest.raises(EstimatorError, match="'plugin': setting 'k' is wrong: Value error, k must be even, not 3"):
        make_estimator("plugin", k=3)


@dataclass
class DataPlugin(Plugin):
    """An estimator whose constructor is created after the class, so that only `make_estimator` checks it."""

    k: int = 3


def test_a_dataclass(registered):
    registered(DataPlugin)
    assert make_estimator("plugin", k="7") == DataPlugin(7)
    with pytest.raises(EstimatorError, match=r"has no setting 'kk'; did you mean 'k'\? \(settings: k\)"):
        make_estimator("plugin", kk=1)


def test_a_constructor_that_takes_any_setting(registered):
    class Any_(Plugin):  # noqa: N801
        def __init__(self, *args: int, **settings: int):
            self.settings = settings

    registered(Any_)
    assert make_estimator("plugin", k="7").settings == {"k": "7"}
    assert all_settings("plugin", {"k": "7"}) == {"k": "7"}


class Sloppy(KNN):
    """An estimator whose defaults do not match its annotations."""

    def __init__(self, k: int = None, weigh: object = lambda a: a, seed: str = "a"):  # noqa: RUF013
        super().__init__(k or 3)


def test_defaults_of_plug_ins_are_unchanged_and_named_reproducibly(registered):
    registered(Sloppy)
    assert make_estimator("sloppy", **seeded("sloppy", {}, 7)).k == 3
    weigh = "Sloppy.<lambda>"
    assert all_settings("sloppy", {"k": 5}) == {"k": 5, "weigh": weigh, "seed": "a"}
