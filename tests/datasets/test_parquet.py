"""Parquet files of images, as written by Hugging Face datasets and by data frames."""

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emms.datasets.parquet import ParquetImages
from emms.errors import BadSampleError, DatasetError

CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(value):
    file = io.BytesIO()
    Image.new("RGB", (3, 3), (value, 0, 0)).save(file, "PNG")
    return file.getvalue()


PNGS = [png(value) for value in range(6)]


def write(path, images=None, labels=("b", "a", "b", "a", "b", "a"), metadata=None, **options):
    images = pa.array(PNGS) if images is None else images
    table = pa.table({"image": images, "label": pa.array(labels) if isinstance(labels, tuple) else labels})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(metadata), path, **options)
    return ParquetImages(path=path)


def class_label(names):
    features = {"label": {"names": names, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def reds(dataset):
    """Return the red value of the first pixel of every sample, by which the test images differ."""
    return [dataset.load(record).image.getpixel((0, 0))[0] for record in dataset.listing().samples.to_dicts()]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data" / "train.parquet"


def test_bytes_and_strings(file):
    dataset = write(file)
    listing = dataset.listing()
    assert listing.labels == ["a", "b"]
    assert listing.samples["label"].to_list() == [1, 0, 1, 0, 1, 0]
    assert listing.samples.row(2) == ("train.parquet:2", 1, str(file), 2)
    assert reds(dataset) == [0, 1, 2, 3, 4, 5]
    assert dataset.name == "train"


@pytest.mark.parametrize("kind", [pa.large_binary(), pa.binary_view()])
def test_other_kinds_of_bytes(file, kind):
    assert reds(write(file, pa.array(PNGS, kind))) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_other_kinds_of_strings(file, kind):
    labels = pa.array(["b", "a", "b", "a", "b", "a"]).cast(kind)
    assert write(file, labels=labels).listing().labels == ["a", "b"]


def test_a_polars_frame(file):
    file.parent.mkdir()
    pl.DataFrame({"picture": PNGS, "kind": pl.Series(list("xyxyxy"), dtype=pl.Categorical)}).write_parquet(file)
    dataset = ParquetImages(path=file, image_column="picture", label_column="kind")
    assert dataset.listing().labels == ["x", "y"]
    assert reds(dataset) == [0, 1, 2, 3, 4, 5]


def test_hugging_face_images_and_class_names(file):
    images = pa.array([{"bytes": data, "path": "gone.png"} for data in PNGS], CELL)
    dataset = write(file, images, (2, 0, 2, 0, 2, 0), class_label(["zebra", "unused", "ant"]), row_group_size=4)
    listing = dataset.listing()
    assert listing.labels == ["zebra", "ant"]  # in the order of the numbers; no sample is a zebu
    assert listing.samples["label"].to_list() == [1, 0, 1, 0, 1, 0]
    assert reds(dataset) == [0, 1, 2, 3, 4, 5]


def test_class_names_of_integers_are_the_setting_or_the_integers(file):
    write(file, labels=(10, 9, 10, 9, 10, 9), metadata={"huggingface": "{}"})
    assert ParquetImages(path=file).listing().labels == ["9", "10"]
    names = [f"class {i}" for i in range(11)]
    assert ParquetImages(path=file, class_names=names).listing().labels == ["class 9", "class 10"]


@pytest.mark.parametrize("statistics", [True, False])
def test_paths_and_bytes_in_one_column(file, statistics):
    images = [{"bytes": data, "path": None} for data in PNGS]
    images[1] = {"bytes": None, "path": "images/one.png"}
    images[3] = {"bytes": None, "path": str(file.parent / "three.png")}
    (file.parent / "images").mkdir(parents=True)
    (file.parent / "images" / "one.png").write_bytes(png(101))
    (file.parent / "three.png").write_bytes(png(103))
    dataset = write(file, pa.array(images, CELL), write_statistics=statistics)
    assert reds(dataset) == [0, 101, 2, 103, 4, 5]
    assert dataset.listing().samples["path"][3] == str(file.parent / "three.png")


def test_paths(file):
    dataset = write(file, pa.array([f"{i}.png" for i in range(4)] + ["", None]))
    for i, data in enumerate(PNGS[:4]):
        (file.parent / f"{i}.png").write_bytes(data)
    records = dataset.listing().samples.to_dicts()
    assert dataset.load(records[3]).image.getpixel((0, 0)) == (3, 0, 0)
    for row in (4, 5):
        with pytest.raises(BadSampleError, match=f"null or empty in column 'image', row {row}; give the row an image"):
            dataset.load(records[row])


def test_paths_below_a_root(file, tmp_path):
    write(file, pa.array(["1.png", str(tmp_path / "photos" / "1.png"), *["deeper/2.png"] * 4]))
    (tmp_path / "photos" / "deeper").mkdir(parents=True)
    (tmp_path / "photos" / "1.png").write_bytes(png(1))
    (tmp_path / "photos" / "deeper" / "2.png").write_bytes(png(2))
    dataset = ParquetImages(path=file, root=tmp_path / "photos")
    assert reds(dataset) == [1, 1, 2, 2, 2, 2]
    with pytest.raises(DatasetError, match=r"row 1 of '.*train.parquet' names '.*', which leads .*`root:`"):
        ParquetImages(path=file).listing()
    for root in ("nowhere", file):
        with pytest.raises(DatasetError, match=r"`root: .*` is not a folder"):
            ParquetImages(path=file, root=root).listing()


@pytest.mark.parametrize("whole_folder", [True, False])
@pytest.mark.parametrize("name", ["train.parquet", "./train.parquet", ".hidden.parquet", "link.png"])
def test_a_cell_that_names_a_parquet_file(file, name, whole_folder):
    for kind in (pa.string(), CELL):
        cell = name if kind == pa.string() else {"bytes": None, "path": name}
        write(file, pa.array([cell] * 6, kind))
        (file.parent / "link.png").unlink(missing_ok=True)
        (file.parent / "link.png").symlink_to(file)
        with pytest.raises(DatasetError, match=f"row 0 of '.*' names '{name}', which is a Parquet file, not an image"):
            ParquetImages(path=file.parent if whole_folder else file).listing()


def test_a_cell_that_names_a_folder(file):
    dataset = write(file, pa.array(["."] * 6))
    with pytest.raises(BadSampleError, match="a folder, not a regular file"):
        dataset.load(dataset.listing().samples.row(0, named=True))


@pytest.mark.timeout(20)
def test_a_cell_that_names_a_pipe(file):
    dataset = write(file, pa.array(["pipe.png"] * 6))
    os.mkfifo(file.parent / "pipe.png")
    with pytest.raises(BadSampleError, match="a named pipe, not a regular file"):
        dataset.load(dataset.listing().samples.row(0, named=True))


@pytest.mark.timeout(20)
def test_a_pipe_among_the_files(file):
    write(file)
    os.mkfifo(file.parent / "pipe.parquet")
    for path in (file.parent, file.parent / "pipe.parquet"):
        with pytest.raises(DatasetError, match=r"pipe.parquet' cannot be read as Parquet: .*a named pipe"):
            ParquetImages(path=path).listing()


def test_class_names_of_codes(file, tmp_path):
    write(file, labels=("n02", "n01") * 3)
    (tmp_path / "names.txt").write_text("n01 tench\nn02 kit fox\n")
    for names in ({"n01": "tench", "n02": "kit fox"}, tmp_path / "names.txt"):
        assert ParquetImages(path=file, class_names=names).listing().labels == ["tench", "kit fox"]
    with pytest.raises(
        DatasetError, match=r"no name for 1 of 2 labels \('n02'\); give every label one; did you mean 'n03'"
    ):
        ParquetImages(path=file, class_names={"n01": "tench", "n03": "kit fox"}).listing()


def test_class_names_of_integers(file, tmp_path):
    write(file, labels=(10, 9) * 3)
    dataset = ParquetImages(path=file, class_names={9: "tench", 10: "kit fox", 11: "shark"})
    assert dataset.listing().labels == ["tench", "kit fox"]
    assert dataset.listing().notes == ["`class_names:` names '11', which the dataset does not have"]
    (tmp_path / "names.txt").write_text("".join(f"name {i}\n" for i in range(12)))
    assert ParquetImages(path=file, class_names=tmp_path / "names.txt").listing().labels == ["name 9", "name 10"]


def test_class_names_of_integers_that_the_file_names_by_codes(file):
    write(file, labels=(0, 1) * 3, metadata=class_label(["n01", "n02"]))
    for names in ({0: "tench", 1: "kit fox"}, {"n01": "tench", "n02": "kit fox"}, ["tench", "kit fox"]):
        assert ParquetImages(path=file, class_names=names).listing().labels == ["tench", "kit fox"]


def test_missing_names_in_the_file_can_be_given(file):
    dataset = write(file, labels=(0, 2) * 3, metadata=class_label(["n01", "n02"]))
    with pytest.raises(
        DatasetError, match="has 2 in row 1; but the file has 2 class names; fix it, or give `class_names:`"
    ):
        dataset.listing()
    assert ParquetImages(path=file, class_names={0: "x", 2: "y"}).listing().labels == ["x", "y"]


def test_pixels_depend_on_the_file_and_the_image_column(file):
    settings = {"label_column": "kind", "class_names": ["a"], "root": "."}
    reading = {"format": "parquet", "image_column": "image"}
    assert ParquetImages(path=file).reading() == ParquetImages(path="elsewhere", **settings).reading() == reading
    assert ParquetImages(path=file, image_column="picture").reading() != reading


def test_a_folder_of_files(file):
    write(file, row_group_size=2)
    write(file.with_name("test.parquet"), pa.array(PNGS[::-1]))
    (file.parent / "README.md").touch()
    (file.parent / ".part.parquet").touch()
    dataset = ParquetImages(path=file.parent)
    assert dataset.listing().samples["id"][5:7].to_list() == ["test.parquet:5", "train.parquet:0"]
    assert reds(dataset) == [5, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 5]
    assert dataset.name == "data"


@pytest.mark.parametrize("group", [1, 7, 100, 1000])
def test_cells_in_any_order_from_many_threads(file, group):
    images = [png(i % 256) for i in range(500)]
    dataset = write(file, pa.array(images), tuple("ab" * 250), row_group_size=group, data_page_size=1000)
    records = dataset.listing().samples.to_dicts()
    order = np.random.default_rng(0).permutation(500)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda i: dataset.load(records[i]).image.getpixel((0, 0))[0], order))
    assert read == [i % 256 for i in order]


