"""One update - gather the images of a batch, forward, backward, L2, SGD - as each library makes it.

A contestant starts from the values of a manual network. `update(rows)` trains on the images of those rows and returns
the loss of the batch, which it has waited for. What cannot be had or cannot express the network raises LeftOut.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from manual_mlp import MLP, sgd_update
from torch_reference import Twin, TwinSGD, mirror

Rows = NDArray[np.intp]


class LeftOut(Exception):
    """Why a contestant does not take part."""


@dataclass(frozen=True)
class Problem:
    """What all contestants train: a network of these sizes on standardized images (N, D), plain SGD."""

    sizes: tuple[int, ...]
    batch_norm: bool
    batch_size: int
    x: NDArray[np.float32]  # (N, D)
    y: NDArray[np.int64]  # (N,)
    l2: float = 0.05  # a wrong penalty is seen in one update
    eta: float = 0.001  # weights and signals stay normal numbers through thousands of updates: others are slow

    def network(self) -> MLP:
        """The same values for every contestant."""
        return MLP(self.sizes, batch_norm=self.batch_norm, rng=np.random.default_rng(0))

    def __str__(self) -> str:
        return "-".join(map(str, self.sizes)) + (" BN" if self.batch_norm else "")


class Contestant(Protocol):
    def update(self, rows: Rows) -> float: ...

    def values(self) -> Mapping[str, NDArray[Any]]:
        """Parameters and buffers, by the manual network's names."""


class Manual:
    """manual_mlp, as manual_mlp.train goes about it."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.net = problem, problem.network()
        self.gradients = self.net.parameters.zeros_like()
        self.batch = np.empty((problem.batch_size, problem.sizes[0]), np.float32)
        self.workspace = self.net.workspace(problem.batch_size)

    def update(self, rows: Rows) -> float:
        problem = self.problem
        x = np.take(problem.x, rows, axis=0, out=self.batch, mode="clip")
        loss = self.net.loss_and_gradients(x, problem.y[rows], self.gradients, self.workspace)
        sgd_update(self.net.parameters, self.gradients, problem.eta, problem.l2)
        return loss

    def values(self) -> Mapping[str, NDArray[Any]]:
        return {**self.net.parameters, **self.net.buffers}


class Floor:
    """The same gather and the same matrix products, into the same kind of arrays, and nothing else."""

    def __init__(self, problem: Problem) -> None:
        self.problem, net = problem, problem.network()
        layers = range(1, net.depth + 1)
        gradients = net.parameters.zeros_like()
        self.weights = [net.parameters[f"linear{layer}.weight"] for layer in layers]
        self.products = [gradients[f"linear{layer}.weight"] for layer in layers]
        rng, n = np.random.default_rng(0), problem.batch_size
        self.outputs = [rng.standard_normal((n, width), np.float32) for width in problem.sizes]
        self.upstream = [rng.standard_normal((n, width), np.float32) for width in problem.sizes]

    def update(self, rows: Rows) -> float:
        inputs, upstream = self.outputs, self.upstream
        np.take(self.problem.x, rows, axis=0, out=inputs[0], mode="clip")
        for layer, W in enumerate(self.weights):
            np.matmul(inputs[layer], W.T, out=inputs[layer + 1])
        for layer, W in reversed(list(enumerate(self.weights))):
            np.matmul(upstream[layer + 1].T, inputs[layer], out=self.products[layer])
            if layer > 0:
                np.matmul(upstream[layer + 1], W, out=upstream[layer])
        return float("nan")


class TorchEager:
    """The twin with torch.optim.SGD, fused: torch's fastest on a CPU."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.x, self.y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
        twin = mirror(problem.network())
        self.prepare(twin)
        self.optimizer = TwinSGD(twin, problem.l2)

    def prepare(self, twin: Twin) -> None:
        pass

    def update(self, rows: Rows) -> float:
        batch = torch.from_numpy(rows)
        return self.optimizer.update(self.x[batch], self.y[batch], self.problem.eta)

    def values(self) -> Mapping[str, NDArray[Any]]:
        return {name: value.numpy() for name, value in self.optimizer.twin.state_dict().items()}


class TorchCompile(TorchEager):
    """The same with the twin's forward and backward pass compiled."""

    def prepare(self, twin: Twin) -> None:
        twin.compile()
        twin.eval()  # so that the trial leaves the running statistics alone
        try:
            twin(self.x[: self.problem.batch_size])
        except RuntimeError as error:  # no C++ compiler on this machine, say
            raise LeftOut(f"cannot compile here ({str(error).strip().splitlines()[0]})") from None
        twin.train()


