"""The datasets of torchvision, from small files in exactly the layout that it downloads."""

import functools
import json
import operator
import pickle

import numpy as np
import pytest
import scipy.io
import torchvision.datasets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from emms.datasets.torchvision import Torchvision
from emms.datasets.torchvision_readers import _VOC
from emms.errors import BadSampleError, DatasetError
from tests.datasets.readers import check_listing, mutated


def jpg(path, red=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (red, 0, 0)).save(path)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def mat(path, **content):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, content)


def aircraft(root):
    folder = root / "fgvc-aircraft-2013b" / "data"
    text(folder / "variants.txt", "707-320\n737-700\nF/A-18\n")
    text(folder / "images_variant_trainval.txt", "1025794 F/A-18\n1340192 707-320\n")
    jpg(folder / "images" / "1025794.jpg", 100)
    jpg(folder / "images" / "1340192.jpg", 200)


def caltech101(root):
    folder = root / "caltech101" / "101_ObjectCategories"
    for name in ("BACKGROUND_Google", "Faces_easy", "accordion"):
        for i in (1, 2):
            jpg(folder / name / f"image_{i:04}.jpg", 10 * i)


def cars(root):
    folder = root / "stanford_cars"
    kind = [("bbox_x1", "O"), ("class", "O"), ("fname", "O")]
    mat(folder / "devkit" / "cars_meta.mat", class_names=np.array(["AM General Hummer", "Acura RL", "BMW M3"], object))
    train = np.array([(39, 3, "00001.jpg"), (40, 1, "00002.jpg")], dtype=kind)
    mat(folder / "devkit" / "cars_train_annos.mat", annotations=train)
    for i in (1, 2):
        jpg(folder / "cars_train" / f"0000{i}.jpg", i)


def dtd(root):
    folder = root / "dtd" / "dtd"
    for split, names in {"train": ["a", "b"], "val": ["c"], "test": ["d"]}.items():
        lines = [f"{kind}/{kind}_{name}.jpg" for name in names for kind in ("banded", "zigzagged")]
        text(folder / "labels" / f"{split}1.txt", "\n".join(lines) + "\n")
        for line in lines:
            jpg(folder / "images" / line)


def flowers(root):
    folder = root / "flowers-102"
    mat(folder / "imagelabels.mat", labels=np.array([[77, 1, 102, 1]], np.uint8))
    mat(folder / "setid.mat", trnid=np.array([[1, 2]]), valid=np.array([[3, 4]]), tstid=np.array([[1, 3]]))
    for i in range(1, 5):
        jpg(folder / "jpg" / f"image_0000{i}.jpg", i)


def food(root):
    names = {"waffles": ["waffles/1005755"], "apple_pie": ["apple_pie/1011328", "apple_pie/101251"]}
    text(root / "food-101" / "meta" / "train.json", json.dumps(names))
    for name in functools.reduce(operator.iadd, names.values(), []):
        jpg(root / "food-101" / "images" / f"{name}.jpg")


def pets(root):
    folder = root / "oxford-iiit-pet"
    text(
        folder / "annotations" / "trainval.txt", "Abyssinian_100 1 1 1\namerican_bulldog_10 2 2 1\nAbyssinian_2 1 1 1\n"
    )
    for name in ("Abyssinian_100", "american_bulldog_10", "Abyssinian_2"):
        jpg(folder / "images" / f"{name}.jpg")


def sun397(root):
    text(root / "SUN397" / "ClassName.txt", "/a/abbey\n/a/apartment_building/outdoor\n/y/yard\n")
    for name in ("y/yard/sun_b", "a/apartment_building/outdoor/sun_a", "a/abbey/sun_c"):
        jpg(root / "SUN397" / f"{name}.jpg")


def voc2007(root):
    folder = root / "VOCdevkit" / "VOC2007"
    names = ["000005", "000007", "000009", "000012"]
    text(folder / "ImageSets" / "Main" / "trainval.txt", "\n".join(names) + "\n")
    present = {"car": "-1  1 -1 -1", "horse": "-1 -1  1 -1", "person": "-1  1  1  0", "chair": " 1 -1  0 -1"}
    for name in _VOC:
        values = present.get(name, "-1 -1 -1 -1").split()
        lines = [f"{image} {value:>2}" for image, value in zip(names, values, strict=True)]
        text(folder / "ImageSets" / "Main" / f"{name}_trainval.txt", "\n".join(lines) + "\n")
    for name in names:
        jpg(folder / "JPEGImages" / f"{name}.jpg")


