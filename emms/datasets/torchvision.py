"""The datasets of images and classes that torchvision reads."""

from __future__ import annotations

import os
from typing import Any, Literal

import polars as pl
from PIL import Image
from pydantic import ConfigDict, Field, model_validator

from emms.datasets.base import LISTING, Dataset, Listing
from emms.datasets.cifar import read_batch
from emms.datasets.images import read_image
from emms.datasets.parquet_paths import NamedFiles
from emms.datasets.plain_pickles import read_pickle
from emms.datasets.torchvision_readers import READERS, Images, Reader
from emms.downstream.image_classification import ImageSample
from emms.errors import BadSampleError, DatasetError, printable, shortened
from emms.paths import UserPath

_Name = Literal[
    "FGVCAircraft", "Caltech101", "StanfordCars", "CIFAR10", "CIFAR100", "DTD", "Flowers102", "Food101",
    "OxfordIIITPet", "SUN397", "VOC2007",
]  # fmt: skip
_CIFAR: dict[str, tuple[str, str, str, dict[str, list[str]]]] = {
    "CIFAR10": (
        "cifar-10-batches-py",
        "batches.meta",
        "label_names",
        {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]},
    ),
    "CIFAR100": ("cifar-100-python", "meta", "fine_label_names", {"train": ["train"], "test": ["test"]}),
}
"""The folder, the file of class names, the key in it, and the batches of each split."""


