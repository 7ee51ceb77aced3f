"""`mlnb schema`: write the schema of a run as a file that the project owns, or check a file against it."""

import argparse
import json
import sys
from pathlib import Path

from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, newest_run_with
from mlnb.errors import UsageError
from mlnb.methods.tables.columns import Schema
from mlnb.registry.run_references import open_referenced
from mlnb.serving.batch.schema_check import SCHEMA_FILE, find_violations, read_project_schema


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb schema`."""
    p.add_argument("run", nargs="?", default="", help="run whose schema is used (default: the newest that has one)")
    p.add_argument("--check", metavar="FILE", help="check a file against the schema; exit code 1 for a violation")
    p.add_argument("--force", action="store_true", help="replace an existing file")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.epilog = (
        "examples:\n  mlnb schema                     write schema.yaml from the latest run\n"
        "  mlnb schema --check june.csv    check a file\n\n"
        "The file is a Pandera schema in YAML, in the project folder: types, ranges, categories, missing values,\n"
        "uniqueness and freshness (newest_within: days). Edit it and commit it. Where it exists, `mlnb run`,\n"
        "`mlnb retrain`, `mlnb score` and `mlnb labels add` check their data against it.\n\n"
        "Columns that look like personal data and are not declared are named when the file is written.\n\n"
        "exit codes: 0 no violation, 1 a violation, 2 usage error"
    )


def main(args: argparse.Namespace) -> int:
    """Write the file and return 0, or check a file and return 1 for a violation."""
    project = Project.find()
    path = project.root / SCHEMA_FILE
    if args.check is None:
        return _write(project, path, args)
    from mlnb.methods.audit.project_schema import infer_schema

    run = _find_run(project, args.run)
    schema = Schema.from_json(run.load("schema"))
    expected = read_project_schema(path)
    if expected is None:
        expected = infer_schema(run.load("table"), schema)
    findings = find_violations([args.check], schema, expected)
    if args.json:
        print(json.dumps([to_json(finding) for finding in findings], ensure_ascii=False))
    elif findings:
        rows = [_row(finding.message, finding.column, finding.rows) for finding in findings]
        print(table(["column", "found", "expected", "rows"], rows, right=("rows",)))
    else:
        print(f"{args.check} conforms to {SCHEMA_FILE if path.exists() else 'the schema of run ' + run.id}.")
    return 1 if findings else 0


def _find_run(project: Project, reference: str) -> Run:
    """Return the run, or the newest one of the default pipeline that has typed rows."""
    pipeline = project.settings.pipeline
    return open_referenced(project, reference) if reference else newest_run_with(project, pipeline, {"schema", "table"})


def _row(message: str, column: str | None, rows: int | None) -> list[str]:
    """Return the row of a violation in the table."""
    matches, _, expected = message.removeprefix("found ").rpartition(", expected ")
    return [column or "table", matches, expected, f"{rows:,}" if rows else ""]


def _write(project: Project, path: Path, args: argparse.Namespace) -> int:
    """Write the schema that was inferred by a run."""
    from mlnb.methods.audit.project_schema import infer_schema, schema_text

    if path.exists() and not args.force:
        raise UsageError(
            f"{SCHEMA_FILE} exists already and is yours; check a file against it with --check, or use --force."
        )
    run = _find_run(project, args.run)
    schema = Schema.from_json(run.load("schema"))
    text = schema_text(infer_schema(run.load("table"), schema))
    write_whole(path, text.encode())
    for column in schema.columns:
        if column.personal and not (column.declared and column.declared.personal):
            quoted = json.dumps(column.name, ensure_ascii=False)
            print(
                f"{column.name} looks like personal data ({column.personal}) and is not declared: add to columns.toml "
                f'[columns.{quoted}] personal = "drop", "mask", "pseudonymize" or "keep".',
                file=sys.stderr,
            )
    if args.json:
        print(json.dumps({"file": SCHEMA_FILE, "run": run.id}))
    else:
        print(f"{SCHEMA_FILE}  written from run {run.id}; edit and commit it. Data is checked against it from now on.")
    return 0
