"""The diagnosis of Nesterov's momentum, in each of its forms, and of AdamW, with mistakes planted into a program."""

import numpy as np
import pytest
import torch
from test_diagnosis_update_rules import by_torch, exchanged, in_single

from manual_mlp import MLP, AdamW, Momentum, diagnose_update, diagnose_update_rule

SOURCE = """
def nesterov(w, dw, config):  # as torch has it
    v = config["momentum"] * config["velocity"] + dw
    config["velocity"] = v
    return w - config["learning_rate"] * (dw + config["momentum"] * v), config


def nesterov_cs231n(w, dw, config):
    old = config.get("velocity", 0)
    v = config["momentum"] * old - config["learning_rate"] * dw
    config["velocity"] = v
    return w - config["momentum"] * old + (1 + config["momentum"]) * v, config


def nesterov_keras(w, dw, config):
    v = config["momentum"] * config["velocity"] - config["learning_rate"] * dw
    config["velocity"] = v
    return w + config["momentum"] * v - config["learning_rate"] * dw, config


def nesterov_look_ahead(w, gradient, config):  # as Sutskever has it
    ahead = w + config["momentum"] * config["velocity"]
    config["velocity"] = config["momentum"] * config["velocity"] - config["learning_rate"] * gradient(ahead)
    return w + config["velocity"], config


def adamw(w, dw, config):
    beta1, beta2, eta = config["beta1"], config["beta2"], config["learning_rate"]
    config["t"] += 1
    config["m"] = beta1 * config.get("m", 0) + (1 - beta1) * dw
    config["v"] = beta2 * config.get("v", 0) + (1 - beta2) * dw**2
    m_hat = config["m"] / (1 - beta1 ** config["t"])
    v_hat = config["v"] / (1 - beta2 ** config["t"])
    step = m_hat / (np.sqrt(v_hat) + config["epsilon"])
    return w - eta * step - eta * config["weight_decay"] * w, config
"""
TORCHS = 'w - config["learning_rate"] * (dw + config["momentum"] * v)'
CS231NS = 'w - config["momentum"] * old + (1 + config["momentum"]) * v'
M_CORRECTION = ' / (1 - beta1 ** config["t"])'
DECAY = 'eta * config["weight_decay"] * w'
L2 = 'def adamw(w, dw, config):\n    dw = dw + config["weight_decay"] * w\n'

