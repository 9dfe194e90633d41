"""The clock by which a solution keeps its time."""

import time


def now() -> float:
    """Seconds of wall time.

    On a machine that others use too, `scripts/benchmark_solve.py` puts the processor's time of this
    process in its place, which does not depend on them.
    """
    return time.monotonic()
