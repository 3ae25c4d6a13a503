"""The diagnosis of update rules: mistakes planted into a stranger's optim.py are found and named."""

from pathlib import Path

import numpy as np
import pytest
import torch

from manual_mlp import diagnose_update_rule

SOURCE = (Path(__file__).parent / "strangers" / "cs231n" / "optim.py").read_text()
ROOTS = "(np.sqrt({}) + config['epsilon'])", "np.sqrt({} + config['epsilon'])"
VELOCITY = "config['momentum'] * v - config['learning_rate'] * dw"
CACHE = "config['cache'] = config['decay_rate'] * config['cache'] + (1 - config['decay_rate']) * dx ** 2"
M = "config['beta1'] * config['m'] + (1 - config['beta1']) * dx"
V = "config['beta2'] * config['v'] + (1 - config['beta2']) * dx ** 2"
M_HAT = "config['m'] / (1 - config['beta1'] ** config['t'])"
V_HAT = "config['v'] / (1 - config['beta2'] ** config['t'])"
T = "config['t']"
M_PILED_UP, V_PILED_UP = "config['beta1'] * config['m'] + dx", "config['beta2'] * config['v'] + dx ** 2"
REST = f"config['m'] = {M}\n    config['v'] = {V}\n    mb = {M_HAT}\n    vb = {V_HAT}"
REST_OF_NEITHER = "mb = config['m'] = {}\n    vb = config['v'] = {}"
NEITHER = "adam_neither_averaged_nor_corrected"
ADAM_HEAD = "def adam(x, dx, config=None):\n"
ADAM_STEP = "return x - config['learning_rate'] * mb /"

