"""python -m manual_mlp.diagnose: its exit codes, and what it survives."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import PATIENCE

from manual_mlp.adapters import process
from manual_mlp.adapters.command import main
from manual_mlp.adapters.saved_text import code_of
from manual_mlp.adapters.told import check_told

STRANGERS = Path(__file__).parent / "strangers"
RELU = """
def relu_forward(x):
    return x * (x > 0), x

def relu_backward(dout, cache):
    return dout * (cache > 0)
"""


def in_a_process(*arguments):
    command = [sys.executable, "-m", "manual_mlp.diagnose", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, timeout=PATIENCE)


@pytest.fixture
def diagnose(capsys):
    """As `in_a_process`, but only the file has one."""

    def run(*arguments):
        try:
            code = main([*map(str, arguments)])
        except SystemExit as ended:  # argparse's
            code = ended.code
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run


@pytest.fixture
def file(tmp_path):
    def write(text, name="layers.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_all_right_is_exit_code_0(file):
    run = in_a_process(file(RELU), "--convention", "cs231n")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.endswith("All right: 1 of 1 checked agree with the reference.\n")
    assert not run.stderr


def test_all_right_says_what_was_not_looked_at(diagnose):
    run = diagnose(STRANGERS / "dd2424" / "two_layers.py", "--convention", "dd2424")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == (
        "All right as far as it was looked at: 4 of 4 agree with the reference. Not looked at, and perhaps wrong: "
        "update, minibatches, standardization, accuracy (not in the file, or in no form that is known)"
    )


def test_something_wrong_says_what_was_not_looked_at(diagnose, file):
    text = (STRANGERS / "dd2424" / "two_layers.py").read_text().replace("G[h <= 0] = 0", "G[G <= 0] = 0")
    run = diagnose(file(text), "--convention", "dd2424")
    assert run.returncode == 1
    assert "\nnot looked at: update, minibatches, standardization, accuracy (" in run.stdout


def test_a_file_that_takes_too_long_ends_with_words(file, monkeypatch):
    text = RELU + "\n\ndef affine_forward(x, w, b):\n    import time\n    time.sleep(100)\n"
    monkeypatch.setattr(process, "TOTAL_SECONDS", 1.0)
    report = process.diagnose_file(file(text), "cs231n", {}, {}, seconds=60.0)
    assert report.exit_code in (1, 2)
    assert str(report).endswith("the file as a whole takes longer than 1 s")


def test_a_network_of_which_a_part_could_not_run_is_exit_code_1(diagnose, file):
    text = (STRANGERS / "dd2424" / "dictionaries.py").read_text()
    text = text.replace("(X, Y, fp_data,", "(X, Y, fp_data, mystery,")
    run = diagnose(file(text), "--convention", "dd2424")
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1].startswith("Nothing wrong was found, but network could not be run: BackwardPass")


def test_something_wrong_is_exit_code_1_and_says_where_to_begin(file):
    run = in_a_process(file(RELU.replace("dout * (cache > 0)", "dout * (dout > 0)")), "--convention", "cs231n")
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1].startswith(
        "1 of 1 wrong. Begin with ReLU: relu backward: dx: the mask is taken from"
    )
    assert "docs/derivations.md#relu" in run.stdout


def test_a_remark_is_exit_code_0_and_a_note(diagnose, file):
    text = """
import numpy as np

def softmax_loss(x, y):
    p = np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True)
    dx = p.copy()
    dx[np.arange(len(y)), y] -= 1
    return -np.mean(np.log(p[np.arange(len(y)), y])), dx / len(y)
