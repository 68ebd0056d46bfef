"""NCE reproduces the published numbers, and leaves out source classes that are never predicted."""

import json
from pathlib import Path

import numpy as np
import pytest

from emms.estimators.nce import NCE

PARITY = Path(__file__).parents[1] / "data" / "parity"
EXPECTED = json.loads((PARITY / "expected.json").read_text())


@pytest.mark.parametrize("name", [n for n in EXPECTED if "nce" in EXPECTED[n]])
def test_it_reproduces_the_transfer_learning_library(name):
    with np.load(PARITY / f"{name}.npz", allow_pickle=False) as arrays:
        logits, y = arrays["source_logits"], arrays["labels"]
    assert NCE().fit(logits, y).score_ == pytest.approx(EXPECTED[name]["nce"], rel=1e-10)


def test_it_is_minus_the_conditional_entropy():
    y, z = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 3, 3, 3])
    given_0, given_3 = [2 / 3, 1 / 3], [1 / 3, 2 / 3]
    expected = sum(0.5 * p * np.log(p) for p in given_0 + given_3)
    assert NCE().fit(np.eye(5)[z], y).score_ == pytest.approx(expected, rel=1e-12)


def test_source_classes_that_are_never_predicted_change_nothing():
    rng = np.random.default_rng(0)
    logits, y = rng.standard_normal((50, 6)), np.arange(50) % 3
    padded = np.hstack([np.full((50, 2), -100.0), logits, np.full((50, 3), -100.0)])
    assert NCE().fit(padded, y).score_ == NCE().fit(logits, y).score_


def test_a_perfect_network_scores_zero():
    y = np.arange(30) % 3
    assert NCE().fit(np.eye(5)[y], y).score_ == 0
