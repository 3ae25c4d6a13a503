"""DD2424's conventions: images as columns, one-hot labels (K, n), W (m, d), b (m, 1), cost + lambda * sum(W^2).

Everyone writes this assignment differently. What goes into a function is told from its parameters' names (`roles.py`),
from the names under which the file itself passes on what another function returned, and by trying: lists or W1, b1,
W2, b2, biases (m, 1) or (m,), labels one-hot or as numbers, images as columns or rows. The arrangement under which most
agrees is taken, so that nobody is accused of an arrangement of their own; of those the deepest, and a program that runs
with one layer only, although it has more, was not run.

What cannot be called alone is watched while the whole program runs (`dd2424_watched.py`).
"""

import ast
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from manual_mlp.adapters.dd2424_batches import batch_makers, made_batches
from manual_mlp.adapters.dd2424_loops import averages_of_training, minibatches
from manual_mlp.adapters.dd2424_network import run, without_gamma
from manual_mlp.adapters.dd2424_schedule import schedule
from manual_mlp.adapters.dd2424_setup import (
    accuracies,
    accuracy,
    initialization,
    initializers,
    standardization,
    standardizers,
)
from manual_mlp.adapters.dd2424_test_mode import running_averages, test_mode
from manual_mlp.adapters.dd2424_training import trainers, updates
from manual_mlp.adapters.dd2424_update import update
from manual_mlp.adapters.dd2424_watched import WATCHED, comes_through, or_watched
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import (
    Network,
    Part,
    can_normalize,
    drops,
    has_gamma,
    is_normalized,
    networks,
    parts_of,
    plays,
)
from manual_mlp.adapters.program import Inspection, Program, words
from manual_mlp.adapters.scikit_learn import SCIKIT_LEARN
from manual_mlp.adapters.stand_in_images import KERAS, course_batch
from manual_mlp.adapters.stubs import COURSE_HELPERS, NEVER_RUN
from manual_mlp.adapters.watched import WHOLE, loads_images
from manual_mlp.diagnosis.report import Finding, Report


def known_helpers(module: str) -> dict[str, Any]:
    """softmax, LoadBatch and the like, which the course hands out in a file of helpers."""
    library = module.split(".")[0]
    if library == "sklearn":
        return dict(SCIKIT_LEARN)
    if library in ("keras", "tensorflow"):
        return dict(KERAS)
    return {} if library in {*NEVER_RUN, "scipy"} else {**COURSE_HELPERS, "LoadBatch": course_batch}


def inspections(program: Program) -> list[Inspection]:
    for name in ("softmax", "sigmoid"):
        if program.namespace.setdefault(name, COURSE_HELPERS[name]) is COURSE_HELPERS[name] and uses(program, name):
            program.guard.note(f"{name} is not in the file; the one that the course hands out was used")
    found = []
    all_networks = networks(program)
    twofold = {is_normalized(network.gradients) for network in all_networks if network.gradients} == {True, False}
    for number, network in enumerate(all_networks):
        names = [part.title for part in network.parts]
        label = "network" if number == 0 else f"network {number + 1}"
        able, must = can_normalize(network)
        if twofold and network.gradients and not is_normalized(network.gradients):
            able = must = False
        if not must:
            plain = partial(run, network, batch_norm=False)
            found.append(
                Inspection(label, names, partial(or_watched, plain, network, False, alone=not able), read=True)
            )
        if able:
            title = f"{label} with batch norm"
            affine = has_gamma(network)
            normalized = partial(run, network, batch_norm=True, affine=affine)
            found.append(Inspection(title, names, partial(or_watched, normalized, network, True, affine), read=True))
    normalizing = normalizer(program)
    if found and normalizing is not None and not any("batch norm" in inspection.title for inspection in found):
        title = "network with batch norm"
        first, names = all_networks[0], [part.title for part in all_networks[0].parts]
        without = partial(without_gamma, first, normalizing.title)
        watched = partial(or_watched, without, first, True, False)
        found.append(Inspection(title, [*names, normalizing.title], watched, read=True))
    if not all_networks and loads_images(program):
        all_networks = [Network(program, None, None, None)]
        at_work = partial(or_watched, partial(no_network, program), all_networks[0], False, alone=True)
        found.append(Inspection("network", [WHOLE], at_work))
    if loads_images(program):
        found.append(Inspection(WHOLE, [WHOLE], partial(comes_through, program)))
    owners: list[str] = []
    for number, network in enumerate(all_networks, start=1):
        if (owner := network.owner) not in owners:
            found += around(network, f" of network {number}" if owners else "")
            owners.append(owner)
    for part in parts_of(program):
        role = "schedule" if program.mapped.get("schedule") == part.name else plays(part.name)
        if role == "schedule":
            owning = next((network for network in all_networks if network.owner == part.method_of), None)
            found.append(Inspection(f"schedule {part.title}", [part.title], partial(schedule, program, part, owning)))
        elif role == "softmax" and part.name in program.defined and not part.method_of:
            found.append(Inspection("softmax", [part.name], partial(softmax, program, part)))
    for name, why in program.source.broken.items():
        if plays(name) in ("gradients", "cost", "forward", "schedule", "softmax"):
            found.append(Inspection(name, [name], partial(cannot_be_read, name, why)))
    return found


