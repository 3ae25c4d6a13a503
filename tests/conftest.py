"""What several tests start from: networks whose every parameter has left its default, batches, images, scripts."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # pytest -n: each worker has a core; to be said before NumPy is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import importlib
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import interruption
import numpy as np
import pytest
from command_line import run_script
from data_sources import from_file
from hypothesis import settings
from image_data import ImageData
from matplotlib.figure import Figure

from manual_mlp import MLP
from manual_mlp.adapters import child, watched
from manual_mlp.layers import batch_norm_forward, linear_forward

WIDTHS = (9, 7, 6, 5, 8, 6, 7, 5, 6)  # neighbours differ, so that a transposed matrix does not fit

settings.register_profile("default", max_examples=100, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=2000, deadline=None, derandomize=False)
settings.load_profile("default")  # --hypothesis-profile thorough comes after it

SEED = 0
PATIENCE = 600  # seconds for what takes a few: no test fails because the machine is busy


@pytest.fixture(autouse=True)
def cores_as_before():
    """A benchmark holds its process to some of the cores; the tests behind it have all of them again."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    yield
    if before is not None:
        os.sched_setaffinity(0, before)


signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell has ignored in what runs in its background


@pytest.fixture(autouse=True)
def signals():
    """A script that ends in this process has it ignore them."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def written_images(folder: Path, images: int, side: int, classes: int) -> Path:
    """A file of small random images, two thirds of them to train on."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (images, side, side, 3), np.uint8), rng.integers(0, classes, images)
    train = 2 * images // 3
    np.savez(folder / "tiny.npz", x_train=x[:train], y_train=y[:train], x_test=x[train:], y_test=y[train:])
    return folder / "tiny.npz"


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 images of 6 x 6 pixels in 4 classes. Not to be changed: many tests read it."""
    return written_images(tmp_path_factory.mktemp("images"), 300, 6, 4)


@pytest.fixture(scope="session")
def smaller_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 images of 4 x 4 pixels in 3 classes. Not to be changed either."""
    return written_images(tmp_path_factory.mktemp("smaller_images"), 150, 4, 3)


@pytest.fixture(scope="session")
def data(smaller_images: Path) -> ImageData:
    return from_file(smaller_images)


class Run(Protocol):
    def __call__(self, script: str, *arguments: object) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a script in this process, which has imported already what takes a new one seconds."""

    def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        module = importlib.import_module(script)
        command = [f"{script}.py", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        handlers = {number: signal.getsignal(number) for number in interruption.SIGNALS}
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run_script(module.main, module.Settings)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        return subprocess.CompletedProcess(command, ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures become empty files: to draw one takes longer than to train what it shows."""
    monkeypatch.setattr(Figure, "savefig", lambda _, file, **__: Path(file).touch())


class Case(NamedTuple):
    net: MLP
    x: np.ndarray
    y: np.ndarray


def perturb(net: MLP, rng: np.random.Generator, gamma_scale: float = 1.0) -> None:
    """Moves biases and betas off 0, gammas off 1 and to both signs: defaults hide wrong backward passes."""
    for name, values in net.parameters.items():
        if name.endswith(".bias"):
            values[:] = rng.normal(0, 0.5 * gamma_scale, values.shape)
        elif name.startswith("bn"):
            values[:] = gamma_scale * rng.uniform(0.5, 1.5, values.shape) * rng.choice([-1, 1], values.shape)
    for name, values in net.buffers.items():
        values[:] = (
            rng.uniform(0.5, 1.5, values.shape) if name.endswith("running_var") else rng.normal(size=values.shape)
        )


def distance_from_kinks(net: MLP, x: np.ndarray, masks: list[np.ndarray] | None = None) -> float:
    """The smallest |ReLU input|: a difference that carries one across 0 measures another function."""
    nearest, values = np.inf, net.parameters
    _, caches = net.forward_with_caches(x, True, masks)
    for layer, cache in enumerate(caches[:-1], start=1):
        z, _ = linear_forward(cache.linear.x, values[f"linear{layer}.weight"], values[f"linear{layer}.bias"])
        if net.batch_norm and not net.relu_first:
            z, _ = batch_norm_forward(z, values[f"bn{layer}.weight"], values[f"bn{layer}.bias"])
        nearest = min(nearest, np.abs(z).min())
    return nearest


@pytest.fixture
def make_case() -> Callable[..., Case]:
    """A perturbed float64 network of any depth and a batch for it, the same for the same arguments.

    Two rows under batch normalization become x_hat = +-1 whatever they were, and the true gradient in front of it
    almost vanishes, unless their variance is of the size of eps = 1e-5. So for batches of two all scales are small,
    but for the output layer's, which keeps the gradients well above the rounding of a difference.
    """

    def make(depth: int, batch_norm: bool, batch: int, classes: int = 4) -> Case:
        rng = np.random.default_rng([SEED, depth, batch_norm, batch, classes])
        small = batch_norm and batch == 2
        while True:
            net = MLP(
                [*WIDTHS[:depth], classes],
                batch_norm=batch_norm,
                initializer=0.03 if small else "he",
                rng=rng,
                dtype=np.float64,
            )
            perturb(net, rng, gamma_scale=0.06 if small else 1.0)
            if small:
                net.parameters[f"linear{depth}.weight"] *= 30
            x = rng.normal(0, 0.05 if small else 1.0, (batch, net.sizes[0]))
            if distance_from_kinks(net, x) > (1e-4 if small else 3e-4):  # far beyond what a step of 1e-5 moves
                return Case(net, x, rng.integers(0, classes, batch))

    return make


STRANGERS = Path(__file__).parent / "strangers"


def dd2424_program(file, lines=()):
    """The text of a stranger's file, with other lines in it."""
    text = (STRANGERS / "dd2424" / f"{file}.py").read_text()
    for source, instead in dict(lines).items():
        assert source in text
        text = text.replace(source, instead)
    return text


@pytest.fixture
def inspected(tmp_path, monkeypatch):
    """The checks of a program, by title, and what is said about the file; in this process."""
    monkeypatch.setattr(watched, "SECONDS", 12.0)  # they are all small

    def inspect(file, convention, text=None, functions=(), only=None):
        folder = STRANGERS / convention
        if text is not None:
            for name in ("layers.py",):
                if (folder / name).is_file():
                    (tmp_path / name).write_text((folder / name).read_text())
            folder = tmp_path
            (folder / file).write_text(text)
        settings = {"file": str(folder / file), "convention": convention, "functions": dict(functions), "arguments": {}}
        with child.loaded(settings, lambda _: None) as program:
            titles = [inspection.title for inspection in child.CONVENTIONS[convention].inspections(program)]
            read = [title for title in titles if title.startswith("network")][-1:]  # what the other checks go by
            finished = [t for t in titles if only is not None and not t.startswith(only) and t not in read]
            *checks, last = child.outcomes(program, convention, finished)
        return {event["check"]["title"]: event["check"] for event in checks}, last

    return inspect
