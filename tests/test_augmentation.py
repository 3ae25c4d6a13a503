"""Random flips and shifts beside torch's own pieces."""

import itertools

import numpy as np
import pytest
import torch
from image_data import standardized
from torch.nn import functional as F

from manual_mlp import FlipsAndShifts

SHAPE = (5, 6, 3)
H, W, C = SHAPE
D = H * W * C
ZEROS = np.zeros(D, np.float32)


def rng():
    return np.random.default_rng(7)


def images(n, dtype=np.float32):
    """Rows that tell where each number comes from: all differ, none is 0."""
    return 1 + np.arange(n * D, dtype=dtype).reshape(n, D)


def versions(row, shift):
    """Every version of one image, slice by slice; by (dy, dx, flipped)."""
    places = range(-shift, shift + 1)
    for dy, dx, flipped in itertools.product(places, places, (False, True)):
        image = row.reshape(SHAPE)[:, ::-1] if flipped else row.reshape(SHAPE)
        out = np.zeros_like(image)
        here = [slice(max(0, d), size + min(0, d)) for d, size in ((dy, H), (dx, W))]
        there = [slice(max(0, -d), size + min(0, -d)) for d, size in ((dy, H), (dx, W))]
        out[tuple(here)] = image[tuple(there)]
        yield (dy, dx, flipped), out.ravel()


