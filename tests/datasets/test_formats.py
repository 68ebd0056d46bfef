"""Every format has a name, and its settings have descriptions, for the form in Prefect's UI."""

import pytest

from emms.datasets import FORMATS


@pytest.mark.parametrize("name", FORMATS.names())
def test_name_and_settings(name):
    schema = FORMATS.get(name).model_json_schema()
    settings = schema["properties"]
    assert settings.pop("format")["const"] == name
    assert all(setting["description"].endswith(".") for setting in settings.values())
