"""Features of your own, in a file, as a candidate."""

import numpy as np
import polars as pl
import pytest

import emms
from emms.errors import EMMSError, ModelError
from emms.estimators import make_estimator
from emms.models import candidate
from emms.spec import ModelSpec

CLASSES = ["apple", "banana", "cherry"]
IDS = [f"{name}/{i}.png" for name in CLASSES for i in range(8)]
X = np.random.default_rng(0).standard_normal((24, 5)) + np.repeat(np.eye(3, 5), 8, axis=0)


@pytest.fixture
def settings(photos, tmp_path):
    return {
        "dataset": {"format": "imagefolder", "path": str(photos)},
        "label_encoders": ["packaged:glove-6b-50d"],
        "estimators": ["knn"],
        "store": str(tmp_path / "store"),
        "output": str(tmp_path / "output"),
    }


def save(path, ids=IDS, features=X):
    """Write features in the format that the path's ending names."""
    match path.name.partition(".")[2]:
        case "npz":
            np.savez(path, id=ids, features=features)
        case "lists.parquet":
            pl.DataFrame({"id": ids, "features": np.asarray(features).tolist()}).write_parquet(path)
        case "arrays.parquet":
            pl.DataFrame({"id": ids, "features": np.asarray(features)}).write_parquet(path)
        case "columns.parquet":
            columns = {f"f{i}": column for i, column in enumerate(np.asarray(features).T)}
            pl.DataFrame({"id": ids, **columns}).write_parquet(path)
    return {"source": "features", "path": str(path)}


@pytest.mark.parametrize("ending", ["npz", "lists.parquet", "arrays.parquet", "columns.parquet"])
def test_rows_are_matched_by_id(settings, tmp_path, ending):
    order = np.random.default_rng(1).permutation(24)
    model = save(tmp_path / f"mine.{ending}", [*np.array(IDS)[order], "another/sample.png"], [*X[order], X[0]])
    ranking = emms.rank({**settings, "models": [{**model, "alias": "mine"}]})
    y = np.repeat(np.arange(3), 8)
    assert ranking.frame["model"].to_list() == ["mine"]
    assert ranking.frame["score"][0] == make_estimator("knn").fit(X.astype(np.float32), y).score_
    assert ranking.frame["features"][0] == 5


def test_they_can_be_one_of_a_pair(settings, tmp_path):
    network = {"source": "timm", "name": "mobilenetv3_small_050", "pretrained": False, "layer": "blocks.0"}
    pair = {"pair": [save(tmp_path / "mine.npz"), network], "alias": "both"}
    ranking = emms.rank({**settings, "models": [pair]})
    assert ranking.frame["features"][0] == 5 + 8


def test_a_missing_row_fails_only_this_candidate(settings, tmp_path):
    complete, missing = save(tmp_path / "all.npz"), save(tmp_path / "some.npz", IDS[:-1], X[:-1])
    ranking = emms.rank({**settings, "models": [complete, missing]})
    assert len(ranking.frame) == 1
    assert "has no row for sample 'cherry/7.png' (its first row is 'apple/0.png')" in next(
        iter(ranking.failed.values())
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"id": IDS}, "features"),
        ({"id": IDS[:3], "features": X}, "has 3 ids and features of shape"),
        ({"id": IDS, "features": X[0]}, "must be"),
        ({"id": [*IDS[:-1], IDS[0]], "features": X}, "more than one row with the id 'apple/0.png'"),
        ({"id": IDS, "features": X.astype(str)}, "not numbers"),
        ({"id": IDS, "features": np.array([[None]] * 24)}, "cannot be read"),  # a pickle
    ],
)
def test_other_content_is_an_error_that_says_what_is_needed(tmp_path, content, message):
    np.savez(tmp_path / "mine.npz", **content)
    model = ModelSpec.model_validate({"source": "features", "path": str(tmp_path / "mine.npz")})
    with pytest.raises(ModelError, match=message):
        candidate(model).check()


@pytest.mark.parametrize("name", ["absent.npz", "text.npz", "text.parquet", ""])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path, name):
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "text.parquet").write_text("no table")
    model = ModelSpec.model_validate({"source": "features", "path": str(tmp_path / name)})
    with pytest.raises(ModelError, match="cannot be read"):
        candidate(model).check()


def test_options_of_networks_do_not_apply(tmp_path):
    model = ModelSpec.model_validate({**save(tmp_path / "mine.npz"), "layer": "3"})
    with pytest.raises(ModelError, match="has `layer:`, which does not apply to features in a file"):
        candidate(model).check()


def test_the_path_is_for_this_source_only(settings):
    with pytest.raises(EMMSError, match="needs a `path:` if, and only if, its source is features"):
        emms.rank({**settings, "models": [{"source": "timm", "name": "resnet18", "path": "mine.npz"}]})
    with pytest.raises(EMMSError, match="needs a `path:` if, and only if, its source is features"):
        emms.rank({**settings, "models": ["features:mine.npz"]})
