"""An external package adds a dataset format, a source of networks, a label encoder and an estimator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import emms

PLUGIN = '''
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from PIL import Image

from emms.datasets.base import LISTING, Dataset, Listing
from emms.downstream.image_classification import ImageSample
from emms.estimators.base import MomentEstimator
from emms.labels.base import LabelEncoder
from emms.models.base import Candidate, Forward

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class Colours(Dataset):
    """Squares of three colours, with noise."""

    format: Literal["colours"]
    count: int = 60

    def listing(self) -> Listing:
        rows = [(str(i), i % 3, __file__, i) for i in range(self.count)]
        return Listing(pl.DataFrame(rows, schema=LISTING, orient="row"), list(COLOURS))

    def load(self, record: dict[str, Any]) -> ImageSample:
        rng = np.random.default_rng(record["position"])
        pixels = np.array(list(COLOURS.values())[record["label"]]) * 0.5 + rng.integers(0, 100, (4, 4, 3))
        return ImageSample(record["id"], Image.fromarray(pixels.astype(np.uint8)))


class MeanColour(Candidate):
    """A network whose features are the means of the three channels, or only of the first one."""

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        return ["all", "one"]

    def check(self) -> None: ...

    def size(self) -> tuple[int, int]:
        return 3, 0

    def network(self, digests: Any) -> dict[str, Any]:
        return {"mean colour": self.spec.name}

    def preprocessing(self) -> dict[str, Any]:
        return {}

    def sharing(self) -> str:
        return "none"

    def prepare(self, sample: ImageSample) -> np.ndarray:
        return np.asarray(sample.image)

    def load(self, device: torch.device) -> Forward:
        return MeanColourForward(self.spec.name)


class MeanColourForward(Forward):
    parameters = 0

    def __init__(self, name: str) -> None:
        self.channels = 3 if name == "all" else 1

    def __call__(self, batch, views):
        return [torch.from_numpy(batch[..., : self.channels]).float().mean((1, 2)) for _ in views]


class ColourWords(LabelEncoder):
    """Embeds the name of a colour as its RGB value."""

    def reference(self, digests: Any) -> dict[str, Any]:
        return {"colour words": 1}

    def encode(self, texts: Any, device: str = "cpu") -> np.ndarray:
        return np.array([next(rgb for name, rgb in COLOURS.items() if name in text) for text in texts], np.float32)


class Width(MomentEstimator):
    """Scores by the number of features."""

    name, summary, needs, paper, cost = "width", "how wide the features are", "labels", "none", "nothing"

    def fit(self, X, y):
        self.score_ = float(X.shape[1])
        return self

    def fit_moments(self, moments, label_embeddings=None):
        self.score_ = float(moments.n_features)
        return self
'''

ENTRY_POINTS = """\
[emms.datasets]
colours = colours_plugin:Colours
[emms.models]
mean = colours_plugin:MeanColour
[emms.label_encoders]
colours = colours_plugin:ColourWords
[emms.estimators]
width = colours_plugin:Width
"""

SCRIPT = """
import emms
ranking = emms.rank({
    "dataset": {"format": "colours", "count": 90},
    "models": ["mean:one", "mean:all"],
    "label_encoders": ["colours:rgb"],
    "estimators": ["emms", "width"],
    "store": "store", "output": "output",
})
assert ranking.frame["model"].to_list() == ["mean:all", "mean:one"], ranking
assert ranking.scores.filter(estimator="width")["score"].to_list() == [1.0, 3.0], ranking
try:
    emms.rank({"dataset": {"format": "colours", "cuont": 90}, "models": ["mean:all"]})
except emms.EMMSError as fault:
    assert "did you mean 'count'" in str(fault), fault
"""


TASK = """
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import torch

from emms.datasets.base import LISTING, Dataset, Listing
from emms.downstream.base import Sample
from emms.downstream.own_labels import OwnLabels
from emms.labels.base import LabelEncoder
from emms.models.base import Candidate, Forward

SIZE = 8


@dataclass(frozen=True)
class Sound(Sample):
    wave: np.ndarray


class AudioTagging(OwnLabels):
    name = "audio-tagging"
    sample = Sound
    label_encoders = ("counts:letters",)
    metric = "CIDEr"
    throughput = "s/s"


class Sounds(Dataset):
    format: Literal["sounds"]
    tasks = frozenset({"audio-tagging"})
    count: int = 300

    def listing(self) -> Listing:
        rows = [(str(i), i % 250, __file__, i % 250) for i in range(self.count)]  # some descriptions occur twice
        return Listing(pl.DataFrame(rows, schema=LISTING, orient="row"), [describe(i) for i in range(250)])

    def load(self, record: dict[str, Any]) -> Sound:
        return Sound(record["id"], wave(record["position"]))


