"""Random images under CIFAR-10's file names, for a program that is run without the data; each one tells its number.

An image is a block of 128 random pixels, repeated: so 128 pixels have the statistics of all 3,072. The first 64 of them
are its code and its seal, 16 bits each, each word followed by its opposite: whoever centers and scales leaves them as
they are. Of an image that was mirrored, shifted, negated or cut the seal belongs to another code, or the blocks differ.
"""

import functools
import io
import pickle
import re
import struct
import types
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXELS, BLOCK, BITS = 3072, 128, 16
WORDS = 4 * BITS  # pixels: code, opposite, seal, opposite
PER_FILE, FILES, CLASSES = 10_000, 6, 10  # five of training images, one of test images
FIRST_TEST = 5 * PER_FILE  # the number of the first test image
ORDERS = (np.arange(PIXELS), np.arange(PIXELS).reshape(-1, 3).T.ravel())  # where the pixels are: (C, H, W), (H, W, C)
PLACES = (np.arange(PIXELS) % BLOCK, np.arange(PIXELS) // 3 % BLOCK)  # which of the block's each of them is
CODE = 40_503  # a number times this, modulo 2^16, is its code: every bit changes from image to image, or soon after
NUMBER = pow(CODE, -1, 1 << BITS)
NAMES = re.compile(r"(?:data_batch_([1-5])|(test_batch)|(batches\.meta))(?:\.mat|\.bin|\.pkl|\.p)?$", re.IGNORECASE)
ARCHIVE = re.compile(r"cifar[^/]*\.(?:tar\.gz|tgz|tar|zip)$", re.IGNORECASE)
FOLDER = re.compile(r"(?:^|/)(?:[^/.]*cifar[^/.]*|data|data_?sets?)/?$", re.IGNORECASE)
LABEL_NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

Numbers = NDArray[np.int64]
Known = tuple[Numbers, NDArray[Any]]  # images: their numbers, and their blocks as they are now


@functools.cache
def blocks() -> NDArray[np.uint8]:
    """The 128 pixels of every image, (60000, 128); means and spreads differ from pixel to pixel."""
    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 100, BLOCK), rng.integers(150, 256, BLOCK)
    found = rng.integers(low, high, (FILES * PER_FILE, BLOCK), dtype=np.uint8)
    for place, words in enumerate((np.arange(FILES * PER_FILE) * CODE, seals())):
        bits = (words[:, np.newaxis] >> np.arange(BITS)) & 1
        found[:, 2 * place * BITS :][:, : 2 * BITS] = 255 * np.hstack([bits, 1 - bits])
    return found


@functools.cache
def seals() -> Numbers:
    return np.random.default_rng(2).integers(0, 1 << BITS, FILES * PER_FILE)


@functools.cache
def labels() -> Numbers:
    return np.random.default_rng(1).integers(0, CLASSES, FILES * PER_FILE)


