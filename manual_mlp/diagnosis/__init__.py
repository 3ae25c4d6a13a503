"""What is wrong with my network? Compares forward pass, cost, gradient, update, schedule and set-up with the
textbook, in this order, and names the mistake that explains the numbers.

    textbook.py    the operations as tables of lines, one of which can be exchanged
    mistakes/      the known mistakes, an operation a file: which line, and what stands there instead
    comparison.py  the numbers beside the textbook's, with mistakes planted into it
    explain.py     from wrong numbers to the mistake
    epsilon.py     with whatever eps the program has
    report.py      what it says
"""

from manual_mlp.diagnosis.augmentation import diagnose_augmentation
from manual_mlp.diagnosis.batch_statistics import diagnose_batch_statistics
from manual_mlp.diagnosis.initialization import diagnose_initialization
from manual_mlp.diagnosis.minibatches import diagnose_minibatches
from manual_mlp.diagnosis.network import diagnose
from manual_mlp.diagnosis.numerical import diagnose_numerical_gradients
from manual_mlp.diagnosis.operations import diagnose_operation
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.schedule import diagnose_schedule
from manual_mlp.diagnosis.standardization import diagnose_standardization
from manual_mlp.diagnosis.test_mode import diagnose_test_mode
from manual_mlp.diagnosis.update import diagnose_update
from manual_mlp.diagnosis.update_rules import diagnose_update_rule

__all__ = [
    "Finding",
    "Report",
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
]
