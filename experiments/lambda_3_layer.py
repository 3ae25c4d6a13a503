"""How does lambda act on the 3-layer network with batch normalization?

Claim      R4's ten values, from 1.2e-5 to 1.2e-2, with loss and accuracy on training and validation images.
Measured   52 to 54.4 % of the validation images, the best from 3e-3 to 1.1e-2: 3 to 5 points above R4's, whose settings
           must have been others
Settings   hidden layers (50, 50), 45,000 images, two cycles of n_s 2250, He initialization: as R4's other networks
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

import dataclasses

from answers import Answer, Measure, Published, Table
from command_line import run_script
from matplotlib.figure import Figure
from reproduction import Reproduction, Settings, show
from runs import RUNS
from seed_statistics import mean, standard_error

DEFAULT = RUNS["3-layer-bn"]
MEASURES: tuple[Measure, ...] = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
COSTS: tuple[Measure, ...] = ("train_cost", "train_accuracy", "validation_cost", "validation_accuracy")
R4 = {
    1.2106e-5: (1.2298, 0.5671, 1.4737, 0.4762),
    2.2561e-5: (1.2185, 0.5745, 1.4700, 0.4756),
    4.7473e-5: (1.2531, 0.5673, 1.4928, 0.4722),
    6.1980e-5: (1.2372, 0.5748, 1.4952, 0.4816),
    7.9284e-5: (1.2264, 0.5777, 1.4604, 0.4894),
    9.8634e-4: (1.3091, 0.5852, 1.5421, 0.4958),
    3.4245e-3: (1.3077, 0.5920, 1.5182, 0.5110),
    9.8904e-3: (1.3938, 0.5694, 1.5489, 0.5110),
    1.1019e-2: (1.4061, 0.5653, 1.5409, 0.5100),
    1.2170e-2: (1.4252, 0.5565, 1.5532, 0.5004),
}
REASON = (
    "R4's table is not of the settings that its report gives. At lambda 0.005, between two of these values, R4 "
    "publishes 53 % of the test images for the same network, as we find, but at most 51.1 % of the validation images "
    "here. It trained less for this table, and its 'loss' is the cost, penalty included: with one cycle of n_s 1125 on "
    "30,000 images the rows below lambda 1e-4 come out, and the training costs of the largest (table below). We found "
    "no single setting for all ten rows: not one cycle on all images, not other batch sizes, learning rates or first "
    "weights."
)
PUBLISHED = tuple(
    Published(
        "R4",
        f"lambda {l2:.4g}, {measure.replace('_', ' ')}",
        value,
        dataclasses.replace(DEFAULT, l2=l2),
        measure,
        REASON,
    )
    for l2, values in R4.items()
    for measure, value in zip(MEASURES, values, strict=True)
)
SHORTER = dataclasses.replace(DEFAULT, cycles=1, step_size=1125, n_train=30_000)


def answer(reproduction: Reproduction) -> Answer:
    rows = reproduction.beside(PUBLISHED)
    ours = {row.published.run.l2: row.ours for row in rows if row.published.measure == "validation_accuracy"}
    best = max(ours, key=lambda l2: mean(ours[l2]))
    claim = reproduction.claim(
        f"lambda {best:.4g}, the best of the ten, not 0.005",
        dataclasses.replace(DEFAULT, l2=best),
        DEFAULT,
    )
    return Answer(
        "Lambda for the 3-layer network with batch normalization",
        "Hidden layers (50, 50), 45,000 images, two cycles of n_s 2250, He initialization.",
        rows,
        (claim,),
        (shorter_training(reproduction),),
        {"lambda_3_layer": plot(ours)},
    )


def shorter_training(reproduction: Reproduction) -> Table:
    """Evidence for the reason: less training on fewer images, and the cost where R4 says loss."""
    runs = {l2: dataclasses.replace(SHORTER, l2=l2) for l2 in R4}
    reproduction.make(runs.values(), test=False)
    rows = []
    for l2, values in R4.items():
        run = runs[l2]
        found = [mean(reproduction.measured(run, measure, test=False)) for measure in COSTS]
        rows.append((f"{l2:.4g}", *(f"{theirs:.4f} / {ours:.4f}" for theirs, ours in zip(values, found, strict=True))))
    return Table(
        "One cycle of n_s 1125 on 30,000 images: R4's number / ours, the loss read as the cost",
        ("lambda", "training cost", "training accuracy", "validation cost", "validation accuracy"),
        tuple(rows),
    )


def plot(ours: dict[float, tuple[float, ...]]) -> Figure:
    """R4's single trainings and ours with their standard errors."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        list(R4), [100 * values[3] for values in R4.values()], "x", color="tab:orange", label="R4, one training each"
    )
    axes.errorbar(
        list(ours),
        [100 * mean(values) for values in ours.values()],
        [100 * standard_error(values) for values in ours.values()],
        fmt="ko",
        capsize=3,
        label=f"ours, {len(next(iter(ours.values())))} seeds",
    )
    axes.set_xscale("log")
    axes.set_xlabel("lambda")
    axes.set_ylabel("validation accuracy (%)")
    axes.set_title("3-layer network with batch normalization", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def main(settings: Settings) -> None:
    show(answer, settings)


if __name__ == "__main__":
    run_script(main, Settings)
