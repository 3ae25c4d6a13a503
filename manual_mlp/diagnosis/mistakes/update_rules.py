"""Mistakes of the update rules that keep a state: momentum, RMSprop, Adam."""

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import mistakes_in

sgd = mistakes_in("sgd", "w - eta dw", "sgd-update")
momentum = mistakes_in("sgd_momentum", "v = mu v - eta dw, w + v, and v is kept", "momentum")
rmsprop = mistakes_in(
    "rmsprop", "cache = decay cache + (1 - decay) dw², w - eta dw / (√cache + eps), and cache is kept", "adam"
)
adam = mistakes_in(
    "adam",
    "t = t + 1, m = beta1 m + (1 - beta1) dw, v = beta2 v + (1 - beta2) dw², all kept as they are; "
    "w - eta m / (1 - beta1^t) / (√(v / (1 - beta2^t)) + eps)",
    "adam",
)

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
        {"moved": lambda v: v.mu * v.velocity - v.gradient, "step": lambda v: -v.eta * v.moved},
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
    rmsprop("rmsprop_forgets", "the cache is not kept", {"kept_cache": lambda v: v.cache}),
    rmsprop(
        "rmsprop_eps_inside_root",
        "eps is added inside the root; it belongs outside",
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
    adam(
        "adam_keeps_corrected",
        "m and v, or one of them, are kept with the bias correction, and are corrected again in the next step",
        {"kept_m": lambda v: v.m_hat, "kept_v": lambda v: v.v_hat},
        {"kept_m": lambda v: v.m_hat},
        {"kept_v": lambda v: v.v_hat},
    ),
    adam(
        "adam_t_from_0",
        "t is used before it is advanced: in the first step the correction divides by 1 - beta^0 = 0",
        {"count": lambda v: v.t, "kept_t": lambda v: v.t + 1},
        {"count": lambda v: v.t},
    ),
    adam(
        "adam_t_not_advanced",
        "t is not advanced: every step is corrected like the first",
        {"kept_t": lambda v: v.t},
    ),
    adam(
        "adam_not_corrected",
        "the bias correction is missing, of m and v or of one of them",
        {"m_hat": lambda v: v.mean, "v_hat": lambda v: v.mean_square},
        {"m_hat": lambda v: v.mean},
        {"v_hat": lambda v: v.mean_square},
    ),
    adam(
        "adam_eps_inside_root",
        "eps is added inside the root; it belongs outside",
        {"step": lambda v: v.eta * v.m_hat / np.sqrt(v.v_hat + v.eps)},
    ),
    adam(
        "adam_root_missing",
        "the root is missing: m is divided by v",
        {"step": lambda v: v.eta * v.m_hat / (v.v_hat + v.eps)},
    ),
    adam(
        "adam_betas_exchanged",
        "beta1 and beta2 are exchanged, or one stands in both places",
        {
            "mean": lambda v: v.beta2 * v.m + (1 - v.beta2) * v.gradient,
            "mean_square": lambda v: v.beta1 * v.v + (1 - v.beta1) * v.gradient**2,
            "m_hat": lambda v: v.mean / (1 - v.beta2**v.count),
            "v_hat": lambda v: v.mean_square / (1 - v.beta1**v.count),
        },
        {"m_hat": lambda v: v.mean / (1 - v.beta2**v.count), "v_hat": lambda v: v.mean_square / (1 - v.beta1**v.count)},
        {"m_hat": lambda v: v.mean / (1 - v.beta2**v.count)},
        {"v_hat": lambda v: v.mean_square / (1 - v.beta1**v.count)},
    ),
    adam(
        "adam_not_averaged",
        "the factor 1 - beta is missing in m or v",
        {"mean": lambda v: v.beta1 * v.m + v.gradient},
        {"mean_square": lambda v: v.beta2 * v.v + v.gradient**2},
    ),
    adam(
        "adam_not_squared",
        "the gradient is not squared in v",
        {"mean_square": lambda v: v.beta2 * v.v + (1 - v.beta2) * v.gradient},
    ),
    adam(
        "adam_forgets",
        "m or v are not kept",
        {"kept_m": lambda v: v.m, "kept_v": lambda v: v.v},
        {"kept_m": lambda v: v.m},
        {"kept_v": lambda v: v.v},
    ),
    adam(
        "adam_ascends",
        "the step is added: the cost goes up",
        {"step": lambda v: -v.eta * v.m_hat / (np.sqrt(v.v_hat) + v.eps)},
    ),
]