def test_a_file_that_changes_is_read_again(file):
    dataset = write(file)
    assert reds(dataset) == [0, 1, 2, 3, 4, 5]
    write(file, pa.array(PNGS[::-1]))
    assert reds(dataset) == [5, 4, 3, 2, 1, 0]


def test_bad_cells(file):
    dataset = write(file, pa.array([*PNGS[:3], None, b"", b"nonsense"]))
    records = dataset.listing().samples.to_dicts()
    for row, message in ((3, "null"), (4, "empty"), (5, "not an image")):
        with pytest.raises(BadSampleError, match=message):
            dataset.load(records[row])


def test_a_damaged_page_only_affects_its_row_group(file):
    dataset = write(file, row_group_size=2, compression="zstd", use_dictionary=False)
    column = pq.ParquetFile(file).metadata.row_group(1).column(0)
    data = bytearray(file.read_bytes())
    for i in range(column.data_page_offset, column.data_page_offset + column.total_compressed_size):
        data[i] ^= 0xA5
    file.write_bytes(data)
    for _ in range(2):
        outcome = []
        for record in dataset.listing().samples.to_dicts():
            try:
                outcome.append(dataset.load(record).image.getpixel((0, 0))[0])
            except BadSampleError as bad:
                outcome.append("restore the file" in str(bad))
        assert outcome == [0, 1, True, True, 4, 5]


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (("a", None, "b", "a", "a", "a"), {}, "column 'label' of '.*' has null in row 1; give it a label"),
        ((0, 1, 2, 1, 1, -1), {"class_names": ["x", "y", "z"]}, r"no name for 1 of 4 labels \('-1'\).*labels 0, 1, …"),
        (("a", "b") * 3, {"class_names": ["x", "y"]}, r"no name for 2 of 2 labels \('a', 'b'\).*give a mapping"),
        ((0.5, 1.0) * 3, {}, "column 'label' of '.*' has type double; labels are strings or integers"),
        ((0, 1) * 3, {"label_column": "lable"}, "no column 'lable'; did you mean 'label'.*`label_column:`"),
        ((0, 1) * 3, {"image_column": "img"}, r"no column 'img'.*its columns: image, label.*`image_column:`"),
        (
            pa.array([{"bytes": 1, "path": "x"}] * 6),
            {"image_column": "label", "label_column": "image"},
            "column 'image' of '.*' has type binary; labels are strings",
        ),
        ((0, 1) * 3, {"image_column": "label"}, "column 'label' of '.*' has type int64; images are bytes"),
    ],
)
def test_columns_that_cannot_be_used(file, labels, settings, message):
    write(file, labels=labels)
    with pytest.raises(DatasetError, match=message):
        ParquetImages(path=file, **settings).listing()


