"""The diagnosis of schedules with annealed cycles and of those without cycles. Every mistake is written out here,
independently of the catalogue.
"""

from functools import partial
from math import cos, pi

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from manual_mlp import cosine_decay, cyclical_learning_rate, diagnose_schedule, linear_decay, one_cycle

LOW, HIGH, WARMUP = 0.003, 0.2, 0.3
LENGTHS = [60, 117]
EPOCH = 6  # updates
CYCLES = {"step_size": 20, "eta_min": LOW, "eta_max": HIGH}


def scheduled(height):
    return LOW + height * (HIGH - LOW)


def to_zero(rate):
    """The same height, but over 0 instead of over eta_min."""
    return (rate - LOW) / (HIGH - LOW) * HIGH


def linear(t, T):
    return scheduled(1 - t / T)


def cosine(t, T):
    return scheduled((1 + cos(pi * t / T)) / 2)


def one(t, T, warmup=WARMUP):
    below = 1 - t / T / warmup if t / T < warmup else (t / T - warmup) / (1 - warmup)
    return scheduled((1 + cos(pi * below)) / 2)


def by_torch(scheduler, updates, eta=HIGH, **settings):
    """The rates of one of torch's schedulers."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=eta)
    schedule, rates = scheduler(optimizer, **settings), []
    for update in range(updates):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if update < updates - 1:
            schedule.step()
    return rates


def told(kind, T):
    return {"kind": kind, "updates": T, "eta_min": LOW, "eta_max": HIGH, "warmup": WARMUP, "updates_per_epoch": EPOCH}


DECAYS = {"linear": linear, "cosine": cosine, "one-cycle": one}
RIGHT = {  # by the kind: a schedule of T updates
    **{f"{kind}: a list": (kind, lambda T, f=f: [f(t, T) for t in range(T)]) for kind, f in DECAYS.items()},
    **{f"{kind}: one more": (kind, lambda T, f=f: [f(t, T) for t in range(T + 1)]) for kind, f in DECAYS.items()},
    **{
        f"{kind}: single": (kind, lambda T, f=f: np.array([f(t, T) for t in range(T)], np.float32))
        for kind, f in DECAYS.items()
    },
    **{f"{kind}: a function": (kind, lambda T, f=f: lambda t: f(t, T)) for kind, f in DECAYS.items()},
    **{f"{kind}: from 1": (kind, lambda T, f=f: lambda t: f(t - 1, T)) for kind, f in DECAYS.items()},
    **{
        f"{kind}: eta_min on the last": (kind, lambda T, f=f: [f(t, T - 1) for t in range(T)])
        for kind, f in DECAYS.items()
    },
    **{
        f"{kind}: epochs": (kind, lambda T, f=f: [f(t // EPOCH * EPOCH, T) for t in range(T)])
        for kind, f in DECAYS.items()
    },
    "linear: ours": ("linear", lambda _: linear_decay),
    "cosine: ours": ("cosine", lambda _: cosine_decay),
    "one-cycle: ours": ("one-cycle", lambda _: one_cycle),
    "linear: other order": ("linear", lambda _: lambda eta_min, T, t, eta_max: linear_decay(t, T, eta_max, eta_min)),
    "cosine: other order": ("cosine", lambda _: lambda a, b, c, d: cosine_decay(c, d, b, a)),
    "one-cycle: other order": (
        "one-cycle",
        lambda _: lambda peak, low, total_steps, warmup_share, i: one_cycle(i, total_steps, peak, warmup_share, low),
    ),
    "cosine: a name that says nothing": (
        "cosine",
        lambda _: lambda t, foo, eta_max, eta_min: cosine_decay(t, foo, eta_max, eta_min),
    ),
    "cosine: what comes after all updates": ("cosine", lambda T: [*(cosine(t, T) for t in range(T + 1)), 9.0, 9.0]),
    "linspace": ("linear", lambda T: np.linspace(HIGH, LOW, T)),
    "LinearLR": (
        "linear",
        lambda T: by_torch(lr_scheduler.LinearLR, T, start_factor=1.0, end_factor=LOW / HIGH, total_iters=T),
    ),
    "CosineAnnealingLR": ("cosine", lambda T: by_torch(lr_scheduler.CosineAnnealingLR, T, T_max=T, eta_min=LOW)),
    "OneCycleLR": (
        "one-cycle",
        lambda T: by_torch(
            lr_scheduler.OneCycleLR,
            T,
            max_lr=HIGH,
            total_steps=T,
            pct_start=WARMUP,
            div_factor=HIGH / LOW,
            final_div_factor=1.0,
            cycle_momentum=False,
        ),
    ),
}


@pytest.mark.parametrize("T", LENGTHS)
@pytest.mark.parametrize(("kind", "make"), RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("measured", [False, True], ids=["told", "measured"])
def test_a_right_schedule_without_cycles_is_never_accused(kind, make, T, measured):
    settings = told(None if measured else kind, T)
    report = diagnose_schedule(make(T), **settings)
    assert report.ok, report
    assert ("it is" in " ".join(report.notes)) == measured
    if measured:
        assert report.notes[-1] == {"linear": "it is a linear decay", "cosine": "it is a cosine decay"}.get(
            kind, "it is one cycle"
        )


def test_another_way_to_count_is_noted():
    report = diagnose_schedule(np.linspace(HIGH, LOW, 60), **told("linear", 60))
    assert report.notes == ["eta_min falls on the last update instead of after it: T - 1 intervals"]


ANY = [
    # (the mistake's name without its kind, the schedule as it is written, of the right one's f, t and T)
    ("one_early", lambda f, t, T: f(t + 1, T)),
    ("one_late", lambda f, t, T: f(max(t - 1, 0), T)),
    ("per_epoch", lambda f, t, T: f(t // EPOCH, T)),
    ("length_in_epochs", lambda f, t, T: f(min(t, T / EPOCH), T / EPOCH)),
    ("twice_as_fast", lambda f, t, T: f(min(t, T / 2), T / 2)),
    ("half_as_fast", lambda f, t, T: f(t, 2 * T)),
    ("minimum_forgotten", lambda f, t, T: f(t, T) - LOW),
    ("minimum_not_subtracted", lambda f, t, T: f(t, T) + (f(t, T) - LOW) / (HIGH - LOW) * LOW),
    ("bounds_exchanged", lambda f, t, T: HIGH + LOW - f(t, T)),
    ("constant", lambda *_: HIGH),
    ("geometric", lambda _, t, T: HIGH * (LOW / HIGH) ** (t / T)),
]
OWN = [
    # (the kind, the mistake's name, the schedule as it is written)
    ("linear", "linear_decay_cosine", cosine),
    ("cosine", "cosine_decay_straight", linear),
    ("cosine", "cosine_decay_quarter", lambda t, T: scheduled(cos(pi / 2 * t / T))),
    ("cosine", "cosine_decay_without_half", lambda t, T: scheduled(1 + cos(pi * t / T))),
    ("cosine", "cosine_decay_without_one", lambda t, T: scheduled(cos(pi * t / T))),
    ("cosine", "cosine_decay_without_pi", lambda t, T: scheduled(0.5 * (1 + cos(t / T)))),
    ("cosine", "cosine_decay_twice_as_fast", lambda t, T: scheduled(0.5 * (1 + cos(2 * pi * t / T)))),  # whole period
    ("one-cycle", "one_cycle_straight", lambda t, T: scheduled(min(t / T / 0.3, (1 - t / T) / 0.7))),
    ("one-cycle", "one_cycle_without_warmup", cosine),
    ("one-cycle", "one_cycle_warmup_exchanged", lambda t, T: one(t, T, 0.7)),
    ("one-cycle", "one_cycle_in_the_middle", lambda t, T: one(t, T, 0.5)),
    ("one-cycle", "one_cycle_fall_offset", lambda t, T: one(t, T) if t / T < 0.3 else cosine(t, T)),
    ("one-cycle", "one_cycle_stays", lambda t, T: one(t, T) if t / T < 0.3 else HIGH),
    ("one-cycle", "one_cycle_fall_offset", lambda t, T: one(t, T) if t / T < 0.3 else cosine(min(t / 0.7, T), T)),
    ("one-cycle", "one_cycle_falls_to_zero", lambda t, T: one(t, T) if t / T < 0.3 else to_zero(one(t, T))),
    ("one-cycle", "one_cycle_rises_from_zero", lambda t, T: one(t, T) if t / T >= 0.3 else to_zero(one(t, T))),
    (
        "one-cycle",
        "one_cycle_other_start",
        lambda t, T: one(t, T) if t / T >= 0.3 else HIGH - (HIGH - one(t, T)) / (HIGH - LOW) * HIGH * 24 / 25,
    ),
]
MISTAKES = [
    *(
        (kind, f"{kind.replace('-', '_')}{'' if kind == 'one-cycle' else '_decay'}_{name}", partial(mistaken, f))
        for kind, f in DECAYS.items()
        for name, mistaken in ANY
    ),
    *OWN,
]


@pytest.mark.parametrize("T", LENGTHS)
@pytest.mark.parametrize(("kind", "name", "mistaken"), MISTAKES, ids=[name for _, name, _ in MISTAKES])
def test_a_mistake_in_a_schedule_without_cycles_is_named(kind, name, mistaken, T):
    report = diagnose_schedule([mistaken(t, T) for t in range(T)], **told(kind, T))
    (finding,) = report.findings
    assert finding.mistake == name
    assert "learning-rate" in finding.link


def test_the_start_of_torchs_one_cycle_is_named():
    rates = by_torch(lr_scheduler.OneCycleLR, 60, max_lr=HIGH, total_steps=60, pct_start=WARMUP, cycle_momentum=False)
    report = diagnose_schedule(rates, **told("one-cycle", 60))
    assert [finding.mistake for finding in report.findings] == ["one_cycle_other_start"]


@pytest.mark.parametrize(
    ("schedule", "mistake", "words"),
    [
        ([], "wrong_shape", "its shape is (0,); it must be (T,), a rate an update"),
        ([[0.1, 0.2], [0.3, 0.4]], "wrong_shape", "its shape is (2, 2)"),
        ([None, None], "wrong_type", "it is a list; it must be an array of real numbers"),
        (lambda _: None, "unfilled", "it returns None"),
        (lambda _: np.nan, None, "from update 0 on, where eta is nan"),
    ],
    ids=["empty", "a table", "no numbers", "None", "NaN"],
)
@pytest.mark.parametrize("length", [{"updates": 60}, {"step_size": 20}], ids=["decay", "cycles"])
def test_strange_schedules_are_said_in_words(schedule, mistake, words, length):
    report = diagnose_schedule(schedule, eta_min=LOW, eta_max=HIGH, **length)
    assert [finding.mistake for finding in report.findings] == [mistake]
    assert words in str(report)


@pytest.mark.parametrize(
    ("length", "kinds"),
    [
        ({"updates": 60}, "a linear decay, a cosine decay, one cycle"),
        ({"step_size": 20}, "the triangular policy"),
        ({"updates": 60, "kind": "linear"}, "a linear decay"),
    ],
    ids=["decay", "cycles", "told"],
)
def test_a_schedule_of_a_kind_that_is_not_known_is_told_so(length, kinds):
    report = diagnose_schedule(lambda t: HIGH * 0.5 ** (t // 10), eta_min=LOW, eta_max=HIGH, **length)
    assert report.findings[0].mistake is None
    assert f"it was held against {kinds}; a schedule of another kind cannot be judged here" in report.notes


LONG = {"cosine": (cosine_decay, {"updates": 11520}), "cycles": (cyclical_learning_rate, {"step_size": 2250})}


@pytest.mark.parametrize(("schedule", "length"), LONG.values(), ids=LONG)
def test_of_a_long_schedule_a_function_is_asked_for_some_updates(schedule, length):
    asked = []

    def counted(a, b, c, d):
        asked.append(a)
        return schedule(d, a, c, b) if "updates" in length else schedule(d, a, b, c)

    assert diagnose_schedule(counted, **length, eta_min=LOW, eta_max=HIGH).ok
    assert len(asked) < 20_000
    wrong = diagnose_schedule(
        lambda t: (
            schedule(t + 1, *length.values(), HIGH, LOW)
            if "updates" in length
            else schedule(t + 1, *length.values(), LOW, HIGH)
        ),
        **length,
        eta_min=LOW,
        eta_max=HIGH,
    )
    assert wrong.findings[0].mistake.endswith("_one_early")


def test_a_mistake_is_named_in_a_function_whose_arguments_say_nothing():
    """Called with the update in another argument's place it would not change at all: that is no better explanation."""
    decay = diagnose_schedule(lambda _, b: linear(min(b + 1, 60), 60), **told("linear", 60))
    cycles = diagnose_schedule(lambda a, b, c, d: cyclical_learning_rate(d + 1, b, a, c), **CYCLES)
    assert decay.findings[0].mistake == "linear_decay_one_early"
    assert cycles.findings[0].mistake == "schedule_one_early"


