"""The catalogue of mistakes: none that is never planted."""

import pytest
import test_diagnosis_batch_statistics as batch_statistics
import test_diagnosis_dropout as dropout
import test_diagnosis_extras as extras
import test_diagnosis_nesterov_adamw as nesterov_adamw
import test_diagnosis_network as network
import test_diagnosis_operations as operations
import test_diagnosis_program as program
import test_diagnosis_schedules as schedules
import test_diagnosis_update_rules as update_rules

from manual_mlp.diagnosis.catalogue import CATALOGUE

PLANTED = {
    *(name for _, _, name, _, _ in operations.MISTAKES),
    *(name for _, name, _, _ in operations.WITH_CONSTANTS),
    *(name for name, _ in operations.SHORT_FORM),
    *(name for name, *_ in batch_statistics.MISTAKES),
    *(name for _, name, _, _ in network.MISTAKES),
    *(name for name, *_ in network.SEVERAL_LINES),
    dropout.MOVED,
    *(name for name, *_ in [*dropout.FORWARD, *dropout.BACKWARD, *dropout.TEST_MODES]),
    *(mistake[0] for *_, mistake in extras.MISTAKES),
    *(name for _, _, name, _, _ in update_rules.MISTAKES),
    *(mistake[3] for mistake in [*nesterov_adamw.MISTAKES, *nesterov_adamw.IN_DOUBLE]),
    *(name for name, _, _ in nesterov_adamw.UPDATES),
    *(name for name, _, _ in program.UPDATES),
    *(name for name, _ in program.SCHEDULES),
    *(name for _, name, _ in schedules.MISTAKES),
    *(name for name, _ in schedules.ANNEALING),
    *(name for _, name, _ in program.STANDARDIZATIONS),
    *(name for name, _ in program.CHECKS),
    *(name for name, _ in program.TEST_MODES),
}


@pytest.mark.parametrize("mistake", CATALOGUE, ids=lambda mistake: mistake.id)
def test_every_mistake_is_planted_somewhere(mistake):
    assert mistake.id in PLANTED


def test_no_two_mistakes_have_one_name():
    assert len({mistake.id for mistake in CATALOGUE}) == len(CATALOGUE)