def images(first: int, count: int) -> NDArray[np.uint8]:
    """Rows of 3,072 pixels."""
    return np.tile(blocks()[first : first + count], PIXELS // BLOCK)


def recognized(array: Any) -> Known | None:
    """The numbers of the images in an array (D, n) or (n, D), and their blocks (n, 128); None if it holds anything
    else.
    """
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        return None
    array = np.asarray(array)  # not a np.matrix, which cannot be reshaped
    if array.ndim > 2:  # (n, 32, 32, 3), (n, 3, 32, 32)
        array = array.reshape(len(array), -1)
    if array.ndim != 2 or PIXELS not in array.shape or not array.size:
        return None
    rows = array.T if array.shape[0] == PIXELS else array
    for order in ORDERS:
        if read(rows[:1, order[:WORDS]]) is None:
            continue
        first, last = (read(rows[:, order[start : start + WORDS]]) for start in (0, PIXELS - BLOCK))
        if first is not None and last is not None and np.array_equal(first, last):
            return first, rows[:, order[:BLOCK]]
    return None


def read(words: NDArray[Any]) -> Numbers | None:
    """The numbers that codes tell, (n, 64), if every seal belongs to its code."""
    usual, opposite = words.reshape(-1, 2, 2, BITS).swapaxes(0, 2)
    bits = usual > opposite
    high, low = np.where(bits, usual, opposite), np.where(bits, opposite, usual)
    code, seal = bits @ (1 << np.arange(BITS))
    numbers = code * NUMBER % (1 << BITS)
    if not (high.min(axis=(0, 2)) > low.max(axis=(0, 2))).all() or (numbers >= FILES * PER_FILE).any():
        return None
    return numbers if (seals()[numbers] == seal).all() else None


def stand_in(path: Any) -> dict[str, Any] | None:
    """What the file of this name holds; None where it is none of CIFAR-10's."""
    named = NAMES.search(str(path))
    if named is None:
        return None
    if named[3]:
        return {"num_cases_per_batch": PER_FILE, "label_names": LABEL_NAMES, "num_vis": PIXELS}
    file = int(named[1]) - 1 if named[1] else FILES - 1
    first = file * PER_FILE
    return {
        "batch_label": f"batch {file + 1}",
        "labels": labels()[first : first + PER_FILE].tolist(),
        "data": images(first, PER_FILE),
        "filenames": [f"{number}.png" for number in range(first, first + PER_FILE)],
    }


def course_batch(name: Any) -> dict[bytes, Any]:
    """What the course's LoadBatch makes of a file's name."""
    held = stand_in(name)
    if held is None:
        raise FileNotFoundError(f"{name} is none of CIFAR-10's files")
    return {key.encode(): value for key, value in held.items()}


def is_data_file(path: Any) -> bool:
    return NAMES.search(str(path)) is not None or ARCHIVE.search(str(path)) is not None


def is_data_folder(path: Any) -> bool:
    """By its name."""
    return FOLDER.search(str(path)) is not None


def is_stand_in(path: Any) -> bool:
    return NAMES.search(str(path)) is not None


def as_file(path: Any) -> io.BytesIO:
    """A stand-in, pickled as Python 2 did it: its strings come back as str or as bytes, as the reader wishes."""
    named = NAMES.search(str(path))
    assert named is not None
    return io.BytesIO(pickled(named[0]))


@functools.lru_cache(maxsize=2)  # of 30 MB each; often opened several times
def pickled(name: str) -> bytes:
    parts = [pickle.PROTO + bytes([2]), pickle.EMPTY_DICT, pickle.MARK]
    for key, value in (stand_in(name) or {}).items():
        parts += [old_string(key), old_value(value)]
    return b"".join([*parts, pickle.SETITEMS, pickle.STOP])


def old_value(value: Any) -> bytes:
    if isinstance(value, str):
        return old_string(value)
    if isinstance(value, list) and value and isinstance(value[0], str):
        return b"".join([pickle.EMPTY_LIST, pickle.MARK, *map(old_string, value), pickle.APPENDS])
    return pickle.dumps(value, protocol=3)[2:-1]


def old_string(text: str) -> bytes:
    return pickle.SHORT_BINSTRING + struct.pack("<B", len(text)) + text.encode("latin1")


def loadmat(path: Any, *_: Any, **__: Any) -> dict[str, Any]:
    """As SciPy reads the files for Matlab."""
    content = stand_in(path)
    if content is None:
        raise FileNotFoundError(path)
    if "data" not in content:
        return {"label_names": np.array([[name] for name in LABEL_NAMES], dtype=object)}
    return {"data": content["data"], "labels": np.array(content["labels"], dtype=np.uint8)[:, np.newaxis]}


def load_data() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """As Keras hands them out: (n, 32, 32, 3) and (n, 1)."""

    def of(first: int, count: int) -> tuple[Any, Any]:
        as_files = images(first, count).reshape(count, 3, 32, 32)
        return as_files.transpose(0, 2, 3, 1), labels()[first : first + count, np.newaxis].astype(np.uint8)

    return of(0, FIRST_TEST), of(FIRST_TEST, PER_FILE)


def to_categorical(y: Any, num_classes: int = CLASSES) -> Any:
    return np.eye(num_classes)[np.ravel(y).astype(int)]


CIFAR10 = types.SimpleNamespace(load_data=load_data)
UTILS = types.SimpleNamespace(to_categorical=to_categorical)
DATASETS = types.SimpleNamespace(cifar10=CIFAR10)
KERAS = {"cifar10": CIFAR10, "datasets": DATASETS, "utils": UTILS, **vars(CIFAR10), **vars(UTILS)}
KERAS["keras"] = types.SimpleNamespace(**KERAS)
