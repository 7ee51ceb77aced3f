"""`mlnb lab`: open the project's notebooks in JupyterLab, without requests for news or updates."""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from mlnb import environment
from mlnb.api.last_run import new_project_command
from mlnb.engine.project import Project
from mlnb.errors import ProjectError
from mlnb.lab.git_filter import configure_git
from mlnb.lab.jupyter_files import prepare

OPTIONS = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    "--KernelSpecManager.ensure_native_kernel=False",  # python3 is the warm kernel of `jupyter_files`
)


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb lab`."""
    p.add_argument("--port", type=int, default=8888, help="port on 127.0.0.1 (default: 8888, or the next free one)")
    p.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    p.add_argument("options", nargs="*", metavar="-- OPTION", help="options of JupyterLab, after two dashes")
    p.epilog = (
        "The panel at the left shows the pipeline: state of each stage and why it is outdated, the run that goes on,\n"
        "the last result, the runs; it runs, stops, debugs and compares. Notebooks use the warm kernel, and `mlnb` is\n"
        "on the PATH of terminals.\n\n"
        "examples:\n  mlnb lab\n  mlnb lab --no-browser --port 9000\n  mlnb lab -- --collaborative"
    )


def main(args: argparse.Namespace) -> int:
    """Replace this process by JupyterLab. Raises `ProjectError` when there is no project."""
    project = Project.find()
    if project.is_builtin:
        raise ProjectError(
            f"No project in {project.root} or above; the built-in notebooks cannot be edited. "
            f"Create a project: {new_project_command(project)}"
        )
    start(project, args.port, args.no_browser, project.notebooks.relative_to(project.root).as_posix(), args.options)


def start(project: Project, port: int, no_browser: bool, path: str, options: list[str], *first: Path) -> NoReturn:
    """Replace this process by JupyterLab.

    Args:
        project: The project.
        port: The port, or the first one that is tried.
        no_browser: Whether no browser is opened.
        path: What JupyterLab opens: a folder or a notebook, relative to the project.
        options: Further options of JupyterLab.
        first: Folders in which JupyterLab finds kernels before those of any `mlnb lab`.
    """
    environment.apply()
    configure_git(project)
    os.environ.update(prepare(project, *first))
    sys.stdout.flush()
    os.execv(sys.executable, command(project, port, no_browser, path, options))


def command(project: Project, port: int, no_browser: bool, path: str, options: list[str]) -> list[str]:
    """Return the command line of JupyterLab for a project; the arguments are as for `start`."""
    words = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={project.root}",
        f"--ServerApp.port={port}",
        f"--LabApp.default_url=/lab/tree/{quote(path)}",
        *OPTIONS,
    ]
    if not sys.stdout.isatty():  # Jupyter would start login shells, whose PATH is that of the system
        words.append(f"--ServerApp.terminado_settings=shell_command={os.environ.get('SHELL') or '/bin/sh'}")
    return [*words, *(["--no-browser"] if no_browser else []), *options]
