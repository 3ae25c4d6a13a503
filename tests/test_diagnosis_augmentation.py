"""The diagnosis of an augmentation: right ones however they are written, and mistakes made on purpose."""

import numpy as np
import pytest

from manual_mlp import FlipsAndShifts, diagnose_augmentation

SETTINGS = [((6, 5, 3), 2), ((9, 10, 1), 3), ((8, 8, 3), 1)]
ids = [f"{shape}-{shift}" for shape, shift in SETTINGS]


def moved(image, dy, dx, s, mode="constant"):
    """image (H, W, C)"""
    padded = np.pad(image, ((s, s), (s, s), (0, 0)), mode)
    return padded[s - dy : s - dy + image.shape[0], s - dx : s - dx + image.shape[1]]


def version(image, rng, s, *, mode="constant", axis=1, flip=0.5, low=None, high=None, draws=None):
    """Image by image, as in a notebook."""
    low, high = -s if low is None else low, s if high is None else high
    dy, dx = rng.integers(low, high + 1, 2) if draws is None else draws
    return moved(np.flip(image, axis) if rng.random() < flip else image, dy, dx, s, mode)


def rows(shape, each):
    """An augmentation of rows, from one of images."""

    def augment(batch, rng):
        return np.stack([each(row.reshape(shape), rng).ravel() for row in batch])

    return augment


def whole_batch(shape, s, again=lambda rng: rng, move=None, mirror=None):
    """Draws once for all images: both, or the move or the flip alone."""

    def augment(batch, rng):
        rng = again(rng)
        dy, dx, flipped = *rng.integers(-s, s + 1, 2), rng.random()
        out = []
        for row in batch:
            image = row.reshape(shape)
            mirrored = (flipped if mirror is None else rng.random()) < 0.5
            draws = (dy, dx) if move is None else rng.integers(-s, s + 1, 2)
            out.append(moved(image[:, ::-1] if mirrored else image, *draws, s).ravel())
        return np.stack(out)

    return augment


def each(**slip):
    """The notebook's version with this slip."""
    return lambda shape, s: rows(shape, lambda image, rng: version(image, rng, s, **slip))


def channels_in_front(shape, s):
    H, W, C = shape

    def augment(batch, rng):
        images = batch.reshape(-1, C, H, W).transpose(0, 2, 3, 1)
        return np.stack([version(image, rng, s).transpose(2, 0, 1).ravel() for image in images])

    return augment


def without_a_generator(shape, s):
    augment, rng = rows(shape, lambda image, rng: version(image, rng, s)), np.random.default_rng(0)
    return lambda batch: augment(batch, rng)


def with_a_setting(augment):
    return lambda batch, pad=4: augment(batch) if pad == 4 else None


RIGHT = {
    "ours": (lambda shape, s: FlipsAndShifts(shape, shift=s, flip=0.5), {}),
    "image by image": (lambda shape, s: rows(shape, lambda image, rng: version(image, rng, s)), {}),
    "shift first": (
        lambda shape, s: rows(
            shape,
            lambda image, rng: (
                np.flip(version(image, rng, s, flip=0), 1) if rng.random() < 0.5 else version(image, rng, s, flip=0)
            ),
        ),
        {},
    ),
    "without a generator": (without_a_generator, {}),
    "a setting of its own": (
        lambda shape, s: with_a_setting(without_a_generator(shape, s)),
        {},
    ),
    "double precision": (lambda shape, s: lambda b, rng: FlipsAndShifts(shape, shift=s)(b.astype(float), rng), {}),
    "channels in front": (channels_in_front, {"order": "CHW"}),
    "not flat": (
        lambda _, s: lambda batch, rng: np.stack([version(image, rng, s) for image in batch]),
        {"flat": False},
    ),
    "not flat, channels in front": (
        lambda _, s: (
            lambda batch, rng: np.stack([version(x.transpose(1, 2, 0), rng, s).transpose(2, 0, 1) for x in batch])
        ),
        {"flat": False, "order": "CHW"},
    ),
    "labels": (
        lambda shape, s: lambda x, y, rng: (rows(shape, lambda image, rng: version(image, rng, s))(x, rng), y),
        {"labels": True},
    ),
    "labels, shuffled with them": (
        lambda shape, s: lambda x, y, rng: (FlipsAndShifts(shape, shift=s)(x[::-1].copy(), rng), y[::-1]),
        {"labels": True},
    ),
}


@pytest.mark.parametrize(("shape", "shift"), SETTINGS, ids=ids)
@pytest.mark.parametrize(("make", "told"), RIGHT.values(), ids=RIGHT)
def test_a_right_augmentation_is_never_accused(make, told, shape, shift):
    report = diagnose_augmentation(make(shape, shift), shape, shift=shift, flip=0.5, **told)
    assert report.ok, report


