"""What to be wary of in a ranking, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

SAMPLES_PER_FEATURE = 5
"""Below this ratio N / D1 a run warns: random features would explain more than a fifth of random labels."""


def few_samples(frame: pl.DataFrame, samples: int, concerned: Sequence[str], estimators: Sequence[str]) -> list[str]:
    """Return a warning that names the candidates with too few samples for their width, or nothing.

    frame: the ranking. concerned: those of the estimators whose scores reward width.
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
        f"better than they are. Concerned: {names}. What helps: "
        f"{'to go by' if 'emms-decoded' in estimators else 'the estimator'} emms-decoded, whose score holds out of "
        f"sample, {SAMPLES_PER_FEATURE} samples a feature ({widest * SAMPLES_PER_FEATURE:,}) or more, narrower layers "
        f"(model@layer), and untrained controls to compare with"
    ]


def constant_features(models: Sequence[str]) -> list[str]:
    """Return a warning that names candidates whose features are the same for all samples, or nothing."""
    if not models:
        return []
    return [
        f"the features of {', '.join(models)} are the same for all samples, so their scores say nothing: check that "
        f"the samples differ (grey or empty images?) and that the weights are not all zero"
    ]


def missing_scores(reasons: Mapping[tuple[str, str], str]) -> list[str]:
    """Return a warning for each reason why scores are missing; reasons: by model and estimator."""
    lacking: dict[str, list[tuple[str, str]]] = {}
    for pair, reason in reasons.items():
        lacking.setdefault(reason, []).append(pair)
    return [
        f"no score by {', '.join(dict.fromkeys(estimator for _, estimator in pairs))} for "
        f"{', '.join(dict.fromkeys(model for model, _ in pairs))}: {reason}"
        for reason, pairs in lacking.items()
    ]
