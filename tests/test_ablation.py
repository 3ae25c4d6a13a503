"""The ablation takes out one ingredient at a time; the timing of the best network's update times what it says."""

import dataclasses

import ablation
import best_update
import numpy as np
import pytest
from answers import as_text
from reproduction import Reproduction
from test_reproduce import Pretended


@pytest.mark.parametrize("epochs", [1, 12])
def test_every_ingredient_is_taken_out_alone(epochs):
    trainings = Pretended()
    answer = ablation.answer(Reproduction(None, trainings, 5, 1), epochs, 2 * epochs)
    assert {one.seed for one in trainings.asked} == {0, 1, 2}
    assert all(one.test for one in trainings.asked)
    for length, names in ((epochs, tuple(ablation.WITHOUT)), (2 * epochs, ablation.LONGER)):
        runs = {one.run for one in trainings.asked if one.run.updates == length * 192}
        assert len(runs) == len(names) + 1
        (whole,) = (one for one in runs if dataclasses.replace(one, step_size=ablation.BEST.step_size) == ablation.BEST)
        for name in names:
            assert dataclasses.replace(whole, **ablation.WITHOUT[name]) in runs - {whole}
            assert f"without {name}" in as_text(answer)
            assert f"{name}, {length} epochs" in as_text(answer)


def test_an_update_and_its_augmentation_are_timed(tmp_path, capsys):
    best_update.main(best_update.Settings(rounds=2, updates=1, batch_size=4, results=tmp_path))
    output = capsys.readouterr().out
    assert "manual over torch eager: " in output
    assert "augmentation over manual: " in output
    assert (tmp_path / "best_update" / "best_update" / "summary.json").exists()


def test_the_table_has_medians_and_ratios():
    times = {"manual": np.full(3, 0.002), "torch eager": np.full(3, 0.004), "augmentation": np.full(3, 0.0002)}
    assert best_update.table(times).splitlines()[-2:] == [
        "manual over torch eager: 0.50 (0.50-0.50)",
        "augmentation over manual: 0.10 (0.10-0.10)",
    ]
