"""Whitening takes out what pixels share, as far as eps lets it, and leaves images looking like images."""

import numpy as np
import pytest
from image_data import image_data, split
from whitening import zca


def correlated(images=4000, features=12, seed=0):
    """Neighbours are alike, as in images; centered."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(size=(images, features)), axis=1) + 3 * rng.normal(size=(images, 1))
    return (x - x.mean(axis=0)).astype(np.float32)


def covariance(x):
    return x.T.astype(np.float64) @ x / len(x)


def test_with_a_small_eps_nothing_is_shared_any_more():
    x = correlated()
    assert np.abs(covariance(x) - np.diag(np.diag(covariance(x)))).max() > 1
    np.testing.assert_allclose(covariance(x @ zca(x, 1e-6)), np.eye(12), atol=1e-3)


@pytest.mark.parametrize("eps", [0.1, 1.0, 10.0])
def test_every_direction_keeps_its_place_and_has_the_variance_that_eps_leaves(eps):
    x = correlated()
    variances, directions = np.linalg.eigh(covariance(x))
    whitened = covariance(x @ zca(x, eps) @ directions.astype(np.float32))
    expected = variances / (variances + eps)
    np.testing.assert_allclose(np.diag(whitened), expected / expected.mean(), rtol=1e-3)
    np.testing.assert_allclose(whitened - np.diag(np.diag(whitened)), 0, atol=1e-3)


def test_the_mean_square_becomes_1_and_the_matrix_is_symmetric():
    x = correlated()
    Z = zca(x, 1.0)
    assert np.mean((x @ Z) ** 2) == pytest.approx(1, rel=1e-4)
    np.testing.assert_allclose(Z, Z.T, atol=1e-5)


def test_a_constant_feature_stays_0():
    x = correlated()
    x[:, 3] = 0
    assert np.abs((x @ zca(x, 1.0))[:, 3]).max() < 1e-5


def test_validation_and_test_images_are_whitened_with_the_training_images_statistics():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (90, 4, 4, 3), np.uint8), np.arange(90) % 3
    data = image_data("tiny", "tiny", "", images[:60], labels[:60], images[60:], labels[60:])
    plain, whitened = split(data, 40, 20), split(data, 40, 20, 0.5)
    Z = zca(plain.train[0], 0.5)
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(whitened, part)[0], getattr(plain, part)[0] @ Z)
        np.testing.assert_array_equal(getattr(whitened, part)[1], getattr(plain, part)[1])
    np.testing.assert_array_equal(split(data, 40, 20, 0.0).train[0], plain.train[0])
