"""`mlnb labels`: labels that arrive late, joined to the prediction log by request."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from mlnb.cli.text_tables import table
from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.errors import UsageError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.monitoring.label_joining import find_labels, pick_places
from mlnb.monitoring.labels import Added, add_labels, read_labels
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.monitoring.prediction_table import read_log
from mlnb.registry.registry import Registry

SHOWN = 10  # conflicts that are listed


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb labels`."""
    p.add_argument("what", nargs="?", choices=("show", "add"), default="show", help="default: %(default)s")
    p.add_argument("file", nargs="?", type=Path, help="add: CSV, Parquet, JSON lines or Excel")
    p.add_argument("--model", default="", help="the model's name, where there are several")
    p.add_argument("--request", default="request", metavar="COLUMN", help="column of the request id (%(default)s)")
    p.add_argument("--label", default="", metavar="COLUMN", help="column of the label (default: the model's target)")
    p.add_argument(
        "--row", default="row", metavar="COLUMN", help="column of the row in its request, where there is one"
    )
    p.add_argument("--replace", action="store_true", help="a label that differs replaces the one that is there")
    p.add_argument("--json", action="store_true", help="as JSON, for machines")
    p.epilog = (
        "examples:\n  mlnb labels add june.csv --request id --label churned\n  mlnb labels\n\n"
        "The request id is the header X-Request-Id of the service's answer. A label of a ranking may name its item\n"
        "instead of the row; one of a forecast names the series and the stamp (or `step`), and without a request\n"
        "it is the true value, for every forecast of that stamp. The same labels again change nothing;\n"
        "a label that differs from the one that is there is a conflict, is told, and changes nothing without --replace."
    )


def main(args: argparse.Namespace) -> int:
    """Add labels, or say how many rows have theirs."""
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    version = registry.in_charge(args.model)
    database = label_database(project, version.model)
    contract = open_run(project, version.run).load("contract", ProblemContract)
    if args.what == "add":
        if args.file is None:
            raise UsageError("No file was named: mlnb labels add june.csv --request id --label churned")
        log, _ = read_log(log_folder(project, version.model))
        label = args.label or str(contract.target or "label")
        rows = pick_places(_rows(args.file), contract, args.request, label, args.row)
        added = add_labels(database, rows, time.time(), args.file.name, args.replace, set(log["request"]))
        print(json.dumps(vars(added), ensure_ascii=False) if args.json else _said(added))
        return 0
    log, damaged = read_log(log_folder(project, version.model))
    answered = _answered(log, contract)
    have = sum(text is not None for text in find_labels(answered, read_labels(database), contract))
    found = {"model": version.model, "predicted rows": len(answered), "with a label": have, "damaged lines": damaged}
    print(json.dumps(found) if args.json else table(["", ""], [[k, str(v)] for k, v in found.items()]).lstrip("\n"))
    return 0


def _answered(log: Any, contract: ProblemContract) -> Any:
    """The rows of a log that wait for a label: of forecasts the steps."""
    from mlnb.methods.operations.labeled_feedback import steps_of

    return steps_of(log, contract) if contract.task == "forecasting" and len(log) else log


def _rows(path: Path) -> list[dict[str, Any]]:
    from mlnb.methods.tables.data_sources import read_table

    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}.")
    frame, _ = read_table(str(path.absolute()))
    rows: list[dict[str, Any]] = frame.to_dict("records")
    return rows


def _said(added: Added) -> str:
    rows = [
        ("new", added.new),
        ("known already", added.known),
        ("replaced", added.changed),
        ("empty", added.empty),
        ("in conflict, left as they were", len(added.conflicts)),
        ("of requests that the log does not have, kept", len(added.unknown)),
    ]
    text = table(["labels", ""], [[name, str(count)] for name, count in rows if count or name == "new"], right=("",))
    for request, row, kept, refused in added.conflicts[:SHOWN]:
        text += f"\n  request {request or 'any'}, row {row}: is {kept}, the file says {refused}"
    if len(added.conflicts) > SHOWN:
        text += f"\n  and {len(added.conflicts) - SHOWN} more"
    return text
