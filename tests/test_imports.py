"""Arrows run one way: experiments -> torch_reference -> manual_mlp -> NumPy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imported_by(package):
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield (node.module or package).split(".")[0]


@pytest.mark.parametrize(
    ("package", "allowed"),
    [("manual_mlp", {"numpy", "manual_mlp"}), ("torch_reference", {"numpy", "torch", "manual_mlp", "torch_reference"})],
)
def test_a_package_imports_only_what_it_may(package, allowed):
    assert set(imported_by(package)) - set(sys.stdlib_module_names) <= allowed


def test_manual_mlp_works_with_torch_blocked():
    program = """
import sys
sys.modules["torch"] = None  # any import of torch now raises
import numpy as np
from manual_mlp import MLP, compare_gradients, numerical_gradients
net = MLP([4, 3, 2], batch_norm=True, rng=np.random.default_rng(0), dtype=np.float64)
x, y = np.random.default_rng(1).normal(size=(5, 4)), [0, 1, 0, 1, 1]
assert compare_gradients(net.cost_and_gradients(x, y)[1], numerical_gradients(net, x, y)).agrees
assert set(sys.modules).isdisjoint({"torchvision", "matplotlib", "tqdm", "tyro"})
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
