"""What is asked of the machine and of the interpreter."""

import subprocess
from pathlib import Path


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
    return list(subprocess._args_from_interpreter_flags())  # type: ignore[attr-defined]
