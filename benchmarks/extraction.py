"""Time and memory of feature extraction, against the bare forward passes and against loops written by hand.

    python -m benchmarks.extraction [--images N] [--repeats N]    # 320 photographs of 500 x 375, three times
    python -m benchmarks.extraction --growth                      # peak memory at 2,000 and at 20,000 small images

Each of these runs in a process of its own, for one network and for four:
floor     the bare forward passes, on tensors in memory: what no extraction can do without
by hand   per batch: decode by Pillow, prepare by timm's transform for each network, then all networks
one by one  the same, network by network: each image is decoded once for each of them
emms      the stage of a run that extracts features: from images on disk to features in the store
All take batches of 16 and use torch's threads; all but `one by one` use the memory format and the allocator that suit
a CPU. Networks are untrained. Loading them, some two seconds of CPU time each, is part of the time except in `floor`,
so it shows in the ratio where images are few.

Measured last with one network, on two cores that other programs kept busy, which makes wall time of little use: by CPU
time 1.16 of `floor`, 0.88 of `by hand`, 0.51 of `one by one`; peak memory 1.3 GB, that of `floor` 1.2 GB.
"""

from __future__ import annotations

import argparse
import importlib
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from emms.hardware import keep_freed_memory

# torch and timm are imported where they are used: this process hands its peak memory on to those that it starts.

NETWORKS = ("tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2", "resnet18")
QUICK = ("mobilenetv3_small_050",)
BATCH = 16
BAR, GROWTH_BAR = 1.15, 0.10


class Cost(NamedTuple):
    """What one run took."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    """Peak memory of its process."""


class Watch:
    """Adds up the time of `with` blocks."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._started[0]
        self.cpu_seconds += time.process_time() - self._started[1]


def photographs(folder: Path, count: int, size: tuple[int, int] = (500, 375)) -> Path:
    """Write JPEG files that cost about as much to decode as photographs: smooth shapes with fine grain."""
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        grain = rng.integers(-6, 7, (size[1], size[0], 1))
        pixels = np.clip(np.asarray(coarse, dtype=np.int16) + grain, 0, 255).astype(np.uint8)
        target = folder / "photos" / str(i % 2) / f"{i:06}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target, quality=90)
    return folder / "photos"


def floor(names: Sequence[str], photos: Path, watch: Watch) -> None:
    import timm
    import torch

    keep_freed_memory()
    batches = len(list(photos.rglob("*.jpg"))) // BATCH
    for name in names:
        module: Any = timm.create_model(name).eval().to(memory_format=torch.channels_last)
        shape = BATCH, *timm.data.resolve_model_data_config(module)["input_size"]
        inputs = [torch.randn(shape).contiguous(memory_format=torch.channels_last) for _ in range(8)]
        with torch.inference_mode(), watch:
            for batch in range(batches):
                module.forward_head(module.forward_features(inputs[batch % 8]), pre_logits=True)


def by_hand(names: Sequence[str], photos: Path, watch: Watch) -> None:
    keep_freed_memory()
    with watch:
        loop(names, photos, channels_last=True)


def one_by_one(names: Sequence[str], photos: Path, watch: Watch) -> None:
    with watch:
        for name in names:
            loop([name], photos, channels_last=False)


def loop(names: Sequence[str], photos: Path, channels_last: bool) -> dict[str, np.ndarray]:
    import timm
    import torch

    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    modules: list[Any] = [timm.create_model(name).eval().to(memory_format=memory_format) for name in names]
    configurations = [timm.data.resolve_model_data_config(module) for module in modules]
    transforms = [timm.data.create_transform(**configuration) for configuration in configurations]
    features: dict[str, list[np.ndarray]] = {name: [] for name in names}
    paths = sorted(photos.rglob("*.jpg"))
    with torch.inference_mode():
        for start in range(0, len(paths), BATCH):
            images = [Image.open(path).convert("RGB") for path in paths[start : start + BATCH]]
            for name, module, transform in zip(names, modules, transforms, strict=True):
                inputs = torch.stack([transform(image) for image in images]).to(memory_format=memory_format)
                output = module.forward_head(module.forward_features(inputs), pre_logits=True)
                features[name].append(output.numpy())
    return {name: np.concatenate(rows) for name, rows in features.items()}


def emms(names: Sequence[str], photos: Path, watch: Watch) -> None:
    from emms.run.executor import Inline
    from emms.run.stage import Workspace
    from emms.run.stages import EXTRACT, LIST, RESOLVE
    from emms.spec import load_spec
    from emms.store import Store

    keep_freed_memory()
    models = [{"source": "timm", "name": name, "pretrained": False} for name in names]
    spec = load_spec({"dataset": {"format": "imagefolder", "path": str(photos)}, "models": models, "device": "cpu"})
    with tempfile.TemporaryDirectory() as store:
        do = Inline(Workspace(spec, Store(store)))
        samples = do.one(LIST).samples
        resolved = do.all(RESOLVE, [(model, samples) for model in spec.models])
        with watch:
            passes = do.all(EXTRACT, [(together, samples) for together in do.passes(resolved)])
    assert all(member.computed and not member.failure for together in passes for member in together.members)


ALTERNATIVES: dict[str, Callable[[Sequence[str], Path, Watch], None]] = {
    "floor": floor,
    "by hand": by_hand,
    "one by one": one_by_one,
    "emms": emms,
}


def cost(what: str, names: Sequence[str], photos: Path) -> Cost:
    """Return what one alternative costs, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_cost, what, names, photos).result()


def _cost(what: str, names: Sequence[str], photos: Path) -> Cost:
    importlib.import_module("timm")  # which is no part of the time
    watch = Watch()
    ALTERNATIVES[what](names, photos, watch)
    return Cost(watch.seconds, watch.cpu_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def compare(count: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        photos = photographs(Path(folder), count)
        for names in (NETWORKS[:1], NETWORKS):
            costs: dict[str, list[Cost]] = {what: [] for what in ALTERNATIVES}
            for _ in range(repeats):
                for what, measured in costs.items():
                    measured.append(cost(what, names, photos))
            print(f"{count:,} images, networks: {len(names)}, median of {repeats}")
            for what, measured in costs.items():
                seconds, cpu, megabytes = (median(numbers) for numbers in zip(*measured, strict=True))
                print(f"  {what:10} {seconds:7.1f} s   {cpu:7.1f} s of CPU   {megabytes:7,.0f} MB")
            for what in ("floor", "by hand", "one by one"):
                pairs = list(zip(costs["emms"], costs[what], strict=True))
                wall = spread([mine.seconds / its.seconds for mine, its in pairs])
                cpu = spread([mine.cpu_seconds / its.cpu_seconds for mine, its in pairs])
                bar = f"   (bar: {BAR})" if what == "floor" else ""
                print(f"  emms / {what}: time {wall}, CPU time {cpu}{bar}", flush=True)


def spread(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def growth() -> None:
    """Print how much more memory extraction takes for ten times as many images."""
    peaks = []
    for count in (2_000, 20_000):
        with tempfile.TemporaryDirectory() as folder:
            peaks.append(cost("emms", QUICK, photographs(Path(folder), count, (96, 72))).megabytes)
        print(f"{count:6,} images: {peaks[-1]:,.0f} MB")
    print(f"difference {peaks[1] / peaks[0] - 1:+.1%}   (bar: {GROWTH_BAR:.0%})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--growth", action="store_true", help="measure only how peak memory grows with the images")
    asked = parser.parse_args()
    if asked.growth:
        growth()
    else:
        compare(asked.images, asked.repeats)
