"""Do the manual network and its torch twin stay together through a whole training?

Both start from the same values and see the same batches. In float64 parameters and buffers may drift apart by 1e-11
of the largest weight, and every test image must be classified alike: exit code 1 otherwise. In float32 they do
part, and the script says from which update on: the first at which a ReLU is open with the values of the one and
shut with those of the other.
"""

import os

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the thread pools of NumPy and torch get in each other's way

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import checkpoints
import numpy as np
import run_folder
import torch
from command_line import checked_seed, run_script
from data_sources import load
from image_data import ImageData, Splits, check_sizes, split, warn
from matplotlib.figure import Figure
from numpy.typing import NDArray
from runs import check_hidden
from tqdm import tqdm
from unfinished import Unfinished

from manual_mlp import MLP, cyclical_learning_rate, minibatches, sgd_update
from manual_mlp.blocks import relu_signs
from manual_mlp.checks import checked_integer, checked_number
from manual_mlp.training import first_not_finite, remedy
from torch_reference import Twin, TwinSGD, mirror, mirror_back

BOUND = 1e-11  # float64: largest difference of any parameter or buffer, relative to the largest weight


@dataclass(frozen=True)
class Settings:
    dtype: Literal["float64", "float32"] = "float64"
    """Precision of both networks."""
    hidden: tuple[int, ...] = (50, 50)
    """Widths of the hidden layers."""
    batch_norm: bool = True
    """Batch normalization in every hidden layer."""
    l2: float = 0.005
    """lambda: the cost is loss + lambda times the sum of the squared weights."""
    updates: int = 9000
    """Updates of the training."""
    step_size: int = 2250
    """n_s: updates in half a cycle of the learning rate."""
    batch_size: int = 100
    """Images in an update."""
    n_train: int = 45_000
    """Images to train on, the first of the training images."""
    data: str = "auto"
    """auto, cifar10, synthetic or an .npz file; auto takes the synthetic stand-in where CIFAR-10 cannot be had."""
    data_dir: Path = Path("data")
    """Where CIFAR-10 lies or is downloaded to."""
    results: Path = Path("results")
    """The comparison leaves a folder in RESULTS/side_by_side."""
    seed: int = 0
    """Draws the first weights and the order of the images."""
    resume: bool = False
    """Go on with a comparison that was interrupted, and take one that had finished as it is."""
    checkpoint_seconds: float = 10.0
    """How often an unfinished comparison is saved; 0 saves after every update."""


@dataclass
class Drift:
    """How far the two are apart, along the way."""

    steps: list[int]  # after so many updates
    parameters: list[float]  # max |difference| / largest weight
    buffers: list[float]
    losses: list[float]  # |difference| of the batch loss
    first_sign: int | None = None  # the first update at which a ReLU's sign differs

    def add(self, step: int, net: MLP, twin: Twin, losses: tuple[float, float]) -> None:
        state = {name: value.numpy() for name, value in twin.state_dict().items()}
        largest = np.abs(net.parameters.weights).max()
        self.steps.append(step)
        for values, arrays in ((self.parameters, net.parameters), (self.buffers, net.buffers)):
            apart = [np.abs(array - state[name]).max() for name, array in arrays.items()]
            values.append(float(max(apart, default=0.0) / largest))
        self.losses.append(abs(losses[0] - losses[1]))


@dataclass(frozen=True)
class Comparison:
    """Where the two are between two updates; what else it takes to go on are the arrays of `Pair.values`."""

    step: int  # updates made
    epoch: Mapping[str, Any]  # the generator's state before it draws the order of the epoch that the next update is in
    drift: Drift


def comparison(content: dict[str, Any], *, updates: int) -> Comparison:
    """A Comparison from JSON."""
    step = checkpoints.checked_step(content["step"], updates)
    np.random.PCG64().state = content["epoch"]
    return Comparison(step, content["epoch"], drift_of(content["drift"], step, updates))