def test_structs_of_something_else(file):
    for cell in ({"bytes": 1, "path": "x"}, {"bytes": b"x", "path": 1}, {"bytes": "x", "path": "x"}):
        with pytest.raises(
            DatasetError, match=r"column 'image' of '.*' has type struct<.*; images are bytes, structs of"
        ):
            write(file, pa.array([cell] * 6)).listing()


def test_text_that_is_not_utf8(file):
    broken = pa.array([b"\xff"] * 6).view(pa.string())
    with pytest.raises(DatasetError, match=r"cannot be read as Parquet: .*Invalid UTF8 sequence"):
        write(file, labels=broken).listing()
    with pytest.raises(DatasetError, match=r"cannot be read as Parquet: .*Invalid UTF8 sequence"):
        write(file, broken).listing()


IMAGES = st.one_of(
    st.lists(st.none() | st.sampled_from([*PNGS, b"", b"nonsense"]) | st.binary(max_size=20)),
    st.lists(st.none() | st.sampled_from(["1.png", "..", ".", "x.parquet", "/etc"]) | st.text(max_size=20)),
    st.lists(
        st.none()
        | st.fixed_dictionaries(
            {
                "bytes": st.none() | st.sampled_from([*PNGS, b""]),
                "path": st.none() | st.sampled_from(["1.png", "", "x.parquet"]) | st.text(max_size=9),
            }
        )
    ),
    st.lists(st.none() | st.integers(-9, 9)),
    st.lists(st.booleans()),
)
LABELS = st.one_of(
    st.lists(st.none() | st.text(max_size=9), min_size=1),
    st.lists(st.integers(-3, 2**62), min_size=1),
    st.lists(st.floats(), min_size=1),
)
COLUMN = st.sampled_from(["image", "label", "image.bytes", "a.b", "", "日本", "a b"])


