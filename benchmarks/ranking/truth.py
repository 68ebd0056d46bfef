"""The truth of captioning: how high the true caption ranks when its embedding is predicted from the features.

It is computed by scikit-learn from the features and the captions alone, and shares no code with the estimators.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emms.labels.packaged import PackagedEncoder
from emms.run.executor import Inline
from emms.run.stage import Workspace
from emms.run.stages import EMBED, LIST, RESOLVE
from emms.run.stored_source import StoredSource
from emms.spec import load_spec
from emms.store import Store

ENCODER = "all-minilm-l6-v2"
FOLDS, PENALTIES = 5, np.logspace(1, 6, 6)


def caption_ranks(spec: Mapping[str, Any], seeds: tuple[int, ...]) -> pl.DataFrame:
    """Return the truth of each candidate of a spec whose features are in the store: columns model, seed, value."""
    loaded, rows = load_spec(spec), []
    do = Inline(Workspace(loaded, Store(loaded.store)))
    samples, store = do.one(LIST).samples, do.workspace.store
    keys = [do.one(EMBED, encoder, samples).key for encoder in loaded.label_encoders]
    embeddings = PackagedEncoder(ENCODER).encode(samples.label_names(store))[samples.label_index(store)]
    for model in loaded.models:
        network = do.one(RESOLVE, model, samples)
        features = StoredSource(do.workspace, samples, keys, [network.key]).features()
        rows += [(model.id, seed, mean_rank(features, embeddings, seed)) for seed in seeds]
    return pl.DataFrame(rows, schema=["model", "seed", "value"], orient="row")


def mean_rank(X: np.ndarray, Z: np.ndarray, seed: int) -> float:
    """Return the mean normalised rank of a held-out sample's own embedding: 1 if always first, 0 if always last.

    X: features (N, D1). Z: embeddings (N, D2). For each fold, ridge regression predicts Z from X, both standardised,
    with a penalty that is cross-validated on the other folds; the embeddings of the held-out samples are ranked by
    their cosine similarity to the prediction. Chance, also of a constant prediction, is 0.5.
    """
    shares = []
    for training, held_out in KFold(FOLDS, shuffle=True, random_state=seed).split(X):
        scaler = StandardScaler().fit(Z[training])
        ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(X[training], scaler.transform(Z[training]))
        predicted, true = _unit(ridge.predict(X[held_out])), _unit(scaler.transform(Z[held_out]))
        similarity = predicted @ true.T
        own = np.diag(similarity)[:, None]
        nearer = (similarity > own).sum(axis=1) + ((similarity == own).sum(axis=1) - 1) / 2
        shares.append(1 - nearer / (len(held_out) - 1))
    return float(np.concatenate(shares).mean())


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)
