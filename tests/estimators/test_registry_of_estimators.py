"""Every estimator says what it is, and wrong names and settings are met with the right ones."""

import numpy as np
import pytest
import torch

from emms.errors import EstimatorError
from emms.estimators import ESTIMATORS, MomentEstimator, all_settings, make_estimator, seeded
from emms.estimators.knn import KNN


@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_each_says_what_it_is(name):
    estimator = ESTIMATORS.get(name)
    assert estimator.name == name
    assert estimator.needs in ("labels", "label embeddings")
    assert (estimator.reads == "moments") == issubclass(estimator, MomentEstimator)
    assert estimator.reads in ("moments", "samples", "source logits")
    assert all([estimator.summary, estimator.paper, estimator.cost])


def test_a_setting_reaches_the_estimator():
    assert make_estimator("emms", solver="released").solver == "released"


def test_a_number_that_yaml_takes_for_text_is_a_number():
    assert make_estimator("emms", tolerance="1e-6").tolerance == 1e-6
    assert make_estimator("emms", tolerance=1).tolerance == 1


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("emsm", {}, "estimator 'emsm' is unknown; did you mean 'emms'"),
        ("emms", {"solvr": "exact"}, "no setting 'solvr'; did you mean 'solver'"),
        ("logme", {"formula": "new"}, "no formula 'new'; it has: evidence, released"),
        ("emms", {"solver": "quick"}, "no solver 'quick'; it has: exact, alternating, released"),
        ("emms", {"tolerance": "abc"}, "estimator 'emms': tolerance should be a valid number, .*, not 'abc'"),
        ("emms", {"max_iter": 1.5}, "estimator 'emms': max_iter should be a valid integer, not 1.5"),
        ("emms", {"max_iter": True}, "estimator 'emms': max_iter should be a valid integer, not True"),
        ("emms", {"solver": ["exact"]}, "no solver"),
        ("logme", {"solver": "exact"}, r"no setting 'solver' \(settings: formula\)"),
    ],
)
def test_wrong_names_and_settings_are_named(name, settings, message):
    with pytest.raises(EstimatorError, match=message):
        make_estimator(name, **settings)


@pytest.mark.parametrize("name", [n for n in ESTIMATORS.names() if ESTIMATORS.get(n).reads != "source logits"])
@pytest.mark.filterwarnings("ignore::emms.estimators.UnreliableScoreWarning")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda X: 1e-100 * X,
        lambda X: 1e-200 * X,
        lambda X: X * np.logspace(-150, 150, X.shape[1]),
        lambda X: torch.tensor(X, requires_grad=True),
        lambda X: torch.tensor(X).bfloat16(),
        lambda X: X.tolist(),
        lambda X: X.astype(np.float16),
        lambda X: np.asfortranarray(X)[:, ::-1],
    ],
)
def test_whatever_comes_in_a_number_or_a_reason_comes_out(name, spoil):
    rng = np.random.default_rng(0)
    X, Z, y = rng.standard_normal((60, 6)), rng.standard_normal((3, 4, 2)), np.arange(60) % 3
    estimator = make_estimator(name)
    labels = (Z, y) if estimator.needs == "label embeddings" else (y,)
    try:
        with np.errstate(all="ignore"):
            score = estimator.fit(spoil(X), *labels).score_
    except EstimatorError:
        return
    assert np.isfinite(score)


def test_whole_numbers_of_numpy_are_whole_numbers():
    assert make_estimator("knn", k=3).k == KNN(np.int64(3)).k


class Sloppy(KNN):
    """Its defaults are not what its annotations say, as plug-ins' may be."""

    def __init__(self, k: int = None, weigh: object = lambda a: a, seed: str = "a"):  # noqa: RUF013
        super().__init__(k or 3)


def test_defaults_of_plug_ins_are_left_alone_and_named_the_same_in_every_process(monkeypatch):
    monkeypatch.setattr(ESTIMATORS, "get", lambda name: Sloppy)
    assert make_estimator("sloppy", **seeded("sloppy", {}, 7)).k == 3
    weigh = "Sloppy.<lambda>"
    assert all_settings("sloppy", {"k": 5}) == {"k": 5, "weigh": weigh, "seed": "a"}
