"""The process in which a stranger's file runs: reads it, checks what it knows, sends what came out as lines of JSON."""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from manual_mlp.adapters import cs231n, dd2424
from manual_mlp.adapters.conventions import looks_like_another
from manual_mlp.adapters.guard import Event, Failed, Guard, quiet
from manual_mlp.adapters.process import COMPARED
from manual_mlp.adapters.program import Inspection, Program
from manual_mlp.adapters.restraint import restrained
from manual_mlp.adapters.source import execute, module_of, read_source
from manual_mlp.adapters.stubs import PACKAGE, Finder, Old, names_of_python_2
from manual_mlp.adapters.unfilled import HALF_DONE
from manual_mlp.diagnosis.report import Report
from manual_mlp.diagnosis.strangers import NOT_COMPUTED

CONVENTIONS: dict[str, Any] = {"cs231n": cs231n, "dd2424": dd2424}
VERDICTS = {"unfilled": "not filled in", "empty": "not filled in", "uncallable": "not run", "missing": "not run"}
FOLDER = ".".join([PACKAGE] * 4)  # what the file's relative imports are relative to


def main(settings: Mapping[str, Any]) -> None:
    end_with_parent()
    send = sender()
    sys.setrecursionlimit(2000)
    try:
        with restrained(), loaded(settings, send) as program:
            for event in outcomes(program, settings["convention"], settings["finished"]):
                send(event)
    except (ValueError, OSError) as error:
        nothing: dict[str, Any] = {key: [] for key in ("faults", "notes", "passed_over", "aspects")}
        send({"done": True, **nothing, "stopped": str(error), "why_unseen": ""})


def outcomes(program: Program, convention: str, finished: Iterable[str] = ()) -> Iterator[dict[str, Any]]:
    """One check after the other, at last what is to be said about the file."""
    rules = CONVENTIONS[convention]
    inspections = rules.inspections(program)
    another = looks_like_another(program, convention)
    stopped = another if another and not inspections else ""
    passed_over = []
    verdicts = dict.fromkeys(finished, "")
    for inspection in inspections:
        before = {verdicts[title] for title in verdicts if inspection.again and title.startswith(inspection.again)}
        if before - {"all right"}:
            continue
        if inspection.title in finished:
            if inspection.read:
                with contextlib.suppress(Exception):  # said already, by the process before
                    inspection.run()
        else:
            result = outcome(inspection, program)
            if another and result is not None and result["verdict"] != "all right":
                stopped = another  # numbers that were asked for in the wrong layout accuse nobody
                break
            elif result is not None and not (before and result["verdict"] != "WRONG"):
                if result["verdict"] in COMPARED:
                    verdicts[inspection.title] = result["verdict"]
                yield {"check": result}
            elif not before:
                passed_over.append(inspection.title)
    if another and not stopped:
        program.guard.note(another)
    yield {
        "done": True,
        "faults": [fault for _, fault in program.source.faults] + program.old_names_used(),
        "notes": program.all_notes(),
        "stopped": stopped or ("" if inspections else rules.nothing_found(program)),
        "passed_over": passed_over,
        "aspects": rules.aspects(program, inspections),
        "why_unseen": rules.WHY_UNSEEN,
    }


def end_with_parent() -> None:
    """Where that is killed, nobody else ends this process."""
    parent, leave, pause = os.getppid(), os._exit, threading.Event()

    def watch() -> None:
        while os.getppid() == parent:
            pause.wait(1.0)
        leave(1)

    threading.Thread(target=watch, daemon=True).start()


def sender() -> Event:
    """Our lines get the real standard output; whatever the file prints gets none."""
    channel = os.dup(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)

    def send(event: dict[str, Any]) -> None:
        os.write(channel, (json.dumps(event) + "\n").encode())

    return send


@contextlib.contextmanager
def loaded(settings: Mapping[str, Any], send: Event) -> Iterator[Program]:
    """The file as a program. For as long as it is in use, imports go past our finder and NumPy has its old names."""
    path, convention = Path(settings["file"]), CONVENTIONS[settings["convention"]]
    source = read_source(path)
    finder, old, before = Finder(path, convention.known_helpers), Old(), set(sys.modules)
    sys.meta_path.insert(0, finder)
    old.install()
    try:
        module = module_of(source, f"{FOLDER}.{path.stem}", FOLDER)
        module.__dict__.update(names_of_python_2(), xrange=old.xrange)
        module.__dict__["np"] = np  # which many get from a star import
        sys.modules[module.__name__] = module
        np.random.seed(0)  # noqa: NPY002 - the file's own draws come out alike every time
        with quiet():
            execute(source, module.__dict__)
        guard = Guard([source, *finder.sources.values()], send, settings.get("failing", {}))
        told, script = settings["arguments"], settings.get("script", True)
        yield Program(source, module.__dict__, guard, settings["functions"], told, finder, old, script)
    finally:
        old.uninstall()
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before:
            if isinstance(getattr(sys.modules[name], "__loader__", None), Finder) or name.startswith(PACKAGE):
                del sys.modules[name]


def outcome(inspection: Inspection, program: Program) -> dict[str, Any] | None:
    """What to say about one inspection; None where there is nothing to inspect after all."""
    program.guard.begin()
    try:
        report = inspection.run()
    except Failed as failed:
        if failed.kind == "absent":
            return None
        verdict = VERDICTS.get(failed.kind, "FAILED")
        return check(inspection, verdict, f"{inspection.title}: {failed}", str(failed))
    except Exception as error:
        if os.environ.get("MANUAL_MLP_RAISE"):
            raise
        text = f"the diagnosis itself failed ({type(error).__name__}: {error})"
        return check(inspection, "not run", f"{inspection.title}: {text}", text)
    report = program.guard.explain(replace(report, subject=inspection.title))
    if report.ok:
        return check(inspection, "all right", str(report), "")
    first = report.findings[0]
    empty = {str(failed) for failed in program.guard.failures if failed.kind == "empty"}
    if not report.agreeing and all(finding.mistake == "unfilled" for finding in report.findings):
        return check(inspection, "not filled in", str(report), str(first.sentence))
    accused = [finding for finding in report.findings if not finding.remark]
    if all(finding.sentence in {*empty, NOT_COMPUTED} or finding.mistake == HALF_DONE for finding in accused):
        missing = [f"  still missing: {finding.place}: {finding.sentence}" for finding in accused]
        rest = replace(report, findings=[finding for finding in report.findings if finding.remark])
        text = "\n".join([str(rest).replace("all right", "right as far as it goes", 1), *missing])
        return check(inspection, "half done", text, f"{first.place}: {first.sentence}")
    verdict = "WRONG" if report.agreeing or compared(report) else "FAILED"
    return check(inspection, verdict, str(report), f"{first.place}: {first.sentence}")


def compared(report: Report) -> bool:
    return any(finding.mistake not in ("raises", "unfilled", "wrong_type") for finding in report.findings)


def check(inspection: Inspection, verdict: str, text: str, first: str) -> dict[str, Any]:
    return {
        "title": inspection.title,
        "functions": list(inspection.functions),
        "verdict": verdict,
        "text": text,
        "first": first,
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    os._exit(0)  # not what the file has registered for the end, nor its threads