class Jax:
    """One jitted function makes the whole update, the gather included; parameters and buffers are donated."""

    def __init__(self, problem: Problem) -> None:
        try:
            import jax
            from jax import numpy as jnp
        except ImportError:
            raise LeftOut('is not installed (python -m pip install -e ".[bench]")') from None
        net = problem.network()
        depth, normalized = net.depth, problem.batch_norm

        def cost(parameters: dict[str, Any], buffers: dict[str, Any], x: Any, y: Any) -> tuple[Any, Any]:
            advanced, h, penalty = dict(buffers), x, jnp.float32(0)
            for layer in range(1, depth + 1):
                W = parameters[f"linear{layer}.weight"]
                penalty += problem.l2 * jnp.sum(W * W)
                h = h @ W.T + parameters[f"linear{layer}.bias"]
                if layer < depth:
                    if normalized:
                        mean, var, unbiased = h.mean(axis=0), h.var(axis=0), h.var(axis=0, ddof=1)
                        h = (h - mean) / jnp.sqrt(var + 1e-5)
                        h = h * parameters[f"bn{layer}.weight"] + parameters[f"bn{layer}.bias"]
                        for name, value in (("mean", mean), ("var", unbiased)):
                            key = f"bn{layer}.running_{name}"
                            advanced[key] = 0.9 * buffers[key] + 0.1 * value
                    h = jax.nn.relu(h)
            log_p = jax.nn.log_softmax(h)
            loss = -jnp.mean(jnp.take_along_axis(log_p, y[:, None], axis=1))
            return loss + penalty, (loss, advanced)

        def update(parameters: Any, buffers: Any, x: Any, y: Any, rows: Any) -> tuple[Any, Any, Any]:
            (_, (loss, advanced)), gradients = jax.value_and_grad(cost, has_aux=True)(
                parameters, buffers, x[rows], y[rows]
            )
            moved = jax.tree.map(lambda value, gradient: value - problem.eta * gradient, parameters, gradients)
            return moved, advanced, loss

        self.x, self.y = jnp.asarray(problem.x), jnp.asarray(problem.y)
        self.parameters = {name: jnp.array(value) for name, value in net.parameters.items()}
        self.buffers = {name: jnp.array(value) for name, value in net.buffers.items()}
        self.wait: Callable[[object], object] = jax.block_until_ready
        self.jitted = jax.jit(update, donate_argnums=(0, 1))

    def update(self, rows: Rows) -> float:
        self.parameters, self.buffers, loss = self.jitted(self.parameters, self.buffers, self.x, self.y, rows)
        self.wait(self.parameters)
        return float(loss)

    def values(self) -> Mapping[str, NDArray[Any]]:
        return {name: np.asarray(value) for name, value in (*self.parameters.items(), *self.buffers.items())}


class ScikitLearn:
    """MLPClassifier.partial_fit, which checks its input every time. Its penalty is alpha / (2 batch size) sum(W^2), and
    the loss that it returns includes it.
    """

    def __init__(self, problem: Problem) -> None:
        if problem.batch_norm:
            raise LeftOut("has no batch normalization")
        try:
            from sklearn.neural_network import MLPClassifier
        except ImportError:
            raise LeftOut('is not installed (python -m pip install -e ".[bench]")') from None
        self.problem, n = problem, problem.batch_size
        self.model = MLPClassifier(
            problem.sizes[1:-1],
            solver="sgd",
            alpha=2 * problem.l2 * n,
            batch_size=n,
            learning_rate_init=problem.eta,
            momentum=0.0,
            nesterovs_momentum=False,
            shuffle=False,
        )
        self.model.partial_fit(problem.x[:n], problem.y[:n], classes=np.arange(problem.sizes[-1]))  # makes the arrays
        values = problem.network().parameters
        for layer, (W, b) in enumerate(zip(self.model.coefs_, self.model.intercepts_, strict=True), start=1):
            W[:], b[:] = values[f"linear{layer}.weight"].T, values[f"linear{layer}.bias"]

    def update(self, rows: Rows) -> float:
        self.model.partial_fit(self.problem.x[rows], self.problem.y[rows])
        return float(self.model.loss_)

    def values(self) -> Mapping[str, NDArray[Any]]:
        layers = list(enumerate(zip(self.model.coefs_, self.model.intercepts_, strict=True), start=1))
        weights = {f"linear{layer}.weight": W.T for layer, (W, _) in layers}
        return weights | {f"linear{layer}.bias": b for layer, (_, b) in layers}


CONTESTANTS: dict[str, Callable[[Problem], Contestant | Floor]] = {
    "manual": Manual,
    "floor": Floor,
    "torch eager": TorchEager,
    "torch.compile": TorchCompile,
    "JAX jit": Jax,
    "scikit-learn": ScikitLearn,
}


def gathered(problem: Problem, names: tuple[str, ...]) -> tuple[dict[str, Contestant | Floor], dict[str, str]]:
    """The contestants of these names that can take part, and why the others cannot."""
    contestants: dict[str, Contestant | Floor] = {}
    left_out = {}
    for name in names:
        try:
            contestants[name] = CONTESTANTS[name](problem)
        except LeftOut as reason:
            left_out[name] = str(reason)
    return contestants, left_out


def check_agreement(problem: Problem, contestants: Mapping[str, Contestant | Floor]) -> None:
    """One update of each computes the same: its loss to 1e-4, and every parameter and running statistic to 1e-2 of the
    largest change that the update makes among its kind (float32; a deep network amplifies its rounding).
    """
    rows, reference = np.arange(problem.batch_size), Manual(problem)
    before = {name: value.copy() for name, value in reference.values().items()}
    penalty = reference.net.penalty(problem.l2)
    loss, after = reference.update(rows), reference.values()
    kinds = (tuple(reference.net.parameters), tuple(reference.net.buffers))
    scale = {name: max(np.abs(after[n] - before[n]).max() for n in kind) for kind in kinds for name in kind}
    for name, contestant in contestants.items():
        if isinstance(contestant, Floor):
            continue
        expected = loss + penalty if isinstance(contestant, ScikitLearn) else loss
        found, values = contestant.update(rows), contestant.values()
        wrong = [n for n in after if not np.abs(values[n] - after[n]).max() <= 1e-2 * scale[n]]
        if wrong or not abs(found - expected) <= 1e-4 * expected:
            raise ValueError(
                f"{name} does not compute the same update of {problem}: its loss is {found}, the manual network's "
                f"{expected}; values apart: {', '.join(wrong) or 'none'}. Larger batches or fewer layers round less"
            )
