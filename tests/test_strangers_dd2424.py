"""Programs in DD2424's conventions that want more than their functions called: what is a choice, what was not seen."""

from pathlib import Path

import pytest

STRANGERS = Path(__file__).parent / "strangers" / "dd2424"


def program(file, **replacements):
    """The text of a stranger's file, with other lines in it."""
    text = (STRANGERS / f"{file}.py").read_text()
    for source, instead in replacements.get("lines", {}).items():
        assert source in text
        text = text.replace(source, instead)
    return text


def test_a_network_that_always_normalizes_is_not_asked_for_another_mode(inspected):
    checks, last = inspected("always_normalized.py", "dd2424")
    assert "network" not in checks
    assert any("always normalizes" in note for note in last["notes"])


@pytest.mark.parametrize(
    ("sigmas", "verdict"),
    [
        ("(0.1, 0.001)", "all right"),
        ("(1e-4, 1e-4)", "all right"),
        ("(2 / d, 2 / m)", "WRONG"),
        ("(0 * d, 0)", "WRONG"),
    ],
)
def test_fixed_standard_deviations_are_a_choice(inspected, sigmas, verdict):
    text = program("always_normalized", lines={"sigmas=(0.1, 0.001)": "", "rng = np": f"sigmas = {sigmas}; rng = np"})
    checks, _ = inspected("student.py", "dd2424", text, only="initialization")
    assert checks["initialization"]["verdict"] == verdict
    assert ("fixed standard deviation" in checks["initialization"]["text"]) == (verdict == "all right")


def test_a_sigma_that_is_0_by_default_is_not_the_only_way_to_draw(inspected):
    ways = 'std if init == "fixed" else np.sqrt(2 / n_in) if init == "he" else None'
    text = program("first_time", lines={'np.sqrt(2 / n_in) if init == "he" else std': ways, "std=0.01": "std=0"})
    checks, _ = inspected("student.py", "dd2424", text, only="initialization")
    assert checks["initialization"]["verdict"] == "all right"


def test_what_computes_with_a_library_that_is_not_run_is_said_so(inspected):
    text = "import torch\n" + program("two_layers", lines={"np.maximum(0, s1)": "torch.relu(torch.tensor(s1))"})
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "not run"
    assert "computes with something that is not run here" in checks["network"]["text"]
    assert "torch.relu" in checks["network"]["text"]
