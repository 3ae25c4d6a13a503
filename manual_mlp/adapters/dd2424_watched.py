"""A DD2424 program judged by what was seen while it ran from its first line to its last.

For what cannot be called alone: a network whose constructor loads the data, weights that are drawn in it, images that
are standardized where they are loaded, batches that are cut in the loop.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.adapters.dd2424_loops import CHOICES
from manual_mlp.adapters.dd2424_schedule import ETA_MAX, ETA_MIN, KNOWN, STEP_SIZE
from manual_mlp.adapters.dd2424_setup import PARTIAL, judged_initialization
from manual_mlp.adapters.dd2424_training import OTHER_RULES
from manual_mlp.adapters.dd2424_update import (
    COLLINEAR,
    judged_at_its_own_rate,
    judged_step,
    measured_rate,
    penalized_again,
    right_rate,
)
from manual_mlp.adapters.dd2424_update import Step as Moved
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network, drops
from manual_mlp.adapters.program import Program, words
from manual_mlp.adapters.reading import absent
from manual_mlp.adapters.rest import RESTS, Rest, with_rest
from manual_mlp.adapters.roles import role_of
from manual_mlp.adapters.seen_steps import Seen, arrays_of, gradients_seen, seen
from manual_mlp.adapters.source import said
from manual_mlp.adapters.stand_in_images import FIRST_TEST, PER_FILE, WORDS, Known, Numbers, blocks, labels, recognized
from manual_mlp.adapters.watched import WHOLE, Training, loads_images, whole_run
from manual_mlp.adapters.watched_costs import cost_seen, is_right, judged_cost
from manual_mlp.diagnosis import diagnose, diagnose_minibatches, diagnose_schedule, diagnose_standardization
from manual_mlp.diagnosis.minibatches import wrong_labels
from manual_mlp.diagnosis.precision import SINGLE
from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report
from manual_mlp.diagnosis.update import is_descent
from manual_mlp.layers import Array

SEEN = "what could not be called alone was watched while the whole program ran, on random images"
LETTERS = {STEP_SIZE: "n_s", ETA_MIN: "eta_min", ETA_MAX: "eta_max"}
NO_MISTAKE = (None, "raises", "unfilled", "wrong_type")  # the file's, perhaps, but of what it was given
SCALES = (1.0, 255.0)  # by which pixels may have been divided where they were loaded
FEWEST = 200  # images that are a set, and no batch
FORMULA = "(x - mean) / std, pixel by pixel, with the mean and std of the training images for every set"
LEAST = 0.8  # of the images are taken in an epoch that loses some by mistake
SOME, EVERY = slice(WORDS, WORDS + 12), slice(None)  # pixels of a block; what serves all pixels needs all
SLIGHT = 1e-5  # of a gradient's largest entry; a mistake takes more off
SAME_RATE = 1e-4  # of the rate; from one update to the next it changes by more


def or_watched(
    run: Callable[[], Report], network: Network, batch_norm: bool, affine: bool = True, alone: bool = False
) -> Report:
    """What can be said of a network by calling its functions alone, or else by watching them at work: also where what
    was called has no known mistake, and so may have been given something else than it is given there.

    affine   whether batch normalization has a gamma and a beta
    alone    whether nothing tells that it has batch normalization, so that it is not looked at with it, too
    """
    try:
        report = run()
    except Failed as failed:
        if failed.kind not in ("uncallable", "missing", "raises", "shape", "type"):
            raise
        try:
            return gradients(network, batch_norm, affine)
        except Failed as lacking:
            if not batch_norm and (normalized := seen_normalized(network)) is not None:
                if alone:
                    return normalized
                raise absent("a network without batch normalization") from None
            if not loads_images(network.program):
                raise failed from None
            sentence = f"{failed.sentence}. {WHOLE.capitalize()} was watched, too, but {lacking}"
            raise Failed(failed.function, failed.kind, sentence, failed.error) from None
    if report.ok or report.findings[0].mistake not in NO_MISTAKE:
        return report
    with contextlib.suppress(Failed):
        watched, place = gradients(network, batch_norm, affine), report.findings[0].place
        if watched.ok and (place in watched.agreeing or (place == "gradients" and watched.agreeing)):
            return watched
    return report


def seen_normalized(network: Network) -> Report | None:
    """What is to be said of it with batch normalization, if it was seen to train so."""
    for affine in (True, False):
        with contextlib.suppress(Failed):
            return gradients(network, True, affine)
    return None


def training_of(network: Network) -> Training:
    for training in whole_run(network.program).trainings:
        if network.gradients is not None and training.function.is_that_of(network.gradients):
            network.program.guard.note(SEEN)
            return training
    raise absent("its training", "on unchanged images of CIFAR-10 was not seen")


def gradients(network: Network, batch_norm: bool, affine: bool = True) -> Report:
    """The cost, and the gradients of a later step, whose parameters are no longer the first ones; if these are wrong,
    those of an early one, too. Whether batches are normalized without gamma and beta only the numbers say: then at
    least one of them must be right.
    """
    training = training_of(network)
    numbers = [number for number in (60, 1, 0) if number in training.steps][:2]
    if takes_rate(network):
        raise absent("its gradients", "stay in the function that makes the step")
    if drops(network.program):
        raise absent("its dropout", "draws masks that are not seen")
    if not numbers:
        raise absent("its gradients", "were not computed: an error was raised")
    cost = cost_seen(network, training, batch_norm, affine)
    reports: list[Report] = []
    share = 1.0
    for number in numbers:
        step = training.steps[number]
        question = seen(step, training.batches[number])
        if question.how.batch_norm is not (batch_norm and affine):
            raise absent("its training", f"was {'without' if batch_norm else 'with'} batch normalization")
        own = gradients_seen(network, step, question)
        question = question if affine or not batch_norm else question.normalized()
        given = question.given
        rest = rest_seen(network, training, given.l2)
        found = with_rest(network, question.how, given, own, rest)
        reports.append(judged_gradients(question, found))
        of_penalty = any((finding.mistake or "").startswith("penalty") for finding in reports[-1].findings)
        if of_penalty and not question.says_l2:
            raise absent("its lambda", "is not among its numbers under such a name as lam, lambda_ or reg")
        if of_penalty and cost is not None and is_right(cost, 0.0):  # there is a decay in the step alone
            raise absent("its penalty", "is neither in the cost nor in the gradients")
        if reports[-1].ok:
            break
        half = question._replace(given=given._replace(l2=given.l2 / 2))
        if (cost is None or is_right(cost, 0.5)) and (report := judged_gradients(half, found)).ok:
            reports[-1], share = report, 0.5
            break
    else:
        reports = [agreed(reports, "clip" in "".join(network.program.source.lines))]
    report = reports[-1]
    if batch_norm and not affine and not report.agreeing:
        raise absent("the network")
    if cost is None:
        return report
    if is_right(cost, share) or (rest.penalty and is_right(cost, 0.0)):  # a decay of the weights in the step alone
        return replace(report, agreeing=["cost", *report.agreeing])
    return replace(report, findings=[*judged_cost(cost, share), *report.findings])


def takes_rate(network: Network) -> bool:
    """Is the step made by the function itself, so that its gradients are not seen?"""
    taken = network.gradients.parameters() if network.gradients is not None else []
    return "eta" in {role.kind for p in taken if (role := role_of(p.name))}


def judged_gradients(question: Seen, gradients: Mapping[str, Array]) -> Report:
    """Where batches are normalized without gamma and beta, of the rest."""
    answer: tuple[Any, Mapping[str, Array]] = (None, gradients)
    asked = partial(diagnose, answer, *question.given[:4], tolerance=SINGLE if question.single else None)
    first: Report | None = None
    for eps in (None, *question.eps):  # batch normalization's, perhaps, where it is none of the usual ones
        for relu_first in (False, True):
            report = asked(relu_first=relu_first, eps=eps)
            findings = [
                f for f in report.findings if f.place != "cost" and (question.how.affine or f.place in gradients)
            ]
            report = replace(report, findings=findings)
            if not any(finding.mistake == "bn_after_relu" for finding in report.findings):
                break
        if report.ok:
            return report
        first = first or report
    assert first is not None
    return first


def agreed(reports: Sequence[Report], clips: bool) -> Report:
    """What the steps say alike. Where the last layer's gradients are not understood it may be another loss; those that
    are clipped are not looked at any further, nor is what is next to nothing: another eps, perhaps.
    """
    names = [{finding.mistake for finding in report.findings} for report in reports]
    nameless = None in names[0]
    if len(set(map(frozenset, names))) > 1:
        raise absent("its gradients", "at an early step and at a later one are not wrong in the same way")
    if nameless and all(finding.residual < SLIGHT for finding in reports[0].findings):
        raise absent("its gradients", "are right but for next to nothing")
    if nameless and clips:
        raise absent("its gradients", "are clipped")
    if nameless and not reports[0].agreeing:
        raise absent("its gradients", "are those of no loss that is known here")
    return reports[0]


def comes_through(program: Program) -> Report:
    """Whether the program calls its network with what it can be called with."""
    if (stop := whole_run(program).stop) is not None:
        sentence = f"stops in {stop.function}: {program.guard.where(stop.error)}{said(stop.error)}"
        raise Failed(WHOLE, "raises", sentence, type(stop.error).__name__)
    raise absent("an error")


class Move(NamedTuple):
    """From one step to the next, by the gradient that was seen there."""

    number: int
    before: Seen
    moved: Moved
    gradients: Mapping[str, Array]


def moves(network: Network, training: Training) -> Iterator[Move]:
    """An early and a later one. None where the parameters stay: there the update follows several calls."""
    source = "\n".join(network.program.source.lines)
    if takes_rate(network) or OTHER_RULES.search(source) or "momentum" in source.lower():
        return
    for number in [number for number in (1, 61) if {number, number + 1} <= set(training.steps)]:
        before, after = (seen(training.steps[n], training.batches[n], labelled=False) for n in (number, number + 1))
        given, parameters = before.given, after.given.parameters
        own = gradients_seen(network, training.steps[number], before)
        sizes = {name: value.size for name, value in given.parameters.items()}
        stays = all(np.array_equal(parameters[name], value) for name, value in given.parameters.items())
        if not stays and {name: value.size for name, value in own.items()} == sizes:
            shaped = {name: own[name].reshape(value.shape) for name, value in given.parameters.items()}
            rates = [*training.rates[number + 1], *training.rates[number]]
            moved = Moved(dict(parameters), rates, given, SINGLE if before.single else COLLINEAR)
            yield Move(number, before, moved, shaped)


def judged_move(network: Network, move: Move, rest: Rest, at_any_rate: bool) -> Report | None:
    judge = judged_at_its_own_rate if at_any_rate else judged_step
    return judge(move.moved, move.before.given, *finished(network, move, rest))


def is_right_move(network: Network, move: Move, rest: Rest, at_any_rate: bool) -> bool:
    """Whether `judged_move` finds nothing wrong, without looking for mistakes."""
    given, (gradients, l2) = move.before.given, finished(network, move, rest)
    if not at_any_rate:
        return right_rate(move.moved, given, gradients, l2) is not None
    rate = measured_rate(move.moved, given, gradients, l2)
    return rate is not None and is_descent(given.parameters, move.moved.after, abs(rate), gradients, l2)


def finished(network: Network, move: Move, rest: Rest) -> tuple[dict[str, Array], float]:
    """The gradients when the step has done its part, and the penalty's factor that it uses."""
    how, given = move.before.how, move.before.given
    gradients = with_rest(network, how, given, move.gradients, rest, penalty=False)
    return gradients, given.l2 if rest.penalty else 0.0


