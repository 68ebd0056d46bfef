"""Warnings about a ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

SAMPLES_PER_FEATURE = 5
"""Below this ratio N / D1 a run warns: random features would explain more than a fifth of random labels."""


def few_samples(frame: pl.DataFrame, samples: int, concerned: Sequence[str], estimators: Sequence[str]) -> list[str]:
    """Return a warning with the candidates that have too few samples for their width, or an empty list.

    frame: the ranking. concerned: the estimators whose scores reward width.
    """
    wide = frame.filter(pl.col("features") * SAMPLES_PER_FEATURE > samples)
    if wide.is_empty() or not concerned:
        return []
    widest = int(wide["features"].max())  # type: ignore[arg-type]
    chance = f"{min(1.0, widest / samples):.0%}"
    names = ", ".join(
        f"{row['model']} ({row['features']:,})" for row in wide.sort("features", "model").iter_rows(named=True)
    )
    return [
        f"{samples:,} samples are few for features this wide, and scores by {', '.join(concerned)} reward width: "
        f"{widest:,} random features would explain {chance} of any labels, so wide networks, trained or not, look "
        f"better than they are. Affected: {names}. Remedies: "
        f"{'rank by' if 'emms-decoded' in estimators else 'the estimator'} emms-decoded, which scores held-out "
        f"samples; {SAMPLES_PER_FEATURE} samples per feature ({widest * SAMPLES_PER_FEATURE:,}) or more; narrower "
        f"layers (model@layer); untrained controls for comparison"
    ]


def constant_features(models: Sequence[str]) -> list[str]:
    """Return a warning with the candidates whose features are the same for all samples, or an empty list."""
    if not models:
        return []
    return [
        f"the features of {', '.join(models)} are the same for all samples, so their scores have no meaning: check "
        f"that the samples differ (grey or empty images?) and that the weights are not all zero"
    ]


def missing_scores(reasons: Mapping[tuple[str, str], str]) -> list[str]:
    """Return one warning per reason why scores are missing; reasons: by model and estimator."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for pair, reason in reasons.items():
        by_reason.setdefault(reason, []).append(pair)
    return [
        f"no score by {', '.join(dict.fromkeys(estimator for _, estimator in pairs))} for "
        f"{', '.join(dict.fromkeys(model for model, _ in pairs))}: {reason}"
        for reason, pairs in by_reason.items()
    ]
