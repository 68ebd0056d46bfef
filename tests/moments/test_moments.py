"""Moments add up, and agree with numpy for features with any mean."""

import io
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emms.errors import EstimatorError
from emms.moments import ClassMoments, TargetMoments

C, D1, D2, K = 4, 6, 3, 2


def class_samples(seed, n=50, mean=0.0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, D1)) + mean).astype(np.float32), rng.integers(C, size=n)


def target_samples(seed, n=50, mean=0.0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, D1)) + mean).astype(np.float32), rng.standard_normal((n, D2, K)) + 5


KINDS = {
    "class": (lambda: ClassMoments(D1, C), class_samples),
    "target": (lambda: TargetMoments(D1, D2, K), target_samples),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def same(a, b, rtol=1e-10):
    """Assert that two moments are equal, with a tolerance relative to the size of the summands."""
    table_a, table_b = a.to_table(), b.to_table()
    assert table_a.schema.equals(table_b.schema)
    for name in table_a.column_names:
        x, y = (np.array(t[name].to_pylist()) for t in (table_a, table_b))
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * np.abs(y).max())
    small_a, small_b = (t.schema.metadata for t in (table_a, table_b))
    assert small_a[b"moments"] == small_b[b"moments"]
    for name in small_a.keys() - {b"moments"}:
        x, y = (np.frombuffer(s[name]) for s in (small_a, small_b))
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * np.abs(y).max())


@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_moments_agree_with_numpy(mean):
    X, y = class_samples(0, n=500, mean=mean)
    X64 = X.astype(np.float64)
    moments = ClassMoments(D1, C)
    for start, stop in pairwise([0, 1, 3, 200, 500]):
        moments.update(X[start:stop], y[start:stop])
    centred = X64 - X64.mean(axis=0)
    assert moments.count == 500
    np.testing.assert_allclose(moments.mean, X64.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(moments.scatter, centred.T @ centred, rtol=1e-10, atol=1e-10 * 500)
    np.testing.assert_array_equal(moments.class_counts, np.bincount(y))
    np.testing.assert_allclose(moments.class_sums, np.eye(C)[y].T @ X64, rtol=1e-12, atol=1e-10)


def test_features_in_several_blocks(monkeypatch):
    X, y = class_samples(0, n=1000)
    whole = ClassMoments(D1, C).update(X, y)
    monkeypatch.setattr("emms.moments.base._BLOCK_BYTES", 1)  # the smallest possible blocks
    same(ClassMoments(D1, C).update(X, y), whole)
    X, Z = target_samples(0, n=1000)
    small_blocks = TargetMoments(D1, D2, K).update(X, Z)
    monkeypatch.undo()
    same(small_blocks, TargetMoments(D1, D2, K).update(X, Z))


def test_label_products_are_those_of_the_standardised_samples():
    X, Z = target_samples(0, mean=1e4)
    total, explained = naive_products(X, Z)
    products = TargetMoments(D1, D2, K).update(X, Z).label_products()
    np.testing.assert_allclose(products.total, total, rtol=1e-7)
    np.testing.assert_allclose(products.explained, explained, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("n_classes", [4, 9])  # fewer and more than features, which are computed differently
def test_label_products_of_classes_are_those_of_their_samples(n_classes):
    rng = np.random.default_rng(0)
    X, y, E = rng.standard_normal((80, 6)), rng.integers(n_classes, size=80), rng.standard_normal((n_classes, D2, K))
    total, explained = naive_products(X, E[y])
    products = ClassMoments(6, n_classes).update(X, y).label_products(E)
    np.testing.assert_allclose(products.total, total, rtol=1e-6)
    np.testing.assert_allclose(products.explained, explained, rtol=1e-6)


def naive_products(X, Z):
    X = X - X.astype(np.float64).mean(axis=0)
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    fitted = [X @ np.linalg.lstsq(X, Z[:, :, k], rcond=None)[0] for k in range(Z.shape[2])]
    return np.einsum("ndj,ndk->jk", Z, Z), np.array([[np.vdot(a, b) for a in fitted] for b in fitted])


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(KINDS)),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    mean=st.sampled_from([0.0, 1e4]),
    order=st.randoms(use_true_random=False),
)
def test_parts_add_up_in_any_order(name, sizes, mean, order):
    make, samples = KINDS[name]
    X, labels = samples(0, n=sum(sizes), mean=mean)
    whole = make().update(X, labels)
    ends = np.cumsum(sizes)
    parts = [make().update(X[e - s : e], labels[e - s : e]) for s, e in zip(sizes, ends, strict=True)]
    order.shuffle(parts)
    same(sum(parts, make()), whole)


