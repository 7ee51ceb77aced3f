"""The Jupyter kernel "mlnb (warm)": forked from the project's warm parent, ready with its imports at once.

    python -m mlnb.kernels.driver.jupyter_kernel -f CONNECTION_FILE

Jupyter starts this small process, which stands for the kernel: it hands on signals and ends when the kernel ends. The
kernel has all of Jupyter's sockets, widgets and inputs included. Where no warm parent can be had, it becomes the
ordinary kernel.
"""

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

from mlnb.kernels.driver import parent_client
from mlnb.kernels.protocol import parent_paths
from mlnb.kernels.server import forked_process

NAME = "mlnb-warm"
ARGV = ["-m", "mlnb.kernels.driver.jupyter_kernel", "-f", "{connection_file}"]
WAKE, WAKE_AT, WAKE_FOR = "MLNB_WAKE", "MLNB_WAKE_AT", "MLNB_WAKE_FOR"  # a state, its parent's socket, a notebook
PATIENCE = 60.0  # seconds in which the kernel must come


def main(arguments: list[str]) -> int:
    """Run one kernel to its end; return its exit code."""
    try:
        place, pid, connection = start(arguments)
    except parent_client.NoParent as error:
        print(f"mlnb: an ordinary kernel: {error}", file=sys.stderr, flush=True)
        os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", *arguments])
    watch = os.pidfd_open(pid)

    def hand_on(number: int, _: Any) -> None:
        signal.pidfd_send_signal(watch, number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, hand_on)
    server = os.getppid()
    while not select.select([watch], [], [], 1.0)[0]:
        if os.getppid() != server:  # Jupyter is gone: nobody will ask this kernel anything
            break
    connection.close()
    status = (parent_client.ask(place, {"verb": "end", "pid": pid}) or {}).get("status")
    return abs(os.waitstatus_to_exitcode(status)) if status is not None else 0


def start(arguments: list[str]) -> tuple[parent_paths.Place, int, Any]:
    """Have a kernel forked; return where, its process id and the connection that it lives by."""
    why = parent_client.possible()
    if why is not None:
        raise parent_client.NoParent(why)
    found: parent_paths.Settings | None = parent_paths.settings(Path.cwd())
    assert found is not None
    asked = forked_process.circumstances()
    place = parent_paths.Place(found.folder, parent_paths.key(asked["environment"]))
    asked["environment"].pop("JPY_PARENT_PID", None)
    asked |= {
        "verb": "kernel",
        "jupyter": True,
        "notebook": "(interactive)",
        "imports": [*found.preload, *parent_paths.learned(found.folder)],
        "file": arguments[arguments.index("-f") + 1],
        "arguments": [part for part in arguments if part not in ("-f", arguments[arguments.index("-f") + 1])],
        "at_once": found.at_once,
        "secret": "",
    }
    state = os.environ.get(WAKE)
    if state and os.environ.get("JPY_SESSION_NAME", "").endswith(os.environ.get(WAKE_FOR, "")):
        place, found = parent_paths.Place(Path(os.environ[WAKE_AT]).parent, Path(os.environ[WAKE_AT]).stem), None
        asked |= {"wake": state, "set": {"MLNB_ORDER": "", "MLNB_RUN": ""}, "variables": {}, "notebook": "(debugging)"}
    wire, said = parent_client.kernel(place, found, asked, PATIENCE)
    if state and said.get("state") != state and found is None:
        print("mlnb: the state is gone; this kernel is a new one", file=sys.stderr, flush=True)
    return place, said["pid"], wire


def waking(state: str, place: parent_paths.Place, notebook: str) -> dict[str, str]:
    """Return the environment in which this kernel goes on from a state that is kept, for one notebook alone."""
    return {WAKE: state, WAKE_AT: str(place.socket), WAKE_FOR: notebook}


def install(folder: Path, name: str = NAME, title: str = "mlnb (warm)", **environment: str) -> Path:
    """Write the kernel's specification below `folder`/share/jupyter; return where."""
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
