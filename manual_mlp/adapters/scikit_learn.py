"""What DD2424's programs compute with of scikit-learn, which takes seconds to import and may not be here.

Only as far as they use it: dense arrays, and the arguments that they give.
"""

import types
from typing import Any

import numpy as np


def permuted(count: int, random_state: Any) -> Any:
    """A random order of so many rows; random_state: a seed, or a generator to draw from."""
    if hasattr(random_state, "permutation"):
        return random_state.permutation(count)
    return np.random.default_rng(random_state).permutation(count)


def shuffle(*arrays: Any, random_state: Any = None, n_samples: int | None = None) -> Any:
    """All along their first axis, all in the same order."""
    order = permuted(len(arrays[0]), random_state)[:n_samples]
    shuffled = [np.asarray(array)[order] for array in arrays]
    return shuffled if len(shuffled) > 1 else shuffled[0]


def train_test_split(
    *arrays: Any,
    test_size: Any = None,
    train_size: Any = None,
    random_state: Any = None,
    shuffle: bool = True,
    **_: Any,
) -> list[Any]:
    """The rows of each array in two parts, in the same random order; a share or a number of them for each."""
    count = len(arrays[0])

    def rows(size: Any, whole: Any) -> int:
        return int(whole(size * count)) if isinstance(size, float) else int(size)

    if test_size is None:
        test_size = 0.25 if train_size is None else count - rows(train_size, np.floor)
    held_out = rows(test_size, np.ceil)
    kept = count - held_out if train_size is None else rows(train_size, np.floor)
    order = permuted(count, random_state)
    parts = (order[held_out : held_out + kept], order[:held_out])
    if not shuffle:
        parts = (np.arange(kept), np.arange(kept, kept + held_out))
    return [np.asarray(array)[part] for array in arrays for part in parts]


def accuracy_score(right: Any, predicted: Any) -> float:
    return float(np.mean(np.asarray(right) == np.asarray(predicted)))


class Dense(np.ndarray[Any, Any]):
    """An array that can also be asked for itself, as a sparse one is."""

    def toarray(self) -> Any:
        return np.asarray(self)

    todense = toarray


class OneHot:
    """LabelBinarizer and OneHotEncoder: (n,) or (n, 1) -> (n, K), the classes in order."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.classes_: Any = None

    def fit(self, y: Any, *_: Any) -> "OneHot":
        self.classes_ = np.unique(np.asarray(y))
        return self

    def transform(self, y: Any) -> Any:
        rows: Any = np.asarray(y).reshape(-1, 1) == self.classes_
        return rows.astype(np.float64).view(Dense)

    def fit_transform(self, y: Any, *_: Any) -> Any:
        return self.fit(y).transform(y)


class StandardScaler:
    """(x - mean) / std, column by column; where a column does not change, std counts as 1."""

    def __init__(self, *_: Any, with_mean: bool = True, with_std: bool = True, **__: Any) -> None:
        self.with_mean, self.with_std = with_mean, with_std
        self.mean_: Any = None
        self.scale_: Any = None

    def fit(self, x: Any, *_: Any) -> "StandardScaler":
        mean, std = np.mean(x, axis=0), np.std(x, axis=0)
        self.mean_ = mean if self.with_mean else np.zeros_like(mean)
        self.scale_ = np.where(std > 0, std, 1.0) if self.with_std else np.ones_like(std)
        return self

    def transform(self, x: Any) -> Any:
        return (np.asarray(x) - self.mean_) / self.scale_

    def fit_transform(self, x: Any, *_: Any) -> Any:
        return self.fit(x).transform(x)


MODULES: dict[str, dict[str, Any]] = {
    "utils": {"shuffle": shuffle},
    "metrics": {"accuracy_score": accuracy_score},
    "model_selection": {"train_test_split": train_test_split},
    "preprocessing": {"LabelBinarizer": OneHot, "OneHotEncoder": OneHot, "StandardScaler": StandardScaler},
}
SCIKIT_LEARN = {name: value for contents in MODULES.values() for name, value in contents.items()}
SCIKIT_LEARN |= {name: types.SimpleNamespace(**contents) for name, contents in MODULES.items()}
