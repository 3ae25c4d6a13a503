"""One training, described by its settings: those of the main job, and what a command line may change in them."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from image_data import ImageData, Splits, check_sizes

from manual_mlp import (
    MLP,
    Adam,
    AdamW,
    FlipsAndShifts,
    Momentum,
    Record,
    adaptive_batch_norm,
    cosine_decay,
    cyclical_learning_rate,
    linear_decay,
    one_cycle,
    precise_batch_norm,
    sgd_update,
    train,
)
from manual_mlp.checks import checked_integer, checked_number
from manual_mlp.initializers import weight_std
from manual_mlp.optimizers import Update
from manual_mlp.training import check_batch_size

RunName = Literal["1-cycle", "3-cycles", "3-layer", "3-layer-bn", "best-mlp"]
Schedule = Literal["cyclical", "linear", "cosine", "one-cycle"]
OptimizerName = Literal["sgd", "momentum", "nesterov", "adam", "adamw"]
Statistics = Literal["running", "precise", "adaptive"]


@dataclass(frozen=True)
class Run:
    """The settings of one training; `Changes` says what they mean."""

    hidden: tuple[int, ...]
    batch_norm: bool
    initializer: float | str
    l2: float
    cycles: int
    step_size: int
    n_train: int
    n_validation: int
    eta_min: float = 1e-5
    eta_max: float = 1e-1
    batch_size: int = 100
    schedule: Schedule = "cyclical"
    annealing: float = 1.0
    optimizer: OptimizerName = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    skips: tuple[int, ...] = ()
    relu_first: bool = False
    shift: int = 0
    flip: float = 0.0
    statistics: Statistics = "running"
    whitening: float = 0.0

    @property
    def updates(self) -> int:
        return 2 * self.step_size * self.cycles

    @property
    def record_every(self) -> int:
        """Ten records a cycle."""
        return max(1, 2 * self.step_size // 10)

    def learning_rate(self, step: int) -> float:
        match self.schedule:
            case "linear":
                return linear_decay(step, self.updates, self.eta_max, self.eta_min)
            case "cosine":
                return cosine_decay(step, self.updates, self.eta_max, self.eta_min)
            case "one-cycle":
                return one_cycle(step, self.updates, self.eta_max, eta_min=self.eta_min)
            case "cyclical":
                return cyclical_learning_rate(step, self.step_size, self.eta_min, self.eta_max, self.annealing)

    def new_optimizer(self, net: MLP) -> Update:
        match self.optimizer:
            case "sgd":
                return sgd_update
            case "momentum" | "nesterov":
                return Momentum(net.parameters, self.momentum, nesterov=self.optimizer == "nesterov")
            case "adam":
                return Adam(net.parameters)
            case "adamw":
                return AdamW(net.parameters, weight_decay=self.weight_decay)

    def augmentation(self, shape: tuple[int, ...]) -> FlipsAndShifts | None:
        """Of images of this shape."""
        return FlipsAndShifts(shape, shift=self.shift, flip=self.flip) if self.shift or self.flip else None

    def train(self, net: MLP, splits: Splits, seed: int, **hooks: Any) -> list[Record]:
        """The training that these settings describe; `hooks` are those of manual_mlp.train, and may replace
        learning_rate, updates, record_every and the new optimizer.
        """
        return train(
            net,
            splits.train,
            splits.validation,
            batch_size=self.batch_size,
            l2=self.l2,
            rng=np.random.default_rng([seed, 1]),
            augment=self.augmentation(splits.shape),
            noise_seed=seed,
            **{
                "learning_rate": self.learning_rate,
                "updates": self.updates,
                "record_every": self.record_every,
                "optimizer": self.new_optimizer(net),
                **hooks,
            },
        )

    def take_statistics(self, net: MLP, splits: Splits) -> None:
        """Gives batch norm the statistics that it shall have at test time."""
        if self.statistics == "precise":
            precise_batch_norm(net, splits.train[0], self.batch_size)
        elif self.statistics == "adaptive":
            adaptive_batch_norm(net, splits.test[0])


RUNS: dict[RunName, Run] = {
    "1-cycle": Run((50,), False, "xavier", l2=0.01, cycles=1, step_size=500, n_train=10_000, n_validation=10_000),
    "3-cycles": Run((50,), False, "xavier", l2=0.01, cycles=3, step_size=800, n_train=10_000, n_validation=10_000),
    "3-layer": Run((50, 50), False, "he", l2=0.005, cycles=2, step_size=2250, n_train=45_000, n_validation=5_000),
    "3-layer-bn": Run((50, 50), True, "he", l2=0.005, cycles=2, step_size=2250, n_train=45_000, n_validation=5_000),
    "best-mlp": Run(
        (768, 768, 768),
        batch_norm=True,
        initializer="he",
        l2=0.0,
        cycles=1,
        step_size=11520,  # 120 epochs in all
        n_train=49_000,
        n_validation=1_000,
        eta_max=5e-3,
        batch_size=256,
        schedule="one-cycle",
        optimizer="adamw",
        weight_decay=0.1,
        dropout=0.2,
        label_smoothing=0.1,
        skips=(2, 3),
        relu_first=True,
        shift=3,
        flip=0.5,
        whitening=1.0,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a command line may replace in a run; left out, the run keeps its own."""

    hidden: tuple[int, ...] | None = None
    """Widths of the hidden layers."""
    batch_norm: bool | None = None
    """Batch normalization in every hidden layer."""
    initializer: float | str | None = None
    """he, xavier, or a number: the standard deviation of every weight."""
    l2: float | None = None
    """lambda: the cost is loss + lambda times the sum of the squared weights."""
    cycles: int | None = None
    """Learning-rate cycles."""
    step_size: int | None = None
    """n_s: updates in half a cycle."""
    eta_min: float | None = None
    """Learning rate at both ends of a cycle."""
    eta_max: float | None = None
    """Learning rate in the middle of a cycle."""
    batch_size: int | None = None
    """Images in an update."""
    n_train: int | None = None
    """Images to train on, the first of the training images."""
    n_validation: int | None = None
    """Images to validate on, those that follow."""
    schedule: Schedule | None = None
    """How eta moves between eta-min and eta-max; all but cyclical take the whole training for it."""
    annealing: float | None = None
    """Factor on the height of every cycle over the one before."""
    optimizer: OptimizerName | None = None
    """What is done with a gradient."""
    momentum: float | None = None
    """Of the optimizers momentum and nesterov."""
    weight_decay: float | None = None
    """Of the optimizer adamw, apart from the cost."""
    dropout: float | None = None
    """Probability to drop what a hidden unit puts out."""
    label_smoothing: float | None = None
    """Share of the target that is spread over all classes."""
    skips: tuple[int, ...] | None = None
    """Hidden layers, counted from 1, whose input is added to their output."""
    relu_first: bool | None = None
    """Batch normalization behind the ReLU."""
    shift: int | None = None
    """Pixels by which training images are moved at most."""
    flip: float | None = None
    """Probability to mirror a training image."""
    statistics: Statistics | None = None
    """Batch normalization's for the test accuracy: the running averages, those of all training images, or the test
    images' own."""
    whitening: float | None = None
    """Whitens the images, by variances plus this number; 0 leaves them as they are."""

    def changed(self, run: Run) -> Run:
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(Run)}
        run = dataclasses.replace(run, **{key: value for key, value in given.items() if value is not None})
        if self.momentum is not None:  # also where it is the usual one
            check_momentum(run)
        return run


