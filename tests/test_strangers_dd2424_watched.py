"""DD2424 programs that are judged by what is seen while they run as a whole, images loaded and batches cut."""

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import STRANGERS, dd2424_program

from manual_mlp.adapters import child, recorder, stand_in_images
from manual_mlp.adapters.held import variables
from manual_mlp.adapters.recorder import LARGE, Recorder, closed_over
from manual_mlp.adapters.seen_steps import told_by_gradient
from manual_mlp.adapters.watched_averages import Weights
from manual_mlp.adapters.whole_program import Enough


def some(cases, *quick):
    """Those that run every time; the others are thorough."""
    return [pytest.param(case, marks=[] if case in quick else [pytest.mark.thorough]) for case in cases]


def program(lines):
    """One cycle instead of two: there is nothing else to see in the second one."""
    return dd2424_program("whole_script", {**lines, "cycles=2": "cycles=1"})


HELD_OUT = "self.held_out = (pixels[:, -600:] - self.mu) / self.sd"
OWN = "x = pixels[:, -600:]; self.held_out = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)"
WIDE = {"[14, 12]": "[40, 25]"}  # enough weights for their spread to be measured
PLANTED = {
    # what stands there instead, title of the check, first wrong place, what is said
    "log10": ({"np.log(": "np.log10("}, "network", "cost", "base of 10"),
    "penalty halved in the cost": ({"+ self.lam *": "+ self.lam / 2 *"}, "network", "cost", "factor 1/2"),
    "penalty halved in the gradient": ({"+ 2 * self.lam": "+ self.lam"}, "network", "linear3.weight", "factor 2"),
    "no mask": ({"* (self.inputs[i] > 0)": "* 1"}, "network", "linear2.bias", "not masked"),
    "biases summed": ({"G.mean(axis=1, ": "G.sum(axis=1, "}, "network", "linear3.bias", "by the batch size"),
    "uphill": ({"self.bs[i] -= eta": "self.bs[i] += eta"}, "update", "linear1.bias", "added"),
    "never updated": ({"self.bs[i] -= eta * grad_b[i]": "pass"}, "update", "linear1.bias", "never updated"),
    "variance for std": ({"* np.sqrt(2 / a)": "* (2 / a)"} | WIDE, "initialization", "linear1.weight", "variance"),
    "outputs for inputs": ({"2 / a": "2 / b"} | WIDE, "initialization", "linear1.weight", "must be the inputs"),
    "own statistics": ({HELD_OUT: OWN}, "standardization", "validation images", "own statistics"),
    "by the variance": ({"train.std(": "train.var("}, "standardization", "train images", "by the variance"),
    "a batch lost": ({"(N // n_batch)": "(N // n_batch - 1)"}, "minibatches", "epoch 0", "100 of 1400 images"),
    "labels apart": ({"hot[:, picked]": "hot[:, np.sort(picked)]"}, "minibatches", "labels", "belong together"),
    "eta_min not added": ({"eta_min + up": "0 + up"}, "schedule", "schedule", "eta_min is not added"),
    "counted from 0 each epoch": ({"divmod(t, ": "divmod(j, "}, "schedule", "schedule", "again in every epoch"),
    "images counted": ({"divmod(t, ": "divmod(t // 14 * n_batch + j, "}, "schedule", "schedule", "images are counted"),
    "one update early": ({"divmod(t, ": "divmod(t + 1, "}, "schedule", "schedule", "one update ahead"),
}


@pytest.mark.parametrize("mistake", some(PLANTED, "no mask", "own statistics"))
def test_what_no_function_shows_alone_is_seen_at_work(inspected, mistake):
    lines, title, place, said = PLANTED[mistake]
    checks, _ = inspected("student.py", "dd2424", program(lines))
    assert {name for name, check in checks.items() if check["verdict"] != "all right"} == {title}
    assert checks[title]["verdict"] == "WRONG"
    assert checks[title]["first"].startswith(place)
    assert said in checks[title]["text"]


def test_the_report_says_that_the_program_ran(inspected):
    _, last = inspected("whole_script.py", "dd2424")
    assert any("while the whole program ran, on random images" in note for note in last["notes"])


def test_a_penalty_with_one_half_in_cost_and_gradient_is_no_mistake(inspected):
    lines = {"+ self.lam *": "+ self.lam / 2 *", "+ 2 * self.lam": "+ self.lam"}
    checks, _ = inspected("student.py", "dd2424", program(lines), only="network")
    assert checks["network"]["verdict"] == "all right"


LEAKY = {
    "self.inputs.append(np.maximum(0, W @ self.inputs[-1] + b))": (
        "self.inputs.append((lambda s: np.maximum(s, 0.1 * s))(W @ self.inputs[-1] + b))"
    )
}
BACK = {"* (self.inputs[i] > 0)": "* np.where(self.inputs[i] > 0, 1, 0.1)"}


def test_a_leaky_relu_is_no_mistake(inspected):
    checks, _ = inspected("student.py", "dd2424", program(LEAKY | BACK), only="network")
    assert checks["network"]["verdict"] == "all right"
    assert "its ReLU is leaky, with slope 0.1" in checks["network"]["text"]


@pytest.mark.thorough
@pytest.mark.parametrize(("lines", "said"), [(LEAKY, "of a plain ReLU"), (BACK, "of a leaky ReLU")])
def test_a_leaky_relu_in_one_pass_alone_is_one(inspected, lines, said):
    checks, _ = inspected("student.py", "dd2424", program(lines), only="network")
    assert checks["network"]["verdict"] == "WRONG"
    assert checks["network"]["first"].startswith("linear2.bias: the mask is that " + said)


