"""The word that tells a forward pass whether it trains: mode="eval", phase="validation", as the file itself has it."""

from collections.abc import Sequence
from typing import Any

from manual_mlp.adapters.guesses import constants_at_calls, modes, words_compared
from manual_mlp.adapters.parts import Network, Part
from manual_mlp.adapters.program import words

TRAINING = ("train", "training", "fit")
TESTING = (
    *("test", "testing", "eval", "evaluation", "evaluate", "inference", "infer", "predict", "prediction"),
    *("validation", "validate", "valid", "val"),
)


def is_mode(network: Network, part: Part, name: str) -> bool:
    """Not a mode that chooses something else: bn_mode="without"."""
    if not {"mode", "phase"} & set(words(name)):
        return False
    known = {word.lower() for word in (*compared(network, part, name), *told(network, part, name))}
    return not known or bool({*TRAINING, *TESTING} & known)


def mode_word(network: Network, part: Part, name: str, training: bool) -> str | None:
    """What the argument is to be; None where the file does not say clearly which word that is.

    A word that it is compared with counts first, then its default and the calls. Where it is compared with words for
    the other mode alone, any word will do.
    """
    wanted, other = (TRAINING, TESTING) if training else (TESTING, TRAINING)
    asked = compared(network, part, name)
    for known in (asked, told(network, part, name)):
        if found := [word for word in known if word.lower() in wanted]:
            plainest = [word for word in found if word.lower() == wanted[0]]
            return found[0] if len(found) == 1 else next(iter(plainest), None)
    return wanted[0] if asked and all(word.lower() in other for word in asked) else None


def tells_training(default: Any) -> bool:
    return isinstance(default, str) and default.lower() in TRAINING


def compared(network: Network, part: Part, name: str) -> Sequence[str]:
    """By the function itself, or else by those that it hands the argument on to."""
    if found := modes(part, name):
        return found
    return list(dict.fromkeys(word for tree in network.program.trees for word in words_compared(tree, name)))


def told(network: Network, part: Part, name: str) -> list[str]:
    """The argument's default, and what the file's calls pass there."""
    defaults = [p.default for p in part.parameters() if p.name == name]
    said = [*defaults, *constants_at_calls(network, part, name)]
    return list(dict.fromkeys(word for word in said if isinstance(word, str)))
