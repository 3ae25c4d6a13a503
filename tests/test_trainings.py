"""Many trainings: each result is kept once, and is the same wherever and however often it was made."""

import contextlib
import dataclasses
import json
import os

import numpy as np
import pytest
import shared_splits as shared_splits_module
import trainings
from data_sources import from_file
from image_data import split
from one_training import Training
from runs import Run, new_network
from shared_splits import open_splits, shared_splits
from trainings import Options, Trainings

from manual_mlp import evaluate

RUN = Run((7,), True, "he", l2=0.01, cycles=1, step_size=10, n_train=60, n_validation=40, batch_size=20)


@pytest.fixture
def options(tmp_path):
    return Options(data_dir=tmp_path / "data", results=tmp_path / "results", workers=2)


@pytest.fixture(scope="module")
def file_of_one_result(data, tmp_path_factory):
    """What a file with the result of one training holds."""
    folder = tmp_path_factory.mktemp("one_result")
    with Trainings(data, Options(data_dir=folder / "data", results=folder / "results", workers=2)) as many:
        many.results([Training(RUN, 0)])
    return many.file.read_bytes()


@pytest.fixture
def one_result(file_of_one_result, options):
    """The file, where these options have it."""
    options.results.mkdir()
    file = options.results / "trainings.jsonl"
    file.write_bytes(file_of_one_result)
    return file


def by_hand(data, run, seed):
    splits = split(data, run.n_train, run.n_validation)
    net = new_network(run, data.inputs, data.classes, seed)
    last = run.train(net, splits, seed)[-1]
    return (last.train_loss, last.validation_accuracy, *evaluate(net, splits.test))


def numbers(result):
    return {name: value for name, value in result.items() if name != "seconds"}


def test_results_are_those_of_the_trainings_in_the_order_asked_for(data, options):
    other = dataclasses.replace(RUN, l2=0.1, batch_norm=False)
    wanted = [Training(RUN, 3, test=True), Training(other, 0, test=True), Training(RUN, 1, test=True)]
    with Trainings(data, options) as many:
        found = many.results(wanted)
    for training, result in zip(wanted, found, strict=True):
        names = ("train_loss", "validation_accuracy", "test_loss", "test_accuracy")
        expected = by_hand(data, training.run, training.seed)
        assert [result[name] for name in names] == pytest.approx(expected, rel=1e-6)  # threads may change rounding


def test_test_images_are_used_only_where_they_are_asked_for(data, options):
    with Trainings(data, options) as many:
        (result,) = many.results([Training(RUN, 0)])
    assert not [name for name in result if "test" in name]


def test_a_result_is_made_once(data, options, monkeypatch):
    with Trainings(data, options) as many:
        first = many.results([Training(RUN, 0), Training(RUN, 0)])
        assert first[0] == first[1]
    kept = many.file.read_text()
    assert len(kept.splitlines()) == 2, "what they have in common, and one result"
    monkeypatch.setattr(trainings, "train_once", lambda *_: pytest.fail("trained again"))
    with Trainings(data, options) as many:
        monkeypatch.setattr(many.workers, "run", lambda function, calls: ((call, function(*call)) for call in calls))
        assert many.results([Training(RUN, 0)]) == first[:1]
        with pytest.raises(pytest.fail.Exception):
            many.results([Training(RUN, 1)])
    assert many.file.read_text() == kept


def test_one_worker_and_two_give_the_same_bits(data, options, tmp_path):
    wanted = [Training(RUN, seed, test=True) for seed in range(3)]
    found = []
    for workers in (1, 2):
        changed = dataclasses.replace(options, workers=workers, results=tmp_path / str(workers))
        with Trainings(data, changed) as many:
            found.append([numbers(result) for result in many.results(wanted)])
    assert found[0] == found[1]


def test_what_was_being_written_when_the_process_was_killed_is_made_again(data, options):
    with Trainings(data, options) as many:
        many.results([Training(RUN, 0), Training(RUN, 1)])
    lines = many.file.read_bytes().splitlines(keepends=True)
    for end in (1, len(lines[2]) // 2, len(lines[2]) - 1):
        many.file.write_bytes(b"".join(lines[:2]) + lines[2][:end])
        with Trainings(data, options) as many:
            assert len(many.done) == 1
            many.results([Training(RUN, 0), Training(RUN, 1)])
        made = [json.loads(line)["training"]["seed"] for line in many.file.read_text().splitlines()[1:]]
        assert sorted(made) == [0, 1]


def test_a_file_killed_in_its_first_line_starts_anew(data, options):
    options.results.mkdir()
    (options.results / "trainings.jsonl").write_text('{"data": "12')
    with Trainings(data, options) as many:
        many.results([Training(RUN, 0)])
    with Trainings(data, options) as many:
        assert len(many.done) == 1


@pytest.mark.parametrize("changed", ["data", "numpy", "code"])
def test_results_of_another_data_set_or_version_are_not_mixed(changed, data, options, one_result, monkeypatch):
    kept = one_result.read_bytes()
    common = trainings.provenance(data) | {changed: "another"}
    monkeypatch.setattr(trainings, "provenance", lambda _: common)
    with (
        pytest.raises(ValueError, match=f"results of other {changed}, .* move it away to start anew"),
        Trainings(data, options),
    ):
        pass
    assert one_result.read_bytes() == kept


@pytest.mark.parametrize("line", ["[1]", "{}", "nonsense", '{"training": 1}', "[" * 10_000])
def test_a_damaged_file_is_named(line, data, options, one_result):
    with one_result.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"trainings\.jsonl is damaged .*: move it away"), Trainings(data, options):
        pass