MISTAKES = [
    # (rule, the function, the first wrong update, the mistake's name, what stands in the source, what stands instead)
    ("nesterov", "nesterov", 1, "nesterov_plain", TORCHS, 'w - config["learning_rate"] * v'),
    ("nesterov", "nesterov_cs231n", 1, "nesterov_plain", CS231NS, "w + v"),
    ("nesterov", "nesterov", 1, "nesterov_looks_back", "(dw + config", "(dw - config"),
    ("nesterov", "nesterov", 1, "nesterov_without_gradient", "(dw + config", "(config"),
    (
        "nesterov",
        "nesterov_cs231n",
        2,
        "nesterov_old_velocity_forgotten",
        CS231NS,
        'w + (1 + config["momentum"]) * v',
    ),
    ("nesterov", "nesterov_cs231n", 2, "nesterov_old_velocity_sign", CS231NS, CS231NS.replace("w -", "w +")),
    ("nesterov", "nesterov", 1, "nesterov_whole_velocity", TORCHS, 'w - config["learning_rate"] * (dw + v)'),
    (
        "nesterov",
        "nesterov",
        2,
        "nesterov_keeps_look_ahead",
        'config["velocity"] = v\n    return w - config["learning_rate"] * (dw',
        'config["velocity"] = dw + config["momentum"] * v\n    return w - config["learning_rate"] * (dw',
    ),
    (
        "nesterov",
        "nesterov",
        1,
        "nesterov_average",
        '["velocity"] + dw',
        '["velocity"] + (1 - config["momentum"]) * dw',
    ),
    (
        "nesterov",
        "nesterov",
        2,
        "nesterov_forgets",
        'config["velocity"] = v\n    return w - config["learning_rate"]',
        'return w - config["learning_rate"]',
    ),
    ("nesterov", "nesterov", 1, "nesterov_without_eta", TORCHS, 'w - (dw + config["momentum"] * v)'),
    ("nesterov", "nesterov", 1, "nesterov_ascends", TORCHS, TORCHS.replace("w - ", "w + ", 1)),
    ("nesterov_look_ahead", "nesterov_look_ahead", 2, "look_ahead_missing", "gradient(ahead)", "gradient(w)"),
    ("nesterov_look_ahead", "nesterov_look_ahead", 2, "look_ahead_back", "ahead = w +", "ahead = w -"),
    (
        "nesterov_look_ahead",
        "nesterov_look_ahead",
        2,
        "look_ahead_too_far",
        'ahead = w + config["momentum"] * ',
        "ahead = w + ",
    ),
    (
        "nesterov_look_ahead",
        "nesterov_look_ahead",
        2,
        "look_ahead_stepped_twice",
        'return w + config["velocity"]',
        'return ahead + config["velocity"]',
    ),
    (
        "nesterov_look_ahead",
        "nesterov_look_ahead",
        2,
        "look_ahead_without_old_velocity",
        '= config["momentum"] * config["velocity"] - config["learning_rate"] * gradient',
        '= -config["learning_rate"] * gradient',
    ),
    (
        "nesterov_look_ahead",
        "nesterov_look_ahead",
        1,
        "look_ahead_ascends",
        '- config["learning_rate"] * gradient',
        '+ config["learning_rate"] * gradient',
    ),
    ("adamw", "adamw", 1, "adamw_decay_in_gradient", "def adamw(w, dw, config):\n", L2, f" - {DECAY}", ""),
    ("adamw", "adamw", 1, "adamw_decay_twice", "def adamw(w, dw, config):\n", L2),
    ("adamw", "adamw", 1, "adamw_decay_not_times_eta", DECAY, 'config["weight_decay"] * w'),
    (
        "adamw",
        "adamw",
        1,
        "adamw_decay_divided_by_root",
        DECAY,
        f'{DECAY} / (np.sqrt(v_hat) + config["epsilon"])',
    ),
    ("adamw", "adamw", 1, "adamw_decay_missing", f" - {DECAY}", ""),
    ("adamw", "adamw", 1, "adamw_decay_sign", f"- {DECAY}", f"+ {DECAY}"),
    ("adamw", "adamw", 1, "adamw_decay_with_two", DECAY, f"2 * {DECAY}"),
    ("adamw", "adamw", 1, "adamw_decay_of_gradient", DECAY, DECAY[:-1] + "dw"),
    (
        "adamw",
        "adamw",
        1,
        "adamw_decay_replaces_weight",
        f"return w - eta * step - {DECAY}",
        f"return {DECAY} - eta * step",
    ),
    ("adamw", "adamw", 2, "adamw_keeps_corrected", "m_hat = config", 'm_hat = config["m"] = config'),
    ("adamw", "adamw", 1, "adamw_t_from_0", 'config["t"] += 1\n', 't = config["t"]\n'),
    ("adamw", "adamw", 2, "adamw_t_not_advanced", 'config["t"] += 1\n', 'config["t"] = 1\n'),
    ("adamw", "adamw", 1, "adamw_not_corrected", M_CORRECTION, ""),
    ("adamw", "adamw", 1, "adamw_exponent_fixed", 'beta1 ** config["t"]', "beta1**2"),
    ("adamw", "adamw", 1, "adamw_weights_exchanged", "(1 - beta1) * dw", "beta1 * dw", "= beta1 *", "= (1 - beta1) *"),
    ("adamw", "adamw", 1, "adamw_correction_multiplied", M_CORRECTION, M_CORRECTION.replace("/", "*")),
    ("adamw", "adamw", 2, "adamw_corrected_by_a_product", "beta1 ** config", "beta1 * config"),
    ("adamw", "adamw", 1, "adamw_root_missing", "np.sqrt(v_hat)", "v_hat"),
    ("adamw", "adamw", 2, "adamw_betas_exchanged", "def adamw", "@exchanged\ndef adamw"),
    ("adamw", "adamw", 2, "adamw_betas_fixed", 'config["beta1"], config["beta2"], config', "0.9, 0.999, config"),
    ("adamw", "adamw", 1, "adamw_not_averaged", "(1 - beta1) * dw", "dw"),
    ("adamw", "adamw", 2, "adamw_neither_averaged_nor_corrected", "(1 - beta1) * dw", "dw", M_CORRECTION, ""),
    ("adamw", "adamw", 1, "adamw_not_squared", "dw**2", "dw"),
    ("adamw", "adamw", 1, "adamw_square_of_mean", "dw**2", 'config["m"] ** 2'),
    ("adamw", "adamw", 2, "adamw_forgets", "    step = m_hat", '    config.pop("m")\n    step = m_hat'),
    ("adamw", "adamw", 1, "adamw_ascends", "w - eta * step", "w + eta * step"),
]
IN_DOUBLE = [  # in single precision eps is rounded away, or all but a step divided by it
    ("adamw", "adamw", 1, "adamw_v_not_computed", "(1 - beta2) * dw**2", "(1 - beta2) * 0"),
    (
        "adamw",
        "adamw",
        1,
        "adamw_eps_inside_root",
        '(np.sqrt(v_hat) + config["epsilon"])',
        'np.sqrt(v_hat + config["epsilon"])',
    ),
]


