"""All flipped and shifted versions of an image, right and wrong ones, as the columns that their numbers come from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Columns = NDArray[np.int64]
FILLED = -1  # what no pixel of the image has moved to

BORDERS = {  # np.pad's name for what moves in, what is said of it, and whether that is a mistake
    "constant": ("", False),
    "edge": ("what moves in repeats the pixels at the border, where it is 0 here", False),
    "reflect": ("what moves in mirrors the image, where it is 0 here", False),
    "symmetric": ("what moves in mirrors the image, its border included, where it is 0 here", False),
    "wrap": ("what moves out on one side comes back in on the other, as np.roll does it", True),
}
FLIPS = {  # the mirrored axes of (H, W, C), the mistake's name, the sentence
    (1,): ("", ""),
    (0,): (
        "augmentation_flip_upside_down",
        "images are turned upside down: the flip is along the height, not the width",
    ),
    (2,): (
        "augmentation_flip_channels",
        "the flip is along the channels: colors change places, and nothing is mirrored",
    ),
    (0, 1): ("augmentation_flip_both", "images are mirrored along height and width: they are turned by 180 degrees"),
    (0, 1, 2): ("augmentation_flip_row", "the whole row of numbers is reversed, height and channels included"),
}


@dataclass(frozen=True)
class Layout:
    """How an image (H, W, C) lies in its row: in this order, "HWC" or "CHW"; and in which it is read."""

    shape: tuple[int, int, int]
    order: str
    flat: bool

    def columns(self, misread: bool) -> Columns:
        """(H, W, C) the column of each number, as whoever reads it right, or misreads it, sees the image."""
        H, W, C = self.shape
        row = np.arange(H * W * C)
        if not misread:
            return row.reshape(H, W, C) if self.order == "HWC" else row.reshape(C, H, W).transpose(1, 2, 0)
        if self.flat:
            return row.reshape(C, H, W).transpose(1, 2, 0) if self.order == "HWC" else row.reshape(H, W, C)
        return row.reshape(H, W, C).transpose(1, 2, 0) if self.order == "HWC" else row.reshape(C, H, W)


@dataclass(frozen=True)
class Family:
    """One way to make versions, right or wrong."""

    border: str
    axes: tuple[int, ...]
    misread: bool

    @property
    def slips(self) -> int:
        return (self.border != "constant") + (self.axes != (1,)) + self.misread

    def versions(self, layout: Layout, shift: int) -> dict[bytes, tuple[bool, int, int]]:
        """(flipped, dy, dx) of every version, by the columns (D,) that its numbers come from."""
        columns = layout.columns(self.misread)
        places = columns.ravel()
        found: dict[bytes, tuple[bool, int, int]] = {}
        for flipped in (False, True):
            image = np.flip(columns, self.axes) if flipped else columns
            padded = padded_by(image, shift, self.border)
            for dy in range(-shift, shift + 1):
                for dx in range(-shift, shift + 1):
                    moved = padded[shift - dy :, shift - dx :][: image.shape[0], : image.shape[1]]
                    row = np.empty(len(places), np.int64)
                    row[places] = moved.ravel()
                    found.setdefault(row.tobytes(), (flipped, dy, dx))
        return found


def padded_by(image: Columns, shift: int, border: str) -> Columns:
    widths = ((shift, shift), (shift, shift), (0, 0))
    if border == "constant":
        return np.pad(image, widths, constant_values=FILLED)
    return np.pad(image, widths, mode=border)  # type: ignore[call-overload, no-any-return]


def families() -> Iterator[Family]:
    """The right one, then those with one slip, then with two."""
    every = [Family(border, axes, misread) for border in BORDERS for axes in FLIPS for misread in (False, True)]
    yield from sorted((family for family in every if family.slips <= 2), key=lambda family: family.slips)
