"""Training: minibatches, the loop, and the history that it leaves."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manual_mlp.blocks import layer_names
from manual_mlp.checks import checked_generator, checked_images, checked_integer, checked_labels, checked_number
from manual_mlp.layers import Array, Labels, softmax_cross_entropy_forward
from manual_mlp.network import MLP, Masks, checked_network
from manual_mlp.optimizers import Update, sgd_update

Data = tuple[Array, Labels]  # images (N, D) and class numbers (N,)


@dataclass(frozen=True)
class Record:
    """One line of a history, taken in test mode after `step` updates; the last fields are of the validation images."""

    step: int
    eta: float  # of the update to come; after the last, its own
    train_loss: float
    train_cost: float
    train_accuracy: float
    validation_loss: float
    validation_cost: float
    validation_accuracy: float


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands between two updates. With the network's values it is all that it takes to go on."""

    step: int  # updates made; with the batch size they tell the position in the epoch
    epoch: Mapping[str, Any]  # the generator's state before it draws the order of the epoch that the next update is in
    history: list[Record]


def minibatches(images: int, batch_size: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Row numbers of one batch after the other, without end.

    Every epoch is a new permutation, so each image comes exactly once in it; the last batch of an epoch is smaller
    where batch_size does not divide the number of images.
    """
    images = checked_integer("images", images, minimum=1)
    batch_size = checked_integer("batch_size", batch_size, minimum=1)
    rng = checked_generator("rng", rng)

    def batches() -> Iterator[NDArray[np.intp]]:
        while True:
            order = rng.permutation(images)
            for start in range(0, images, batch_size):
                yield order[start : start + batch_size]

    return batches()


def evaluate(net: MLP, data: Data, chunk: int = 5000) -> tuple[float, float]:
    """Mean cross-entropy and accuracy in test mode, `chunk` images at a time to bound the memory."""
    return loss_and_accuracy(net, checked_data(net, data), checked_integer("chunk", chunk, minimum=1))


def loss_and_accuracy(net: MLP, data: Data, chunk: int = 5000) -> tuple[float, float]:
    """`evaluate` for a caller that has checked its data."""
    x, y = data
    loss, right = 0.0, 0
    for start in range(0, len(x), chunk):
        part = y[start : start + chunk]
        logits, _ = net.forward_with_caches(x[start : start + chunk], training=False)
        loss += float(softmax_cross_entropy_forward(logits, part)[0]) * len(part)
        right += int(np.count_nonzero(logits.argmax(axis=1) == part))
    return loss / len(x), right / len(x)


def train(
    net: MLP,
    train_data: Data,
    validation_data: Data,
    *,
    learning_rate: Callable[[int], float],
    updates: int,
    optimizer: Update = sgd_update,
    batch_size: int = 100,
    l2: float = 0.0,
    augment: Callable[[Array, np.random.Generator], Array] | None = None,
    record_every: int,
    rng: np.random.Generator,
    noise_seed: int | None = None,
    on_update: Callable[[int, float, float], None] = lambda *_: None,
    on_record: Callable[[Record], None] = lambda _: None,
    on_state: Callable[[TrainingState], None] = lambda _: None,
    resume: TrainingState | None = None,
) -> list[Record]:
    """Minibatch training for `updates` updates, eta taken from learning_rate(update number).

    A record is taken before the first update, after every `record_every` updates and after the last.
    `optimizer` is `sgd_update`, or one made for this network, such as AdamW(net.parameters). `rng` draws the order of
    the images. `augment(batch, generator)` changes a batch, which it may overwrite, before the network sees it. It and
    dropout draw from streams of their own, which `noise_seed` and the update number decide, so that neither changes
    what the other or the order would be.

    `on_update(step, eta, batch loss)` and `on_record(record)` let a caller show progress.

    `on_state(state)` is called after every update, when network and state belong together: a caller may save both, or
    end the training by raising. Given to a new call as `resume`, with the network's values as they were, a state goes
    on to the same bits; `rng` may then be any generator of the same kind.

    What an optimizer keeps between updates (its `state`) is its caller's to save, as the network's values are.

    A loss that is no longer finite ends the training with a FloatingPointError that names the layer.
    """
    train_data, validation_data = checked_data(net, train_data), checked_data(net, validation_data)
    images = len(train_data[0])
    updates = checked_integer("updates", updates, minimum=0)
    record_every = checked_integer("record_every", record_every, minimum=1)
    l2, rng = checked_number("l2", l2, minimum=0), checked_generator("rng", rng)
    check_batch_size(net, images, batch_size)
    if not callable(learning_rate):
        raise ValueError(f"learning_rate is {learning_rate!r}; it must be a function of the update number")
    if not callable(optimizer):
        raise ValueError(f"optimizer is {optimizer!r}; it must be one such as sgd_update")
    if isinstance(optimizer, type):
        name = optimizer.__name__
        raise ValueError(f"optimizer is the class {name}; it must be one made for this network: {name}(net.parameters)")
    if not (augment is None or callable(augment)):
        raise ValueError(f"augment is {augment!r}; it must be a function of a batch and a generator")
    if isinstance(augment, type):
        name = augment.__name__
        raise ValueError(f"augment is the class {name}; it must be an instance of it, as in {name}((32, 32, 3))")
    noise = checked_noise_seed(net, noise_seed, augment) if augment is not None or net.dropout else 0

    def record(step: int, eta: float) -> Record:
        penalty = net.penalty(l2)
        train_loss, train_accuracy = loss_and_accuracy(net, train_data)
        validation_loss, validation_accuracy = loss_and_accuracy(net, validation_data)
        if not math.isfinite(train_loss + validation_loss + penalty):
            raise FloatingPointError(f"the cost is not finite after {step} updates: {remedy(step)}")
        return Record(
            step,
            eta,
            train_loss,
            train_loss + penalty,
            train_accuracy,
            validation_loss,
            validation_loss + penalty,
            validation_accuracy,
        )

    x, y = train_data
    gradients = net.parameters.zeros_like()
    batch = np.empty((min(batch_size, images), net.sizes[0]), net.dtype)
    workspace = net.workspace(len(batch))
    batches, batches_per_epoch = minibatches(images, batch_size, rng), -(-images // batch_size)
    history: list[Record] = []
    first, epoch = 0, rng.bit_generator.state
    if resume is not None:
        first, epoch, history = checked_state(resume, updates, rng)
        for _ in range(first % batches_per_epoch):
            next(batches)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows ends in a loss that is not finite
        for step in range(first, updates + 1):
            last = min(step, updates - 1)
            eta = checked_number(f"learning_rate({last})", learning_rate(last), minimum=0) if updates else 0.0
            if step % record_every == 0 or step == updates:
                history.append(record(step, eta))
                on_record(history[-1])
            if step == updates:
                break
            rows = next(batches)
            part = np.take(x, rows, axis=0, out=batch[: len(rows)], mode="clip")  # the default mode copies twice
            if augment is not None:  # (a last 0 would be no number: [noise, step, 0] draws as [noise, step] does)
                part = augment(part, np.random.default_rng([noise, step, 1]))
                check_augmented(part, (len(rows), net.sizes[0]))
            masks = net.dropout_masks(len(rows), np.random.default_rng([noise, step, 2])) if net.dropout else None
            space = workspace if len(rows) == len(batch) else None
            loss = net.loss_and_gradients(part, y[rows], gradients, space, masks)
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} at update {step}, where eta is {eta:g}; the first numbers to break are "
                    f"{first_not_finite(net, part, masks)}: {remedy(step)}"
                )
            optimizer(net.parameters, gradients, eta, l2)
            on_update(step, eta, loss)
            if (step + 1) % batches_per_epoch == 0:
                epoch = rng.bit_generator.state
            on_state(TrainingState(step + 1, epoch, history))
    return history


def remedy(step: int) -> str:
    return "lower the learning rate" if step else "the first weights, the images or l2 are too large"


def first_not_finite(net: MLP, x: Array, masks: Masks | None = None) -> str:
    """The first, on the way from the images to the loss, of the numbers that are infinite or NaN."""
    logits, caches = net.forward_with_caches(x, True, masks)
    outputs = [cache.linear.x for cache in caches[1:]] + [logits]  # of each layer, in the order of computation
    for layer, output in enumerate(outputs, start=1):
        names = layer_names(layer)
        for name in (names.weight, names.bias, names.gamma, names.beta):
            if not np.isfinite(net.parameters.get(name, 0.0)).all():
                return f"in {name}"
        if not np.isfinite(output).all():
            return f"what layer {layer} puts out"
    return "in the loss"


def checked_state(
    state: TrainingState, updates: int, rng: np.random.Generator
) -> tuple[int, Mapping[str, Any], list[Record]]:
    """The parts of a state to resume from; sets the generator to its epoch."""
    if not isinstance(state, TrainingState):
        raise ValueError(f"resume is a {type(state).__name__}; it must be a TrainingState, as on_state is given it")
    step = checked_integer("resume.step", state.step, minimum=0)
    if step > updates:
        raise ValueError(f"resume.step is {step}, beyond the {updates} updates of this training")
    try:
        rng.bit_generator.state = state.epoch
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise ValueError(f"resume.epoch is no state of {rng.bit_generator}: {error}") from None
    return step, state.epoch, list(state.history)


def checked_noise_seed(net: MLP, noise_seed: object, augment: object) -> int:
    if noise_seed is None:
        who = " and ".join([*(["augment"] if augment is not None else []), *(["dropout"] if net.dropout else [])])
        raise ValueError(
            f"noise_seed is None; it must be an integer of at least 0, from which the random numbers of {who} are drawn"
        )
    return checked_integer("noise_seed", noise_seed, minimum=0)


def check_augmented(batch: Array, shape: tuple[int, int]) -> None:
    if np.shape(batch) != shape:
        what = "None" if batch is None else f"an array of shape {np.shape(batch)}"
        raise ValueError(f"augment returned {what}; it must return the batch that it is given, {shape}, changed or not")


def check_batch_size(net: MLP, images: int, batch_size: int) -> None:
    batch_size = checked_integer("batch_size", batch_size, minimum=1)
    if net.buffers and (images % batch_size == 1 or batch_size == 1):
        raise ValueError(
            f"batch_size is {batch_size}: of {images} images that leaves a batch of one, on which batch normalization "
            "cannot train; choose another batch_size"
        )


def checked_data(net: MLP, data: Data) -> Data:
    net = checked_network(net)
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise ValueError(
            f"data is a {type(data).__name__}; it must be a pair: images (N, {net.sizes[0]}) and labels (N,)"
        )
    x, y = data
    x = checked_images(x, net.sizes[0], net.dtype, batch_statistics=False)
    return x, checked_labels(y, len(x), net.sizes[-1])
