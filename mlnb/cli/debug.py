"""`mlnb debug`: restore the state before the failed cell of a stage, in the terminal or in JupyterLab."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from mlnb import environment
from mlnb.cli import lab
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunRecord
from mlnb.engine.runs import Run
from mlnb.engine.snapshot_keys import LiveSnapshot
from mlnb.engine.stage_files import StageInputs, inputs_path, read_record
from mlnb.errors import ProjectError, UnknownRun
from mlnb.executors import live_snapshots
from mlnb.registry.run_references import open_referenced
from mlnb.settings import ProcessSettings
from mlnb.suggestions import did_you_mean

EXAMPLES = """The state before each `#| stage` cell of a failed stage is kept in memory for some time (settings
snapshot_minutes and snapshot_bytes). Changes in a debugging session affect neither the run nor the snapshot: leave
and return, or restart the kernel in JupyterLab, and the state is as before. After an edit of the notebook,
`mlnb run` continues with the first cell that changed.

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
    snapshot = find_snapshot(project, run, stage, args.cell)
    notebook = next(path for path in project.notebooks.glob("*.ipynb") if path.stem.partition("_")[2] == stage)
    environment.apply()
    os.environ[ProcessSettings.root.variable] = str(project.root)
    print(f"stage {stage} of run {run.id}, before cell {snapshot.cell + 1}, with all variables", flush=True)
    if args.lab:
        return _open_lab(project, args, snapshot, notebook)
    from mlnb.kernels.driver import console  # a terminal, which `--lab` does not need

    return console.run_console(notebook.parent, **live_snapshots.restore_environment(project, snapshot, ""))


def failed_stage(record: RunRecord) -> str:
    """Return the first stage of a run that failed. Raises `UnknownRun` when none did."""
    if record.failure is None:
        raise UnknownRun(f"No stage of run {record.id} failed; name the stage: mlnb debug {record.id} STAGE.")
    return record.failure.stage


def find_snapshot(project: Project, run: Run, stage: str, cell: int | None) -> LiveSnapshot:
    """Return the last snapshot of a stage before a cell.

    Args:
        project: The project.
        run: The run.
        stage: Name of the stage.
        cell: Index of the cell in the executed notebook; None: the failed cell.

    Raises:
        UnknownRun: The run has no such stage, or no snapshot of it is alive.
    """
    if stage not in run.stages:
        names = list(run.stages)
        hint = did_you_mean(stage, names)
        raise UnknownRun(f"Run {run.id} has no stage {stage!r}; it has {', '.join(names)}.{hint}")
    error = run.stages[stage].error
    last = cell if cell is not None else error.cell if error else None
    inputs = read_record(StageInputs, inputs_path(run.folder / "stages", stage))
    keys = inputs.snapshots if inputs else {}
    alive = live_snapshots.find_all(project)
    cells = [index for index, key in keys.items() if key in alive and (last is None or index < last)]
    if not cells:
        values = {name: project.settings.read(name).value for name in ("snapshots", "snapshot_minutes")}
        settings = ", ".join(f"{name} = {value}" for name, value in values.items())
        raise UnknownRun(
            f"Stage {stage!r} of run {run.id} has no snapshot: none was kept, or it has ended ({settings}). "
            "`mlnb kernels status` lists the snapshots; `mlnb run` makes one again when the stage fails again."
        )
    return alive[keys[max(cells)]]


def _open_lab(project: Project, args: argparse.Namespace, snapshot: LiveSnapshot, notebook: Path) -> int:
    """Replace this process by JupyterLab; the kernel of the notebook continues from the snapshot."""
    if project.is_builtin:
        raise ProjectError("The built-in notebooks cannot be edited; omit --lab to open the terminal.")
    from mlnb.kernels.driver import jupyter_kernel

    relative = notebook.relative_to(project.root).as_posix()
    folder = Path(tempfile.mkdtemp(prefix="mlnb-debug-"))
    variables = live_snapshots.restore_environment(project, snapshot, relative)
    jupyter_kernel.install(folder, "python3", "Python 3 (ipykernel)", **variables)
    others = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(folder / "share" / "jupyter"), others]))
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "0"
    sys.stdout.flush()
    options = [f"--LabApp.default_url=/lab/tree/{relative}", "--KernelSpecManager.ensure_native_kernel=False"]
    os.execv(sys.executable, lab.command(project, args.port, args.no_browser, options))
