"""The part of a process that a kernel takes over: working directory, environment, umask, processors, limits."""

import os
import resource

import msgspec

LIMITS = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE")


class ProcessContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel takes over from the driver that requests it; `limits` maps names to (soft, hard)."""

    cwd: str
    environment: dict[str, str]
    umask: int
    processors: list[int]
    limits: dict[str, tuple[int, int]]
    driver_pid: int


def current_context() -> ProcessContext:
    """Return the context of this process."""
    mask = os.umask(0)
    os.umask(mask)
    return ProcessContext(
        cwd=os.getcwd(),
        environment=dict(os.environ),
        umask=mask,
        processors=sorted(os.sched_getaffinity(0)),
        limits={name: resource.getrlimit(getattr(resource, name)) for name in LIMITS},
        driver_pid=os.getpid(),
    )