def test_a_part_can_be_subtracted_again(kind):
    make, samples = kind
    a, b = make().update(*samples(1, n=200, mean=1e4)), make().update(*samples(2, n=70, mean=1e4 + 3))
    same((a + b) - b, a)
    same((a + b) - a, b)
    same((a + b) - (a + b), make())


def test_adding_does_not_change_the_operands(kind):
    make, samples = kind
    a, b = make().update(*samples(1)), make().update(*samples(2))
    before = a.to_table(), b.to_table()
    (a + b).update(*samples(3))
    assert a.to_table().equals(before[0])
    assert b.to_table().equals(before[1])


def test_cached_properties_are_computed_again_after_an_update(kind):
    make, samples = kind
    moments = make().update(*samples(1))
    first = moments.scatter
    assert moments.space.rank == D1
    moments.update(*samples(2))
    assert moments.scatter is not first
    same(moments, make().update(*samples(1)) + make().update(*samples(2)))


def test_moments_are_restored_exactly_from_a_file(kind):
    make, samples = kind
    moments = make().update(*samples(1, mean=1e4))
    file = io.BytesIO()
    pq.write_table(moments.to_table(), file)
    back = type(moments).from_table(pq.read_table(file))
    assert back.to_table().equals(moments.to_table(), check_metadata=True)
    more = samples(2, mean=1e4)
    same(back.update(*more), moments.update(*more), rtol=1e-15)


def test_empty_moments_can_be_restored_and_updated():
    one = np.ones((1, 1))
    for moments, label in [(ClassMoments(1, 1), np.zeros(1, int)), (TargetMoments(1, 1), one)]:
        back = type(moments).from_table(moments.update(one, label).to_table())
        same(back.update(3 * one, label), moments.update(3 * one, label))


def test_another_table_raises():
    table = ClassMoments(D1, C).to_table()
    with pytest.raises(EstimatorError, match="no target moments"):
        TargetMoments.from_table(table)


def test_constant_repeated_and_combined_columns_do_not_add_to_the_rank():
    rng = np.random.default_rng(0)
    base = rng.standard_normal((100, 5)).astype(np.float32)
    constant = np.full((100, 1), 1234.567, np.float32)
    X = np.hstack([base, base[:, :2] * 3.7, base[:, :1] - base[:, 1:2], constant, 1e6 * base[:, 3:4]])
    moments = ClassMoments(X.shape[1], 1).update(X, np.zeros(100, int))
    assert moments.space.rank == 5


def test_fewer_samples_than_features_span_one_dimension_less_than_samples():
    X, y = np.random.default_rng(0).standard_normal((20, 50)), np.zeros(20, int)
    assert ClassMoments(50, 1).update(X, y).space.rank == 19


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_with_nan_or_infinity_are_counted(kind, bad):
    make, samples = kind
    X, labels = samples(0)
    X[[3, 3, 7], [0, 1, 2]] = bad
    with pytest.raises(EstimatorError, match="features of 2 of 50 samples contain nan or infinity"):
        make().update(X, labels)


