"""The datasets that torchvision reads: where their files are, and where its readers keep paths and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Images:
    """What one of torchvision's readers lists."""

    paths: list[str]
    labels: list[int]
    """Indices into `classes`."""
    classes: list[str]


@dataclass(frozen=True)
class Reader:
    """One dataset."""

    splits: Mapping[str, list[dict[str, Any]]]
    """The arguments of torchvision's class for each split, once per part of it; the first one is the default."""
    files: Callable[[dict[str, Any]], Iterable[str]]
    """Return what the reader needs of a part, relative to the root: files, and folders, which end with a slash."""
    images: Callable[[Any], Images]
    """Return what a reader of torchvision lists."""
    downloads: bool = True
    """Whether torchvision can download it."""
    of_class: str = field(default="")
    """Name of torchvision's class if it is not that of the dataset."""


def _splits(*names: str, key: str = "split") -> dict[str, list[dict[str, Any]]]:
    return {name: [{key: name}] for name in names}


def _with_trainval(*names: str) -> dict[str, list[dict[str, Any]]]:
    """Return splits with `trainval`, which torchvision lacks, as the first one."""
    return {"trainval": [{"split": "train"}, {"split": "val"}], **_splits(*names)}


def _listed(paths: str, labels: str, classes: str = "classes") -> Callable[[Any], Images]:
    """Return a function that takes paths, labels and classes from these attributes of a reader."""
    return lambda reader: Images(
        list(map(str, getattr(reader, paths))), list(getattr(reader, labels)), list(getattr(reader, classes))
    )


def _caltech101(reader: Any) -> Images:
    folder = f"{reader.root}/101_ObjectCategories"
    samples = zip(reader.y, reader.index, strict=True)
    paths = [f"{folder}/{reader.categories[label]}/image_{number:04}.jpg" for label, number in samples]
    return Images(paths, list(reader.y), list(reader.categories))


def _cars(reader: Any) -> Images:
    paths, labels = zip(*reader._samples, strict=True) if reader._samples else ((), ())
    return Images(list(map(str, paths)), list(map(int, labels)), list(map(str, reader.classes)))


def _sun397(reader: Any) -> Images:
    # torchvision lists in the order of the file system, which is not the same everywhere
    samples = sorted(zip(map(str, reader._image_files), reader._labels, strict=True))
    return Images([path for path, _ in samples], [label for _, label in samples], list(reader.classes))


_VOC = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]  # fmt: skip


def _voc2007(reader: Any) -> Images:
    """List each image with the first of its classes in alphabetical order; -1 if all its objects are difficult."""
    names = [path.rpartition("/")[2].removesuffix(".jpg") for path in reader.images]
    first: dict[str, int] = {}
    for number, class_ in enumerate(_VOC):
        path = f"{reader.root}/VOCdevkit/VOC2007/ImageSets/Main/{class_}_{reader.image_set}.txt"
        with open(path, encoding="utf-8") as file:
            for line in filter(str.strip, file):
                name, present = line.split()
                if present == "1":  # -1 for none, 0 for difficult ones only
                    first.setdefault(name, number)
    return Images(list(reader.images), [first.get(name, -1) for name in names], _VOC)


def _aircraft_files(part: dict[str, Any]) -> list[str]:
    folder = "fgvc-aircraft-2013b/data"
    return [f"{folder}/variants.txt", f"{folder}/images_variant_{part['split']}.txt", f"{folder}/images/"]


def _car_files(part: dict[str, Any]) -> list[str]:
    folder = "stanford_cars"
    annotations = "devkit/cars_train_annos.mat" if part["split"] == "train" else "cars_test_annos_withlabels.mat"
    return [f"{folder}/devkit/cars_meta.mat", f"{folder}/{annotations}", f"{folder}/cars_{part['split']}/"]


def _voc_files(part: dict[str, Any]) -> list[str]:
    folder, split = "VOCdevkit/VOC2007", part["image_set"]
    lists = [f"{folder}/ImageSets/Main/{name}.txt" for name in (split, *(f"{c}_{split}" for c in _VOC))]
    return [*lists, f"{folder}/JPEGImages/"]


READERS: dict[str, Reader] = {
    "FGVCAircraft": Reader(
        _splits("trainval", "train", "val", "test"), _aircraft_files, _listed("_image_files", "_labels")
    ),
    "Caltech101": Reader(
        {"all": [{}]},
        lambda part: ["caltech101/101_ObjectCategories/", "caltech101/101_ObjectCategories/BACKGROUND_Google/"],
        _caltech101,
    ),
    "StanfordCars": Reader(_splits("train", "test"), _car_files, _cars, downloads=False),
    "DTD": Reader(
        _with_trainval("train", "val", "test"),
        lambda part: [f"dtd/dtd/labels/{part['split']}1.txt", "dtd/dtd/images/"],
        _listed("_image_files", "_labels"),
    ),
    "Flowers102": Reader(
        _with_trainval("train", "val", "test"),
        lambda part: ["flowers-102/imagelabels.mat", "flowers-102/setid.mat", "flowers-102/jpg/"],
        _listed("_image_files", "_labels"),
    ),
    "Food101": Reader(
        _splits("train", "test"),
        lambda part: [f"food-101/meta/{part['split']}.json", "food-101/images/"],
        _listed("_image_files", "_labels"),
    ),
    "OxfordIIITPet": Reader(
        _splits("trainval", "test"),
        lambda part: [f"oxford-iiit-pet/annotations/{part['split']}.txt", "oxford-iiit-pet/images/"],
        _listed("_images", "_labels"),
    ),
    "SUN397": Reader({"all": [{}]}, lambda part: ["SUN397/ClassName.txt"], _sun397),
    "VOC2007": Reader(
        {name: [{"year": "2007", "image_set": name}] for name in ("trainval", "train", "val", "test")},
        _voc_files,
        _voc2007,
        of_class="VOCDetection",
    ),
}
"""The datasets whose images are files, by name."""
