"""A stranger's whole program: it finds images under CIFAR-10's names, ends in time, and leaves nothing behind."""

import ast
import os
import pickle
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from manual_mlp.adapters import stand_in_images
from manual_mlp.adapters.dd2424 import known_helpers
from manual_mlp.adapters.source import execute, read_source
from manual_mlp.adapters.stand_in_images import as_file, loadmat, recognized
from manual_mlp.adapters.stubs import Finder
from manual_mlp.adapters.whole_program import run_whole


@pytest.fixture
def run(tmp_path):
    """Runs a program's text; what it hands to its function `tell`."""

    def running(text, seconds=20.0):
        heard = []

        def wrap(function):
            if function.__name__ != "tell":
                return function
            return lambda *values: heard.append(values) or function(*values)

        file = tmp_path / "student.py"
        file.write_text(f"def tell(*values): pass\n{text}")
        run_whole(read_source(file), Finder(file, lambda _: {}), wrap, seconds)
        return heard

    return running


LAYOUTS = {
    "rows": lambda x: x,
    "columns": lambda x: x.T,
    "a fraction": lambda x: x / 255,
    "single precision": lambda x: x.astype(np.float32) / 255,
    "standardized": lambda x: (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9),
    "centered": lambda x: x - x.mean(),
    "channels last": lambda x: x.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).reshape(len(x), -1),
    "pictures": lambda x: x.reshape(-1, 3, 32, 32),
    "every image by itself": lambda x: (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True),
    "between -1 and 1": lambda x: x / 127.5 - 1,
    "between the ends of each pixel": lambda x: (x - x.min(axis=0)) / np.ptp(x, axis=0),
    "in another order": lambda x: x[np.random.default_rng(0).permutation(len(x))],
}
CHANGED = {
    "mirrored": lambda pictures: pictures[..., ::-1],
    "upside down": lambda pictures: pictures[..., ::-1, :],
    "turned": lambda pictures: pictures.swapaxes(2, 3),
    "every second one mirrored": lambda pictures: np.where(
        np.arange(len(pictures))[:, None, None, None] % 2, pictures, pictures[..., ::-1]
    ),
    "negated": lambda pictures: 255 - pictures,
    "pixels in reverse": lambda pictures: pictures.reshape(len(pictures), -1)[:, ::-1],
    "noisy": lambda pictures: pictures + np.random.default_rng(0).normal(0, 200, pictures.shape),
    "channels in reverse": lambda pictures: pictures[:, ::-1] * [[[1]], [[1]], [[0]]],
    "the upper half another's": lambda pictures: np.where(
        np.arange(32)[:, None] < 16, pictures[np.r_[1 : len(pictures), 0]], pictures
    ),
    "a hole": lambda pictures: pictures * (np.arange(32) < 30),
    **{f"shifted by {n} rows": lambda pictures, n=n: shifted(pictures, n, 2) for n in (1, 2, 4, -1, -4)},
    **{f"shifted by {n} columns": lambda pictures, n=n: shifted(pictures, n, 3) for n in (1, 16, -1, -16)},
    **{f"rolled by {n}": lambda pictures, n=n: np.roll(pictures.reshape(len(pictures), -1), n, 1) for n in (1, 16, 32)},
}


def shifted(pictures, by, axis):
    """Zeros come in."""
    moved, places = np.roll(pictures, by, axis), np.arange(32)
    stays = (places >= by) & (places < 32 + by)
    return moved * stays.reshape([-1 if axis == place else 1 for place in range(4)])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_image_tells_its_number_whatever_was_made_of_it(layout):
    x = stand_in_images.images(31_000, 200).astype(float)
    numbers, block = recognized(LAYOUTS[layout](x))
    np.testing.assert_array_equal(np.sort(numbers), np.arange(31_000, 31_200))
    for pixel in range(stand_in_images.WORDS, block.shape[1]):
        assert abs(np.corrcoef(block[:, pixel], x[numbers - 31_000, pixel])[0, 1]) > 0.99


