"""Moments of tensors equal those of arrays. Without a GPU, tensors on the CPU use the GPU's code path."""

import numpy as np
import pytest
import torch

from emms.errors import EstimatorError
from emms.estimators.emms import EMMS, EMMSCV
from emms.moments import ClassMoments, TargetMoments, classes, targets, tensors

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def tensors_are_summed_as_on_a_gpu(monkeypatch):
    for module in (classes, targets):
        monkeypatch.setattr(module, "on_gpu", lambda X: isinstance(X, torch.Tensor))


def data():
    rng = np.random.default_rng(0)
    X = (10_000 + rng.standard_normal((300, 20))).astype(np.float32)
    return X, rng.integers(4, size=300), rng.standard_normal((300, 7, 2))


def test_class_moments_of_tensors_and_arrays_add_up_to_the_same():
    X, y, _ = data()
    Z = np.random.default_rng(1).standard_normal((4, 7, 2))
    expected = ClassMoments(20, 4).update(X, y)
    found = ClassMoments(20, 4).update(torch.tensor(X[:100], device=DEVICE), y[:100]).update(X[100:200], y[100:200])
    found.update(torch.tensor(X[200:], device=DEVICE), y[200:])
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.class_sums, expected.class_sums, rtol=1e-12)
    assert EMMS().fit_moments(found, Z).score_ == pytest.approx(EMMS().fit_moments(expected, Z).score_, rel=1e-6)


def test_many_samples_are_summed_in_parts(monkeypatch):
    monkeypatch.setattr(tensors, "GPU_ROWS", 64)
    X, y, Z = data()
    found = ClassMoments(20, 4).update(torch.tensor(X, device=DEVICE), y)
    np.testing.assert_allclose(found.class_sums, ClassMoments(20, 4).update(X, y).class_sums, rtol=1e-12)
    with_targets = TargetMoments(20, 7, 2).update(torch.tensor(X, device=DEVICE), Z)
    np.testing.assert_allclose(with_targets.scatter, found.scatter, rtol=1e-9, atol=1e-9)
    assert with_targets.count == found.count == 300


def test_target_moments_of_tensors_and_arrays_add_up_to_the_same():
    X, _, Z = data()
    expected = TargetMoments(20, 7, 2).update(X, Z)
    found = TargetMoments(20, 7, 2).update(torch.tensor(X[:150], device=DEVICE), Z[:150]).update(X[150:], Z[150:])
    np.testing.assert_allclose(found.target_scatter, expected.target_scatter, rtol=1e-9)
    assert EMMS().fit_moments(found).score_ == pytest.approx(EMMS().fit_moments(expected).score_, rel=1e-6)


def test_folds_of_tensors_are_cross_validated_as_those_of_arrays():
    X, y, _ = data()
    Z = np.random.default_rng(1).standard_normal((4, 7, 2))
    thirds = [slice(0, 100), slice(100, 200), slice(200, 300)]
    expected = EMMSCV().fit_folds([ClassMoments(20, 4).update(X[t], y[t]) for t in thirds], Z)
    on_device = torch.tensor(X, device=DEVICE)
    found = EMMSCV().fit_folds([ClassMoments(20, 4).update(on_device[t], y[t]) for t in thirds], Z)
    assert found.score_ == pytest.approx(expected.score_, rel=1e-6)


def test_invalid_tensors_raise():
    X, y, Z = data()
    spoilt = torch.tensor(X, device=DEVICE)
    spoilt[3, 4] = torch.nan
    with pytest.raises(EstimatorError, match="1 of 300 samples contain nan"):
        ClassMoments(20, 4).update(spoilt, y)
    with pytest.raises(EstimatorError, match="do not match 300 labels"):
        TargetMoments(20, 7, 2).update(spoilt[:-1], Z)
    with pytest.raises(EstimatorError, match="cannot be combined"):
        ClassMoments(21, 4).update(torch.tensor(X, device=DEVICE), y)
