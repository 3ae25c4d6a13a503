"""Images with labels: their splits, and the standardization of every pixel."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from whitening import zca

Images = NDArray[np.uint8]  # (N, H, W, C)
Labels = NDArray[np.integer[Any]]  # (N,)

# Data that must not pass for the official images, whatever its file is called.
KNOWN_FILES = {
    "7974c9f3ede3356c75e70cf7c1df6ee1860b73a735a70d8e5bd9597f262d74bd": ("CIFAR-10 (JPEG copy)", "cifar10-jpeg")
}


@dataclass(frozen=True)
class ImageData:
    """Training and test images with their labels."""

    name: str  # for tables and titles
    slug: str  # the same in a folder's name
    warning: str  # what a reader of the results must not overlook; empty for real data
    fingerprint: str
    x_train: Images
    y_train: Labels
    x_test: Images
    y_test: Labels
    is_cifar10: bool  # are results on these images comparable with published ones?

    @property
    def inputs(self) -> int:
        return int(np.prod(self.x_train.shape[1:]))

    @property
    def classes(self) -> int:
        return int(self.y_train.max()) + 1


def image_data(
    name: str,
    slug: str,
    warning: str,
    x_train: Images,
    y_train: Labels,
    x_test: Images,
    y_test: Labels,
    is_cifar10: bool = False,
) -> ImageData:
    """Takes the SHA-256 of shapes and values: the same numbers, the same fingerprint, whatever file they came in."""
    digest = hashlib.sha256()
    for array in (x_train, y_train, x_test, y_test):
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array, np.uint8 if array.ndim == 4 else "<i8").data)
    fingerprint = digest.hexdigest()
    is_cifar10 |= fingerprint in KNOWN_FILES
    name, slug = KNOWN_FILES.get(fingerprint, (name, slug[:40]))  # the rest of a folder's name needs room
    return ImageData(name, slug, warning, fingerprint, x_train, y_train, x_test, y_test, is_cifar10)


def warn(data: ImageData) -> None:
    """What a reader must not overlook, before and after the numbers."""
    if data.warning:
        print(f"WARNING: {data.warning}")


@dataclass(frozen=True)
class Splits:
    """Standardized float32 rows (N, D) with labels (N,), for training, validation and test."""

    train: tuple[NDArray[np.float32], Labels]
    validation: tuple[NDArray[np.float32], Labels]
    test: tuple[NDArray[np.float32], Labels]
    shape: tuple[int, ...]  # (H, W, C) of an image before it became a row


def check_sizes(data: ImageData, n_train: int, n_validation: int) -> None:
    available = len(data.x_train)
    if n_train < 1 or n_validation < 1 or n_train + n_validation > available:
        raise ValueError(
            f"--n-train is {n_train} and --n-validation {n_validation}; both must be at least 1 and together at most "
            f"{available}, the training images of {data.name}"
        )


def split(data: ImageData, n_train: int, n_validation: int, whitening: float = 0.0) -> Splits:
    """The first n_train training images train, the n_validation after them validate.

    So 10,000 / 10,000 is CIFAR-10's data_batch_1 / data_batch_2; 45,000 / 5,000 and 49,000 / 1,000 use all five
    batches. Every pixel is standardized with the mean and the standard deviation that it has in the training
    images, validation and test images included; a pixel that never changes there is only centered. Where `whitening`
    is not 0, all are then whitened by it, with the training images' statistics again.
    """
    check_sizes(data, n_train, n_validation)
    parts = (
        (data.x_train[:n_train], data.y_train[:n_train]),
        (data.x_train[n_train : n_train + n_validation], data.y_train[n_train : n_train + n_validation]),
        (data.x_test, data.y_test),
    )
    mean, std = pixel_statistics(parts[0][0])
    train, validation, test = ((standardized(x, mean, std), y) for x, y in parts)
    if whitening:
        Z = zca(train[0], whitening)  # (D, D)
        train, validation, test = ((x @ Z, y) for x, y in (train, validation, test))
    return Splits(train, validation, test, data.x_train.shape[1:])


class LatestSplits:
    """`split` for one run after the other: those of the same settings share the latest; no two are alive at once."""

    def __init__(self, data: ImageData) -> None:
        self.data = data
        self.settings: tuple[int, int, float] | None = None
        self.splits: Splits | None = None

    def split(self, n_train: int, n_validation: int, whitening: float = 0.0) -> Splits:
        settings = n_train, n_validation, whitening
        if self.splits is None or self.settings != settings:
            self.splits = None  # let go of the last one first
            self.settings, self.splits = settings, split(self.data, *settings)
        return self.splits


def pixel_statistics(x: Images) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of every pixel, (D,) each, from sums of integers, which float64 holds exactly."""
    total, total_squares = np.zeros((2, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), 1000):
        part = x[start : start + 1000].reshape(-1, total.size).astype(np.float64)
        total += part.sum(axis=0)
        total_squares += np.einsum("nd,nd->d", part, part)
    mean = total / len(x)
    std = np.sqrt(np.maximum(total_squares / len(x) - mean**2, 0))
    std[std == 0] = 1
    return mean.astype(np.float32), std.astype(np.float32)


def standardized(x: Images, mean: NDArray[np.float32], std: NDArray[np.float32]) -> NDArray[np.float32]:
    """(x - mean) / std, images as rows (N, D)."""
    rows = x.reshape(len(x), -1).astype(np.float32)
    rows -= mean
    rows /= std
    return rows
