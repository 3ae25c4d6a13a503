"""Updates: what is done to the parameters with a gradient.

`sgd_update` is a function; what remembers earlier gradients is made for one network's parameters and called like it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manual_mlp.checks import checked_bool, checked_fraction, checked_number
from manual_mlp.layers import L2PenaltyCache, l2_penalty_backward
from manual_mlp.named_arrays import NamedArrays
from manual_mlp.threads import for_every_part

UPDATE_BLOCK = 131072  # entries, half a megabyte in float32: the cache holds it, and threads seldom wait for each other

Update = Callable[[NamedArrays, NamedArrays, float, float], None]  # (parameters, gradients of the loss, eta, l2)


def sgd_update(parameters: NamedArrays, gradients: NamedArrays, eta: float, l2: float = 0.0) -> None:
    """parameters -= eta (gradients + 2 l2 W), whatever their names. Uses up the gradients.

    `gradients` are those of the loss; the penalty's is added here.
    """
    check_gradients(parameters, gradients)
    eta = checked_number("eta", eta, minimum=0)
    l2 = checked_number("l2", l2, minimum=0)

    def update(block: slice) -> None:
        gradients.flat[block] *= eta
        parameters.flat[block] -= gradients.flat[block]

    update_in_blocks(update, parameters, gradients, l2)


def update_in_blocks(
    update: Callable[[slice], None], parameters: NamedArrays, gradients: NamedArrays, l2: float
) -> None:
    """Calls update(block) for every block of `flat`, once the penalty's gradient 2 l2 W has been added there: what one
    operation has touched is still in the cache for the next. Of a large network every core updates some blocks.

    (For plain SGD, shrinking W by the factor 1 - 2 eta l2 would be one pass less, but float32 rounds that factor to 1
    where eta l2 is small.)
    """

    def with_penalty(start: int) -> None:
        block = slice(start, start + UPDATE_BLOCK)
        if l2:
            W = parameters.weights[block]  # empty where the weights have ended
            gradients.weights[block] += l2_penalty_backward(1.0, L2PenaltyCache(W, l2))
        update(block)

    for_every_part(with_penalty, range(0, len(parameters.flat), UPDATE_BLOCK))


def check_gradients(parameters: NamedArrays, gradients: NamedArrays) -> None:
    """They are updated in place, in one array: what merely has the same names would not do."""
    for name, arrays in (("parameters", parameters), ("gradients", gradients)):
        if not isinstance(arrays, NamedArrays):
            raise ValueError(
                f"{name} is a {type(arrays).__name__}; it must be a NamedArrays: net.parameters, and gradients as "
                "net.cost_and_gradients returns them, or net.parameters.zeros_like() filled with yours name by name"
            )
    if not gradients.has_shapes_of(parameters):
        raise ValueError(
            f"gradients are not those of these parameters: they are {gradients}, the parameters are {parameters}; "
            "take them from the same network"
        )


class Optimizer(ABC):
    """An update that remembers: made for `net.parameters`, called as `sgd_update` is.

    `state` holds what it remembers, by name: live arrays (P,) in the order of `parameters.flat`. Saved and filled in
    place, they let a training go on to the same bits.
    """

    def __init__(self, parameters: NamedArrays) -> None:
        if not isinstance(parameters, NamedArrays):
            raise ValueError(f"parameters is a {type(parameters).__name__}; it must be a network's: net.parameters")
        self.parameters = parameters
        self.state: dict[str, NDArray[Any]] = {}

    def __call__(self, parameters: NamedArrays, gradients: NamedArrays, eta: float, l2: float = 0.0) -> None:
        """One update. Uses up the gradients, which are those of the loss: the penalty's, 2 l2 W, is added here."""
        if parameters is not self.parameters:
            raise ValueError(
                f"parameters are not those that this {type(self).__name__} was made for, whose earlier gradients it "
                "remembers; make another for each network"
            )
        check_gradients(parameters, gradients)
        self.update(gradients, checked_number("eta", eta, minimum=0), checked_number("l2", l2, minimum=0))

    @abstractmethod
    def update(self, gradients: NamedArrays, eta: float, l2: float) -> None: ...