def cifar10(root):
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    names = ["airplane", "automobile", "bird"]
    (folder / "batches.meta").write_bytes(pickle.dumps({"num_vis": 3072, "label_names": names}, 2))
    for i in range(1, 6):
        batch = {"labels": [i % 2, 2], "data": np.full((2, 3072), 10 * i, np.uint8)}
        (folder / f"data_batch_{i}").write_bytes(pickle.dumps(batch, 2))


def cifar100(root):
    folder = root / "cifar-100-python"
    folder.mkdir()
    meta = {"fine_label_names": ["apple", "bear"], "coarse_label_names": ["fruit"]}
    (folder / "meta").write_bytes(pickle.dumps(meta, 2))
    batch = {"fine_labels": [1, 0], "coarse_labels": [0, 0], "data": np.zeros((2, 3072), np.uint8)}
    (folder / "test").write_bytes(pickle.dumps(batch, 2))


DATASETS = {
    "FGVCAircraft": (aircraft, ["F/A-18", "707-320"], "fgvc-aircraft-2013b/data/images/1025794.jpg"),
    "Caltech101": (
        caltech101,
        ["Faces_easy", "Faces_easy", "accordion", "accordion"],
        "caltech101/101_ObjectCategories/Faces_easy/image_0001.jpg",
    ),
    "StanfordCars": (cars, ["BMW M3", "AM General Hummer"], "stanford_cars/cars_train/00001.jpg"),
    "DTD": (dtd, ["banded", "zigzagged"] * 3, "dtd/dtd/images/banded/banded_a.jpg"),
    "Flowers102": (
        flowers,
        ["passion flower", "pink primrose", "blackberry lily", "pink primrose"],
        "flowers-102/jpg/image_00001.jpg",
    ),
    "Food101": (food, ["waffles", "apple_pie", "apple_pie"], "food-101/images/waffles/1005755.jpg"),
    "OxfordIIITPet": (
        pets,
        ["Abyssinian", "American Bulldog", "Abyssinian"],
        "oxford-iiit-pet/images/Abyssinian_100.jpg",
    ),
    "SUN397": (sun397, ["abbey", "apartment_building/outdoor", "yard"], "SUN397/a/abbey/sun_c.jpg"),
    "VOC2007": (voc2007, ["chair", "car", "horse"], "VOCdevkit/VOC2007/JPEGImages/000005.jpg"),
    "CIFAR10": (
        cifar10,
        ["automobile", "bird", "airplane", "bird", "automobile", "bird", "airplane", "bird", "automobile", "bird"],
        "cifar-10-batches-py/data_batch_1:0",
    ),
}


@pytest.fixture(autouse=True)
def _sums(monkeypatch):
    """Let torchvision accept small files of Flowers102."""
    md5 = {name: (file, None) for name, (file, _) in torchvision.datasets.Flowers102._file_dict.items()}
    monkeypatch.setattr(torchvision.datasets.Flowers102, "_file_dict", md5)


@pytest.mark.parametrize("name", DATASETS)
def test_images_and_classes_of_the_default_split(tmp_path, name):
    make, labels, first = DATASETS[name]
    make(tmp_path)
    dataset = Torchvision(name=name, root=tmp_path)
    listing = dataset.listing()
    assert [listing.labels[i] for i in listing.samples["label"]] == labels
    assert listing.samples["id"][0] == first
    assert all(dataset.load(record).image.mode == "RGB" for record in listing.samples.to_dicts())
    assert dataset.name == name


@pytest.mark.parametrize("name", DATASETS.keys() - {"Caltech101", "SUN397", "VOC2007", "CIFAR10", "DTD", "Flowers102"})
def test_torchvision_itself_gives_the_same_images_and_classes(tmp_path, name):
    make, *_ = DATASETS[name]
    make(tmp_path)
    dataset = Torchvision(name=name, root=tmp_path)
    listing = dataset.listing()
    split = "train" if name in {"StanfordCars", "Food101"} else "trainval"
    theirs = getattr(torchvision.datasets, name)(tmp_path, split=split)
    for record, (image, label) in zip(listing.samples.to_dicts(), theirs, strict=True):
        assert listing.labels[record["label"]] == theirs.classes[label]
        assert np.array_equal(dataset.load(record).image, image.convert("RGB"))


def test_voc_takes_the_first_class_and_leaves_out_images_with_difficult_objects_alone(tmp_path):
    voc2007(tmp_path)
    listing = Torchvision(name="VOC2007", root=tmp_path).listing()
    assert listing.samples["id"].to_list() == [f"VOCdevkit/VOC2007/JPEGImages/00000{i}.jpg" for i in (5, 7, 9)]
    assert listing.notes == [f"1 of 4 samples of '{tmp_path}' have no class and are left out"]


