"""PACTran-Gauss reproduces the released numbers with the opposite sign."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from emms.estimators.pactran_gauss import PACTranGauss

PARITY = Path(__file__).parents[1] / "data" / "parity"
EXPECTED = json.loads((PARITY / "expected.json").read_text())


# The release stops before the minimum, from a random start, so its loss is slightly larger.
@pytest.mark.parametrize("name", [n for n in EXPECTED if "pactran_opt_lda1" in EXPECTED[n]])
def test_it_reproduces_the_release_with_the_opposite_sign(name):
    with np.load(PARITY / f"{name}.npz", allow_pickle=False) as arrays:
        X, y = arrays["features"], arrays["labels"]
    pactran = PACTranGauss().fit(X, y)
    assert pactran.score_ == pytest.approx(-EXPECTED[name]["pactran_gauss_lda1_s2_100"], rel=1e-3)
    assert pactran.optimum_ == pytest.approx(EXPECTED[name]["pactran_opt_lda1"], rel=1e-2)
    assert pactran.optimum_ < EXPECTED[name]["pactran_opt_lda1"]


@pytest.mark.parametrize(("N", "D", "C"), [(200, 10, 3), (200, 10, 2), (40, 90, 4)])
@pytest.mark.parametrize("strength", [0.1, 10.0])
def test_it_equals_the_formula_at_the_minimum_loss(N, D, C, strength):
    rng = np.random.default_rng(0)
    y = np.arange(N) % C
    X = 0.5 * rng.standard_normal((C, D))[y] + rng.standard_normal((N, D))
    X -= X.mean(axis=0)
    # scikit-learn's penalty is the sum of losses over C, so ours is strength; it takes two classes as one column.
    model = LogisticRegression(C=strength if C > 2 else 2 * strength, tol=1e-10, max_iter=10_000).fit(X, y)
    W, b = model.coef_.T, model.intercept_
    if C == 2:
        W, b = np.hstack([-W / 2, W / 2]), np.array([-b[0] / 2, b[0] / 2])
    log_p = log_softmax(X @ W + b, axis=1)
    least = -log_p[np.arange(N), y].mean() + (W**2).sum() / (2 * strength * N)
    p = np.exp(log_p)
    hessian = sum((1 + X[n] @ X[n]) * p[n] @ (1 - p[n]) for n in range(N)) + C * D / (strength * N)
    expected = least + 50.0 * C / (2 * strength * N) * np.log(hessian * strength * N / (C * D))
    found = PACTranGauss(strength, variance=50.0).fit(X, y)
    assert found.optimum_ == pytest.approx(least, rel=1e-9)
    assert found.score_ == pytest.approx(-expected, rel=1e-6)


def test_for_constant_features_the_loss_is_the_label_entropy():
    y = np.array([0, 0, 0, 1] * 5)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert PACTranGauss().fit(np.ones((20, 3)), y).optimum_ == pytest.approx(entropy)
