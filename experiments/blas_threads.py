"""The threads of NumPy's BLAS, and the cores that they keep busy while they have nothing to do."""

import os


def sleep_soon() -> None:
    """To be called before NumPy is imported. OpenBLAS's threads wait 2^26 cycles for the next product before they
    sleep, and take a core for it; an update of a wide network, which other threads make, would have to share it. Now
    they wait 2^20, a quarter of a millisecond, which is longer than a pass through a layer leaves them alone.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")