"""
    run = diagnose(file(text), "--convention", "cs231n")
    assert run.returncode == 0, run.stdout
    assert "note: softmax: right at usual inputs, but softmax_cross_entropy forward: loss, large class" in run.stdout
    assert "not shifted by the row's maximum" in run.stdout


@pytest.mark.parametrize(
    ("beside", "said"),
    [("", "."), ("def softmax(s):\n    pass\n", "; not filled in yet: softmax.")],
    ids=["alone", "beside what is not filled in"],
)
def test_a_schedule_that_cannot_be_judged_is_not_called_unfilled(diagnose, file, beside, said):
    run = diagnose(
        file(f"{beside}def get_eta(t, tau):\n    return 0.1 * 0.5 ** (t // tau)\n"), "--convention", "dd2424"
    )
    assert run.returncode == 2
    assert f"Nothing could be judged. In no form that is known: schedule get_eta{said}" in run.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import numpy as np\nx = np.load('data.npy')\n", "Nothing could be run: layers.py defines no function"),
        ("def relu_forward(x):\n    pass\n", "no function here is filled in"),
        ("def f(:\n", "is not Python"),
        ("x = = 1\n", "note: line 1 could not be read: `x = = 1` is not Python"),
        ("x = = 1\n", "; line 1: `x = = 1` is not Python"),
        ("# nothing yet\n", "defines no function"),
    ],
    ids=["a script alone", "unfilled", "not Python", "no function", "no function's line", "a comment alone"],
)
def test_nothing_to_run_is_exit_code_2(diagnose, file, text, said):
    run = diagnose(file(text), "--convention", "cs231n")
    assert run.returncode == 2
    assert said in run.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.py", "--convention", "cs231n"], "nowhere.py is not a file"),
        ([STRANGERS / "cs231n" / "layers.py", "--convention", "cs231n", "--functions", "relu"], "write OURS=THEIRS"),
        ([STRANGERS / "cs231n" / "layers.py", "--convention", "keras"], "invalid choice: 'keras'"),
        (["layers.py", "--convention", "dd2424", "--arguments", "q"], "--arguments 'q': write THEIRS=WHAT"),
        (
            ["layers.py", "--convention", "dd2424", "--arguments", "q=pictures"],
            "pictures must be one of images, onehot",
        ),
        (["layers.py", "--convention", "cs231n", "--arguments", "q=images"], "--arguments is for --convention dd2424"),
    ],
    ids=["no file", "no pair", "no such convention", "nothing told", "no such role", "CS231n needs no roles"],
)
def test_a_wrong_command_line_is_one_sentence(diagnose, arguments, said):
    run = diagnose(*arguments)
    assert run.returncode == 2
    assert said in run.stderr
    assert "Traceback" not in run.stderr


NAMELESS = """
import numpy as np

def compute_cost(q, Y, W, b, r, scale):
    P = evaluate_classifier(q, W, b, scale)
    return -np.log((Y * P).sum(axis=0)).mean() + r * (W ** 2).sum()

def evaluate_classifier(q, W, b, scale):
    e = np.exp(scale * (W @ q + b))
    return e / e.sum(axis=0)

def compute_gradients(q, Y, P, W, r):
    G = (P - Y) / q.shape[1]
    return G @ q.T + 2 * r * W, G.sum(axis=1, keepdims=True)
