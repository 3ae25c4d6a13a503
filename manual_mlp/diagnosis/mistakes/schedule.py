"""Mistakes of the learning rate."""

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import mistakes_in

schedule = mistakes_in(
    "schedule",
    "eta = eta_min + annealing^cycle (1 - |t/n_s - 1|) (eta_max - eta_min), t = step mod 2 n_s, step from 0",
    "learning-rate",
)

SCHEDULE = [
    schedule(
        "schedule_one_early",
        "it runs one update ahead: eta_min and eta_max fall one step early",
        {"t": lambda v: v.step + 1},
        {"position": lambda v: v.t % (2 * v.n_s - 1)},
    ),
    schedule(
        "schedule_one_late",
        "it runs one update behind",
        {"t": lambda v: np.maximum(v.step - 1, 0)},
        {"t": lambda v: v.step - 1},
    ),
    schedule(
        "schedule_half_cycle",
        "the cycle is half as long: it rises and starts again where it should fall",
        {"position": lambda v: v.t % v.n_s},
        {"height": lambda v: np.where(v.position <= v.n_s, v.position / v.n_s, v.position / v.n_s - 1)},
    ),
    schedule(
        "schedule_goes_on_rising",
        "the second half of the cycle rises beyond eta_max where it should fall",
        {"height": lambda v: v.position / v.n_s},
    ),
    schedule(
        "schedule_descent_offset",
        "the fall is counted from the wrong update; it begins at (2l + 1) n_s, l being the number of the cycle",
        *(
            {"height": lambda v, rising=rising, fall=fall: np.where(rising(v), v.position / v.n_s, fall(v))}
            for rising in (lambda v: v.position <= v.n_s, lambda v: v.position < v.n_s)
            for fall in (
                lambda v: 1 - v.position / v.n_s,  # from 2l n_s
                lambda v: 3 - v.position / v.n_s,  # from (2l + 2) n_s
                lambda v: 1 - v.t / v.n_s,  # without l
                lambda v: 2 - v.t / v.n_s,
            )
        ),
    ),
    schedule(
        "schedule_falls_to_zero",
        "the second half of the cycle falls to 0 instead of to eta_min",
        {
            "eta": lambda v: np.where(
                v.position <= v.n_s, v.eta_min + v.annealed * (v.eta_max - v.eta_min), v.annealed * v.eta_max
            )
        },
    ),
    schedule(
        "schedule_rises_from_zero",
        "the first half of the cycle rises from 0 instead of from eta_min",
        *(
            {
                "eta": lambda v, rise=rise: np.where(
                    v.position <= v.n_s, rise(v), v.eta_min + v.annealed * (v.eta_max - v.eta_min)
                )
            }
            for rise in (lambda v: v.annealed * v.eta_max, lambda v: v.annealed * (v.eta_max - v.eta_min))
        ),
    ),
    schedule(
        "schedule_step_size_is_cycle",
        "n_s is taken as the whole cycle; it is half of one",
        {"position": lambda v: 2 * v.t % (2 * v.n_s)},
    ),
    schedule(
        "schedule_twice_as_long",
        "the cycle is twice as long as it should be",
        {"position": lambda v: v.t / 2 % (2 * v.n_s)},
    ),
    schedule(
        "schedule_per_epoch",
        "it is stepped per epoch instead of per update",
        {"t": lambda v: v.step // v.updates_per_epoch},
        {"t": lambda v: v.step // v.updates_per_epoch + 1},
    ),
    schedule(
        "schedule_restarts_each_epoch",
        "updates are counted from 0 again in every epoch: it starts anew where the cycle should go on",
        {"t": lambda v: v.step % v.updates_per_epoch},
    ),
    schedule(
        "schedule_counts_images",
        "images are counted where updates belong: t = epoch * updates_per_epoch + batch",
        {"t": lambda v: v.step // v.updates_per_epoch * v.batch_size + v.step % v.updates_per_epoch},
        {
            "t": lambda v: (
                v.step // v.updates_per_epoch * v.updates_per_epoch * v.batch_size + v.step % v.updates_per_epoch
            )
        },
        {"t": lambda v: v.step * v.batch_size},
    ),
    schedule(
        "schedule_starts_at_maximum",
        "it starts at eta_max and falls first",
        {"height": lambda v: np.abs(v.position / v.n_s - 1)},
    ),
    schedule(
        "schedule_minimum_forgotten",
        "eta_min is not added: the learning rate falls to 0",
        {"eta": lambda v: v.annealed * (v.eta_max - v.eta_min)},
        {"eta": lambda v: v.annealed * v.eta_max},
    ),
    schedule(
        "schedule_minimum_not_subtracted",
        "eta_min is not subtracted from the height of the triangle: it goes beyond eta_max",
        {"eta": lambda v: v.eta_min + v.annealed * v.eta_max},
    ),
    schedule(
        "schedule_one_cycle",
        "it does not repeat: after the first cycle it stays low or goes on falling",
        {"position": lambda v: v.t},
        {"position": lambda v: np.minimum(v.t, 2 * v.n_s)},
    ),
    schedule(
        "schedule_never_falls",
        "it stays at eta_max instead of falling",
        {"height": lambda v: np.minimum(v.position / v.n_s, 1)},
        {"height": lambda v: np.minimum(v.t / v.n_s, 1)},
    ),
    schedule(
        "schedule_constant",
        "it does not change",
        {"eta": lambda v: v.eta_min + 0 * v.height},
        {"eta": lambda v: v.eta_max + 0 * v.height},
    ),
    schedule(
        "schedule_whole_division",
        "it jumps between eta_min and eta_max: // divides to whole numbers where / belongs",
        {"height": lambda v: 1 - np.abs(v.position // v.n_s - 1)},
    ),
    schedule(
        "schedule_halved_every_cycle",
        "its height is halved with every cycle",
        {"annealed": lambda v: v.height * 0.5 ** (v.t // (2 * v.n_s))},
    ),
    schedule(
        "schedule_not_annealed",
        "every cycle is as high as the first",
        {"annealed": lambda v: v.height},
    ),
    schedule(
        "schedule_annealed_every_step",
        "it is annealed from update to update instead of from cycle to cycle",
        {"annealed": lambda v: v.height * v.annealing ** (v.t / (2 * v.n_s))},
        {"annealed": lambda v: v.height * v.annealing**v.t},
    ),
    schedule(
        "schedule_annealed_every_half_cycle",
        "it is annealed every n_s updates, twice a cycle",
        {"annealed": lambda v: v.height * v.annealing ** (v.t // v.n_s)},
    ),
    schedule(
        "schedule_annealed_too_early",
        "the first cycle is annealed already; it should reach eta_max",
        {"annealed": lambda v: v.height * v.annealing ** (v.t // (2 * v.n_s) + 1)},
    ),
    schedule(
        "schedule_annealed_per_cycle_number",
        "the height is divided by the number of the cycle, or multiplied by it, instead of by a power",
        {"annealed": lambda v: v.height / (1 + v.t // (2 * v.n_s))},
        {"annealed": lambda v: v.height * v.annealing * (1 + v.t // (2 * v.n_s))},
    ),
    schedule(
        "schedule_annealed_minimum",
        "eta_min is annealed with eta_max: the learning rate falls below eta_min",
        {"eta": lambda v: v.annealing ** (v.t // (2 * v.n_s)) * (v.eta_min + v.height * (v.eta_max - v.eta_min))},
    ),
    schedule(
        "schedule_cosine",
        "it follows a cosine instead of straight lines",
        {"height": lambda v: (1 - np.cos(np.pi * v.position / v.n_s)) / 2},
    ),
    schedule(
        "schedule_bounds_exchanged",
        "eta_min and eta_max are exchanged",
        {"eta": lambda v: v.eta_max + v.annealed * (v.eta_min - v.eta_max)},
    ),
]
