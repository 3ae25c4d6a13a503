"""A program's trainings, as they were seen while the whole program ran."""

import functools
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network, networks, parts_of
from manual_mlp.adapters.program import Program, words
from manual_mlp.adapters.reading import Undecided, absent
from manual_mlp.adapters.recorder import Recorder, Stop
from manual_mlp.adapters.roles import unpackings
from manual_mlp.adapters.source import read_source
from manual_mlp.adapters.stand_in_images import Numbers
from manual_mlp.adapters.stubs import Finder
from manual_mlp.adapters.training import Training
from manual_mlp.adapters.undefined import is_undefined
from manual_mlp.adapters.whole_program import can_be_limited, run_whole
from manual_mlp.diagnosis.report import Report

SECONDS, GRACE = 40.0, 50.0  # of computing, for the whole program; until it is killed, if it goes on all the same
WHOLE = "the whole program"
MOST_TRIED = 4  # functions that are given the batches
SEEN = "what could not be called alone was watched while the whole program ran, on random images"


class WholeRun(NamedTuple):
    """What was seen of a whole program."""

    trainings: list[Training]  # by the gradient functions, the longest first
    others: list[Training]  # by any function that is given a batch, the longest first
    advancing: list[Numbers]  # images that were evaluated, whereupon running averages were others
    stop: Stop | None = None  # the first error; those behind it may follow from it


@functools.lru_cache(maxsize=1)  # it may hold a GB
def whole_run(program: Program) -> WholeRun:
    """Nothing where it has no script that loads CIFAR-10."""
    every = networks(program)
    gradients = [network.gradients for network in every if network.gradients is not None]
    if not loads_images(program) or not can_be_limited():
        return WholeRun([], [], [])
    if WHOLE in program.guard.failing:
        program.guard.note(f"{WHOLE} {program.guard.failing[WHOLE]}")
        return WholeRun([], [], [])
    costs = {network.cost.name for network in every if network.cost is not None}
    numerical = {part.name for part in parts_of(program) if is_numerical(part.name)} - {part.name for part in gradients}
    names = {part.name for network in every for part in network.parts} | numerical
    recorder = Recorder(gradients, names, costs, numerical, unpackings(program.trees))
    finder = Finder(program.source.path, program.finder.known)
    source = read_source(program.source.path)  # anew: where a default failed, it has been taken out
    program.guard.event({"calling": WHOLE, "seconds": SECONDS + GRACE})
    errors = run_whole(source, finder, recorder.wrap, SECONDS)
    program.guard.event({"returned": WHOLE})
    for place, training in [*recorder.trainings.items(), *recorder.others.items()]:
        training.costs, training.strange = recorder.asked, place in recorder.strange
        del training.batches[len(training.rates) :]  # the stop may have come in between

    def longest_first(trainings: Iterable[Training]) -> list[Training]:
        return sorted((one for one in trainings if one.batches), key=lambda one: -len(one.batches))

    stop = stop_of(errors[0], recorder, program) if errors else None
    seen = (longest_first(recorder.trainings.values()), longest_first(recorder.others.values()))
    return WholeRun(*seen, recorder.advancing, stop)


def stop_of(error: Exception, recorder: Recorder, program: Program) -> Stop | None:
    """Is it the program's own? Not what was raised in our files, in what stands in or looks on."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if Path(frame.f_code.co_filename).parent == Path(__file__).parent:
        return None
    if (stop := recorder.failed.get(id(error))) is None and is_undefined(error, program.trees):
        inside, _ = program.guard.raised(error)
        return Stop("its script" if inside in ("", "<module>") else inside, error)
    return stop


def first_seen(judge: Callable[[Network, Training], Report]) -> Callable[[Network], Report]:
    """By what was seen at its gradient function; what is not to be seen there, at any other function that is given a
    batch.
    """

    def judged(network: Network) -> Report:
        lacking: Failed | None = None
        for training in trainings_of(network):
            try:
                return judge(network, training)
            except Undecided:
                raise
            except Failed as failed:
                lacking = lacking or failed
        raise lacking or absent("its training", "on unchanged images of CIFAR-10 was not seen")

    return judged


def trainings_of(network: Network) -> list[Training]:
    run = whole_run(network.program)
    own = [t for t in run.trainings if network.gradients is not None and t.function.is_that_of(network.gradients)]
    switched = [training for training in own[1:] if {training.switch, own[0].switch} == {True, False}]
    own = own[:1] + switched[:1]  # with batch normalization, and without
    every = networks(network.program)
    is_first = not every or network.gradients == every[0].gradients
    others = run.others if len(every) <= 1 or (is_first and not run.trainings) else []
    others = [training for training in others if training.changes()]  # not the same images again and again
    others = [training for training in others if 2 * len(training.batches) > len(others[0].batches)][:MOST_TRIED]
    if own or others:
        network.program.guard.note(SEEN)
    return own + others


def is_numerical(name: str) -> bool:
    """ComputeGradsNumSlow, numerical_gradient."""
    joined = "".join(words(name))
    return "grad" in joined and ("num" in joined or "slow" in joined or "finite" in joined)


def loads_images(program: Program) -> bool:
    """Does it name CIFAR-10's files, and may it run?"""
    if not program.runs_script:
        return False
    text = program.text.lower()
    return "cifar" in text or "data_batch" in text