@pytest.mark.parametrize(("shift", "flip"), [(0, 0.5), (2, 0.0), (2, 1.0), (3, 0.1), (0, 0.0)])
def test_ours_is_right_in_other_settings(shift, flip):
    report = diagnose_augmentation(FlipsAndShifts((32, 32, 3), shift=shift, flip=flip), shift=shift, flip=flip)
    assert report.ok, report


@pytest.mark.parametrize(
    ("note", "mode"),
    [
        ("what moves in repeats the pixels at the border", "edge"),
        ("what moves in mirrors the image, where", "reflect"),
        ("what moves in mirrors the image, its border included", "symmetric"),
    ],
)
def test_another_border_is_noted(note, mode):
    for shape in [(8, 9, 3), (6, 5, 3)]:  # of 5 columns, 2 of which mirror others, the mirror image is the same
        augment = each(mode=mode)(shape, 2)
        report = diagnose_augmentation(augment, shape, shift=2, flip=0.5)
        assert report.ok, report
        assert note in " ".join(report.notes)
        assert ("cannot be told" in " ".join(report.notes)) == (mode == "reflect" and shape[1] == 5)


def test_another_color_of_the_border_is_noted():
    def augment(batch, rng):
        out = rows((6, 5, 3), lambda image, rng: version(image, rng, 2))(batch, rng)
        return np.where(out == 0, -0.5, out)

    report = diagnose_augmentation(augment, (6, 5, 3), shift=2, flip=0.5)
    assert report.ok
    assert report.notes == ["what moves in is -0.5, where it is 0 here"]


def test_writing_into_the_batch_is_noted_or_refused():
    settings = {"shape": (6, 5, 3), "shift": 2, "flip": 0.5}
    ours = FlipsAndShifts((6, 5, 3), shift=2)
    assert "hand it a copy" in " ".join(diagnose_augmentation(ours, **settings).notes)
    report = diagnose_augmentation(ours, **settings, may_overwrite=False)
    assert [finding.mistake for finding in report.findings] == ["augmentation_in_place"]
    assert diagnose_augmentation(lambda b, rng: ours(b.copy(), rng), **settings, may_overwrite=False).ok


def in_order(labels):
    """Images come back in another order, labels in a third or the old one."""

    def make(shape, s):
        def augment(x, y, rng):
            order = rng.permutation(len(x))
            return FlipsAndShifts(shape, shift=s)(x[order], rng), labels(y, order)

        return augment

    return make


MISTAKES = [
    # (the mistake's name, the function of shape and shift, what else is told)
    ("augmentation_wraps", each(mode="wrap"), {}),
    (
        "augmentation_wraps",
        lambda shape, s: rows(
            shape, lambda im, rng: np.roll(version(im, rng, s, draws=(0, 0)), rng.integers(-s, s + 1, 2), (0, 1))
        ),
        {},
    ),
    ("augmentation_flip_upside_down", each(axis=0), {}),
    ("augmentation_flip_both", each(axis=(0, 1)), {}),
    ("augmentation_flip_always", each(flip=1.0), {}),
    ("augmentation_flip_never", each(flip=0.0), {}),
    ("augmentation_flip_share", each(flip=0.2), {}),
    ("augmentation_one_draw", whole_batch, {}),
    ("augmentation_one_shift", lambda shape, s: whole_batch(shape, s, mirror=True), {}),
    ("augmentation_one_flip", lambda shape, s: whole_batch(shape, s, move=True), {}),
    (
        "augmentation_repeats",
        lambda shape, s: whole_batch(shape, s, lambda _: np.random.default_rng(0), move=True, mirror=True),
        {},
    ),
    ("augmentation_shift_never", each(draws=(0, 0)), {}),
    (
        "augmentation_shift_one_axis",
        lambda shape, s: rows(shape, lambda image, rng: version(image, rng, s, draws=(0, rng.integers(-s, s + 1)))),
        {},
    ),
    (
        "augmentation_shift_diagonal",
        lambda shape, s: rows(shape, lambda image, rng: version(image, rng, s, draws=[rng.integers(-s, s + 1)] * 2)),
        {},
    ),
    ("augmentation_shift_one_short", lambda shape, s: each(high=s - 1)(shape, s), {}),
    ("augmentation_shift_too_far", lambda shape, s: each()(shape, s + 1), {}),
    (
        "augmentation_shift_uneven",
        lambda shape, s: rows(
            shape,
            lambda image, rng: version(
                image, rng, s, draws=np.rint(rng.triangular(-s - 0.4, 0, s + 0.4, 2)).astype(int)
            ),
        ),
        {},
    ),
    (
        "augmentation_images_mixed",
        lambda *_: lambda batch, rng: np.roll(batch, rng.integers(1, 9)),
        {},
    ),
    ("augmentation_numbers", lambda shape, s: lambda b, rng: FlipsAndShifts(shape, shift=s)(b / 255, rng), {}),
    ("augmentation_order", lambda shape, s: lambda b, rng: FlipsAndShifts(shape, shift=s)(b[::-1].copy(), rng), {}),
    ("augmentation_labels", in_order(lambda y, _: y), {"labels": True}),
    ("augmentation_labels", in_order(lambda y, order: y[np.argsort(order)]), {"labels": True}),
]
COLORED = [
    ("augmentation_flip_channels", each(axis=2), {}),
    ("augmentation_flip_row", each(axis=(0, 1, 2)), {}),
    ("augmentation_channels_mixed", channels_in_front, {}),
    (
        "augmentation_channels_mixed",
        lambda shape, s: rows(shape, lambda image, rng: version(image, rng, s)),
        {"order": "CHW"},
    ),
    (
        "augmentation_channels_mixed",
        lambda _, s: lambda batch, rng: np.stack([version(image, rng, s) for image in batch]),
        {"flat": False, "order": "CHW"},
    ),
]


