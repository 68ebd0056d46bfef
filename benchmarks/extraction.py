"""Extraction of three EfficientNets side by side with its floor and with the usual loop, in one run.

    python benchmarks/extraction.py             # 2,000 photographs of 500 x 375
    python benchmarks/extraction.py --memory    # peak memory at 2,000 and at 20,000 images

floor   the bare forward passes, on tensors that are in memory
emms    images from disk to features in the store, through `emms.models.extraction`
loop    for each model: decode, preprocess with timm's transform, forward, keep the features
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import timm
import torch
from PIL import Image

from emms.datasets.imagefolder import ImageFolder
from emms.hardware import keep_freed_memory
from emms.models import candidate
from emms.models.extraction import Member, extract, plan_passes
from emms.models.features import features_key
from emms.spec import ModelSpec
from emms.store import Store

NAMES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
BATCH = 16


def photographs(folder: Path, count: int, size: tuple[int, int] = (500, 375)) -> Path:
    """Write JPEG files that cost about as much to decode as photographs: smooth shapes with fine grain."""
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        grain = rng.integers(-6, 7, (size[1], size[0], 1))
        pixels = np.clip(np.asarray(coarse, dtype=np.int16) + grain, 0, 255).astype(np.uint8)
        target = folder / "photos" / str(i % 2) / f"{i}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target, quality=90)
    return folder / "photos"


def members(models: list[ModelSpec]) -> list[Member]:
    made = []
    for model in models:
        network = candidate(model)
        key = features_key(
            "benchmark", network.network(lambda paths: paths), network.preprocessing(), network.view, "float32"
        )
        made.append(Member(network, key))
    return made


def emms_seconds(photos: Path, samples: pl.DataFrame, store: Path) -> dict[str, float]:
    seconds = {}
    for together in plan_passes(members([ModelSpec(source="packaged", name=name) for name in NAMES])):
        started = time.perf_counter()
        extract(
            together, ImageFolder(format="imagefolder", path=photos), samples, Store(str(store)), torch.device("cpu")
        )
        seconds["+".join(m.candidate.spec.name for m in together)] = time.perf_counter() - started
    return seconds


def floor_seconds(name: str, count: int) -> float:
    network = candidate(ModelSpec(source="packaged", name=name))
    module = network._build().to(memory_format=torch.channels_last)
    height, width = network.preprocessing()["input_size"][1:]
    tensors = [torch.randn(BATCH, 3, height, width).contiguous(memory_format=torch.channels_last) for _ in range(8)]
    with torch.inference_mode():
        started = time.perf_counter()
        for batch in range(count // BATCH):
            module.forward_head(module.forward_features(tensors[batch % 8]), pre_logits=True)
        return time.perf_counter() - started


def loop_seconds(name: str, files: list[str]) -> float:
    network = candidate(ModelSpec(source="packaged", name=name))
    started = time.perf_counter()
    module = network._build()
    transform = timm.data.create_transform(**network._data_config)
    rows = []
    with torch.inference_mode():
        for start in range(0, len(files), BATCH):
            images = [transform(Image.open(file).convert("RGB")) for file in files[start : start + BATCH]]
            rows.append(module.forward_head(module.forward_features(torch.stack(images)), pre_logits=True).numpy())
    np.concatenate(rows)
    return time.perf_counter() - started


def compare(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        photos = photographs(Path(folder), count)
        samples = ImageFolder(format="imagefolder", path=photos).listing().samples
        usual = {name: loop_seconds(name, samples["path"].to_list()) for name in NAMES}  # before the allocator is set
        keep_freed_memory()
        floor = {name: floor_seconds(name, count) for name in NAMES}
        ours = emms_seconds(photos, samples, Path(folder) / "store")
    for what, seconds in (("floor", floor), ("emms", ours), ("loop", usual)):
        parts = ", ".join(f"{name} {s:.1f} s" for name, s in seconds.items())
        print(f"{what:6} {sum(seconds.values()):7.1f} s  ({parts})")
    print(f"emms / floor {sum(ours.values()) / sum(floor.values()):.3f}   (bar: 1.15)")
    print(f"loop / emms  {sum(usual.values()) / sum(ours.values()):.2f}")


def memory(count: int) -> None:
    """Print the peak memory of extracting features of so many images, in megabytes, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        photos = photographs(Path(folder), 500, (96, 72))
        samples = ImageFolder(format="imagefolder", path=photos).listing().samples
        samples = pl.concat([samples] * (count // 500))
        # A quick network, with features as wide as others': what must not grow with the images is the pipeline.
        quick = members([ModelSpec(source="timm", name="mobilenetv3_small_050", pretrained=False)])
        extract(
            quick, ImageFolder(format="imagefolder", path=photos), samples, Store(f"{folder}/s"), torch.device("cpu")
        )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.memory_of:
        memory(asked.memory_of)
    elif asked.memory:
        peaks = []
        for images in (2000, 20000):
            command = [sys.executable, __file__, "--memory-of", str(images)]
            peaks.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            print(f"{images:6,} images: {peaks[-1]:,.0f} MB")
        print(f"difference {peaks[1] / peaks[0] - 1:+.1%}   (bar: 10%)")
    else:
        compare(asked.count)