def test_two_processes_do_not_write_at_once(data, options):
    with (
        Trainings(data, options),
        pytest.raises(ValueError, match="is held by another process"),
        Trainings(data, options),
    ):
        pass


def test_a_result_is_on_the_disk_when_the_next_is_waited_for(data, options, monkeypatch):
    synced = []
    monkeypatch.setattr(trainings.os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    with Trainings(data, options) as many:
        for number in range(3):
            many.keep(Training(RUN, number).key, {"train_loss": 1.0})
            assert len(many.file.read_text().splitlines()) == 2 + number
            assert synced[-1] == many.file.stat().st_size


def test_a_class_that_no_training_image_has_is_one_all_the_same(tmp_path, options):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (150, 4, 4, 3), np.uint8), np.arange(150) % 3
    y[70] = 3
    np.savez(tmp_path / "late.npz", x_train=x[:100], y_train=y[:100], x_test=x[100:], y_test=y[100:])
    with Trainings(from_file(tmp_path / "late.npz"), options) as many:
        (result,) = many.results([Training(RUN, 0)])
    assert np.isfinite(result["validation_loss"])


def test_images_standardized_by_other_code_are_made_again(data, tmp_path, monkeypatch):
    folder = shared_splits_module.shared_splits(data, 60, 40, tmp_path)
    monkeypatch.setattr(shared_splits_module, "CODE", "another version")
    assert shared_splits_module.shared_splits(data, 60, 40, tmp_path) != folder


def test_images_that_a_killed_process_left_half_are_made_again(data, tmp_path):
    folder = shared_splits(data, 60, 40, tmp_path)
    folder.rename(folder.with_name(f".unfinished-{folder.name}"))
    assert shared_splits(data, 60, 40, tmp_path) == folder
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_where_there_are_no_locks_two_processes_do_not_disturb_each_other(data, tmp_path, monkeypatch):
    """The second begins and ends while the first is at work."""
    unlocked = contextlib.nullcontext(False)
    monkeypatch.setattr(shared_splits_module.run_folder, "alone_in", lambda _: unlocked)

    def split_after_another(*arguments):
        monkeypatch.setattr(shared_splits_module, "split", split)
        shared_splits(data, 60, 40, tmp_path)
        return split(*arguments)

    monkeypatch.setattr(shared_splits_module, "split", split_after_another)
    folder = shared_splits(data, 60, 40, tmp_path)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    np.testing.assert_array_equal(open_splits(str(folder)).train[0], split(data, 60, 40).train[0])


def test_a_training_that_diverges_is_a_result(data, options):
    wild = dataclasses.replace(RUN, batch_norm=False, eta_max=1e30)
    with Trainings(data, options) as many:
        (result,) = many.results([Training(wild, 0)])
    assert "eta" in result["diverged"]
    assert not [name for name in result if "accuracy" in name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_train": 99}, "--n-train is 99 and --n-validation 40"),
        ({"l2": -1.0}, "l2"),
        ({"hidden": (0,)}, "hidden"),
    ],
    ids=["images", "l2", "hidden"],
)
def test_what_cannot_be_trained_is_found_before_anything_is(change, message, data, options):
    with Trainings(data, options) as many, pytest.raises(ValueError, match=message):
        many.results([Training(RUN, 0), Training(dataclasses.replace(RUN, **change), 0)])
    assert not many.file.exists()


def test_workers_must_be_a_number_above_0(data, options):
    with pytest.raises(ValueError, match="--workers is 0"):
        Trainings(data, dataclasses.replace(options, workers=0))


def test_shared_images_are_the_standardized_ones_and_cannot_be_written(data, tmp_path):
    folder = shared_splits(data, 60, 40, tmp_path)
    assert shared_splits(data, 60, 40, tmp_path) == folder
    ours, expected = open_splits(str(folder)), split(data, 60, 40)
    for part in ("train", "validation", "test"):
        for one, other in zip(getattr(ours, part), getattr(expected, part), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
            assert not one.flags.writeable
    assert len({shared_splits(data, *sizes, tmp_path) for sizes in ((60, 40), (60, 39), (59, 40))}) == 3


def test_damaged_shared_images_are_named(data, tmp_path):
    folder = shared_splits(data, 60, 40, tmp_path)
    (folder / "x_train.npy").write_bytes((folder / "x_train.npy").read_bytes()[:200])
    open_splits.cache_clear()
    with pytest.raises(ValueError, match=r"x_train.npy cannot be read .* remove the folder, it is made again"):
        open_splits(str(folder))


def test_a_folder_that_cannot_be_written_is_named(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write the standardized images there .* 0.8 GB"):
        shared_splits(data, 60, 40, tmp_path / "file")
