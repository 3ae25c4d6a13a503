"""The learning-rate range test: its rule on curves whose ends are known, its training, what it leaves, how it ends."""

import csv
import json

import lr_range_test
import numpy as np
import pytest
from command_line import run_script
from data_sources import load
from hypothesis import given
from hypothesis import strategies as st
from image_data import split
from lr_range_test import Curve, Point, Settings, suggested

from manual_mlp import MLP, AdamW, FlipsAndShifts, minibatches, sgd_update


def curve(accuracies, start=0.1, diverged=None):
    """A point at eta 1, 2, 3, ..."""
    points = [Point(10 * k, float(k), 1.0, 1.0, accuracy) for k, accuracy in enumerate(accuracies, start=1)]
    return Curve(start, points, diverged)


CURVES = {
    "rises, then falls": (curve([0.1, 0.12, 0.3, 0.5, 0.6, 0.5, 0.4]), (3, 5)),
    "rises, falls a little, then more": (curve([0.1, 0.3, 0.6, 0.57, 0.56, 0.5]), (2, 3)),
    "falls by just a tenth of the climb": (curve([0.5, 1.0, 0.9, 0.95], start=0.0), (1, 2)),
    "dips on its way up": (curve([0.3, 0.27, 0.4, 0.6, 0.58, 0.3]), (1, 4)),
    "ragged, then better": (curve([0.3, 0.5, 0.4, 0.6, 0.7, 0.2]), (1, 2)),
    "dips before it climbs": (curve([0.2, 0.1, 0.3, 0.5, 0.6, 0.1], start=0.2), (3, 5)),
    "climbs late": (curve([0.1, 0.1, 0.11, 0.12, 0.4, 0.5, 0.1]), (5, 6)),
    "climbs from the first point": (curve([0.5, 0.6, 0.1]), (1, 2)),
    "rises to the end": (curve([0.1, 0.2, 0.3, 0.4]), (2, None)),
    "rises, then diverges": (curve([0.1, 0.2, 0.3, 0.4, 0.39], diverged="..."), (2, 4)),
    "falls, then diverges": (curve([0.2, 0.4, 0.1, 0.1], diverged="..."), (1, 2)),
    "nothing is learned": (curve([0.1, 0.1, 0.1]), (None, None)),
    "what was known is lost": (curve([0.2, 0.1, 0.1], start=0.3), (None, None)),
    "one point": (curve([0.4], diverged="..."), (1, 1)),
    "falls as soon as it has climbed": (curve([0.1, 0.4, 0.1, 0.5]), (None, None)),
}


@pytest.mark.parametrize(("measured", "expected"), CURVES.values(), ids=CURVES)
def test_the_rule(measured, expected):
    assert suggested(measured) == expected


@given(st.lists(st.integers(0, 100), min_size=1, max_size=30), st.integers(0, 100), st.booleans(), st.integers(1, 4))
def test_the_ends_are_in_order_and_the_unit_of_accuracy_does_not_matter(percents, start, diverged, power):
    diverged = "..." if diverged else None
    low, high = suggested(curve(percents, start, diverged))
    scale = 2.0**power
    assert suggested(curve([scale * value for value in percents], scale * start, diverged)) == (low, high)
    assert low is None or high is None or low <= high
    assert low is None or max(percents) > start
    assert low is not None or high is None


