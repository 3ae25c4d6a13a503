"""Standardized images in files that several processes map into their memory: all of them read the same pages.

They lie in DATA_DIR/standardized, a folder for each data set and split (0.74 GB for CIFAR-10), and may be removed at
any time: the next script makes them again.
"""

import functools
import sys
from pathlib import Path
from typing import Any

import image_data
import numpy as np
import run_folder
import whitening
from image_data import ImageData, Splits, split
from numpy.typing import NDArray

PARTS = ("train", "validation", "test")
CODE = run_folder.code(image_data, whitening, sys.modules[__name__])[:8]  # as it was imported


def shared_splits(data: ImageData, n_train: int, n_validation: int, data_dir: Path, eps: float = 0.0) -> Path:
    """The folder of a split, made where it is not there yet: whole or not at all. `eps` is that of the whitening."""
    folder = data_dir / "standardized" / f"{data.fingerprint[:16]}-{n_train}-{n_validation}-{eps:g}-{CODE}"
    if folder.exists():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            run_folder.alone_in(folder.parent) as alone,
            run_folder.in_the_making(folder, alone=alone) as unfinished,
        ):
            if folder.exists():  # another process was faster
                return folder
            unfinished.mkdir()
            splits = split(data, n_train, n_validation, eps)
            for part in PARTS:
                x, y = getattr(splits, part)
                np.save(unfinished / f"x_{part}.npy", x)
                np.save(unfinished / f"y_{part}.npy", y)
            np.save(unfinished / "shape.npy", splits.shape)
            unfinished.rename(folder)
    except OSError as error:
        if folder.exists():  # another process was faster, where there are no locks
            return folder
        raise OSError(
            f"--data-dir is {data_dir}: cannot write the standardized images there ({error.strerror or error}); "
            "choose a folder with 0.8 GB left for each split"
        ) from None
    return folder


@functools.lru_cache(maxsize=1)
def open_splits(folder: str) -> Splits:
    """The images as read-only views of the files; a page that no training asks for is never read."""

    def opened(name: str) -> NDArray[Any]:
        try:
            return np.asarray(np.load(Path(folder) / name, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"{folder}/{name} cannot be read ({error}); remove the folder, it is made again") from None

    train, validation, test = ((opened(f"x_{part}.npy"), opened(f"y_{part}.npy")) for part in PARTS)
    return Splits(train, validation, test, tuple(opened("shape.npy").tolist()))
