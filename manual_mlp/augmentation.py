"""Augmentation: another version of every image each time that it comes."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from manual_mlp.checks import checked_generator, checked_integer, checked_number
from manual_mlp.layers import Array


class FlipsAndShifts:
    """Mirrors an image left to right with probability `flip`, then moves it by up to `shift` pixels.

        out[h, w, c] = image[h - dy, w - dx, c], 0 outside of the image; dy, dx uniform on -shift, ..., shift

    shape   (H, W, C) of the image that is flattened in a row of D = H W C numbers: pixel by pixel from left to right,
            row by row from above, the channels of a pixel side by side. (torch's own order, (C, H, W), is another.)

    What moves in is 0: in standardized images that pixel's mean.
    Source: Krizhevsky, Sutskever and Hinton 2012, section 4.1; with a border of zeros He et al. 2016, section 4.2.
    """

    def __init__(self, shape: Sequence[int] = (32, 32, 3), *, shift: int = 3, flip: float = 0.5) -> None:
        self.shape = checked_shape(shape)
        self.shift = checked_integer("shift", shift, minimum=0)
        self.flip = checked_number("flip", flip, minimum=0)
        smallest = min(self.shape[:2])
        if self.shift >= smallest:
            raise ValueError(
                f"shift is {shift}: shifts beyond the image, whose shape (H, W, C) is {self.shape}; it must be at most "
                f"{smallest - 1}"
            )
        if self.flip > 1:
            raise ValueError(f"flip is {flip!r}; it must be a probability, from 0 to 1")
        columns = np.arange(np.prod(self.shape)).reshape(self.shape)
        self._mirrored = columns[:, ::-1].ravel()  # (D,) the column of a row from which each number comes
        self._padded = np.zeros((0, 0, 0), np.float32)  # kept between batches

    def __call__(self, batch: Array, rng: np.random.Generator) -> Array:
        """The same array, with a version of each image in its place.

        rng   draws the dy of all images, their dx, and then whom to flip, whatever `flip` is

        Shapes: batch (N, D), float32 or float64
        """
        (H, W, C), s, rng = self.shape, self.shift, checked_generator("rng", rng)
        check_batch(batch, H * W * C)
        n = len(batch)
        dy, dx = rng.integers(-s, s + 1, (2, n))  # (N,) each
        flipped = np.flatnonzero(rng.random(n) < self.flip)
        batch[flipped] = batch[flipped].take(self._mirrored, axis=1)
        images = batch.reshape(n, H, W * C)  # a view
        padded = self._padded_for(batch)  # (N, H + 2s, (W + 2s) C)
        padded[:, s : s + H, s * C : (s + W) * C] = images
        windows = sliding_window_view(padded, (H, W * C), axis=(1, 2))  # (N, 2s + 1, 2sC + 1, H, WC), a view
        images[:] = windows[np.arange(n), s - dy, (s - dx) * C]
        return batch

    def _padded_for(self, batch: Array) -> Array:
        """As many kept images as the batch has, each in a border of zeros, which nobody writes to."""
        if len(self._padded) < len(batch) or self._padded.dtype != batch.dtype:
            (H, W, C), s = self.shape, self.shift
            self._padded = np.zeros((len(batch), H + 2 * s, (W + 2 * s) * C), batch.dtype)
        return self._padded[: len(batch)]


def checked_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    if not isinstance(shape, Sequence) or len(shape) != 3:
        raise ValueError(f"shape is {shape!r}; it must be (H, W, C), as in (32, 32, 3)")
    H, W, C = (checked_integer(f"shape[{place}]", size, minimum=1) for place, size in enumerate(shape))
    return H, W, C


def check_batch(batch: Array, inputs: int) -> None:
    """It is written to, so it must be the array itself: a converted copy would take the versions with it."""
    if type(batch) is not np.ndarray or batch.dtype not in (np.float32, np.float64) or not batch.flags.writeable:
        what = f"a {type(batch).__name__}"
        if isinstance(batch, np.ndarray):
            what += f" of {batch.dtype}{'' if batch.flags.writeable else ', read-only'}"
        raise ValueError(f"batch is {what}; it must be a writeable array of float32 or float64, which is written to")
    if batch.ndim != 2 or batch.shape[1] != inputs:
        raise ValueError(f"batch has shape {batch.shape}; it must be (N, {inputs}): one flattened image a row")
