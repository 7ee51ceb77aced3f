"""The worker process: reads jobs as JSON lines from its input, executes each notebook, answers in JSON lines.

It ends when its input closes or its parent is gone, and its kernels with it.
"""

import asyncio
import contextlib
import json
import os
import queue
import signal
import sys
import threading
import warnings
from typing import Any

from mlnb.kernels.driver.worker_process import descendants

Answer = dict[str, Any]

# What papermill's libraries import where it is there, and what notebooks have no need of: jsonschema's checks of texts
# that are addresses, colours or durations, one of which takes seconds to build, and Arrow's file systems.
UNUSED = """
rfc3987_syntax rfc3987 rfc3986_validator fqdn isoduration jsonpointer uri_template webcolors pyarrow.fs
""".split()  # noqa: SIM905


def main() -> None:
    """Serve jobs until the input closes; then nothing of this process is left, whatever runs."""
    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=listen, args=(jobs,), daemon=True).start()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    warnings.simplefilter("ignore")
    for name in UNUSED:
        sys.modules[name] = None  # type: ignore[assignment]
    import papermill  # noqa: F401 -- before the first job comes: it takes a third of a second

    from mlnb.kernels.driver.progress_engine import TellingEngine
    from mlnb.kernels.driver.snapshot_policy import Keeping

    lock = threading.Lock()

    def answer(message: Answer) -> None:
        with lock:
            out.write(json.dumps(message) + "\n")

    def told(cell: int, cells: int, heading: str) -> None:
        answer({"event": "cell", "cell": cell, "cells": cells, "heading": heading})

    TellingEngine.told = staticmethod(told)
    answer({"event": "ready"})

    def wait() -> Keeping | None:
        """Wait for the word to go on; return which states are to be kept from there."""
        asked = json.loads(jobs.get())["keeping"]
        return Keeping.read(asked) if asked else None

    TellingEngine.wait = staticmethod(wait)
    while True:
        job = json.loads(jobs.get())
        if "source" not in job:  # the word for one that has ended before
            continue
        TellingEngine.wait_at = job.get("opens")
        TellingEngine.hidden = job["secrets"]
        os.environ.update(job["environment"])
        answer({"event": "done", **execute(job), "went_on": TellingEngine.went_on})


def execute(job: dict[str, Any]) -> Answer:
    """Execute one notebook; return {"state", "cell", "heading", "cause"}."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import papermill_engines

    from mlnb.kernels.driver.progress_engine import TellingEngine, hidden
    from mlnb.kernels.driver.snapshot_policy import Keeping

    papermill_engines.register("mlnb-telling", TellingEngine)
    TellingEngine.keeping = Keeping.read(job["keeping"]) if job.get("keeping") else None
    TellingEngine.went_on = False
    try:
        papermill.execute_notebook(
            job["source"],
            job["target"],
            parameters=job["parameters"],
            engine_name="mlnb-telling",
            cwd=job["folder"],
            progress_bar=False,
            log_output=False,
            execution_timeout=job["cell_timeout"],
            autosave_cell_every=0,
            request_save_on_cell_execute=False,
        )
        return {"state": "finished"}
    except papermill.PapermillExecutionError as error:
        heading = _heading(job["target"], error.cell_index)
        cause = hidden(f"{error.ename}: {error.evalue}", job["secrets"])
        return {"state": "failed", "cell": error.cell_index, "heading": heading, "cause": cause}
    except CellTimeoutError:
        return {"state": "timeout", "cause": f"a cell took longer than {job['cell_timeout']:g} s"}
    except DeadKernelError as error:
        return {"state": "died", "cause": f"the kernel died: {error}"}
    except (KeyboardInterrupt, asyncio.CancelledError):
        return {"state": "interrupted"}
    except Exception as error:  # noqa: BLE001 -- whatever papermill meets is the stage's failure
        return {"state": "failed", "cause": hidden(f"{type(error).__name__}: {error}", job["secrets"])}


def _heading(path: str, index: int | None) -> str:
    """Return the heading above a cell; papermill puts its banner first in a notebook that failed."""
    import nbformat

    from mlnb.kernels.driver.progress_engine import cell_headings

    try:
        document = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError):
        return ""
    headings = cell_headings(document)
    return headings[index] if index is not None and index < len(headings) else ""


def listen(jobs: "queue.Queue[str]") -> None:
    """Take jobs from the input; when it closes the parent has ended, so end the kernel and this process.

    The system's own signal for a parent's death would come when the *thread* that started this process ends.
    """
    for line in sys.stdin:
        jobs.put(line)
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
