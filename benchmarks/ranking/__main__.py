"""How well each estimator ranks networks: weighted Kendall tau with a truth that reads labels, for three tasks.

    python -m benchmarks.ranking [--cache FOLDER] [--datasets NAME ...] [--estimators NAME ...] [--models]

Needs nothing but a Debian machine with its package mirror, from which packages are fetched with `apt-get download`
unless they are installed:

- image classification: digits come with scikit-learn; clip art in 12 categories (1,688 pictures); Fashion-MNIST (4,000
  images of it);
- image captioning: clip art whose title says what it shows (`clip-art-titles`);
- text classification: definitions of nouns in WordNet, by the kind of thing that they define (`wordnet`).

The networks come from PyPI packages and, untrained, from timm and transformers. The truth of classification is the
accuracy of the estimator `linear-probe`. That of captioning is `caption-rank`, the mean rank of the true caption when
its embedding is predicted from the features of held-out pictures (see `truth.py`). The row of the same on other folds
says how well the truth agrees with itself. The standard deviation of each mean is that over candidates drawn anew, with
replacement.

Everything is kept in the cache folder: the first run takes more than an hour on two cores, the next one minutes.
`--models` also prints the candidates of each dataset, best first, with the place that each estimator gives them.

The README has the tables that were measured last.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

import emms
from benchmarks.ranking.datasets import DATASETS, Benchmark
from benchmarks.ranking.tables import agreement, places
from benchmarks.ranking.truth import caption_ranks
from emms.estimators import ESTIMATORS
from emms.results.terminal import Terminal

PROBE, CAPTION_RANK = "linear-probe", "caption-rank"
OTHER_FOLDS = 1
"""The seed of the folds of the truth's second row."""
VARIANTS: list[dict[str, Any]] = [{"name": "emms", "solver": "released"}]
"""Settings of registered estimators that are tried beside their defaults."""


def estimators(names: Sequence[str], benchmark: Benchmark) -> list[dict[str, Any]]:
    """Return the registered estimators for a dataset and their variants, or only those of these names.

    For classes, the first one is the truth.
    """
    every = [*({"name": name} for name in ESTIMATORS.names() if name != PROBE), *VARIANTS]
    every += [{"name": PROBE, "seed": OTHER_FOLDS}]
    chosen = []
    for entry in every:
        estimator = ESTIMATORS.get(entry["name"])
        fits = benchmark.classes or estimator.needs == "label embeddings"
        fits &= benchmark.classifiers or estimator.reads != "source logits"
        if fits and (not names or entry["name"] in names):
            chosen.append(entry)
    return [{"name": PROBE}, *chosen] if benchmark.classes else chosen


def scores(name: str, benchmark: Benchmark, names: Sequence[str], cache: Path) -> pl.DataFrame:
    """Return the score of every candidate by every estimator on one dataset, with its `value`, the truth."""
    spec = {
        "task": benchmark.task,
        **benchmark.spec(cache),
        "models": benchmark.models(cache),
        "estimators": estimators(names, benchmark),
        "store": str(cache / "store"),
        "output": cache / "runs" / name,
    }
    ranking = emms.rank(spec, progress=Terminal())
    if benchmark.classes:
        truth = ranking.scores.filter(estimator=PROBE).select("model", value="score")
        return ranking.scores.filter(pl.col("estimator") != PROBE).join(truth, on="model")
    seed = 0
    ranks = caption_ranks(spec, (seed, OTHER_FOLDS))
    truth = ranks.filter(seed=seed).select("model", "value")
    again = ranks.filter(seed=OTHER_FOLDS).select("model", score="value").join(truth, on="model")
    features = ranking.scores.select("model", "features").unique()
    title = pl.lit(f"{CAPTION_RANK}(seed={OTHER_FOLDS})")
    again = again.join(features, on="model").with_columns(estimator=title)
    return pl.concat([ranking.scores.join(truth, on="model"), again], how="diagonal")


def main() -> None:
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "emms-benchmarks" / "ranking"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=default, help="where downloads and results are kept")
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS, help="only these")
    parser.add_argument("--estimators", nargs="+", default=[], metavar="NAME", help="only these, with their variants")
    parser.add_argument(
        "--models", action="store_true", help="also print the place of each candidate by each estimator"
    )
    arguments = parser.parse_args()
    console, cache = Console(width=240), arguments.cache.absolute()
    cache.mkdir(parents=True, exist_ok=True)
    scored: dict[str, dict[str, pl.DataFrame]] = {}
    for name in arguments.datasets:
        benchmark = DATASETS[name]
        scored.setdefault(benchmark.task, {})[name] = scores(name, benchmark, arguments.estimators, cache)
    for tables in scored.values():
        if arguments.models:
            for name, table in tables.items():
                console.print(places(table, name))
        console.print(agreement(tables))


if __name__ == "__main__":
    main()
