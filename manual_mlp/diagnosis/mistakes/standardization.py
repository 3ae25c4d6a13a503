"""Mistakes of the standardization of images."""

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import mistakes_in

standardization = mistakes_in(
    "standardization",
    "(x - mean) / std, pixel by pixel, with the mean and std of the training images for every set",
    "standardization",
)

STANDARDIZATION = [
    standardization(
        "standardized_by_own_statistics",
        "these images are standardized with their own statistics instead of the training images'",
        {"mean": lambda v: v.raw.mean(axis=0), "std": lambda v: v.raw.std(axis=0)},
        {"mean": lambda v: v.raw.mean(axis=0)},
        {"std": lambda v: v.raw.std(axis=0)},
    ),
    standardization("standardized_not_at_all", "these images are not standardized", {"out": lambda v: v.raw}),
    standardization(
        "standardized_only_scaled",
        "these images are only divided by 255",
        {"out": lambda v: v.raw / 255},
        {"out": lambda v: v.raw / 255 - 0.5},
    ),
    standardization(
        "standardized_only_centered", "the standard deviation is not divided by", {"out": lambda v: v.raw - v.mean}
    ),
    standardization(
        "standardized_not_centered",
        "the mean is not subtracted",
        {"out": lambda v: v.raw / np.where(v.std > 0, v.std, 1)},
    ),
    standardization(
        "standardized_by_variance",
        "the images are divided by the variance instead of by its root",
        {"std": lambda v: v.train.var(axis=0)},
    ),
    standardization(
        "standardized_twice",
        "these images are standardized twice",
        {"out": lambda v: ((v.raw - v.mean) / np.where(v.std > 0, v.std, 1) - v.mean) / np.where(v.std > 0, v.std, 1)},
    ),
    standardization(
        "standardized_per_image",
        "mean and standard deviation are taken of each image instead of each pixel",
        {"mean": lambda v: v.raw.mean(axis=1, keepdims=True), "std": lambda v: v.raw.std(axis=1, keepdims=True)},
        {"std": lambda v: v.raw.std(axis=1, keepdims=True)},
        {"mean": lambda v: v.raw.mean(axis=1, keepdims=True)},
        {"out": lambda v: v.raw - v.raw.mean(axis=1, keepdims=True)},
    ),
    standardization(
        "standardized_by_one_number",
        "one mean or one standard deviation serves all pixels",
        {"mean": lambda v: v.train.mean(), "std": lambda v: v.train.std()},
        {"std": lambda v: v.train.std()},
        {"std": lambda v: (v.train - v.train.mean(axis=0)).std()},
        {"mean": lambda v: v.train.mean()},
    ),
    standardization(
        "standardized_by_all_sets",
        "the statistics are those of all sets together: the test images have a say in the training",
        {"mean": lambda v: v.all_sets.mean(axis=0), "std": lambda v: v.all_sets.std(axis=0)},
    ),
    standardization(
        "standardized_constant_pixel",
        "a pixel that never changes is divided by 0",
        {"out": lambda v: (v.raw - v.mean) / v.std},
    ),
]
