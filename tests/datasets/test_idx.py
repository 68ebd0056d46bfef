"""Fashion-MNIST from IDX files, gzipped or plain."""

import gzip
import os
import struct

import numpy as np
import pytest

from emms.datasets.idx import FashionMNIST
from emms.errors import DatasetError

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
LABELS = np.array([9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1], np.uint8)


def idx(array, magic=None):
    head = magic or bytes([0, 0, 8, array.ndim])
    return head + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def put(folder, images=None, labels=None, split="train", pack=gzip.compress, suffix=".gz"):
    images, labels = images or idx(PIXELS), labels or idx(LABELS)
    (folder / f"{split}-images-idx3-ubyte{suffix}").write_bytes(pack(images))
    (folder / f"{split}-labels-idx1-ubyte{suffix}").write_bytes(pack(labels))
    return FashionMNIST(path=folder)


@pytest.mark.parametrize("packed", [True, False])
def test_images_and_labels(tmp_path, packed):
    dataset = put(tmp_path) if packed else put(tmp_path, pack=bytes, suffix="")
    listing = dataset.listing()
    assert (listing.labels[0], listing.labels[9]) == ("T-shirt/top", "Ankle boot")
    assert listing.samples["label"].to_list() == LABELS.tolist()
    assert listing.samples["id"][:2].to_list() == ["train-00000", "train-00001"]
    for record in listing.samples.to_dicts():
        image = dataset.load(record).image
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image)[..., 2], PIXELS[record["position"]])


def test_the_test_split(tmp_path):
    put(tmp_path, split="t10k")
    listing = FashionMNIST(path=tmp_path, split="test").listing()
    assert listing.samples["id"][0] == "test-00000"


def test_a_file_that_changes_is_read_again(tmp_path):
    dataset = put(tmp_path)
    record = dataset.listing().samples.row(0, named=True)
    put(tmp_path, images=idx(255 - PIXELS))
    os.utime(record["path"], ns=(0, 0))
    np.testing.assert_array_equal(np.asarray(dataset.load(record).image)[..., 0], 255 - PIXELS[0])


def test_missing(tmp_path):
    with pytest.raises(DatasetError, match=r"neither train-images-idx3-ubyte nor .*dataset-fashion-mnist"):
        FashionMNIST(path=tmp_path / "nowhere").listing()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"labels": idx(LABELS[:5])}, "12 images but .* has 5 labels"),
        ({"images": idx(PIXELS, b"\0\0\x08\x01")}, "not an IDX file of unsigned bytes in 3 dimensions.*00000801"),
        ({"labels": idx(LABELS, b"\x89PNG")}, "not an IDX file.*89504e47"),
        ({"labels": b"\0"}, "not an IDX file"),
        ({"images": idx(PIXELS)[:-1]}, "should have 12 x 28 x 28 = 9408 bytes but has 9407"),
        ({"labels": idx(LABELS) + b"\0"}, "should have 12 = 12 bytes but has 13"),
        ({"labels": idx(LABELS + 1)}, "label 10 in row 0; Fashion-MNIST's are 0 to 9"),
    ],
)
def test_invalid_idx_files_raise(tmp_path, files, message):
    with pytest.raises(DatasetError, match=message):
        put(tmp_path, **files).listing()


@pytest.mark.parametrize("data", [b"", b"not gzip", gzip.compress(idx(PIXELS))[:-200]])
def test_damaged_gzip(tmp_path, data):
    dataset = put(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(data)
    with pytest.raises(DatasetError, match="download it again"):
        dataset.listing()


@pytest.mark.timeout(20)
def test_a_named_pipe_does_not_block(tmp_path):
    dataset = put(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    os.mkfifo(tmp_path / "train-labels-idx1-ubyte.gz")
    with pytest.raises(DatasetError, match=r"labels-idx1-ubyte.gz' cannot be read: a named pipe, not a regular file;"):
        dataset.listing()


def test_reading_depends_only_on_the_format():
    assert (
        FashionMNIST().reading()
        == FashionMNIST(path="elsewhere", split="test").reading()
        == {"format": "fashion-mnist"}
    )
