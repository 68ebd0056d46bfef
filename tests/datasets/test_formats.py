"""Every format is known by its name, and its settings say what they are: they make a form in a web page."""

import pytest

from emms.datasets import FORMATS


@pytest.mark.parametrize("name", FORMATS.names())
def test_name_and_settings(name):
    schema = FORMATS.get(name).model_json_schema()
    settings = schema["properties"]
    assert settings.pop("format")["const"] == name
    assert all(setting["description"].endswith(".") for setting in settings.values())
