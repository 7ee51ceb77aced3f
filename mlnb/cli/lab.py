"""`mlnb lab`: open the project's notebooks in JupyterLab, without requests for news or updates."""

import argparse
import os
import sys

from mlnb import environment
from mlnb.engine.project import Project
from mlnb.errors import ProjectError
from mlnb.settings import ProcessSettings

OPTIONS = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb lab`."""
    p.add_argument("--port", type=int, default=8888, help="port on 127.0.0.1 (default: 8888, or the next free one)")
    p.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    p.add_argument("options", nargs="*", metavar="-- OPTION", help="options of JupyterLab, after two dashes")
    p.epilog = "examples:\n  mlnb lab\n  mlnb lab --no-browser --port 9000\n  mlnb lab -- --collaborative"


def main(args: argparse.Namespace) -> int:
    """Replace this process by JupyterLab. Raises `ProjectError` when there is no project."""
    project = Project.find()
    if project.is_builtin:
        raise ProjectError(
            f"No project in {project.root} or above; the built-in notebooks cannot be edited. "
            "Create a project: mlnb new my_project && cd my_project && mlnb lab"
        )
    environment.apply()
    os.environ[ProcessSettings.root.variable] = str(project.root)
    sys.stdout.flush()
    os.execv(sys.executable, command(project, args.port, args.no_browser, args.options))


def command(project: Project, port: int, no_browser: bool, options: list[str]) -> list[str]:
    """Return the command line of JupyterLab for a project."""
    start = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={project.root}",
        f"--ServerApp.port={port}",
    ]
    return [*start, *OPTIONS, *(["--no-browser"] if no_browser else []), *options]
