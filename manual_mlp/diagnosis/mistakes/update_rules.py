"""Mistakes of the update rules: plain, momentum, Nesterov, RMSprop; Adam's are in adam.py."""

from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.adam import ADAM, EPS_INSIDE_ROOT
from manual_mlp.diagnosis.mistakes.mistake import mistakes_in
from manual_mlp.diagnosis.textbook import Line

sgd = mistakes_in("sgd", "w - eta dw", "sgd-update")
momentum = mistakes_in("sgd_momentum", "v = mu v - eta dw, w + v, and v is kept", "momentum")
rmsprop = mistakes_in(
    "rmsprop", "cache = decay cache + (1 - decay) dw², w - eta dw / (√cache + eps), and cache is kept", "adam"
)
nesterov = mistakes_in("nesterov", "v = mu v + dw, w - eta (dw + mu v), and v is kept", "momentum")
look_ahead = mistakes_in("nesterov_look_ahead", "v = mu v - eta dw(w + mu v), w + v, and v is kept", "momentum")

RIGHT_AT_USUAL_GRADIENTS = frozenset({"rmsprop_eps_inside_root", "adam_eps_inside_root", "adamw_eps_inside_root"})


def before(v: Any, first: Line) -> Any:
    """The cache, which may begin with something else than the 0 that it is given."""
    return np.where(v.cache == 0, first(v), v.cache)