# Functions whose arguments have defaults of their own


def warmed_up(t, warmup, T, peak, low):
    """warmup: how many updates."""
    return low + (1 + cos(pi * (1 - t / warmup if t < warmup else (t - warmup) / (T - warmup)))) / 2 * (peak - low)


OWN_DEFAULTS = {
    # (what is told, whether the rates begin one update early) -> a function
    "power": (
        "linear",
        lambda e: lambda step, base_lr=HIGH, power=1.0: LOW + (1 - (step + e) / 60) ** power * (base_lr - LOW),
    ),
    "a base alone": (
        "cosine",
        lambda e: lambda t, total=60, base_lr=HIGH: scheduled((1 + cos(pi * (t + e) / total)) / 2 * base_lr / HIGH),
    ),
    "updates of a warm-up": (
        "one-cycle",
        lambda e: lambda step, warmup=18, total=60, peak=HIGH, low=LOW: warmed_up(step + e, warmup, total, peak, low),
    ),
    "updates of a warm-up that have no default": (
        "one-cycle",
        lambda e: lambda step, warmup_steps, total, peak, low: warmed_up(step + e, warmup_steps, total, peak, low),
    ),
    "cycles": ("cyclical", lambda e: lambda t, lo=LOW, hi=HIGH, half_cycle=20: triangle(t + e, half_cycle, lo, hi)),
    "cycles of another length": (
        "cyclical",
        lambda e: lambda t, eta_min=1.0, eta_max=2.0, n_s=500: triangle(t + e, n_s, eta_min, eta_max),
    ),
    "by keyword": (
        "cyclical",
        lambda e: lambda t, *, n_s, eta_min, eta_max=HIGH: triangle(t + e, n_s, eta_min, eta_max),
    ),
    "no argument without a default": ("cyclical", lambda e: lambda x=0, n_s=20: triangle(x + e, n_s, LOW, HIGH)),
}