def drift_of(content: dict[str, Any], step: int, updates: int) -> Drift:
    """A Drift from JSON, as it is after `step` of `updates` updates."""
    drift = Drift(**content)
    for row in zip(drift.steps, drift.parameters, drift.buffers, drift.losses, strict=True):
        checked_integer("a step of its drift", row[0], minimum=1)
        for value in row[1:]:
            checked_number("its drift", value, minimum=0)
    if drift.steps != [milestone for milestone in milestones(updates) if milestone <= step]:
        raise ValueError("its drift does not fit its updates")
    if drift.first_sign is not None and checked_integer("its first sign", drift.first_sign, minimum=0) >= step:
        raise ValueError("its first sign does not fit its updates")
    return drift


def milestones(updates: int) -> list[int]:
    """The numbers of updates after which the drift is measured."""
    return sorted({1, *np.geomspace(1, updates, 60).round().astype(int).tolist(), *(10, 100, 1000), updates})


class Pair:
    """The manual network and its twin, both at the first values, and what is measured at every update."""

    def __init__(self, settings: Settings, inputs: int, classes: int) -> None:
        self.net = MLP(
            [inputs, *settings.hidden, classes],
            batch_norm=settings.batch_norm,
            rng=np.random.default_rng([settings.seed, 0]),
            dtype=np.dtype(settings.dtype),
        )
        self.twin = mirror(self.net)
        self.losses, self.seconds = np.zeros((2, settings.updates)), np.zeros((2, settings.updates))

    @property
    def values(self) -> checkpoints.Values:
        """The arrays themselves, also the twin's: what is written into them is in the twin."""
        twin = {f"twin.{name}": value.numpy() for name, value in self.twin.state_dict().items()}
        return {**checkpoints.values_of(self.net), **twin, "losses": self.losses, "seconds": self.seconds}


def main(settings: Settings) -> None:
    cyclical_learning_rate(0, settings.step_size)
    checked_integer("--updates", settings.updates, minimum=1)
    checked_integer("--batch-size", settings.batch_size, minimum=2)
    checked_number("--l2", settings.l2, minimum=0)
    check_hidden(settings.hidden)
    checked_seed(settings.seed)
    checked_number("--checkpoint-seconds", settings.checkpoint_seconds, minimum=0)
    if settings.n_train % settings.batch_size:
        raise ValueError(
            f"--batch-size is {settings.batch_size}; it must divide --n-train, {settings.n_train}: batches of one size"
        )
    data = load(settings.data, settings.data_dir)
    warn(data)
    check_sizes(data, settings.n_train, 1)
    parent = run_folder.prepare(settings.results, "side_by_side")
    name = f"{len(settings.hidden) + 1}-layer{'-bn' if settings.batch_norm else ''}_{settings.dtype}_{data.slug}"
    folder = parent / f"{name}_seed{settings.seed}"
    elsewhere = ("data", "data_dir", "results", "resume", "checkpoint_seconds")
    arguments = {key: value for key, value in asdict(settings).items() if key not in elsewhere}
    config = run_folder.provenance({**arguments, "torch": torch.__version__}, data)
    identity = {key: config[key] for key in (*arguments, "torch", "data")}
    summary = compare(settings, data, folder, config, identity)
    print(table(summary))
    apart = summary["largest_drift"] > BOUND or summary["classified_alike"] < summary["test_images"]
    if settings.dtype == "float64" and apart:
        print(
            f"error: the float64 networks came apart: allowed {BOUND:g} and no image classified otherwise",
            file=sys.stderr,
        )
        sys.exit(1)


def compare(
    settings: Settings, data: ImageData, folder: Path, config: dict[str, Any], identity: dict[str, Any]
) -> dict[str, Any]:
    """Trains both and leaves the folder, or takes that of an earlier comparison."""
    pair = Pair(settings, data.inputs, data.classes)
    with Unfinished(
        folder,
        pair.values,
        identity,
        partial(comparison, updates=settings.updates),
        resume=settings.resume,
        seconds=settings.checkpoint_seconds,
    ) as unfinished:
        done = unfinished.state.step if unfinished.state else 0
        if settings.resume and done in (0, settings.updates):  # at the end: it was killed before it removed that
            earlier = run_folder.finished(folder.parent, folder.name, identity)
            if earlier is not None:
                return read_summary(earlier)
        splits = split(data, settings.n_train, 1)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows ends in losses that are not finite
            drift = train_both(pair, splits, settings, unfinished.keep, unfinished.state)
        unfinished.keep_last()
        summary = summarized(pair, drift, splits, settings, data)
        with run_folder.new_folder(folder.parent, folder.name) as new:
            run_folder.write_json(new / "config.json", config)
            run_folder.write_json(new / "summary.json", summary)
            plot(new / "side_by_side.png", summary, pair.losses)
    return summary


