"""Every estimator has the same scores and ranking on every CPU and with any number of threads.

Run as a script, it scores stored features: `python test_same_everywhere.py features.npz` prints the scores as JSON.
Each environment is a process of its own, since BLAS looks at its variables when it is loaded.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from emms.errors import EstimatorError
from emms.estimators import ESTIMATORS, make_estimator
from emms.labels.width import common_width

ITERATE = {"pactran-gauss": 1e-6, "nleep": 1e-6}
"""Relative tolerance of iterative estimators."""
EXACT, ROUNDING = 1e-9, 1e-12
"""Relative tolerance of the others, and a difference that is none: scores near 0 are differences of larger numbers."""


def environments() -> dict[str, dict[str, str]]:
    """Return variables that make numpy and scipy (an OpenBLAS each) compute as on other CPUs, as far as this one can.

    numpy's own loops also have a variant for each generation of CPUs.
    """
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    simd = np.show_config("dicts")["SIMD Extensions"].get("found", [])
    wide = [feature for feature in simd if "AVX512" in feature or "V4" in feature]
    cores = [("Prescott", "pni", simd), ("Haswell", "avx2", wide), ("SkylakeX", "avx512f", [])]  # pni is SSE3
    return {"one thread": {"OPENBLAS_NUM_THREADS": "1"}} | {
        core: {"OPENBLAS_CORETYPE": core, "NPY_DISABLE_CPU_FEATURES": " ".join(without)}
        for core, needed, without in cores
        if needed in flags
    }


def candidates(y: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return float32 features of samples of these classes, similar to those of networks."""
    classes = rng.standard_normal((y.max() + 1, 64))

    def features(width: int, noise: float) -> np.ndarray:
        return classes[y] @ rng.standard_normal((64, width)) / 8 + noise * rng.standard_normal((len(y), width))

    middle, odds = features(48, 2.0), np.exp(features(12, 1.0))
    massive = features(60, 2.0) * np.where(np.arange(60) % 17 == 0, 300.0, 1.0)
    made = {
        "narrow": features(12, 1.5),
        "middle": middle,
        "middle, copied": middle,
        "middle, columns permuted": middle[:, rng.permutation(48)],
        "middle, nearly": middle * (1 + 1e-4 * rng.standard_normal(middle.shape)),
        "wide": features(300, 3.0),
        "noise": rng.standard_normal((len(y), 40)),
        "separable": features(60, 0.05),
        "rank deficient": features(10, 1.0) @ rng.standard_normal((10, 40)),
        "rank deficient and large": 100 * features(10, 1.0) @ rng.standard_normal((10, 40)),
        "columns repeated, constant, zero": np.hstack([middle[:, :20]] * 2 + [np.full((len(y), 3), 0.3), 0 * middle]),
        "columns and their opposites": np.hstack([middle[:, :20], -middle[:, :20]]),
        "of one sum": odds / odds.sum(axis=1, keepdims=True),
        "after ReLU": np.maximum(features(60, 1.0) - 1.5, 0),
        "large mean": features(30, 1.5) + 300,
        "massive activations": massive,
        "massive activations, repeated": np.hstack([massive, massive[:, :20]]),
        "small": 1e-4 * features(30, 1.5),
        "whole numbers": np.rint(features(6, 0.7)),
        "binary": (features(24, 1.0) > 0).astype(float),
        "samples repeated": middle[np.arange(len(y)) // 2],
        "the classes": np.eye(y.max() + 1)[y],
    }
    return {name: X.astype(np.float32) for name, X in made.items()}


def stored_features() -> dict[str, np.ndarray]:
    """Return the classes of 180 samples, embeddings of these by two encoders, and the features of each candidate."""
    rng = np.random.default_rng(0)
    y = np.concatenate([np.repeat(np.arange(6), 4), rng.choice(6, size=156, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05])])
    wide, narrow = [rng.standard_normal((6, width)).astype(np.float32) for width in (96, 20)]
    return {"y": y, "wide": wide, "narrow": narrow, **{f"X {name}": X for name, X in candidates(y, rng).items()}}


