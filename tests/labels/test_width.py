"""Label embeddings of different widths, reduced to a common width."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from emms.errors import LabelEncoderError
from emms.labels import width as module
from emms.labels.width import common_width, common_width_in_file
from emms.moments.rows import RowFile


def embeddings(texts, *widths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(texts, width)).astype(np.float32) for width in widths]


def test_equal_widths_stay_as_they_are():
    first, second = embeddings(4, 7, 7)
    mixed = common_width([first, second], np.array([1, 2, 3, 4]))
    assert mixed.shape == (4, 7, 2)
    np.testing.assert_array_equal(mixed[:, :, 0], first)
    np.testing.assert_array_equal(mixed[:, :, 1], second)


def test_a_single_encoder_stays_as_it_is():
    (only,) = embeddings(4, 7)
    np.testing.assert_array_equal(common_width([only], np.ones(4)), only[:, :, None])


def test_wider_embeddings_are_reduced_to_principal_components_of_the_samples():
    wide, narrow = embeddings(12, 9, 4)
    counts = np.arange(1, 13)
    mixed = common_width([wide, narrow], counts)
    assert mixed.shape == (12, 4, 2)
    np.testing.assert_array_equal(mixed[:, :, 1], narrow)
    samples = np.repeat(wide, counts, axis=0).astype(np.float64)
    pca = PCA(n_components=4, svd_solver="full").fit(samples)
    expected = pca.transform(wide)
    # Equal up to a rotation, after which standardising multiplies all columns by the same number.
    given = mixed[:, :, 0].astype(np.float64)
    np.testing.assert_allclose(given @ given.T, expected @ expected.T, atol=1e-4)
    variances = np.repeat(given, counts, axis=0).var(axis=0)
    np.testing.assert_allclose(variances, pca.explained_variance_.mean() * (len(samples) - 1) / len(samples), rtol=1e-4)


def test_with_few_texts_no_encoder_keeps_more_directions_than_another():
    counts = np.full(5, 10)
    mixed = common_width(embeddings(5, 384, 50, 50), counts)
    assert mixed.shape == (5, 4, 3)
    for k in range(3):
        samples = np.repeat(mixed[:, :, k], counts, axis=0)
        variances = samples.var(axis=0)
        assert variances.min() > 0.1
        np.testing.assert_allclose(variances, variances.mean(), rtol=1e-4)


def test_standardised_reduced_embeddings_still_say_which_labels_are_near():
    wide, narrow = embeddings(5, 384, 50)
    wide[1] = wide[0] + 0.1 * wide[1]
    mixed = common_width([wide, narrow], np.ones(5))[:, :, 0]
    standardised = (mixed - mixed.mean(0)) / mixed.std(0)
    distances = np.linalg.norm(standardised[0] - standardised[1:], axis=1)
    assert distances[0] < 0.2 * distances[1:].min()


def test_constant_directions_are_not_components():
    wide, narrow = embeddings(8, 6, 5)
    wide[:, 3:] = wide[:, :3]
    assert common_width([wide, narrow], np.ones(8)).shape == (8, 3, 2)


def test_a_text_without_samples_has_no_weight():
    wide, narrow = embeddings(9, 6, 2)
    counts = np.array([3, 1, 4, 1, 5, 9, 2, 6, 0])
    mixed = common_width([wide, narrow], counts)
    np.testing.assert_allclose(mixed[:8], common_width([wide[:8], narrow[:8]], counts[:8]), atol=1e-6)
    assert np.isfinite(mixed).all()


def test_distances_are_preserved_if_all_components_are_kept():
    wide, narrow = embeddings(4, 30, 20)
    mixed = common_width([wide, narrow], np.array([5, 1, 1, 3]))
    for k, original in enumerate([wide, narrow]):
        for i in range(4):
            np.testing.assert_allclose(
                np.linalg.norm(mixed[i, :, k] - mixed[:, :, k], axis=1),
                np.linalg.norm(original[i] - original, axis=1),
                atol=1e-4,
            )


@given(seed=st.integers(0, 2**16), texts=st.integers(2, 8))
def test_the_order_of_texts_does_not_matter_nor_the_unit_of_counts(seed, texts):
    wide, narrow = embeddings(texts, 9, 3, seed=seed)
    counts = np.random.default_rng(seed).integers(1, 9, size=texts)
    order = np.random.default_rng(seed).permutation(texts)
    mixed = common_width([wide, narrow], counts)
    shuffled = common_width([wide[order], narrow[order]], counts[order] * 7)
    gram, expected = [np.einsum("idk,jdk->ijk", m, m) for m in (shuffled, mixed[order])]
    np.testing.assert_allclose(gram, expected, atol=1e-3)


@given(st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=40).filter(any))
def test_after_the_rotation_uncorrelated_columns_have_equal_variances(variances):
    variances = np.array(variances)
    rotation = module._equalise(variances)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(len(variances)), atol=1e-12)
    covariance = rotation.T @ np.diag(variances) @ rotation
    np.testing.assert_allclose(np.diag(covariance), variances.mean(), rtol=1e-10)


@pytest.mark.parametrize("columns", [384, 1024])
def test_the_rotation_of_many_columns_is_as_exact(columns):
    variances = np.random.default_rng(0).gamma(0.1, size=columns)
    rotation = module._equalise(variances)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(columns), atol=1e-12)
    np.testing.assert_allclose((rotation**2).T @ variances, variances.mean(), rtol=1e-10)


@given(variances=st.lists(st.integers(0, 4), min_size=1, max_size=20).filter(any), seed=st.integers(0, 2**16))
def test_the_rotation_does_not_depend_on_rounding(variances, seed):
    variances = np.array(variances, dtype=float)
    rounded = variances * (1 + 1e-15 * np.random.default_rng(seed).standard_normal(len(variances)))
    np.testing.assert_allclose(module._equalise(rounded), module._equalise(variances), atol=1e-12)


@pytest.mark.parametrize("axes", [np.eye(5)[:3], np.linalg.qr(np.ones((6, 6)) - np.eye(6))[0][:4], np.eye(4)[2:3]])
def test_the_axes_of_tied_components_depend_only_on_their_span(axes):
    turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((len(axes), len(axes))))
    basis = module._basis(axes)
    np.testing.assert_allclose(module._basis(turned @ axes), basis, atol=1e-14)
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(axes)), atol=1e-14)
    np.testing.assert_allclose(basis.T @ basis, axes.T @ axes, atol=1e-14)


def test_equidistant_texts_do_not_depend_on_rounding():
    counts = np.ones(6)
    (narrow,) = embeddings(6, 3)
    expected = common_width([np.eye(6), narrow], counts)
    for seed in range(5):
        rounded = np.eye(6) + 1e-15 * np.random.default_rng(seed).standard_normal((6, 6))
        np.testing.assert_allclose(common_width([rounded, narrow], counts), expected, atol=1e-13)


def test_the_block_size_does_not_matter(monkeypatch):
    wide, narrow = embeddings(300, 40, 7)
    counts = np.random.default_rng(0).integers(0, 5, size=300)
    whole = common_width([wide, narrow], counts)
    monkeypatch.setattr("emms.moments.rows.BLOCK_ROWS", 64)
    np.testing.assert_allclose(common_width([wide, narrow], counts), whole, atol=1e-6)


def test_an_encoder_with_constant_embeddings_raises():
    wide, narrow = embeddings(5, 6, 4)
    wide[:] = wide[0]
    with pytest.raises(LabelEncoderError, match="number 1 of 2 returns the same embedding for all labels"):
        common_width([wide, narrow], np.ones(5))


@pytest.mark.parametrize("widths", [(7, 7), (40, 7, 12), (12,)])
def test_in_a_file_the_result_is_the_same(monkeypatch, widths):
    monkeypatch.setattr("emms.moments.rows.BLOCK_ROWS", 64)
    encoded = embeddings(300, *widths)
    counts = np.random.default_rng(0).integers(0, 5, size=300)
    in_file = common_width_in_file([RowFile(e.shape[1]).append(e) for e in encoded], counts)
    np.testing.assert_array_equal(in_file[:], common_width(encoded, counts))
