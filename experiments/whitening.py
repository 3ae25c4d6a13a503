"""Whitening: what neighbouring pixels have in common is scaled down, so that every direction counts about alike."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


def zca(x: Rows, eps: float) -> Rows:
    """The matrix Z that whitens rows like those of x, x Z, and leaves them looking like images.

        C = x^T x / N = V diag(lambda) V^T,  Z = V diag(1 / sqrt(lambda + eps)) V^T / s

    with s such that x Z has the mean square 1. Directions whose variance lambda is far below eps keep their scale: in
    images they are the finest, and mostly noise. x is centered.

    Shapes: x (N, D) -> Z (D, D)
    Source: Bell and Sejnowski 1997; eps as in Krizhevsky 2009, appendix A.
    """
    covariance = (x.T @ x).astype(np.float64) / len(x)  # (D, D)
    variances, directions = np.linalg.eigh(covariance)  # (D,), (D, D) in columns
    variances = np.maximum(variances, 0)
    gain = 1 / np.sqrt(variances + eps)  # (D,)
    s = np.sqrt(np.mean(variances * gain**2))
    Z: Rows = ((directions * (gain / s)) @ directions.T).astype(np.float32)
    return Z
