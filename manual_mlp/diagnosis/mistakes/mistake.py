"""What a mistake is.

A mistake may have variants: the same slip leaves different numbers where the lines after it were written in another
form. `formula` is what should stand there, `anchor` a heading of docs/derivations.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from manual_mlp.diagnosis.report import DERIVATIONS
from manual_mlp.diagnosis.textbook import Line

HIDDEN, ABOVE = "every hidden layer", "every layer but the first"


@dataclass(frozen=True, eq=False)  # none is like another
class Mistake:
    id: str
    sentence: str
    formula: str
    anchor: str
    variants: tuple[Mapping[str, Line], ...]
    network: bool = False  # can only be made where operations are strung together
    made_in: str = ""  # the only layers of a network that can have it: HIDDEN or ABOVE; "": all with its operations

    @property
    def link(self) -> str:
        return f"{DERIVATIONS}#{self.anchor}"

    @property
    def operations(self) -> frozenset[str]:
        return frozenset(line.split(".")[0] for variant in self.variants for line in variant)


def known(
    id: str,
    sentence: str,
    formula: str,
    anchor: str,
    *variants: Mapping[str, Line],
    network: bool = False,
    made_in: str = "",
) -> Mistake:
    return Mistake(id, sentence, formula, anchor, variants, network, made_in)


def mistakes_in(operation: str, formula: str, anchor: str, *, network: bool = False) -> Callable[..., Mistake]:
    """`known` for the mistakes of one operation that share their formula: (id, sentence, *variants) -> mistake, where a
    variant names its lines without the operation.
    """

    def mistake(id: str, sentence: str, *variants: Mapping[str, Line]) -> Mistake:
        lines = ({f"{operation}.{line}": other for line, other in variant.items()} for variant in variants)
        return known(id, sentence, formula, anchor, *lines, network=network)

    return mistake


def put_before(moved: str, other: str) -> Line:
    """The order of a layer's operations, one of them put in front of another, where the layer has both."""

    def order(v: Any) -> tuple[str, ...]:
        if not {moved, other} <= set(v.usual):
            return tuple(v.usual)
        rest = [operation for operation in v.usual if operation != moved]
        rest.insert(rest.index(other), moved)
        return tuple(rest)

    return order


def exchanged(one: str, other: str) -> Line:
    """The order of a layer's operations, with these two in each other's place."""

    def order(v: Any) -> tuple[str, ...]:
        names = {one: other, other: one}
        return (
            tuple(names.get(operation, operation) for operation in v.order) if {one, other} <= set(v.order) else v.order
        )

    return order


BATCH_SIZES = (100, 128, 64, 32, 50, 10, 200, 250, 256, 500, 512, 1000, 10000)