@given(IMAGES, LABELS, COLUMN, COLUMN, st.integers(1, 5), st.none() | st.just(["a", "b"]))
def test_any_cells_give_samples_or_errors(tmp_path_factory, images, labels, image_column, label_column, group, names):
    """Every row is listed with its own label and is an image or a bad sample; or the listing is one error."""
    rows = min(len(images), len(labels))
    path = tmp_path_factory.mktemp("fuzz") / "x.parquet"
    (path.parent / "1.png").write_bytes(PNGS[1])
    table = pa.table([pa.array(images[:rows]), pa.array(labels[:rows])], names=[image_column, label_column])
    pq.write_table(table, path, row_group_size=group)
    dataset = ParquetImages(path=path, image_column=image_column, label_column=label_column, class_names=names)
    try:
        listing = dataset.listing()
    except DatasetError:
        return
    assert listing.samples["id"].to_list() == [f"x.parquet:{row}" for row in range(rows)]
    if names is None:
        assert [listing.labels[i] for i in listing.samples["label"]] == [str(label) for label in labels[:rows]]
    for record, image in zip(listing.samples.to_dicts(), images, strict=False):
        try:
            loaded = dataset.load(record).image
        except BadSampleError:
            continue
        cell = image["bytes"] if isinstance(image, dict) and image["bytes"] is not None else image
        assert loaded.getpixel((0, 0))[0] == (PNGS.index(cell) if cell in PNGS else 1)


def test_integers_too_large_for_a_label(file):
    with pytest.raises(DatasetError, match="cannot be read"):
        write(file, labels=pa.array([2**64 - 1, 0, 1, 0, 1, 0], pa.uint64())).listing()


def test_a_duplicate_column(file):
    file.parent.mkdir()
    pq.write_table(pa.table([pa.array(PNGS)] * 2 + [pa.array(list("ababab"))], ["image", "image", "label"]), file)
    with pytest.raises(DatasetError, match="more than one column 'image'"):
        ParquetImages(path=file).listing()


def test_no_rows(file):
    listing = write(file, pa.array([], pa.binary()), pa.array([], pa.string())).listing()
    assert len(listing.samples) == 0


def test_inconsistent_files(file):
    write(file)
    write(file.with_name("other.parquet"), labels=(0, 1) * 3)
    with pytest.raises(DatasetError, match=r"train.parquet' has other class names or another type than"):
        ParquetImages(path=file.parent).listing()


def test_a_folder_without_parquet_files(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere' does not exist"):
        ParquetImages(path=tmp_path / "nowhere").listing()
    with pytest.raises(DatasetError, match=r"has no \*\.parquet file"):
        ParquetImages(path=tmp_path).listing()
    for content in (b"", b"PAR1 or not"):
        (tmp_path / "x.parquet").write_bytes(content)
        with pytest.raises(DatasetError, match="cannot be read as Parquet"):
            ParquetImages(path=tmp_path).listing()
