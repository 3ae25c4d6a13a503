"""Can the network learn 100 images by heart?

Claim      R2: 100 % of the training images, 21 % of the validation images, 14 % of the test images. R0 shows that the
           loss falls with 50 hidden units, 200 epochs, batches of one and a constant learning rate of 1e-5.
Measured   100 %, 20.95 +- 0.49 % and 20.63 +- 0.56 %
Settings   50 hidden units, no penalty, 100 images, batches of one, 200 epochs; eta 1e-5 (R0) and 1e-3 (R2 names none)
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

import dataclasses

from answers import Answer, Published, Table, mean_and_deviation
from command_line import run_script
from reproduction import Reproduction, Settings, show
from runs import Run
from seed_statistics import mean

R0 = Run(
    (50,),
    False,
    "xavier",
    l2=0.0,
    cycles=1,
    step_size=10_000,
    n_train=100,
    n_validation=10_000,
    eta_min=1e-5,
    eta_max=1e-5,
    batch_size=1,
)
R2 = dataclasses.replace(R0, eta_min=1e-3, eta_max=1e-3)
FEW = (
    "R2's test share is 7 points below its validation share. Over 10,000 images each we find the two alike; over 100, "
    "say, the draw of the images alone moves a share by 4 points (one standard deviation)."
)
PUBLISHED = (
    Published("R2", "training images, by heart", 1.0, R2, "train_accuracy"),
    Published("R2", "validation images", 0.21, R2, "validation_accuracy"),
    Published("R2", "test images", 0.14, R2, "test_accuracy", FEW),
)


def answer(reproduction: Reproduction) -> Answer:
    rows = reproduction.beside(PUBLISHED)
    slow = [reproduction.measured(R0, measure, test=False) for measure in ("train_accuracy", "train_loss")]
    return Answer(
        "Overfitting 100 images",
        "50 hidden units, lambda 0, 100 images, batches of one, 200 epochs. R2 does not name its learning rate; "
        "ours is 1e-3.",
        rows,
        tables=(
            Table(
                "R0's learning rate of 1e-5: its loss falls, but 200 epochs do not do",
                ("training accuracy %", "training loss"),
                ((mean_and_deviation(slow[0], decimals=1), f"{mean(slow[1]):.3f}"),),
            ),
        ),
    )


def main(settings: Settings) -> None:
    show(answer, settings)


if __name__ == "__main__":
    run_script(main, Settings)
