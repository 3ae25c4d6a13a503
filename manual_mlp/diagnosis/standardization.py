"""Sets of images before and after standardization."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.diagnosis.comparison import Comparison, Numbers, Planted, lines_at
from manual_mlp.diagnosis.explain import explain
from manual_mlp.diagnosis.mistakes.standardization import STANDARDIZATION
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.strangers import Unusable, numbers
from manual_mlp.diagnosis.textbook import Values, compute
from manual_mlp.layers import Array

TOLERANCE = 1e-4  # of the largest value: float32, and a small number that some add to the standard deviation


def diagnose_standardization(raw: Mapping[str, ArrayLike], standardized: Mapping[str, ArrayLike]) -> Report:
    """Are these images standardized, every pixel by its mean and std over the training images?

    raw, standardized   images (N, ...) by the name of their set: "train" and, if there are such, "validation", "test"
    """
    if "train" not in raw:
        raise ValueError(f'raw has {sorted(raw)}; it must have the training images under the name "train"')
    if unknown := set(standardized) - set(raw):
        raise ValueError(f"standardized has {sorted(unknown)}, of which raw does not know the images")
    rows = {name: as_rows(images) for name, images in raw.items()}
    broken: list[Finding] = []
    observed: dict[str, Array] = {}
    for name, images in standardized.items():
        try:
            observed[name], _ = numbers(f"{name} images", as_rows(images), rows[name].shape)
            if observed[name].shape != rows[name].shape:
                sentence = f"its shape is {np.shape(images)}, the raw images' is {np.shape(raw[name])}"
                raise Unusable(f"{name} images", "wrong_shape", sentence)
        except Unusable as unusable:
            observed.pop(name, None)
            broken.append(unusable.finding)
    everything = np.concatenate(list(rows.values()))

    def predict(planted: Sequence[Planted], _: int) -> Numbers:
        out = {}
        for name in observed:
            lines = lines_at(planted, name)
            v = Values(raw=rows[name], train=rows["train"], all_sets=everything)
            out[name] = compute("standardization", "forward", v, lines).out
        return out

    scales = {name: float(np.abs(out).max()) or 1.0 for name, out in predict((), 0).items()}
    titles = {name: f"{name} images" for name in observed}
    comparison = Comparison(list(observed), [observed], [scales], predict, TOLERANCE, titles, [{}])
    candidates = [
        Planted(mistake, variant, frozenset({name}) if name else None, f"{name} images alone" if name else "every set")
        for name in (None, *observed)
        for mistake in STANDARDIZATION
        for variant in mistake.variants
    ]
    findings, agreeing, unjudged = explain(comparison, candidates)
    return Report("standardization", [*broken, *findings], agreeing, unjudged)


def as_rows(images: ArrayLike) -> Array:
    images = np.asarray(images, dtype=np.float64)
    return images.reshape(len(images), -1)
