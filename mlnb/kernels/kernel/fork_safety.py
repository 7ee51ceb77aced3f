"""Whether all of a notebook's state is in its process's memory, so that a fork is a complete copy.

A fork copies memory and one thread. It does not copy other threads, other processes, the far end of a connection, what
is written to a file later, or a graphics card. Threads of OpenMP that were used hang the copy: GNU's are ended before
the fork, other pools make the process unsafe to fork.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Collection
from pathlib import Path

from mlnb.kernels.protocol import compat
from mlnb.kernels.protocol.os_helpers import has_children

OMP_PAUSE_HARD = 2  # let go of all threads; the next parallel region starts new ones
HARMLESS_THREADS = ("TMonitor",)  # tqdm's, which only refreshes bars that stand still
DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dri")
POOLS = ("polars", "rayon", "tokio")  # threads of these names belong to pools that no fork survives
UNSAFE_MODULES = {
    "numba.np.ufunc.omppool": "numba's parallel loops",
    "numba.np.ufunc.tbbpool": "numba's parallel loops",
}


class NotForkSafe(Exception):
    """A fork would not be a complete copy; the text is the reason."""


def check_fork_safety(own_threads: Collection[threading.Thread], own_descriptors: Collection[int]) -> None:
    """Check that this process is its main thread, its memory and nothing else; end OpenMP's threads.

    Args:
        own_threads: threads of the kernel, which a copy makes anew.
        own_descriptors: descriptors of the kernel, which a copy makes anew.

    Raises:
        NotForkSafe: a fork would not be a complete copy.
    """
    for thread in threading.enumerate():
        if thread is threading.main_thread() or thread in own_threads:
            continue
        if type(thread).__name__ not in HARMLESS_THREADS:
            raise NotForkSafe(f"the thread {thread.name} is running")
    if has_children():
        raise NotForkSafe("a process that the notebook started is running")
    if compat.has_temporary_directory():
        raise NotForkSafe("it has a temporary folder, which ends with the kernel")
    for module, what in UNSAFE_MODULES.items():
        if module in sys.modules:
            raise NotForkSafe(f"{what} do not survive a fork")
    _check_descriptors(own_descriptors)
    pause_openmp(maps := Path("/proc/self/maps").read_text())
    if any(device in maps for device in DEVICES):
        raise NotForkSafe("it uses a graphics card")
    for name in Path("/proc/self/task").glob("*/comm"):
        if name.read_text().startswith(POOLS):
            raise NotForkSafe(f"the threads of {name.read_text().strip()} do not survive a fork")


def _check_descriptors(own: Collection[int]) -> None:
    for name in set(os.listdir("/proc/self/fd")) - {str(descriptor) for descriptor in own}:
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
            flags = _open_flags(name)
        except OSError:  # the listing's own descriptor, closed by now
            continue
        if target.startswith("socket:"):
            raise NotForkSafe("it holds a connection")
        if target.startswith("/") and not target.startswith("/dev/") and flags & os.O_ACCMODE != os.O_RDONLY:
            raise NotForkSafe(f"{target} is open for writing")


def _open_flags(descriptor: str) -> int:
    for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8)
    return 0


def pause_openmp(maps: str) -> None:
    """End the threads that GNU's OpenMP keeps for this thread.

    Args:
        maps: the text of /proc/self/maps.

    Raises:
        NotForkSafe: a loaded library of GNU's OpenMP cannot do that.
    """
    libraries = {line.split(maxsplit=5)[5] for line in maps.splitlines() if "libgomp" in line.rpartition("/")[2]}
    for path in sorted(libraries):
        try:
            library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
            pause = library.omp_pause_resource_all
        except (OSError, AttributeError):
            raise NotForkSafe(f"{path} is too old to let go of its threads") from None
        if pause(OMP_PAUSE_HARD):
            raise NotForkSafe("a parallel region is running")
