"""Hyper-parameters of a stranger's training, answered by their names: a learning rate that stays, nothing drawn."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from manual_mlp.adapters.program import words
from manual_mlp.adapters.roles import role_of


class Options(dict[str, Any]):
    """A dictionary of hyper-parameters that has an answer under every name: GDparams["n_batch"].

    owner   its own name, for keys that say nothing without it: eta["min"]
    """

    def __init__(self, answers: Mapping[str, Any], owner: str = "") -> None:
        super().__init__()
        self.answers, self.owner = answers, owner

    def __missing__(self, key: str) -> Any:
        value = option(key, self.answers)
        return value if value is not None or not self.owner else option(f"{self.owner}_{key}", self.answers)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and option(key, self.answers) is not None

    def get(self, key: str, default: Any = None) -> Any:
        return default if (value := option(key, self.answers)) is None else value

    def __deepcopy__(self, _: Any) -> "Options":
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return option(name, self.answers)


def option(name: str, answers: Mapping[str, Any]) -> Any:
    """What a hyper-parameter of this name should be: a learning rate that stays, and nothing printed or drawn.

    answers   by role; "n" is the size of a batch, "epochs" their number
    """
    parts, joined = words(name), "".join(words(name))
    if "epoch" in joined:
        return answers["epochs"]
    if "batch" in joined and "norm" not in joined:
        return answers["n"]
    if "cycle" in joined:
        return 1
    if joined in ("ns", "stepsize", "halfcycle", "nstep", "nsteps", "step"):
        return answers.get("half cycle", 10)
    if "decay" in parts and not {"lambda", "weight"} & set(parts):
        return 1.0
    if joined in ("rho", "momentum", "mom"):
        return 0.0
    if joined in ("t", "iteration", "tstart"):
        return 0
    if joined in ("alpha",):
        return 0.9
    if {"plot", "verbose", "print", "save", "log", "debug", "show", "early", "patience"} & set(parts):
        return False
    if "eta" in parts or "lr" in parts or "learningrate" in joined or joined in ("etamin", "etamax", "lrmin", "lrmax"):
        return answers["eta"]
    if joined in ("rng", "generator"):
        return np.random.default_rng(4)
    if joined == "seed":
        return 4
    role = role_of(name)
    return answers.get(role.kind) if role is not None else None


def is_options(name: str) -> bool:
    joined = "".join(words(name))
    return "gdparam" in joined or joined in (
        "hyperparams",
        "hyperparameters",
        "settings",
        "config",
        "options",
        "hparams",
        "hp",
        "opts",
        "gd",
        "trainparams",
        "trainingparams",
    )
