"""EMMS finds the minimum, reproduces the released numbers, and warns about meaningless scores."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emms.errors import EstimatorError
from emms.estimators import UnreliableScoreWarning
from emms.estimators.emms import EMMS
from emms.estimators.emms_decoded import EMMSDecoded
from emms.moments import ClassMoments, TargetMoments

PARITY = Path(__file__).parents[1] / "data" / "parity"
EXPECTED = json.loads((PARITY / "expected.json").read_text())
SOLVERS = ["exact", "alternating", "released"]


def parity_case(name):
    with np.load(PARITY / f"{name}.npz", allow_pickle=False) as arrays:
        return arrays["features"], arrays["label_embeddings"], arrays.get("labels")


def random_case(seed, N=120, D1=10, D2=5, K=3, C=8, shared=0.7):
    """Return label embeddings that partly agree, and features that depend on them."""
    rng = np.random.default_rng(seed)
    Z = shared * rng.standard_normal((C, D2, 1)) + (1 - shared) * rng.standard_normal((C, D2, K))
    y = np.concatenate([np.arange(C), rng.integers(C, size=N - C)])
    X = Z[y].reshape(N, -1) @ rng.standard_normal((D2 * K, D1)) + 2 * rng.standard_normal((N, D1))
    return X, Z, y


def standardised(A):
    return (A - A.mean(axis=0)) / (A.std(axis=0) + 1e-8)


def least_objective(X, Z, t):
    """Return ||X w - Z t||^2 at the best w, computed from the samples."""
    X, target = standardised(X), standardised(Z) @ t
    return np.sum((X @ np.linalg.lstsq(X, target, rcond=None)[0] - target) ** 2)


def quiet_fit(solver, *case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnreliableScoreWarning)
        return EMMS(solver).fit(*case)


@pytest.mark.parametrize("name", EXPECTED)
def test_released_reproduces_the_release(name):
    X, Z, y = parity_case(name)
    score = quiet_fit("released", X, Z, y).score_
    assert score == pytest.approx(EXPECTED[name]["emms"], rel=1e-8, abs=1e-8)
    if "emms_single_label_0" in EXPECTED[name]:
        score = quiet_fit("released", X, Z[:, :, 0], y).score_
        assert score == pytest.approx(EXPECTED[name]["emms_single_label_0"], rel=1e-8, abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    K=st.integers(1, 8),
    D1=st.integers(1, 60),
    shared=st.sampled_from([0.0, 0.5, 0.9, 0.99]),
)
@example(seed=135833, K=8, D1=1, shared=0.99)  # where rounding once took t off the simplex
def test_exact_is_the_minimum(seed, K, D1, shared):
    X, Z, y = random_case(seed, D1=D1, K=K, shared=shared)
    exact = EMMS().fit(X, Z, y)
    t = exact.weights_
    assert (t >= 0).all()
    assert t.sum() == pytest.approx(1, abs=1e-12)
    assert exact.objective_ == pytest.approx(least_objective(X, Z[y], t), rel=1e-6, abs=1e-6)

    # Karush, Kuhn and Tucker: no encoder's gradient is below that of the encoders in use.
    products = ClassMoments(D1, len(Z)).update(X, y).label_products(Z)
    A = (products.total - products.explained) / (len(X) * products.columns)
    gradient = A @ t
    assert (gradient >= t @ gradient - 1e-9).all()
    assert (t * np.abs(gradient - t @ gradient) <= 1e-9).all()

    slack = 1e-12 * len(X) * products.columns
    for solver in ["alternating", "released"]:
        assert exact.objective_ <= EMMS(solver).fit(X, Z, y).objective_ + slack
    points = np.random.default_rng(seed).dirichlet(np.full(K, 0.5), size=10_000)
    objectives = np.einsum("pj,jk,pk->p", points, products.total - products.explained, points)
    assert exact.objective_ <= objectives.min() + slack


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), K=st.integers(1, 6), shared=st.sampled_from([0.0, 0.9, 0.99]))
def test_alternating_never_increases_and_reaches_the_minimum(seed, K, shared):
    case = random_case(seed, K=K, shared=shared)
    alternating, exact = EMMS("alternating").fit(*case), EMMS().fit(*case)
    assert len(alternating.objectives_) == alternating.n_iter_ + 1
    assert (np.diff(alternating.objectives_) <= 1e-12 * alternating.objectives_[0]).all()
    assert alternating.score_ == pytest.approx(exact.score_, abs=1e-6)


def test_alternating_warns_if_it_has_not_converged():
    with pytest.warns(UnreliableScoreWarning, match="solver='exact'"):
        EMMS("alternating", tolerance=1e-15, max_iter=2).fit(*random_case(0))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["balanced", "rank_deficient", "per_sample_labels"])
def test_coefficients_give_the_objective(name, solver):
    X, Z, y = parity_case(name)
    emms = EMMS(solver).fit(X, Z, y)
    target = standardised(Z if y is None else Z[y]) @ emms.weights_
    objective = np.sum((standardised(X) @ emms.coef_ - target) ** 2)
    assert objective == pytest.approx(emms.objective_, rel=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_class_embeddings_are_equivalent_to_one_per_sample(solver):
    X, Z, y = random_case(0)
    by_class, by_sample = EMMS(solver).fit(X, Z, y), EMMS(solver).fit(X, Z[y])
    assert by_class.score_ == pytest.approx(by_sample.score_, rel=1e-9)
    np.testing.assert_allclose(by_class.weights_, by_sample.weights_, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_batches_are_equivalent_to_all_samples(solver):
    X, Z, y = random_case(0)
    for labels in [(lambda rows: (Z, y[rows])), (lambda rows: (Z[y[rows]],))]:
        whole, batched = EMMS(solver).fit(X, *labels(slice(None))), EMMS(solver)
        for rows in np.array_split(np.arange(len(X)), 3):
            batched.partial_fit(X[rows], *labels(rows))
        assert batched.score_ == pytest.approx(whole.score_, rel=1e-10)


def test_partial_fit_does_not_change_its_input():
    X, Z, y = random_case(0)
    moments = ClassMoments(X.shape[1], len(Z)).update(X, y)
    assert EMMS().fit_moments(moments, Z).partial_fit(X, Z, y).moments_.count == 2 * len(X)
    assert moments.count == len(X)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), solver=st.sampled_from(SOLVERS))
def test_order_of_samples_and_classes_and_scale_of_features_do_not_matter(seed, solver):
    X, Z, y = random_case(seed)
    rng = np.random.default_rng(seed)
    samples, classes = rng.permutation(len(X)), rng.permutation(len(Z))
    scale, shift = 10.0 ** rng.uniform(-4, 4, X.shape[1]), rng.standard_normal(X.shape[1])
    score = EMMS(solver).fit(X, Z, y).score_
    renamed = np.argsort(classes)[y]
    assert EMMS(solver).fit(X[samples], Z, y[samples]).score_ == pytest.approx(score, rel=1e-8)
    assert EMMS(solver).fit(X, Z[classes], renamed).score_ == pytest.approx(score, rel=1e-8)
    assert EMMS(solver).fit(scale * (X + shift), Z, y).score_ == pytest.approx(score, rel=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_constant_and_repeated_features_change_nothing(solver):
    X, Z, y = random_case(0)
    more = np.hstack([X, np.full((len(X), 1), 3.3), X[:, :4], X[:, :1] + 2 * X[:, 1:2]])
    assert EMMS(solver).fit(more, Z, y).score_ == pytest.approx(EMMS(solver).fit(X, Z, y).score_, rel=1e-9)


def test_random_features_explain_almost_nothing():
    _, Z, y = random_case(0)
    emms = EMMS().fit(np.ones((len(y), 3)), Z, y)
    target = standardised(Z[y]) @ emms.weights_
    assert emms.score_ == pytest.approx(-np.mean(target**2), rel=1e-6)
    assert emms.coef_.tolist() == np.zeros((3, 5)).tolist()


def test_features_with_a_large_mean_keep_their_precision():
    X, Z, y = random_case(0)
    X = X.astype(np.float32)
    # Adding a power of two that leaves room for the digits changes no float64, and this is what it must not change.
    shifted = X.astype(np.float64) + 2.0**14
    assert EMMS().fit(shifted, Z, y).score_ == pytest.approx(EMMS().fit(X, Z, y).score_, rel=1e-9)


def test_identical_encoders_are_equivalent_to_one():
    X, Z, y = random_case(0, K=1)
    twice = np.repeat(Z, 2, axis=2)
    for solver in SOLVERS:
        assert EMMS(solver).fit(X, twice, y).score_ == pytest.approx(EMMS(solver).fit(X, Z, y).score_, rel=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_more_features_than_samples_explain_everything_with_a_warning(solver):
    X, Z, y = parity_case("wide")
    with pytest.warns(UnreliableScoreWarning, match="80 samples with 120 features each.*use more than 121 samples"):
        emms = EMMS(solver).fit(X, Z, y)
    assert emms.score_ == pytest.approx(0, abs=1e-8)


def test_scores_from_stored_moments():
    X, Z, y = random_case(0)
    moments = ClassMoments.from_table(ClassMoments(X.shape[1], len(Z)).update(X, y).to_table())
    assert EMMS().fit_moments(moments, Z).score_ == EMMS().fit(X, Z, y).score_
    moments = TargetMoments(X.shape[1], *Z.shape[1:]).update(X, Z[y])
    assert EMMS().fit_moments(moments).score_ == EMMS().fit(X, Z[y]).score_


def test_inconsistent_input_raises():
    X, Z, y = random_case(0)
    with pytest.raises(EstimatorError, match="two samples or more, not 1"):
        EMMS().fit(X[:1], Z, y[:1])
    with pytest.raises(EstimatorError, match="120 rows of features, but 8 label embeddings"):
        EMMS().fit(X, Z)
    with pytest.raises(
        EstimatorError, match=r"label embeddings must be numbers of shape \(C, D2, K\), not float64 of shape \(3,\)"
    ):
        EMMS().fit(X, Z[0, 0], y)
    with pytest.raises(EstimatorError, match="features must be numbers"):
        EMMS().fit(X[:, :0], Z, y)
    with pytest.raises(EstimatorError, match="different shape cannot be combined: class"):
        EMMS().fit(X, Z, y).partial_fit(X, Z[y])
    with pytest.raises(EstimatorError, match="different shape cannot be combined: target"):
        EMMS().fit(X, Z[y]).partial_fit(X, Z, y)


@pytest.mark.parametrize("solver", ["exact", "alternating", "released"])
def test_candidates_that_explain_everything_tie(solver):
    rng = np.random.default_rng(0)
    Z, y = rng.standard_normal((5, 8, 2)), rng.integers(5, size=60)
    with pytest.warns(UnreliableScoreWarning):
        scores = {EMMS(solver).fit(rng.standard_normal((60, D1)).astype(np.float32), Z, y).score_ for D1 in (80, 200)}
    assert scores == {0.0}


@pytest.mark.parametrize("solver", ["exact", "alternating", "released"])
@pytest.mark.parametrize("spoil", [lambda Z: 0 * Z + 3, lambda Z: 1e-9 * Z, lambda Z: 1e200 * Z, lambda Z: 1e-200 * Z])
def test_an_encoder_with_constant_embeddings_raises(solver, spoil):
    rng = np.random.default_rng(0)
    X, Z, y = rng.standard_normal((200, 5)), rng.standard_normal((4, 6, 2)), np.arange(200) % 4
    Z[:, :, 1] = spoil(Z[:, :, 1])
    for scorer in (EMMS(solver), EMMSDecoded(), EMMS(validation=5)):
        with np.errstate(over="ignore"), pytest.raises(EstimatorError, match="encoder number 2 of 2 hardly vary"):
            scorer.fit(X, Z, y)


def test_moments_and_folds_are_not_interchangeable():
    moments = ClassMoments(3, 2).update(np.random.default_rng(0).standard_normal((10, 3)), np.arange(10) % 2)
    Z = np.eye(2)[:, :, None]
    with pytest.raises(EstimatorError, match="call fit_folds"):
        EMMS(validation=5).fit_moments(moments, Z)
    with pytest.raises(EstimatorError, match="call fit_moments"):
        EMMS().fit_folds([moments, moments], Z)
