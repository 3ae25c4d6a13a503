"""How long does one update of the best network take, by hand and in torch, and how much of it is augmentation?

By hand: masks, forward, backward, AdamW. In torch: the twin with F.dropout and torch's fused AdamW. Both are handed the
same batch in float32 and take turns with the same number of threads; what counts is the median over the rounds of one's
time over the other's. The images are random numbers.
"""

import blas_threads
import interruption

if __name__ == "__main__":
    interruption.end_at_once()
    blas_threads.sleep_soon()

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import run_folder
import torch
from benchmark import described, same_environment
from command_line import run_script
from interleaved import Times, interleaved, ratio
from runs import RUNS, new_network
from tqdm import tqdm

from manual_mlp.checks import checked_integer
from torch_reference import TwinAdamW, mirror

SHAPE = (32, 32, 3)


@dataclass(frozen=True)
class Settings:
    rounds: int = 15
    """Turns of each."""
    updates: int = 20
    """Timed updates in a turn."""
    batch_size: int = RUNS["best-mlp"].batch_size
    """Images in an update."""
    results: Path = Path("results")
    """The measurement leaves a folder in RESULTS/best_update."""


def main(settings: Settings) -> None:
    checked_integer("--rounds", settings.rounds, minimum=1)
    checked_integer("--updates", settings.updates, minimum=1)
    checked_integer("--batch-size", settings.batch_size, minimum=2)
    parent = run_folder.prepare(settings.results, "best_update")
    environment = same_environment()
    times = measured(settings)
    with run_folder.new_folder(parent, "best_update") as folder:
        run_folder.write_json(folder / "config.json", {**asdict(settings), "results": str(settings.results)})
        content = {"environment": environment, "seconds_per_update": {who: list(row) for who, row in times.items()}}
        run_folder.write_json(folder / "summary.json", content)
    print(described(environment))
    print(table(times))


def measured(settings: Settings) -> Times:
    """Seconds of an update by each, and of an augmentation, round by round."""
    run, n = RUNS["best-mlp"], settings.batch_size
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((n, 3072), np.float32), rng.integers(0, 10, n)
    net = new_network(run, 3072, 10, seed=0)
    twin = TwinAdamW(mirror(net), run.weight_decay)
    optimizer, gradients, workspace = run.new_optimizer(net), net.parameters.zeros_like(), net.workspace(n)
    augment, moved = run.augmentation(SHAPE), x.copy()
    tensors = torch.tensor(x), torch.tensor(y)

    def manual() -> float:
        loss = net.loss_and_gradients(x, y, gradients, workspace, net.dropout_masks(n, rng))
        optimizer(net.parameters, gradients, 1e-4, run.l2)
        return loss

    functions: dict[str, Any] = {
        "manual": manual,
        "torch eager": lambda: twin.update(*tensors, 1e-4),
        "augmentation": lambda: augment(moved, rng) if augment else moved,
    }
    with tqdm(total=len(functions) * settings.rounds, unit=" turns", leave=False) as bar:
        return interleaved(functions, settings.rounds, settings.updates, bar)


def table(times: Times) -> str:
    lines = [f"{who:<14} {1e3 * np.median(row):8.2f} ms" for who, row in times.items()]
    for one, other in (("manual", "torch eager"), ("augmentation", "manual")):
        lines.append("{} over {}: {:.2f} ({:.2f}-{:.2f})".format(one, other, *ratio(times, one, other)))
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(main, Settings)
