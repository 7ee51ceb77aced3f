"""The Jupyter kernel "mlnb (warm)": forked from the project's warm parent, ready with its imports at once.

    python -m mlnb.kernels.driver.jupyter_kernel -f CONNECTION_FILE

Jupyter starts this small process in place of the kernel: it forwards signals and ends when the kernel ends. The kernel
has all of Jupyter's sockets, so widgets and input work. Where no kernel can be forked, this process becomes the
standard kernel.
"""

import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from mlnb.kernels.driver import parent_client
from mlnb.kernels.protocol import parent_paths
from mlnb.kernels.protocol.messages import RestoreSnapshot, StartKernel
from mlnb.kernels.protocol.parent_paths import KernelSettings, ParentPaths
from mlnb.kernels.protocol.process_context import current_context
from mlnb.kernels.protocol.wire import FrameSocket
from mlnb.settings import ProcessSettings

NAME = "mlnb-warm"
ARGV = ["-m", "mlnb.kernels.driver.jupyter_kernel", "-f", "{connection_file}"]
START_SECONDS = 60.0  # in which the kernel must be ready


def main(arguments: list[str]) -> int:
    """Run one kernel until it ends; return its exit code."""
    try:
        paths, pid, connection = start(arguments)
    except parent_client.ParentUnavailable as error:
        print(f"mlnb: standard kernel: {error}", file=sys.stderr, flush=True)
        os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", *arguments])
    process = os.pidfd_open(pid)

    def forward(number: int, _: Any) -> None:
        signal.pidfd_send_signal(process, number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    server = os.getppid()
    while not select.select([process], [], [], 1.0)[0]:
        if os.getppid() != server:  # Jupyter is gone: nobody will use this kernel
            break
    connection.close()
    exit_status = parent_client.get_exit_status(paths, pid)
    status = exit_status.wait_status if exit_status else None
    return abs(os.waitstatus_to_exitcode(status)) if status is not None else 0


def start(arguments: list[str]) -> tuple[ParentPaths, int, FrameSocket]:
    """Have a kernel forked, or restored from the snapshot that the environment names.

    Args:
        arguments: of ipykernel's command line; -f and a connection file are among them.

    Returns:
        Its parent, its process id, and the connection whose end ends it.

    Raises:
        ParentUnavailable: no kernel can be forked.
    """
    reason = parent_client.unsupported_reason()
    if reason is not None:
        raise parent_client.ParentUnavailable(reason)
    settings: KernelSettings | None = parent_paths.settings(Path.cwd())
    assert settings is not None
    context = current_context()
    paths = ParentPaths(settings.folder, parent_paths.parent_key(context.environment))
    context.environment.pop("JPY_PARENT_PID", None)
    connection_file = arguments[arguments.index("-f") + 1]
    request = StartKernel(
        context=context,
        connection_file=connection_file,
        session_key="",
        notebook="(interactive)",
        imports=[*settings.preload, *parent_paths.recorded_imports(settings.folder)],
        max_kernels=settings.max_kernels,
        arguments=[argument for argument in arguments if argument not in ("-f", connection_file)],
        jupyter_sockets=True,
    )
    process = ProcessSettings()
    snapshot = process.restore
    if snapshot and os.environ.get("JPY_SESSION_NAME", "").endswith(process.restore_for):
        parent = Path(process.restore_from)
        paths, settings = ParentPaths(parent.parent, parent.stem), None
        outside_run = dict.fromkeys((ProcessSettings.attempt.variable, ProcessSettings.run.variable), "")
        cells = tuple(json.loads(process.restore_cells or "[]"))
        restore = RestoreSnapshot(id=snapshot, environment=outside_run, variables={}, cells=cells)
        request = msgspec.structs.replace(request, restore=restore, notebook="(debugging)")
    connection, ready = parent_client.start_kernel(paths, settings, request, START_SECONDS)
    if snapshot and ready.snapshot != snapshot and settings is None:
        print("mlnb: the snapshot has expired; this is a new kernel", file=sys.stderr, flush=True)
    return paths, ready.pid, connection


def restore_environment(snapshot: str, paths: ParentPaths, notebook: str, cells: Sequence[str] = ()) -> dict[str, str]:
    """Return the environment in which this kernel continues from a snapshot, for one notebook alone.

    Args:
        snapshot: its id.
        paths: of the parent that keeps it.
        notebook: the end of the notebook's path, "" for any.
        cells: code that the kernel runs first, up to a cell that fails.
    """
    return {
        ProcessSettings.restore.variable: snapshot,
        ProcessSettings.restore_from.variable: str(paths.socket_path),
        ProcessSettings.restore_for.variable: notebook,
        ProcessSettings.restore_cells.variable: json.dumps(cells),
    }


def install(folder: Path, name: str = NAME, title: str = "mlnb (warm)", **environment: str) -> Path:
    """Write the kernel's specification below `folder`/share/jupyter; return its folder."""
    target = folder / "share" / "jupyter" / "kernels" / name
    target.mkdir(parents=True, exist_ok=True)
    spec = {
        "argv": [sys.executable, *ARGV],
        "display_name": title,
        "language": "python",
        "interrupt_mode": "signal",
        "env": environment,
    }
    (target / "kernel.json").write_text(json.dumps(spec, indent=1) + "\n")
    return target


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