def check(run: Run, data: ImageData) -> None:
    """Finds what cannot be before anything is trained or written."""
    checked_integer("--cycles", run.cycles, minimum=1)
    checked_integer("--step-size", run.step_size, minimum=1)
    run.learning_rate(0)
    run.augmentation(data.x_train.shape[1:])
    checked_number("--whitening", run.whitening, minimum=0)
    checked_number("--l2", run.l2, minimum=0)
    check_hidden(run.hidden)
    check_sizes(data, run.n_train, run.n_validation)
    if run.batch_size > run.n_train:
        raise ValueError(f"--batch-size is {run.batch_size}; it must be at most --n-train, {run.n_train}")
    weight_std(run.initializer, data.inputs)
    net = new_network(dataclasses.replace(run, initializer=0.0), data.inputs, data.classes, seed=0)  # draws nothing
    check_batch_size(net, run.n_train, run.batch_size)
    run.new_optimizer(net)
    if run.weight_decay and run.optimizer != "adamw":
        raise ValueError(f"--weight-decay is {run.weight_decay} without --optimizer adamw; the others take --l2")
    if run.momentum != Run.momentum:
        check_momentum(run)
    if run.annealing != 1 and run.schedule != "cyclical":
        raise ValueError(f"--annealing is {run.annealing} with --schedule {run.schedule}; only cyclical has it")
    if run.statistics != "running" and not run.batch_norm:
        raise ValueError(f"--statistics is {run.statistics} without batch normalization; add --batch-norm")


def check_momentum(run: Run) -> None:
    if run.optimizer not in ("momentum", "nesterov"):
        raise ValueError(
            f"--momentum is {run.momentum} with --optimizer {run.optimizer}; only momentum and nesterov have it"
        )


def check_hidden(widths: tuple[int, ...]) -> None:
    for width in widths:
        checked_integer("--hidden", width, minimum=1)


def new_network(run: Run, inputs: int, classes: int, seed: int) -> MLP:
    """The first weights depend on the seed and the sizes alone."""
    return MLP(
        [inputs, *run.hidden, classes],
        batch_norm=run.batch_norm,
        relu_first=run.relu_first,
        dropout=run.dropout,
        skips=run.skips,
        label_smoothing=run.label_smoothing,
        initializer=run.initializer,
        rng=np.random.default_rng([seed, 0]),
    )