def by_torch(images, shift, flip, draws):
    """The versions (N, H, W, C) of images (N, H, W, C), made by torch, which has its channels in front."""
    n, height, width, _ = images.shape
    moves, flipped, out = draws.integers(-shift, shift + 1, (2, n)).T, draws.random(n) < flip, []
    for image, (dy, dx), mirror in zip(images, moves, flipped, strict=True):
        version = image.permute(2, 0, 1)  # (C, H, W)
        version = torch.flip(version, [2]) if mirror else version
        version = F.pad(version, [shift] * 4)[:, shift - dy : shift - dy + height, shift - dx : shift - dx + width]
        out.append(version.permute(1, 2, 0))
    return torch.stack(out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shift", "flip"), [(0, 1.0), (1, 0.0), (2, 0.5), (4, 0.3)])
def test_equals_torch_for_the_same_draws(shift, flip, dtype):
    """Of rows as the project lays images out."""
    pixels = rng().integers(1, 256, (40, *SHAPE), np.uint8)
    batch = standardized(pixels, ZEROS, ZEROS + 1).astype(dtype)
    out = FlipsAndShifts(SHAPE, shift=shift, flip=flip)(batch, rng())
    assert out.dtype == dtype
    expected = by_torch(torch.from_numpy(pixels), shift, flip, rng())
    np.testing.assert_array_equal(out.reshape(-1, *SHAPE), expected.numpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_to_do_leaves_every_bit(dtype):
    batch = rng().normal(size=(9, D)).astype(dtype)
    batch[0, :5] = -0.0, np.nan, np.inf, -np.inf, np.finfo(dtype).smallest_subnormal
    before = batch.tobytes()
    assert FlipsAndShifts(SHAPE, shift=0, flip=0)(batch, rng()).tobytes() == before


@pytest.mark.parametrize(("shift", "flip"), [(1, 0.5), (1, 0.25), (2, 0.5), (0, 0.5)])
def test_every_version_is_drawn_as_often_as_it_shall_be(shift, flip):
    """Counts of independent draws, within six standard errors of what is expected; nothing else comes out."""
    n = 10_000
    names = {version.tobytes(): name for name, version in versions(images(1)[0], shift)}
    assert len(names) == 2 * (2 * shift + 1) ** 2
    batch = np.repeat(images(1), n, axis=0)
    counts = dict.fromkeys(names.values(), 0)
    for row in FlipsAndShifts(SHAPE, shift=shift, flip=flip)(batch, rng()):
        counts[names[row.tobytes()]] += 1
    for (_, _, flipped), count in counts.items():
        p = (flip if flipped else 1 - flip) / (2 * shift + 1) ** 2
        assert abs(count - n * p) < 6 * np.sqrt(n * p * (1 - p))


def test_neighbours_are_drawn_apart():
    """Of two images in a row the second has each version as often, whatever the first has."""
    n = 20_000
    names = {version.tobytes(): name for name, version in versions(images(1)[0], 1)}
    out = FlipsAndShifts(SHAPE, shift=1, flip=0.5)(np.repeat(images(1), n, axis=0), rng())
    drawn = [names[row.tobytes()] for row in out]
    same, p = sum(a == b for a, b in itertools.pairwise(drawn)), 1 / len(names)
    assert abs(same - n * p) < 6 * np.sqrt(n * p * (1 - p))


def test_images_and_channels_are_never_mixed():
    before = images(50)
    after = FlipsAndShifts(SHAPE, shift=4, flip=0.5)(before.copy(), rng())
    for own, row in zip(before, after, strict=True):
        for channel in range(C):
            kept = row[channel::C][row[channel::C] != 0]
            assert len(kept) > 0
            assert np.isin(kept, own[channel::C]).all()


def test_flip_is_its_probability():
    batch = images(8)
    mirrored = batch.reshape(8, *SHAPE)[:, :, ::-1].reshape(8, D).copy()
    np.testing.assert_array_equal(FlipsAndShifts(SHAPE, shift=0, flip=1)(batch, rng()), mirrored)


def test_the_stream_is_the_callers():
    """The same state draws the same versions, from no other stream, and as many numbers whatever `flip` is."""
    augment, ends = FlipsAndShifts(SHAPE, shift=2, flip=0.5), set()
    first, second = (augment(images(30), stream) for stream in (rng(), rng()))
    np.testing.assert_array_equal(first, second)
    stream = rng()
    np.testing.assert_array_equal(augment(images(30), stream), first)
    assert (augment(images(30), stream) != first).any()
    for flip in (0.0, 0.5, 1.0):
        stream = rng()
        FlipsAndShifts(SHAPE, shift=2, flip=flip)(images(30), stream)
        ends.add(stream.random())
    assert len(ends) == 1


def test_what_was_kept_of_earlier_batches_is_not_seen():
    """Larger and smaller batches in both precisions, one after the other."""
    augment, stream, fresh = FlipsAndShifts(SHAPE, shift=3, flip=0.5), rng(), rng()
    for n, dtype in ((20, np.float32), (3, np.float32), (20, np.float32), (31, np.float32), (5, np.float64)):
        expected = FlipsAndShifts(SHAPE, shift=3, flip=0.5)(images(n, dtype) / 7, fresh)
        out = augment(images(n, dtype) / 7, stream)
        assert out.dtype == dtype
        np.testing.assert_array_equal(out, expected)


def test_a_batch_of_the_same_size_takes_the_kept_array(monkeypatch):
    augment, stream = FlipsAndShifts(SHAPE, shift=2, flip=0.5), rng()
    augment(images(20), stream)
    monkeypatch.setattr(np, "zeros", None)
    augment(images(20), stream)
    augment(images(7), stream)


FORMS = {
    "the first rows": np.s_[:6, :D],
    "every second row": np.s_[::2, :D],
    "backwards": np.s_[::-1, :D],
    "other columns": np.s_[:, 5 : 5 + D],
    "every second column": np.s_[:, ::2],
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("part", FORMS.values(), ids=FORMS)
def test_a_part_of_an_array_is_written_to_and_nothing_beside_it(part, order):
    whole = np.array(images(24).reshape(12, 2 * D), order=order)
    expected = whole.copy()
    expected[part] = FlipsAndShifts(SHAPE, shift=2, flip=0.5)(np.ascontiguousarray(whole[part]), rng())
    assert (expected[part] != whole[part]).any()
    batch = whole[part]
    assert FlipsAndShifts(SHAPE, shift=2, flip=0.5)(batch, rng()) is batch
    np.testing.assert_array_equal(whole, expected)
