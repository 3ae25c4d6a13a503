"""All the mistakes that the diagnosis knows: each is one or a few lines of the textbook, exchanged."""

from collections.abc import Iterable

from manual_mlp.diagnosis.mistakes.batch_norm import BATCH_NORM
from manual_mlp.diagnosis.mistakes.batch_norm_backward import BATCH_NORM_BACKWARD
from manual_mlp.diagnosis.mistakes.batch_norm_parameters import BATCH_NORM_PARAMETERS
from manual_mlp.diagnosis.mistakes.batch_statistics import BATCH_STATISTICS
from manual_mlp.diagnosis.mistakes.decays import DECAYS
from manual_mlp.diagnosis.mistakes.dropout import DROPOUT, DROPOUT_NETWORK, DROPOUT_TEST
from manual_mlp.diagnosis.mistakes.l2_penalty import L2_PENALTY, PENALTY_OF_BATCH_NORM
from manual_mlp.diagnosis.mistakes.label_smoothing import LABEL_SMOOTHING
from manual_mlp.diagnosis.mistakes.linear import LINEAR
from manual_mlp.diagnosis.mistakes.mistake import Mistake
from manual_mlp.diagnosis.mistakes.numerical import NUMERICAL
from manual_mlp.diagnosis.mistakes.relu import LEAKY_RELU, RELU
from manual_mlp.diagnosis.mistakes.running_statistics import BATCH_NORM_TEST, RUNNING_AVERAGE
from manual_mlp.diagnosis.mistakes.schedule import SCHEDULE
from manual_mlp.diagnosis.mistakes.skip import SKIP
from manual_mlp.diagnosis.mistakes.softmax_cross_entropy import SCORES, SOFTMAX
from manual_mlp.diagnosis.mistakes.standardization import STANDARDIZATION
from manual_mlp.diagnosis.mistakes.update import ADAMW_UPDATE, UPDATE
from manual_mlp.diagnosis.mistakes.update_rules import UPDATE_RULES

NETWORK = [
    *LINEAR,
    *RELU,
    *BATCH_NORM,
    *BATCH_NORM_PARAMETERS,
    *BATCH_NORM_BACKWARD,
    *SOFTMAX,
    *SCORES,
    *L2_PENALTY,
    *PENALTY_OF_BATCH_NORM,
]
CATALOGUE = [
    *NETWORK,
    *BATCH_NORM_TEST,
    *RUNNING_AVERAGE,
    *BATCH_STATISTICS,
    *DROPOUT,
    *DROPOUT_NETWORK,
    *DROPOUT_TEST,
    *SKIP,
    *LABEL_SMOOTHING,
    *LEAKY_RELU,
    *UPDATE,
    *ADAMW_UPDATE,
    *UPDATE_RULES,
    *SCHEDULE,
    *DECAYS,
    *STANDARDIZATION,
    *NUMERICAL,
]


def mistakes_of(operations: Iterable[str], network: bool = False) -> list[Mistake]:
    """All that can be made in these operations, in the order of the catalogue."""
    operations = frozenset(operations)
    return [m for m in CATALOGUE if m.operations <= operations and (network or not m.network)]
