"""The run that the panel has started: a separate process, as if `mlnb run` were typed in a terminal."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mlnb.engine.files import PRIVATE, make_folder
from mlnb.engine.project import Project
from mlnb.engine.run_processes import is_local
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import Run
from mlnb.errors import UsageError
from mlnb.settings import ProcessSettings

TAIL = 4000  # characters of the output that are shown when a command ends without a run


class RunProcess:
    """Starts `mlnb run` as a child of the server; the run goes on when the browser, or the server, is closed."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the last run that was started here; None without one."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> Path:
        """The file with the output of the last run."""
        return self._project.store_root / "lab" / "run.log"

    def is_alive(self) -> bool:
        """Return whether the last run goes on."""
        return self._process is not None and self._process.poll() is None

    def start(self, options: Sequence[str]) -> None:
        """Start `mlnb run`.

        Args:
            options: Its options, as words.

        Raises:
            UsageError: The last run goes on.
        """
        if self.is_alive():
            raise UsageError("A run of this panel goes on; stop it first, or wait until it has ended.")
        make_folder(self.log.parent)
        environment = {**os.environ, ProcessSettings.root.variable: str(self._project.root), "NO_COLOR": "1"}
        environment.pop("JPY_PARENT_PID", None)
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
        with os.fdopen(descriptor, "wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlnb.cli.main", "run", *options],
                cwd=self._project.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal of JupyterLab stops JupyterLab alone
            )

    def stop(self, running: Run | None) -> None:
        """Interrupt a run as Ctrl-C does; a second time ends it at once.

        Commands handle SIGTERM as Ctrl-C, also those that a shell started in the background, which ignore SIGINT. Other
        processes, such as kernels that call `mlnb.run`, get SIGINT.

        Args:
            running: A run that goes on, of whichever process; None: the one that was started here.

        Raises:
            UsageError: No run goes on, or it goes on on another machine.
        """
        if running is not None and running.state == RunState.RUNNING:
            if not is_local(running.record):
                raise UsageError(f"Run {running.id} goes on on another machine; stop it there.")
            pid = running.record.pid
            os.kill(pid, signal.SIGTERM if pid == self.pid or is_command(pid) else signal.SIGINT)
        elif self._process is not None and self.is_alive():
            self._process.terminate()
        else:
            raise UsageError("No run goes on; it has ended already.")

    def problem(self, pids: Sequence[int]) -> str:
        """Return the end of the output when the command failed without making a run; else an empty text.

        Args:
            pids: Process ids of the newest runs.
        """
        if self._process is None or self._process.poll() in (None, 0) or self._process.pid in pids:
            return ""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")[-TAIL:].strip()
        except OSError:
            return f"`mlnb run` has ended with exit code {self._process.returncode}."


def is_command(pid: int) -> bool:
    """Return whether a process runs the command `mlnb`; False where that cannot be read."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"mlnb.cli.main" in words or b"mlnb" in [Path(os.fsdecode(word)).name.encode() for word in words[:3]]
