"""The truth of captioning against a computation in loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import KFold

from benchmarks.ranking.truth import FOLDS, PENALTIES, mean_rank


def samples(n: int = 40, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 6)) * [1, 10, 1, 0.1, 1, 1] + 3
    return X, X @ rng.normal(size=(6, 4)) + noise * rng.normal(size=(n, 4))


def naive_mean_rank(X: np.ndarray, Z: np.ndarray, seed: int) -> float:
    shares = []
    for training, held_out in KFold(FOLDS, shuffle=True, random_state=seed).split(X):
        mean, deviation = X[training].mean(axis=0), X[training].std(axis=0)
        A, B = (X[training] - mean) / deviation, (X[held_out] - mean) / deviation
        mean, deviation = Z[training].mean(axis=0), Z[training].std(axis=0)
        Y, true = (Z[training] - mean) / deviation, (Z[held_out] - mean) / deviation

        errors = []
        for penalty in PENALTIES:  # with each training sample left out in turn
            left = [np.delete(np.arange(len(A)), i) for i in range(len(A))]
            errors.append(sum(((Y[i] - ridge(A[r], Y[r], A[i], penalty)) ** 2).sum() for i, r in enumerate(left)))
        predicted = ridge(A, Y, B, PENALTIES[int(np.argmin(errors))])

        for i in range(len(B)):
            cosines = [p @ predicted[i] / np.linalg.norm(p) / np.linalg.norm(predicted[i]) for p in true]
            shares.append(sum(cosines[i] > c for c in cosines) / (len(B) - 1))
    return float(np.mean(shares))


def ridge(A: np.ndarray, Y: np.ndarray, B: np.ndarray, penalty: float) -> np.ndarray:
    mean_a, mean_y = A.mean(axis=0), Y.mean(axis=0)
    A = A - mean_a
    return (B - mean_a) @ np.linalg.solve(A.T @ A + penalty * np.eye(A.shape[1]), A.T @ (Y - mean_y)) + mean_y


@pytest.mark.parametrize("seed", [0, 1])
def test_mean_rank_is_that_of_the_computation_in_loops(seed):
    X, Z = samples(noise=20.0)
    assert mean_rank(X, Z, seed) == pytest.approx(naive_mean_rank(X, Z, seed))


def test_features_that_determine_the_embedding_rank_it_almost_always_first():
    assert mean_rank(*samples(noise=0.0), seed=0) > 0.95


def test_constant_features_are_chance():
    _, Z = samples()
    assert mean_rank(np.ones((len(Z), 3)), Z, seed=0) == pytest.approx(0.5)


def test_unrelated_features_are_near_chance_and_noise_lowers_the_rank():
    X, Z = samples(400, noise=20.0)
    shuffled = np.random.default_rng(1).permutation(X)
    assert abs(mean_rank(shuffled, Z, seed=0) - 0.5) < 0.06
    assert 0.6 < mean_rank(X, Z, seed=0) < mean_rank(*samples(400), seed=0)