def triangle(t, n_s, low, high):
    return low + (1 - abs(t % (2 * n_s) / n_s - 1)) * (high - low)


@pytest.mark.parametrize("measured", [False, True], ids=["told", "measured"])
@pytest.mark.parametrize(("kind", "make"), OWN_DEFAULTS.values(), ids=OWN_DEFAULTS)
def test_right_defaults_of_a_function_are_not_overridden(kind, make, measured):
    length = {"step_size": 20} if kind == "cyclical" else {"updates": 60}
    told = {**length, "eta_min": LOW, "eta_max": HIGH, "kind": None if measured else kind}
    assert diagnose_schedule(make(0), **told).ok
    report = diagnose_schedule(make(1), **told)
    assert report.findings[0].mistake.endswith("_one_early"), report


def test_a_default_with_a_strange_name_that_differs_from_what_is_told_is_no_mistake():
    def right(t, half=500, lo=1e-5, hi=1e-1, amount=7):
        return triangle(t, amount, lo, hi) if half == 500 else 0.0

    assert diagnose_schedule(right, **CYCLES).ok
    report = diagnose_schedule(lambda t, height=0.9: triangle(t, 20, LOW, HIGH) * height ** (1 + t), **CYCLES)
    assert report.findings[0].mistake is None
    assert "it is called with its own height = 0.9; where that is not meant, give a function" in report.notes[-1]