UPDATE_RULES = [
    sgd("sgd_ascends", "the gradient is added: the cost goes up", {"step": lambda v: -v.eta * v.gradient}),
    sgd("sgd_without_eta", "the learning rate is missing", {"step": lambda v: v.gradient}),
    momentum(
        "momentum_sign",
        "eta dw is added to the velocity instead of taken away",
        {"moved": lambda v: v.mu * v.velocity + v.eta * v.gradient},
    ),
    momentum(
        "momentum_subtracted",
        "the velocity is subtracted from w; it has the sign of a step already",
        {"step": lambda v: v.moved},
    ),
    momentum(
        "momentum_forgets",
        "the old velocity has no say: it is not used, or not kept",
        {"moved": lambda v: -v.eta * v.gradient},
        {"kept_velocity": lambda v: v.velocity},
        {"kept_velocity": lambda v: 0 * v.velocity},
    ),
    momentum(
        "momentum_average",
        "the velocity is an average, mu v - (1 - mu) eta dw; the factor 1 - mu does not belong there",
        {"moved": lambda v: v.mu * v.velocity - (1 - v.mu) * v.eta * v.gradient},
    ),
    momentum(
        "momentum_eta_outside",
        "the learning rate multiplies the whole velocity, the old one as well, instead of the gradient alone",
        {"moved": lambda v: v.eta * (v.mu * v.velocity - v.gradient)},
    ),
    momentum(
        "momentum_without_eta", "the learning rate is missing", {"moved": lambda v: v.mu * v.velocity - v.gradient}
    ),
    momentum(
        "momentum_nesterov",
        "it is Nesterov's momentum, not the plain one",
        {"step": lambda v: v.mu * v.velocity - (1 + v.mu) * v.moved},
        {"step": lambda v: -(v.mu * v.moved - v.eta * v.gradient)},
    ),
    nesterov(
        "nesterov_plain",
        "it is plain momentum: the new velocity does not look ahead, or the old one stands in its place",
        {"step": lambda v: v.eta * v.moved},
    ),
    nesterov(
        "nesterov_looks_back",
        "mu v has the wrong sign in the step: it looks back instead of ahead",
        {"step": lambda v: v.eta * (v.gradient - v.mu * v.moved)},
    ),
    nesterov(
        "nesterov_without_gradient",
        "the step is mu v alone; the gradient itself is missing beside it",
        {"step": lambda v: v.eta * v.mu * v.moved},
    ),
    nesterov(
        "nesterov_old_velocity_forgotten",
        "the step is (1 + mu) v; mu times the old velocity is not taken away",
        {"step": lambda v: v.eta * (1 + v.mu) * v.moved},
    ),
    nesterov(
        "nesterov_old_velocity_sign",
        "mu times the old velocity has the wrong sign beside (1 + mu) v",
        {"step": lambda v: v.eta * ((1 + v.mu) * v.moved + v.mu * v.velocity)},
    ),
    nesterov(
        "nesterov_whole_velocity",
        "mu is missing in front of the velocity that looks ahead",
        {"step": lambda v: v.eta * (v.gradient + v.moved)},
    ),
    nesterov(
        "nesterov_keeps_look_ahead",
        "what looks ahead, dw + mu v, is kept as the velocity",
        {"kept_velocity": lambda v: v.gradient + v.mu * v.moved},
    ),
    nesterov(
        "nesterov_average",
        "the velocity is an average: a factor 1 - mu (torch's dampening) that does not belong there",
        {"moved": lambda v: v.mu * v.velocity + (1 - v.mu) * v.gradient},
    ),
    nesterov("nesterov_forgets", "the velocity is not kept", {"kept_velocity": lambda v: v.velocity}),
    nesterov("nesterov_without_eta", "the learning rate is missing", {"step": lambda v: v.gradient + v.mu * v.moved}),
    nesterov(
        "nesterov_ascends",
        "the step is added: the cost goes up",
        {"step": lambda v: -v.eta * (v.gradient + v.mu * v.moved)},
    ),
    look_ahead("look_ahead_missing", "the gradient is taken at w: it is plain momentum", {"point": lambda v: v.value}),
    look_ahead(
        "look_ahead_back",
        "it looks back: the gradient is taken at w - mu v",
        {"point": lambda v: v.value - v.mu * v.velocity},
    ),
    look_ahead(
        "look_ahead_too_far",
        "mu is missing in the point where the gradient is taken, w + v",
        {"point": lambda v: v.value + v.velocity},
    ),
    look_ahead(
        "look_ahead_stepped_twice",
        "the step starts from the point that it looked ahead to: mu v is made twice",
        {"step": lambda v: v.value - v.point - v.moved},
    ),
    look_ahead(
        "look_ahead_without_old_velocity",
        "the velocity is the newest step alone: it is not used, or not kept",
        {"moved": lambda v: -v.eta * v.gradient(v.point)},
        {"kept_velocity": lambda v: v.velocity},
    ),
    look_ahead(
        "look_ahead_ascends",
        "the gradient is added: the cost goes up",
        {"moved": lambda v: v.mu * v.velocity + v.eta * v.gradient(v.point)},
    ),
    rmsprop(
        "rmsprop_not_averaged",
        "the factor 1 - decay is missing: squares pile up",
        {"mean_square": lambda v: v.decay * v.cache + v.gradient**2},
        {"mean_square": lambda v: v.cache + v.gradient**2},
    ),
    rmsprop(
        "rmsprop_weights_exchanged",
        "old average and new square have each other's weight",
        {"mean_square": lambda v: (1 - v.decay) * v.cache + v.decay * v.gradient**2},
    ),
    rmsprop(
        "rmsprop_not_squared",
        "the gradient is not squared in the cache",
        {"mean_square": lambda v: v.decay * v.cache + (1 - v.decay) * v.gradient},
        {"mean_square": lambda v: v.decay * v.cache + (1 - v.decay) * np.abs(v.gradient)},
    ),
    rmsprop(
        "rmsprop_starts_above_0",
        "the cache begins at 1, or at the first square, instead of 0: the first steps are shorter",
        *(
            {"mean_square": lambda v, first=first: v.decay * before(v, first) + (1 - v.decay) * v.gradient**2}
            for first in (lambda _: 1.0, lambda v: v.gradient**2)
        ),
    ),
    rmsprop(
        "rmsprop_cache_not_computed",
        "the cache stays at 0: the squared gradient is never averaged, and the gradient is divided by eps alone",
        {"mean_square": lambda v: v.cache},
    ),
    rmsprop("rmsprop_forgets", "the cache is not kept", {"kept_cache": lambda v: v.cache}),
    rmsprop(
        "rmsprop_eps_inside_root",
        EPS_INSIDE_ROOT,
        {"step": lambda v: v.eta * v.gradient / np.sqrt(v.mean_square + v.eps)},
    ),
    rmsprop(
        "rmsprop_root_missing",
        "the root is missing: the gradient is divided by the mean of the squares",
        {"step": lambda v: v.eta * v.gradient / (v.mean_square + v.eps)},
    ),
    rmsprop(
        "rmsprop_ascends",
        "the step is added: the cost goes up",
        {"step": lambda v: -v.eta * v.gradient / (np.sqrt(v.mean_square) + v.eps)},
    ),
    *ADAM,
]
