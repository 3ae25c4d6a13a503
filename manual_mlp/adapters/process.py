"""The diagnosis of a file in a process of its own, so that nothing it does can stop or change ours.

The child runs every check and sends lines of JSON: which function it is calling, and what came out. A function that
does not return in time takes the child with it; a new child does the rest, in which calling that function fails. All of
it together ends after TOTAL_SECONDS: what was looked at until then is reported.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import manual_mlp
from manual_mlp.adapters.conventions import COURSES

START_SECONDS = 60.0  # to import NumPy and the file, with all that it imports
OUR_SECONDS = 120.0  # between two calls of the file's functions
TOTAL_SECONDS = 300.0  # for the whole file
COMPARED = {"all right", "WRONG", "half done"}  # verdicts of checks in which numbers were compared


@dataclass
class Check:
    """What came out for one operation."""

    title: str
    functions: list[str]
    verdict: str  # "all right", "WRONG", "FAILED", "not run", "half done", "not filled in"
    text: str  # the report
    first: str  # its first wrong place, in one sentence


@dataclass
class FileReport:
    """All checks of a file; print it."""

    name: str
    convention: str
    checks: list[Check] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # Python 2, names that NumPy no longer has
    notes: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)  # what is there in no form that can be judged
    aspects: list[str] = field(default_factory=list)  # what would be looked at if it were there
    why_unseen: str = ""  # why they are not
    stopped: str = ""  # why nothing, or nothing more, could be run

    @property
    def exit_code(self) -> int:
        verdicts = {check.verdict for check in self.checks}
        if not verdicts & COMPARED:
            return 2
        if verdicts & {"WRONG", "FAILED", "half done"} or self.faults or self.stopped:
            return 1
        if "not run" not in verdicts:
            return 0
        return 1 if any(check.verdict == "all right" and check.title != "softmax" for check in self.checks) else 2

    def __str__(self) -> str:
        lines = [f"{self.name}, read as {COURSES[self.convention]}", ""]
        width = max((len(check.title) for check in self.checks), default=0)
        for check in self.checks:
            lines.append(f"  {check.title:<{width}}  {check.verdict:<13}  {', '.join(check.functions)}".rstrip())
        for check in self.checks:
            if check.verdict in ("WRONG", "FAILED", "half done", "not run"):
                lines += ["", check.text]
        if self.faults:
            lines += ["", "Python and NumPy have moved on (the rest was diagnosed as if they had not):"]
            lines += [f"  {fault}" for fault in self.faults]
        notes = [*self.notes]
        for check in self.checks:
            if check.verdict == "all right":
                notes += [f"{check.title}: {line.strip()[6:]}" for line in check.text.split("\n") if "  note: " in line]
        if notes:
            lines += ["", *(f"note: {note}" for note in dict.fromkeys(notes))]
        if self.checks and self.not_looked_at() and not self.is_right():
            lines += ["", f"not looked at: {self.unseen()}"]
        return "\n".join([*lines, "", self.conclusion()])

    def not_looked_at(self) -> list[str]:
        return [
            aspect
            for aspect in self.aspects
            if not any(c.title.startswith(aspect) for c in self.checks if c.verdict not in ("not run", "not filled in"))
        ]

    def unseen(self) -> str:
        return f"{', '.join(self.not_looked_at())} ({self.why_unseen})"

    def is_right(self) -> bool:
        """Whether all that was looked at is right, and nothing else has to be said."""
        verdicts = {check.verdict for check in self.checks}
        return "all right" in verdicts <= {"all right", "not filled in"} and not self.faults and not self.stopped

    def conclusion(self) -> str:
        wrong = [check for check in self.checks if check.verdict in ("WRONG", "FAILED")]
        ran = [check for check in self.checks if check.verdict in COMPARED]
        if self.stopped:
            return f"Nothing more could be run: {self.stopped}" if ran else f"Nothing could be run: {self.stopped}"
        not_run = [check for check in self.checks if check.verdict == "not run"]
        if not ran and (wrong or not_run):
            return f"Nothing could be run. First: {[*wrong, *not_run][0].first}"
        empty = [check.title for check in self.checks if check.verdict == "not filled in"]
        rest = f"; not filled in yet: {', '.join(empty)}" if empty else ""
        if not ran and self.passed_over:
            return f"Nothing could be judged. In no form that is known: {', '.join(self.passed_over)}{rest}."
        if not ran:
            return "Nothing could be run: no function here is filled in that this convention knows."
        if wrong:
            return f"{len(wrong)} of {len(self.checks)} wrong. Begin with {wrong[0].title}: {wrong[0].first}"
        if not_run:
            titles = ", ".join(check.title for check in not_run)
            return f"Nothing wrong was found, but {titles} could not be run: {not_run[0].first}"
        if half := [check for check in self.checks if check.verdict == "half done"]:
            return f"Nothing wrong was found, but {half[0].title} is half done: {half[0].first}{rest}"
        if self.faults:
            return f"The mathematics is right, but it does not run as it stands: {self.faults[0]}"
        if self.not_looked_at():
            return (
                f"All right as far as it was looked at: {len(ran)} of {len(ran)} agree with the reference{rest}. "
                f"Not looked at, and perhaps wrong: {self.unseen()}"
            )
        return f"All right: {len(ran)} of {len(ran)} checked agree with the reference{rest}."


def diagnose_file(
    file: Path,
    convention: str,
    functions: Mapping[str, str],
    arguments: Mapping[str, str],
    seconds: float,
    script: bool = True,
) -> FileReport:
    """Runs child after child until every check has an outcome.

    script   whether the whole file may be run, where calling its functions does not do
    """
    if not file.is_file():
        raise ValueError(f"{file} is not a file; give the Python file that holds your functions")
    report = FileReport(file.name, convention)
    failing: dict[str, str] = {}
    deadline = time.monotonic() + TOTAL_SECONDS
    for _ in range(50):
        settings = {
            "file": str(file.resolve()),
            "convention": convention,
            "functions": dict(functions),
            "arguments": dict(arguments),
            "script": script,
            "failing": failing,
            "finished": [check.title for check in report.checks],
        }
        outcome = one_child(settings, seconds, report, deadline)
        if outcome is None:
            return report
        name, sentence = outcome
        if not name or name in failing:
            report.stopped = sentence
            return report
        failing[name] = sentence
    return report


def one_child(
    settings: Mapping[str, Any], seconds: float, report: FileReport, deadline: float
) -> tuple[str, str] | None:
    """None when it came to its end, else the function it died in and how."""
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "manual_mlp.adapters.child", json.dumps(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=Path(settings["file"]).parent,
            env=environment(),
            start_new_session=True,
        )
        assert child.stdout is not None
        calling, patience = "", {"seconds": START_SECONDS, "deadline": deadline}
        try:
            for event in events(child.stdout, patience):
                if event is None:
                    if time.monotonic() >= deadline:
                        return "", f"the file as a whole takes longer than {TOTAL_SECONDS:g} s"
                    if calling:
                        return calling, f"does not return: it was stopped after {patience['seconds']:g} s"
                    if patience["seconds"] != START_SECONDS:
                        return "", f"comparing it takes longer than {patience['seconds']:g} s"
                    return "", f"importing it takes longer than {START_SECONDS:g} s"
                if "calling" in event:
                    calling, patience["seconds"] = event["calling"], event.get("seconds", seconds)
                elif "returned" in event:
                    calling, patience["seconds"] = "", OUR_SECONDS
                elif "check" in event:
                    report.checks.append(Check(**event["check"]))
                elif "done" in event:
                    report.faults, report.notes, report.stopped = event["faults"], event["notes"], event["stopped"]
                    report.passed_over = event["passed_over"]
                    report.aspects, report.why_unseen = event["aspects"], event["why_unseen"]
                    return None
            child.wait()
            if calling:
                return calling, f"ends the whole process (exit code {child.returncode})"
            errors.seek(0)
            last = errors.read().strip().split("\n")[-1]
            return "", f"the process ended with exit code {child.returncode}. {last}"
        finally:
            end(child)
            child.wait()
            child.stdout.close()


def end(child: subprocess.Popen[str]) -> None:
    """With all that it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    child.kill()


def environment() -> dict[str, str]:
    root = str(Path(manual_mlp.__file__).parent.parent)
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
    }


def events(pipe: IO[str], patience: Mapping[str, float]) -> Iterator[dict[str, Any] | None]:
    """Each line as it comes; None when none has come for so many seconds, or at the deadline."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        try:
            for line in pipe:
                lines.put(line)
        except ValueError:  # closed under us
            pass
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            left = patience["deadline"] - time.monotonic()
            if left <= 0:
                raise queue.Empty
            line = lines.get(timeout=min(patience["seconds"], left))
        except queue.Empty:
            yield None
            return
        if not line:
            return
        yield json.loads(line)