def function(name, *exchanges):
    source = SOURCE
    for old, new in zip(exchanges[::2], exchanges[1::2], strict=True):
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    namespace = {"np": np, "exchanged": exchanged}
    exec(compile(source, "<rules with a mistake>", "exec"), namespace)
    return namespace[name]


def single(rule):
    """In float32, whether the gradient is an array or a function."""

    def in_float32(w, dw, config):
        if not callable(dw):
            return in_single(rule)(w, dw, config)
        return in_single(lambda w, _, config: rule(w, dw, config))(w, 0.0, config)

    return in_float32


@pytest.mark.parametrize(
    ("mistake", "precision"),
    [
        *(pytest.param(m, lambda rule: rule, id=f"{m[3]}-{i}-float64") for i, m in enumerate([*MISTAKES, *IN_DOUBLE])),
        *(pytest.param(m, single, id=f"{m[3]}-{i}-float32") for i, m in enumerate(MISTAKES)),
    ],
)
def test_a_mistake_of_nesterov_or_adamw_is_found_and_named(mistake, precision):
    rule, name, update, expected, *exchanges = mistake
    report = diagnose_update_rule(rule, precision(function(name, *exchanges)))
    assert [(f.place, f.mistake) for f in report.findings] == [(f"{rule}: update {update}", expected)]
    assert report.ok == expected.endswith("eps_inside_root")


def by_us(make):
    """One of our optimizers, made for the first linear layer's weight of a network."""

    def rule(w, dw, config):
        if "net" not in config:
            net = MLP([w.shape[1], w.shape[0]], rng=np.random.default_rng(0), dtype=w.dtype)
            config["net"], config["optimizer"] = net, make(net.parameters, config)
        parameters = config["net"].parameters
        parameters["linear1.weight"] = w
        gradients = parameters.zeros_like()
        gradients["linear1.weight"] = dw
        config["optimizer"](parameters, gradients, config["learning_rate"])
        return parameters["linear1.weight"].copy(), config

    return rule


def torchs_adamw(parameters, c):
    betas = c["beta1"], c["beta2"]
    return torch.optim.AdamW(parameters, c["learning_rate"], betas, c["epsilon"], weight_decay=c["weight_decay"])


OURS = {
    "nesterov": by_us(lambda p, c: Momentum(p, c["momentum"], nesterov=True)),
    "adamw": by_us(lambda p, c: AdamW(p, c["beta1"], c["beta2"], c["epsilon"], weight_decay=c["weight_decay"])),
}
TORCHS_RULES = {
    "nesterov": by_torch(lambda p, c: torch.optim.SGD(p, c["learning_rate"], c["momentum"], nesterov=True)),
    "adamw": by_torch(torchs_adamw),
}
RIGHT = {
    **{name: (name, function(name)) for name in ("nesterov", "nesterov_look_ahead", "adamw")},
    "nesterov as CS231n": ("nesterov", function("nesterov_cs231n")),
    "nesterov as Keras": ("nesterov", function("nesterov_keras")),
    **{f"our {name}": (name, rule) for name, rule in OURS.items()},
    **{f"torch's {name}": (name, rule) for name, rule in TORCHS_RULES.items()},
}


@pytest.mark.parametrize("precision", [lambda rule: rule, single], ids=["float64", "float32"])
@pytest.mark.parametrize(("name", "rule"), RIGHT.values(), ids=RIGHT)
def test_right_nesterov_and_adamw_are_never_accused(name, rule, precision):
    report = diagnose_update_rule(name, precision(rule))
    assert report.ok, report
    assert not report.notes
    assert len(report.agreeing) == 5


OTHER_FORMS = {
    "the weights decay after": (
        "the weights decay after the step instead of before it",
        [f"return w - eta * step - {DECAY}", f"w = w - eta * step\n    return w - {DECAY}"],
    ),
    "eps uncorrected": (
        "eps is added to the root of the uncorrected v, as in Keras",
        ['(np.sqrt(v_hat) + config["epsilon"])', '((np.sqrt(config["v"]) + 1e-8) / (1 - beta2 ** config["t"]) ** 0.5)'],
    ),
}


@pytest.mark.parametrize(("note", "exchanges"), OTHER_FORMS.values(), ids=OTHER_FORMS)
def test_another_right_form_of_adamw_is_noted(note, exchanges):
    report = diagnose_update_rule("adamw", function("adamw", *exchanges))
    assert report.ok, report
    assert report.notes == [note]


# The first step of AdamW on a whole network

ETA, WEIGHT_DECAY = 0.03, 0.4


def is_weight(name):
    return name.startswith("linear") and name.endswith(".weight")


