"""The settings of a training, and what they share with others."""

import dataclasses

import numpy as np
import pytest
from runs import RUNS, Changes, Run, new_network


@pytest.mark.parametrize("change", [{"batch_norm": True}, {"l2": 0.5}, {"cycles": 7}], ids=str)
def test_runs_of_one_seed_and_shape_share_their_first_weights(change):
    """What makes their difference a paired one."""
    run = Run((5, 4), False, "he", l2=0.0, cycles=1, step_size=5, n_train=10, n_validation=5)
    one, other = (new_network(each, 6, 3, seed=1) for each in (run, dataclasses.replace(run, **change)))
    for name in ("linear1.weight", "linear2.weight", "linear3.weight"):
        np.testing.assert_array_equal(one.parameters[name], other.parameters[name])
    assert not np.array_equal(
        one.parameters["linear1.weight"], new_network(run, 6, 3, seed=2).parameters["linear1.weight"]
    )


def test_changes_replace_what_is_given_and_nothing_else():
    run = RUNS["3-layer"]
    assert Changes().changed(run) == run
    changed = Changes(l2=0.0, batch_norm=False, hidden=()).changed(run)
    assert changed == dataclasses.replace(run, l2=0.0, batch_norm=False, hidden=())
