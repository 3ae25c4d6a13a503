"""Updates: what is done to the parameters with a gradient."""

from collections.abc import Callable

from manual_mlp.checks import checked_number
from manual_mlp.layers import L2PenaltyCache, l2_penalty_backward
from manual_mlp.named_arrays import NamedArrays

UPDATE_BLOCK = 32768  # entries: parameters and gradients together are a quarter of a megabyte in float32

Update = Callable[[NamedArrays, NamedArrays, float, float], None]  # (parameters, gradients of the loss, eta, l2)


def sgd_update(parameters: NamedArrays, gradients: NamedArrays, eta: float, l2: float = 0.0) -> None:
    """parameters -= eta (gradients + 2 l2 W), whatever their names. Uses up the gradients.

    `gradients` are those of the loss; the penalty's is added here, block by block: what one operation has touched is
    still in the cache for the next. (Shrinking W by the factor 1 - 2 eta l2 would be one pass less, but float32 rounds
    that factor to 1 where eta l2 is small.)
    """
    eta = checked_number("eta", eta, minimum=0)
    l2 = checked_number("l2", l2, minimum=0)
    for start in range(0, len(parameters.flat), UPDATE_BLOCK):
        block = slice(start, start + UPDATE_BLOCK)
        W = parameters.weights[block]  # empty where the weights have ended
        gradients.weights[block] += l2_penalty_backward(1.0, L2PenaltyCache(W, l2))
        gradients.flat[block] *= eta
        parameters.flat[block] -= gradients.flat[block]
