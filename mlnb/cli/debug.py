"""`mlnb debug`: restore the state before the failed cell of a stage, in the terminal or in JupyterLab."""

import argparse
import os
import tempfile
from pathlib import Path
from typing import NoReturn

from mlnb import environment
from mlnb.cli import lab
from mlnb.engine.project import Project
from mlnb.errors import ProjectError
from mlnb.executors import live_snapshots
from mlnb.executors.failed_stages import StateBefore, failed_stage, find_state
from mlnb.kernels.driver import jupyter_kernel
from mlnb.lab.jupyter_files import KERNEL, SHARE
from mlnb.registry.run_references import open_referenced
from mlnb.settings import ProcessSettings

EXAMPLES = """States of a failed stage are kept in memory for some time (settings snapshot_seconds, snapshot_minutes and
snapshot_bytes). Cells that ran after the last kept state run again first, for less than half a second by default.
Changes in a debugging session affect neither the run nor the snapshot: leave and return, or restart the kernel in
JupyterLab, and the state is as before. After an edit of the notebook, `mlnb run` continues with the first cell that
changed, or a little before it.

examples:
  mlnb debug                       open the failed stage of the latest run in the terminal
  mlnb debug --lab                 open its notebook in JupyterLab, with every variable
  mlnb debug latest tune --cell 9  open a stage of a run before an earlier cell
  mlnb kernels status              list the snapshots, and when they end
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb debug`."""
    p.add_argument("run", nargs="?", default="latest", help="run, version such as @champion, or latest (default)")
    p.add_argument("stage", nargs="?", help="stage (default: the one that failed)")
    p.add_argument("--lab", action="store_true", help="open the notebook in JupyterLab")
    p.add_argument("--cell", type=int, metavar="N", help="open the state before this cell of the executed notebook")
    p.add_argument("--port", type=int, default=8888, help="with --lab: port on 127.0.0.1 (default: 8888)")
    p.add_argument("--no-browser", action="store_true", help="with --lab: print the address, open no browser")
    p.epilog = EXAMPLES


def main(args: argparse.Namespace) -> int:
    """Open a snapshot; return the exit code of the session. Raises `UnknownRun` when there is no snapshot."""
    project = Project.find()
    run = open_referenced(project, args.run)
    stage = args.stage or failed_stage(run.record)
    state = find_state(project, run, stage, args.cell)
    notebook = next(path for path in project.notebooks.glob("*.ipynb") if path.stem.partition("_")[2] == stage)
    environment.apply()
    os.environ[ProcessSettings.root.variable] = str(project.root)
    print(f"stage {stage} of run {run.id}, before cell {state.cell + 1}, with all variables", flush=True)
    if args.lab:
        _open_lab(project, args, state, notebook)
    from mlnb.kernels.driver import console  # a terminal, which `--lab` does not need

    variables = live_snapshots.restore_environment(project, state.snapshot, "", state.code)
    return console.run_console(notebook.parent, **variables)


def _open_lab(project: Project, args: argparse.Namespace, state: StateBefore, notebook: Path) -> NoReturn:
    """Replace this process by JupyterLab; the kernel of the notebook continues from the snapshot."""
    if project.is_builtin:
        raise ProjectError("The built-in notebooks cannot be edited; omit --lab to open the terminal.")
    relative = notebook.relative_to(project.root).as_posix()
    folder = Path(tempfile.mkdtemp(prefix="mlnb-debug-"))
    variables = live_snapshots.restore_environment(project, state.snapshot, relative, state.code)
    jupyter_kernel.install(folder, KERNEL, "Python 3 (ipykernel)", **variables)
    lab.start(project, args.port, args.no_browser, relative, [], folder / SHARE)
