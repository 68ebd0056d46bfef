"""Every estimator has a description, and returns a score or raises with a reason for any features."""

import numpy as np
import pytest
import torch

from emms.errors import EstimatorError
from emms.estimators import ESTIMATORS, MomentEstimator, make_estimator


@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_each_estimator_has_a_description(name):
    estimator = ESTIMATORS.get(name)
    assert estimator.name == name
    assert estimator.needs in ("labels", "label embeddings")
    assert (estimator.reads == "moments") == issubclass(estimator, MomentEstimator)
    assert estimator.reads in ("moments", "samples", "source logits")
    assert all([estimator.summary, estimator.paper, estimator.cost])


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
def test_any_input_gives_a_score_or_a_reason(name, spoil):
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