def test_without_the_script_nothing_is_watched():
    file = str(STRANGERS / "dd2424" / "whole_script.py")
    settings = {"file": file, "convention": "dd2424", "functions": {}, "arguments": {}, "script": False}
    with child.loaded(settings, lambda _: None) as loaded:
        checks = [event["check"] for event in child.outcomes(loaded, "dd2424") if "check" in event]
    assert [(check["title"], check["verdict"]) for check in checks] == [("network", "not run")]


def test_a_program_that_had_to_be_killed_is_not_run_again():
    file = str(STRANGERS / "dd2424" / "whole_script.py")
    failing = {"the whole program": "does not return: it was stopped after 40 s"}
    settings = {"file": file, "convention": "dd2424", "functions": {}, "arguments": {}, "failing": failing}
    with child.loaded(settings, lambda _: None) as loaded:
        *checks, last = child.outcomes(loaded, "dd2424")
    assert [event["check"]["verdict"] for event in checks] == ["not run"]
    assert "the whole program does not return: it was stopped after 40 s" in last["notes"]


SWALLOWS = {
    "    net.run(n_batch=100, eta_min=1e-5, eta_max=1e-1, n_s=50, cycles=2)": "    while True:\n"
    "        try: net.run(n_batch=100, eta_min=1e-5, eta_max=1e-1, n_s=50, cycles=2)\n        except: pass"
}
ENDS = {"    plt.plot(net.history)": "    import os; os._exit(1)"}


@pytest.mark.parametrize("lines", [SWALLOWS, ENDS], ids=["catches everything", "ends the process"])
def test_what_was_seen_is_judged_whatever_the_program_does_then(inspected, lines):
    checks, _ = inspected("student.py", "dd2424", program(lines), only="initialization")
    assert checks["initialization"]["verdict"] == "all right"


@pytest.mark.parametrize("place", ["sets_around", "amounts_in", "is_rate"])
def test_a_stop_while_a_step_is_looked_at_is_no_mistake(inspected, monkeypatch, place):
    def stopped(*_):
        raise Enough

    monkeypatch.setattr(recorder, place, stopped)
    checks, _ = inspected("whole_script.py", "dd2424")
    assert list(checks) == ["network"]
    assert "was not seen" in checks["network"]["text"]


def test_an_error_of_what_looks_on_is_none_of_the_program(inspected, monkeypatch):
    def broken(_):
        raise ValueError

    monkeypatch.setattr(broken, "__code__", broken.__code__.replace(co_filename=recorder.__file__))
    monkeypatch.setattr(recorder, "switch_in", broken)
    checks, _ = inspected("whole_script.py", "dd2424")
    assert "the whole program" not in checks


@pytest.mark.thorough
def test_a_script_that_fails_where_it_plots_is_judged_by_the_rest(inspected):
    lines = {"    data = Data(": "    print(1 / 0)\n", "'Datasets/cifar-10-batches-py')\n": ""}
    lines |= {"if __name__ == '__main__':\n": "raise ValueError\ndata = Data('cifar-10-batches-py')\nif __name__:\n"}
    lines |= {"    print(1 / 0)\n": ""}
    checks, _ = inspected("student.py", "dd2424", program(lines), only="initialization")
    assert checks["initialization"]["verdict"] == "all right"


@pytest.mark.parametrize("called", ["main()", "main('now')"])
def test_what_fails_in_a_function_that_is_the_script_does_not_end_it(inspected, called):
    head, own = program({}).split("if __name__ == '__main__':\n")
    text = f"{head}\ndef main(when=None):\n    print(1 / 0)\n{own}\nif __name__ == '__main__':\n    {called}\n"
    checks, _ = inspected("student.py", "dd2424", text, only="initialization")
    assert checks["initialization"]["verdict"] == "all right"


ASKS = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument('what', choices=['train'])
parser.add_argument('--lam', type=float, required=True)
parser.add_argument('--n', type=int, default=3)
given = parser.parse_args()
if (given.what, given.lam > 0, given.n) != ('train', True, 3):
    raise SystemExit
