"""Memory that this process may still take: of the machine, of its control groups (containers), and of the setting."""

from collections.abc import Iterator
from pathlib import Path

MB = 2**20
UNLIMITED = 1 << 60  # bytes from which a limit of a control group is none: version 1 has a large number for it


def available_memory(most: float = 0.0, root: Path = Path("/")) -> int:
    """Return the number of bytes that can be allocated without swapping or being killed.

    Args:
        most: Memory in MB that the setting `memory` allows; 0: as much as there is.
        root: Root of the file system.
    """
    import psutil  # few commands need it

    limits = [int(psutil.virtual_memory().available), *_in_groups(root)]
    if most:
        limits.append(int(most * MB))
    return max(0, min(limits))


def _in_groups(root: Path) -> Iterator[int]:
    """Yield the bytes that are left in each control group of this process that has a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # another system than Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        folder = base / path.strip("/")
        for group in (folder, *folder.parents):  # each of them has a limit for all below
            if (left := _left_in(group, *names)) is not None:
                yield left
            if group == base:
                break


def _left_in(group: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    """Return the bytes that are left in a control group; None where it has no limit, or cannot be read."""
    try:
        text = (group / limit).read_text().strip()
        if text == "max" or int(text) >= UNLIMITED:
            return None
        cached = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return max(0, int(text) - int((group / usage).read_text()) + int(cached.get(reclaimable, 0)))
    except (OSError, ValueError):
        return None