def network(sizes):
    rng = np.random.default_rng(5)
    shapes = MLP(sizes, batch_norm=True, rng=rng, dtype=np.float64).parameters
    old = {name: rng.normal(0, 0.5, value.shape) for name, value in shapes.items()}
    return old, {name: rng.normal(0, 0.1, value.shape) for name, value in shapes.items()}


def direction(g):
    return g / (np.abs(g) + 1e-8)


def adamw_step(p, g, decay=ETA * WEIGHT_DECAY):
    return {n: p[n] - ETA * direction(g[n]) - decay * p[n] * is_weight(n) for n in p}


UPDATES = [
    ("adamw_update_never", "linear2.weight", lambda p, g: {**adamw_step(p, g), "linear2.weight": p["linear2.weight"]}),
    ("adamw_update_ascent", "every parameter", lambda p, g: adamw_step(p, {n: -g[n] for n in g})),
    (
        "adamw_update_decays_others",
        "all but the weights",
        lambda p, g: {n: p[n] - ETA * direction(g[n]) - ETA * WEIGHT_DECAY * p[n] for n in p},
    ),
    (
        "adamw_update_decays_others",
        "gamma and beta of every layer",
        lambda p, g: {n: v - ETA * WEIGHT_DECAY * p[n] * n.startswith("bn") for n, v in adamw_step(p, g).items()},
    ),
    ("adamw_update_decay_missing", "all weights", lambda p, g: adamw_step(p, g, 0.0)),
    ("adamw_update_decay_not_times_eta", "all weights", lambda p, g: adamw_step(p, g, WEIGHT_DECAY)),
    (
        "adamw_update_decay_in_gradient",
        "all weights",
        lambda p, g: adamw_step(p, {n: g[n] + WEIGHT_DECAY * p[n] * is_weight(n) for n in p}, 0.0),
    ),
    ("adamw_update_decay_sign", "all weights", lambda p, g: adamw_step(p, g, -ETA * WEIGHT_DECAY)),
    ("adamw_update_decay_with_two", "all weights", lambda p, g: adamw_step(p, g, 2 * ETA * WEIGHT_DECAY)),
    (
        "adamw_update_not_corrected",
        "every parameter",
        lambda p, g: {
            n: v + ETA * (direction(g[n]) - 0.1 * g[n] / (0.001**0.5 * np.abs(g[n]) + 1e-8))
            for n, v in adamw_step(p, g).items()
        },
    ),
]
SIZES = [(6, 7, 5, 4), (4, 5, 6, 5, 3)]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(("name", "where", "mistaken"), UPDATES, ids=[f"{m[0]}-{m[1]}" for m in UPDATES])
def test_a_mistake_in_the_first_step_of_adamw_is_named(name, where, mistaken, sizes):
    old, gradients = network(sizes)
    report = diagnose_update(old, mistaken(old, gradients), ETA, gradients=gradients, weight_decay=WEIGHT_DECAY)
    assert [(finding.mistake, finding.where) for finding in report.findings] == [(name, where)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_right_first_step_of_adamw_is_never_accused(sizes, dtype):
    values, slopes = network(sizes)
    net = MLP(sizes, batch_norm=True, rng=np.random.default_rng(0), dtype=dtype)
    gradients = net.parameters.zeros_like()
    for name, value in values.items():
        net.parameters[name], gradients[name] = value * (not name.endswith("bias")), slopes[name]
    before = {name: value.copy() for name, value in net.parameters.items()}
    AdamW(net.parameters, weight_decay=WEIGHT_DECAY)(net.parameters, gradients, ETA)
    report = diagnose_update(before, net.parameters, ETA, gradients=slopes, weight_decay=WEIGHT_DECAY)
    assert report.ok, report


@pytest.mark.parametrize("decay", [WEIGHT_DECAY, -WEIGHT_DECAY], ids=["right", "wrong sign"])
def test_the_first_step_of_adamw_may_decay_after_it(decay):
    old, gradients = network(SIZES[0])
    new = {name: value - ETA * direction(gradients[name]) for name, value in old.items()}
    new = {name: value * (1 - ETA * decay * is_weight(name)) for name, value in new.items()}
    report = diagnose_update(old, new, ETA, gradients=gradients, weight_decay=WEIGHT_DECAY)
    assert report.ok == (decay > 0)
    assert report.notes == ["the weights decay after the step instead of before it"] or decay < 0


def test_without_its_gradients_the_step_of_adamw_is_not_judged():
    old, _ = network(SIZES[0])
    with pytest.raises(ValueError, match="weight_decay is given; give the gradients that AdamW is given too"):
        diagnose_update(old, old, ETA, x=np.ones((3, 6)), y=[0, 1, 2], weight_decay=0.1)
