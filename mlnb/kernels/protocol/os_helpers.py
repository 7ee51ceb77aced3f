"""OS helpers: free memory, interpreter flags, child subreaper."""

from pathlib import Path

OOM_SCORE = "500"  # of 1000: when memory ends, the system ends the notebook, not the parent or the driver
SET_CHILD_SUBREAPER = 36  # of linux/prctl.h


def free_memory() -> int:
    """Return the bytes of memory that a new process could take."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 1 << 62


def launcher() -> str:
    """Return what `sys.argv[0]` is in a kernel that Jupyter starts."""
    import ipykernel

    return str(Path(ipykernel.__file__).parent.parent / "ipykernel_launcher.py")


def flags() -> list[str]:
    """Return the options that this interpreter was started with, for another to be started alike."""
    import subprocess

    return list(subprocess._args_from_interpreter_flags())  # type: ignore[attr-defined]


def adopt_orphans() -> None:
    """Make this process the parent of those whose own has ended, so that it hears of their end."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
