"""CS231n's update rules (optim.py): sgd, momentum, rmsprop, adam, each for several steps with its own state."""

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from manual_mlp.adapters.cs231n_half_rules import Unfinished
from manual_mlp.adapters.guard import Shared, copied
from manual_mlp.adapters.program import Program
from manual_mlp.diagnosis import diagnose_update_rule
from manual_mlp.diagnosis.report import Report
from manual_mlp.layers import Array

OTHER_NAMES = {
    "learning_rate": ("lr", "eta", "alpha", "step_size"),
    "momentum": ("mu",),
    "decay_rate": ("decay", "rho"),
    "beta1": ("beta_1", "b1"),
    "beta2": ("beta_2", "b2"),
    "epsilon": ("eps",),
}


def update(program: Program, name: str) -> Report:
    """As training calls it: Adam begins to count where its own default says. Some years' handout begins at 1 and counts
    on before the first step, which is no mistake of the student's.
    """
    report = steps(program, name, given=("t",) if name == "adam" else ())
    if report.ok or name != "adam":
        return report
    from_0 = steps(program, name, given=())
    if report.findings[0].mistake == "raises":  # it has no default of its own
        return from_0
    if from_0.ok:
        note = "without t in config it begins as if one step had been made: its default is 1, and 1 is added before use"
        return replace(from_0, notes=[*from_0.notes, note])
    named = [r for r in (report, from_0) if r.findings[0].mistake is not None]
    return named[0] if named else report


def steps(program: Program, name: str, given: tuple[str, ...]) -> Report:
    """given: what the first step's config leaves to the rule's own defaults."""
    theirs, first, unfinished = program.name_of(name), True, Unfinished(name)
    renamed = their_names(program, theirs)

    def rule(w: Array, dw: Array, config: dict[str, Any]) -> Any:
        nonlocal first
        if first:
            config = {key: value for key, value in config.items() if key not in given}
            config |= {renamed[key]: value for key, value in config.items() if key in renamed}
        first, before = False, copied(config)
        answer = program.call(name, Shared(w), dw, config)  # a rule may write into w
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            kind = "None" if answer is None else f"a {type(answer).__name__}"
            failure = "unfilled" if answer is None else "type"
            raise program.guard.failed(theirs, failure, f"returns {kind}; it must be (next_w, config)")
        return unfinished.finished(w, dw, before, answer)

    return unfinished.said(diagnose_update_rule(name, rule))


def their_names(program: Program, theirs: str) -> Mapping[str, str]:
    """Settings that the rule never asks for by the handout's name, and by which name it does: config["lr"]."""
    tree = program.defined.get(theirs)
    words = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)} if tree is not None else set()
    found = {}
    for setting, others in OTHER_NAMES.items():
        used = [other for other in others if other in words]
        if len(used) == 1 and setting not in words:
            found[setting] = used[0]
            program.guard.note(f"{theirs} asks config for {used[0]}; the handout's name is {setting}")
    return found
