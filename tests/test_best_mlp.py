"""The best network's script: every seed is one run of run_cycles, and the table has their mean."""

import json

import best_mlp
import numpy as np
import pytest

SMALL = {"n_train": 150, "n_validation": 50, "step_size": 4, "batch_size": 20, "hidden": (8, 8, 8), "shift": 1}


def test_seeds_are_trained_kept_and_averaged(images, tmp_path, capsys):
    settings = best_mlp.Settings(data=str(images), results=tmp_path, seeds=(3, 5), **SMALL)
    best_mlp.main(settings)
    summaries = [json.loads(file.read_text()) for file in sorted((tmp_path / "run_cycles").glob("*/summary.json"))]
    assert len(summaries) == 2
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines] == ["seed", "----", "3", "5", "mean"]
    for measure in ("test_accuracy", "test_accuracy_over_views", "validation_accuracy", "train_accuracy"):
        assert f"{100 * np.mean([summary[measure] for summary in summaries]):.2f} +- " in lines[-1]
        for line, summary in zip(lines[2:], summaries, strict=False):
            assert f" {100 * summary[measure]:.2f} " in line

    again = best_mlp.Settings(data=str(images), results=tmp_path, seeds=(3, 5), resume=True, **SMALL)
    best_mlp.main(again)
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")] == lines
    assert len(list((tmp_path / "run_cycles").iterdir())) == 2


def test_the_recipe_is_whole():
    """One whole cycle of whole epochs; everything that the docstring names."""
    run = best_mlp.RUNS[best_mlp.NAME]
    assert run.updates % -(-run.n_train // run.batch_size) == 0
    assert (run.whitening, run.shift, run.flip, run.label_smoothing, run.skips) == (1.0, 3, 0.5, 0.1, (2, 3))


def test_without_augmentation_there_are_no_views(images, tmp_path, capsys):
    settings = {**SMALL, "shift": 0, "flip": 0.0}
    best_mlp.main(best_mlp.Settings(data=str(images), results=tmp_path, seeds=(0,), **settings))
    assert "views" not in capsys.readouterr().out


def test_no_seed_is_refused(images, tmp_path):
    with pytest.raises(ValueError, match="--seeds names no seed"):
        best_mlp.main(best_mlp.Settings(data=str(images), results=tmp_path, seeds=()))
    assert not list(tmp_path.glob("run_cycles/*"))
