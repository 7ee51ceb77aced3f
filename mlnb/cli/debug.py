"""`mlnb debug`: the state before a stage's failing cell, in the terminal or in JupyterLab."""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from mlnb import environment
from mlnb.cli import lab
from mlnb.engine.files import read_json
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.errors import ProjectError, UnknownRun
from mlnb.executors import kept_snapshots

EXAMPLES = """The state before each `#| stage` cell of a stage that failed is kept alive for a while
(snapshot_minutes and snapshot_bytes in settings.ini). What you do in it changes neither the run nor the state
that is kept: leave, come back, or restart the kernel in JupyterLab, and it is as it was. Once the notebook is
edited, plain `mlnb run` goes on from the first cell that changed.

examples:
  mlnb debug                       the stage that failed in the last run, in the terminal
  mlnb debug --lab                 its notebook in JupyterLab, with every variable alive
  mlnb debug latest tune --cell 9  a stage of a run, as it was before an earlier cell
  mlnb kernels status              what is kept, and for how long
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    p.add_argument("run", nargs="?", default="latest", help="an id, a unique part of one, or latest (default)")
    p.add_argument("stage", nargs="?", help="the stage (default: the one that failed)")
    p.add_argument("--lab", action="store_true", help="open the notebook in JupyterLab instead of the terminal")
    p.add_argument("--cell", type=int, metavar="N", help="the state before this cell of the executed notebook")
    p.add_argument("--port", type=int, default=8888, help="with --lab: port on loopback (default: 8888)")
    p.add_argument("--no-browser", action="store_true", help="with --lab: print the address and open nothing")
    p.epilog = EXAMPLES


def main(args: argparse.Namespace) -> int:
    """Open a state that is kept. Raises `UnknownRun` when there is none."""
    project = Project.find()
    run = open_run(project, args.run)
    name = args.stage or failed(run)
    told = find(project, run, name, args.cell)
    notebook = next(path for path in project.notebooks.glob("*.ipynb") if path.stem.partition("_")[2] == name)
    environment.apply()
    os.environ["MLNB_ROOT"] = str(project.root)
    print(f"stage {name} of run {run.id}, before cell {told['cell'] + 1}; its variables are alive", flush=True)
    if args.lab:
        return _lab(project, args, told, notebook)
    from mlnb.kernels.driver import console

    return console.run_console(notebook.parent, **kept_snapshots.waking(project, told, ""))


def failed(run: Run) -> str:
    """Return the stage of a run that failed. Raises `UnknownRun` when none did."""
    found: list[str] = [name for name, stage in run.record["stages"].items() if stage["error"]]
    if not found:
        raise UnknownRun(f"No stage of run {run.id} failed; name the stage: mlnb debug {run.id} STAGE.")
    return found[0]


def find(project: Project, run: Run, name: str, cell: int | None) -> dict[str, Any]:
    """Return what is told of the last state that is alive at or before a cell, or the one that failed."""
    if name not in run.record["stages"]:
        raise UnknownRun(f"Run {run.id} has no stage {name!r}; it has {', '.join(run.record['stages'])}.")
    error = run.record["stages"][name]["error"] or {}
    last = cell if cell is not None else error.get("cell")
    states = (read_json(run.folder / "stages" / f"{name}.order.json") or {}).get("states", {})
    living = kept_snapshots.everywhere(project)
    cells = [int(at) for at, state in states.items() if state in living and (last is None or int(at) < last)]
    if not cells:
        settings = ", ".join(f"{key} = {project.settings[key]}" for key in ("snapshots", "snapshot_minutes"))
        raise UnknownRun(
            f"No state of stage {name!r} in run {run.id} is alive: it was not kept, or not any more ({settings}). "
            "`mlnb kernels status` lists what is kept; `mlnb run` keeps the state again when the stage fails again."
        )
    return {**living[states[str(max(cells))]], "cell": max(cells)}


def _lab(project: Project, args: argparse.Namespace, told: dict[str, Any], notebook: Path) -> int:
    """Replace this process by JupyterLab, in which the notebook's kernel goes on from the state."""
    if project.is_builtin:
        raise ProjectError("mlnb's own notebooks are not for editing; without --lab the state opens in the terminal.")
    from mlnb.kernels.driver import jupyter_kernel

    relative = notebook.relative_to(project.root).as_posix()
    folder = Path(tempfile.mkdtemp(prefix="mlnb-debug-"))
    waking = kept_snapshots.waking(project, told, relative)
    jupyter_kernel.install(folder, "python3", "Python 3 (ipykernel)", **waking)
    others = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(folder / "share" / "jupyter"), others]))
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "0"
    sys.stdout.flush()
    more = [f"--LabApp.default_url=/lab/tree/{relative}", "--KernelSpecManager.ensure_native_kernel=False"]
    os.execv(sys.executable, lab.command(project, args.port, args.no_browser, more))
