"""Paths in settings."""

import pytest
from pydantic import TypeAdapter, ValidationError

from emms.paths import UserPath

PATHS = TypeAdapter(UserPath)


def test_the_home_folder_is_filled_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert PATHS.validate_python("~/photos") == tmp_path / "photos"


@pytest.mark.parametrize(
    ("path", "complaint"), [(" ", "is empty"), ("a\0b", "null character"), ("~nobody9/x", "unknown")]
)
def test_what_is_no_path(path, complaint):
    with pytest.raises(ValidationError, match=complaint):
        PATHS.validate_python(path)