@pytest.mark.parametrize("early", [0, 1])
def test_a_default_that_is_not_what_is_asked_for_is_named(early):
    def rate(t, eta_min=1e-4, eta_max=HIGH, *, n_s=500, amount=None):
        return triangle(t + early, n_s, eta_min, eta_max) if amount is None else 0.0

    report = diagnose_schedule(rate, **CYCLES)
    assert report.ok == (not early)
    replaced = (
        "its own defaults are not what is asked for, and were replaced: eta_min = 0.0001 by 0.003, n_s = 500 by 20"
    )
    assert replaced in report.notes


def test_a_default_that_is_what_is_asked_for_is_not_named():
    assert diagnose_schedule(
        lambda t, n_s=20, eta_min=LOW, eta_max=HIGH: triangle(t, n_s, eta_min, eta_max), **CYCLES
    ) == (diagnose_schedule(lambda t: triangle(t, 20, LOW, HIGH), **CYCLES))


def height_of(name, moved):
    """A triangle over eta_min whose height is an argument of this name."""
    body = f"eta_min + triangle(moved(t), 20, 0, {name.split('=')[0]})"
    return eval(f"lambda t, eta_min, {name}: {body}", {"triangle": triangle, "moved": moved})


@pytest.mark.parametrize("name", ["eta_diff", "lr_range", "eta_max_minus_min", "foo", "eta_diff=9.0"])
def test_the_difference_of_the_two_rates_may_be_an_argument(name):
    report = diagnose_schedule(height_of(name, lambda t: t), **CYCLES)
    assert report.ok, report


