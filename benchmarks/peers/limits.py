"""Limits of benchmarks, which a busy machine cannot judge."""

import subprocess
import sys
import time
from collections.abc import Mapping

BUSY_SECONDS = 0.02  # that a Python doing nothing takes at most on a machine that can be judged by
BUSY_LOAD = 0.5  # load from which the machine counts as busy


def is_busy() -> bool:
    """Return whether a Python that does nothing takes longer than on an idle machine."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - begin > BUSY_SECONDS


def judge(figures: Mapping[str, float], limits: Mapping[str, float], busy: bool) -> int:
    """Print figures with their limits; return the exit code: 1 when one is exceeded and the machine was idle."""
    print()
    width = max(map(len, limits))
    for name, value in figures.items():
        print(f"{name:{width}} {value:8.2f}   limit {limits[name]:g}{'   exceeded' if value > limits[name] else ''}")
    late = any(value > limits[name] for name, value in figures.items())
    if late and busy:
        print("on a busy machine: not judged")
    return 1 if late and not busy else 0