def scores(stored: Mapping[str, np.ndarray]) -> dict[str, dict[str, float | str]]:
    """Return the score of each candidate by each estimator, or the reason why it has none."""
    y, label_embeddings = stored["y"], [stored["wide"], stored["narrow"]]
    Z = common_width(label_embeddings, np.bincount(y))
    of_samples = common_width([encoded[y] + np.float32(0.1) * encoded[y - 1] for encoded in label_embeddings], y + 1)
    found: dict[str, dict[str, float | str]] = {}
    for name, estimator in ESTIMATORS:
        kinds = {"": (Z, y), ", own labels": (of_samples,)} if estimator.needs == "label embeddings" else {"": (y,)}
        for kind, labels in kinds.items():
            found[name + kind] = {
                key[2:]: score_or_reason(name, stored[key], *labels) for key in stored if key.startswith("X ")
            }
    return found


def score_or_reason(name: str, X: np.ndarray, *labels: np.ndarray) -> float | str:
    try:
        return float(make_estimator(name).fit(X, *labels).score_)
    except EstimatorError as reason:
        return str(reason)


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory):
    """Return the scores in each environment, and in this one as it is."""
    path = tmp_path_factory.mktemp("stored") / "features.npz"
    np.savez(path, **stored_features())
    given = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS", "OMP", "NPY_DISABLE"))}
    given["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    running = {
        name: subprocess.Popen(
            [sys.executable, __file__, str(path)], env=given | variables, stdout=subprocess.PIPE, text=True
        )
        for name, variables in {"here": {}, **environments()}.items()
    }
    printed = {name: process.communicate(timeout=600)[0] for name, process in running.items()}
    assert all(process.returncode == 0 for process in running.values())
    return {name: json.loads(text) for name, text in printed.items()}


def tolerance(estimator: str) -> float:
    return ITERATE.get(estimator.partition(",")[0], EXACT)


def ranks(found: dict[str, float | str], relative: float) -> dict[str, int]:
    """Return the rank of each candidate that has a score; those that differ by rounding share one."""
    ordered = sorted(((score, name) for name, score in found.items() if isinstance(score, float)), reverse=True)
    places: dict[str, int] = {}
    for place, (score, name) in enumerate(ordered, start=1):
        previous = ordered[place - 2] if place > 1 else None
        tied = previous and previous[0] - score <= relative * max(abs(previous[0]), abs(score)) + ROUNDING
        places[name] = places[previous[1]] if previous and tied else place
    return places


def differences(found: dict[str, dict[str, float | str]], expected: dict[str, dict[str, float | str]]) -> list[str]:
    """Return the differences as text."""
    return [
        f"{estimator} of {candidate}: {score}, not {same}"
        for estimator, of_candidates in expected.items()
        for candidate, same in of_candidates.items()
        if (score := found[estimator][candidate]) != same
        and not (
            isinstance(score, float)
            and isinstance(same, float)
            and math.isclose(score, same, rel_tol=tolerance(estimator), abs_tol=ROUNDING)
        )
    ]


@pytest.mark.slow
@pytest.mark.parametrize("environment", environments())
def test_every_score_is_the_same(everywhere, environment):
    assert differences(everywhere[environment], everywhere["here"]) == []


@pytest.mark.slow
@pytest.mark.parametrize("environment", environments())
def test_every_ranking_is_the_same(everywhere, environment):
    for estimator, expected in everywhere["here"].items():
        relative = tolerance(estimator)
        assert ranks(everywhere[environment][estimator], relative) == ranks(expected, relative), estimator


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::emms.estimators.UnreliableScoreWarning")
def test_scores_do_not_depend_on_rounding():
    def rounded(X: np.ndarray) -> np.ndarray:
        _, sample = np.unique(X, axis=0, return_inverse=True)  # equal samples stay equal
        return X * (1 + 1e-15 * np.random.default_rng(1).standard_normal(X.shape)[sample.reshape(-1)])

    stored = stored_features()
    found = scores({name: rounded(X) if name.startswith("X ") else X for name, X in stored.items()})
    expected = scores(stored)
    del expected["nce"]  # it uses the largest logit as stored
    assert differences(found, expected) == []


@pytest.mark.slow
def test_equal_candidates_tie_and_all_are_scored(everywhere):
    for estimator, found in everywhere["here"].items():
        places = ranks(found, tolerance(estimator))
        if "middle" in places:
            assert places["middle"] == places["middle, copied"]
        if "own labels" not in estimator:
            assert len(places) >= len(found) - 1, estimator


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(scores(np.load(sys.argv[1]))))