def test_too_large_features_raise():
    moments = ClassMoments(2, 1).update(np.array([[1e200, 1], [-1e200, 2], [0, 4]]), np.zeros(3, int))
    for derived in ["space", "eigen"]:
        with pytest.raises(EstimatorError, match="too large"):
            getattr(moments, derived)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((3, D1 + 1)), [0, 0, 0], r"shape \(samples, 6\)"),
        (np.zeros(D1), [0], r"shape \(samples, 6\)"),
        (np.full((3, D1), "x"), [0, 0, 0], "must be numbers"),
        (np.zeros((3, D1)), [0, 0], "3 rows of features, but 2"),
        (np.zeros((3, D1)), [0, 1, C], r"0 … 3, not in 0 … 4"),
        (np.zeros((3, D1)), [-1, 0, 0], "not in -1"),
        (np.zeros((3, D1)), [0.0, 1.0, 2.0], r"must be integers of shape \(N,\), not float64"),
        (
            np.zeros((3, D1)),
            [[0, 0, 0]],
            r"class labels must be integers of shape \(N,\), not int64 of shape \(1, 3\)",
        ),
        ([[1, 2], [3]], [0, 0], "features cannot be converted to an array"),
    ],
)
def test_invalid_input_raises(X, y, message):
    with pytest.raises(EstimatorError, match=message):
        ClassMoments(D1, C).update(X, y)


def test_label_embeddings_that_do_not_match_raise():
    by_class, by_sample = ClassMoments(D1, C), TargetMoments(D1, D2, K)
    with pytest.raises(EstimatorError, match=r"shape \(4, D2, K\)"):
        by_class.label_products(np.zeros((C + 1, D2, K)))
    with pytest.raises(EstimatorError, match="needed"):
        by_class.label_products()
    with pytest.raises(EstimatorError, match="contain nan"):
        by_class.label_products(np.full((C, D2, K), np.nan))
    with pytest.raises(EstimatorError, match="already contain"):
        by_sample.label_products(np.zeros((C, D2, K)))
    with pytest.raises(EstimatorError, match=r"shape \(samples, 3, 2\)"):
        by_sample.update(np.zeros((5, D1)), np.zeros((5, D2, K + 1)))
    with pytest.raises(EstimatorError, match="label embeddings contain nan"):
        by_sample.update(np.zeros((5, D1)), np.full((5, D2, K), np.nan))


def test_adding_moments_of_different_shape_raises():
    with pytest.raises(EstimatorError, match="different shape"):
        ClassMoments(D1, C) + ClassMoments(D1, C + 1)
    with pytest.raises(EstimatorError, match="different shape"):
        ClassMoments(D1, C) + TargetMoments(D1, D2, K)


def test_subtracting_more_samples_than_there_are_raises():
    part = ClassMoments(D1, C).update(*class_samples(0))
    with pytest.raises(EstimatorError, match="50 samples cannot be subtracted from those of 0"):
        ClassMoments(D1, C) - part


def test_subtracting_other_samples_raises():
    rng = np.random.default_rng(0)
    total = ClassMoments(3, 2).update(rng.standard_normal((20, 3)), np.arange(20) % 2)
    with pytest.raises(EstimatorError, match="include the same samples"):
        total - ClassMoments(3, 2).update(rng.standard_normal((12, 3)), np.zeros(12, dtype=int))
    with pytest.raises(EstimatorError, match="include the same samples"):
        total - ClassMoments(3, 2).update(100 * rng.standard_normal((12, 3)), np.arange(12) % 2)
    with pytest.raises(EstimatorError, match="not with NoneType"):
        total + None


def test_tables_without_moments_raise():
    table = ClassMoments(3, 2).update(np.eye(3), np.array([0, 1, 1])).to_table()
    for other in (table.slice(1), table.drop_columns(["mean"]), table.replace_schema_metadata({"moments": "{"})):
        with pytest.raises(EstimatorError, match="contains no class moments"):
            ClassMoments.from_table(other)
