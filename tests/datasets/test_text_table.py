"""Tables of labelled texts: CSV, TSV, JSON Lines, Parquet."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emms.datasets.text_table import TextTable
from emms.downstream.class_labels import spoken_name
from emms.errors import DatasetError
from tests.datasets.readers import check_listing, counted, mutated

GLUE = 'sentence\tlabel\nhide new secretions from the "parental units \t0\n"a depressed fifteen-year-old\t1\n'


def samples(dataset):
    """Return the text, second text and class of each sample."""
    listing = dataset.listing()
    loaded = [dataset.load(record) for record in listing.samples.to_dicts()]
    return [(s.text, s.context, listing.labels[i]) for s, i in zip(loaded, listing.samples["label"], strict=True)]


def test_csv_with_quoted_cells(tmp_path):
    path = tmp_path / "news.CSV"
    path.write_bytes(
        b'\xef\xbb\xbflabel,id,text\r\nSport,1,"Goal, ""again"""\r\n'
        b'\r\nWorld,2,"two\r\nlines"\r\nworld,3,na\xc3\xafve\r\n'
    )
    dataset = TextTable(path=path)
    assert samples(dataset) == [
        ('Goal, "again"', "", "Sport"),
        ("two\nlines", "", "World"),
        ("naïve", "", "World"),  # written "world"
    ]
    listing = dataset.listing()
    assert listing.samples["id"].to_list() == ["news.CSV:2", "news.CSV:5", "news.CSV:6"]
    assert set(listing.samples["path"]) == {""}


def test_tsv_as_glue_has_it_with_quotes_that_are_never_closed(tmp_path):
    (tmp_path / "train.tsv").write_text(GLUE)
    dataset = TextTable(path=tmp_path / "train.tsv", text_column="sentence", class_names=["negative", "positive"])
    assert samples(dataset) == [
        ('hide new secretions from the "parental units ', "", "negative"),
        ('"a depressed fifteen-year-old', "", "positive"),
    ]
    with pytest.raises(DatasetError, match=r"line 3 of .*train.tsv' cannot be read: .*another `quoting:`"):
        TextTable(path=tmp_path / "train.tsv", text_column="sentence", quoting="double").listing()


def test_pairs_with_another_delimiter(tmp_path):
    (tmp_path / "mnli.csv").write_text(
        "a;b;gold\nIt rains;It is wet;entailment\nx;y, z;neutral\n;y;neutral\nx; ;neutral\n"
    )
    dataset = TextTable(
        path=tmp_path / "mnli.csv", text_column="a", pair_column="b", label_column="gold", delimiter=";"
    )
    assert samples(dataset) == [("It rains", "It is wet", "entailment"), ("x", "y, z", "neutral")]
    blank, pair = dataset.listing().notes
    assert blank.startswith("1 of 4 samples")
    assert "have a blank b and are left out (line 5)" in pair


@pytest.mark.parametrize("name", ["x.jsonl", "x.ndjson"])
def test_json_lines(tmp_path, name):
    rows = [{"text": "good", "label": 1}, {"text": "b\u2028ad", "label": 0}, {"text": None, "label": 0}]
    (tmp_path / name).write_text("\r\n".join(map(json.dumps, rows)) + "\n\n")
    dataset = TextTable(path=tmp_path / name, class_names={0: "bad", 1: "good", 2: "so so"})
    assert samples(dataset) == [("good", "", "good"), ("b ad", "", "bad")]
    assert [note[:14] for note in dataset.listing().notes] == ["1 of 3 samples", "`class_names:`"]


@pytest.mark.parametrize("kind", [pa.int64(), pa.int8(), "dictionary"])
def test_parquet_with_class_names_of_its_own(tmp_path, kind):
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    labels = pa.array([1, 0, None])
    labels = labels.dictionary_encode() if kind == "dictionary" else labels.cast(kind)
    table = pa.table({"text": ["good", "bad", "?"], "label": labels}).replace_schema_metadata(metadata)
    pq.write_table(table, tmp_path / "x.parquet")
    dataset = TextTable(path=tmp_path / "x.parquet")
    assert samples(dataset) == [("good", "", "pos"), ("bad", "", "neg")]
    assert "1 of 3 samples" in dataset.listing().notes[0]
    assert "row 2" in dataset.listing().notes[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "x.csv",
            "txt,label\na,b\n",
            r"no column 'text'; did you mean 'txt'\? \(its first .*: txt, label\); .* `text_column:`",
        ),
        ("x.csv", "text,text,label\n", "more than one column 'text'"),
        ("x.csv", "text,label\na,b,c\n", r"line 2 of .* has 3 cells, but the first one has 2"),
        ("x.csv", 'text,label\n"a" b,c\n', "line 2 of .* cannot be read: "),
        ("x.csv", b"text,label\na,b\n\xff,b\n", "line 3 of .* is not text in UTF-8"),
        ("x.csv", "", "has no samples"),
        ("x.tsv", "text\tlabel\na\rb\tc\n", "line 2 of .* cannot be read: new-line character"),
        (
            "x.jsonl",
            '{"text": "a", "label": "b"}\n{"text": "a"}\n',
            r"line 2 of .* has no key 'label'.* `label_column:`",
        ),
        ("x.jsonl", '{"text": ["a"], "label": "b"}\n', r"column 'text' in line 1 of .* has \['a'\], which is neither"),
        ("x.jsonl", "[]\n", "line 1 of .* is not a JSON object"),
        ("x.parquet", "PAR1", "cannot be read as Parquet"),
        ("x.xlsx", "", r"none of the extensions .csv, .tsv"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetError, match=message):
        TextTable(path=tmp_path / name).listing()


@pytest.mark.parametrize("columns", [{"text_column": "label"}, {"pair_column": "text"}])
def test_a_column_for_two_things(tmp_path, columns):
    with pytest.raises(ValidationError, match="are the same column"):
        TextTable(path=tmp_path / "x.csv", **columns)


def test_a_missing_file(tmp_path):
    for name in ("x.csv", "x.jsonl", "x.parquet"):
        with pytest.raises(DatasetError, match="cannot be read"):
            TextTable(path=tmp_path / name).listing()


CELL = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.sampled_from('"\n,'), max_size=6)


@given(st.lists(st.tuples(CELL, CELL), min_size=1))
def test_what_the_csv_module_writes_is_read_and_nothing_is_lost(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("fuzz") / "x.csv"
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerows([("text", "label"), *rows])
    path.write_text(written.getvalue(), encoding="utf-8", newline="")
    dataset = TextTable(path=path)
    listing = check_listing(dataset)
    if listing is not None:
        kept = [text for text, label in rows if text.strip() and spoken_name(label)]
        assert [text for text, _, _ in samples(dataset)] == kept
        assert counted(listing) == len(rows)


@given(st.sampled_from([".csv", ".tsv", ".jsonl"]), st.binary() | mutated(b"text,label\na,b\n" + GLUE.encode()))
def test_damaged_files_give_samples_or_errors(tmp_path_factory, extension, content):
    path = tmp_path_factory.mktemp("fuzz") / f"x{extension}"
    path.write_bytes(content)
    check_listing(TextTable(path=path))


@given(st.data())
def test_parquet_that_is_cut_off_is_an_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "x.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "label": [1, 2]}), path)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert check_listing(TextTable(path=path)) is None
