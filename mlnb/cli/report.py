"""`mlnb report`: write a run's report again and say where it is."""

import argparse
import os

from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.reports.monitoring_page import write_loop
from mlnb.reports.run_report import write_report


def parser(p: argparse.ArgumentParser) -> None:
    """Add the options of `mlnb report`."""
    p.add_argument("run", nargs="?", default="latest", help="a run's id, a part of it that is unique, or latest")
    p.add_argument("--loop", action="store_true", help="of the loop instead: versions, looks, drift, decisions")
    p.add_argument("--open", action="store_true", help="show it in the browser")
    p.epilog = (
        "examples:\n  mlnb report              the latest run's\n  mlnb report --open       and look at it\n"
        "  mlnb report --loop       how the model in service has fared\n"
    )


def main(args: argparse.Namespace) -> int:
    """Write the report; print its path."""
    project = Project.find()
    path = write_loop(project) if args.loop else write_report(open_run(project, args.run))
    print(os.path.relpath(path))
    if args.open:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            print("No browser could be started here; open the file yourself.")
    return 0
