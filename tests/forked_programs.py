"""Programs that tests start often, in forks of an interpreter that has imported what they import first.

An interpreter with BentoML takes a second of processor time, one with papermill or ipykernel a third of one, and the
tests start two hundred. `fork_programs` lets `subprocess` start them by a fork with the same arguments, environment,
folder, standard streams, session and parent, which goes on where an interpreter has started: `forked_start`. Tests of
the start itself use the fixture `new_interpreters`.
"""

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux's prctl
START = Path(__file__).with_name("forked_start")  # its sitecustomize.py waits for requests
LAUNCHER = Path(__file__).parents[1] / "mlnb" / "serving" / "packaging" / "bento_launcher.py"
KEPT = 4  # processes that wait for requests
USUAL = [-1, None, None, None, -1]  # process group, group, groups, user and mask of new files
NOT_IMPORTED = {"PYTEST_CURRENT_TEST", "PWD_EXPECTED", "PWD"}  # variables that no import reads


@dataclass(frozen=True)
class Program:
    """A program that can be a fork.

    Attributes:
        command: its command line after the interpreter, without arguments.
        imports: Python code that imports what it imports before it reads its input.
        late: environment variables that these imports do not read.
    """

    command: tuple[str, ...]
    imports: str
    late: frozenset[str] = frozenset()

    def runs(self, arguments: Sequence[str]) -> bool:
        """Return whether a command line is one of this program."""
        return arguments[0] == sys.executable and tuple(arguments[1 : 1 + len(self.command)]) == self.command


PROGRAMS = (
    Program(
        ("-P", str(LAUNCHER)),
        "import importlib, bentoml, bentoml_cli.cli\n"
        "for name in ('aiohttp', 'circus.arbiter', 'multiprocessing.connection', 'numpy', 'uvicorn'):\n"
        "    importlib.import_module(name)",
        frozenset({"BENTOML_HOME", "TMPDIR"}),
    ),
    Program(
        ("-m", "mlnb.kernels.driver.worker"),
        "import sys, types\n"
        "from mlnb.kernels.driver import worker\n"
        "sys.modules |= dict.fromkeys(worker.UNUSED_MODULES)\n"
        "sys.modules['requests'] = types.ModuleType('requests')\n"
        "import papermill, mlnb.kernels.driver.execution, mlnb.kernels.driver.progress_engine\n"
        "del sys.modules['mlnb.kernels.driver.worker'], worker",
    ),
    Program(("-m", "ipykernel_launcher"), "import ipykernel.ipkernel, ipykernel.kernelapp"),
    Program(  # a worker of pytest-xdist; pytest imports its plugins and what it rewrites
        ("-u", "-c", "import sys;exec(eval(sys.stdin.readline()))"),
        "import sys, warnings\n"
        "sys.modules['rfc3987_syntax'] = None\n"
        "with warnings.catch_warnings():\n"
        "    warnings.simplefilter('error')\n"
        "    import jupyter_client, lightgbm, matplotlib.pyplot, nbformat, optuna, pandas, pyarrow.parquet\n"
        "    import scipy.stats, sklearn.ensemble, sklearn.linear_model, sklearn.preprocessing, sqlalchemy.orm",
    ),
)


class Origin:
    """An interpreter with the command line of a program and its imports, which becomes the program in forks.

    Args:
        program: The program.
        environment: Of the process.
    """

    def __init__(self, program: Program, environment: dict[str, str]) -> None:
        self.key = origin_key(program, environment)
        self._socket, other = socket.socketpair(type=socket.SOCK_SEQPACKET)
        path = os.pathsep.join(filter(None, [str(START), environment.get("PYTHONPATH")]))
        waiting = {"MLNB_FORKED_START": str(other.fileno()), "MLNB_FORKED_IMPORTS": program.imports, "PYTHONPATH": path}
        with other:
            self._process = subprocess.Popen(
                [sys.executable, *program.command],
                env=environment | waiting,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
            )

    def fork(self, request: dict[str, Any], streams: Sequence[int]) -> int:
        """Return the id of a new child process.

        Args:
            request: Its arguments, environment and folder, and whether it begins a session.
            streams: Descriptors of its standard input, output and errors.
        """
        prctl = ctypes.CDLL(None).prctl
        process = b""
        prctl(SUBREAPER, 1)  # the fork of a process that ends becomes a child of this one
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], streams)
            with contextlib.suppress(ConnectionResetError):
                process = self._socket.recv(20)
        finally:
            prctl(SUBREAPER, 0)
        assert process, f"the imports of {self.key[0]} failed"
        return int(process)

    def end(self) -> None:
        """End the process; its forks go on."""
        self._socket.close()
        self._process.wait()


class Forks:
    """Takes the position of `subprocess._fork_exec`, which starts a process."""

    def __init__(self, start: Callable[..., int]) -> None:
        self.active = True
        self.start = start
        self._origins: list[Origin] = []  # the one used last is the last
        self._lock = threading.Lock()

    def __call__(self, *values: Any) -> int:
        """Start a process, by a fork if it is one of the programs with usual settings; return its id."""
        command, _, close, keep, folder, variables, read, _, _, write, _, errors, _, pipe, *settings = values
        arguments = [os.fsdecode(argument) for argument in command]
        program = next((each for each in PROGRAMS if each.runs(arguments)), None) if self.active else None
        streams = [own if given == -1 else given for own, given in enumerate((read, write, errors))]
        restore, session, *others, prepare, _ = settings
        usual = close and restore and [*keep] == [pipe] and others == USUAL and prepare is None
        if program is None or not usual or any(map(os.isatty, streams[:2])):  # errors are not buffered
            return self.start(*values)
        pairs = variables if variables is not None else [b"=".join(pair) for pair in os.environb.items()]
        environment = dict(os.fsdecode(pair).split("=", 1) for pair in pairs)
        request = {
            "arguments": arguments[1 + len(program.command) :],
            "environment": environment,
            "folder": os.path.join(os.getcwd(), os.fsdecode(folder or "")),
            "session": bool(session),
        }
        with self._lock:
            origin = self._find_origin(program, environment)
            return origin.fork(request, streams)

    def _find_origin(self, program: Program, environment: dict[str, str]) -> Origin:
        key = origin_key(program, environment)
        origin = next((each for each in self._origins if each.key == key), None)
        if origin is None:
            self.active = False  # it is a new interpreter
            origin = Origin(program, environment)
            self.active = True
        else:
            self._origins.remove(origin)
        self._origins.append(origin)
        while len(self._origins) > KEPT:
            self._origins.pop(0).end()
        return origin

    def end(self) -> None:
        """End the processes that wait for requests."""
        while self._origins:
            self._origins.pop().end()


def origin_key(program: Program, environment: dict[str, str]) -> tuple[object, ...]:
    """Return what must be equal for a process to become a program with an environment."""
    late = NOT_IMPORTED | program.late
    return program.command, frozenset(item for item in environment.items() if item[0] not in late)


def fork_programs() -> Forks | None:
    """Let `subprocess` start the programs by forks; None where the system is not Linux."""
    if sys.platform != "linux":
        return None
    forks = Forks(subprocess._fork_exec)  # type: ignore[attr-defined]
    subprocess._fork_exec = forks  # type: ignore[attr-defined]
    subprocess._USE_POSIX_SPAWN = False  # type: ignore[misc]  # the other way, which Python 3.13 prefers
    return forks
