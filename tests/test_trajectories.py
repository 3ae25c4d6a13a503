"""Whole trainings: the manual network and its twin stay together, update after update."""

import dataclasses
import json

import numpy as np
import pytest
import side_by_side
import torch

from manual_mlp import MLP, cyclical_learning_rate, minibatches, sgd_update
from torch_reference import TwinSGD, mirror


def images(count, seed, features=30, classes=5):
    """Noise with a faint class mean, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, count)
    return rng.normal(size=(count, features)) + 0.5 * np.random.default_rng(9).normal(size=(classes, features))[y], y


@pytest.mark.parametrize(
    ("hidden", "batch_norm"),
    [
        pytest.param((20, 20), False, id="3-layer-plain"),
        pytest.param((20, 20), True, id="3-layer-batch-norm", marks=pytest.mark.thorough),
        pytest.param((20, 15, 10, 10, 8, 8, 8, 8), False, id="9-layer-plain", marks=pytest.mark.thorough),
        pytest.param((20, 15, 10, 10, 8, 8, 8, 8), True, id="9-layer-batch-norm"),
    ],
)
def test_five_hundred_updates_stay_within_1e_11(hidden, batch_norm):
    net = MLP([30, *hidden, 5], batch_norm=batch_norm, rng=np.random.default_rng(0), dtype=np.float64)
    twin = mirror(net)
    optimizer, gradients = TwinSGD(twin, l2=0.005), net.parameters.zeros_like()
    x, y = images(1000, seed=1)
    for step, rows in zip(range(500), minibatches(1000, 50, np.random.default_rng(2)), strict=False):
        eta = cyclical_learning_rate(step, 125, 1e-5, 1e-1)
        loss = net.loss_and_gradients(x[rows], y[rows], gradients)
        sgd_update(net.parameters, gradients, eta, 0.005)
        assert loss == pytest.approx(optimizer.update(torch.tensor(x[rows]), torch.tensor(y[rows]), eta), abs=1e-11)
    largest, state = np.abs(net.parameters.weights).max(), twin.state_dict()
    for name, values in (*net.parameters.items(), *net.buffers.items()):
        assert np.abs(values - state[name].numpy()).max() <= 1e-11 * largest, name
    x, y = images(1000, seed=3)
    ours, theirs = net.forward(x).argmax(axis=1), twin.eval()(torch.tensor(x)).argmax(dim=1).numpy()
    np.testing.assert_array_equal(ours, theirs)
    assert np.mean(ours == y) > 0.5, "the networks have learned something to compare"


@pytest.fixture
def tiny(tmp_path):
    x, y = np.random.default_rng(0).integers(0, 256, (260, 6, 6, 3), np.uint8), np.arange(260) % 4
    np.savez(tmp_path / "tiny.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    return tmp_path / "tiny.npz"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_side_by_side_prints_and_leaves_the_comparison(tiny, tmp_path, dtype, capsys):
    settings = side_by_side.Settings(
        data=str(tiny),
        results=tmp_path / "out",
        n_train=160,
        batch_size=20,
        step_size=10,
        updates=30,
        hidden=(9, 8),
        dtype=dtype,
    )
    side_by_side.main(settings)
    (folder,) = (tmp_path / "out" / "side_by_side").iterdir()
    assert folder.name == f"3-layer-bn_{dtype}_tiny_seed0"
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "side_by_side.png", "summary.json"]
    summary = json.loads((folder / "summary.json").read_text())
    assert 0 < summary["largest_drift"] < (1e-13 if dtype == "float64" else 1e-3)
    assert {1, 10, 30} <= set(summary["drift"]["steps"])
    assert "60 of 60 images classified alike" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"updates": 0}, "--updates is 0"),
        ({"step_size": 0}, "step_size is 0"),
        ({"batch_size": 30}, "--batch-size is 30; it must divide --n-train, 160"),
        ({"n_train": 500}, "--n-train is 500"),
        ({"l2": -1.0}, "--l2 is -1.0"),
    ],
)
def test_wrong_settings_are_named(tiny, tmp_path, changed, message):
    settings = side_by_side.Settings(data=str(tiny), results=tmp_path / "out", n_train=160, batch_size=20)
    with pytest.raises(ValueError, match=message):
        side_by_side.main(dataclasses.replace(settings, **changed))
    assert not list(tmp_path.glob("out/side_by_side/*"))


def test_coming_apart_exits_1(tiny, tmp_path, monkeypatch, capsys):
    """A twin that decays its weights by a millionth more."""

    class Wrong(side_by_side.TwinSGD):
        def __init__(self, twin, l2):
            super().__init__(twin, l2 * (1 + 1e-6))

    monkeypatch.setattr(side_by_side, "TwinSGD", Wrong)
    settings = side_by_side.Settings(
        data=str(tiny), results=tmp_path, n_train=160, batch_size=20, updates=30, hidden=(9,)
    )
    with pytest.raises(SystemExit) as exit_code:
        side_by_side.main(settings)
    assert exit_code.value.code == 1
    assert "came apart" in capsys.readouterr().err