def rest_seen(network: Network, training: Training, l2: float) -> Rest:
    """What the step still does to the gradients. At a rate that has no name no other factor can be told from it."""
    if l2 not in training.rests:
        every = [rest for rest in (Rest(), *RESTS) if not rest.singly and (l2 or not rest.penalty)]
        tried = [*((rest, False) for rest in every), *((rest, True) for rest in every if not rest.mean)]
        right = (
            rest
            for move in moves(network, training)
            for rest, at_any_rate in tried
            if is_right_move(network, move, rest, at_any_rate)
        )
        training.rests[l2] = next(right, Rest())
    found: Rest = training.rests[l2]
    return found


def update(network: Network) -> Report:
    """From one step to the next, by the gradient that was seen there."""
    training = training_of(network)
    report: Report | None = None
    for move in moves(network, training):
        rest = rest_seen(network, training, move.before.given.l2)
        report = judged_move(network, move, rest, False) or judged_move(network, move, rest, True)
        if report is None and judged_gradients(move.before, move.gradients).ok:
            report = penalized_again(move.moved, move.before.given, move.gradients)
        if report is None or not report.ok:
            break
    if report is None:
        raise absent("update")
    return report


def initialization(network: Network) -> Report:
    """The parameters at the first update."""
    training = training_of(network)
    if 0 not in training.steps:
        raise absent("initialization")
    question = seen(training.steps[0], training.batches[0], labelled=False)
    return judged_initialization(question.given.parameters)


