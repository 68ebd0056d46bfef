"""Properties of all estimators that read samples or source logits: invariances and edge cases."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emms.errors import EstimatorError
from emms.estimators import ESTIMATORS, UnreliableScoreWarning, make_estimator
from emms.estimators.etran import ETran
from emms.estimators.gbc import GBC
from emms.estimators.h_score import RegularisedHScore
from emms.estimators.knn import KNN
from emms.estimators.lda import LDA
from emms.estimators.leep import LEEP
from emms.estimators.linear_probe import LinearProbe
from emms.estimators.nce import NCE
from emms.estimators.nleep import NLEEP
from emms.estimators.occam_concept_variance import OccamConceptVariance
from emms.estimators.occam_int import OccamINT
from emms.estimators.pactran import PACTranDirichlet, PACTranGamma
from emms.estimators.pactran_gauss import PACTranGauss
from emms.estimators.parc import PARC
from emms.estimators.sfda import SFDA
from emms.estimators.transrate import TransRate

FROM_LOGITS = [LEEP(), NCE(), PACTranDirichlet(), PACTranGamma()]
FROM_FEATURES = [
    NLEEP(2),
    NLEEP(2, covariance="full"),
    PACTranGauss(),
    ETran(),
    KNN(3),
    KNN(3, "euclidean"),
    OccamINT(),
    OccamINT("spread"),
    OccamConceptVariance(),
    LinearProbe(folds=3),
    LDA(),
    SFDA(),
    GBC(),
    PARC(),
    TransRate(),
    RegularisedHScore(),
]
SCALED = PACTranGauss | ETran | LDA | SFDA | TransRate  # of which the paper says nothing else
SCALE_FREE = [e for e in FROM_FEATURES if not isinstance(e, SCALED) and getattr(e, "scale", "") != "raw"]
IGNORE_CONSTANTS = NLEEP | GBC | PARC | TransRate | OccamINT | LinearProbe
"""The others depend on the number of features or on the origin."""
NEED_SPREAD = ETran | LDA | SFDA | GBC | PARC | TransRate | RegularisedHScore
"""These raise if features hardly vary."""


def test_all_estimators_are_tested():
    others = {name for name, e in ESTIMATORS if e.reads != "moments" and e.needs == "labels"}
    assert {e.name for e in FROM_LOGITS + FROM_FEATURES} == others


@pytest.mark.parametrize("name", [n for n in ESTIMATORS.names() if ESTIMATORS.get(n).reads != "source logits"])
@pytest.mark.filterwarnings("ignore::emms.estimators.UnreliableScoreWarning")
def test_estimators_that_reward_width_declare_it(name):
    rng = np.random.default_rng(0)
    y, Z = np.arange(400) % 10, rng.standard_normal((10, 32, 2))
    signal = rng.standard_normal((10, 64))[y] / 2 + rng.standard_normal((400, 64))
    estimator = make_estimator(name)
    labels = (Z, y) if estimator.needs == "label embeddings" else (y,)
    fooled = estimator.fit(rng.standard_normal((400, 640)), *labels).score_ > estimator.fit(signal, *labels).score_
    assert fooled == estimator.rewards_width


def named(estimators):
    return [pytest.param(e, id=f"{e.name}-{'-'.join(map(str, vars(e).values()))}") for e in estimators]


EVERY = named(FROM_LOGITS + FROM_FEATURES)


def score(estimator, X, y):
    """Return the score; raise for any warning except UnreliableScoreWarning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UnreliableScoreWarning)
        result = estimator.fit(X, y).score_
    assert isinstance(result, float)
    assert np.isfinite(result)
    return result


def score_or_reason(estimator, X, y):
    """Return the score, or None after an EstimatorError with a remedy."""
    if not isinstance(estimator, NEED_SPREAD):
        score(estimator, X, y)
        return
    try:
        score(estimator, X, y)
    except EstimatorError as error:
        reason = str(error)
    else:
        return
    assert re.search("; (use|leave|scale)", reason)


def samples(seed=0, N=40, D=8, C=3, apart=1.0):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(C), rng.integers(C, size=N - C)])
    return apart * rng.standard_normal((C, D))[y] + rng.standard_normal((N, D)), y