"""


@pytest.mark.parametrize(
    ("told", "verdict", "code"),
    [
        ([], "--arguments q=WHAT", 2),
        (["q=images", "r=lambda", "scale=1"], "network  all right", 0),
        (["q=images", "r=lambda", "scale=2"], "network  WRONG", 1),
        (["q=images", "R=lambda"], "no function of layers.py has an argument R", 2),
    ],
    ids=["what to do is said", "told", "told something else", "no such argument"],
)
def test_what_belongs_in_an_argument_can_be_told(diagnose, file, told, verdict, code):
    run = diagnose(file(NAMELESS), "--convention", "dd2424", *(["--arguments", *told] if told else []))
    assert verdict in run.stdout
    assert run.returncode == code


@pytest.mark.parametrize("what", ["images", "weights1", "gamma2", "None", "0.9", '"train"', "[]", "-1"])
def test_a_role_or_a_value_is_told(what):
    check_told({"theirs": what})


CELL = {"cell_type": "code", "source": ["\n"]}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("layers.py", b"", "layers.py is empty"),
        ("layers.py", RELU.encode("utf-16"), "is saved as UTF-16"),
        ("layers.py", b"\0\1\2", "is not text"),
        ("layers.ipynb", b"cells:\n", "line 1 is not JSON"),
        ("layers.ipynb", b'{"nbformat": 4}', "has no list of cells"),
        ("layers.ipynb", b"[]", "has no list of cells"),
        ("layers.ipynb", json.dumps({"cells": [{"cell_type": "code"}, CELL]}).encode(), "has no code in it"),
        ("folder", None, "is a folder"),
    ],
    ids=["empty", "UTF-16", "bytes", "no JSON", "no cells", "a list", "no code", "a folder"],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, capsys, name, data, said):
    path = tmp_path / name
    path.mkdir() if data is None else path.write_bytes(data)
    assert main([str(path), "--convention", "cs231n"]) == 2
    out, error = capsys.readouterr()
    assert not out
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert said in error


def test_letters_that_are_not_utf_8_are_a_fault_and_declared_ones_are_not(tmp_path):
    path = tmp_path / "layers.py"
    swedish = "# L\u00f6sning\n" + RELU
    path.write_bytes(b"\n" + swedish.encode("latin-1"))
    text, faults = code_of(path)
    assert "L\u00f6sning" in text
    assert faults == [(2, "line 2: it is not UTF-8; save the file as UTF-8")]
    path.write_bytes(b"# -*- coding: latin-1 -*-\n" + swedish.encode("latin-1"))
    assert code_of(path) == ("# -*- coding: latin-1 -*-\n" + swedish, [])


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_time_limit_is_above_0(file, capsys, seconds):
    assert main([str(file(RELU)), "--convention", "cs231n", f"--seconds={seconds}"]) == 2
    assert "it must be a number above 0" in capsys.readouterr().err


def test_a_function_that_cannot_be_mapped_is_exit_code_2(file, capsys):
    assert main([str(file(RELU)), "--convention", "cs231n", "--functions", "rely_forward=relu_forward"]) == 2
    assert "did you mean relu_forward?" in capsys.readouterr().err


def test_functions_that_never_return_or_end_the_process_cost_only_themselves(file):
    text = (
        RELU
        + """
import os

def affine_forward(x, w, b):
    while True:
        try:
            pass
        except BaseException:
            pass

def affine_backward(dout, cache):
    pass

def batchnorm_forward(x, gamma, beta, bn_param):
    os._exit(7)

def softmax_loss(x, y):
    print("a result nobody reads" * 10000)
    os.write(1, b"not json")
    raise SystemExit
"""
    )
    run = in_a_process(file(text), "--convention", "cs231n", "--seconds", "1")
    assert run.returncode == 1
    assert "affine_forward does not return: it was stopped after 1 s" in run.stdout
    assert "batchnorm_forward ends the whole process (exit code 7)" in run.stdout
    assert "softmax_loss raises an error" in run.stdout
    assert "it ends the whole program (exit)" in run.stdout
    assert "ReLU        all right" in run.stdout


def test_a_backward_pass_that_never_returns_leaves_the_forward_pass_diagnosed(diagnose, file):
    text = RELU.replace("    return dout * (cache > 0)", "    while True: pass")
    run = diagnose(file(text), "--convention", "cs231n", "--seconds", "1")
    assert run.returncode == 1
    assert "agrees: relu forward: out" in run.stdout
    assert "relu backward: relu_backward does not return" in run.stdout


def test_functions_that_are_called_write_nothing(diagnose, file, tmp_path):
    kept = tmp_path / "weights.npz"
    np.savez(kept, w=np.ones(3))
    before = kept.read_bytes()
    text = RELU.replace(
        "def relu_forward(x):\n",
        """