@pytest.fixture
def images(tmp_path):
    """Four classes of images, from dark to bright."""
    rng = np.random.default_rng(0)
    y = np.arange(300) % 4
    x = (rng.integers(0, 100, (300, 4, 4, 3)) + 50 * y[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "tiny.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    return tmp_path / "tiny.npz"


def settings(images, **changed):
    defaults = {"data": str(images), "results": images.parent / "out", "n_train": 150, "n_validation": 50}
    return Settings(**{**defaults, "batch_size": 20, "hidden": (6,), "epochs": 5, "points": 10, **changed})


def left(images):
    (folder,) = (images.parent / "out" / "lr_range_test").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == [
        *("config.json", "history.csv", "lr_range_test.png", "summary.json"),
    ]
    with (folder / "history.csv").open() as file:
        history = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    config, summary = (json.loads((folder / f"{name}.json").read_text()) for name in ("config", "summary"))
    return folder.name, config, history, summary


@pytest.mark.parametrize("spacing", ["linear", "exponential"])
def test_the_training_is_one_with_growing_eta(images, spacing, capsys):
    """The whole test again, by hand: 5 epochs of 8 batches, evaluated after every 4 updates."""
    lr_range_test.main(settings(images, eta_min=1e-3, eta_max=0.2, spacing=spacing, seed=3, l2=0.02))
    name, config, history, summary = left(images)
    assert name == "3-layer-changed_tiny_seed3"
    assert (config["run"], config["spacing"], config["l2"], config["seed"]) == ("3-layer", spacing, 0.02, 3)
    assert "cycles" not in config
    etas = (np.linspace if spacing == "linear" else np.geomspace)(1e-3, 0.2, 40)
    splits = split(load(str(images), images.parent), 150, 50)
    net = MLP([48, 6, 4], initializer="he", rng=np.random.default_rng([3, 0]))
    gradients, batches, losses = net.parameters.zeros_like(), minibatches(150, 20, np.random.default_rng([3, 1])), []
    x, y = splits.validation
    assert summary["accuracy_before"] == np.mean(net.forward(x).argmax(axis=1) == y)
    for step, eta in enumerate(etas, start=1):
        rows = next(batches)
        losses.append(net.loss_and_gradients(splits.train[0][rows], splits.train[1][rows], gradients))
        sgd_update(net.parameters, gradients, float(eta), 0.02)
        if step % 4 == 0:
            point = history[step // 4 - 1]
            assert point["step"] == step
            assert point["eta"] == pytest.approx(eta, rel=1e-12)
            assert point["batch_loss"] == pytest.approx(np.mean(losses[-4:]), rel=1e-5)
            assert point["validation_loss"] == pytest.approx(net.cost(x, y), rel=1e-5)
            assert point["validation_accuracy"] == np.mean(net.forward(x).argmax(axis=1) == y)
    assert len(history) == 10
    assert summary["diverged"] is None
    assert "suggested: --eta-min" in capsys.readouterr().out


def test_the_test_is_of_the_runs_own_optimizer_images_and_noise(images):
    """Whitened, flipped and shifted, with dropout, by AdamW: the first points again, by hand."""
    extras = {"optimizer": "adamw", "weight_decay": 0.1, "whitening": 1.0, "shift": 1, "flip": 0.5, "dropout": 0.2}
    lr_range_test.main(settings(images, eta_min=1e-3, eta_max=0.2, seed=3, points=40, l2=0.0, **extras))
    _, config, history, _ = left(images)
    assert {name: config[name] for name in extras} == extras
    splits = split(load(str(images), images.parent), 150, 50, 1.0)
    net = MLP([48, 6, 4], dropout=0.2, initializer="he", rng=np.random.default_rng([3, 0]))
    optimizer, augment = AdamW(net.parameters, weight_decay=0.1), FlipsAndShifts((4, 4, 3), shift=1, flip=0.5)
    gradients, batches = net.parameters.zeros_like(), minibatches(150, 20, np.random.default_rng([3, 1]))
    for step, eta in enumerate(np.linspace(1e-3, 0.2, 40)[:6]):
        rows = next(batches)
        x = augment(splits.train[0][rows], np.random.default_rng([3, step, 1]))
        masks = net.dropout_masks(20, np.random.default_rng([3, step, 2]))
        loss = net.loss_and_gradients(x, splits.train[1][rows], gradients, masks=masks)
        optimizer(net.parameters, gradients, float(eta))
        assert history[step]["batch_loss"] == pytest.approx(loss, rel=1e-5)
        assert history[step]["validation_loss"] == pytest.approx(net.cost(*splits.validation), rel=1e-5)


def test_divergence_is_a_result(images, capsys):
    lr_range_test.main(settings(images, eta_max=1e35, spacing="exponential", eta_min=1e-3, points=40))
    _, _, history, summary = left(images)
    assert 0 < len(history) < 40
    assert summary["eta_min"] <= summary["eta_max"] < 1e35
    assert "loss is" in summary["diverged"]
    assert "lower the learning rate" not in summary["diverged"]
    assert "diverged: " in capsys.readouterr().out


def test_divergence_at_once_is_an_error_and_leaves_nothing(images, monkeypatch, capsys):
    arguments = ["--data", images, "--results", images.parent / "out", "--n-train", 150, "--n-validation", 50]
    arguments += ["--eta-min", "1e36", "--eta-max", "1e37"]
    monkeypatch.setattr("sys.argv", ["lr_range_test.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run_script(lr_range_test.main, Settings)
    assert ended.value.code == 3
    assert "lower the learning rate" in capsys.readouterr().err.splitlines()[-1]
    assert not list(images.parent.glob("out/lr_range_test/*"))


def test_where_nothing_is_learned_nothing_is_suggested(images, capsys):
    lr_range_test.main(settings(images, eta_max=1e-12))
    _, _, _, summary = left(images)
    assert (summary["eta_min"], summary["eta_max"]) == (None, None)
    assert "nothing was learned" in capsys.readouterr().out


def test_where_the_accuracy_does_not_fall_a_larger_eta_is_asked_for(images, monkeypatch, capsys):
    monkeypatch.setattr(lr_range_test, "measured", lambda *_: CURVES["rises to the end"][0])
    lr_range_test.main(settings(images))
    _, _, _, summary = left(images)
    assert (summary["eta_min"], summary["eta_max"]) == (2, None)
    assert "the accuracy did not fall: test a larger --eta-max" in capsys.readouterr().out
