"""The walkthrough runs from its first cell to its last, and shows what its stored outputs show."""

import json
import re
import sys
from pathlib import Path

import matplotlib
import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "walkthrough.ipynb"
CELLS = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def stored(cell):
    return "".join("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")


def without_numbers(text):
    """Last digits differ between processors."""
    return re.sub(r"[-+]?\d[\d.e+-]*", "#", text).split()


@pytest.fixture
def at_home(monkeypatch):
    monkeypatch.chdir(NOTEBOOK.parent.parent)
    monkeypatch.setattr(sys, "path", [*sys.path])
    matplotlib.use("Agg")


@pytest.mark.usefixtures("at_home")
def test_the_walkthrough_runs_and_prints_what_it_shows(capsys):
    names: dict = {}
    for cell in CELLS:
        exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
        assert without_numbers(capsys.readouterr().out) == without_numbers(stored(cell))
    assert names["evaluate"](names["trained"], names["splits"].test)[1] > 0.3


def test_every_cell_was_run_in_order_and_its_pictures_are_there():
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    drawn = [cell for cell in CELLS if "plt.show()" in "".join(cell["source"])]
    assert len(drawn) >= 3
    for cell in drawn:
        assert any("image/png" in output.get("data", {}) for output in cell["outputs"])
    assert not [output for cell in CELLS for output in cell["outputs"] if output["output_type"] == "error"]
