"""CS231n's first network beside its loss: .predict."""

from typing import Any

import numpy as np

from manual_mlp.adapters.cs231n_instances import CLASSES, HIDDEN, problem
from manual_mlp.adapters.cs231n_modes import scores_of
from manual_mlp.adapters.cs231n_training import instance
from manual_mlp.adapters.program import Program
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array


def of_own_scores(net: Any, x: Array) -> Any:
    """What its own loss scores highest: what is wrong with these scores is said of the loss."""
    try:
        return np.argmax(net.loss(x), axis=1)
    except Exception:  # that it fails is said of the loss, too
        return None


def predictions(program: Program, name: str, deep: bool) -> Report:
    """.predict(X): the class with the highest score of each image."""
    hidden = HIDDEN if deep else HIDDEN[:1]
    parameters, x, _ = problem(hidden, batch_norm=False)
    net = instance(program, name, parameters)
    theirs, place = f"{name}.predict", "predicted classes"
    answer = program.guard.call(theirs, net.predict, x)
    scores = scores_of(parameters, x)
    right = scores.argmax(axis=1)
    if np.shape(answer) == (CLASSES,):
        sentence = "it is the best image of each class instead of the best class of each image: argmax over axis 1"
        return Report(theirs, [Finding(place, sentence, "argmax_wrong_axis", formula="argmax(scores, axis=1)")])
    predicted = program.guard.array(theirs, place, answer, (len(x),))
    if np.array_equal(predicted, right) or np.array_equal(predicted, of_own_scores(net, x)):
        return Report(theirs, [], [place])
    sentence = (
        f"{int(np.sum(predicted != right))} of {len(x)} images get another class than the one of the highest score"
    )
    if np.allclose(predicted, scores.max(axis=1)):
        sentence = "it is the highest score itself, not the number of its class"
    unbiased = {key: 0 * value if key.endswith("bias") else value for key, value in parameters.items()}
    known = {
        "it is the class with the lowest score": -scores,
        "it is read off the hidden layer; the classes are in the last one": x @ parameters["linear1.weight"].T,
        "the ReLU is left out: it is the class of a network without it": scores_of(parameters, x, lambda h: h),
        "the biases are left out: it is the class of a network without them": scores_of(unbiased, x),
    }
    for words, other in known.items():
        if np.array_equal(predicted, other.argmax(axis=1)):
            sentence = words
    return Report(theirs, [Finding(place, sentence, "prediction", formula="argmax(scores, axis=1)")])
