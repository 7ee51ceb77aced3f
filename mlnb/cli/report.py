"""`mlnb report`: write the report of a run, a comparison of runs or an index of all runs, and print its path."""

import argparse
import os
from functools import partial
from pathlib import Path

from mlnb.api.model_operations import write_version_report
from mlnb.api.several_models import ModelOutcome
from mlnb.cli.all_models import add_filters, for_each_model, selected_models
from mlnb.codec import replace
from mlnb.engine.project import Project
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry
from mlnb.registry.run_references import open_referenced
from mlnb.reports.comparison_page import write_comparison
from mlnb.reports.monitoring_page import write_monitoring_report
from mlnb.reports.run_documents import write_documents
from mlnb.reports.run_index import write_index
from mlnb.reports.run_report import write_report


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb report`."""
    p.add_argument("run", nargs="?", default="latest", help="run, version such as @champion, or latest (default)")
    other = p.add_mutually_exclusive_group()
    other.add_argument(
        "--compare", nargs="+", action="extend", metavar="RUN", help="write a comparison of these runs instead"
    )
    other.add_argument("--all", action="store_true", help="write an index of all runs with links to their reports")
    other.add_argument("--monitoring", action="store_true", help="write the monitoring report of the project instead")
    add_filters(p, all_models=False)
    p.add_argument("--open", action="store_true", help="open the report in the browser")
    p.epilog = (
        "examples:\n  mlnb report                 write the report of the latest run\n"
        "  mlnb report --open          write it and open it in the browser\n"
        "  mlnb report --monitoring    write the monitoring report: versions, metrics, drift, decisions\n"
        "  mlnb report --compare latest 20260314-0915    one file: parameters, metrics, plots, changed cells\n"
        "  mlnb report --all           write runs/index.html\n"
        "  mlnb report --name 'churn*' write the reports of the champions of these models, and runs/index.html\n"
    )


def main(args: argparse.Namespace) -> int:
    """Write the report, or those of several models, and print the path; return the exit code."""
    project = Project.find()
    code = 0
    if args.name or args.segment:
        registry = Registry(project)
        registry.sync()
        code = for_each_model(project, selected_models(registry, args), partial(_write_report, project))
        path = write_index(project)
    else:
        path = _write(project, args)
    print(os.path.relpath(path))
    if args.open:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            print("No browser can be started here; open the file yourself.")
    return code


def _write_report(project: Project, version: ModelVersion) -> ModelOutcome:
    outcome = write_version_report(project, version)
    return replace(outcome, note=os.path.relpath(outcome.note))


def _write(project: Project, args: argparse.Namespace) -> Path:
    """Write what the arguments request; return its path."""
    if args.compare:
        return write_comparison([open_referenced(project, reference) for reference in args.compare])
    if args.all:
        return write_index(project)
    if args.monitoring:
        return write_monitoring_report(project)
    run = open_referenced(project, args.run)
    write_documents(run)
    return write_report(run)
