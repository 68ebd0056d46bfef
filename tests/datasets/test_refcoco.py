"""RefCOCO, RefCOCO+ and RefCOCOg."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import FORMATS
from emms.datasets.plain_pickles import read_pickle
from emms.downstream.boxes import parse_box
from emms.downstream.referring_expression import Expression
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, column, labels, left_out, mutated, pictures


def ref(number, image, annotation, split, *sentences):
    return {
        "sent_ids": [number * 10 + i for i in range(len(sentences))],
        "file_name": f"COCO_train2014_{image:012}_{annotation}.jpg",
        "ann_id": annotation,
        "ref_id": number,
        "image_id": image,
        "split": split,
        "sentences": [
            {"tokens": text.split(), "raw": text.upper(), "sent_id": number * 10 + i, "sent": text}
            for i, text in enumerate(sentences)
        ],
        "category_id": 1,
    }


REFS = [
    ref(0, 581857, 1719310, "train", "the lady with the blue shirt", "lady"),
    ref(1, 42, 7, "testA", "café on the left"),
]
INSTANCES = {
    "info": {"year": 2014},
    "images": [
        {"license": 1, "file_name": "COCO_train2014_000000581857.jpg", "height": 200, "width": 400, "id": 581857},
        {"license": 1, "file_name": "COCO_train2014_000000000042.jpg", "height": 100, "width": 100, "id": 42},
    ],
    "annotations": [
        {"segmentation": [[1.5, 2, 3]], "area": 3.5, "iscrowd": 0, "image_id": 581857, "bbox": [100, 50, 200.0, 100]}
        | {"category_id": 1, "id": 1719310},
        {"segmentation": [], "area": 3.5, "iscrowd": 0, "image_id": 42, "bbox": [-10, 90.5, 20, 50], "id": 7},
    ],
    "categories": [{"supercategory": "person", "id": 1, "name": "person"}],
}
IMAGES = [image["file_name"] for image in INSTANCES["images"]]


def dataset_in(folder, refs, instances, name="refs(unc).p", **settings):
    pictures(folder / "train2014", *IMAGES)
    (folder / "refcoco").mkdir(exist_ok=True)
    (folder / "refcoco" / name).write_bytes(refs)
    (folder / "refcoco" / "instances.json").write_bytes(instances)
    return FORMATS.get("refcoco")(path=folder / "refcoco", images=folder / "train2014", **settings)


@pytest.fixture
def make(tmp_path):
    def dataset(change=lambda refs, instances: None, name="refs(unc).p", protocol=0, **settings):
        refs, instances = copy.deepcopy(REFS), copy.deepcopy(INSTANCES)
        change(refs, instances)
        return dataset_in(tmp_path, pickle.dumps(refs, protocol), json.dumps(instances).encode(), name, **settings)

    return dataset


@pytest.mark.parametrize("protocol", [0, 2])
def test_expressions(make, protocol):
    dataset = make(protocol=protocol)
    listing = dataset.listing()
    assert column(listing, "id") == [f"{IMAGES[0]}#0", f"{IMAGES[0]}#1", f"{IMAGES[1]}#10"]
    assert column(listing, "text") == ["the lady with the blue shirt", "lady", "café on the left"]
    assert labels(listing)[:2] == ["the lady with the blue shirt [250, 250, 750, 750]", "lady [250, 250, 750, 750]"]
    sample = dataset.load(listing.samples.row(1, named=True))
    assert isinstance(sample, Expression)
    assert (sample.text, sample.image.size) == ("lady", (8, 6))


def test_a_box_that_is_partly_outside_is_cut_off(make):
    assert parse_box(labels(make().listing())[2]) == (0, 905, 100, 999)


@pytest.mark.parametrize("box", [[200, 0, 5, 5], [5, 5, 0, 5], [5, 5, -1, 5], [1e300, 0, 5, 5], [0, 0, 10**400, 5]])
def test_boxes_that_are_empty_or_outside_are_left_out(make, box):
    listing = make(lambda refs, instances: instances["annotations"][1].update(bbox=box)).listing()
    assert column(listing, "text") == ["the lady with the blue shirt", "lady"]
    assert listing.notes[0].endswith(
        "have an empty box, or one outside of the image and are left out (refs[1].sentences[0])"
    )


def test_images_without_size(make):
    listing = make(lambda refs, instances: instances["images"][1].update(width=0)).listing()
    assert left_out(listing) == 1


def test_blank_sentences_are_left_out(make):
    listing = make(lambda refs, instances: refs[0]["sentences"][1].update(sent=" ")).listing()
    assert listing.notes[0].endswith("have a blank box or image or expression and are left out (refs[0].sentences[1])")


@pytest.mark.parametrize("key", ["image_id", "ann_id"])
def test_expressions_for_boxes_that_are_not_listed_are_left_out(make, key):
    listing = make(lambda refs, instances: refs[1].update({key: 99})).listing()
    assert "refer to an image or box that instances.json does not list and are left out" in listing.notes[0]
    assert left_out(listing) == 1


def test_split(make):
    assert column(make(split="testA").listing(), "text") == ["café on the left"]
    with pytest.raises(DatasetError, match=r"has no split 'val' \(it has: 'testA', 'train'\)"):
        make(split="val").listing()


def test_split_by(make):
    make()
    both = make(name="refs(google).p")
    with pytest.raises(DatasetError, match=r"more than one refs\(…\).p \(google, unc\); choose with `split_by:`"):
        both.listing()
    assert len(make(name="refs(google).p", split_by="google").listing().samples) == 3
    with pytest.raises(DatasetError, match=r"refs\(umd\).p' cannot be read: No such file"):
        make(split_by="umd").listing()


def test_a_folder_without_expressions(make, tmp_path):
    dataset = make()
    (tmp_path / "refcoco" / "refs(unc).p").unlink()
    with pytest.raises(DatasetError, match=r"has no refs\(…\).p"):
        dataset.listing()
    with pytest.raises(DatasetError, match=r"cannot be read: .*No such file"):
        FORMATS.get("refcoco")(path=tmp_path / "none", images=tmp_path).listing()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda refs, _: refs[1].pop("split"), r"refs\[1\] of '.*refs\(unc\).p' has no key 'split'"),
        (lambda refs, _: refs[1]["sentences"][0].pop("sent"), r"refs\[1\].sentences\[0\] of .* has no key 'sent'"),
        (lambda refs, _: refs.append([]), r"refs\[2\] of .* is not an object"),
        (lambda refs, _: refs[1].update(image_id=[]), r"refs\[1\] of .* has a list at 'image_id', .* not an integer"),
        (lambda _, inst: inst["annotations"][1].update(bbox=[1, 2]), r"annotations\[1\] of .* has 2 numbers at 'bbox'"),
        (lambda _, inst: inst["annotations"][1].update(bbox=[1, 2, 3, "4"]), r"annotations\[1\] .* '4' at 'bbox'"),
        (lambda _, inst: inst["images"][1].pop("height"), r"images\[1\] of '.*instances.json' has no key 'height'"),
        (lambda refs, _: refs.append(refs[0]), r"sentences\[0\] of .* have the same id"),
    ],
)
def test_errors_name_the_place(make, change, problem):
    with pytest.raises(DatasetError, match=problem):
        make(change).listing()


@given(mutated(pickle.dumps(REFS, 2)) | mutated(pickle.dumps(REFS, 0)) | mutated(json.dumps(INSTANCES).encode()))
def test_any_file_is_listed_completely_or_refused(tmp_path_factory, data):
    files = {"refs": pickle.dumps(REFS, 2), "instances": json.dumps(INSTANCES).encode()}
    changed_instances = data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{")
    files["instances" if changed_instances else "refs"] = data
    listing = check_listing(dataset_in(tmp_path_factory.getbasetemp(), files["refs"], files["instances"]))
    if listing is not None:
        refs = read_pickle(tmp_path_factory.getbasetemp() / "refcoco" / "refs(unc).p")
        assert len(listing.samples) + left_out(listing) == sum(len(ref["sentences"]) for ref in refs)


@given(st.tuples(*[st.floats(-300, 500, width=32)] * 4))
def test_boxes_against_shares_of_the_image(tmp_path_factory, box):
    instances = copy.deepcopy(INSTANCES)
    instances["annotations"][1]["bbox"] = list(box)
    folder = tmp_path_factory.getbasetemp()
    listing = dataset_in(folder, pickle.dumps(REFS, 2), json.dumps(instances).encode()).listing()
    x, y, width, height = box
    corners = [min(max(value, 0), 100) for value in (x, y, x + width, y + height)]
    if corners[0] < corners[2] and corners[1] < corners[3]:
        assert parse_box(labels(listing)[2]) == tuple(min(int(value * 10), 999) for value in corners)
    else:
        assert left_out(listing) == 1
