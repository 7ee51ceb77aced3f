"""`mlnb report`: write the report of a run and print its path."""

import argparse
import os

from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.reports.monitoring_page import write_monitoring_report
from mlnb.reports.run_report import write_report


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb report`."""
    p.add_argument("run", nargs="?", default="latest", help="id of a run, a unique part of one, or latest (default)")
    p.add_argument("--monitoring", action="store_true", help="write the monitoring report of the project instead")
    p.add_argument("--open", action="store_true", help="open the report in the browser")
    p.epilog = (
        "examples:\n  mlnb report                 write the report of the latest run\n"
        "  mlnb report --open          write it and open it in the browser\n"
        "  mlnb report --monitoring    write the monitoring report: versions, metrics, drift, decisions\n"
    )


def main(args: argparse.Namespace) -> int:
    """Write the report and print its path; return 0."""
    project = Project.find()
    path = write_monitoring_report(project) if args.monitoring else write_report(open_run(project, args.run))
    print(os.path.relpath(path))
    if args.open:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            print("No browser can be started here; open the file yourself.")
    return 0
