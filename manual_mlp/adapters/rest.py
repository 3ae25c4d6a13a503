"""What a program's step still does to its gradients: many divide by the batch size there, or add the penalty, or call
the gradient for one image at a time.
"""

from collections.abc import Mapping
from typing import NamedTuple

from manual_mlp.adapters.arrangement import Arrangement, Inputs
from manual_mlp.adapters.calls import computed
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network
from manual_mlp.layers import Array


class Rest(NamedTuple):
    """What is left to the step."""

    penalty: bool = False  # adds 2 l2 W
    mean: bool = False  # divides by the number of images
    singly: bool = False  # adds up the gradients of single images

    def words(self) -> str:
        said = {"penalty": "adds the gradient of the penalty", "mean": "divides by the number of images"}
        said |= {"singly": "calls the gradient for one image after the other"}
        return " and ".join(text for name, text in said.items() if getattr(self, name))


RESTS = (
    Rest(penalty=True),
    Rest(mean=True),
    Rest(mean=True, penalty=True),
    Rest(mean=True, singly=True),
    Rest(mean=True, singly=True, penalty=True),
    Rest(singly=True),
    Rest(singly=True, penalty=True),
)


def with_rest(
    network: Network, how: Arrangement, given: Inputs, gradients: Mapping[str, Array], rest: Rest, penalty: bool = True
) -> dict[str, Array]:
    """The gradients as they are when the step has done its part; without the penalty's if `penalty` is False."""
    n = len(given.x)
    finished = dict(gradients)
    if rest.singly:
        finished = {}
        for image in range(n):
            one = given._replace(x=given.x[image : image + 1], y=given.y[image : image + 1])
            for name, value in computed(network, how, one).gradients.items():
                finished[name] = finished.get(name, 0) + value
        if not finished:
            raise Failed("the gradients", "missing", "are not there for a single image")
    if rest.mean:
        finished = {name: value / n for name, value in finished.items()}
    if rest.penalty and penalty:
        for name in [name for name in finished if name.startswith("linear") and name.endswith("weight")]:
            finished[name] = finished[name] + 2 * given.l2 * given.parameters[name]
    return finished
