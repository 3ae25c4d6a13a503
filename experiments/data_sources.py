"""Where images come from: CIFAR-10, a file of the same form, or a built-in stand-in."""

import hashlib
import http.client
import os
import socket
import sys
import tempfile
import threading
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from image_data import ImageData, image_data

NETWORK_TIMEOUT = 15  # seconds; a server that has not answered by then is not there
MOST_UNPACKED = 4 * 2**30  # bytes of an .npz file's arrays; CIFAR-10 takes 0.2 GiB
RESERVED = ("cifar10", "synthetic")  # what folders and tables call the data that this file itself provides


def load(source: str, data_dir: Path) -> ImageData:
    """`auto`, `cifar10`, `synthetic` or the path of an .npz file."""
    match source:
        case "synthetic":
            return synthetic()
        case "cifar10":
            return cifar10(data_dir)
        case "auto":
            try:
                return cifar10(data_dir)
            except OSError as error:
                print(f"note: {error}", file=sys.stderr)
                return synthetic()
    if not source.lower().endswith(".npz"):
        raise ValueError(f"--data is {source!r}; it must be auto, cifar10, synthetic or the path of an .npz file")
    return from_file(Path(source))


def synthetic() -> ImageData:
    """A deterministic stand-in of CIFAR-10's sizes on which learning curves look like real ones.

    An image is 8 x 8 blocks of noise, to which its class adds a faint mean, all that a linear classifier can see,
    and one of four patterns, light on dark or dark on light: their average is 0, so finding them takes hidden
    units.
    """
    images, classes, patterns, blocks = 60_000, 10, 4, (8, 8, 3)
    rng = np.random.default_rng(1)
    y = rng.integers(0, classes, images).astype(np.uint8)
    class_means = rng.standard_normal((classes, *blocks), np.float32)
    class_patterns = rng.standard_normal((classes, patterns, *blocks), np.float32)
    sign = rng.choice(np.array([-1, 1], np.float32), (images, 1, 1, 1))
    values = rng.standard_normal((images, *blocks), np.float32)  # (N, 8, 8, 3)
    values += np.float32(0.09) * class_means[y]
    values += np.float32(0.23) * sign * class_patterns[y, rng.integers(0, patterns, images)]
    pixels = np.clip(128 + 40 * values, 0, 255).astype(np.uint8)
    x = pixels.repeat(4, axis=1).repeat(4, axis=2)  # (N, 32, 32, 3)
    warning = "These are results on a synthetic stand-in, NOT on CIFAR-10: do not compare them with published ones"
    return image_data("synthetic stand-in", "synthetic", warning, x[:50_000], y[:50_000], x[50_000:], y[50_000:])


def from_file(path: Path) -> ImageData:
    """x_train, y_train, x_test, y_test from an .npz file: uint8 images (N, H, W, C), integer labels (N,). No pickle."""
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("it is no zip archive, as every .npz file is, or only a part of one")
            unpacked = sum(member.file_size for member in zipfile.ZipFile(stream).infolist())
            if unpacked > MOST_UNPACKED:
                raise ValueError(
                    f"it would unpack to {unpacked / 2**30:.3g} GiB, above {MOST_UNPACKED / 2**30:.3g} GiB"
                )
            stream.seek(0)
            file = np.load(stream, allow_pickle=False)
            if missing := [name for name in names if name not in file]:
                raise ValueError(f"it lacks {', '.join(missing)} and has {', '.join(file) or 'nothing'}")
            x_train, y_train, x_test, y_test = (np.asarray(file[name]) for name in names)
    except FileNotFoundError:
        raise ValueError(f"--data is {path}: there is no such file") from None
    except Exception as error:  # what zipfile, numpy and the decompressors raise for a damaged file has no common base
        raise ValueError(
            f"--data is {path}: {cause(error)}. It must be an .npz file with x_train, y_train, x_test and y_test, as "
            "numpy.savez writes it"
        ) from None
    for name, x in (("x_train", x_train), ("x_test", x_test)):
        if x.dtype != np.uint8 or x.ndim != 4 or 0 in x.shape or x.shape[1:] != x_train.shape[1:]:
            raise ValueError(
                f"--data is {path}: {name} is {x.dtype} {x.shape}; images must be uint8 (N, H, W, C), N at least 1, "
                "of one size in both parts"
            )
    for name, y, x in (("y_train", y_train, x_train), ("y_test", y_test, x_test)):
        if y.dtype.kind not in "iu" or y.shape != (len(x),):
            raise ValueError(
                f"--data is {path}: {name} is {y.dtype} {y.shape}; labels must be integers ({len(x)},), one an image"
            )
        found, classes = np.unique(y), len(np.unique(y_train))
        if classes < 2 or found[0] < 0 or found[-1] >= classes:
            raise ValueError(
                f"--data is {path}: {name} has labels from {found[0]} to {found[-1]}; y_train must number at least two "
                "classes from 0 without a gap, and y_test have no other"
            )
    name, slug = (os.fsencode(part).decode(errors="replace") for part in (path.name, path.stem))  # printable
    if slug.lower().replace("-", "").startswith(RESERVED):  # by its content alone a file is CIFAR-10
        name, slug = f"file {name}", f"file-{slug}"
    return image_data(name, slug, "", x_train, y_train, x_test, y_test)