@pytest.mark.parametrize("change", CHANGED)
@pytest.mark.parametrize("layout", ["rows", "standardized", "channels last"])
@pytest.mark.parametrize("count", [1, 2, 200])
def test_an_image_that_was_changed_is_not_taken_for_another(change, layout, count):
    for first in range(0, 60_000, 7_001):
        x = CHANGED[change](stand_in_images.images(first, 200).reshape(-1, 3, 32, 32).astype(float))
        assert recognized(LAYOUTS[layout](x.reshape(200, -1))[:count]) is None


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_images_may_be_a_matrix():
    numbers, _ = recognized(np.asmatrix(stand_in_images.images(3, 4).T))
    assert numbers.tolist() == [3, 4, 5, 6]
    assert recognized(np.asmatrix(np.ones((3072, 1)))) is None


def test_random_numbers_are_no_images():
    rng = np.random.default_rng(0)
    assert recognized(rng.normal(size=(1, 3072))) is None
    assert recognized(rng.normal(size=(3072, 50))) is None
    assert recognized(rng.integers(0, 256, (20, 3072))) is None


def test_a_block_has_the_statistics_of_the_whole_image():
    x = stand_in_images.images(0, 300).astype(float)
    _, block = recognized(x)
    np.testing.assert_allclose([block.mean(), block.std()], [x.mean(), x.std()])


@pytest.mark.parametrize(("encoding", "key"), [("bytes", b"data"), ("latin1", "data")])
def test_a_file_opens_as_python_2_has_written_it(encoding, key):
    content = pickle.load(as_file("some/folder/data_batch_3"), encoding=encoding)
    assert content[key].shape == (10_000, 3072)
    np.testing.assert_array_equal(recognized(content[key][:5])[0], np.arange(20_000, 20_005))
    names = pickle.load(as_file("batches.meta"), encoding=encoding)
    assert len(names[type(key)("label_names", "ascii") if encoding == "bytes" else "label_names"]) == 10


def test_the_files_for_matlab_hold_the_same_images():
    content = loadmat("Datasets/test_batch.mat")
    assert content["labels"].shape == (10_000, 1)
    assert recognized(content["data"][:1])[0] == 50_000


@pytest.mark.parametrize(
    "imported",
    [
        "from keras.datasets import cifar10",
        "from tensorflow.keras.datasets import cifar10",
        "import tensorflow as tf; cifar10 = tf.keras.datasets.cifar10",
        "import keras; cifar10 = keras.datasets.cifar10",
    ],
)
def test_keras_hands_out_the_same_images(tmp_path, imported):
    file = tmp_path / "student.py"
    file.write_text(f"{imported}\n(x, y), (x_test, y_test) = cifar10.load_data()\ntell(x, y, x_test, y_test)")
    finder, heard = Finder(file, known_helpers), []
    source = read_source(file)
    source.tree.body.insert(0, ast.parse("def tell(*values): pass").body[0])
    run_whole(source, finder, lambda _: lambda *values: heard.append(values), 20.0)
    ((x, y, x_test, y_test),) = heard
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == (
        (50000, 32, 32, 3),
        (50000, 1),
        (10000, 32, 32, 3),
        (10000, 1),
    )
    np.testing.assert_array_equal(recognized(x_test[:9])[0], np.arange(50_000, 50_009))
    np.testing.assert_array_equal(y[:50, 0], stand_in_images.labels()[:50])


def test_a_statement_that_fails_costs_itself_alone(run):
    assert run("tell(1)\n1 / 0\ntell(2)") == [(1,), (2,)]


def test_what_is_imported_from_the_future_is_in_force(run, tmp_path):
    file = tmp_path / "other.py"
    file.write_text("from __future__ import annotations, division\ndef f(x: Later): pass\n")
    definitions = {}
    execute(source := read_source(file), definitions)
    assert (definitions["f"].__annotations__, source.broken) == ({"x": "Later"}, {})
    assert run("from other import f\ntell(f.__annotations__)") == [({"x": "Later"},)]


def test_the_program_is_the_main_one(run):
    assert run("if __name__ == '__main__':\n    tell('main')") == [("main",)]


def test_what_it_imports_is_not_the_main_one(run, tmp_path):
    (tmp_path / "beside.py").write_text("name = __name__\nran = False\nif __name__ == '__main__': ran = True")
    assert run("import beside\ntell(beside.name, beside.ran)") == [("beside", False)]


def test_it_is_told_the_images_of_a_file_that_is_not_there(run):
    opened = "with open('nowhere/data_batch_1', 'rb') as f:"
    ((images,),) = run(f"import pickle\n{opened}\n    tell(pickle.load(f, encoding='bytes')[b'data'])")
    assert images.shape == (10_000, 3072)


