"""Augmentation: another version of every image each time, mirrored left to right and moved by some pixels."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from manual_mlp.augmentation import checked_shape
from manual_mlp.checks import checked_bool, checked_integer, checked_number
from manual_mlp.diagnosis.image_versions import BORDERS, FILLED, FLIPS, Columns, Family, Layout, families
from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report
from manual_mlp.diagnosis.strangers import Unusable, answer_to_these, numbers, unpacked
from manual_mlp.layers import Array

FORMULA = "out[h, w, c] = image[h - dy, w - dx, c], 0 outside of it; dy, dx and the flip drawn anew for every image"
CALLS = 12
IMAGES = 60
LARGEST = 2**24  # integers up to here are numbers of float32
UNLIKELY = 6.0  # standard deviations: once in a billion


def diagnose_augmentation(
    augment: Callable[..., Any],
    shape: Sequence[int] = (32, 32, 3),
    *,
    shift: int,
    flip: float,
    order: Literal["HWC", "CHW"] = "HWC",
    flat: bool = True,
    labels: bool = False,
    may_overwrite: bool = True,
) -> Report:
    """Does this mirror images with probability `flip` and move them by up to `shift` pixels; if not, what is wrong?

    augment   a function of a batch and a generator, as `train` takes it, or of a batch alone
    shape     (H, W, C) of an image
    order     how an image lies in its row: "HWC" pixel by pixel, "CHW" color by color, as torch and the CIFAR files do
    flat      True: a batch is (N, D); False: (N, H, W, C), or (N, C, H, W) in the order "CHW"
    labels    True: augment is a function of batch, labels and generator, and returns batch and labels
    may_overwrite  whether it may write into the batch that it is given, as `train` allows
    """
    if isinstance(augment, type) or not callable(augment):
        raise ValueError(f"augment is {augment!r}; it must be a function of a batch, or what FlipsAndShifts(...) makes")
    layout = Layout(checked_shape(shape), checked_order(order), checked_bool("flat", flat))
    shift, flip = checked_integer("shift", shift, minimum=0), checked_number("flip", flip, minimum=0)
    if flip > 1:
        raise ValueError(f"flip is {flip!r}; it must be a probability, from 0 to 1")
    if shift >= min(layout.shape[:2]):
        raise ValueError(f"shift is {shift}: shifts beyond the image, whose shape (H, W, C) is {layout.shape}")
    count = max(IMAGES, 4 * (2 * shift + 1))
    if count * int(np.prod(layout.shape)) >= LARGEST:
        raise ValueError(f"shape is {layout.shape}, too large to tell all numbers apart; give smaller images")
    rng = np.random.default_rng(8)
    try:
        called = [one_call(augment, layout, count, rng, labels) for _ in range(CALLS)]
    except Unusable as unusable:
        return Report("augmentation", [unusable.finding])
    notes = list(dict.fromkeys(note for one in called for note in one.notes))
    findings = [finding for one in called for finding in one.findings]
    if any(one.overwritten for one in called):
        if may_overwrite:
            notes.append("it writes into the batch that it is given: hand it a copy of the training images")
        else:
            sentence = "it writes into the images that it is given: the next epoch begins with changed ones"
            findings.append(say("batch", sentence, "augmentation_in_place"))
    if not any(one.broken for one in called):
        family, reach, versions = read(layout, shift, [one.columns for one in called])
        if family is None:
            sentence = "its images are no flipped and moved versions, and no known mistake makes them"
            findings.append(say("images", sentence, None))
        else:
            notes += [BORDERS[family.border][0]] if family.slips and not BORDERS[family.border][1] else []
            findings += slips_of(family, layout)
            if len(family.versions(layout, reach)) == 2 * (2 * reach + 1) ** 2:
                findings += drawn(versions, shift, reach, flip)
            else:
                notes.append("how often which version comes cannot be told: some of them are the same image")
    findings = list({finding.mistake: finding for finding in reversed(findings)}.values())[::-1]
    agreeing = [] if findings else ["images", "shift", "flip", *(["labels"] if labels else [])]
    return Report("augmentation", findings, agreeing, notes=[note for note in notes if note])


def say(place: str, sentence: str, mistake: str | None) -> Finding:
    return Finding(place, sentence, mistake, formula=FORMULA, link=f"{DERIVATIONS}#augmentation")


def checked_order(order: str) -> str:
    if order not in ("HWC", "CHW"):
        raise ValueError(f"order is {order!r}; it must be 'HWC', pixel by pixel, or 'CHW', color by color")
    return order


@dataclass(frozen=True)
class Called:
    """One batch: the columns that the numbers of each image come from, FILLED where none of them moved in."""

    columns: Columns  # (N, D)
    findings: Sequence[Finding]
    notes: Sequence[str]
    overwritten: bool
    broken: bool = False


def one_call(augment: Callable[..., Any], layout: Layout, count: int, rng: np.random.Generator, labels: bool) -> Called:
    """Every number of every image is another one, so that each says where it comes from."""
    H, W, C = layout.shape
    size = H * W * C
    rows = np.arange(1, count * size + 1, dtype=np.float32).reshape(count, size)
    shape: tuple[int, ...] = (count, size)
    if not layout.flat:
        shape = (count, *((H, W, C) if layout.order == "HWC" else (C, H, W)))
    given = rows.reshape(shape).copy()
    y = np.arange(count)
    arguments = [given, y.copy()] if labels else [given]
    answer = answer_to_these("batch", augment, *arguments, *([rng] if takes_generator(augment, len(arguments)) else []))
    findings: list[Finding] = []
    new_y = None
    if labels:
        answer, new_y = unpacked("batch", answer, ("batch", "labels"))
    out, reshaped = numbers("batch", answer, shape)
    if out.shape != shape:
        raise Unusable("batch", "wrong_shape", f"its shape is {out.shape}, it must be the batch's, {shape}")
    findings += [reshaped] if reshaped is not None else []
    overwritten = not np.array_equal(given.reshape(count, size), rows)
    source, columns, fill = decoded(out.reshape(count, size).astype(np.float64), count, size)
    notes = [] if fill in (None, 0.0) else [f"what moves in is {fill:g}, where it is 0 here"]
    if source is None:
        sentence = "numbers come out that no pixel has, and not one constant: the images themselves are changed"
        return Called(columns, [*findings, say("images", sentence, "augmentation_numbers")], [], overwritten, True)
    if (source < 0).all(axis=1).any():
        sentence = "an image comes out without any of its pixels"
        return Called(columns, [*findings, say("images", sentence, "augmentation_numbers")], [], overwritten, True)
    first = np.array([row[row >= 0][0] for row in source])
    if (((source != first[:, None]) & (source >= 0)).any(axis=1)).any():
        sentence = "one image holds pixels of another: the batch is moved as a whole, over the borders of its images"
        return Called(columns, [*findings, say("images", sentence, "augmentation_images_mixed")], [], overwritten, True)
    if new_y is not None and not np.array_equal(np.asarray(new_y).ravel(), first):
        sentence = "images and labels do not belong together: they come back in different orders"
        findings.append(say("labels", sentence, "augmentation_labels"))
    elif new_y is None and not np.array_equal(first, y):
        sentence = "the images come back in another order: their labels stay behind"
        findings.append(say("images", sentence, "augmentation_order"))
    return Called(columns, findings, notes, overwritten)


def takes_generator(function: Callable[..., Any], before: int) -> bool:
    """Whether there is an argument for it, behind so many others; a setting that has a default is none."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return True
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return True
    left = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][before:]
    return bool(left) and (left[0].default is left[0].empty or any(word in left[0].name for word in ("rng", "gen")))


