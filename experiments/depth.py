"""Do nine layers learn what three do, and does batch normalization help?

Claim      R4: 52 % without and 53 % with batch normalization at 3 layers, 49.8 % and 51.1 % at 9.
Measured   53.02 +- 0.37 and 53.33 +- 0.30 % at 3 layers, which does not decide whether batch normalization helps there;
           48.81 +- 0.90 and 51.33 +- 0.25 % at 9, where it does, by 1.5 to 3.6 points
Settings   hidden layers (50, 50) and (50, 30, 20, 20, 10, 10, 10, 10), 45,000 images, lambda 0.005, two cycles of
           n_s 2250, He initialization
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

import dataclasses

from answers import Answer, Published
from command_line import run_script
from reproduction import Reproduction, Settings, show
from runs import RUNS

THREE, THREE_BN = RUNS["3-layer"], RUNS["3-layer-bn"]
NINE, NINE_BN = (dataclasses.replace(run, hidden=(50, 30, 20, 20, 10, 10, 10, 10)) for run in (THREE, THREE_BN))
WHOLE = "52 % is a whole percent, and 'about' in the course; we are a few hundredths more than a point away."
PUBLISHED = (
    Published("R4", "3 layers, test", 0.52, THREE, reason=WHOLE),
    Published("course", "3 layers, test", 0.52, THREE, reason=WHOLE),
    Published("R4", "3 layers with batch norm, test", 0.53, THREE_BN),
    Published("course", "3 layers with batch norm, test", 0.535, THREE_BN),
    Published("R4", "9 layers, test", 0.498, NINE),
    Published("R4", "9 layers with batch norm, test", 0.511, NINE_BN),
)


def answer(reproduction: Reproduction) -> Answer:
    return Answer(
        "Depth, with and without batch normalization",
        "45,000 images, lambda 0.005, two cycles of n_s 2250, He initialization.",
        reproduction.beside(PUBLISHED),
        (
            reproduction.claim("batch norm at 3 layers", THREE_BN, THREE),
            reproduction.claim("batch norm at 9 layers", NINE_BN, NINE),
            reproduction.claim("3 layers, not 9, without batch norm", THREE, NINE),
            reproduction.claim("3 layers, not 9, with batch norm", THREE_BN, NINE_BN),
        ),
    )


def main(settings: Settings) -> None:
    show(answer, settings)


if __name__ == "__main__":
    run_script(main, Settings)