def no_network(program: Program) -> Report:
    """For a program whose network is in no function that is known here."""
    names = ", ".join([part.title for part in parts_of(program)][:MOST_NAMED]) or "there is none"
    raise Failed("the network", "missing", f"is in no function of {program.source.path.name} that is known ({names})")


MOST_NAMED = 25
WHY_UNSEEN = "not in the file, or in no form that is known"
ASPECTS = (
    "network",
    "test mode",
    "running averages",
    "update",
    "minibatches",
    "initialization",
    "standardization",
    "schedule",
    "accuracy",
)


def aspects(program: Program, inspections: Sequence[Inspection]) -> list[str]:
    """What would be looked at if it were there; dropout, if it is there."""
    dropout = ["dropout"] * drops(program)
    if any("batch norm" in inspection.title for inspection in inspections):
        return [*ASPECTS, *dropout]
    return [aspect for aspect in ASPECTS if aspect not in ("test mode", "running averages")] + dropout


def normalizer(program: Program) -> Part | None:
    """A function that normalizes batches, by its name."""
    for part in parts_of(program):
        joined = "".join(words(part.name))
        if any(word in joined for word in ("batchnorm", "normalizebatch")) or "bn" in words(part.name):
            return part
    return None


def around(network: Network, which: str) -> list[Inspection]:
    """What there is besides cost and gradients. Each looks at the network as its own check has read it."""
    program = network.program
    forward = [network.forward.title] if network.forward else []
    found = []
    normalizing = can_normalize(network)[0] or normalizer(program) is not None
    if normalizing:
        found.append(Inspection(f"test mode{which}", forward, partial(test_mode, network)))
        found.append(Inspection(f"running averages{which}", forward, partial(running_averages, network)))
    if steps := updates(program):
        found.append(Inspection(f"update{which}", [part.title for part in steps], partial(update, network)))
    makers_of_batches = batch_makers(network)
    for part in [part for part in trainers(program) if part not in makers_of_batches]:
        found.append(Inspection(f"minibatches {part.title}{which}", [part.title], partial(minibatches, network, part)))
        if normalizing:
            title = f"running averages of {part.title}{which}"
            found.append(Inspection(title, [part.title], partial(averages_of_training, network, part)))
    for part in makers_of_batches:
        title = f"minibatches {part.title}{which}"
        found.append(Inspection(title, [part.title], partial(made_batches, network, part)))
    owner = network.owner
    makers = [part.title for part in initializers(program)] or [owner] * bool(owner)
    if makers:
        found.append(Inspection(f"initialization{which}", makers, partial(initialization, network)))
    for part in standardizers(program):
        found.append(
            Inspection(f"standardization {part.name}{which}", [part.title], partial(standardization, program, part))
        )
    for part in accuracies(program):
        found.append(Inspection(f"accuracy {part.title}{which}", [part.title], partial(accuracy, network, part)))
    if loads_images(program):
        for aspect, watched in WATCHED.items():
            watching = partial(watched, network)
            found.append(Inspection(f"{aspect}{which}", [WHOLE], watching, again=aspect))
    return found


def uses(program: Program, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(program.source.tree))


def cannot_be_read(name: str, why: str) -> Report:
    raise Failed(name, "raises", f"could not be read: {why}")


def softmax(program: Program, part: Part) -> Report:
    """Columns of probabilities (or rows); large scores, one number at a time."""
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 2, (5, 7))
    mine = program.guard.array(part.name, "p", program.guard.call(part.name, part.function, scores), scores.shape)
    columns = COURSE_HELPERS["softmax"](scores)
    rows = COURSE_HELPERS["softmax"](scores.T).T
    if np.allclose(mine, columns) or np.allclose(mine, rows):
        return Report("softmax", agreeing=["softmax"])
    place, formula = "softmax", "p = exp(s) / sum over the classes of exp(s)"
    if np.allclose(mine, np.exp(scores) / np.exp(scores).sum()):
        sentence = "it divides by the sum over the whole batch: the columns do not sum to 1; sum with axis=0"
        return Report("softmax", [Finding(place, sentence, "softmax_over_batch", formula=formula)])
    return Report(
        "softmax", [Finding(place, "neither its columns nor its rows are the softmax of the scores", formula=formula)]
    )


def nothing_found(program: Program) -> str:
    names = [part.title for part in parts_of(program)]
    broken = "".join(f"; {name}: {why}" for name, why in program.source.broken.items())
    there = ", ".join(names[:MOST_NAMED]) or "no function (a script alone cannot be called)"
    return (
        f"{program.source.path.name} defines {there}{broken}; "
        "looked for functions or methods such as ComputeGradients, ComputeCost and EvaluateClassifier. Name yours with "
        "--functions gradients=... cost=... forward=..."
    )
