"""From a fork of the warm parent to a process like any kernel: its own session, environment, folder and chance."""

import contextlib
import os
import resource
import signal
import socket
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

from mlnb.kernels.protocol.os_helpers import OOM_SCORE

LIMITS = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE")


def circumstances() -> dict[str, Any]:
    """Return what a kernel takes over from the process that asks for it."""
    mask = os.umask(0)
    os.umask(mask)
    return {
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "umask": mask,
        "processors": sorted(os.sched_getaffinity(0)),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS},
        "driver": os.getpid(),
    }


def identity() -> str:
    """Return what tells this process from any other that ever has its number; starting anew in place keeps it."""
    stat = Path("/proc/self/stat").read_text()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}-{os.getpid()}-{stat.rpartition(')')[2].split()[19]}"


def like(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether a kernel made ready for one request is right for another."""
    names = ("cwd", "umask", "processors", "limits", "file", "arguments", "jupyter")
    same = all(one.get(name) == other.get(name) for name in names) and _fixed(one) == _fixed(other)
    return same and _plain(one) == _plain(other)


def _plain(asked: dict[str, Any]) -> bool:
    """Return whether a notebook imports nothing but what every kernel has."""
    return "own" in asked and {name.partition(".")[0] for name in asked["own"]} <= from_parent["base"]


def _fixed(asked: dict[str, Any]) -> dict[str, str]:
    """Return the environment that a kernel may read while it is made ready."""
    return {name: value for name, value in asked["environment"].items() if not name.startswith("MLNB_")}


def become(link: socket.socket, asked: dict[str, Any]) -> None:
    """Become a kernel in a process just forked, for a request like `asked` that comes over `link`; does not return."""
    imported: set[str] = set()

    def adopted() -> tuple[socket.socket, str, list[int]]:
        try:
            own, descriptors = from_parent["requested"](link)
        except (OSError, ValueError):
            os._exit(0)  # nobody wanted it
        link.close()
        os.chdir(own["cwd"])  # the path is the same, the folder may be another by now
        imported.update(sys.modules)
        for name in [name for name in os.environ if name.startswith("MLNB_")]:
            del os.environ[name]
        os.environ.update({name: value for name, value in own["environment"].items() if name.startswith("MLNB_")})
        if not own.get("jupyter"):
            os.environ["JPY_PARENT_PID"] = str(own["driver"])
        return socket.socket(fileno=descriptors[0]), own["secret"], descriptors[1:]

    try:
        _settle(asked)
        sys.modules.pop("matplotlib_inline.backend_inline", None)
        for name in [name for name in sys.modules if name == "mlnb" or name.startswith("mlnb.")]:
            del sys.modules[name]  # the notebook's project may have another mlnb
        last = partial(_tell, asked["parent"], imported)
        if asked.get("jupyter"):
            from_parent["launch"](sys.argv[1:], adopted, last)
        else:
            from_parent["serve"](sys.argv[1:], adopted, last, asked["parent"])
    except BaseException:  # noqa: BLE001 -- nothing of this process may go on in the parent's code
        with contextlib.suppress(BaseException):
            import traceback

            traceback.print_exc(file=sys.__stderr__)
            sys.__stderr__.flush()  # type: ignore[union-attr]
    finally:
        os._exit(70)


from_parent: dict[str, Any] = {}  # functions handed over before the modules are dropped


def _tell(parent: list[str], before: set[str]) -> None:
    """Tell the parent what the notebook has imported besides, for it to have ready next time."""
    tops = {name.partition(".")[0] for name in before} | from_parent["named"](list(sys.modules.items()))
    names = [name for name in list(sys.modules) if name not in before and name.partition(".")[0] in tops]
    if names:
        folder = os.open(parent[0], os.O_RDONLY | os.O_DIRECTORY)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(f"/proc/self/fd/{folder}/{parent[1]}")
            from_parent["request"](connection, {"verb": "learned", "imports": names}, [])


def _settle(asked: dict[str, Any]) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("stdout", "stderr"):
        standin = getattr(sys, name)
        standin.preloading = False
        setattr(sys, name, getattr(sys, f"__{name}__"))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, asked["processors"])
    for name, limit in asked["limits"].items():
        if tuple(limit) != resource.getrlimit(getattr(resource, name)):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(getattr(resource, name), tuple(limit))
    os.umask(asked["umask"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    if not asked.get("jupyter"):  # there it would be compared with the parent of this process, which is another
        os.environ["JPY_PARENT_PID"] = str(asked["driver"])
    time.tzset()
    os.chdir(asked["cwd"])
    sys.argv = [asked["launcher"], "-f", asked["file"], *asked["arguments"]]
    if _plain(asked):  # libraries that other notebooks import have filters of their own
        warnings.filters[:] = from_parent["filters"]  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()  # a state of its own, as a new interpreter has; Python's is renewed by the fork
