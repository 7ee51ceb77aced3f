"""`mlnb kernels`: show and stop the project's warm parents, install the Jupyter kernel."""

import argparse
import sys
import time
from pathlib import Path

from mlnb.engine.project import Project
from mlnb.executors import live_snapshots
from mlnb.kernels.driver import jupyter_kernel, parent_client
from mlnb.kernels.protocol import parent_paths
from mlnb.kernels.protocol.messages import ParentStatus

EXAMPLES = """A warm parent preloads the libraries that notebooks import and forks a kernel for each notebook. It
starts at its first use, restarts when packages change, and ends when it is idle (kernels_idle in
settings.ini, seconds).

examples:
  mlnb kernels status          show parents, kernels and snapshots (mlnb debug)
  mlnb kernels stop            end parents and their snapshots; running notebooks continue
  mlnb kernels stop --now      end running notebooks too
  mlnb kernels install         add the kernel "mlnb (warm)" to JupyterLab
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb kernels`."""
    p.epilog = EXAMPLES
    p.add_argument("action", nargs="?", choices=["status", "stop", "install"], default="status", help="default: status")
    p.add_argument("--now", action="store_true", help="with stop: end running notebooks too")


def main(args: argparse.Namespace) -> int:
    """Show or stop the warm parents of the project around the working directory; return 0."""
    if args.action == "install":
        print(
            f'JupyterLab of this environment has the kernel "mlnb (warm)": {jupyter_kernel.install(Path(sys.prefix))}'
        )
        return 0
    folder = parent_paths.settings(Path.cwd()).folder
    own = live_snapshots.parent_folder(Project.find())  # another one for the built-in notebooks of a checkout
    running = 0
    for paths in [paths for each in dict.fromkeys((folder, own)) for paths in parent_paths.find_parents(each)]:
        if args.action == "stop":
            pid = parent_client.stop(paths, args.now)
            lines = [f"stopped {pid}"] if pid is not None else []
        else:
            status = parent_client.get_status(paths)
            lines = status_lines(paths.key, status) if status is not None else []
        running += bool(lines)
        if lines:
            print("\n".join(lines))
    if not running:
        print(f"No warm parent is running for {folder.parent}.")
    return 0


def status_lines(key: str, status: ParentStatus) -> list[str]:
    """Return the lines about one parent.

    Args:
        key: Its key.
        status: Its answer to a status request.
    """
    minutes = (time.time() - status.started) / 60
    lines = [
        f"{key}  process {status.pid}, Python {status.python_version}, {status.memory / 2**20:.0f} MB, "
        f"up {minutes:.0f} min, {status.served} notebooks served, ends after {status.idle_seconds / 60:.0f} min idle",
        f"  preloaded  {library_names(status.preloaded) or 'nothing yet: it follows the imports of the notebooks'}",
    ]
    lines += [f"  rejected   {name}: {reason}" for name, reason in status.rejected.items()]
    lines += [f"  running    {pid}  {notebook}" for pid, notebook in status.kernels.items()]
    lines += [
        f"  snapshot   {one.pid}  {one.labels.get('stage', '')} before cell {one.cell + 1}, "
        f"expires in {max(0, one.expires - time.time()) / 60:.0f} min, of run {one.labels.get('run', '')}"
        for one in status.snapshots
    ]
    if status.snapshots:
        lines.append(f"             {status.snapshot_memory / 2**20:.0f} MB in all snapshots")
    if status.queued:
        lines.append(f"  queued     {status.queued}")
    return lines


def library_names(modules: list[str]) -> str:
    """Return the libraries that modules belong to, each once, with the number of modules."""
    names = dict.fromkeys(name.partition(".")[0] for name in modules)
    return f"{', '.join(names)} ({len(modules)} modules)" if names else ""