@pytest.mark.parametrize("estimator", EVERY)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_neither_order_of_samples_nor_names_of_classes_matter(estimator, seed):
    X, y = samples(seed)
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(X)), np.array(["dog", "ant", "cat"])[rng.permutation(3)]
    assert score(estimator, X[order], names[y[order]]) == pytest.approx(score(estimator, X, y), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("estimator", named(SCALE_FREE))
@pytest.mark.parametrize("factor", [3e-5, 7e6])
def test_scale_does_not_matter_where_it_should_not(estimator, factor):
    X, y = samples()
    assert score(estimator, factor * X, y) == pytest.approx(score(estimator, X, y), rel=1e-6)


@pytest.mark.parametrize("estimator", EVERY)
def test_separated_classes_score_higher_than_mixed_ones(estimator):
    X, y = samples(N=120, apart=3.0)
    assert score(estimator, X, y) > score(estimator, X, np.random.default_rng(1).permutation(y))


@pytest.mark.parametrize("estimator", EVERY)
@pytest.mark.parametrize(("N", "D", "C"), [(40, 4, 2), (12, 60, 2), (30, 1, 3)])
def test_few_samples_few_classes_few_features(estimator, N, D, C):
    score_or_reason(estimator, *samples(0, N, D, C))


@pytest.mark.parametrize("estimator", EVERY)
def test_a_class_of_one_sample(estimator):
    X, y = samples()
    y[0] = 3
    score(estimator, X, y)


@pytest.mark.parametrize("estimator", EVERY)
def test_minimum_number_of_samples(estimator):
    if isinstance(estimator, NLEEP | KNN | LinearProbe):
        with pytest.raises(EstimatorError, match="use more samples"):
            score(estimator, np.eye(2), [0, 1])
    else:
        score_or_reason(estimator, np.eye(2), [0, 1])


@pytest.mark.parametrize("estimator", EVERY)
def test_constant_columns(estimator):
    X, y = samples()
    padded = np.hstack([X, np.full((40, 1), 1 / 3), np.zeros((40, 1))])
    found = score(estimator, padded, y)
    if isinstance(estimator, IGNORE_CONSTANTS):
        assert found == pytest.approx(score(estimator, X, y), rel=1e-9)


@pytest.mark.parametrize("estimator", EVERY)
@pytest.mark.parametrize("value", [0.0, 1 / 3, -1e6])
def test_constant_features(estimator, value):
    _, y = samples()
    if isinstance(estimator, NEED_SPREAD):
        with pytest.raises(EstimatorError, match="all features are constant"):
            score(estimator, np.full((40, 8), value), y)
    else:
        score(estimator, np.full((40, 8), value), y)


@pytest.mark.parametrize("estimator", EVERY)
def test_duplicates_of_a_few_samples(estimator):
    X, y = samples(N=6)
    score(estimator, np.repeat(X, 6, axis=0), np.repeat(y, 6))


# The cosine depends on the origin, and free energy on the size of features; all others depend on differences.
@pytest.mark.parametrize("estimator", [e for e in EVERY if e.values[0].name not in ("knn", "etran") or "eucl" in e.id])
def test_a_huge_offset_changes_nothing(estimator):
    X, y = samples()
    X = np.round(X * 2**10) / 2**10  # so that adding to it is exact
    assert score(estimator, X + 2.0**20, y) == pytest.approx(score(estimator, X, y), rel=1e-4)


@pytest.mark.parametrize("estimator", EVERY)
def test_a_huge_offset_of_one_column_gives_a_number(estimator):
    X, y = samples()
    X[:, 2] += 1e9
    score(estimator, X, y)


@pytest.mark.parametrize("estimator", EVERY)
@pytest.mark.parametrize("factor", [1e-300, 1e-160, 1e160, 1e300])
def test_extreme_scales_give_a_number_or_say_what_to_do(estimator, factor):
    X, y = samples()
    if factor > 1 and (isinstance(estimator, PACTranGauss) or getattr(estimator, "scale", "") == "raw"):
        with pytest.raises(
            EstimatorError, match="too large to square in float64; scale them, or leave the network out"
        ):
            score(estimator, factor * X, y)
    else:
        score_or_reason(estimator, factor * X, y)


@pytest.mark.parametrize("estimator", EVERY)
def test_float32_and_float64_agree(estimator):
    X, y = samples()
    X = X.astype(np.float32)
    assert score(estimator, X, y) == score(estimator, X.astype(np.float64), y)


@pytest.mark.parametrize("estimator", EVERY)
def test_input_is_not_modified(estimator):
    X, y = samples()
    before = X.copy()
    score(estimator, X, y)
    np.testing.assert_array_equal(X, before)
