"""The worker process: reads jobs as JSON lines from its input, executes each notebook, reports in JSON lines.

    python -m mlnb.kernels.driver.worker [FOLDER]

With the folder of notebooks that will come, it starts the warm parent of their kernels at once. It ends when its input
closes or its parent is gone, and its kernels with it.
"""

import asyncio
import contextlib
import gc
import os
import queue
import signal
import sys
import threading
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mlnb.kernels.driver.worker_process import descendants
from mlnb.kernels.protocol.jobs import (
    CellStarted,
    JobResult,
    NotebookJob,
    ResumeJob,
    SnapshotPlan,
    WorkerEvent,
    WorkerReady,
    WorkerWarning,
    decode_job,
    encode_line,
)

if TYPE_CHECKING:
    from mlnb.kernels.driver.execution import Execution

# Optional imports of papermill's libraries, hidden because they are slow (one takes seconds) and notebooks do not use
# them: they check texts that are addresses, colors or durations, and open Arrow's file systems.
UNUSED_MODULES = """
rfc3987_syntax rfc3987 rfc3986_validator fqdn isoduration jsonpointer uri_template webcolors pyarrow.fs
""".split()  # noqa: SIM905


def main() -> None:
    """Execute jobs until the input closes; then this process and all below it end, whatever runs."""
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=read_lines, args=(lines,), daemon=True).start()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not look like an event
    warnings.simplefilter("ignore")
    for name in UNUSED_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    sys.modules["requests"] = ModuleType("requests")  # with which papermill would read notebooks from web servers
    for folder in sys.argv[1:]:
        start_parent(Path(folder))
    gc.disable()  # imports create many objects and hardly any garbage, a tenth of their time
    import papermill  # noqa: F401 -- before the first job arrives: it takes a third of a second

    from mlnb.kernels.driver.execution import Execution

    gc.freeze()
    gc.enable()

    lock = threading.Lock()

    def report(event: WorkerEvent) -> None:
        with lock:
            out.write(encode_line(event))

    def on_cell(cell: int, cells: int, heading: str) -> None:
        report(CellStarted(cell=cell, cells=cells, heading=heading))

    def resume() -> SnapshotPlan | None:
        """Wait for the word to continue; return the snapshots to take from there."""
        return decode_job(lines.get()).snapshots

    report(WorkerReady())
    while True:
        job = decode_job(lines.get())
        if isinstance(job, ResumeJob):  # of a job that ended before it paused
            continue
        execution = Execution(
            snapshots=job.snapshots,
            on_cell=on_cell,
            secrets=job.secrets,
            pause_before=job.pause_before,
            resume=resume,
            on_fallback=lambda text: report(WorkerWarning(text=text)),
        )
        os.environ.update(job.environment)
        report(execute(job, execution))


def start_parent(folder: Path) -> None:
    """Start the warm parent of the notebooks in a folder, unless one runs; a failure is that of the first notebook."""
    from mlnb.errors import MlnbError
    from mlnb.kernels.driver import parent_client
    from mlnb.kernels.protocol import parent_paths

    def connect() -> None:
        with contextlib.suppress(MlnbError, OSError):
            connection = parent_client.connect(paths, settings)
            if connection is not None:
                connection.close()

    with contextlib.suppress(MlnbError, OSError):
        settings = parent_paths.settings(folder)
        if settings.engine == "standard" or parent_client.unsupported_reason() is not None:
            return
        paths = parent_paths.ParentPaths(settings.folder, parent_paths.parent_key(dict(os.environ)))
        threading.Thread(target=connect, daemon=True).start()


def execute(job: NotebookJob, execution: "Execution") -> JobResult:
    """Execute one notebook; return how it ended."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import papermill_engines

    from mlnb.kernels.driver.progress_engine import ProgressEngine
    from mlnb.redaction import redact

    papermill_engines.register("mlnb-progress", ProgressEngine)
    state, cell, heading, cause = "finished", None, "", ""
    try:
        papermill.execute_notebook(
            job.source,
            job.target,
            parameters=job.parameters,
            engine_name="mlnb-progress",
            cwd=job.folder,
            progress_bar=False,
            log_output=False,
            execution_timeout=job.cell_timeout,
            autosave_cell_every=0,
            request_save_on_cell_execute=False,
            execution=execution,
        )
    except papermill.PapermillExecutionError as error:
        state, cell, heading = "failed", error.cell_index, _heading_above(job.target, error.cell_index)
        cause = redact(f"{error.ename}: {error.evalue}", job.secrets)
    except CellTimeoutError:
        state, cause = "timeout", f"a cell took longer than {job.cell_timeout:g} s"
    except DeadKernelError as error:
        state, cause = "died", f"the kernel died: {error}"
    except (KeyboardInterrupt, asyncio.CancelledError):
        state = "interrupted"
    except Exception as error:  # noqa: BLE001 -- whatever papermill raises fails the stage
        state, cause = "failed", redact(f"{type(error).__name__}: {error}", job.secrets)
    with contextlib.suppress(FileNotFoundError):  # nothing was saved
        os.chmod(job.target, 0o600)
    return JobResult(state=state, cell=cell, heading=heading, cause=cause, restored=execution.restored)


def _heading_above(path: str, index: int | None) -> str:
    """Return the heading above a cell; papermill puts its banner first in a notebook that failed."""
    import nbformat

    from mlnb.kernels.driver.progress_engine import cell_headings

    try:
        document = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError):
        return ""
    headings = cell_headings(document)
    return headings[index] if index is not None and index < len(headings) else ""


def read_lines(lines: "queue.Queue[str]") -> None:
    """Read lines from the input; when it closes the parent has ended, so end the kernels and this process.

    The system's own signal for a parent's death comes when the *thread* that started this process ends.
    """
    for line in sys.stdin:
        lines.put(line)
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
