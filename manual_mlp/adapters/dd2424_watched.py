"""A DD2424 program judged by what was seen while it ran from its first line to its last.

For what cannot be called alone: a network whose constructor loads the data, weights that are drawn in it, images that
are standardized where they are loaded, batches that are cut in the loop.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace

from manual_mlp.adapters.dd2424_setup import judged_initialization
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network, drops
from manual_mlp.adapters.program import Program
from manual_mlp.adapters.reading import absent
from manual_mlp.adapters.rest import with_rest
from manual_mlp.adapters.seen_steps import gradients_seen, seen
from manual_mlp.adapters.source import said
from manual_mlp.adapters.watched import WHOLE, loads_images, training_of, whole_run
from manual_mlp.adapters.watched_batches import minibatches
from manual_mlp.adapters.watched_costs import cost_seen, is_right, judged_cost
from manual_mlp.adapters.watched_gradients import agreed, judged_gradients
from manual_mlp.adapters.watched_schedule import schedule
from manual_mlp.adapters.watched_standardization import standardization
from manual_mlp.adapters.watched_updates import rest_seen, takes_rate, update
from manual_mlp.diagnosis.report import Report

NO_MISTAKE = (None, "raises", "unfilled", "wrong_type")  # the file's, perhaps, but of what it was given


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


def comes_through(program: Program) -> Report:
    """Whether the program calls its network with what it can be called with."""
    if (stop := whole_run(program).stop) is not None:
        sentence = f"stops in {stop.function}: {program.guard.where(stop.error)}{said(stop.error)}"
        raise Failed(WHOLE, "raises", sentence, type(stop.error).__name__)
    raise absent("an error")


def initialization(network: Network) -> Report:
    """The parameters at the first update."""
    training = training_of(network)
    if 0 not in training.steps:
        raise absent("initialization")
    question = seen(training.steps[0], training.batches[0], labelled=False)
    return judged_initialization(question.given.parameters)


WATCHED = {  # where nothing can be called alone; and looked at again where that was right
    "update": update,
    "minibatches": minibatches,
    "initialization": initialization,
    "standardization": standardization,
    "schedule": schedule,
}