MISTAKES = [
    # (rule, the first wrong update, the mistake's name, what stands in the source, what stands there instead)
    ("sgd", 1, "sgd_ascends", "w -= config", "w += config"),
    ("sgd", 1, "sgd_without_eta", "w -= config['learning_rate'] * dw", "w -= dw"),
    ("sgd_momentum", 1, "momentum_sign", VELOCITY, VELOCITY.replace(" - ", " + ")),
    ("sgd_momentum", 1, "momentum_subtracted", "next_w = w + v", "next_w = w - v"),
    ("sgd_momentum", 1, "momentum_forgets", VELOCITY, "-config['learning_rate'] * dw"),
    ("sgd_momentum", 2, "momentum_forgets", "config['velocity'] = v", "pass"),
    ("sgd_momentum", 1, "momentum_average", "- config['learning_rate'] * dw\n    next", "- 0.2 * 0.07 * dw\n    next"),
    ("sgd_momentum", 1, "momentum_eta_outside", VELOCITY, "config['learning_rate'] * (config['momentum'] * v - dw)"),
    ("sgd_momentum", 1, "momentum_without_eta", VELOCITY, "config['momentum'] * v - dw"),
    (
        "sgd_momentum",
        1,
        "momentum_nesterov",
        "next_w = w + v",
        "next_w = w - config['momentum'] * config['velocity'] + (1 + config['momentum']) * v",
    ),
    ("rmsprop", 1, "rmsprop_not_averaged", "(1 - config['decay_rate']) * dx", "dx"),
    ("rmsprop", 1, "rmsprop_starts_above_0", "('cache', np.zeros_like(x))", "('cache', np.ones_like(x))"),
    ("rmsprop", 1, "rmsprop_starts_above_0", "('cache', np.zeros_like(x))", "('cache', dx**2)"),
    (
        "rmsprop",
        1,
        "rmsprop_weights_exchanged",
        CACHE,
        "config['cache'] = (1 - config['decay_rate']) * config['cache'] + config['decay_rate'] * dx ** 2",
    ),
    (
        "rmsprop",
        1,
        "rmsprop_not_squared",
        "(1 - config['decay_rate']) * dx ** 2",
        "(1 - config['decay_rate']) * abs(dx)",
    ),
    (
        "rmsprop",
        2,
        "rmsprop_forgets",
        "(np.sqrt(config['cache']) + config['epsilon']), config\n",
        "(np.sqrt(config['cache']) + config['epsilon']), {k: v for k, v in config.items() if k != 'cache'}\n",
    ),
    ("rmsprop", 1, "rmsprop_eps_inside_root", *(root.format("config['cache']") for root in ROOTS)),
    ("rmsprop", 1, "rmsprop_root_missing", "np.sqrt(config['cache'])", "config['cache']"),
    (
        "rmsprop",
        1,
        "rmsprop_ascends",
        "return x - config['learning_rate'] * dx",
        "return x + config['learning_rate'] * dx",
    ),
    (
        "adam",
        2,
        "adam_keeps_corrected",
        f"mb = {M_HAT}\n    vb = {V_HAT}",
        f"mb = config['m'] = {M_HAT}\n    vb = config['v'] = {V_HAT}",
    ),
    ("adam", 2, "adam_keeps_corrected", f"mb = {M_HAT}", f"mb = config['m'] = {M_HAT}"),
    ("adam", 2, "adam_keeps_corrected", f"vb = {V_HAT}", f"vb = config['v'] = {V_HAT}"),
    ("adam", 1, "adam_t_from_0", "config['t'] += 1\n", "t = config['t']\n"),
    ("adam", 2, "adam_t_not_advanced", "config['t'] += 1\n", "config['t'] = 1\n"),
    ("adam", 1, "adam_not_corrected", f"mb = {M_HAT}", "mb = config['m']"),
    ("adam", 1, "adam_not_corrected", f"vb = {V_HAT}", "vb = config['v']"),
    ("adam", 2, "adam_corrected_by_a_product", f"mb = {M_HAT}", f"mb = {M_HAT.replace('**', '*')}"),
    (
        "adam",
        2,
        "adam_exponent_fixed",
        f"mb = {M_HAT}\n    vb = {V_HAT}",
        f"mb = {M_HAT}\n    vb = {V_HAT}".replace(" ** config['t']", ""),
    ),
    ("adam", 2, "adam_exponent_fixed", f"vb = {V_HAT}", f"vb = {V_HAT.replace(T, '1')}"),
    ("adam", 1, "adam_exponent_fixed", f"mb = {M_HAT}", f"mb = {M_HAT.replace(T, '2')}"),
    ("adam", 1, "adam_correction_multiplied", f"mb = {M_HAT}", f"mb = {M_HAT.replace('/', '*')}"),
    ("adam", 1, "adam_v_not_computed", f"config['v'] = {V}", "pass"),
    ("rmsprop", 1, "rmsprop_cache_not_computed", CACHE, "pass"),
    ("adam", 1, "adam_eps_inside_root", *(root.format("vb") for root in ROOTS)),
    ("adam", 1, "adam_root_missing", "np.sqrt(vb)", "vb"),
    (
        "adam",
        2,
        "adam_betas_exchanged",
        ADAM_HEAD,
        f"@exchanged\n{ADAM_HEAD}",
    ),
    ("adam", 1, "adam_betas_exchanged", f"vb = {V_HAT}", f"vb = {V_HAT.replace('beta2', 'beta1')}"),
    ("adam", 1, "adam_weights_exchanged", M, "(1 - config['beta1']) * config['m'] + config['beta1'] * dx"),
    ("adam", 1, "adam_weights_exchanged", V, "(1 - config['beta2']) * config['v'] + config['beta2'] * dx ** 2"),
    *(
        ("adam", 2, "adam_betas_fixed", ADAM_HEAD, f"{ADAM_HEAD}    config = {{**config, {fixed}}}\n")
        for fixed in ("'beta1': 0.9, 'beta2': 0.999", "'beta1': 0.9", "'beta2': 0.999", "'beta2': 0.99")
    ),
    ("adam", 1, "adam_not_averaged", M, "config['beta1'] * config['m'] + dx"),
    ("adam", 1, "adam_not_averaged", f"{M}\n    config['v'] = {V}", f"{M_PILED_UP}\n    config['v'] = {V_PILED_UP}"),
    (
        "adam",
        2,
        NEITHER,
        f"{M}\n    config['v'] = {V}\n    mb = {M_HAT}",
        f"{M_PILED_UP}\n    config['v'] = {V}\n    mb = config['m']",
    ),
    ("adam", 1, NEITHER, REST, REST_OF_NEITHER.format(M_PILED_UP, V)),
    ("adam", 1, NEITHER, REST, REST_OF_NEITHER.format(M, V_PILED_UP)),
    ("adam", 1, "adam_not_squared", V, V.replace(" ** 2", "")),
    ("adam", 1, "adam_square_of_mean", V, V.replace("dx **", "config['m'] **")),
    ("adam", 2, "adam_square_of_mean", V, V.replace("dx **", f"({M_HAT}) **")),
    ("adam", 2, "adam_forgets", ADAM_STEP, f"config.pop('m')\n    {ADAM_STEP}"),
    ("adam", 2, "adam_forgets", ADAM_STEP, f"config.pop('v')\n    {ADAM_STEP}"),
    ("adam", 1, "adam_ascends", ADAM_STEP, ADAM_STEP.replace("x -", "x +")),
]


def exchanged(rule):
    def with_exchanged_betas(x, dx, config):
        config["beta1"], config["beta2"] = config["beta2"], config["beta1"]
        after, config = rule(x, dx, config)
        config["beta1"], config["beta2"] = config["beta2"], config["beta1"]
        return after, config

    return with_exchanged_betas