def decoded(out: Array, count: int, size: int) -> tuple[Columns | None, Columns, float | None]:
    """Of each number the image (None if they cannot be told) and the column that it comes from; what moved in."""
    whole = np.where(np.isfinite(out), np.floor(out), 0).astype(np.int64)
    known = (whole == out) & (whole >= 1) & (whole <= count * size)
    others = np.unique(out[~known])
    source = np.where(known, (whole - 1) // size, FILLED)
    columns = np.where(known, (whole - 1) % size, FILLED)
    if len(others) > 1:
        return None, columns, None
    return source, columns, float(others[0]) if len(others) else None


Versions = NDArray[np.int64]  # (calls, N, 3): flipped, dy, dx


def read(layout: Layout, shift: int, batches: Sequence[Columns]) -> tuple[Family | None, int, Versions]:
    """The family of versions that explains every image, how far they move, and which version each image is."""
    further = min(2 * shift + 2, min(layout.shape[:2]) - 1)
    for reach in (shift, further):
        for family in families():
            if reach == further > shift and family.slips > 0:
                break
            try:
                table = family.versions(layout, reach)
            except ValueError:  # a border that is wider than the misread image
                continue
            found = [[table.get(np.ascontiguousarray(row).tobytes()) for row in batch] for batch in batches]
            if all(version is not None for versions in found for version in versions):
                return family, reach, np.array(found, np.int64)
    return None, shift, np.zeros((0, 0, 3), np.int64)


def slips_of(family: Family, layout: Layout) -> list[Finding]:
    findings = []
    if family.misread:
        other = "channels in front" if layout.order == "HWC" else "channels last"
        sentence = (
            f"an image is read with its {other}, and lies in the order {layout.order}: colors and places are mixed"
        )
        findings.append(say("images", sentence, "augmentation_channels_mixed"))
    if BORDERS[family.border][1]:
        findings.append(say("shift", BORDERS[family.border][0], "augmentation_wraps"))
    name, sentence = FLIPS[family.axes]
    return [*findings, *([say("flip", sentence, name)] if name else [])]


def drawn(versions: Versions, shift: int, reach: int, flip: float) -> list[Finding]:
    """Are the versions drawn as they should be?"""
    flipped, moves = versions[..., 0], versions[..., 1:]
    one_flip = 0 < flip < 1 and bool((flipped == flipped[:, :1]).all() and len(np.unique(flipped)) > 1)
    one_move = shift > 0 and bool((moves == moves[:, :1]).all() and moves.any())
    if one_flip and one_move:
        sentence = "one draw serves the whole batch: every image gets the same flip and the same shift"
        return [say("batch", sentence, "augmentation_one_draw")]
    if (shift or 0 < flip < 1) and (versions == versions[:1]).all() and (versions != versions[:, :1]).any():
        sentence = "every call makes the same versions: the draw is made once, or begins at the same seed each time"
        return [say("batch", sentence, "augmentation_repeats")]
    findings = drawn_flips(flipped, flip, one_flip)
    if one_move:
        findings.append(say("shift", "every image of a batch is moved by the same", "augmentation_one_shift"))
    elif shift or reach:
        findings += drawn_moves(moves.reshape(-1, 2), shift)
    return findings


def drawn_flips(flipped: Versions, flip: float, one_flip: bool) -> list[Finding]:
    share = float(flipped.mean())
    spread = (flip * (1 - flip) / flipped.size) ** 0.5
    if flip > 0 and share == 0:
        return [say("flip", "no image is ever mirrored", "augmentation_flip_never")]
    if flip < 1 and share == 1:
        return [say("flip", "every image is mirrored, always", "augmentation_flip_always")]
    if one_flip:
        return [say("flip", "all images of a batch are mirrored, or none of them", "augmentation_one_flip")]
    if abs(share - flip) > UNLIKELY * spread:
        sentence = f"{100 * share:.0f} % of the images are mirrored instead of {100 * flip:g} %"
        return [say("flip", sentence, "augmentation_flip_share")]
    return []


def drawn_moves(moves: Versions, shift: int) -> list[Finding]:
    """moves (n, 2): dy, dx."""
    farthest = int(np.abs(moves).max())
    if farthest > shift:
        sentence = f"images are moved by up to {farthest} pixels instead of {shift}"
        return [say("shift", sentence, "augmentation_shift_too_far")]
    still = [not moves[:, axis].any() for axis in (0, 1)]
    if shift and all(still):
        return [say("shift", "no image is ever moved", "augmentation_shift_never")]
    if shift and any(still):
        sentence = f"images are moved {'left and right' if still[0] else 'up and down'} alone"
        return [say("shift", sentence, "augmentation_shift_one_axis")]
    if shift and any((moves[:, 0] == sign * moves[:, 1]).all() for sign in (1, -1)):
        return [say("shift", "one draw serves dy and dx: images move along a diagonal", "augmentation_shift_diagonal")]
    for axis in (0, 1):
        counts = np.bincount(moves[:, axis] + shift, minlength=2 * shift + 1)
        missing = [int(place) - shift for place in np.flatnonzero(counts == 0)]
        if missing in (list(range(-shift, 0)), list(range(1, shift + 1))) and shift > 1:
            sentence = "images are moved in one direction alone; a shift is drawn from -s, ..., s"
            return [say("shift", sentence, "augmentation_shift_one_sided")]
        if missing:
            sentence = (
                f"no image is moved by {', '.join(map(str, missing))}; a shift is drawn from -s, ..., s, both included"
            )
            return [say("shift", sentence, "augmentation_shift_one_short")]
        expected = len(moves) / (2 * shift + 1)
        if (np.abs(counts - expected) > UNLIKELY * expected**0.5 + 1).any():
            return [say("shift", "some shifts come more often than others", "augmentation_shift_uneven")]
    return []
