"""What several seeds say together: mean, spread, and how sure a difference is."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit  # the quantile of Student's t; scipy.stats takes a second to import


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def standard_deviation(values: Sequence[float]) -> float:
    """Of a sample (divisor n - 1); NaN for a single value, which tells nothing of it."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def standard_error(values: Sequence[float]) -> float:
    """Of the mean."""
    return standard_deviation(values) / math.sqrt(len(values))


def confidence_interval(differences: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student's interval for the mean of paired differences; infinite for a single one."""
    if len(differences) < 2:
        return -math.inf, math.inf
    reach = float(stdtrit(len(differences) - 1, (1 + level) / 2)) * standard_error(differences)
    return mean(differences) - reach, mean(differences) + reach
