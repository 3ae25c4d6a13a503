"""The images that came into a program's training and evaluation, beside those of its files."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from manual_mlp.adapters.dd2424_setup import PARTIAL
from manual_mlp.adapters.held import arrays_of
from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.reading import absent
from manual_mlp.adapters.stand_in_images import FIRST_TEST, PER_FILE, WORDS, Known, Numbers, blocks, recognized
from manual_mlp.adapters.training import Training
from manual_mlp.adapters.watched_batches import training_set
from manual_mlp.diagnosis import diagnose_standardization
from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report
from manual_mlp.layers import Array

SCALES = (1.0, 255.0)  # by which pixels may have been divided where they were loaded
IN_SET = 200  # images, at least; fewer may be a batch
FORMULA = "(x - mean) / std, pixel by pixel, with the mean and std of the training images for every set"
SOME, EVERY = slice(WORDS, WORDS + 12), slice(None)  # pixels of a block; what serves all pixels needs all


def standardization(_: Network, training: Training) -> Report:
    """Training images as they come into the loop, and the other sets: those of which a cost is computed, or else, of
    those that lie near the loop, whichever are right.
    """
    numbers, trained = training_set(training)
    raw = {"train": blocks()[numbers].astype(np.float64)}
    if any(np.allclose(trained, raw["train"] / scale) for scale in SCALES):
        raise absent("standardization")
    files = {*(numbers // PER_FILE).tolist()}
    of_own_file = {name for name, known in others(training.sets, numbers) if by_own_files(known) - files}
    if by_own_files((numbers, trained)) == files and (len(files) > 1 or of_own_file):
        sentence = "the images of every file are standardized by that file's statistics, not by all training images'"
        slip, link = "standardized_by_own_statistics", f"{DERIVATIONS}#standardization"
        places = ["train"] if len(files) > 1 else sorted(of_own_file, reverse=True)  # of one file they are right
        findings = [Finding(f"{name} images", sentence, slip, formula=FORMULA, link=link) for name in places]
        return Report("standardization", findings, ["train images"] * (len(files) == 1))
    given = [leaf.value for asked in training.costs for leaf in arrays_of(asked.step.arguments)]
    evaluated = [known for array in given if (known := recognized(array)) is not None]
    choices: dict[str, list[tuple[Array, Array]]] = {"train": [(raw["train"], trained)]}
    for sets_seen in (evaluated, training.sets):
        settled = set(choices)
        for name, known in others(sets_seen, numbers):
            if name not in settled:
                pair = blocks()[known[0]].astype(np.float64), np.asarray(known[1], dtype=np.float64)
                choices.setdefault(name, []).append(pair)
    sets = {name: min(pairs, key=partial(off, raw["train"])) for name, pairs in choices.items()}
    for pixels, scale in ((SOME, SCALES[0]), (SOME, SCALES[1]), (EVERY, SCALES[0])):
        before, after = ({name: pair[place][:, pixels] for name, pair in sets.items()} for place in (0, 1))
        report = diagnose_standardization({name: images / scale for name, images in before.items()}, after)
        if report.ok:
            return report
        if report.findings[0].mistake is not None:
            break
    every = report.findings[0].place == "train images"
    slips = [finding for finding in report.findings if finding.mistake not in (None, *(PARTIAL if every else ()))]
    if not slips:
        raise absent("standardization")
    return replace(report, findings=slips)


def by_own_files(known: Known) -> set[int]:
    """Of the files that a set is from, those whose images are standardized by all images of that file."""
    numbers, found = known
    files = numbers // PER_FILE
    own = set()
    for file in np.unique(files).tolist():
        raw = blocks()[file * PER_FILE : (file + 1) * PER_FILE].astype(np.float64)
        right = (blocks()[numbers[files == file]] - raw.mean(axis=0)) / raw.std(axis=0)
        if np.allclose(found[files == file], right, atol=1e-4):
            own.add(file)
    return own


def off(training: Array, pair: tuple[Array, Array]) -> float:
    """How far a set is from being standardized by the training images."""
    raw, found = pair
    std = training.std(axis=0)
    return float(np.abs(found - (raw - training.mean(axis=0)) / np.where(std > 0, std, 1)).max())


def others(sets: Sequence[Known], training: Numbers) -> Iterator[tuple[str, Known]]:
    """Sets of images that have none of the training images, and which they are."""
    for known in sets:
        if len(known[0]) > IN_SET and not np.isin(known[0], training).any():
            yield "test" if known[0].min() >= FIRST_TEST else "validation", known