def rules(old="", new=""):
    assert not old or SOURCE.count(old) == 1, old
    namespace = {"exchanged": exchanged}
    exec(compile(SOURCE.replace(old, new) if old else SOURCE, "<optim with a mistake>", "exec"), namespace)
    return namespace


@pytest.mark.parametrize(
    ("rule", "update", "name", "old", "new"), MISTAKES, ids=[f"{m[2]}-{i}" for i, m in enumerate(MISTAKES)]
)
def test_a_mistake_of_an_update_rule_is_found_and_named(rule, update, name, old, new):
    report = diagnose_update_rule(rule, rules(old, new)[rule])
    assert [(f.place, f.mistake) for f in report.findings] == [(f"{rule}: update {update}", name)]
    assert report.ok == name.endswith("eps_inside_root")  # as CS231n's own check has it: next to nothing at 1e-8


def test_eps_inside_the_root_hides_no_mistake_and_comes_after_it():
    cache = "config['cache']"
    outside, inside = (f"{root.format(cache)}, " for root in ROOTS)
    forgets = "{k: v for k, v in config.items() if k != 'cache'}"
    rule = rules(f"{outside}config\n", f"{inside}{forgets}\n")["rmsprop"]
    report = diagnose_update_rule("rmsprop", rule)
    assert [f.mistake for f in report.findings] == ["rmsprop_forgets", "rmsprop_eps_inside_root"]
    assert not report.ok


STORED, LOCAL = "config['t'] += 1\n", "t = config['t'] + 1\n"


@pytest.mark.parametrize(
    ("name", "exchanges"),
    [
        ("adam_t_not_advanced", [(STORED, LOCAL), ("** config['t']", "** t")]),
        ("adam_exponent_fixed", [(" ** config['t']", "")]),
        (NEITHER, [(M, M_PILED_UP), (V, V_PILED_UP), (M_HAT, "config['m']"), (V_HAT, "config['v']")]),
    ],
    ids=["not advanced", "no exponent", "piled up"],
)
def test_mistakes_with_the_same_numbers_are_told_apart_by_the_state_that_is_kept(name, exchanges):
    text = SOURCE
    for old, new in exchanges:
        assert old in text
        text = text.replace(old, new)
    namespace = {}
    exec(compile(text, "<optim with a mistake>", "exec"), namespace)
    (finding,) = diagnose_update_rule("adam", namespace["adam"]).findings
    assert (finding.mistake, finding.equals) == (name, ())


def by_torch(make):
    """torch's own optimizer, whose state is kept in config."""

    def rule(w, dw, config):
        parameter = torch.tensor(w)
        if "optimizer" in config:
            optimizer, old = config["optimizer"]
            old.data.copy_(parameter)
        else:
            optimizer, old = make([parameter], config), parameter
            config["optimizer"] = optimizer, old
        old.grad = torch.tensor(dw)
        optimizer.step()
        return old.detach().numpy().copy(), config

    return rule


def in_single(rule):
    def single(w, dw, config):
        state = {key: np.float32(value) if isinstance(value, np.ndarray) else value for key, value in config.items()}
        return rule(np.float32(w), np.float32(dw), state)

    return single