FILES = {"data_batch_1", "x/test_batch.mat", "batches.meta", "x/cifar-10-python.tar.gz", "student.py"}
FOLDERS = {"cifar-10-batches-py", "/home/me/CIFAR10/", "Datasets", "data", "mine", "mine/of course", "."}
NOT_THERE = {
    "weights.npz",
    "checkpoint.pkl",
    "results",
    "cifar_weights.npz",
    "data.npz",
    "other",
    "data_batches.npy",
    "",
}


@pytest.mark.parametrize("path", sorted(FILES | FOLDERS | NOT_THERE))
def test_only_the_data_and_what_is_there_is_said_to_be_there(run, tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    asked = "os.path.{}({!r})", "pathlib.Path({!r}).{}()"
    names = ("exists", "exists"), ("isfile", "is_file"), ("isdir", "is_dir")
    answers = ", ".join(asked[0].format(name, path) + ", " + asked[1].format(path, other) for name, other in names)
    ((*said,),) = run(f"import os, pathlib\nDATA = 'mine/of course/data_batch_1'\ntell({answers})")
    truth = [path in FILES | FOLDERS, path in FILES, path in FOLDERS]
    assert said[::2] == truth
    assert said[1::2] == truth or not path  # an empty one is the current folder, there


REACHES = [
    "open('made', 'w').write('x')",
    "io.FileIO('made', 'w')",
    "np.save('made', np.ones(3))",
    "np.memmap('made', mode='w+', shape=3)",
    "np.ones(3).tofile('made')",
    "pathlib.Path('made').write_text('x')",
    "pathlib.Path('made').mkdir()",
    "pathlib.Path('made').touch()",
    "pathlib.Path('kept').touch()",
    "pathlib.Path('kept').unlink()",
    "os.makedirs('made')",
    "os.open('made', os.O_CREAT)",
    "os.remove('kept')",
    "os.rename('kept', 'made')",
    "os.link('kept', 'made')",
    "os.symlink('kept', 'made')",
    "os.truncate('kept', 0)",
    "os.chmod('kept', 0)",
    "os.chown('kept', 1, 1)",
    "os.utime('kept', (1, 1))",
    "os.setxattr('kept', 'user.made', b'x')",
    "os.mkfifo('made')",
    "os.mknod('made')",
    "os.system('touch made')",
    "os.popen('touch made').read()",
    "os.posix_spawnp('touch', ['touch', 'made'], os.environ)",
    "os.spawnlp(os.P_WAIT, 'touch', 'touch', 'made')",
    "os.fork()",
    "pty.fork()",
    "subprocess.run(['touch', 'made'])",
    "p = multiprocessing.get_context('spawn').Process(target=os.mkdir, args=('made',)); p.start(); p.join()",
    "p = multiprocessing.get_context('fork').Process(target=os.mkdir, args=('made',)); p.start(); p.join()",
    "multiprocessing.shared_memory.SharedMemory('made_here', create=True, size=1)",
    "shutil.rmtree('.')",
    "shutil.copy('kept', 'made')",
    "tempfile.mkdtemp(dir='.')",
    "tempfile.mkstemp(dir='.')",
    "tempfile.NamedTemporaryFile(dir='.', delete=False)",
    "sqlite3.connect('made').execute('create table t (c)')",
    "shelve.open('made')",
    "dbm.open('made', 'c')",
    "dbm.dumb.open('made', 'c')",
    "zipfile.ZipFile('made', 'w').close()",
    "tarfile.open('made', 'w').close()",
    "gzip.open('made', 'w').close()",
    "socket.socket(socket.AF_UNIX).bind('made')",
    "ctypes.CDLL(None).mkdir(b'made', 0o700)",
    "resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))",
    "os.chdir('/')",
    "os.fchdir(os.open('/', os.O_RDONLY))",
]
MODULES = (
    "io, os, dbm.dumb, gzip, multiprocessing.shared_memory, pathlib, pty, resource, shelve, shutil, socket, tarfile"
)
MODULES += ", tempfile, zipfile, numpy as np"
LATE = "import ctypes, multiprocessing, scipy.io, sqlite3, subprocess"  # inside, where importing must go on to work


@pytest.mark.parametrize("text", REACHES)
def test_it_leaves_nothing_behind(run, tmp_path, monkeypatch, text):
    def world():
        paths = set(tmp_path.iterdir()) - {tmp_path / "student.py"}
        files = [(path.name, path.stat()[:7], path.stat().st_mtime, attributes(path)) for path in paths]
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        return files, list(Path("/dev/shm").glob("made*")), Path.cwd(), limit

    attributes = getattr(os, "listxattr", lambda _: [])  # of Linux
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").write_text("kept")
    kept, before = (tmp_path / "kept").read_text(), world()
    assert run(f"import {MODULES}\n{LATE}\ntry:\n    {text}\nfinally:\n    tell('tried')") == [("tried",)]
    assert ((tmp_path / "kept").read_text(), world()) == (kept, before)


ASKED_FOR = {
    # what the program demands on its command line, and what it is given
    "add_argument('--eta', type=float, required=True)": {"eta": 0.01},
    "add_argument('n', type=int, nargs=2)": {"n": [10, 10]},
    "add_argument('how', choices=['he', 'xavier'])": {"how": "he"},
    "add_argument('--deep', action='store_true')": {"deep": False},
    "add_mutually_exclusive_group(required=True).add_argument('--all')": {"all": "1"},
    "add_subparsers(dest='do', required=True).add_parser('train').add_argument('--n', type=int, default=3)": {
        "do": "train",
        "n": 3,
    },
}


@pytest.mark.parametrize("asked", ASKED_FOR)
def test_what_has_to_be_given_on_the_command_line_is_made_up(run, asked):
    head = "import argparse\nparser = argparse.ArgumentParser()\n"
    ((given,),) = run(f"{head}parser.{asked}\ntell(vars(parser.parse_args()))")
    assert given == ASKED_FOR[asked]


@pytest.mark.parametrize(("text", "known"), [("1 / 0", True), ("1 / (input() != '')", False)])
def test_an_error_behind_an_answer_that_was_made_up_is_none_of_the_program(tmp_path, text, known):
    file = tmp_path / "student.py"
    file.write_text(text)
    errors = run_whole(read_source(file), Finder(file, known_helpers), lambda function: function, 20.0)
    assert [type(error) for error in errors] == [ZeroDivisionError] * known


def test_it_reaches_no_network(run):
    said = run(
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9))\nexcept Exception as e:\n    tell(str(e))"
    )
    assert "not allowed" in said[0][0]


