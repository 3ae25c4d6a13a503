"""Back-propagation by hand: a K-layer network with batch normalization, every forward and backward line written out.

Start with `layers.py`; it needs nothing else.
"""

from manual_mlp.augmentation import FlipsAndShifts
from manual_mlp.batch_statistics import adaptive_batch_norm, precise_batch_norm
from manual_mlp.diagnosis import (
    diagnose,
    diagnose_augmentation,
    diagnose_batch_statistics,
    diagnose_initialization,
    diagnose_minibatches,
    diagnose_numerical_gradients,
    diagnose_operation,
    diagnose_schedule,
    diagnose_standardization,
    diagnose_test_mode,
    diagnose_update,
    diagnose_update_rule,
)
from manual_mlp.finite_differences import directional_gradients, numerical_gradients
from manual_mlp.gradient_check import compare_gradients, measured_rounding
from manual_mlp.network import MLP
from manual_mlp.optimizers import Adam, AdamW, Momentum, sgd_update
from manual_mlp.schedules import cosine_decay, cyclical_learning_rate, linear_decay, one_cycle
from manual_mlp.training import Record, TrainingState, evaluate, minibatches, train

__all__ = [
    "MLP",
    "Adam",
    "AdamW",
    "FlipsAndShifts",
    "Momentum",
    "Record",
    "TrainingState",
    "adaptive_batch_norm",
    "compare_gradients",
    "cosine_decay",
    "cyclical_learning_rate",
    "diagnose",
    "diagnose_augmentation",
    "diagnose_batch_statistics",
    "diagnose_initialization",
    "diagnose_minibatches",
    "diagnose_numerical_gradients",
    "diagnose_operation",
    "diagnose_schedule",
    "diagnose_standardization",
    "diagnose_test_mode",
    "diagnose_update",
    "diagnose_update_rule",
    "directional_gradients",
    "evaluate",
    "linear_decay",
    "measured_rounding",
    "minibatches",
    "numerical_gradients",
    "one_cycle",
    "precise_batch_norm",
    "sgd_update",
    "train",
]
