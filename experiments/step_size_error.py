"""How large may the step h of a numerical gradient be, and how small?

Centered and one-sided differences of one small network's cost, in float64 and in float32, beside its analytic gradient
in float64: |difference - gradient| / |gradient|, norms over all entries, for h from 1e-12 to 1e-1. An entry whose step
carries the input of a ReLU across 0 is counted as at a kink, and the error is given without such entries and with them.
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import run_folder
from command_line import checked_seed, run_script
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

from manual_mlp import MLP
from manual_mlp.blocks import relu_signs
from manual_mlp.checks import checked_integer
from manual_mlp.layers import Array, Labels, softmax_cross_entropy_forward

PRECISIONS = ("float64", "float32")
L2 = 0.01


@dataclass(frozen=True)
class Settings:
    hidden: tuple[int, ...] = (20, 20)
    """Units of each hidden layer; inputs and classes are 10, every hidden layer has batch normalization."""
    images: int = 20
    """Images in the batch, drawn at random."""
    steps_per_decade: int = 4
    """Values of h between one power of ten and the next."""
    seed: int = 0
    """Draws parameters, images and labels."""
    results: Path = Path("results")
    """Figure and numbers go into a folder in RESULTS/step_size_error."""


@dataclass(frozen=True)
class Row:
    """The errors over one step h in one precision, relative to the gradient."""

    h: float
    centered: float  # without the entries at kinks
    one_sided: float
    centered_with_kinks: float
    at_kink: float  # share of the entries


def main(settings: Settings) -> None:
    checked_integer("--images", settings.images, minimum=2)
    checked_integer("--steps-per-decade", settings.steps_per_decade, minimum=1)
    checked_seed(settings.seed)
    parent = run_folder.prepare(settings.results, "step_size_error")
    net, x, y = problem(settings)
    gradient = net.cost_and_gradients(x, y, L2)[1].flat
    steps = np.logspace(-12, -1, 11 * settings.steps_per_decade + 1)
    rows: dict[str, list[Row]] = {}
    with tqdm(total=len(PRECISIONS) * len(steps), unit=" steps", leave=False) as bar:
        for precision in PRECISIONS:
            rows[precision] = []
            for h in steps:
                rows[precision].append(measured(in_precision(net, precision), x, y, gradient, float(h)))
                bar.update()
    cost = net.cost(x, y, L2, training=True)
    rms = float(np.sqrt(np.mean(gradient**2)))
    print(table(rows))
    with run_folder.new_folder(parent, "step_size_error") as folder:
        config = {**asdict(settings), "results": str(settings.results), "l2": L2}
        config |= {"versions": run_folder.versions("numpy", "manual-mlp"), "commit": run_folder.commit()}
        run_folder.write_json(folder / "config.json", config)
        summary: dict[str, Any] = {name: [asdict(row) for row in part] for name, part in rows.items()}
        run_folder.write_json(folder / "summary.json", {"cost": cost, "gradient_rms": rms, **summary})
        plot(folder / "step_size_error.png", rows, cost / rms)


def problem(settings: Settings) -> tuple[MLP, Array, Labels]:
    """A float64 network and a batch, all values such as float32 holds exactly: both precisions have the same gradient.

    No bias or beta is 0 and no gamma 1.
    """
    rng = np.random.default_rng(settings.seed)
    net = MLP([10, *settings.hidden, 10], batch_norm=True, rng=rng, dtype=np.float64)
    for name, values in net.parameters.items():
        if name.startswith("bn") or name.endswith("bias"):
            values += rng.normal(0, 0.2, values.shape)
    net.parameters.flat[:] = net.parameters.flat.astype(np.float32)
    x = rng.normal(size=(settings.images, 10)).astype(np.float32).astype(np.float64)
    return net, x, rng.integers(0, 10, settings.images)


def in_precision(net: MLP, precision: str) -> MLP:
    """The network with the same values, computing in this precision."""
    twin = MLP(net.sizes, batch_norm=net.batch_norm, rng=np.random.default_rng(0), dtype=precision)
    twin.parameters.flat[:] = net.parameters.flat
    return twin


def measured(net: MLP, x: Array, y: Labels, gradient: Array, h: float) -> Row:
    """Every entry of every parameter moved by h and by -h."""
    values, x = net.parameters.flat, x.astype(net.dtype)
    centered, one_sided = np.zeros((2, values.size))
    at_kink = np.zeros(values.size, bool)
    start, signs = cost_and_signs(net, x, y)
    for entry, value in enumerate(values.copy()):
        values[entry] = value + net.dtype.type(h)
        above, signs_above = cost_and_signs(net, x, y)
        values[entry] = value - net.dtype.type(h)
        below, signs_below = cost_and_signs(net, x, y)
        values[entry] = value
        centered[entry] = (above - below) / (2 * h)
        one_sided[entry] = (above - start) / h
        at_kink[entry] = (signs_above != signs).any() or (signs_below != signs).any()
    smooth = ~at_kink
    return Row(
        h,
        relative_error(centered[smooth], gradient[smooth]),
        relative_error(one_sided[smooth], gradient[smooth]),
        relative_error(centered, gradient),
        float(at_kink.mean()),
    )


def cost_and_signs(net: MLP, x: Array, y: Labels) -> tuple[float, NDArray[np.bool]]:
    """The cost with the batch's statistics, and for every ReLU input whether it is positive."""
    logits, caches = net.forward_with_caches(x, training=True)
    return float(softmax_cross_entropy_forward(logits, y)[0]) + net.penalty(L2), relu_signs(caches)


