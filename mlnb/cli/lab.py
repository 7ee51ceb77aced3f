"""`mlnb lab`: the project's notebooks in JupyterLab, which asks nobody on the network for news or updates."""

import argparse
import os
import sys

from mlnb import environment
from mlnb.engine.project import Project
from mlnb.errors import ProjectError

QUIET = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb lab`."""
    p.add_argument("--port", type=int, default=8888, help="port on loopback (default: 8888, or the next free one)")
    p.add_argument("--no-browser", action="store_true", help="print the address and open nothing")
    p.add_argument("more", nargs="*", metavar="OPTION", help="options for JupyterLab, after --")
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.epilog = "examples:\n  mlnb lab\n  mlnb lab --no-browser --port 9000\n  mlnb lab -- --collaborative"


def main(args: argparse.Namespace) -> int:
    """Replace this process by JupyterLab. Raises `ProjectError` where there is no project to open."""
    project = Project.find()
    if project.is_builtin:
        raise ProjectError(
            f"No project in {project.root} or above, and mlnb's own notebooks are not for editing. "
            "Make a project of your own: mlnb new my_project && cd my_project && mlnb lab"
        )
    environment.apply()
    os.environ["MLNB_ROOT"] = str(project.root)
    sys.stdout.flush()
    os.execv(sys.executable, command(project, args.port, args.no_browser, args.more))


def command(project: Project, port: int, no_browser: bool, more: list[str]) -> list[str]:
    """Return the command line of JupyterLab for a project."""
    start = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={project.root}",
        f"--ServerApp.port={port}",
    ]
    return [*start, *QUIET, *(["--no-browser"] if no_browser else []), *more]