@pytest.mark.parametrize("length", [{"step_size": 20}, {"updates": 60}], ids=["cycles", "decay"])
def test_a_schedule_of_a_difference_that_is_not_right_is_not_judged(length):
    words = "it is not clear what lr_range is: .* and so it was not judged; give a function of the update alone"
    with pytest.raises(ValueError, match=words):
        diagnose_schedule(height_of("lr_range", lambda t: t + 1), **{"eta_min": LOW, "eta_max": HIGH, **length})


def test_what_a_strange_argument_was_taken_for_is_said():
    report = diagnose_schedule(lambda t, total, foo, power: foo * (1 - t / total) ** power, **told("linear", 60))
    assert "it is called with foo = eta_max, power = eta_min; where that is not" in report.notes[-1]


@pytest.mark.parametrize("early", [0, 1])
def test_a_function_of_the_epoch_is_asked_for_epochs(early):
    report = diagnose_schedule(lambda epoch, epochs=10: linear(epoch + early, epochs), **told("linear", 60))
    assert report.ok == (not early)
    assert early or report.notes == ["the function counts epochs", "eta changes once an epoch"]


def test_what_a_partial_function_has_been_given_stays():
    report = diagnose_schedule(partial(triangle, n_s=40, low=LOW, high=HIGH), **CYCLES)
    assert report.findings[0].mistake == "schedule_twice_as_long"


def test_names_that_are_plain_are_believed():
    report = diagnose_schedule(lambda t, n_s, eta_min, eta_max: triangle(t, n_s, eta_max, eta_min), **CYCLES)
    assert "schedule_bounds_exchanged" in (report.findings[0].mistake, *report.findings[0].equals)


def test_arguments_for_which_there_is_nothing_are_said():
    report = diagnose_schedule(lambda t, a, b, c, d, e: t + a + b + c + d + e, **CYCLES)
    assert "it has more arguments than can be given to it" in str(report)


def test_a_warm_up_of_whole_updates_is_right():
    """0.3 of 117 updates are 35.1."""
    report = diagnose_schedule([warmed_up(t, 35, 117, HIGH, LOW) for t in range(117)], **told("one-cycle", 117))
    assert report.ok, report
    assert report.notes == ["the warm-up takes whole updates, rounded down"]


def test_where_most_rates_are_wrong_the_right_ones_are_said():
    wrong = [triangle(t, 20, LOW, HIGH) ** (1 if t < 3 else 1.1) for t in range(121)]
    assert "all entries are wrong but 0, 1, 2" in str(diagnose_schedule(wrong, **CYCLES))


# Annealed cycles