"""


def test_what_has_to_be_given_on_the_command_line_is_there(inspected):
    start = "if __name__ == '__main__':\n"
    checks, _ = inspected("student.py", "dd2424", program({start: f"{ASKS}\n{start}"}), only="initialization")
    assert checks["initialization"]["verdict"] == "all right"


IN_THE_STEP = {
    # what the gradient leaves to the step
    "the penalty": {
        " + 2 * self.lam * self.Ws[i])": ")",
        "eta * grad_W[i]": "eta * (grad_W[i] + 2 * self.lam * self.Ws[i])",
    },
    "the mean": {
        "G @ self.inputs[i].T / n + 2 * self.lam * self.Ws[i]": "G @ self.inputs[i].T + 2 * n * self.lam * self.Ws[i]",
        "G.mean(axis=1, ": "G.sum(axis=1, ",
        "eta * grad_W[i]": "eta * grad_W[i] / n_batch",
        "eta * grad_b[i]": "eta * grad_b[i] / n_batch",
    },
}


@pytest.mark.parametrize("left", some(IN_THE_STEP, "the mean"))
def test_what_the_step_does_to_the_gradient_is_not_missing_in_it(inspected, left):
    checks, _ = inspected("student.py", "dd2424", program(IN_THE_STEP[left]))
    assert {check["verdict"] for check in checks.values()} == {"all right"}
    assert {"network", "update"} <= set(checks)


OF_THE_STEP = {
    " / n + 2 * self.lam * self.Ws[i]": "",
    "G.mean(axis=1, ": "G.sum(axis=1, ",
    "        t = 0\n": "        t = 0\n        v = [0 * W for W in self.Ws]\n",
    "self.Ws[i] -= eta * grad_W[i]": "v[i] = 0.9 * v[i] + eta * grad_W[i] / n_batch\n"
    "                    self.Ws[i] -= v[i] + 2 * self.lam * self.Ws[i]",
    "eta * grad_b[i]": "eta * grad_b[i] / n_batch",
}


@pytest.mark.thorough
def test_where_the_step_is_wrong_the_gradient_is_not_accused_of_what_is_left_to_it(inspected):
    checks, _ = inspected("student.py", "dd2424", program(OF_THE_STEP))
    assert {title for title, check in checks.items() if check["verdict"] != "all right"} == {"update"}
    assert "not multiplied by eta" in checks["update"]["first"]


SINGLE = {
    "batch[b'data'][:2000].T / 255.0": "batch[b'data'][:2000].T.astype(np.float32) / np.float32(255)",
    "batch[b'data'][:700].T / 255.0": "batch[b'data'][:700].T.astype(np.float32) / np.float32(255)",
    "np.eye(10)": "np.eye(10, dtype=np.float32)",
    "rng.randn(b, a) * np.sqrt(2 / a)": "rng.randn(b, a).astype(np.float32) * np.float32(np.sqrt(2 / a))",
    "np.zeros((b, 1))": "np.zeros((b, 1), dtype=np.float32)",
}
OF_SINGLE = ["", "log10", "penalty halved in the gradient", "no mask", "biases summed", "uphill", "a batch lost"]
OF_SINGLE += ["penalty halved in the cost", "one update early", "eta_min not added"]


@pytest.mark.parametrize("mistake", some(OF_SINGLE, "no mask"))
def test_a_program_in_single_precision_is_judged_as_well(inspected, mistake):
    lines, title, place, said = PLANTED.get(mistake, ({}, "", "", ""))
    checks, _ = inspected("student.py", "dd2424", program(SINGLE | lines))
    assert {"network", "update", "minibatches", "schedule"} <= set(checks)
    assert {name for name, check in checks.items() if check["verdict"] != "all right"} == {title} - {""}
    assert not title or (checks[title]["first"].startswith(place) and said in checks[title]["text"])


NORMALIZED = {
    # what stands there instead, title of the check, first wrong place, what is said
    "no 1/N in the variance": (
        {"- D * c / n": "- D * c"},
        "network with batch norm",
        "linear2.weight",
        "lacks its 1/N",
    ),
    "no gamma": ({"G = G * self.gamma[l]": "pass"}, "network with batch norm", "linear2.weight", "gamma is missing"),
    "x for x_hat": ({"(G * self.S_hat[l])": "(G * self.S[l])"}, "network with batch norm", "bn2.weight", "input x"),
    "beta uphill": ({"self.beta[k] - eta": "self.beta[k] + eta"}, "update", "bn1.bias", "added"),
    "gamma at 0": ({"np.ones((n_out, 1))": "0.5 * np.ones((n_out, 1))"}, "initialization", "bn1.weight", "start at 1"),
}


@pytest.mark.parametrize("mistake", some(NORMALIZED, "no gamma"))
def test_batch_normalization_is_judged_at_work_as_well(inspected, mistake):
    lines, title, place, said = NORMALIZED[mistake]
    checks, _ = inspected("student.py", "dd2424", dd2424_program("whole_script_normalized", lines))
    assert {name for name, check in checks.items() if check["verdict"] != "all right"} == {title}
    assert checks[title]["verdict"] == "WRONG"
    assert checks[title]["first"].startswith(place)
    assert said in checks[title]["text"]


SWITCHED = {
    "def __init__(self):\n": "def __init__(self, use_bn):\n        self.use_bn = use_bn\n",
    "for n_out in sizes[1:-1]:": "for n_out in sizes[1:-1] * use_bn:",
    "self.H.append(np": "self.H.append(np.maximum(s, 0) if not self.use_bn else np",
    "            if l < len(self.gamma):\n                G = G * (self.H[l + 1] > 0)\n": (
        "            if l < len(self.W) - 1:\n                G = G * (self.H[l + 1] > 0)\n"
        "            if l < len(self.gamma):\n"
    ),
    "experiment = Experiment()\nplt": "plain = Experiment(False)\nplain.train()\nexperiment = Experiment(True)\nplt",
}
OF_ONE = {
    # what stands there instead, and where it is wrong
    "both right": ({}, {}),
    "without": ({"G = G * (self.H[l + 1] > 0)": "G = G * ((self.H[l + 1] > 0) | (not self.use_bn))"}, {"network"}),
    "with": ({"- D * c / n": "- D * c"}, {"network with batch norm"}),
}


@pytest.mark.parametrize("wrong", some(OF_ONE, "with"))
def test_a_network_is_judged_with_and_without_batch_normalization(inspected, wrong):
    text = dd2424_program("whole_script_normalized", SWITCHED)
    for old, new in OF_ONE[wrong][0].items():
        assert old in text
        text = text.replace(old, new)
    checks, _ = inspected("student.py", "dd2424", text)
    assert {"network", "network with batch norm"} <= set(checks)
    assert {title for title, check in checks.items() if check["verdict"] != "all right"} == set(OF_ONE[wrong][1])


FOLDED = {
    "rng.randn(b, a)": "rng.randn(b, a + 1)",
    "self.bs = [np.zeros((b, 1)) for b in dims[1:]]": "self.ones = lambda H: np.vstack([H, np.ones((1, H.shape[1]))])",
    "self.inputs = [X]": "self.inputs = [self.ones(X)]",
    "for W, b in zip(self.Ws[:-1], self.bs[:-1])": "for W in self.Ws[:-1]",
    "np.maximum(0, W @ self.inputs[-1] + b)": "self.ones(np.maximum(0, W @ self.inputs[-1]))",
    " + self.bs[-1]": "",
    "grad_b.insert(0, G.mean(axis=1, keepdims=True))": "pass",
    "(self.Ws[i].T @ G) * (self.inputs[i] > 0)": "((self.Ws[i].T @ G) * (self.inputs[i] > 0))[:-1]",
    "self.bs[i] -= eta * grad_b[i]": "pass",
}
FOLDED_OUTSIDE = FOLDED | {
    "self.inputs = [X]": "self.inputs = [X]  # with ones",
    "self.backward_pass(self.data.train[:, picked]": "self.backward_pass(self.ones(self.data.train[:, picked])",
    "self.cost(self.data.held_out,": "self.cost(self.ones(self.data.held_out),",
    "net.cost(data.test,": "net.cost(net.ones(data.test),",
}


@pytest.mark.parametrize("lines", [FOLDED, FOLDED_OUTSIDE], ids=["inside", "outside"])
def test_biases_that_are_a_column_of_the_weights_are_not_accused(inspected, lines):
    checks, _ = inspected("student.py", "dd2424", program(lines))
    assert checks["network"]["verdict"] == "not run"
    assert {check["verdict"] for title, check in checks.items() if title != "network"} <= {"all right"}


ORDERS = {
    # what stands there instead, what is noted about the order
    "drawn anew": ({}, ""),
    "shuffled in place": (
        {
            "order = np.random.permutation(N)": "new, order = np.random.permutation(N), np.arange(N)\n"
            "            self.data.train = self.data.train[:, new]\n"
            "            self.data.train_hot = self.data.train_hot[:, new]"
        },
        "",
    ),
    "never shuffled": ({"np.random.permutation(N)": "np.arange(N)"}, "the images are not shuffled"),
}


@pytest.mark.parametrize("how", some(ORDERS, "drawn anew"))
def test_the_order_of_the_images_is_noted_as_it_is(inspected, how):
    lines, noted = ORDERS[how]
    checks, _ = inspected("student.py", "dd2424", program(lines), only="minibatches")
    assert checks["minibatches"]["verdict"] == "all right"
    assert ("note: order: " in checks["minibatches"]["text"]) == bool(noted)
    assert noted in checks["minibatches"]["text"]


def test_sets_of_images_are_not_kept_beside_what_the_program_keeps():
    images, weights = np.zeros((3072, LARGE // 3000)), np.ones((2, 2))
    data = SimpleNamespace(train=images, weights=weights)
    recorder = Recorder([], set(), set(), set(), {})
    copied = recorder.snapshot({"self": data, "X": images[:, :0], "W": weights})
    assert (copied["self"].train, copied["W"].tolist()) == (None, weights.tolist())
    assert copied["W"] is not weights
    assert recorder.snapshot({"self": data, "X": images}, [images])["X"] is images


def test_a_gradient_belongs_to_the_batch_that_any_function_was_given_last():
    def evaluate(X): ...

    def model(X): ...

    def gradients(P): ...

    recorder = Recorder([], {"evaluate", "gradients"}, {"evaluate"}, set(), {})
    recorder.gradients = {"gradients"}
    evaluated, modelled, derived = map(recorder.wrap, (evaluate, model, gradients))
    evaluated(stand_in_images.images(0, 30))
    modelled(stand_in_images.images(50, 10))
    derived(np.ones((10, 10)))
    assert not recorder.trainings
    evaluated(stand_in_images.images(0, 30))
    derived(np.ones((10, 10)))
    assert [len(training.batches[0]) for training in recorder.trainings.values()] == [30]


def test_variables_of_the_function_around_are_read():
    lam, made = 0.1, np.ones(3)

    def cost():
        return lam * made

    assert closed_over(cost) == {"lam": lam, "made": made}


def test_a_cost_of_the_same_images_is_looked_at_once():
    def cost(X, lam):
        return lam * (len(X) == 30)

    recorder = Recorder([], {"cost"}, {"cost"}, set(), {})
    recorded = recorder.wrap(cost)
    for first, order in ((0, 1), (0, -1), (50, 1)):
        assert recorded(stand_in_images.images(first, 30)[::order], first + order) == first + order
    assert [asked.batch[0] for asked in recorder.asked] == [0, 50]


def two_networks(first, second):
    """Of the same methods, trained one after the other: what stands in each instead."""
    text = program({})
    start, end = text.index("class Trainer"), text.index("if __name__")
    classes = ""
    for name, lines in {"First": first, "Second": second}.items():
        own = text[start:end].replace("Trainer", name)
        for line, instead in lines.items():
            assert line in own
            own = own.replace(line, instead)
        classes += own
    run = text[end:].replace("    net", "        net").replace("Trainer", "made")
    run = run.replace("        net = ", "    for made in (First, Second):\n        net = ", 1)
    return text[:start] + classes + run


@pytest.mark.parametrize("wrong", [0, 1], ids=["the first", "the second"])
def test_of_two_networks_with_the_same_methods_the_wrong_one_is_accused(inspected, wrong):
    no_mask = {"* (self.inputs[i] > 0)": "* 1"}
    checks, _ = inspected("student.py", "dd2424", two_networks(*[no_mask if wrong == n else {} for n in (0, 1)]))
    verdicts = [checks[title]["verdict"] for title in ("network", "network 2")]
    assert verdicts == (["WRONG", "all right"] if wrong == 0 else ["all right", "WRONG"])


@pytest.mark.thorough
def test_a_network_is_judged_although_one_before_it_trains_for_long(inspected):
    text = two_networks({}, {"* (self.inputs[i] > 0)": "* 1"}).replace("n_s=50, cycles=2", "n_s=50, cycles=30")
    loop = text[text.index("    for made in") : text.index("    plt.plot")]
    unrolled = "".join(
        loop.split("\n", 1)[1].replace("        ", "    ").replace("made", m) for m in ("First", "Second")
    )
    checks, _ = inspected("student.py", "dd2424", text.replace(loop, unrolled))
    assert [checks[title]["verdict"] for title in ("network", "network 2")] == ["all right", "WRONG"]


OTHERWISE_DEFINED = {
    "inherited": {"class Trainer:": "class Base:", "if __name__": "class Trainer(Base):\n    pass\n\n\nif __name__"},
    "behind a decorator": {
        "class Trainer:": "def timed(f):\n    return lambda *a: f(*a)\n\n\nclass Trainer:",
        "    def backward_pass": "    @timed\n    def backward_pass",
    },
}


@pytest.mark.parametrize("how", some(OTHERWISE_DEFINED))
def test_a_method_is_recognized_wherever_it_is_defined(inspected, how):
    text = program(OTHERWISE_DEFINED[how])
    checks, _ = inspected("student.py", "dd2424", text, only="initialization")
    assert {check["verdict"] for check in checks.values()} == {"all right"}


@pytest.mark.parametrize("widths", some(["[10, 12]", "[14, 10]", "[10, 10, 10]"], "[10, 10, 10]"))
def test_a_hidden_layer_as_wide_as_there_are_classes_is_not_the_last(inspected, widths):
    checks, _ = inspected("student.py", "dd2424", program({"[14, 12]": widths}), only="network")
    assert checks["network"]["verdict"] == "all right"
    assert "linear3.weight" in checks["network"]["text"]


HEAVY_BALL = {
    "        t = 0\n": "        t = 0\n        momentum = [0 * W for W in self.Ws]\n",
    "self.Ws[i] -= eta * grad_W[i]": "momentum[i] = 0.9 * momentum[i] + grad_W[i]; self.Ws[i] -= eta * momentum[i]",
}
FLIPPED = {"self.backward_pass(self.data.train[:, picked]": "self.backward_pass(self.data.train[::-1, picked]"}


FEW = "    net.data.train, full = net.data.train[:, :300], net.data.train\n    net.run(n_batch"
FEW_AT_FIRST = {"    net.run(n_batch": FEW}
OTHER_NAME = {"self.lam": "self.alpha"}
DECAY = {
    " + 2 * self.lam * self.Ws[i])": ")",
    " + self.lam * sum(np.sum(W ** 2) for W in self.Ws)": "",
    "eta * grad_W[i]": "eta * (grad_W[i] + self.lam * self.Ws[i])",
}
GIVEN_FIRST = {"        t = 0\n": "        t = 0\n        eta = eta_min\n"}
DRAWN = {"order[j * n_batch:(j + 1) * n_batch]": "np.random.choice(N, n_batch, replace=False)"}


NOT_ASKED_FOR = {
    "momentum": HEAVY_BALL,
    "mirrored images": FLIPPED,
    "batches drawn one by one": DRAWN,
    "a rate that nobody uses": GIVEN_FIRST,
    "few images": FEW_AT_FIRST,
}


@pytest.mark.parametrize("what", some(NOT_ASKED_FOR, "momentum"))
def test_what_the_course_does_not_ask_for_is_not_accused(inspected, what):
    checks, _ = inspected("student.py", "dd2424", program(NOT_ASKED_FOR[what]))
    assert not {title for title, check in checks.items() if check["verdict"] in ("WRONG", "FAILED")}


SEEDED = {"rng.randn(b, a)": "np.random.RandomState(1).randn(b, a)"}


@pytest.mark.thorough
def test_a_seed_for_every_layer_is_noted(inspected):
    checks, _ = inspected("student.py", "dd2424", program(SEEDED), only="initialization")
    assert checks["initialization"]["verdict"] == "all right"
    assert "note: linear2.weight: it has the same random numbers as linear1" in checks["initialization"]["text"]


HALVED = {"+ self.lam *": "+ self.lam / 2 *", "+ 2 * self.lam": "+ self.lam"}
ANOTHER_LAMBDA = OTHER_NAME | {"class Trainer:": "lmbda = 0\n\n\nclass Trainer:"}
OWN_SLOPE = {old: new.replace("0.1", "0.015") for old, new in (LEAKY | BACK).items()}
KEEPS_LABELS = {
    "backward_pass(self, X, Y):\n": "backward_pass(self, X, hot):\n        self.Y = hot\n",
    "self.forward_pass(X) - Y": "self.forward_pass(X) - self.Y",
    "    net.run(": "    X, Y = data.train[:, :100], data.train_hot[:, :100]\n    print(net.cost(X, Y))\n    net.run(",
}
BY_NUMBERS = {
    "        N = self.data.train.shape[1]\n": "        picks = np.random.permutation(1400)[:1300]\n        N = 1300\n",
    "np.random.permutation(N)": "np.random.permutation(picks)",
}
WARMED_UP = {
    "    net.run(": "    for i in range(14):\n"
    "        some = slice(100 * i, 100 * i + 100)\n"
    "        grad_W, grad_b = net.backward_pass(data.train[:, some], data.train_hot[:, some])\n"
    "        net.Ws = [W - 0.3 * g for W, g in zip(net.Ws, grad_W)]\n"
    "        net.bs = [b - 0.3 * g for b, g in zip(net.bs, grad_b)]\n"
    "    net.run("
}
HOLDS_NUMPY = {"        self.lam = lam\n": "        self.lam = lam\n        self.xp = np\n"}
DIVERGES = {"eta_max=1e-1": "eta_max=1e3"}
DEEP = {
    "forward_pass(self, X):\n": "forward_pass(self, X, deep=850):\n"
    "        if deep:\n            return self.forward_pass(X, deep - 1)\n"
}
CHOSEN = {
    "__main__'": "__main__':\n    how = input('relu or tanh? ')\nif __name__ == '__main__'",
    "lam=0.005)": "lam=0.005)\n    net.how = how",
    "        self.inputs = [X]": "        if self.how not in ('relu', 'tanh'):\n"
    "            raise ValueError(f'unknown {self.how}')\n        self.inputs = [X]",
}
RIGHT = {
    # what stands there instead, and what is said of its network
    "a leaky ReLU, and one half of the penalty": (LEAKY | BACK | HALVED, "all right"),
    "a slope of its own": (OWN_SLOPE, "all right"),
    "a number called lambda that nobody reads": (ANOTHER_LAMBDA, "not run"),
    "labels that its object keeps": (KEEPS_LABELS, "all right"),
    "a set of images by their numbers": (BY_NUMBERS, "all right"),
    "a training before the training": (WARMED_UP, "all right"),
    "a module that its object holds": (HOLDS_NUMPY, "all right"),
    "a training that diverges": (DIVERGES, "not run"),
    "a deep recursion": (DEEP, "not run"),
    "an answer that was made up": (CHOSEN, "not run"),
}


@pytest.mark.parametrize(
    "what", some(RIGHT, "a leaky ReLU, and one half of the penalty", "labels that its object keeps")
)
def test_a_right_program_is_not_accused(inspected, what):
    lines, said = RIGHT[what]
    checks, _ = inspected("student.py", "dd2424", program(lines))
    assert checks["network"]["verdict"] == said
    assert not {title for title, check in checks.items() if check["verdict"] in ("WRONG", "FAILED")}
    assert not any("the diagnosis itself failed" in check["text"] for check in checks.values())


STEP_INSIDE = {
    "def backward_pass(self, X, Y)": "def backward_pass(self, X, Y, eta=0.01)",
    "        return grad_W, grad_b": "        for i in range(len(self.Ws)):\n"
    "            self.Ws[i] -= eta * grad_W[i]\n            self.bs[i] -= eta * grad_b[i]",
    "grad_W, grad_b = self.backward_pass(": "self.backward_pass(",
    "self.Ws[i] -= eta * grad_W[i]\n                    self.bs[i] -= eta * grad_b[i]": "pass",
}
TOLD = {
    # what stands there instead, what is wrong first, what is said
    "right": ({}, "", ""),
    "no mask": ({"* (self.inputs[i] > 0)": "* 1"}, "linear2.bias", "not masked"),
    "penalty halved": ({"+ 2 * self.lam": "+ self.lam"}, "linear1.weight", "factor 2"),
    "never updated": ({"self.bs[i] -= eta * grad_b[i]": "pass"}, "linear1.bias", "never updated"),
    "uphill": ({"self.bs[i] -= eta": "self.bs[i] += eta"}, "linear1.bias", "added"),
    "stepped first": (
        {
            "G = (self.Ws[i].T @ G)": "self.Ws[i] -= eta * grad_W[0]; G = (self.Ws[i].T @ G)",
            "    self.Ws[i] -= eta * grad_W[i]": "    pass",
        },
        "linear1.weight",
        "already made their step",
    ),
}


@pytest.mark.parametrize("mistake", some(TOLD, "stepped first"))
def test_gradients_that_stay_in_the_step_are_told_by_it(inspected, mistake):
    lines, place, said = TOLD[mistake]
    text = program(STEP_INSIDE)
    for line, instead in lines.items():
        assert line in text
        text = text.replace(line, instead)
    checks, _ = inspected("student.py", "dd2424", text)
    assert {check["verdict"] for check in checks.values()} == {"WRONG" if said else "all right", "all right"}
    assert checks["network"]["verdict"] == ("WRONG" if said else "all right")
    assert not said or (checks["network"]["first"].startswith(place) and said in checks["network"]["text"])


LACKING = {
    # what stands there instead, what is said
    "alpha for lambda": (OTHER_NAME, "its lambda is not among its numbers"),
    "decay in the step": (DECAY, "its penalty is neither in the cost nor in the gradients"),
    "dropout": (
        {"def backward_pass(self, X, Y)": "def backward_pass(self, X, Y, dropout=0)"},
        "its dropout draws masks that are not seen",
    ),
    "an error": (
        {"        n = X.shape[1]\n": "        n = X.shape[1] + nowhere\n"},
        "its gradients were not computed: an error was raised",
    ),
    "mirrored images": (FLIPPED, "its training on unchanged images of CIFAR-10 was not seen"),
}


@pytest.mark.parametrize("what", some(LACKING, "mirrored images"))
def test_why_even_the_whole_program_did_not_show_the_network_is_said(inspected, what):
    lines, said = LACKING[what]
    checks, _ = inspected("student.py", "dd2424", program(lines), only="network")
    assert checks["network"]["verdict"] == "not run"
    assert f"The whole program was watched, too, but {said}" in checks["network"]["text"]


TESTED = """with open(FOLDER + 'test_batch', 'rb') as f:
    tested = pickle.load(f, encoding='bytes')[b'data'] / 255
