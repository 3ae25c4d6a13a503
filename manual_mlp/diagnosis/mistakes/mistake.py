"""What a mistake is.

A mistake may have variants: the same slip leaves different numbers where the lines after it were written in another
form. `formula` is what should stand there, `anchor` a heading of docs/derivations.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from manual_mlp.diagnosis.report import DERIVATIONS
from manual_mlp.diagnosis.textbook import Line


@dataclass(frozen=True)
class Mistake:
    id: str
    sentence: str
    formula: str
    anchor: str
    variants: tuple[Mapping[str, Line], ...]
    network: bool = False  # can only be made where operations are strung together

    @property
    def link(self) -> str:
        return f"{DERIVATIONS}#{self.anchor}"

    @property
    def operations(self) -> frozenset[str]:
        return frozenset(line.split(".")[0] for variant in self.variants for line in variant)


def known(
    id: str, sentence: str, formula: str, anchor: str, *variants: Mapping[str, Line], network: bool = False
) -> Mistake:
    return Mistake(id, sentence, formula, anchor, variants, network)


BATCH_SIZES = (100, 128, 64, 32, 50, 10, 200, 250, 256, 500, 512, 1000, 10000)
