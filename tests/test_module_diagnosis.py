"""torch modules before the diagnosis."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from manual_mlp import MLP
from torch_reference import diagnose_module, mirror


def batch():
    rng = np.random.default_rng(3)
    return rng.normal(size=(12, 6)), rng.integers(0, 4, 12)


def module(*, relu=nn.ReLU, normalized=False):
    norm = [nn.BatchNorm1d(7)] if normalized else []
    return nn.Sequential(nn.Linear(6, 7), *norm, relu(), nn.Linear(7, 4))


@pytest.mark.parametrize("normalized", [False, True], ids=["plain", "batch norm"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_module_of_torchs_own_parts_is_all_right_and_stays_as_it_was(normalized, dtype):
    net = module(normalized=normalized).to(dtype).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    report = diagnose_module(net, *batch(), l2=0.1)
    assert report.ok, report
    assert not net.training
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
        assert value.dtype == before[name].dtype


def test_the_twin_is_all_right():
    net = MLP([6, 7, 5, 4], batch_norm=True, rng=np.random.default_rng(0), dtype=np.float64)
    assert diagnose_module(mirror(net), *batch(), 0.1, cost=lambda twin, x, y, l2: twin.cost(x, y, l2)).ok


def halved_penalty(net, x, y, l2):
    return F.cross_entropy(net(x), y) + l2 / 2 * sum(p.square().sum() for p in net.parameters() if p.ndim == 2)


def softmax_twice(net, x, y, l2):
    penalty = l2 * sum(p.square().sum() for p in net.parameters() if p.ndim == 2)
    return F.cross_entropy(F.softmax(net(x), dim=1), y) + penalty


def summed(net, x, y, l2):
    penalty = l2 * sum(p.square().sum() for p in net.parameters() if p.ndim == 2)
    return F.cross_entropy(net(x), y, reduction="sum") + penalty


@pytest.mark.parametrize(
    ("net", "cost", "place"),
    [
        (module(), halved_penalty, "cost"),
        (module(), softmax_twice, "cost"),
        (module(), summed, "cost"),
        (module(relu=nn.Identity), None, "cost"),
    ],
    ids=["half the penalty", "softmax before cross_entropy", "summed", "no ReLU"],
)
def test_what_is_wrong_with_a_module_is_said(net, cost, place):
    report = diagnose_module(net, *batch(), l2=0.1, cost=cost)
    assert report.findings[0].place.startswith(place)


class WithFunction(nn.Module):
    """Dropout as a function, which is no part of the module."""

    def __init__(self, p):
        super().__init__()
        self.p, self.first, self.second = p, nn.Linear(6, 7), nn.Linear(7, 4)

    def forward(self, x):
        return self.second(F.dropout(F.relu(self.first(x)), self.p, self.training))


def with_dropout(p):
    return nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Dropout(p), nn.Linear(7, 4))


@pytest.mark.parametrize("make", [with_dropout, WithFunction])
def test_dropout_is_refused_unless_it_drops_nothing(make):
    net = make(0.5)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ValueError, match=r"p to 0|p = 0"):
        diagnose_module(net, *batch(), l2=0.1)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training
    assert next(net.parameters()).dtype == torch.float32
    report = diagnose_module(make(0.0), *batch(), l2=0.1)
    assert report.ok, report


def test_a_cost_that_raises_is_said_in_words():
    def raises(*_):
        raise ZeroDivisionError("no images")

    report = diagnose_module(module(), *batch(), cost=raises)
    assert [finding.mistake for finding in report.findings] == ["raises"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cost: cost.item(), r"cost returns a float; .*leave out \.item\(\)"),
        (lambda cost: cost.detach(), "cost returns a tensor without a graph"),
        (lambda cost: cost.expand(3), r"cost returns a tensor of shape \(3,\)"),
    ],
    ids=["a float", "detached", "three numbers"],
)
def test_a_cost_that_autograd_cannot_go_back_from_is_refused(change, said):
    net = module()
    with pytest.raises(ValueError, match=said):
        diagnose_module(net, *batch(), cost=lambda net, x, y, _: change(F.cross_entropy(net(x), y)))
    assert next(net.parameters()).dtype == torch.float32


def without_bias(*, relu_first=False):
    norm, relu = nn.BatchNorm1d(7), nn.ReLU()
    return nn.Sequential(nn.Linear(6, 7, bias=False), *((relu, norm) if relu_first else (norm, relu)), nn.Linear(7, 4))


def test_a_bias_may_be_left_out_in_front_of_batch_norm():
    report = diagnose_module(without_bias(), *batch(), l2=0.1)
    assert report.ok, report
    assert "linear1.weight" in report.agreeing
    report = diagnose_module(without_bias(), *batch(), l2=0.1, cost=summed)
    assert [finding.place for finding in report.findings] == ["cost"]


def test_a_bias_that_is_missed_in_front_of_the_relu_is_asked_for():
    with pytest.raises(ValueError, match=r"module has no linear1\.bias, which the manual network adds before the ReLU"):
        diagnose_module(without_bias(relu_first=True), *batch(), l2=0.1)


def test_the_parts_that_drop_are_named():
    with pytest.raises(ValueError, match=r"in 2 \(p = 0\.3\); set p to 0"):
        diagnose_module(with_dropout(0.3), *batch())


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (nn.Sequential(nn.Linear(6, 4, bias=False)), r"has no linear1\.bias"),
        (nn.Sequential(nn.Linear(6, 7), nn.BatchNorm1d(7, affine=False), nn.ReLU(), nn.Linear(7, 4)), "affine=True"),
        (nn.Sequential(nn.Conv1d(1, 1, 1), nn.Linear(6, 4)), "only nn.Linear and nn.BatchNorm1d"),
        (nn.ReLU(), "no nn.Linear"),
        (5, "module is a int"),
    ],
    ids=["no bias", "no gamma", "convolution", "nothing", "a number"],
)
def test_a_module_that_is_no_such_network_is_named(net, said):
    with pytest.raises(ValueError, match=said):
        diagnose_module(net, *batch())


class HeadFirst(nn.Module):
    """Makes its layers in another order than it calls them."""

    def __init__(self):
        super().__init__()
        self.head, self.norms = nn.Linear(7, 4), nn.ModuleList([nn.BatchNorm1d(8), nn.BatchNorm1d(7)])
        self.body = nn.ModuleList([nn.Linear(6, 8), nn.Linear(8, 7)])

    def forward(self, x):
        for layer, norm in zip(self.body, self.norms, strict=True):
            x = norm(layer(x)).clamp(min=0)
        return self.head(x)


def test_layers_are_taken_in_the_order_in_which_they_are_called():
    x, y = np.random.default_rng(0).normal(size=(12, 6)), np.arange(12) % 4
    report = diagnose_module(HeadFirst(), x, y, l2=0.1)
    assert report.ok, report
    assert "bn2.weight" in report.agreeing


def test_a_layer_that_is_never_called_is_named():
    class Forgetful(HeadFirst):
        def __init__(self):
            super().__init__()
            self.spare = nn.Linear(7, 7)

    x, y = np.random.default_rng(0).normal(size=(12, 6)), np.arange(12) % 4
    report = diagnose_module(Forgetful(), x, y)
    assert [(finding.place, finding.mistake) for finding in report.findings] == [("spare", "layer_never_called")]


@pytest.mark.parametrize(
    ("last", "mistake"),
    [(nn.Softmax(1), "softmax_on_scores"), (nn.Sigmoid(), "sigmoid_on_scores"), (nn.LogSoftmax(1), None)],
)
def test_what_stands_between_scores_and_loss_is_named(last, mistake):
    x, y = np.random.default_rng(0).normal(size=(12, 6)), np.arange(12) % 4
    report = diagnose_module(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4), last), x, y)
    assert [finding.mistake for finding in report.findings[:1]] == ([mistake] if mistake else [])


def test_a_cost_without_penalty_is_not_asked_for_one():
    def cost(module, x, y, _):
        return nn.functional.cross_entropy(module(x), y)

    x, y = np.random.default_rng(0).normal(size=(12, 6)), np.arange(12) % 4
    module = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    report = diagnose_module(module, x, y, cost=cost)
    assert report.ok, report
    assert report.notes == ["it has no penalty: l2 changes nothing, and is 0 here"]
    assert diagnose_module(module, x, y, l2=0.1, cost=cost).findings[0].mistake == "penalty_missing"


class Residual(nn.Module):
    """6-6-6-4; `around` layers at a time have a skip connection around them."""

    def __init__(self, around=1, *, relu_first=False, relu=F.relu):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 4)
        self.norms = nn.ModuleList([nn.BatchNorm1d(6), nn.BatchNorm1d(6)])
        self.around, self.relu_first, self.relu = around, relu_first, relu

    def forward(self, x):
        start = x
        for layer, norm in zip((self.first, self.second), self.norms, strict=True):
            out = norm(self.relu(layer(x))) if self.relu_first else self.relu(norm(layer(x)))
            x = out + x if self.around == 1 else out
        return self.head(x + start if self.around == 2 else x)


@pytest.mark.parametrize(
    ("net", "note"),
    [
        (Residual(), "the module adds the input of layer 1 to its output and adds the input of layer 2 to its output"),
        (Residual(0, relu_first=True), "the module normalizes behind the ReLU"),
        (
            Residual(relu_first=True),
            "the module normalizes behind the ReLU and adds the input of layer 1 to its output",
        ),
    ],
    ids=["skips", "behind the ReLU", "both"],
)
def test_skips_and_the_order_of_relu_and_batch_norm_are_found_out(net, note):
    report = diagnose_module(net, *batch(), 0.1)
    assert report.ok, report
    assert "bn1.weight" in report.agreeing
    assert len(report.notes) == 1
    assert report.notes[0].startswith(note)


def test_what_is_told_of_a_module_is_not_found_out():
    report = diagnose_module(Residual(), *batch(), 0.1, skips=(1, 2))
    assert report.ok, report
    assert not report.notes
    report = diagnose_module(Residual(0), *batch(), 0.1, skips=(1, 2))
    assert [finding.mistake for finding in report.findings] == ["skip_not_added"]
    report = diagnose_module(Residual(0, relu_first=True), *batch(), 0.1, relu_first=False)
    assert [finding.mistake for finding in report.findings] == ["bn_after_relu"]


def test_a_mistake_is_found_in_a_module_with_skips():
    report = diagnose_module(Residual(relu=F.leaky_relu), *batch(), 0.1, skips=(1, 2))
    assert [finding.mistake for finding in report.findings] == ["relu_leaky"]


def test_a_skip_that_is_not_known_here_is_no_mistake():
    with pytest.raises(ValueError, match="module adds what two of its layers put out"):
        diagnose_module(Residual(2), *batch(), 0.1)


def test_the_twin_with_everything_is_all_right():
    net = MLP(
        [6, 6, 6, 4],
        batch_norm=True,
        relu_first=True,
        skips=(2,),
        label_smoothing=0.2,
        rng=np.random.default_rng(0),
        dtype=np.float64,
    )
    twin = mirror(net)
    assert diagnose_module(twin, *batch(), 0.1, lambda t, x, y, l2: t.cost(x, y, l2), label_smoothing=0.2).ok
    assert diagnose_module(twin, *batch(), 0.1, label_smoothing=0.2).ok
    report = diagnose_module(twin, *batch(), 0.1, cost=lambda t, x, y, l2: t.cost(x, y, l2))
    assert report.findings[0].place == "cost"
    assert "in a network with label_smoothing=0.2 all of it would be right" in report.notes
