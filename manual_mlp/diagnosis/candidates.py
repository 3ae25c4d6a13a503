"""The mistakes that can be made in a network, wherever in it they can be made."""

from collections.abc import Sequence

from manual_mlp.diagnosis.catalogue import NETWORK
from manual_mlp.diagnosis.comparison import Planted
from manual_mlp.diagnosis.mistakes.dropout import DROPOUT, DROPOUT_NETWORK
from manual_mlp.diagnosis.mistakes.l2_penalty import PENALTY_OF_BATCH_NORM
from manual_mlp.diagnosis.mistakes.label_smoothing import LABEL_SMOOTHING
from manual_mlp.diagnosis.mistakes.mistake import ABOVE, HIDDEN, Mistake
from manual_mlp.diagnosis.mistakes.relu import LEAKY_RELU
from manual_mlp.diagnosis.mistakes.skip import SKIP
from manual_mlp.diagnosis.reference import Batch

EVERY_SKIP = "every skip connection"


def possible(batches: Sequence[Batch]) -> list[Mistake]:
    """The mistakes that can be made in such a network."""
    mistakes = [*NETWORK]
    if any(batch.dropout for batch in batches):
        mistakes += [*DROPOUT, *DROPOUT_NETWORK]
    if batches[0].skips:
        mistakes += SKIP
    if batches[0].label_smoothing:
        mistakes += LABEL_SMOOTHING
    if batches[0].relu_slope:
        mistakes += LEAKY_RELU
    return mistakes


def everywhere(mistakes: Sequence[Mistake], depth: int, normalized: bool, skips: Sequence[int]) -> list[Planted]:
    """Every mistake wherever its operations are, then in some layers, then in one alone."""
    planted = []
    for mistake in mistakes:
        if not normalized and ("batch_norm" in mistake.operations or mistake in PENALTY_OF_BATCH_NORM):
            continue
        layers, title = where_made(mistake, depth, skips)
        if not layers:
            continue
        whole = frozenset(layers) if title == EVERY_SKIP else None
        groups: dict[frozenset[object] | None, str] = {whole: title if len(layers) > 1 else ""}
        if len(layers) > 1:
            groups[frozenset(layers[:-1])] = f"{title} but the last"
            groups[frozenset(layers[1:])] = (
                f"{title} but the first" if title != ABOVE else "every layer but the first two"
            )
            groups |= {frozenset({layer}): f"layer {layer} alone" for layer in layers}
        planted += [
            Planted(mistake, variant, group, title) for group, title in groups.items() for variant in mistake.variants
        ]
    return planted


def where_made(mistake: Mistake, depth: int, skips: Sequence[int]) -> tuple[Sequence[int], str]:
    """The layers that a mistake can be made in, and their title together."""
    if mistake in SKIP and "linear" not in mistake.operations:
        return skips, EVERY_SKIP
    if mistake.made_in == ABOVE:
        return range(2, depth + 1), ABOVE
    if mistake.made_in == HIDDEN or mistake.operations <= {"relu", "batch_norm", "layer", "dropout"}:
        return range(1, depth), HIDDEN
    if mistake.operations & {"softmax_cross_entropy", "scores"}:
        return [depth], ""
    return range(1, depth + 1), "every layer"
