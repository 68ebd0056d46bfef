"""Every estimator says what it is, and wrong names and settings are met with the right ones."""

import pytest

from emms.errors import EstimatorError
from emms.estimators import ESTIMATORS, MomentEstimator, make_estimator


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