def minibatches(network: Network) -> Report:
    """The first epochs: one begins where an image comes again."""
    training = training_of(network)
    if training.strange:
        raise absent("minibatches")
    rows, _ = training_set(training)
    epochs = epochs_of(training.batches, len(rows))
    first = np.concatenate(epochs[0])
    if np.array_equal(first, rows[: len(first)]):  # the set itself may be shuffled, epoch by epoch
        rows = np.sort(rows)
    place = {number: row for row, number in enumerate(rows.tolist())}
    positions = [[np.array([place[n] for n in batch.tolist()]) for batch in epoch] for epoch in epochs]
    report = diagnose_minibatches(positions, len(rows))
    findings = [*labels_apart(training), *(finding for finding in report.findings if finding.mistake not in CHOICES)]
    notes = [f"{f.place}: {f.sentence}" for f in report.findings if f.mistake in CHOICES]
    agreeing = [] if findings else ["every image once an epoch"]
    return replace(report, findings=findings, agreeing=agreeing, notes=notes)


def labels_apart(training: Training) -> list[Finding]:
    """Of the steps that were seen in full."""
    for number, step in training.steps.items():
        with contextlib.suppress(Failed):
            batch, y = training.batches[number], seen(step, training.batches[number]).given.y
            if wrong := wrong_labels([[batch]], [[(batch, y)]], labels()):
                return wrong
    return []


