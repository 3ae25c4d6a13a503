"""Ten updates beside torch's, each with something extra around the update: rates of torch's own scheduler, images that
torch flips and pads, statistics that are measured when the training is done; at last everything at once.
"""

import dataclasses
import math

import numpy as np
import pytest
import torch
from lr_range_test import growing
from runs import RUNS
from test_augmentation import by_torch
from test_batch_statistics import seen_by_torch
from torch.optim import lr_scheduler

from manual_mlp import (
    MLP,
    AdamW,
    FlipsAndShifts,
    adaptive_batch_norm,
    compare_gradients,
    cosine_decay,
    cyclical_learning_rate,
    linear_decay,
    one_cycle,
    precise_batch_norm,
    sgd_update,
)
from torch_reference import mirror
from torch_reference.training import parameter_groups

SHAPE = (4, 3, 2)
L2, UPDATES, ETA_MIN, ETA_MAX = 0.05, 10, 0.02, 0.3


def schedule_of_range_test(spacing):
    run = dataclasses.replace(RUNS["3-layer"], eta_min=ETA_MIN, eta_max=ETA_MAX)
    return lambda step: growing(step / (UPDATES - 1), run, spacing)


SCHEDULES = {  # ours, and torch's, which begins at the lr that stands beside it
    "linear decay": (
        lambda step: linear_decay(step, UPDATES, ETA_MAX, ETA_MIN),
        ETA_MAX,
        lambda sgd: lr_scheduler.LinearLR(sgd, 1.0, ETA_MIN / ETA_MAX, UPDATES),
    ),
    "cosine": (
        lambda step: cosine_decay(step, UPDATES, ETA_MAX, ETA_MIN),
        ETA_MAX,
        lambda sgd: lr_scheduler.CosineAnnealingLR(sgd, UPDATES, ETA_MIN),
    ),
    "annealed cycles": (
        lambda step: cyclical_learning_rate(step, 2, ETA_MIN, ETA_MAX, 0.5),
        ETA_MIN,
        lambda sgd: lr_scheduler.CyclicLR(sgd, ETA_MIN, ETA_MAX, 2, mode="triangular2", cycle_momentum=False),
    ),
    "one cycle": (
        lambda step: one_cycle(step, UPDATES, ETA_MAX, 0.3, ETA_MIN),
        ETA_MIN,
        lambda sgd: lr_scheduler.OneCycleLR(
            *(sgd, ETA_MAX, UPDATES + 1),
            pct_start=(0.3 * UPDATES + 1) / (UPDATES + 1),
            cycle_momentum=False,
            div_factor=ETA_MAX / ETA_MIN,
            final_div_factor=1.0,
        ),
    ),
    "range test": (
        schedule_of_range_test("linear"),
        ETA_MAX,
        lambda sgd: lr_scheduler.LinearLR(sgd, ETA_MIN / ETA_MAX, 1.0, UPDATES - 1),
    ),
    "range test, exponential": (
        schedule_of_range_test("exponential"),
        ETA_MIN,
        lambda sgd: lr_scheduler.ExponentialLR(sgd, math.pow(ETA_MAX / ETA_MIN, 1 / (UPDATES - 1))),
    ),
}