class Momentum(Optimizer):
    """SGD along a velocity that gathers the gradients g, as torch.optim.SGD has it.

        v = momentum v + g,  parameters -= eta v                  (Polyak 1964)
                             parameters -= eta (g + momentum v)   with nesterov

    The second is Nesterov's method, written for the point that it looks ahead to (Sutskever et al. 2013).
    """

    def __init__(self, parameters: NamedArrays, momentum: float = 0.9, nesterov: bool = False) -> None:
        super().__init__(parameters)
        self.momentum = checked_fraction("momentum", momentum)
        self.nesterov = checked_bool("nesterov", nesterov)
        self.state = {"velocity": np.zeros_like(parameters.flat)}

    def update(self, gradients: NamedArrays, eta: float, l2: float) -> None:
        values, velocity = self.parameters.flat, self.state["velocity"]

        def update(block: slice) -> None:
            g, v, value = gradients.flat[block], velocity[block], values[block]
            v *= self.momentum
            v += g
            if self.nesterov:
                g *= eta
                value -= g
                np.multiply(v, eta * self.momentum, out=g)
            else:
                np.multiply(v, eta, out=g)
            value -= g

        update_in_blocks(update, self.parameters, gradients, l2)


class Adam(Optimizer):
    """A step of about eta in every parameter: its mean gradient over the root of its mean square (Kingma and Ba 2015).

        m = beta1 m + g,    n1 = 1 + beta1 + ... + beta1^(t-1) = (1 - beta1^t) / (1 - beta1)
        v = beta2 v + g^2,  n2 likewise
        parameters -= eta (m / n1) / (sqrt(v / n2) + eps)

    t counts the updates from 1. m and v are sums whose weights add up to n1 and n2; the paper's are 1 - beta times as
    large, the quotients its bias-corrected moments. The penalty's gradient is part of g: `AdamW` keeps it out.
    """

    def __init__(self, parameters: NamedArrays, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        super().__init__(parameters)
        self.beta1, self.beta2 = checked_fraction("beta1", beta1), checked_fraction("beta2", beta2)
        self.eps = checked_number("eps", eps, minimum=0)
        if not parameters.flat.dtype.type(self.eps) > 0:
            raise ValueError(f"eps is {eps}; it must be above 0 in {parameters.flat.dtype}: a gradient of 0 is divided")
        self.weight_decay = 0.0
        self.state = {
            "sum_of_gradients": np.zeros_like(parameters.flat),
            "sum_of_squares": np.zeros_like(parameters.flat),
            "updates": np.zeros(1, np.int64),
        }

    def update(self, gradients: NamedArrays, eta: float, l2: float) -> None:
        sums, squares, updates = self.state["sum_of_gradients"], self.state["sum_of_squares"], self.state["updates"]
        updates += 1
        n1, n2 = ((1 - beta ** int(updates[0])) / (1 - beta) for beta in (self.beta1, self.beta2))
        # sqrt(n2) goes from under the root into the two constants: every pass over the parameters counts
        eps, step = self.eps * math.sqrt(n2), eta * math.sqrt(n2) / n1

        def update(block: slice) -> None:
            g, m, v = gradients.flat[block], sums[block], squares[block]
            m *= self.beta1
            m += g
            v *= self.beta2
            g *= g
            v += g
            np.sqrt(v, out=g)
            g += eps
            np.divide(m, g, out=g)
            g *= step
            if self.weight_decay:  # added to the step, not a factor of W: see update_in_blocks
                gradients.weights[block] += (eta * self.weight_decay) * self.parameters.weights[block]
            self.parameters.flat[block] -= g

        update_in_blocks(update, self.parameters, gradients, l2)


class AdamW(Adam):
    """Adam with decoupled weight decay, W -= eta weight_decay W beside its step, on the weights of linear layers alone.

    Adam divides all of g by its size, the penalty's part too, so that l2 hardly acts where gradients are large; this
    decay acts alike everywhere (Loshchilov and Hutter 2019). l2 is 0 with it, as a rule.
    """

    def __init__(
        self,
        parameters: NamedArrays,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        *,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, beta1, beta2, eps)
        self.weight_decay = checked_number("weight_decay", weight_decay, minimum=0)
