"""Lines of an image and a caption."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets import FORMATS
from tests.datasets.readers import check_listing, column, labels, left_out, mutated, pictures

LINES = b"1.jpg A child climbs the stairs .\n1.jpg A girl  goes in .\nsub/2.jpg Two dogs\n"


@pytest.fixture
def make(tmp_path):
    pictures(tmp_path / "images", "1.jpg", "sub/2.jpg")

    def dataset(data, **settings):
        path = tmp_path / "all.txt"
        path.write_bytes(data)
        return FORMATS.get("caption-lines")(path=path, images=tmp_path / "images", **settings)

    return dataset


def test_captions_are_in_lower_case_as_in_the_published_code(make):
    listing = make(LINES).listing()
    assert column(listing, "id") == ["1.jpg#0", "1.jpg#1", "sub/2.jpg#0"]
    assert labels(listing) == ["a child climbs the stairs .", "a girl goes in .", "two dogs"]


def test_files_of_windows(make):
    windows = make(b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n") + b"\r\n").listing()
    assert windows.samples.equals(make(LINES).listing().samples)


def test_a_line_without_a_caption_is_left_out(make):
    assert make(LINES + b"1.jpg\n").listing().notes[0].endswith("and are left out (line 4)")


def test_the_mean_of_captions(make):
    assert labels(make(LINES, captions="mean").listing())[0] == "a child climbs the stairs .\na girl goes in ."


@given(st.binary() | mutated(LINES))
def test_any_file_is_listed_completely_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "lines-of-captions"
    pictures(folder / "images", "1.jpg", "sub/2.jpg")
    (folder / "all.txt").write_bytes(data)
    listing = check_listing(FORMATS.get("caption-lines")(path=folder / "all.txt", images=folder / "images"))
    if listing is not None:
        lines = data.decode("utf-8-sig").split("\n")
        assert len(listing.samples) + left_out(listing) == sum(bool(line.strip()) for line in lines)