class Pair:
    """A network and its twin on the same random images, and torch's optimizer and scheduler."""

    def __init__(self, make_optimizer=torch.optim.SGD, schedule="linear decay", decay=2 * L2, **settings):
        self.rng = np.random.default_rng(5)
        self.net = MLP([math.prod(SHAPE), 7, 7, 4], rng=self.rng, dtype=np.float64, **settings)
        for name, values in self.net.parameters.items():
            if name.endswith("bias") or name.startswith("bn"):
                values += self.rng.normal(0, 0.3, values.shape)
        self.x, self.y = self.rng.normal(size=(60, math.prod(SHAPE))), self.rng.integers(0, 4, 60)
        self.twin = mirror(self.net)
        self.rate, start, make_scheduler = SCHEDULES[schedule]
        self.optimizer = make_optimizer(parameter_groups(self.twin, decay), lr=start)
        self.scheduler = make_scheduler(self.optimizer)

    def updates(self, ours, augment=None, l2=L2):
        """Ten of them; losses, parameters and buffers are compared after each."""
        gradients = self.net.parameters.zeros_like()
        for step in range(UPDATES):
            rows, masks = self.rng.permutation(60)[:20], self.net.dropout_masks(20, self.rng)
            x, images = self.x[rows], torch.tensor(self.x[rows])
            if augment is not None:
                x = augment(x, np.random.default_rng(step))
                draws = np.random.default_rng(step)
                images = by_torch(images.reshape(-1, *SHAPE), augment.shift, augment.flip, draws).reshape(20, -1)
            loss = self.net.loss_and_gradients(x, self.y[rows], gradients, masks=masks)
            ours(self.net.parameters, gradients, self.rate(step), l2)
            self.optimizer.zero_grad()
            twin_masks = None if masks is None else [torch.tensor(mask) for mask in masks]
            twin_loss = self.twin.loss(images, torch.tensor(self.y[rows]), twin_masks)
            twin_loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            assert loss == pytest.approx(twin_loss.item(), rel=1e-12)
            self.compare(f"after update {step}")

    def compare(self, when):
        twin_values = {name: value.numpy() for name, value in self.twin.state_dict().items()}
        values = {**self.net.parameters, **self.net.buffers}
        comparison = compare_gradients(values, twin_values, tolerance=1e-12, floor=0.0)
        assert comparison.agrees, f"{when}\n{comparison}"

    def compare_at_test_time(self):
        ours, theirs = self.net.forward(self.x), self.twin.eval()(torch.tensor(self.x)).detach().numpy()
        assert compare_gradients({"logits": ours}, {"logits": theirs}, tolerance=1e-12, floor=0.0).agrees

    def take_torchs_statistics(self, x, batch_size):
        """Into the twin: of all that its batch normalization sees in training, batch by batch, with nothing dropped."""
        self.twin.rate = 0.0
        for name, inputs in seen_by_torch(self.twin, x, batch_size).items():
            self.twin.get_submodule(name).running_mean.copy_(inputs.mean(dim=0))
            self.twin.get_submodule(name).running_var.copy_(inputs.var(dim=0))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_at_the_rates_of_torchs_scheduler(schedule):
    Pair(schedule=schedule, batch_norm=True).updates(sgd_update)


@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch-norm"])
def test_on_images_that_torch_flips_and_pads(batch_norm):
    Pair(batch_norm=batch_norm).updates(sgd_update, FlipsAndShifts(SHAPE, shift=2, flip=0.5))


@pytest.mark.parametrize("relu_first", [False, True], ids=["in front of ReLU", "behind ReLU"])
def test_then_precise_statistics(relu_first):
    pair = Pair(batch_norm=True, relu_first=relu_first)
    pair.updates(sgd_update)
    precise_batch_norm(pair.net, pair.x, 25)
    pair.take_torchs_statistics(pair.x, 25)
    pair.compare("precise statistics")
    pair.compare_at_test_time()


def test_then_adaptive_statistics_of_other_images():
    pair = Pair(batch_norm=True)
    pair.updates(sgd_update)
    others = 3 * pair.x[:30] + 2
    adaptive_batch_norm(pair.net, others)
    pair.take_torchs_statistics(others, 30)
    pair.compare("adaptive statistics")
    pair.compare_at_test_time()


def test_with_everything_at_once():
    """What the best network is made of, and more; eps far above the rounding of a gradient that is 0."""
    settings = {"betas": (0.8, 0.95), "eps": 1e-3}
    pair = Pair(
        lambda groups, lr: torch.optim.AdamW(groups, lr=lr, **settings),
        schedule="one cycle",
        decay=0.3,
        batch_norm=True,
        dropout=0.3,
        skips=(2,),
        label_smoothing=0.1,
    )
    ours = AdamW(pair.net.parameters, 0.8, 0.95, 1e-3, weight_decay=0.3)
    pair.updates(ours, FlipsAndShifts(SHAPE, shift=1, flip=0.5), l2=0.0)
    precise_batch_norm(pair.net, pair.x, 20)
    pair.take_torchs_statistics(pair.x, 20)
    pair.compare("precise statistics")
    pair.compare_at_test_time()
