"""LEEP reproduces the published numbers and equals its formula."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from emms.errors import EstimatorError
from emms.estimators.leep import LEEP, leep

PARITY = Path(__file__).parents[1] / "data" / "parity"
EXPECTED = json.loads((PARITY / "expected.json").read_text())


@pytest.mark.parametrize("name", [n for n in EXPECTED if "leep_log" in EXPECTED[n]])
def test_it_reproduces_the_transfer_learning_library(name):
    with np.load(PARITY / f"{name}.npz", allow_pickle=False) as arrays:
        logits, y = arrays["source_logits"], arrays["labels"]
    assert LEEP().fit(logits, y).score_ == pytest.approx(EXPECTED[name]["leep_log"], rel=1e-10)


def test_it_equals_the_formula():
    rng = np.random.default_rng(0)
    logits, y = rng.standard_normal((30, 4)), np.arange(30) % 3
    p = softmax(logits, axis=1)
    joint = np.array([[p[y == c, z].sum() / 30 for z in range(4)] for c in range(3)])
    expected = np.mean([np.log(sum(joint[y[n], z] / joint[:, z].sum() * p[n, z] for z in range(4))) for n in range(30)])
    assert LEEP().fit(logits, y).score_ == pytest.approx(expected, rel=1e-12)


def test_a_perfect_network_scores_zero():
    y = np.arange(30) % 3
    assert LEEP().fit(1e4 * np.eye(5)[y], y).score_ == 0


def test_with_one_source_class_the_score_is_minus_the_label_entropy():
    y = np.array([0, 0, 0, 1])
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert LEEP().fit(np.zeros((4, 1)), y).score_ == pytest.approx(-entropy)
    assert leep(np.eye(2)[[0, 0, 0, 0]], y, 2) == pytest.approx(-entropy)


def test_invalid_input_raises():
    with pytest.raises(EstimatorError, match="two classes or more"):
        LEEP().fit(np.eye(3), [1, 1, 1])
    with pytest.raises(EstimatorError, match="logits of 3 of 3 samples contain nan or infinity"):
        LEEP().fit(np.full((3, 3), -np.inf), [0, 1, 1])