def epochs_of(batches: Sequence[Numbers], count: int) -> list[list[Numbers]]:
    """The first two, if all are of one length: where batches are drawn one by one, an image comes again at any time."""
    epochs: list[list[Numbers]] = [[]]
    taken: set[int] = set()
    for batch in batches:
        images = set(batch.tolist())
        if taken & images and len(images) == len(batch):
            epochs.append([])
            taken = set()
        epochs[-1].append(batch)
        taken |= images
    whole = epochs[:-1]
    if len(epochs) == 1 and len(taken) == count:
        whole = epochs
    if not whole or len(whole[0]) < 3 or {len(epoch) for epoch in whole} != {len(whole[0])}:
        raise absent("minibatches")
    if len(set(np.concatenate(whole[0]).tolist())) < LEAST * count:
        raise absent("minibatches")  # a part of the images on purpose, or an image that came again by chance
    return whole[:2]


def training_set(training: Training) -> tuple[Numbers, Array]:
    """The smallest set near the loop that holds all images it has been given, best as they came into it."""
    taken, least = set(np.concatenate(training.batches).tolist()), len(training.batches[0])
    whole = [known for known in training.sets if len(known[0]) > least and taken <= set(known[0].tolist())]
    for numbers, block in sorted(whole, key=lambda known: (not is_as_trained(known, training), len(known[0]))):
        return numbers, np.asarray(block, dtype=np.float64)
    raise absent("the training images")


def is_as_trained(known: Known, training: Training) -> bool:
    """Do the images of the first batch lie there as that batch had them?"""
    numbers, block = known
    batch = training.batches[0]
    rows = {number: row for row, number in enumerate(numbers.tolist())}
    mine = block[[rows[number] for number in batch.tolist()]]
    arrays = (leaf.value for leaf in arrays_of(training.steps[0].arguments)) if 0 in training.steps else ()
    given = (found for array in arrays if (found := recognized(array)) is not None)
    return any(np.array_equal(found[0], batch) and np.array_equal(found[1], mine) for found in given)


def standardization(network: Network) -> Report:
    """Training images as they come into the loop, and the other sets: those of which a cost is computed, or else, of
    those that lie near the loop, whichever are right.
    """
    training = training_of(network)
    numbers, trained = training_set(training)
    raw = {"train": blocks()[numbers].astype(np.float64)}
    if any(np.allclose(trained, raw["train"] / scale) for scale in SCALES):
        raise absent("standardization")
    if is_by_files([(numbers, trained), *(known for _, known in others(training.sets, numbers))]):
        sentence = "the images of every file are standardized by that file's statistics, not by all training images'"
        slip, link = "standardized_by_own_statistics", f"{DERIVATIONS}#standardization"
        return Report("standardization", [Finding("train images", sentence, slip, formula=FORMULA, link=link)])
    given = [leaf.value for asked in training.costs for leaf in arrays_of(asked.step.arguments)]
    evaluated = [known for array in given if (known := recognized(array)) is not None]
    choices: dict[str, list[tuple[Array, Array]]] = {"train": [(raw["train"], trained)]}
    for sets_seen in (evaluated, training.sets):
        settled = set(choices)
        for name, known in others(sets_seen, numbers):
            if name not in settled:
                pair = blocks()[known[0]].astype(np.float64), np.asarray(known[1], dtype=np.float64)
                choices.setdefault(name, []).append(pair)
    sets = {name: min(pairs, key=partial(off, raw["train"])) for name, pairs in choices.items()}
    for pixels, scale in ((SOME, SCALES[0]), (SOME, SCALES[1]), (EVERY, SCALES[0])):
        before, after = ({name: pair[place][:, pixels] for name, pair in sets.items()} for place in (0, 1))
        report = diagnose_standardization({name: images / scale for name, images in before.items()}, after)
        if report.ok:
            return report
        if report.findings[0].mistake is not None:
            break
    every = report.findings[0].place == "train images"
    slips = [finding for finding in report.findings if finding.mistake not in (None, *(PARTIAL if every else ()))]
    if not slips:
        raise absent("standardization")
    return replace(report, findings=slips)


