"""Projection to the simplex, and minimisation of quadratic forms over it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from emms.estimators.simplex import descend, minimise, project


def random_form(seed, K, rank):
    B = np.random.default_rng(seed).standard_normal((rank, K))
    return B.T @ B


def test_projection_of_known_points():
    assert project(np.array([0.2, 0.8])).tolist() == [0.2, 0.8]
    assert project(np.array([3.0, 1.0, 0.0])).tolist() == [1.0, 0.0, 0.0]
    np.testing.assert_allclose(project(np.array([1.0, 1.0, -5.0])), [0.5, 0.5, 0.0])


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8))
def test_projection_is_the_nearest_point(v):
    v = np.array(v)
    p = project(v)
    assert (p >= 0).all()
    assert p.sum() == pytest.approx(1)
    # At the nearest point of a convex set, the angle to each of its corners is obtuse.
    assert ((np.eye(len(v)) - p) @ (v - p) <= 1e-9).all()


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), K=st.integers(1, 12), rank=st.integers(1, 12), size=st.sampled_from([1e-9, 1, 1e9]))
def test_the_minimum_satisfies_the_optimality_conditions(seed, K, rank, size):
    A = size * random_form(seed, K, rank)
    t = minimise(A)
    gradient = A @ t / np.linalg.norm(A)
    assert (t >= 0).all()
    assert t.sum() == pytest.approx(1)
    assert (gradient >= t @ gradient - 1e-9).all()


def test_the_minimum_agrees_with_a_general_solver():
    A = random_form(3, 5, 5)
    general = minimize(
        lambda t: t @ A @ t,
        np.full(5, 0.2),
        method="SLSQP",
        bounds=[(0, 1)] * 5,
        constraints={"type": "eq", "fun": lambda t: t.sum() - 1},
        options={"ftol": 1e-14},
    )
    np.testing.assert_allclose(minimise(A), general.x, atol=1e-6)


def test_a_zero_form_gives_uniform_weights():
    assert minimise(np.zeros((4, 4))).tolist() == [0.25] * 4
    assert minimise(np.diag([1e-15, 3e-15]), noise=1e-13).tolist() == [0.5, 0.5]


def test_descent_ends_within_its_tolerance():
    Q, R = random_form(0, 4, 9), 0.5 * random_form(0, 4, 9)
    t, path = descend(Q, R, tolerance=1e-7, max_iter=10_000)
    best = minimise(Q - R)
    assert path[-1] == t @ (Q - R) @ t
    assert path[-1] - best @ (Q - R) @ best <= 1e-7
