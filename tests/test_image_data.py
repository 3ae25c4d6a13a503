"""Splits and standardization."""

import dataclasses
import weakref

import numpy as np
import pytest
from image_data import LatestSplits, image_data, pixel_statistics, split


def tiny_images():
    rng = np.random.default_rng(0)
    x_train, x_test = (rng.integers(0, 256, (images, 4, 5, 3), np.uint8) for images in (30, 10))
    return image_data("tiny", "tiny", "", x_train, np.arange(30) % 3, x_test, np.arange(10) % 3)


@pytest.fixture
def data():
    return tiny_images()


def test_the_first_images_train_and_the_next_validate(data):
    splits = split(data, n_train=12, n_validation=8)
    np.testing.assert_array_equal(splits.train[1], data.y_train[:12])
    np.testing.assert_array_equal(splits.validation[1], data.y_train[12:20])
    np.testing.assert_array_equal(splits.test[1], data.y_test)
    assert [x.shape for x, _ in (splits.train, splits.validation, splits.test)] == [(12, 60), (8, 60), (10, 60)]
    assert {x.dtype for x, _ in (splits.train, splits.validation, splits.test)} == {np.dtype(np.float32)}


def test_every_part_is_standardized_with_the_training_images_statistics(data):
    splits = split(data, n_train=12, n_validation=8)
    train = data.x_train[:12].reshape(12, -1).astype(np.float64)
    np.testing.assert_allclose(splits.train[0].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(splits.train[0].std(axis=0), 1, rtol=1e-5)
    for part, raw in ((splits.validation[0], data.x_train[12:20]), (splits.test[0], data.x_test)):
        np.testing.assert_allclose(
            part, (raw.reshape(len(raw), -1) - train.mean(axis=0)) / train.std(axis=0), rtol=1e-4, atol=1e-5
        )


def test_statistics_of_many_images_are_those_of_numpy():
    x = np.random.default_rng(0).integers(0, 256, (2500, 2, 2, 3), np.uint8)
    mean, std = pixel_statistics(x)
    np.testing.assert_allclose(mean, x.reshape(2500, -1).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(std, x.reshape(2500, -1).std(axis=0), rtol=1e-6)


def test_a_pixel_that_never_changes_is_centered(data):
    x_train = data.x_train.copy()
    x_train[:, 0, 0, 0] = 77
    splits = split(dataclasses.replace(data, x_train=x_train), n_train=12, n_validation=8)
    assert (splits.train[0][:, 0] == 0).all()
    assert np.isfinite(splits.test[0]).all()


def test_raw_images_stay_as_they_were(data):
    before = data.x_train.copy()
    split(data, n_train=12, n_validation=8)
    np.testing.assert_array_equal(data.x_train, before)


@pytest.mark.parametrize(("n_train", "n_validation"), [(0, 5), (5, 0), (25, 6), (-1, 5)])
def test_impossible_splits_are_named(data, n_train, n_validation):
    with pytest.raises(ValueError, match=f"--n-train is {n_train} and --n-validation {n_validation}; .* at most 30"):
        split(data, n_train, n_validation)


def test_the_fingerprint_tells_values_and_not_types(data):
    def fingerprint(**changed):
        arrays = {name: getattr(data, name) for name in ("x_train", "y_train", "x_test", "y_test")}
        return image_data("", "", "", **{**arrays, **changed}).fingerprint

    assert fingerprint() == fingerprint(y_train=data.y_train.astype(np.uint8))
    assert fingerprint() != fingerprint(y_train=data.y_train[::-1])
    assert fingerprint() != fingerprint(x_test=data.x_test + 1)


def test_splits_of_the_same_sizes_are_shared_and_others_let_go_first(data, monkeypatch):
    made = []

    def counted(*arguments):
        assert not any(earlier() for earlier in made), "two alive at once"
        splits = split(*arguments)
        made.append(weakref.ref(splits))
        return splits

    monkeypatch.setattr("image_data.split", counted)
    latest = LatestSplits(data)
    assert latest.split(12, 4) is latest.split(12, 4)
    assert len(latest.split(10, 4).train[1]) == 10
    assert len(made) == 2