@pytest.mark.parametrize(
    ("setting", "mistake"),
    [
        pytest.param(setting, mistake, id=f"{mistake[0]}-{number}-{name}")
        for setting, name in zip(SETTINGS, ids, strict=True)
        for number, mistake in enumerate([*MISTAKES, *(COLORED if setting[0][2] > 1 else [])])
    ],
)
def test_a_mistake_in_an_augmentation_is_named(setting, mistake):
    (shape, shift), (name, make, told) = setting, mistake
    report = diagnose_augmentation(make(shape, shift), shape, shift=shift, flip=0.5, **told)
    assert [finding.mistake for finding in report.findings] == [name], report
    assert report.findings[0].link.endswith("#augmentation")


def test_a_shift_to_one_side_is_named():
    report = diagnose_augmentation(each(low=0)((6, 5, 3), 2), (6, 5, 3), shift=2, flip=0.5)
    assert [finding.mistake for finding in report.findings] == ["augmentation_shift_one_sided"]


def test_two_mistakes_are_both_named():
    augment = each(mode="wrap", flip=0.0)((6, 5, 3), 2)
    report = diagnose_augmentation(augment, (6, 5, 3), shift=2, flip=0.5)
    assert {finding.mistake for finding in report.findings} == {"augmentation_wraps", "augmentation_flip_never"}


@pytest.mark.parametrize(
    ("augment", "mistake", "words"),
    [
        (lambda *_: None, "unfilled", "returns None"),
        (lambda batch, _: batch[:, :5], "wrong_shape", "its shape is (60, 5), it must be the batch's, (60, 90)"),
        (lambda batch, _: batch @ batch, "raises", "ValueError"),
        (lambda batch, _: batch * np.nan, "augmentation_numbers", "an image comes out without any of its pixels"),
        (lambda batch, _: batch * np.linspace(1, 2, 90), "augmentation_numbers", "numbers come out that no pixel has"),
        (lambda batch, _: batch[:, np.random.default_rng(0).permutation(90)], None, "no known mistake makes them"),
    ],
    ids=["None", "shape", "raises", "NaN", "scaled", "scrambled"],
)
def test_strange_augmentations_are_said_in_words(augment, mistake, words):
    report = diagnose_augmentation(augment, (6, 5, 3), shift=2, flip=0.5)
    assert [finding.mistake for finding in report.findings] == [mistake]
    assert words in str(report)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": (5, 5), "shift": 1, "flip": 0.5}, "shape is .5, 5.; it must be .H, W, C."),
        ({"shape": (5, 5, 1), "shift": 5, "flip": 0.5}, "shift is 5: shifts beyond the image"),
        ({"shape": (5, 5, 1), "shift": 1, "flip": 2}, "flip is 2.0; it must be a probability"),
        ({"shape": (5, 5, 1), "shift": 1, "flip": 0.5, "order": "NCHW"}, "order is 'NCHW'; it must be 'HWC'"),
        ({"shape": (500, 500, 3), "shift": 1, "flip": 0.5}, "too large to tell all numbers apart"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        diagnose_augmentation(lambda batch: batch, **settings)


def test_a_class_is_no_augmentation():
    with pytest.raises(ValueError, match="it must be a function of a batch, or what FlipsAndShifts"):
        diagnose_augmentation(FlipsAndShifts, shift=1, flip=0.5)