def wave(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal(SIZE).astype(np.float32)


def describe(number: int) -> str:
    return " ".join(f"{value:.3f}" for value in wave(number))


class Ears(Candidate):
    reads = frozenset({"wave"})

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        return ["sharp", "dull", "deaf"]

    def check(self) -> None: ...

    def size(self) -> tuple[int, int]:
        return SIZE, 0

    def network(self, digests: Any) -> dict[str, Any]:
        return {"ears": self.spec.name}

    def preprocessing(self) -> dict[str, Any]:
        return {}

    def sharing(self) -> str:
        return "none"

    def prepare(self, sample: Sound) -> np.ndarray:
        return sample.wave

    def load(self, device: torch.device) -> Forward:
        return Hearing(self.spec.name)


class Hearing(Forward):
    parameters = 0

    def __init__(self, name: str) -> None:
        self.noise = {"sharp": 0.1, "dull": 1.0, "deaf": 100.0}[name]

    def __call__(self, batch, views):
        noise = torch.randn(len(batch), SIZE, generator=torch.Generator().manual_seed(len(batch)))
        return [torch.from_numpy(batch) + self.noise * noise for _ in views]


class Numbers(LabelEncoder):
    def reference(self, digests: Any) -> dict[str, Any]:
        return {"numbers": 1}

    def encode(self, texts: Any, device: str = "cpu") -> np.ndarray:
        return np.array([[float(word) for word in text.split()] for text in texts], np.float32)
"""

TASK_ENTRY_POINTS = """\
[emms.downstream]
audio-tagging = sounds_plugin:AudioTagging
[emms.datasets]
sounds = sounds_plugin:Sounds
[emms.models]
ears = sounds_plugin:Ears
[emms.label_encoders]
counts = sounds_plugin:Numbers
"""

RANK_A_NEW_TASK = """
import emms
ESTIMATORS = ["emms-decoded", "emms", "emms-cv", "logme-f-label", "knn-labels", "logme", "knn"]
spec = {
    "task": "audio-tagging",
    "dataset": {"format": "sounds"},
    "models": ["ears:deaf", "ears:dull", "ears:sharp"],
    "store": "store", "output": "output",
}
ranking = emms.rank(spec)
assert ranking.frame["model"].to_list() == ["ears:sharp", "ears:dull", "ears:deaf"], ranking
assert ranking.frame["estimator"].unique().to_list() == ["emms-decoded"]
assert ranking.frame["score"][0] > 0.9 and ranking.frame["score"][2] < 0.1, ranking
assert "s/s" in repr(ranking) and "img/s" not in repr(ranking)
both = emms.rank({**spec, "estimators": ESTIMATORS})
assert both.run["features"]["computed"] == []
assert sorted(both.scores["estimator"].unique()) == sorted(ESTIMATORS[:-2])
assert any("no score by logme" in note and "needs classes" in note for note in both.warnings), both.warnings
try:
    emms.rank({**spec, "models": ["packaged:efficientnet-lite0"]})
except emms.EMMSError as error:
    assert "reads image, but samples of task 'audio-tagging' have wave" in str(error), error
else:
    raise AssertionError
"""


BROKEN = """\
[emms.datasets]
broken = broken_plugin:Broken
[emms.models]
broken = broken_plugin:Broken
[emms.label_encoders]
broken = broken_plugin:Broken
[emms.estimators]
broken = broken_plugin:Broken
"""

WITH_A_BROKEN_PACKAGE = """
import emms
from emms.datasets import FORMATS
from emms.estimators import ESTIMATORS
from emms.labels import ENCODERS
from emms.models import SOURCES

for registry, known in ((FORMATS, "colours"), (SOURCES, "mean"), (ENCODERS, "colours"), (ESTIMATORS, "width")):
    names = [name for name, _ in registry]
    assert known in names and "broken" not in names, names
    (error,) = registry.broken()
    assert "'broken' cannot be loaded (ImportError: libfoo.so.1 is missing)" in str(error), error
    assert "package broken 1.0 (entry point broken = broken_plugin:Broken)" in str(error), error

good = {"dataset": {"format": "colours"}, "models": ["mean:all"], "store": "store", "output": "output"}
good |= {"label_encoders": ["colours:rgb"], "estimators": ["width"]}
bad = {
    "dataset": {"format": "broken"},
    "models": ["broken:x"],
    "label_encoders": ["broken:x"],
    "estimators": ["broken"],
}
for field, value in bad.items():
    try:
        emms.rank({**good, field: value})
    except emms.EMMSError as error:
        assert "package broken 1.0 (entry point broken = broken_plugin:Broken); fix or uninstall" in str(error), error
    else:
        raise AssertionError(field)

from prefect.utilities.callables import parameter_schema
from flows.rank import rank
definitions = parameter_schema(rank.fn).definitions
assert {"Colours", "Digits", "ImageFolder"} <= definitions.keys(), definitions.keys()
"""


def run(script: str, folder: Path) -> None:
    """Run a script in a new Python process with the packages in `folder` installed."""
    root = str(Path(emms.__file__).parents[1])
    env = {"PYTHONPATH": f"{folder}{os.pathsep}{root}", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    subprocess.run([sys.executable, "-c", script], cwd=folder, env=env, check=True, timeout=300)


def test_an_external_package_adds_one_of_each(install, site_packages):
    install("colours", ENTRY_POINTS, colours_plugin=PLUGIN)
    run(SCRIPT, site_packages)


def test_a_broken_package_is_named_and_does_not_affect_others(install, site_packages):
    install("colours", ENTRY_POINTS, colours_plugin=PLUGIN)
    install("broken", BROKEN, broken_plugin="raise ImportError('libfoo.so.1 is missing')")
    run(WITH_A_BROKEN_PACKAGE, site_packages)


def test_an_external_package_adds_a_downstream_task_with_one_label_per_sample(install, site_packages):
    install("sounds", TASK_ENTRY_POINTS, sounds_plugin=TASK)
    run(RANK_A_NEW_TASK, site_packages)
