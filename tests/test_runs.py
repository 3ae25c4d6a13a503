"""The settings of a training, and what they share with others."""

import dataclasses

import numpy as np
import pytest
from image_data import image_data, split
from runs import RUNS, Changes, Run, check, new_network

from manual_mlp import cosine_decay, cyclical_learning_rate, linear_decay, one_cycle


@pytest.mark.parametrize("change", [{"batch_norm": True}, {"l2": 0.5}, {"cycles": 7}], ids=str)
def test_runs_of_one_seed_and_shape_share_their_first_weights(change):
    """What makes their difference a paired one."""
    run = Run((5, 4), False, "he", l2=0.0, cycles=1, step_size=5, n_train=10, n_validation=5)
    one, other = (new_network(each, 6, 3, seed=1) for each in (run, dataclasses.replace(run, **change)))
    for name in ("linear1.weight", "linear2.weight", "linear3.weight"):
        np.testing.assert_array_equal(one.parameters[name], other.parameters[name])
    assert not np.array_equal(
        one.parameters["linear1.weight"], new_network(run, 6, 3, seed=2).parameters["linear1.weight"]
    )


BASE = Run((5, 5), True, "he", l2=0.01, cycles=2, step_size=6, n_train=40, n_validation=20, batch_size=8)
IMAGES = np.random.default_rng(0).integers(0, 256, (90, 4, 4, 3), np.uint8)
DATA = image_data("tiny", "tiny", "", IMAGES[:60], np.arange(60) % 3, IMAGES[60:], np.arange(30) % 3)


def values_after(run):
    """What a training leaves, and the network's test accuracy as its scripts take it."""
    check(run, DATA)
    splits, net = split(DATA, run.n_train, run.n_validation), new_network(run, 48, 3, seed=0)
    run.train(net, splits, seed=0)
    run.take_statistics(net, splits)
    return np.concatenate([net.parameters.flat, net.buffers.flat])


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": "linear"},
        {"schedule": "cosine"},
        {"schedule": "one-cycle"},
        {"annealing": 0.5},
        {"optimizer": "momentum"},
        {"optimizer": "nesterov"},
        {"optimizer": "momentum", "momentum": 0.5},
        {"optimizer": "adam"},
        {"optimizer": "adamw", "weight_decay": 0.3},
        {"dropout": 0.3},
        {"label_smoothing": 0.1},
        {"skips": (2,)},
        {"relu_first": True},
        {"shift": 1},
        {"flip": 0.5},
        {"statistics": "precise"},
        {"statistics": "adaptive"},
    ],
    ids=lambda change: ", ".join(f"{name}={value}" for name, value in change.items()),
)
def test_every_setting_changes_a_training(change):
    changed = dataclasses.replace(BASE, **change)
    first, again, base = values_after(changed), values_after(changed), values_after(BASE)
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()
    assert not np.array_equal(first, base)


@pytest.mark.parametrize(
    ("schedule", "function"),
    [
        ("linear", lambda step: linear_decay(step, 24, 0.2, 0.01)),
        ("cosine", lambda step: cosine_decay(step, 24, 0.2, 0.01)),
        ("one-cycle", lambda step: one_cycle(step, 24, 0.2, eta_min=0.01)),
        ("cyclical", lambda step: cyclical_learning_rate(step, 6, 0.01, 0.2, 0.5)),
    ],
)
def test_schedules_take_the_whole_training(schedule, function):
    run = dataclasses.replace(BASE, schedule=schedule, eta_min=0.01, eta_max=0.2, annealing=0.5)
    assert [run.learning_rate(step) for step in range(24)] == [function(step) for step in range(24)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_decay": 0.1}, "--weight-decay is 0.1 without --optimizer adamw"),
        ({"statistics": "precise", "batch_norm": False}, "--statistics is precise without batch normalization"),
        ({"shift": 4}, "shift is 4: shifts beyond the image"),
        ({"flip": 1.5}, "flip is 1.5"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be at least 0 and below 1"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1"),
        ({"skips": (3,)}, r"skips\[0\] is 3; the hidden layers have the numbers 1 to 2"),
        ({"hidden": (5, 4), "skips": (2,)}, "takes in 5 features, puts out 4"),
        ({"momentum": 0.5}, "--momentum is 0.5 with --optimizer sgd"),
        ({"annealing": 0.5, "schedule": "cosine"}, "--annealing is 0.5 with --schedule cosine"),
        ({"momentum": 1.0, "optimizer": "nesterov"}, "momentum is 1.0"),
        ({"relu_first": True, "batch_norm": False}, "relu_first is True without batch normalization"),
        ({"annealing": 0.0}, "annealing is 0.0"),
        ({"initializer": -1.0}, "initializer is -1.0"),
        ({"initializer": "normal"}, "initializer is 'normal'"),
        ({"optimizer": "adamw", "weight_decay": -1.0}, "weight_decay is -1.0"),
    ],
    ids=str,
)
def test_what_cannot_be_is_found_before_anything_is_trained(change, message):
    with pytest.raises(ValueError, match=message):
        check(dataclasses.replace(BASE, **change), DATA)


@pytest.mark.parametrize("initializer", ["he", "xavier", 0.01])
def test_a_check_draws_nothing(monkeypatch, initializer):
    """The weights of a large network take longer than all else that is checked."""
    drawn, default_rng = [], np.random.default_rng

    def remembered(seed):
        rng = default_rng(seed)
        drawn.append((rng, rng.bit_generator.state))
        return rng

    monkeypatch.setattr(np.random, "default_rng", remembered)
    check(dataclasses.replace(BASE, initializer=initializer), DATA)
    assert drawn
    assert all(rng.bit_generator.state == before for rng, before in drawn)


def test_a_skip_around_the_first_layer_is_as_wide_as_the_images():
    check(dataclasses.replace(BASE, hidden=(48,), skips=(1,)), DATA)


def test_changes_replace_what_is_given_and_nothing_else():
    run = RUNS["3-layer"]
    assert Changes().changed(run) == run
    changed = Changes(l2=0.0, batch_norm=False, hidden=()).changed(run)
    assert changed == dataclasses.replace(run, l2=0.0, batch_norm=False, hidden=())