TORCH = {
    "sgd": lambda p, c: torch.optim.SGD(p, c["learning_rate"]),
    "rmsprop": lambda p, c: torch.optim.RMSprop(p, c["learning_rate"], c["decay_rate"], c["epsilon"]),
    "adam": lambda p, c: torch.optim.Adam(p, c["learning_rate"], (c["beta1"], c["beta2"]), c["epsilon"]),
}


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        *((name, rules()[name]) for name in ("sgd", "sgd_momentum", "rmsprop", "adam")),
        *((name, by_torch(make)) for name, make in TORCH.items()),
        *((name, in_single(rules()[name])) for name in ("sgd", "sgd_momentum", "rmsprop", "adam")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_right_update_rule_is_never_accused(name, rule):
    report = diagnose_update_rule(name, rule)
    assert report.ok, report
    assert len(report.agreeing) == 5


def momentum_of(kept, stepped, key="velocity"):
    """kept: the next velocity, of mu v, dw and eta; stepped: the step, of the velocity and eta."""

    def rule(w, dw, config):
        v = kept(config["momentum"] * config.get(key, 0 * w), dw, config["learning_rate"])
        return w + stepped(v, config["learning_rate"]), {**config, key: v}

    return rule


OWN = "its velocity begins at 0, whatever config['velocity'] says"
FORMS = {
    "torch's": (
        momentum_of(lambda v, g, _: v + g, lambda v, eta: -eta * v),
        "it is v = mu v + dw, w -= eta v, as in torch",
    ),
    "eta in it": (momentum_of(lambda v, g, eta: v + eta * g, lambda v, _: -v), "it is v = mu v + eta dw, w -= v"),
    "negative": (momentum_of(lambda v, g, _: v - g, lambda v, eta: eta * v), "it is v = mu v - dw, w += eta v"),
    "its own key": (momentum_of(lambda v, g, _: v + g, lambda v, eta: -eta * v, "buffer"), OWN),
    "torch": (by_torch(lambda p, c: torch.optim.SGD(p, c["learning_rate"], momentum=c["momentum"])), OWN),
}


@pytest.mark.parametrize(("rule", "note"), FORMS.values(), ids=FORMS)
def test_every_form_of_momentum_is_right_and_said(rule, note):
    report = diagnose_update_rule("sgd_momentum", rule)
    assert report.ok, report
    assert report.notes == [note]


def test_a_mistake_in_another_form_of_momentum_has_its_name():
    ascends = momentum_of(lambda v, g, _: v - g, lambda v, eta: -eta * v, "buffer")
    report = diagnose_update_rule("sgd_momentum", ascends)
    assert [finding.mistake for finding in report.findings] == ["momentum_sign"]


def test_a_mistake_in_another_form_of_adam_has_its_name():
    """It is wrong from the first update on, so that no right one tells the form."""
    averaged = "(1 - config['beta1']) * dx\n"
    ours, keras = "config['epsilon'])", "config['epsilon'] / np.sqrt(1 - config['beta2'] ** config['t']))"
    assert SOURCE.count(averaged) == SOURCE.count(f"np.sqrt(vb) + {ours}") == 1
    source = SOURCE.replace(averaged, "dx\n").replace(f"np.sqrt(vb) + {ours}", f"np.sqrt(vb) + {keras}")
    namespace: dict = {}
    exec(source, namespace)
    report = diagnose_update_rule("adam", namespace["adam"])
    assert [finding.mistake for finding in report.findings] == ["adam_not_averaged"]
    assert report.notes == ["eps is added to the root of the uncorrected v, as in Keras"]


@pytest.mark.parametrize("name", ["rmsprop", "adam"])
def test_an_epsilon_of_its_own_is_no_mistake(name):
    report = diagnose_update_rule(name, rules_with_their_own_epsilon()[name])
    assert report.ok, report
    assert report.notes == ["eps is 1e-07 here, whatever config['epsilon'] says"]


def rules_with_their_own_epsilon():
    namespace = {}
    exec(compile(SOURCE.replace("config['epsilon'])", "1e-7)"), "<optim with its own eps>", "exec"), namespace)
    return namespace


@pytest.mark.parametrize(
    ("rule", "mistake", "words"),
    [
        (lambda *_: None, "unfilled", "returns None"),
        (lambda w, *_: w, "wrong_type", "must return (next w, config)"),
        (lambda w, _, config: (w, config), "not_moved", "it returns w as it was given: nothing moves"),
        (lambda w, *_: (w, None), "wrong_type", "the next step needs its state"),
        (lambda w, _, config: (w.ravel()[:3], config), "wrong_shape", "its shape is (3,)"),
    ],
    ids=["None", "no config", "not moved", "config is None", "shape"],
)
def test_strange_update_rules_are_said_in_words(rule, mistake, words):
    report = diagnose_update_rule("adam", rule)
    assert [finding.mistake for finding in report.findings] == [mistake]
    assert words in str(report)


OPTIMIZER = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)


@pytest.mark.parametrize(
    ("name", "rule", "words"),
    [
        ("adagrad", np.add, "name is 'adagrad'; it must be one of sgd"),
        (["sgd"], np.add, r"name is \['sgd'\]; it must be one of sgd"),
        (None, np.add, "name is None; it must be one of sgd"),
        (
            "sgd",
            None,
            r"rule is a NoneType; it must be a function \(w, dw, config\) that returns the next w and config",
        ),
        ("sgd", "abc", "rule is a str; it must be a function"),
        ("sgd", [0.1, 0.2], "rule is a list; it must be a function"),
        ("sgd", torch.optim.SGD, "rule is the class SGD; it must be a function"),
        ("sgd", OPTIMIZER, "rule is a SGD; it must be a function"),
    ],
    ids=["unknown", "a list of names", "no name", "no rule", "words", "rates", "a class", "an optimizer"],
)
def test_what_is_no_update_rule_is_refused(name, rule, words):
    with pytest.raises(ValueError, match=words):
        diagnose_update_rule(name, rule)
