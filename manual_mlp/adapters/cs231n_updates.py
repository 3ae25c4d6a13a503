"""CS231n's update rules (optim.py): sgd, momentum, rmsprop, adam, each for several steps with its own state."""

from typing import Any

from manual_mlp.adapters.program import Program
from manual_mlp.diagnosis import diagnose_update_rule
from manual_mlp.diagnosis.report import Report
from manual_mlp.layers import Array


def update(program: Program, name: str) -> Report:
    theirs = program.name_of(name)

    def rule(w: Array, dw: Array, config: dict[str, Any]) -> Any:
        answer = program.call(name, w, dw, config)
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            kind = "None" if answer is None else f"a {type(answer).__name__}"
            failure = "unfilled" if answer is None else "type"
            raise program.guard.failed(theirs, failure, f"returns {kind}; it must be (next_w, config)")
        return answer

    return diagnose_update_rule(name, rule)