def relative_error(differences: Array, gradient: Array) -> float:
    return float(np.linalg.norm(differences - gradient) / np.linalg.norm(gradient))


def table(rows: dict[str, list[Row]]) -> str:
    """Every power of ten, then the best steps."""
    lines = [f"{'':<9} {'h':>8} {'centered':>10} {'one-sided':>10} {'kinks kept':>11} {'at kink':>8}"]
    for precision, part in rows.items():
        for row in part:
            if abs(np.log10(row.h) - round(np.log10(row.h))) < 1e-9:
                errors = f"{row.centered:>10.1e} {row.one_sided:>10.1e} {row.centered_with_kinks:>11.1e}"
                lines.append(f"{precision:<9} {row.h:>8.0e} {errors} {row.at_kink:>8.1%}")
    for precision, part in rows.items():
        for kind in ("centered", "one_sided"):
            best = min(part, key=lambda row: float(getattr(row, kind)))
            label = f"{kind.replace('_', '-')} in {precision}"
            lines.append(f"best h, {label:<21} {best.h:.1e}, error {getattr(best, kind):.0e}")
    return "\n".join(lines)


def plot(file: Path, rows: dict[str, list[Row]], cost_over_gradient: float) -> None:
    """Errors above, kinks below; curves differ in marker and filling, guides in their dashes."""
    figure = Figure(figsize=(8, 8), layout="constrained")
    errors, kinks = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for precision, marker, color in (("float64", "o", "black"), ("float32", "^", "0.5")):
        part = rows[precision]
        h = np.array([row.h for row in part])
        centered, one_sided = [row.centered for row in part], [row.one_sided for row in part]
        line = {"marker": marker, "color": color, "markersize": 5, "linewidth": 1}
        errors.plot(h, centered, **line, label=f"centered, {precision}")
        errors.plot(h, one_sided, **line, markerfacecolor="white", label=f"one-sided, {precision}")
        rounding = float(np.finfo(precision).eps) * cost_over_gradient / h
        name = "rounding: eps cost / (h rms gradient)" if precision == "float64" else None
        errors.plot(h, rounding, color="black", linewidth=1, linestyle="--", label=name)
    part = rows["float64"]
    h = np.array([row.h for row in part])
    middle = int(np.argmin(np.abs(np.log10(h) + 3.5)))
    for error, power, dashes in ((part[middle].centered, 2, ":"), (part[middle].one_sided, 1, "-.")):
        truncation = error * (h / h[middle]) ** power
        truncation[truncation < 1e-11] = np.nan
        name = f"truncation, in proportion to {'h' if power == 1 else 'h²'}"
        errors.plot(h, truncation, color="black", linewidth=1, linestyle=dashes, label=name)
    with_kinks = [row.centered_with_kinks if row.at_kink else np.nan for row in part]
    errors.plot(h, with_kinks, "x", color="black", markersize=6, label="centered, float64, entries at kinks kept")
    errors.set_yscale("log")
    errors.set_ylim(1e-14, 1e4)
    errors.set_ylabel("|difference - gradient| / |gradient|")
    errors.legend(fontsize=8, loc="lower left", ncols=2)
    kinks.step(h, [100 * row.at_kink for row in part], "k-", where="mid")
    kinks.set_yscale("symlog", linthresh=0.1)
    kinks.set_yticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
    kinks.set_ylabel("% of entries\nat a kink")
    kinks.set_xlabel("step h")
    kinks.set_xscale("log")
    for axes in (errors, kinks):
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    run_script(main, Settings)
