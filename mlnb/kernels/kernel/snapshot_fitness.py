"""Whether all of a notebook's state is in its own memory, so that a fork of its kernel is a whole copy of it.

A fork copies memory and one thread. What is elsewhere it cannot copy: other threads, other processes, the far end of a
connection, what is written to a file afterwards, a graphics card. A pool of OpenMP threads that has been used hangs
the copy; GNU's is put away before the fork, others make the kernel unfit.
"""

import ctypes
import os
import sys
import threading
import weakref
from collections.abc import Collection
from pathlib import Path

HARD = 2  # omp_pause_hard: let go of all threads; the next parallel region makes new ones
HARMLESS = ("TMonitor",)  # tqdm's, which only refreshes bars that stand still
DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dri")
POOLS = ("polars", "rayon", "tokio")  # threads of these names belong to pools that no fork survives
MODULES = {"numba.np.ufunc.omppool": "numba's parallel loops", "numba.np.ufunc.tbbpool": "numba's parallel loops"}


class Unfit(Exception):
    """A fork would not be a whole copy; the text says why."""


def check(known_threads: Collection[threading.Thread], known: Collection[int]) -> None:
    """Raise `Unfit` unless this process is its main thread, its memory, and nothing else; put OpenMP's threads away.

    What is known is the kernel's own, and made anew in a copy: threads, and descriptors.
    """
    for thread in threading.enumerate():
        if thread is threading.main_thread() or thread in known_threads:
            continue
        if type(thread).__name__ not in HARMLESS:
            raise Unfit(f"the thread {thread.name} is running")
    if any(file.read_text() for file in Path("/proc/self/task").glob("*/children")):
        raise Unfit("a process that the notebook started is running")
    for finalizer in list(weakref.finalize._registry.values()):  # type: ignore[attr-defined]
        if getattr(finalizer.func, "__qualname__", "") == "TemporaryDirectory._cleanup":
            raise Unfit("it has a temporary folder, which ends with the kernel")
    for module, what in MODULES.items():
        if module in sys.modules:
            raise Unfit(f"{what} do not survive a fork")
    _check_descriptors(known)
    pause_openmp(mapped := Path("/proc/self/maps").read_text())
    if any(device in mapped for device in DEVICES):
        raise Unfit("it uses a graphics card")
    for name in Path("/proc/self/task").glob("*/comm"):
        if name.read_text().startswith(POOLS):
            raise Unfit(f"the threads of {name.read_text().strip()} do not survive a fork")


def _check_descriptors(known: Collection[int]) -> None:
    for name in set(os.listdir("/proc/self/fd")) - {str(descriptor) for descriptor in known}:
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
            flags = _flags(name)
        except OSError:  # the listing's own, closed by now
            continue
        if target.startswith("socket:"):
            raise Unfit("it holds a connection")
        if target.startswith("/") and not target.startswith("/dev/") and flags & os.O_ACCMODE != os.O_RDONLY:
            raise Unfit(f"{target} is open for writing")


def _flags(descriptor: str) -> int:
    for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8)
    return 0


def pause_openmp(mapped: str) -> None:
    """End the threads that GNU's OpenMP keeps for this thread. Raises `Unfit` when a copy of it cannot do that."""
    libraries = {line.split(maxsplit=5)[5] for line in mapped.splitlines() if "libgomp" in line.rpartition("/")[2]}
    for path in sorted(libraries):
        try:
            library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
            pause = library.omp_pause_resource_all
        except (OSError, AttributeError):
            raise Unfit(f"{path} is too old to let go of its threads") from None
        if pause(HARD):
            raise Unfit("a parallel region is running")