def summarized(pair: Pair, drift: Drift, splits: Splits, settings: Settings, data: ImageData) -> dict[str, Any]:
    ours, theirs, alike = evaluate_both(pair.net, pair.twin, splits)
    return {
        "data": data.name,
        "warning": data.warning,
        "dtype": settings.dtype,
        "updates": settings.updates,
        "drift": asdict(drift),
        "largest_drift": max(*drift.parameters, *drift.buffers),
        "bound": BOUND if settings.dtype == "float64" else None,
        "test_accuracy": ours,
        "twin_test_accuracy": theirs,
        "test_images": len(splits.test[1]),
        "classified_alike": alike,
        "milliseconds_per_update": 1000 * float(np.median(pair.seconds[0])),
        "twin_milliseconds_per_update": 1000 * float(np.median(pair.seconds[1])),
        "threads": torch.get_num_threads(),
    }


def read_summary(folder: Path) -> dict[str, Any]:
    summary = run_folder.read_json(folder / "summary.json")
    try:
        drift_of(summary["drift"], summary["updates"], summary["updates"])
        table(summary)
        float(summary["largest_drift"])
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{folder}/summary.json is damaged ({error!r}); make the comparison again") from None
    return summary


def train_both(
    pair: Pair,
    splits: Splits,
    settings: Settings,
    on_state: Callable[[Comparison], None],
    resume: Comparison | None = None,
) -> Drift:
    """Trains both, an update of one and then of the other."""
    net, twin, losses = pair.net, pair.twin, pair.losses
    x, y = splits.train[0].astype(net.dtype, copy=False), splits.train[1].astype(np.int64)
    torch_sgd, gradients = TwinSGD(twin, settings.l2), net.parameters.zeros_like()
    workspace = net.workspace(settings.batch_size)
    shadow = MLP(net.sizes, batch_norm=net.batch_norm, rng=np.random.default_rng(0), dtype=net.dtype)
    measured = set(milestones(settings.updates))
    rng = np.random.default_rng([settings.seed, 1])
    batches, batches_per_epoch = minibatches(len(x), settings.batch_size, rng), len(x) // settings.batch_size
    first, epoch, drift = 0, rng.bit_generator.state, Drift([], [], [], [])
    if resume is not None:
        first, epoch, drift = resume.step, resume.epoch, resume.drift
        rng.bit_generator.state = epoch
        for _ in range(first % batches_per_epoch):
            next(batches)
    bar = tqdm(range(first, settings.updates), initial=first, total=settings.updates, unit=" updates")
    for step in bar:
        rows = next(batches)
        eta = cyclical_learning_rate(step, settings.step_size)
        images, labels = x[rows], y[rows]
        if drift.first_sign is None:
            mirror_back(twin, shadow)
            ours, theirs = (relu_signs(one.forward_with_caches(images, training=True)[1]) for one in (net, shadow))
            if not np.array_equal(ours, theirs):
                drift.first_sign = step
        start = time.perf_counter()
        losses[0, step] = net.loss_and_gradients(images, labels, gradients, workspace)
        sgd_update(net.parameters, gradients, eta, settings.l2)
        middle = time.perf_counter()
        losses[1, step] = torch_sgd.update(torch.from_numpy(images), torch.from_numpy(labels), eta)
        pair.seconds[:, step] = middle - start, time.perf_counter() - middle
        if not np.isfinite(losses[:, step]).all():
            raise FloatingPointError(
                f"the losses are {losses[:, step]} at update {step}, where eta is {eta:g}; the first numbers to break "
                f"are {first_not_finite(net, images)}: {remedy(step)}"
            )
        if step + 1 in measured:
            drift.add(step + 1, net, twin, (losses[0, step], losses[1, step]))
            if not np.isfinite([drift.parameters[-1], drift.buffers[-1]]).all():
                raise FloatingPointError(
                    f"the parameters are no longer finite after {step + 1} updates; the first numbers to break are "
                    f"{first_not_finite(net, images)}: {remedy(step + 1)}"
                )
            bar.set_postfix_str(f"loss {losses[0, step]:.3f}, drift {drift.parameters[-1]:.0e}")
        if (step + 1) % batches_per_epoch == 0:
            epoch = rng.bit_generator.state
        on_state(Comparison(step + 1, epoch, drift))
    return drift