def test_cifar_100_and_other_splits(tmp_path):
    cifar100(tmp_path)
    listing = Torchvision(name="CIFAR100", root=tmp_path, split="test").listing()
    assert [listing.labels[i] for i in listing.samples["label"]] == ["bear", "apple"]
    assert listing.samples.row(1)[2:] == (str(tmp_path / "cifar-100-python" / "test"), 1)
    dtd(tmp_path)
    assert len(Torchvision(name="DTD", root=tmp_path, split="val").listing().samples) == 2
    with pytest.raises(ValidationError, match=r"DTD has no `split: all` \(it has: trainval, train, val, test\)"):
        Torchvision(name="DTD", root=tmp_path, split="all")


def test_a_spec_in_json_and_back():
    dataset = Torchvision(name="DTD", root="data")
    written = dataset.model_dump(mode="json")
    assert written["name"] == "DTD"
    assert Torchvision.model_validate(written) == dataset


@pytest.mark.parametrize("name", [*DATASETS, "CIFAR100"])
def test_missing_files_are_named_and_nothing_is_downloaded(tmp_path, name):
    with pytest.raises(DatasetError, match=rf"'{tmp_path}' lacks .*{name}; give the folder") as error:
        Torchvision(name=name, root=tmp_path).listing()
    assert ("`download: true`" in str(error.value)) == (name != "StanfordCars")
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_fails(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    for name in ("DTD", "CIFAR10", "CIFAR100"):
        with pytest.raises(DatasetError, match=f"{name} in '.*' cannot be downloaded by torchvision .*no network"):
            Torchvision(name=name, root=tmp_path, download=True).listing()


def test_what_is_there_is_not_downloaded_again(tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", None)
    dtd(tmp_path)
    assert len(Torchvision(name="DTD", root=tmp_path, download=True).listing().samples) == 6


def test_missing_images_are_bad_samples(tmp_path):
    dtd(tmp_path)
    (tmp_path / "dtd/dtd/images/banded/banded_a.jpg").unlink()
    dataset = Torchvision(name="DTD", root=tmp_path)
    with pytest.raises(BadSampleError, match="cannot be opened"):
        dataset.load(dataset.listing().samples.row(0, named=True))


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        (
            "FGVCAircraft",
            "fgvc-aircraft-2013b/data/images_variant_trainval.txt",
            "1 Concorde\n",
            "KeyError: 'Concorde'",
        ),
        ("FGVCAircraft", "fgvc-aircraft-2013b/data/images_variant_trainval.txt", "../../../../x 707-320\n", "leads to"),
        ("Food101", "food-101/meta/train.json", "[", "cannot be read by torchvision"),
        ("StanfordCars", "stanford_cars/devkit/cars_meta.mat", "x", "cannot be read by torchvision"),
        ("VOC2007", "VOCdevkit/VOC2007/ImageSets/Main/cat_trainval.txt", "x\n", "cannot be read by torchvision"),
        ("CIFAR10", "cifar-10-batches-py/batches.meta", "x", "not a pickle"),
        ("CIFAR10", "cifar-10-batches-py/data_batch_2", "x", "not a batch of CIFAR"),
    ],
)
def test_damaged_files(tmp_path, name, file, content, message):
    DATASETS[name][0](tmp_path)
    (tmp_path / file).write_text(content)
    with pytest.raises(DatasetError, match=message):
        Torchvision(name=name, root=tmp_path).listing()


TABLES = {
    "FGVCAircraft": "fgvc-aircraft-2013b/data/images_variant_trainval.txt",
    "StanfordCars": "stanford_cars/devkit/cars_train_annos.mat",
    "DTD": "dtd/dtd/labels/train1.txt",
    "Flowers102": "flowers-102/imagelabels.mat",
    "Food101": "food-101/meta/train.json",
    "OxfordIIITPet": "oxford-iiit-pet/annotations/trainval.txt",
    "SUN397": "SUN397/ClassName.txt",
    "VOC2007": "VOCdevkit/VOC2007/ImageSets/Main/car_trainval.txt",
    "CIFAR10": "cifar-10-batches-py/batches.meta",
}


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_files_with_a_few_bytes_changed_give_samples_or_errors(tmp_path_factory, name, data):
    root = tmp_path_factory.mktemp("fuzz")
    DATASETS[name][0](root)
    file = root / TABLES[name]
    file.write_bytes(data.draw(mutated(file.read_bytes())))
    check_listing(Torchvision(name=name, root=root))