@pytest.mark.parametrize(
    "caught", ["", "except Exception: pass", "except: pass", "except BaseException as e: tell(e)", "finally: tell()"]
)
def test_it_ends_in_time(run, caught):
    start = time.monotonic()
    tried = f"while True:\n    try:\n        for _ in range(9999): pass\n    {caught}"
    heard = run(tried if caught else "while True: pass", seconds=0.2)
    assert time.monotonic() - start < 0.9  # when it would be stopped again
    assert not any(heard)


def test_what_else_is_raised_is_caught_as_before(run):
    assert run("import sys\ntry: sys.exit()\nexcept: tell(1)\ntry: 1 / 0\nexcept ZeroDivisionError: tell(2)") == [
        (1,),
        (2,),
    ]


@pytest.mark.parametrize("end", ["sys.exit()", "exit()", "os._exit(1)", "os.abort()", "raise KeyboardInterrupt"])
def test_where_the_program_ends_itself_nothing_comes_behind_it(run, end):
    assert run(f"import os, sys\ntell(1)\n{end}\ntell(2)") == [(1,)]


def test_a_stop_in_the_last_moment_is_none(run, monkeypatch):
    setitimer, handler, stops = signal.setitimer, signal.getsignal(signal.SIGPROF), iter([True])

    def late(which, seconds, interval=0.0):
        if seconds == 0 and next(stops, False):
            signal.raise_signal(signal.SIGPROF)
        setitimer(which, seconds, interval)

    monkeypatch.setattr(signal, "setitimer", late)
    assert run("tell(1)") == [(1,)]
    assert next(stops, None) is None
    assert (signal.getitimer(signal.ITIMER_PROF), signal.getsignal(signal.SIGPROF)) == ((0.0, 0.0), handler)


def test_a_process_may_write_again_afterwards(run, tmp_path):
    run("open('made', 'w').write('x')")
    (tmp_path / "after").write_text("x")
    assert (tmp_path / "after").is_file()
