"""Debian's clip art as two datasets: its categories as classes, and its titles as captions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.ranking.debian import debian
from benchmarks.ranking.titles import chosen, read_title
from benchmarks.ranking.wordnet import words

CATEGORIES = ["animals", "buildings", "education", "electronics", "food", "geography"]
CATEGORIES += ["office", "people", "plants", "recreation", "tools", "transportation"]
PER_CATEGORY, SIDE, LARGEST = 200, 384, 20_000_000
"""The most pictures per category, the longest side after scaling, the largest picture used, in pixels."""


def clip_art(cache: Path) -> Path:
    """Return a folder of clip art, one folder per category: at most PER_CATEGORY pictures, on white, scaled down."""
    target, part = cache / "clip-art", cache / "clip-art.part"
    if target.is_dir():
        return target
    source = _pictures(cache)
    shutil.rmtree(part, ignore_errors=True)
    rng = np.random.default_rng(0)
    for category in CATEGORIES:
        paths, kept = sorted((source / category).rglob("*.png")), 0
        (part / category).mkdir(parents=True)
        for path in (paths[i] for i in rng.permutation(len(paths))):
            picture = scaled(path)
            if picture is None:
                continue
            kept += 1
            picture.save(part / category / f"{kept:03d}-{path.stem}.png", compress_level=1)
            if kept == PER_CATEGORY:
                break
    return part.rename(target)


def captions(cache: Path) -> Path:
    """Return a file of JSON Lines, beside its pictures: each picture of clip art whose title says what it shows.

    Prints how many pictures are left out, and why: see `titles.chosen`.
    """
    target, part = cache / "clip-art-titles", cache / "clip-art-titles.part"
    if target.is_dir():
        return target / "captions.jsonl"
    pictures = _pictures(cache)
    drawings = debian("openclipart-svg", Path("usr/share/openclipart/svg"), cache)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    titles = {str(path.relative_to(drawings)): read_title(path) for path in sorted(drawings.rglob("*.svg"))}
    kept, left_out = chosen(titles, words(cache))
    lines = []
    for number, (name, caption) in enumerate(kept.items()):
        path = (pictures / name).with_suffix(".png")
        picture = scaled(path) if path.is_file() else None
        if picture is None:
            left_out["has no picture, or too large a one"] += 1
            continue
        picture.save(part / f"{number:04d}.png", compress_level=1)
        lines.append(json.dumps({"image": f"{number:04d}.png", "caption": caption}) + "\n")
    (part / "captions.jsonl").write_text("".join(lines))
    print(f"clip art: {len(lines):,} captions; left out:", *(f"{n:,} {why}" for why, n in left_out.items()), sep="\n  ")
    return part.rename(target) / "captions.jsonl"


def scaled(path: Path) -> Image.Image | None:
    """Return a picture on white, scaled down; None if it is too large to be read."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > LARGEST:
                return None
            picture = image.convert("RGBA")
    except Image.DecompressionBombError:  # even larger
        return None
    picture.thumbnail((SIDE, SIDE))
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return white.convert("RGB")


def _pictures(cache: Path) -> Path:
    return debian("openclipart-png", Path("usr/share/openclipart/png"), cache)
