"""`mlnb labels`: add ground-truth labels, which are joined to the prediction log by request, or count them."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlnb.cli.text_tables import table
from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.errors import UsageError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.operations.label_matching import find_labels
from mlnb.methods.tables.columns import Schema
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.monitoring.label_files import label_rows
from mlnb.monitoring.labels import Added, add_labels, read_labels
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.monitoring.prediction_table import read_log
from mlnb.registry.registry import Registry
from mlnb.serving.batch.schema_check import SCHEMA_FILE, read_project_schema, refuse_violations
from mlnb.settings import ProcessSettings
from mlnb.suggestions import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

CONFLICTS = 10  # conflicts that are listed


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb labels`."""
    p.add_argument("action", nargs="?", choices=("show", "add"), default="show", help="default: %(default)s")
    p.add_argument("file", nargs="?", type=Path, help="add: CSV, Parquet, JSON lines or Excel")
    p.add_argument("--model", default="", help="name of the model, when there are several")
    p.add_argument("--request", default="request", metavar="COLUMN", help="column of the request id (%(default)s)")
    p.add_argument("--label", default="", metavar="COLUMN", help="column of the label (default: the target)")
    p.add_argument("--row", default="row", metavar="COLUMN", help="column of the row number in its request")
    p.add_argument("--replace", action="store_true", help="add labels that differ as corrections")
    p.add_argument("--ignore-schema", action="store_true", help="do not check the labels against schema.yaml")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.epilog = (
        "examples:\n  mlnb labels add june.csv --request id --label churned\n  mlnb labels\n\n"
        "The request id is the header X-Request-Id of the response. A label of a ranking may name its item instead of\n"
        "the row; one of a forecast names the series and the timestamp (or `step`), and without a request it is the\n"
        "true value for every forecast of that timestamp. Adding the same labels again changes nothing; a label that\n"
        "differs from an existing one is reported as a conflict and ignored without --replace. Labels of classes that\n"
        "the model does not know are added and reported: they are misspelled, or the model needs to be trained anew.\n"
        "Where the project has a schema.yaml (see `mlnb schema`), labels that violate it are listed, and nothing is\n"
        "added."
    )


def main(args: argparse.Namespace) -> int:
    """Add labels, or print how many rows have one; return 0."""
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    version = registry.find_or_champion(args.model)
    database = label_database(project, version.model)
    contract = open_run(project, version.run).load("contract", ProblemContract)
    if args.action == "add":
        if args.file is None:
            raise UsageError("No file; expected one: mlnb labels add june.csv --request id --label churned")
        log, _ = read_log(log_folder(project, version.model))
        label = args.label or str(contract.target or "label")
        schema = Schema.from_json(open_run(project, version.run).load("schema"))
        frame = _read_file(args.file, schema, {label: str(contract.target)})
        if not args.ignore_schema and label in frame:
            _check_schema(project.root / SCHEMA_FILE, frame[label], str(contract.target), args.file.name)
        labeled_rows: list[dict[str, Any]] = frame.to_dict("records")
        rows = label_rows(labeled_rows, contract, args.request, label, args.row)
        requests = {name: int(last) + 1 for name, last in log.groupby("request")["row"].max().items()}
        added = add_labels(database, rows, time.time(), args.file.name, args.replace, requests, contract.classes)
        print(json.dumps(vars(added), ensure_ascii=False) if args.json else _added_text(added))
        for name, count in added.new_classes.items():
            hint = did_you_mean(name, contract.classes or ())
            classes = ", ".join(contract.classes or ())
            print(f"{count} labels are {name!r}; the classes of the model are {classes}.{hint}", file=sys.stderr)
        return 0
    log, damaged = read_log(log_folder(project, version.model))
    predicted = _predicted_rows(log, contract)
    labeled = sum(text is not None for text in find_labels(predicted, read_labels(database), contract))
    counts = {
        "model": version.model,
        "predicted rows": len(predicted),
        "labeled rows": labeled,
        "damaged lines": damaged,
    }
    print(json.dumps(counts) if args.json else table(["", ""], [[k, str(v)] for k, v in counts.items()]).lstrip("\n"))
    return 0


def _predicted_rows(log: Any, contract: ProblemContract) -> Any:
    """Return the rows of a prediction log that can have a label: of forecasts the steps."""
    from mlnb.methods.operations.labeled_feedback import steps_of

    return steps_of(log, contract) if traits_of(contract.task).unit == "history" and len(log) else log


def _read_file(path: Path, schema: Schema, renamed: dict[str, str]) -> "pd.DataFrame":
    """Return the rows of a file, text read in the formats of the training table.

    Args:
        path: of the file.
        schema: of the training table.
        renamed: name in the schema of each column that has another one in the file.
    """
    from mlnb.methods.tables.data_sources import read_table
    from mlnb.methods.tables.formatted_columns import read_as_trained

    if not path.is_file():
        raise UsageError(f"No file {str(path)!r}; expected CSV, Parquet, JSON lines or Excel.")
    frame, _ = read_table(str(path.absolute()), expected=[*schema.names, *renamed])
    return read_as_trained(frame, schema, renamed, ProcessSettings().personal_key)


def _check_schema(path: Path, labels: "pd.Series", target: str, file: str) -> None:
    """Raise `DataError` when labels violate the schema that the project owns; nothing without one.

    Args:
        path: of the project's schema.
        labels: of a file, text read in the formats of the training table.
        target: the column of the schema that they are values of.
        file: name of the file, for the message.
    """
    expected = read_project_schema(path)
    if expected is None or target not in expected.columns:
        return
    import pandas as pd

    from mlnb.methods.audit.project_schema import SchemaCheck
    from mlnb.methods.tables.values import to_label

    present = labels.dropna()
    values = present.map(to_label)
    if str(expected.columns[target].dtype or "").startswith("float"):
        values = pd.to_numeric(present, errors="coerce").dropna().astype("float64")
    check = SchemaCheck(expected, [target])
    check.add(pd.DataFrame({target: values}))
    refuse_violations(check.findings(), file)


def _added_text(added: Added) -> str:
    rows = [
        ("new", added.new),
        ("unchanged", added.unchanged),
        ("corrected", added.changed),
        ("empty", added.empty),
        ("conflicts, ignored", len(added.conflicts)),
        ("of requests that are not in the log, kept", len(added.unknown)),
        ("of rows that their request does not have, kept", len(added.beyond)),
    ]
    text = table(["labels", ""], [[name, str(count)] for name, count in rows if count or name == "new"], right=("",))
    for request, row, existing, new in added.conflicts[:CONFLICTS]:
        text += f"\n  request {request or 'any'}, row {row}: {existing}, in the file {new}"
    if len(added.conflicts) > CONFLICTS:
        text += f"\n  and {len(added.conflicts) - CONFLICTS} more"
    for request, row in added.beyond[:1]:
        text += f"\n  request {request} has no row {row}: rows are numbered from 0 in the order of the request"
    return text