coder = preprocessing"""
BY_FILES = """own = d[b'data'] / 255
train = Images(((own - own.mean(axis=0)) / own.std(axis=0))[:1400].T, coder.transform(np.array(d[b'labels'][:1400])).T)
tested = ((tested - tested.mean(axis=0)) / tested.std(axis=0)).T
net = Classifier("""
OVER_ALL = {"keepdims=True), G.mean(axis=1, keepdims=True)]": "keepdims=True), np.full((len(G), 1), G.mean())]"}
TURNS_OUT = {
    # what stands there instead, title of the check, first wrong place, what is said
    "beta's gradient over all features": (OVER_ALL, "network", "bn2.bias", "wrong axis"),
    "no mean in the backward pass": ({"G = G - G.mean(axis=1, keepdims=True) -": "G = G -"}, "network", "linear2", ""),
    "a name that is not there": ({"G = P - Y": "G = P - Yb"}, "the whole program", "the whole", "'Yb' is not defined"),
    "every file by itself": (
        {"coder = preprocessing": TESTED, "net = Classifier(": BY_FILES},
        "standardization",
        "test images",
        "by that file's statistics",
    ),
}


@pytest.mark.parametrize("mistake", some(TURNS_OUT, "a name that is not there"))
def test_a_network_that_turns_out_to_normalize_is_judged_so(inspected, mistake):
    lines, title, place, said = TURNS_OUT[mistake]
    checks, _ = inspected("student.py", "dd2424", dd2424_program("scale_and_shift", lines))
    assert checks[title]["verdict"] in ("WRONG", "FAILED")
    assert checks[title]["first"].startswith(place)
    assert said in checks[title]["text"]


def test_an_error_that_may_follow_from_an_earlier_one_is_not_said(inspected):
    """1 / 0 stands for a line that would have made what the next one needs."""
    run = "    net.run(n_batch=100, eta_min=1e-5, eta_max=1e-1, n_s=50, cycles=2)"
    checks, _ = inspected(
        "student.py", "dd2424", program({run: f"{run}\n    print(1 / 0)\n    net.cost(data.test, [])"})
    )
    assert checks["network"]["verdict"] == "all right"
    assert "the whole program" not in checks


LOADED = {
    "        with open(folder + '/data_batch_1', 'rb') as f:\n            batch = pickle.load(f, encoding='bytes')\n": (
        "        batch = LoadBatch(folder + '/data_batch_1')\n"
    ),
    "import pickle\n": "import pickle\nfrom functions import LoadBatch\n",
}


def test_the_course_s_load_batch_is_there(inspected):
    checks, last = inspected("student.py", "dd2424", program(LOADED), only="minibatches")
    assert checks["minibatches"]["verdict"] == "all right"
    assert "line 2: functions is not here; right ones stood in for LoadBatch" in last["notes"]


UNDEFINED = {
    # what stands there instead, and what is said
    "not imported": ({"import pickle\n": "\n"}, "stops in __init__: line 11: `batch = pickle.load("),
    "not imported in the script": ({"import matplotlib.pyplot as plt\n": "\n"}, "stops in its script: line 81: `plt."),
    "imported with others perhaps": ({"import pickle\n": "from beside import *\n"}, ""),
    "made in a part that did not run": ({"import pickle\n": "if not __name__: pickle = 0\n"}, ""),
}


@pytest.mark.parametrize("what", some(UNDEFINED, "not imported", "imported with others perhaps"))
def test_a_name_that_nothing_makes_is_the_program_s_own_error(inspected, what):
    lines, said = UNDEFINED[what]
    checks, _ = inspected("student.py", "dd2424", program(lines))
    assert ("the whole program" in checks) == bool(said)
    assert not said or said in checks["the whole program"]["first"]


@pytest.mark.thorough
def test_a_loss_without_the_penalty_is_not_taken_for_the_cost(inspected):
    lines = {
        "def cost(self, X, Y):": "def cost(self, X, Y, penalized=False):",
        "+ self.lam * sum(": "+ penalized * self.lam * sum(",
    }
    checks, _ = inspected("student.py", "dd2424", program(lines), only="network")
    assert checks["network"]["verdict"] == "all right"


@pytest.mark.thorough
def test_a_cost_that_no_known_mistake_explains_is_noted(inspected):
    checks, _ = inspected("student.py", "dd2424", program({"+ self.lam *": "+ 7 + self.lam *"}), only="network")
    assert "no known mistake explains it" in checks["network"]["text"]


LAST_BATCH = {
    "N // n_batch": "-(-N // n_batch)",
    "self.train = pixels[:, :-600]": "self.train = pixels[:, 30:-600]",
    "classes[:-600]": "classes[30:-600]",
}
FIXED = {"G @ self.inputs[i].T / n": "G @ self.inputs[i].T / 100", "G.mean(axis=1, ": "(G / 100).sum(axis=1, "}


@pytest.mark.parametrize("lines", [{}, FIXED], ids=["its own size", "a fixed size"])
def test_the_smaller_batch_at_the_end_of_an_epoch_is_looked_at(inspected, lines):
    text = program(LAST_BATCH | lines)
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == ("WRONG" if lines else "all right")
    assert not lines or "divided by a fixed batch size" in checks["network"]["text"]
    assert not lines or "in the smaller batch of 70 images" in checks["network"]["text"]


AVERAGED = {
    "    def train(self": "    def average(self):\n"
    "        if self.mu_av is None:\n"
    "            self.mu_av, self.v_av = list(self.mu), list(self.v)\n"
    "        for l in range(len(self.mu)):\n"
    "            self.mu_av[l] = 0.9 * self.mu_av[l] + 0.1 * self.mu[l]\n"
    "            self.v_av[l] = 0.9 * self.v_av[l] + 0.1 * self.v[l]\n\n"
    "    def train(self",
    "self.lamda = 0.004": "self.lamda = 0.004\n        self.mu_av = self.v_av = None",
    "                l = t // (2 * n_s)": "                self.average()\n                l = t // (2 * n_s)",
    "self.cost(self.Xv, self.Yv)": "self.cost(self.Xv, self.Yv, self.mu_av, self.v_av)",
}
WEIGHTS = {
    # of the old average and of the batch, in this average and in the other one: the mistake
    (0.9, 0.1, 0.9, 0.1): None,
    (0.1, 0.9, 0.1, 0.9): None,  # a choice
    (0.1, 0.9, 0.9, 0.1): "running_weights_exchanged",
    (0.0, 1.0, 0.9, 0.1): "running_is_last_batch",
    (0.0, 0.1, 0.9, 0.1): "running_restart",
    (1.0, 0.0, 0.9, 0.1): "running_not_advanced",
    (0.9, 0.9, 0.9, 0.1): "running_weights_alike",
    (0.9, 1.0, 0.9, 0.1): "running_batch_without_weight",
    (0.9, -0.1, 0.9, 0.1): "running_batch_subtracted",
    (0.7, 0.2, 0.7, 0.2): None,  # unknown
}


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_weights_of_old_average_and_batch_tell_the_mistake(weights):
    old, batch, *other = weights
    assert Weights(old, batch).mistake(Weights(*other)) == WEIGHTS[weights]


OF_AVERAGES = {
    # what stands there instead, what is said
    "right": ({}, ""),
    "the last batch": ({"0.9 * self.mu_av[l] + 0.1 *": "1.0 *"}, "are those of the last batch"),
    "never advanced": ({"self.average()\n": "self.average() if t == 0 else None\n"}, "do not move"),
    "of all images at once": (
        {
            "                self.average()\n": "",
            "    def average(self):\n": "    def population(self):\n        self.forward(self.X)\n"
            "        self.mu_av, self.v_av = self.mu, self.v\n\n    def average(self):\n",
            "plt.plot(": "experiment.population()\nplt.plot(",
            "plt.show()": "experiment.population()",
        },
        None,
    ),
    "by evaluation": (
        {"        P = self.forward(X, means, variances)\n": "        P = self.forward(X)\n        self.average()\n"},
        "evaluation changes the running averages",
    ),
}


@pytest.mark.parametrize("mistake", some(OF_AVERAGES, "by evaluation"))
def test_running_averages_are_judged_as_the_program_keeps_them(inspected, mistake):
    lines, said = OF_AVERAGES[mistake]
    text = dd2424_program("whole_script_normalized", AVERAGED)
    for line, instead in lines.items():
        assert line in text
        text = text.replace(line, instead)
    checks, _ = inspected("student.py", "dd2424", text, only="running averages")
    if said is None:
        assert "running averages" not in checks
        return
    assert checks["running averages"]["verdict"] == ("WRONG" if said else "all right")
    assert said in checks["running averages"]["text"]


def test_a_method_called_keep_is_no_dropout(inspected):
    lines = {
        "class Trainer:": "class Costs(list):\n    keep = list.append\n\n\nclass Trainer:",
        "self.history = []": "self.history = Costs()",
        "self.history.append(": "self.history.keep(",
    }
    checks, _ = inspected("student.py", "dd2424", program(lines), only="network")
    assert checks["network"]["verdict"] == "all right"


OF_MODULES = {
    "mean dropped": ({"g - g.mean(axis=1, keepdims=True) - self.xhat": "g - self.xhat"}, "network", "mean is dropped"),
    "no mask": ({"return g * self.mask": "return g"}, "network", "not masked"),
    "no penalty": ({"(p.grad + decay * p.data)": "p.grad"}, "network", "penalty"),
    "penalty halved in the cost": ({"loss + lam *": "loss + lam / 2 *"}, "network", "factor 1/2"),
    "weights of the averages": (
        {
            "= self.alpha * self.running_var + (1 - self.alpha) * self.var": (
                "= (1 - self.alpha) * self.running_var + self.alpha * self.var"
            )
        },
        "running averages",
        "each other's weight",
    ),
    "one parameter is left out": ({"[self.gamma, self.beta]": "[self.gamma]"}, "update", "never updated"),
}


@pytest.mark.parametrize("mistake", some(OF_MODULES, "no mask"))
def test_modules_that_hold_arrays_and_their_gradients_are_read(inspected, mistake):
    lines, title, said = OF_MODULES[mistake]
    checks, _ = inspected("student.py", "dd2424", dd2424_program("modules", lines))
    assert {name for name, check in checks.items() if check["verdict"] != "all right"} == {title}
    assert said in checks[title]["text"]


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["P - Y", "Y - P"])
def test_labels_are_told_by_the_gradient_of_the_scores(sign):
    rng = np.random.default_rng(0)
    P, y = rng.dirichlet(np.ones(10), size=20), rng.integers(10, size=20)  # (N, K), (N,)
    assert told_by_gradient(sign * (P - np.eye(10)[y]) / 20).tolist() == y.tolist()
    assert told_by_gradient(rng.normal(size=(20, 10))) is None


def test_what_watches_is_not_copied_with_the_names_of_a_script():
    recorder = Recorder([], set(), set(), set(), {})
    assert variables({"__watch__": recorder.wrap, "lam": 0.1}) == {"lam": 0.1}
