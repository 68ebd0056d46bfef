"""scikit-learn's digits, compared with `load_digits`."""

import os

import numpy as np
from sklearn.datasets import load_digits

from emms.datasets.digits import Digits


def test_digits():
    dataset, truth = Digits(), load_digits()
    listing = dataset.listing()
    assert listing.labels[:3] == ["zero", "one", "two"]
    assert listing.samples["id"].n_unique() == 1797
    np.testing.assert_array_equal(listing.samples["label"], truth.target)
    for row in (0, 500, 1796):
        image = dataset.load(listing.samples.row(row, named=True)).image
        assert (image.mode, image.size) == ("RGB", (8, 8))
        np.testing.assert_allclose(np.asarray(image)[..., 0], truth.images[row] / 16 * 255, atol=0.5)


def test_reading_depends_only_on_the_format():
    assert Digits().reading() == {"format": "digits"}


def test_the_listed_file_is_the_one_that_is_read():
    (path,) = Digits().listing().samples["path"].unique()
    assert os.path.isfile(path)
