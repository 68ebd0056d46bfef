"""Another package adds a dataset format, a source of networks, a label encoder, an estimator, and ranks with them."""

from __future__ import annotations

import subprocess
import sys

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
    """A network whose three features are the mean of each channel, or of the first one alone."""

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
    """Embeds a colour's name as the colour."""

    def reference(self, digests: Any) -> dict[str, Any]:
        return {"colour words": 1}

    def encode(self, texts: Any, device: str = "cpu") -> np.ndarray:
        return np.array([next(rgb for name, rgb in COLOURS.items() if name in text) for text in texts], np.float32)


class Width(MomentEstimator):
    """Prefers wide features."""

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


def test_a_package_from_outside_adds_one_of_each(tmp_path):
    (tmp_path / "colours_plugin.py").write_text(PLUGIN)
    metadata = tmp_path / "colours_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: colours-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=True,
        timeout=300,
    )
