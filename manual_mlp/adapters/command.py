"""python -m manual_mlp.diagnose FILE.py --convention cs231n | dd2424: what is wrong with this network?

The file's functions are found by their names, called on small random problems in a process of their own, and compared
with this package's, operation by operation.

DD2424: what cannot be called alone - a network whose constructor loads the images, weights drawn in it, batches cut in
the loop - is watched while the whole file runs, script and all, for 40 seconds of computing at most: on random images
under the names of CIFAR-10's files, writing nothing, starting nothing, reaching no network. --no-script leaves that
out.

CS231n: every function of layers.py, layer_utils.py, optim.py and softmax.py, the networks of neural_net.py and
fc_net.py with batch normalization and dropout, .train and .predict. Where one of its files is not beside the others,
ours stand in for it. A file that looks like the other course's is told so.

What cost and gradients are made of, hidden layers and batch normalization included, must run: where a part of it could
not, the file is not all right, and the report says which part and why. What surrounds it - test mode, update,
minibatches, initialization, standardization, schedule, accuracy - is looked at where it is found; what was not is
listed as not looked at. A function that is not filled in yet is said to be so, and is no mistake. Any file ends within
300 seconds, with words.
"""

import argparse
import os
import sys
from pathlib import Path

from manual_mlp.adapters.conventions import COURSES, check_mapped
from manual_mlp.adapters.process import diagnose_file
from manual_mlp.adapters.saved_text import code_of
from manual_mlp.adapters.told import ALLOWED, check_told


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m manual_mlp.diagnose",
        description=__doc__,
        epilog="exit code: 0 all right, 1 something is wrong or a part could not be run, 2 nothing could be run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="the Python file (or notebook) to look at")
    parser.add_argument("--convention", choices=tuple(COURSES), required=True, help="whose names and layouts")
    parser.add_argument(
        "--functions", nargs="+", default=[], metavar="OURS=THEIRS", help="names that are not found by themselves"
    )
    parser.add_argument(
        "--arguments",
        nargs="+",
        default=[],
        metavar="THEIRS=WHAT",
        help=f"DD2424: what belongs in arguments of the file's functions whose names do not tell: {ALLOWED}",
    )
    parser.add_argument(
        "--no-script", action="store_true", help="DD2424: call functions only, never run the whole file"
    )
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="time limit for one call of one function (%(default)s)"
    )
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    settings = arguments(given)
    try:
        if not 0 < settings.seconds < float("inf"):
            raise ValueError(f"--seconds is {settings.seconds:g}; it must be a number above 0")
        mapped = dict(
            pair_of("--functions", pair, "OURS=THEIRS, such as gradients=my_backprop") for pair in settings.functions
        )
        told = dict(pair_of("--arguments", pair, "THEIRS=WHAT, such as pixels=images") for pair in settings.arguments)
        check_mapped(settings.convention, mapped)
        if told and settings.convention != "dd2424":
            raise ValueError("--arguments is for --convention dd2424; CS231n's handout gives every argument its place")
        check_told(told)
        code_of(settings.file)
        script = not settings.no_script
        report = diagnose_file(settings.file, settings.convention, mapped, told, settings.seconds, script=script)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    try:
        print(report, flush=True)
    except BrokenPipeError:  # whoever read the output has closed it, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the last flush cannot fail
    return report.exit_code


def pair_of(option: str, text: str, form: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise ValueError(f"{option} {text!r}: write {form}")
    return left, right