def cifar10(data_dir: Path) -> ImageData:
    """CIFAR-10 through torchvision, whose checksums decide; downloaded into `data_dir` where it is missing.

    Raises an OSError with the cause and the ways out if it cannot be had.
    """
    from torchvision.datasets import CIFAR10  # takes seconds to import, and nothing else here needs it

    def read() -> tuple[CIFAR10, CIFAR10]:
        return CIFAR10(data_dir, train=True), CIFAR10(data_dir, train=False)

    archive = data_dir / CIFAR10.filename
    try:
        try:
            train, test = read()
        except RuntimeError:  # not there, or a wrong checksum
            if md5(archive) == CIFAR10.tgz_md5:
                CIFAR10(data_dir, download=True)  # sees the archive and only unpacks it
            else:
                download(CIFAR10, data_dir)
            train, test = read()
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        damaged = f" ({archive} is damaged: its checksum is wrong)" if md5(archive) not in ("", CIFAR10.tgz_md5) else ""
        raise OSError(
            f"CIFAR-10 is not in {data_dir}{damaged} and cannot be downloaded: {cause(error)}. Put {CIFAR10.filename} "
            f"into {data_dir}, or use --data FILE.npz, or --data synthetic"
        ) from None
    y_train, y_test = np.array(train.targets), np.array(test.targets)
    return image_data("CIFAR-10", "cifar10", "", train.data, y_train, test.data, y_test, is_cifar10=True)


def download(dataset: Any, data_dir: Path) -> None:
    """Into a folder of its own first, so that an interrupted download leaves nothing behind."""
    check_reachable(dataset.url)
    data_dir.mkdir(parents=True, exist_ok=True)
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(NETWORK_TIMEOUT)  # a connection that stalls is an error, not a wait without end
    try:
        with tempfile.TemporaryDirectory(prefix=".download-", dir=data_dir) as folder:
            dataset(folder, download=True)
            (data_dir / dataset.base_folder).mkdir(exist_ok=True)
            for file in Path(folder).rglob("*"):
                if file.is_file():
                    file.replace(data_dir / file.relative_to(folder))
    finally:
        socket.setdefaulttimeout(previous)


def check_reachable(url: str) -> None:
    """Raises OSError unless the server answers in time. Asked in a thread: a name look-up has no time limit of its
    own.
    """
    answer: list[Exception | None] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=NETWORK_TIMEOUT).close()
            answer.append(None)
        except (OSError, http.client.HTTPException) as error:
            answer.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(NETWORK_TIMEOUT)
    error: Exception | None = answer[0] if answer else TimeoutError(f"no answer within {NETWORK_TIMEOUT} s")
    if error is not None:
        raise OSError(f"{url}: {cause(error)}")


def md5(file: Path) -> str:
    """The checksum that CIFAR-10's home page publishes for its archive; empty if there is no such file."""
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() if file.is_file() else ""


def cause(error: BaseException) -> str:
    return str(error) or type(error).__name__