def is_by_files(sets: Sequence[Known]) -> bool:
    """Is every training image, of the first set, standardized by all images of the file that it is from, and so are
    those of another file? The statistics of one whole file may serve for all of them.
    """
    (numbers, _), *_ = sets
    training, others = set((numbers // PER_FILE).tolist()), set()
    for numbers, found in sets:
        files = numbers // PER_FILE
        for file in np.unique(files).tolist():
            raw = blocks()[file * PER_FILE : (file + 1) * PER_FILE].astype(np.float64)
            right = (blocks()[numbers[files == file]] - raw.mean(axis=0)) / raw.std(axis=0)
            if np.allclose(found[files == file], right, atol=1e-4):
                others.add(file)
    return training < others or (training <= others and len(training) > 1)


def off(training: Array, pair: tuple[Array, Array]) -> float:
    """How far a set is from being standardized by the training images."""
    raw, found = pair
    std = training.std(axis=0)
    return float(np.abs(found - (raw - training.mean(axis=0)) / np.where(std > 0, std, 1)).max())


def others(sets: Sequence[Known], training: Numbers) -> Iterator[tuple[str, Known]]:
    """Sets of images that have none of the training images, and which they are."""
    for known in sets:
        if len(known[0]) > FEWEST and not np.isin(known[0], training).any():
            yield "test" if known[0].min() >= FIRST_TEST else "validation", known


def schedule(network: Network) -> Report:
    """What the loop calls its learning rate, update by update, where it has n_s, eta_min and eta_max."""
    training = training_of(network)
    if training.strange:
        raise absent("schedule")
    amounts: dict[str, set[float]] = {}
    for name, value in training.amounts.items():
        if (letter := LETTERS.get(KNOWN.get("".join(words(name)), 0.0))) is not None:
            amounts.setdefault(letter, set()).add(value)
    known = {letter: values.pop() for letter, values in amounts.items() if len(values) == 1}
    named = [rates[0] if len(set(rates)) == 1 else np.nan for rates in training.rates]
    taken = named[rates_begin(network, training, named) :]
    if set(known) != {*LETTERS.values()} or np.isnan(taken).any() or len(set(taken)) < 3:
        raise absent("schedule")
    if len(taken) < 2 * known["n_s"]:
        raise absent("schedule")  # less than a cycle was seen
    n_s = int(known["n_s"])  # one cycle: behind it another training may begin
    report = diagnose_schedule(taken[: 2 * n_s], step_size=n_s, eta_min=known["eta_min"], eta_max=known["eta_max"])
    if not report.ok and report.findings[0].mistake is None:
        raise absent("schedule")  # of another kind, perhaps
    return report


def rates_begin(network: Network, training: Training, named: Sequence[float]) -> int:
    """0 where the loop's rate at a gradient is that of the step behind it, 1 where it is that of the step before."""
    for move in moves(network, training):
        rest = rest_seen(network, training, move.before.given.l2)
        rate = measured_rate(move.moved, move.before.given, *finished(network, move, rest))
        if rate is not None and move.number > 1:
            here, later = (
                abs(named[move.number + shift] - rate) < max(SAME_RATE, move.moved.rounded) * rate for shift in (0, 1)
            )
            if here != later:
                return int(later)
    raise absent("schedule")


WATCHED = {
    "update": update,
    "minibatches": minibatches,
    "initialization": initialization,
    "standardization": standardization,
    "schedule": schedule,
}  # what is watched where nothing can be called alone, and looked at again where that was right
