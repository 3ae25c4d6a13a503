"""The text of a program as it is saved: a Python file in whatever encoding, or a notebook, whose code it is."""

import codecs
import contextlib
import json
import re
from pathlib import Path
from typing import Any

PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")  # others make the cell another language's


def code_of(path: Path) -> tuple[str, list[tuple[int, str]]]:
    """The text of a file, of a notebook its code; and why Python could not read it as it is saved, by line."""
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "not a file"
        raise ValueError(f"{path} is {kind}; give the Python file that holds your functions")
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{path.name} is saved as UTF-16, which Python does not read; save it as UTF-8")
    if b"\0" in data:
        raise ValueError(f"{path.name} is not text; give the Python file or the notebook that holds your functions")
    if not data.strip():
        raise ValueError(f"{path.name} is empty; has your editor saved it?")
    text, faults = decoded(data)
    return (notebook_code(path.name, text) if path.suffix == ".ipynb" else text), faults


def decoded(data: bytes) -> tuple[str, list[tuple[int, str]]]:
    """As UTF-8 or what the first two lines declare; else a letter a byte, and the first line that is not UTF-8."""
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
    declared = re.match(rb"(?:.*\n)?.*coding[:=][ \t]*([-\w.]+)", data)
    if declared is not None:
        with contextlib.suppress(LookupError, UnicodeDecodeError):
            return data.decode(declared.group(1).decode()), []
    return data.decode("latin-1"), [(number, f"line {number}: it is not UTF-8; save the file as UTF-8")]


def notebook_code(name: str, text: str) -> str:
    try:
        notebook = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is no notebook: line {error.lineno} is not JSON ({error.msg})") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise ValueError(f"{name} is no notebook of today's format: it has no list of cells")
    code = [code_in(cell) for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    if not any(cell.strip() for cell in code):
        raise ValueError(f"{name} has no code in it: none of its {len(cells)} cells is one of code, or all are empty")
    return "\n\n".join(code)


def code_in(cell: dict[str, Any]) -> str:
    """Without what only a notebook understands: a cell of the shell's, a question about a name."""
    text = "".join(cell.get("source", ""))
    if text.lstrip().startswith("%%") and not text.lstrip().startswith(PYTHON_MAGICS):
        return ""
    return "\n".join(
        "" if re.fullmatch(r"\s*\?*[\w.]+\?+\s*|\s*\?+[\w.]+\s*", line) else line for line in text.split("\n")
    )
