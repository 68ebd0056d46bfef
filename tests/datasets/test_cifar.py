"""The batches of CIFAR: pickles of Python 2, read without running code."""

import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.cifar import read_batch
from emms.errors import DatasetError
from tests.datasets.readers import mutated


def text(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value


def integers(values) -> bytes:
    return b"](" + b"".join(b"K" + bytes([value]) for value in values) + b"e"


def published(data: np.ndarray, labels, key: bytes = b"labels") -> bytes:
    """Return a batch as the published ones are: pickled by Python 2 with protocol 2 and the numpy of 2009."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85q\x07U\x01b\x87Rq\x08"
        + b"(K\x01M" + struct.pack("<H", len(data)) + b"M\x00\x0c\x86q\x09"
        + b"cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89" + text(data.tobytes()) + b"tb"
    )  # fmt: skip
    names = b"](" + b"".join(text(f"leptodactylus_{i}.png".encode()) for i in range(len(data))) + b"e"
    entries = [(b"data", array), (key, integers(labels)), (b"batch_label", text(b"training")), (b"filenames", names)]
    return b"\x80\x02}(" + b"".join(text(name) + value for name, value in entries) + b"u."


RNG = np.random.default_rng(0)
DATA = RNG.integers(0, 256, (3, 3072), dtype=np.uint8)


def test_a_batch_of_python_2(tmp_path):
    path = tmp_path / "data_batch_1"
    path.write_bytes(published(DATA, [6, 9, 0]))
    assert pickle.loads(path.read_bytes(), encoding="latin1")["data"].tolist() == DATA.tolist()  # what is written here
    images, labels = read_batch(str(path))
    assert labels.tolist() == [6, 9, 0]
    assert images.shape == (3, 32, 32, 3)
    assert images[1, 2, 5].tolist() == [DATA[1, channel * 1024 + 2 * 32 + 5] for channel in range(3)]


@pytest.mark.parametrize("key", ["labels", "fine_labels"])
def test_a_batch_that_python_3_has_written_again(tmp_path, key):
    content = {"data": DATA, key: [0, 1, 2], "coarse_labels": [0, 0, 0], "filenames": ["é"] * 3}
    (tmp_path / "train").write_bytes(pickle.dumps(content, 2))
    images, labels = read_batch(str(tmp_path / "train"))
    assert labels.tolist() == [0, 1, 2]
    assert np.array_equal(images.transpose(0, 3, 1, 2).reshape(3, -1), DATA)


class Attack:
    def __reduce__(self):
        return exec, ("raise SystemExit('code was run')",)


def dumped(**changes) -> bytes:
    return pickle.dumps({"data": DATA, "labels": [0, 1, 2], **changes}, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (dumped(more=Attack()), "name __builtin__.exec, which is not that of an array"),
        (dumped(labels=[0, 1]), "has 3 images but not as many labels"),
        (dumped(labels=["a"] * 3), "has 3 images but not as many labels"),
        (dumped(data=DATA.astype(np.int64)), "numbers of the kind i8"),
        (dumped(data=DATA[:, :5]), r"an array of the shape \(3, 5\)"),
        (dumped(data=1), "AttributeError"),
        (pickle.dumps({"data": DATA}, 2), "KeyError: 'fine_labels'"),
        (pickle.dumps(DATA, 5), "the instruction"),
        (b"\x80\x02]r\xff\xff\xff\xff.", "too large a number"),
        (b"\x80\x02(" + b")\x85" * 100_000 + b"t.", "too many tuples"),
        (b"", "ValueError"),
        (b"\xff\xd8 an image", "ValueError"),
    ],
)
def test_other_content(tmp_path, content, message):
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(DatasetError, match=f"batch'.*{message}"):
        read_batch(str(tmp_path / "batch"))


SMALL = published(DATA[:1], [3])


@given(st.binary(max_size=60) | mutated(SMALL))
def test_damaged_batches_give_images_or_errors(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "batch"
    path.write_bytes(content)
    try:
        images, labels = read_batch(str(path))
    except DatasetError:
        return
    assert len(images) == len(labels)