def relu_forward(x):
    np.savez("weights.npz", x=x)
    np.savetxt("x.txt", x)
    np.save(os.path.join(tempfile.mkdtemp(), "x.npy"), x)
    with open("log", "a") as log:
        log.write("called")
    atexit.register(np.save, "at_the_end.npy", x)
    threading.Thread(target=lambda: [time.sleep(0.2), np.save("afterwards.npy", x)]).start()
""",
    )
    text += "\nclass Log:\n    file = open('log of the class', 'w')\n"
    run = diagnose(file("import atexit, os, tempfile, threading, time\n" + text), "--convention", "cs231n")
    assert run.returncode == 0, run.stdout
    time.sleep(0.4)
    assert kept.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"weights.npz", "layers.py"}


FORBIDDEN = {
    "os.fork()": "os.fork is not allowed here",
    "tempfile.mkstemp()": "open is not allowed here",
    "x.tofile(open('made', 'wb'))": "fileno",
}


@pytest.mark.parametrize("line", FORBIDDEN)
def test_a_function_that_reaches_out_of_its_process_is_not_run(diagnose, file, line):
    text = RELU.replace("    return x * (x > 0), x", f"    {line}\n    return x * (x > 0), x")
    run = diagnose(file("import os, tempfile\n" + text), "--convention", "cs231n")
    assert run.returncode == 2
    assert f"relu_forward is not run here: line 4: `{line}`: {FORBIDDEN[line]}" in run.stdout


ENDED_WITH_ITS_PARENT = """
import subprocess, sys
child = "import time; from manual_mlp.adapters.child import end_with_parent; end_with_parent(); print(1, flush=True)"
subprocess.run([sys.executable, "-c", child + "; time.sleep(60)"], start_new_session=True)
"""


def test_the_process_of_a_file_ends_with_the_one_that_has_started_it():
    root = Path(__file__).parent.parent
    with subprocess.Popen([sys.executable, "-c", ENDED_WITH_ITS_PARENT], stdout=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout.readline() == b"1\n"
        parent.kill()
        start = time.monotonic()
        assert parent.stdout.read() == b""  # the end of what both may write to
    assert time.monotonic() - start < 20.0


def test_the_script_of_a_file_does_not_run(diagnose, file, tmp_path):
    text = (
        RELU
        + """
open("trace", "w").write("the script ran")
while True:
    pass
"""
    )
    run = diagnose(file(text), "--convention", "cs231n")
    assert run.returncode == 0
    assert not (tmp_path / "trace").exists()


def test_files_beside_it_do_not_shadow_the_libraries(diagnose, file):
    file("raise SystemExit('this random is not the library')", "random.py")
    file("print('this json is not the library')", "json.py")
    run = diagnose(file(RELU), "--convention", "cs231n")
    assert run.returncode == 0, run.stdout


def test_a_line_that_goes_on_with_a_percent_sign_is_no_magic(diagnose, file):
    run = diagnose(
        file(RELU.replace("def relu_forward(x):\n", "def relu_forward(x):\n    print('%d images'\n    % len(x))\n")),
        "--convention",
        "cs231n",
    )
    assert run.returncode == 0, run.stdout
    assert "could not be read" not in run.stdout


def test_a_notebook_is_read_cell_by_cell(diagnose, file):
    cells = [
        {"cell_type": "markdown", "source": ["# Layers"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!ls\n", "import numpy as np"]},
        {"cell_type": "code", "source": "%%bash\ncd cs231n && make"},
        {"cell_type": "code", "source": "%%time\n" + RELU},
        {"cell_type": "code", "source": ["relu_forward?\n", "?relu_forward\n", "relu_backward??"]},
        {"cell_type": "code", "source": ["relu_forward(np.load('x.npy'))"]},
    ]
    run = diagnose(file(json.dumps({"cells": cells}), "layers.ipynb"), "--convention", "cs231n")
    assert run.returncode == 0, run.stdout
    assert "could not be read" not in run.stdout
