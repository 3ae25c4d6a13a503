"""What does a network see of an image that is flipped and shifted? The first training images, each beside some of its
versions.

They are made of standardized images, as in a training, and scaled back to pixels: what moved in is the mean image.
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import run_folder
from command_line import checked_seed, run_script
from data_sources import load
from image_data import ImageData, Images, pixel_statistics, standardized, warn
from matplotlib.figure import Figure

from manual_mlp import FlipsAndShifts
from manual_mlp.checks import checked_integer


@dataclass(frozen=True)
class Settings:
    data: str = "auto"
    """auto, cifar10, synthetic or an .npz file; auto takes the synthetic stand-in where CIFAR-10 cannot be had."""
    data_dir: Path = Path("data")
    """Where CIFAR-10 lies or is downloaded to."""
    images: int = 5
    """The first training images, one in a row of the figure."""
    copies: int = 9
    """Versions of each image."""
    shift: int = 3
    """Pixels that an image moves at most, in each direction."""
    flip: float = 0.5
    """The probability that an image is mirrored."""
    seed: int = 0
    """Draws flips and shifts."""
    results: Path = Path("results")
    """The figure goes into a folder in RESULTS/augmentation_examples."""


def main(settings: Settings) -> None:
    checked_integer("--images", settings.images, minimum=1)
    checked_integer("--copies", settings.copies, minimum=1)
    checked_seed(settings.seed)
    data = load(settings.data, settings.data_dir)
    shape = data.x_train.shape[1:]
    if settings.images > len(data.x_train):
        raise ValueError(f"--images is {settings.images}; {data.name} has {len(data.x_train)} training images")
    if shape[2] not in (1, 3):
        raise ValueError(f"--data is {settings.data}: its images have {shape[2]} channels; 1 or 3 can be drawn")
    augment = FlipsAndShifts(shape, shift=settings.shift, flip=settings.flip)
    parent = run_folder.prepare(settings.results, "augmentation_examples")
    warn(data)
    rng = np.random.default_rng(settings.seed)
    originals, versions = examples(data, augment, settings.images, settings.copies, rng)
    name = f"augmentation_{data.slug}_seed{settings.seed}"
    with run_folder.new_folder(parent, name) as folder:
        config = {**asdict(settings), "data_dir": str(settings.data_dir), "results": str(settings.results)}
        run_folder.write_json(folder / "config.json", run_folder.provenance(config, data))
        title = f"{data.name}: training images, and versions flipped with probability {settings.flip:g} and shifted "
        plot(folder / "augmentation.png", f"{title}by up to {settings.shift} pixels", originals, versions)
    print(f"the figure is in {parent}")


def examples(
    data: ImageData, augment: FlipsAndShifts, images: int, copies: int, rng: np.random.Generator
) -> tuple[Images, Images]:
    """The first images (N, H, W, C), and versions (N, copies, H, W, C) of each."""
    mean, std = pixel_statistics(data.x_train)
    originals = data.x_train[:images]
    batch = augment(np.repeat(standardized(originals, mean, std), copies, axis=0), rng)  # (N copies, D)
    pixels = np.rint(batch * std + mean).clip(0, 255).astype(np.uint8)
    return originals, pixels.reshape(images, copies, *originals.shape[1:])


def plot(file: Path, title: str, originals: Images, versions: Images) -> None:
    """A row an image: the original, a gap, its versions."""
    rows, columns = versions.shape[:2]
    figure = Figure(figsize=(1 + columns, 0.6 + rows), layout="constrained")
    figure.suptitle(title, fontsize=9, parse_math=False)  # a file's name may contain a dollar sign
    panels = figure.subplots(rows, columns + 2, squeeze=False, width_ratios=[1, 0.15, *[1] * columns])
    for line, original, others in zip(panels, originals, versions, strict=True):
        for axes in line:
            axes.set_axis_off()
        for axes, image in zip((line[0], *line[2:]), (original, *others), strict=True):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    run_script(main, Settings)
