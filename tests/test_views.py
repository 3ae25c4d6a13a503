"""The views of an image are those that training shows, and their answers are averaged as probabilities."""

import numpy as np
import pytest
import torch
from views import accuracy_over_views, views

from manual_mlp import MLP
from torch_reference import mirror

SHAPE = (6, 5, 3)


def images(count=7):
    return np.random.default_rng(0).normal(size=(count, 90)).astype(np.float32)


def test_views_are_shifts_and_mirror_images_of_each_image():
    """torch's pad and crop, in the same order."""
    x = images()
    seen = list(views(x, SHAPE, (-1, 0, 2)))
    assert len(seen) == 18
    channels_first = torch.tensor(x).reshape(-1, *SHAPE).permute(0, 3, 1, 2)
    padded = torch.nn.functional.pad(channels_first, (2, 2, 2, 2))
    expected = []
    for dy in (-1, 0, 2):
        for dx in (-1, 0, 2):
            moved = padded[:, :, 2 - dy : 8 - dy, 2 - dx : 7 - dx]
            expected += [one.permute(0, 2, 3, 1).reshape(len(x), -1) for one in (moved, moved.flip(3))]
    for ours, theirs in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_accuracy_is_that_of_torchs_mean_softmax():
    net = MLP([90, 8, 4], batch_norm=True, rng=np.random.default_rng(1), initializer=0.5, dtype=np.float64)
    x = images(200)
    p = sum(mirror(net).eval()(torch.tensor(view).double()).softmax(dim=1) for view in views(x, SHAPE))
    y = p.argmax(dim=1).numpy()
    y[:50] = (y[:50] + 1) % 4
    assert accuracy_over_views(net, (x, y), SHAPE) == pytest.approx(0.75)
    assert np.mean(net.forward(x).argmax(axis=1) == y) != pytest.approx(0.75)
