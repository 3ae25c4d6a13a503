"""A DD2424 program judged by what was seen while it ran from its first line to its last.

For what cannot be called alone: a network whose constructor loads the data, weights that are drawn in it, images that
are standardized where they are loaded, batches that are cut in the loop.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import attrgetter

from manual_mlp.adapters.dd2424_setup import judged_initialization
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network, drops
from manual_mlp.adapters.program import Program
from manual_mlp.adapters.reading import absent
from manual_mlp.adapters.seen_steps import seen
from manual_mlp.adapters.source import said
from manual_mlp.adapters.told_by_steps import told_by_steps
from manual_mlp.adapters.training import Training
from manual_mlp.adapters.watched import WHOLE, first_seen, loads_images, whole_run
from manual_mlp.adapters.watched_averages import running_averages
from manual_mlp.adapters.watched_batches import minibatches
from manual_mlp.adapters.watched_costs import cost_seen, judged_cost
from manual_mlp.adapters.watched_gradients import computed_gradients
from manual_mlp.adapters.watched_schedule import schedule
from manual_mlp.adapters.watched_standardization import standardization
from manual_mlp.adapters.watched_updates import update
from manual_mlp.diagnosis.report import Report

COST_UNSEEN = "its cost was not seen, nor whether the gradients are those of that cost"
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
    try:
        watched = gradients(network, batch_norm, affine)
    except Failed as lacking:
        if report.ok or not loads_images(network.program) or is_told(report):
            return report
        sentence = f"{report.findings[0].place}: {report.findings[0].sentence}"
        said = f"was watched in the whole program, but {lacking}. Called alone it differs: {sentence}"
        raise Failed("the network", "missing", said) from None
    return watched if is_better(watched, report) else report


def is_told(report: Report) -> bool:
    """Is anything known of what was found wrong: its name, or what is right beside it? Not where it was called without
    its batch normalization, by a switch perhaps.
    """
    if report.findings[0].mistake == "bn_skipped" and any(f.mistake == "unfilled" for f in report.findings):
        return False
    return report.findings[0].mistake not in NO_MISTAKE or (bool(report.agreeing) and not report.findings[0].mistake)


def is_better(watched: Report, alone: Report) -> bool:
    """What was called alone may have been given something else than it is given at work. A penalty may not be seen at
    work: with lambda 0.
    """
    if alone.ok:
        slip = "" if watched.ok else watched.findings[0].mistake or ""
        return not watched.ok and bool(slip or watched.agreeing) and "penalty" not in slip  # the step may add it
    first = alone.findings[0]
    if first.mistake in NO_MISTAKE:
        return True
    seen_right = first.place in watched.agreeing or (first.place == "gradients" and bool(watched.agreeing))
    return watched.ok and seen_right and not first.mistake.startswith("penalty")


def seen_normalized(network: Network) -> Report | None:
    """What is to be said of it with batch normalization, if it was seen to train so."""
    for affine in (True, False):
        with contextlib.suppress(Failed):
            return gradients(network, True, affine)
    return None


def gradients(network: Network, batch_norm: bool, affine: bool = True) -> Report:
    """The cost and the gradients. Whether batches are normalized without gamma and beta only the numbers say: then at
    least one of them must be right.
    """
    if drops(network.program):
        raise absent("its dropout", "draws masks that are not seen")
    return first_seen(partial(cost_and_gradients, batch_norm=batch_norm, affine=affine))(network)


def cost_and_gradients(network: Network, training: Training, batch_norm: bool, affine: bool) -> Report:
    cost = cost_seen(network, training, batch_norm, affine)
    if training.computed:
        judged = computed_gradients(network, training, cost, batch_norm, affine)
    elif affine:
        judged = told_by_steps(network, training, cost, batch_norm)
    else:
        raise absent("its gradients", "are not returned")
    report = judged.report
    if any(finding.mistake == "bn_skipped" for finding in report.findings):
        raise absent("its training", "was without batch normalization")
    if batch_norm and not affine and not report.agreeing:
        raise absent("the network")
    if cost is None:
        return replace(report, notes=[*report.notes, COST_UNSEEN])
    if cost.is_right(judged.share) or (judged.decays and cost.is_right(0.0)):
        return replace(report, agreeing=["cost", *report.agreeing])
    slips = judged_cost(cost, judged.share)
    notes = [] if slips else [f"its cost, {cost.nearest(judged.share)}; no known mistake explains it"]
    return replace(report, findings=[*slips, *report.findings], notes=[*report.notes, *notes])


def comes_through(program: Program) -> Report:
    """Whether the program calls its network with what it can be called with."""
    if (stop := whole_run(program).stop) is not None:
        sentence = f"stops in {stop.function}: {program.guard.where(stop.error)}{said(stop.error)}"
        raise Failed(WHOLE, "raises", sentence, type(stop.error).__name__)
    raise absent("an error")


def initialization(network: Network, training: Training) -> Report:
    """The parameters at the first update of the first training; a later one may go on with what that has made."""
    run = whole_run(network.program)
    training = min(
        (one for one in (*run.trainings, *run.others) if one.function == training.function), key=attrgetter("started")
    )
    if 0 not in training.steps:
        raise absent("initialization")
    question = seen(training.steps[0], training.batches[0], labelled=False)
    return judged_initialization(question.given.parameters)


WATCHED = {  # where nothing can be called alone; and looked at again where that was right
    "update": first_seen(update),
    "running averages": first_seen(running_averages),
    "minibatches": first_seen(minibatches),
    "initialization": first_seen(initialization),
    "standardization": first_seen(standardization),
    "schedule": first_seen(schedule),
}
