"""The figure of flipped and shifted images."""

import json

import augmentation_examples
import numpy as np
import pytest
from image_data import image_data

from manual_mlp import FlipsAndShifts


def rng():
    return np.random.default_rng(7)


@pytest.fixture
def data():
    x = rng().integers(0, 256, (30, 6, 6, 3), np.uint8)
    return image_data("tiny", "tiny", "", x[:20], np.arange(20) % 4, x[20:], np.arange(10) % 4)


def test_the_figure_shows_images_that_a_person_sees(data):
    """Scaled back to pixels: an untouched image is the original to the bit, and what moves in is the mean image."""
    mean = np.rint(data.x_train.astype(np.float64).mean(axis=0))
    originals, moved = augmentation_examples.examples(data, FlipsAndShifts((6, 6, 3), shift=0, flip=0.0), 4, 3, rng())
    np.testing.assert_array_equal(originals, data.x_train[:4])
    np.testing.assert_array_equal(moved, np.stack([originals] * 3, axis=1))
    _, moved = augmentation_examples.examples(data, FlipsAndShifts((6, 6, 3), shift=5, flip=0.0), 4, 30, rng())
    corners = moved[:, :, 0, 0].reshape(-1, 3)
    assert (np.abs(corners - mean[0, 0]) <= 1).all(axis=1).mean() > 0.5  # the image moved away from its corner


def test_the_script_leaves_its_figure_and_its_settings(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(augmentation_examples, "load", lambda *_: data)
    settings = augmentation_examples.Settings(images=2, copies=3, shift=2, flip=0.25, results=tmp_path)
    augmentation_examples.main(settings)
    folder = tmp_path / "augmentation_examples" / "augmentation_tiny_seed0"
    assert capsys.readouterr().out == f"the figure is in {folder.parent}\n"
    assert (folder / "augmentation.png").stat().st_size > 1000
    config = json.loads((folder / "config.json").read_text())
    assert config["data"]["name"] == "tiny"
    assert {name: config[name] for name in ("images", "copies", "shift", "flip", "seed")} == {
        "images": 2,
        "copies": 3,
        "shift": 2,
        "flip": 0.25,
        "seed": 0,
    }
