"""`mlnb ui`: runs, comparisons, registry and models of projects in the browser."""

import argparse
from pathlib import Path

from mlnb.engine.project import Project
from mlnb.errors import UsageError


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb ui`."""
    p.add_argument("--port", type=int, help="port on 127.0.0.1 (default: 8790, or the next free one)")
    p.add_argument(
        "--project", nargs="+", action="extend", default=[], type=Path, metavar="FOLDER", help="projects to show"
    )
    p.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    p.epilog = (
        "examples:\n"
        "  mlnb ui                                  the project of this folder\n"
        "  mlnb ui --project churn prices fraud     several projects, with an overview of all models\n"
        "  mlnb ui --no-browser --port 9000         on another machine: ssh -L 9000:127.0.0.1:9000 HOST\n\n"
        "The dashboard answers this machine only, changes nothing, and loads nothing from other hosts.\n"
        "The token in the printed address is needed once for each browser. Ctrl-C stops it."
    )


def main(args: argparse.Namespace) -> int:
    """Serve the dashboard until Ctrl-C; return 0."""
    projects = [open_project(folder) for folder in args.project] or [Project.find()]
    from mlnb.dashboard.dashboard_server import forwarding_file, serve

    with forwarding_file() as write_page:

        def started(address: str) -> None:
            names = ", ".join(project.name for project in projects)
            print(f"Dashboard of {names}:\n\n  {address}\n\nCtrl-C stops it.", flush=True)
            if not args.no_browser:
                import webbrowser

                webbrowser.open(write_page(address).as_uri())

        try:
            serve(projects, args.port, started)
        except KeyboardInterrupt:
            print("\nStopped.")
    return 0


def open_project(folder: Path) -> Project:
    """Return the project in a folder. Raises `UsageError` when there is no such folder, or no project in it."""
    if not folder.is_dir():
        raise UsageError(f"--project {folder}: found no folder of that name; expected the folder of a project.")
    project = Project.find(folder)
    if project.root != folder.resolve():
        raise UsageError(f"--project {folder}: found a folder inside of a project; expected {project.root}.")
    return project
