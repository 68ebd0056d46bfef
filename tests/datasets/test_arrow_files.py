"""Arrow files, also damaged ones: pyarrow crashes the interpreter if it reads cells at wrong offsets."""

from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emms.datasets.arrow_files import DAMAGED, arrow_image, arrow_rows, arrow_table, named_images
from emms.errors import BadSampleError, DatasetError
from tests.datasets.readers import mutated

IMAGES = {
    "image": pa.array(
        [{"bytes": b"x", "path": None}, {"bytes": None, "path": "b.png"}, None],
        pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    ),
    "path": ["a.png", "b.png", None],
    "bytes": [b"x", b"y", None],
}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return written(tmp_path_factory.mktemp("arrow") / "x.arrow", {**IMAGES, "text": ["a", "b", "c"]})


def written(path, columns):
    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return path


def test_cells(file):
    assert list(arrow_rows(arrow_table(str(file)), str(file), ["text"])) == [
        {"text": "a"},
        {"text": "b"},
        {"text": "c"},
    ]
    named = {"image": [None, "b.png", None], "path": ["a.png", "b.png", None], "bytes": [None] * 3}
    assert {column: named_images(str(file), column) for column in named} == named
    assert arrow_image(str(file), "image", 0).read() == b"x"
    for column, row in (("image", 1), ("image", 2), ("bytes", 2)):
        with pytest.raises(BadSampleError, match=f"null or empty in column '{column}', row {row}"):
            arrow_image(str(file), column, row)
    for column, row in (("none", 0), ("image", 3)):
        with pytest.raises(BadSampleError, match=f"row {row} of '.*' cannot be read"):
            arrow_image(str(file), column, row)


def test_an_unknown_time_zone(tmp_path):
    path = str(written(tmp_path / "x.arrow", {"text": pa.array([1], pa.timestamp("us", tz="Nowhere/At_all"))}))
    with pytest.raises(DatasetError, match=r"'.*x.arrow' cannot be read: .*Nowhere"):
        list(arrow_rows(arrow_table(path), path, ["text"]))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_do_not_crash_the_interpreter(tmp_path, file, data):
    path = tmp_path / "damaged.arrow"
    path.unlink(missing_ok=True)  # the file before is still mapped
    path.write_bytes(data.draw(mutated(file.read_bytes())))
    with suppress(DatasetError, *DAMAGED):
        list(arrow_rows(arrow_table(str(path)), str(path), ["text"]))
        for column in IMAGES:
            rows = len(named_images(str(path), column))
            for row in range(rows):
                with suppress(BadSampleError):
                    arrow_image(str(path), column, row)