def annealed(t, n, power, minimum=LOW):
    """power: what the height is multiplied by, of the number of the cycle."""
    return minimum + (1 - abs(t % (2 * n) / n - 1)) * (HIGH - LOW) * power(t // (2 * n))


ANNEALED = {
    "ours": lambda factor: partial(cyclical_learning_rate, **CYCLES, annealing=factor),
    "all arguments": lambda _: cyclical_learning_rate,
    "other order": lambda _: lambda a, b, c, d, e: cyclical_learning_rate(b, c, a, d, e),
    "from 1": lambda factor: lambda t: annealed(t - 1, 20, lambda cycle: factor**cycle),
    "eta_max itself": lambda factor: [
        LOW + (1 - abs(t % 40 / 20 - 1)) * (HIGH * factor ** (t // 40) - LOW) for t in range(121)
    ],
}


@pytest.mark.parametrize("factor", [0.5, 0.8])
@pytest.mark.parametrize("make", ANNEALED.values(), ids=ANNEALED)
def test_annealed_cycles_are_never_accused(make, factor):
    report = diagnose_schedule(make(factor), **CYCLES, annealing=factor)
    assert report.ok, report


@pytest.mark.parametrize("factor", [0.5, 0.8])
@pytest.mark.parametrize("name", ["ours", "from 1", "eta_max itself"])
def test_annealing_that_nobody_has_told_is_measured(name, factor):
    report = diagnose_schedule(ANNEALED[name](factor), **CYCLES)
    assert report.ok, report
    assert f"from cycle to cycle it is annealed by {factor:g}" in report.notes


ANNEALING = [
    ("schedule_not_annealed", lambda t, n, _: annealed(t, n, lambda _: 1.0)),
    ("schedule_annealed_every_step", lambda t, n, a: annealed(t, n, lambda _: a**t)),
    ("schedule_annealed_every_step", lambda t, n, a: annealed(t, n, lambda _: a ** (t / (2 * n)))),
    ("schedule_annealed_every_half_cycle", lambda t, n, a: annealed(t, n, lambda _: a ** (t // n))),
    ("schedule_annealed_too_early", lambda t, n, a: annealed(t, n, lambda cycle: a ** (cycle + 1))),
    ("schedule_annealed_per_cycle_number", lambda t, n, _: annealed(t, n, lambda cycle: 1 / (cycle + 1))),
    ("schedule_annealed_minimum", lambda t, n, a: annealed(t, n, lambda c: a**c, minimum=LOW * a ** (t // (2 * n)))),
    ("schedule_one_early", lambda t, n, a: annealed(t + 1, n, lambda cycle: a**cycle)),
]


@pytest.mark.parametrize("n_s", [20, 37])
@pytest.mark.parametrize(("name", "mistaken"), ANNEALING, ids=[name for name, _ in ANNEALING])
def test_a_mistake_in_the_annealing_is_named(name, mistaken, n_s):
    etas = [mistaken(t, n_s, 0.6) for t in range(6 * n_s)]
    report = diagnose_schedule(etas, **{**CYCLES, "step_size": n_s}, annealing=0.6)
    assert [finding.mistake for finding in report.findings] == [name]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "triangular", "step_size": 5}, "kind is 'triangular'; it must be one of 'cyclical', 'linear'"),
        ({"kind": ["cosine"], "updates": 5}, r"kind is \['cosine'\]; it must be one of 'cyclical', 'linear'"),
        ({"kind": lr_scheduler.LinearLR, "updates": 5}, "kind is <class .*LinearLR'>; it must be one of 'cyclical'"),
        ({"kind": "cosine", "step_size": 5}, "kind is 'cosine', whose length is missing; give updates"),
        ({"kind": "cyclical", "updates": 5}, "kind is 'cyclical', whose length is missing; give step_size"),
        ({}, "step_size and updates are missing"),
        ({"updates": 1}, "updates is 1; it must be an integer of at least 2"),
        ({"updates": 9, "warmup": 1.0}, "warmup is 1.0"),
    ],
)
def test_what_is_not_told_of_a_schedule_is_asked_for(settings, message):
    with pytest.raises(ValueError, match=message):
        diagnose_schedule([0.1, 0.2], eta_min=LOW, eta_max=HIGH, **settings)


SCHEDULER = lr_scheduler.ConstantLR(torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1))


@pytest.mark.parametrize(
    ("schedule", "length", "words"),
    [
        (None, {"updates": 9}, "schedule is a NoneType; it must be a function of the update number, or a list with"),
        ("abc", {"updates": 9}, "schedule is a str; it must be a function"),
        (0.1, {"step_size": 9}, "schedule is a float; it must be a function"),
        ([[0.1], [0.1, 0.2]], {"updates": 9}, "schedule is no array"),
        (lr_scheduler.ConstantLR, {"updates": 9}, "schedule is the class ConstantLR; it must be a function"),
        (SCHEDULER, {"updates": 9}, r"schedule is a ConstantLR; .*; of torch's scheduler, the get_last_lr\(\)\[0\] of"),
        ([0.1] * 8, {"updates": 9}, "schedule has 8 rates; the schedule has 9 updates: give the rate of every one"),
        ([0.1] * 17, {"step_size": 9}, "schedule has 17 rates; a cycle of step_size 9 has 18 updates: give the rate"),
    ],
    ids=["None", "words", "a number", "ragged", "a class", "a scheduler", "short", "no cycle"],
)
def test_what_is_no_schedule_is_refused(schedule, length, words):
    with pytest.raises(ValueError, match=words):
        diagnose_schedule(schedule, eta_min=LOW, eta_max=HIGH, **length)


# A straight warm-up in front of a cosine


def straight(t, T, w, start=LOW, fall=None):
    """w: how many updates the warm-up has. fall: the part of the cosine that lies behind."""
    if t < w:
        return start + t / w * (HIGH - start)
    return scheduled((1 + cos(pi * ((t - w) / (T - w) if fall is None else fall))) / 2)


def with_warmup(current_step, *, num_warmup_steps, num_training_steps, num_cycles=0.5):
    """The factor of the learning rate, as in transformers."""
    if current_step < num_warmup_steps:
        return current_step / max(1, num_warmup_steps)
    done = (current_step - num_warmup_steps) / max(1, num_training_steps - num_warmup_steps)
    return max(0.0, 0.5 * (1 + cos(pi * num_cycles * 2 * done)))


STRAIGHT = {
    # a schedule of T updates, and what is said of it
    "over eta_min": (lambda T: [straight(t, T, WARMUP * T) for t in range(T)], "the warm-up is a straight line"),
    "from 0": (
        lambda T: [straight(t, T, WARMUP * T, start=0) for t in range(T)],
        "the warm-up is a straight line from 0",
    ),
    "in timm": (
        lambda T: [straight(t, T, WARMUP * T, fall=t / T) for t in range(T)],
        "the warm-up is a straight line that hides the beginning of a cosine decay, as in timm",
    ),
    "a function": (
        lambda _: lambda step, total, warmup_steps: straight(step, total, warmup_steps),
        "the warm-up is a straight line",
    ),
}


@pytest.mark.parametrize("T", LENGTHS)
@pytest.mark.parametrize(("make", "said"), STRAIGHT.values(), ids=STRAIGHT)
@pytest.mark.parametrize("measured", [False, True], ids=["told", "measured"])
def test_a_straight_warm_up_in_front_of_a_cosine_is_one_cycle(make, said, T, measured):
    report = diagnose_schedule(make(T), **told(None if measured else "one-cycle", T))
    assert report.ok, report
    assert report.notes == [said, *(["it is one cycle"] if measured else [])]


@pytest.mark.parametrize(("w", "rounded"), [(35, "down"), (36, "up")])
def test_a_straight_warm_up_of_whole_updates_is_right(w, rounded):
    """0.3 of 117 updates are 35.1."""
    report = diagnose_schedule([straight(t, 117, w) for t in range(117)], **told("one-cycle", 117))
    assert report.ok, report
    assert report.notes == [f"the warm-up is a straight line; the warm-up takes whole updates, rounded {rounded}"]


def test_the_factor_that_transformers_makes_is_one_cycle():
    report = diagnose_schedule(with_warmup, kind="one-cycle", updates=60, eta_min=0.0, eta_max=1.0)
    assert report.ok, report
    assert report.notes == ["the warm-up is a straight line"]


@pytest.mark.parametrize(
    ("name", "mistaken"),
    [
        ("one_cycle_one_early", lambda t: straight(t + 1, 60, 18)),
        ("one_cycle_stays", lambda t: straight(min(t, 18), 60, 18)),
        ("one_cycle_warmup_exchanged", lambda t: straight(t, 60, 42)),
    ],
)
def test_a_mistake_beside_a_straight_warm_up_is_named(name, mistaken):
    report = diagnose_schedule([mistaken(t) for t in range(60)], **told("one-cycle", 60))
    assert [finding.mistake for finding in report.findings] == [name]