def evaluate_both(net: MLP, twin: Twin, splits: Splits) -> tuple[float, float, int]:
    """Test accuracy of both, and how many test images they classify alike."""
    x, y = splits.test[0].astype(net.dtype, copy=False), splits.test[1]
    ours = net.forward(x).argmax(axis=1)
    with torch.no_grad():
        theirs = twin.eval()(torch.from_numpy(x)).argmax(dim=1).numpy()
    return float(np.mean(ours == y)), float(np.mean(theirs == y)), int(np.sum(ours == theirs))


def table(summary: dict[str, Any]) -> str:
    drift = summary["drift"]
    lines = [
        f"{'after updates':>13} {'parameters':>10} {'buffers':>10} {'loss':>10}   ({summary['dtype']}; relative drift)"
    ]
    for number, step in enumerate(drift["steps"]):
        if step in (1, 10, 100, 1000, summary["updates"]):
            values = (drift[key][number] for key in ("parameters", "buffers", "losses"))
            lines.append(f"{step:>13} {' '.join(f'{value:>10.1e}' for value in values)}")
    first = drift["first_sign"]
    ratio = summary["milliseconds_per_update"] / summary["twin_milliseconds_per_update"]
    return "\n".join(
        [
            *lines,
            f"first ReLU open in one and shut in the other: {'never' if first is None else f'update {first}'}",
            f"test accuracy on {summary['data']}: manual {100 * summary['test_accuracy']:.2f} %, "
            f"torch {100 * summary['twin_test_accuracy']:.2f} %; "
            f"{summary['classified_alike']} of {summary['test_images']} images classified alike",
            f"median update: manual {summary['milliseconds_per_update']:.2f} ms, "
            f"torch {summary['twin_milliseconds_per_update']:.2f} ms, ratio {ratio:.2f} ({summary['threads']} threads)",
        ]
    )


def plot(file: Path, summary: dict[str, Any], losses: NDArray[np.float64]) -> None:
    """Both loss curves over each other, and the drift on a log scale."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    figure.suptitle(
        f"Manual network and torch twin in {summary['dtype']} on {summary['data']}\n"
        f"test accuracy {100 * summary['test_accuracy']:.2f} % and {100 * summary['twin_test_accuracy']:.2f} %, "
        f"{summary['milliseconds_per_update']:.2f} and {summary['twin_milliseconds_per_update']:.2f} ms per update",
        parse_math=False,  # a file's name may contain a dollar sign
    )
    top, bottom = figure.subplots(2, 1)
    window = min(50, losses.shape[1])
    smooth = [np.convolve(row, np.ones(window) / window, mode="valid") for row in losses]
    steps = np.arange(window, losses.shape[1] + 1)
    top.plot(steps, smooth[0], color="0.6", linewidth=5, label="manual")
    top.plot(steps, smooth[1], color="black", linewidth=1, linestyle="--", label="torch")
    top.set_ylabel(f"loss, mean of {window} batches")
    top.set_xlabel("update")
    drift = summary["drift"]
    for key, label, style in (
        ("parameters", "parameters / largest weight", "ko-"),
        ("buffers", "running statistics / largest weight", "ks--"),
        ("losses", "loss of the batch", "k^"),
    ):
        values = [value or np.nan for value in drift[key]]  # a logarithmic axis has no place for 0
        bottom.plot(drift["steps"], values, style, markersize=3, markerfacecolor="white", label=label)
    if summary["bound"]:
        bottom.axhline(summary["bound"], color="black", linewidth=2, label=f"allowed: {summary['bound']:g}")
    if drift["first_sign"] is not None:
        bottom.axvline(drift["first_sign"] + 1, color="0.6", linewidth=3, label="first ReLU that differs")
    bottom.set_xscale("log")
    bottom.set_yscale("log")
    bottom.set_ylabel("difference between the two")
    bottom.set_xlabel("update")
    for axes in (top, bottom):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    run_script(main, Settings)