class Torchvision(Dataset):
    """One of eleven datasets, read as torchvision reads it, from the files that it downloads.

    An image of VOC2007 with several classes has the first of them in alphabetical order, as in the code of Meng et al.
    2023; images with difficult objects alone are left out (there, they are aeroplanes). Aircraft have their variant as
    class, DTD its first partition, CIFAR-100 its fine classes.
    """

    # `name` is a property of datasets
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    format: Literal["torchvision"] = "torchvision"
    dataset: _Name = Field(alias="name", description="The dataset: the name of torchvision's class, or VOC2007.")
    root: UserPath = Field(description="The folder that torchvision calls root, which contains the dataset's folder.")
    split: str | None = Field(
        None,
        description="The split: train, val, trainval or test, as far as the dataset has it, or all if it has none. The "
        "default is trainval, train or all, the first of these that it has.",
    )
    download: bool = Field(False, description="Whether to download the dataset if it is not there.")

    @model_validator(mode="after")
    def _known_split(self) -> Torchvision:
        if self.split is not None and self.split not in self._splits():
            known = ", ".join(self._splits())
            raise ValueError(f"{self.dataset} has no `split: {printable(self.split)}` (it has: {known})")
        return self

    @property
    def name(self) -> str:
        """Name of the dataset in the results."""
        return self.dataset

    def listing(self) -> Listing:
        """List the images in torchvision's order, without decoding any of them, and the classes that occur.

        Raises DatasetError if files are missing, with their names, or damaged.
        """
        split = self.split or self._splits()[0]
        if self.dataset in _CIFAR:
            rows, classes = self._cifar(split)
        else:
            rows, classes = self._files(READERS[self.dataset], split)
        used = sorted({label for *_, label in rows if label >= 0})
        index = {label: number for number, label in enumerate(used)}
        kept = [(id_, index[label], path, position) for id_, path, position, label in rows if label >= 0]
        left_out = len(rows) - len(kept)
        notes = [f"{left_out} of {len(rows)} samples of '{self._root()}' have no class and are left out"]
        samples = pl.DataFrame(kept, LISTING, orient="row")
        return Listing(samples, [classes[label].strip() for label in used], notes if left_out else [])

    def load(self, record: dict[str, Any]) -> ImageSample:
        """Load one image. Raises BadSampleError."""
        if self.dataset not in _CIFAR:
            return ImageSample(record["id"], read_image(record["path"]))
        try:
            images, _ = read_batch(record["path"])
            return ImageSample(record["id"], Image.fromarray(images[record["position"]].copy()))
        except (DatasetError, IndexError) as cause:
            raise BadSampleError(str(cause)) from cause

    def reading(self) -> dict[str, Any]:
        """Return the settings that determine the pixels of a sample, given its file and its position there."""
        return {"reads": "CIFAR batch" if self.dataset in _CIFAR else "image file"}

    def _root(self) -> str:
        return os.path.abspath(self.root)

    def _splits(self) -> list[str]:
        return list(_CIFAR[self.dataset][3] if self.dataset in _CIFAR else READERS[self.dataset].splits)

    def _files(self, reader: Reader, split: str) -> tuple[list[tuple[str, str, int, int]], list[str]]:
        """Return the id, file, position and class of each image, and the names of classes."""
        import torchvision.datasets as torchvision

        root, rows, classes = self._root(), list[tuple[str, str, int, int]](), list[str]()
        make = getattr(torchvision, reader.of_class or self.dataset)
        for part in reader.splits[split]:
            files = list(reader.files(part))
            if self.download and reader.downloads and self._missing(files):
                self._run(lambda part=part: make(root, download=True, **part), "downloaded")
            self._require(files, reader.downloads)
            images: Images = self._run(lambda part=part: reader.images(make(root, **part)), "read")
            if classes and classes != images.classes:
                raise DatasetError(f"the splits of {self.dataset} in '{root}' have different classes; restore them")
            classes = images.classes
            if images.labels and max(images.labels) >= len(classes):
                raise DatasetError(f"{self.dataset} in '{root}' has a label without a class; restore its files")
            paths = NamedFiles(self.dataset, root, frozenset()).resolve(images.paths)
            ids = [os.path.relpath(path, root) for path in images.paths]
            rows += zip(ids, [path or "" for path in paths], [0] * len(ids), images.labels, strict=True)
        return rows, classes

    def _cifar(self, split: str) -> tuple[list[tuple[str, str, int, int]], list[str]]:
        folder, meta, key, batches = _CIFAR[self.dataset]
        root = self._root()
        needed = [f"{folder}/{name}" for name in (meta, *batches[split])]
        if self.download and self._missing(needed):
            self._run(self._download_cifar, "downloaded")
        self._require(needed, True)
        content = read_pickle(f"{root}/{folder}/{meta}")
        classes = content.get(key) if isinstance(content, dict) else None
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise DatasetError(f"'{root}/{folder}/{meta}' has no list of names at '{key}'; download it again")
        rows = []
        for batch in batches[split]:
            path = f"{root}/{folder}/{batch}"
            _, labels = read_batch(path)
            if len(labels) and labels.max() >= len(classes):
                raise DatasetError(f"'{path}' has the label {labels.max()}, which has no name; download it again")
            rows += [(f"{folder}/{batch}:{i}", path, i, int(label)) for i, label in enumerate(labels)]
        return rows, classes

    def _download_cifar(self) -> None:
        """Download without reading: torchvision's class would run what is in the pickles."""
        import torchvision.datasets as torchvision

        of = getattr(torchvision, self.dataset)
        torchvision.utils.download_and_extract_archive(of.url, self._root(), filename=of.filename, md5=of.tgz_md5)

    def _run(self, call: Any, what: str) -> Any:
        """Call a reader of torchvision, which raises exceptions of any type."""
        try:
            return call()
        except Exception as cause:
            reason = f"{type(cause).__name__}: {shortened(cause)}"
            raise DatasetError(
                f"{self.dataset} in '{self._root()}' cannot be {what} by torchvision ({reason}); restore its files"
            ) from cause

    def _missing(self, files: list[str]) -> list[str]:
        root = self._root()
        return [f for f in files if not (os.path.isdir if f.endswith("/") else os.path.isfile)(f"{root}/{f}")]

    def _require(self, files: list[str], downloads: bool) -> None:
        """Raise DatasetError if one of the files does not exist."""
        if missing := self._missing(files):
            shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            remedy = ", or let torchvision download them with `download: true`" if downloads else ""
            raise DatasetError(
                f"'{self._root()}' lacks {shown}, where torchvision expects the files of {self.dataset}; give the "
                f"folder that has them with `root:`{remedy}"
            )
