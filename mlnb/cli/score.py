"""`mlnb score`: predict for the rows of files of any size."""

import argparse
import json
import sys
import time
from pathlib import Path

from mlnb.engine.digests import digest_value
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.machine import usable_cores
from mlnb.registry.run_references import run_reference
from mlnb.serving.batch.batch_job import JobOptions, run_job
from mlnb.serving.batch.job_checkpoints import Counts
from mlnb.serving.batch.schema_check import SCHEMA_FILE, find_violations, read_project_schema, refuse_violations
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.packaging.packaged_runs import LATEST, find_packaged_run, use_project_files
from mlnb.serving.runtime.model_parts import ModelParts
from mlnb.serving.runtime.row_scorers import import_lightgbm_alone

INTERVAL = 2.0  # seconds between two lines of progress


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb score`."""
    p.add_argument("sources", nargs="+", metavar="IN", help="whatever --data of `mlnb run` reads, and several of them")
    p.add_argument("output", metavar="OUT", help="a .parquet or .csv file, or its URL")
    p.add_argument("--run", default=LATEST, help="run, or version such as @champion (default: newest verified run)")
    p.add_argument(
        "--keep",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN",
        help="input columns that are written to the output",
    )
    p.add_argument("--quarantine", metavar="FILE", help="write invalid rows there as JSON lines, and continue")
    p.add_argument(
        "--workers", type=int, default=usable_cores(), help="number of processes (default: one per core, %(default)s)"
    )
    p.add_argument("--sheet", default="", help="Excel: name of the sheet (default: the one with the columns)")
    p.add_argument("--ignore-unknown", action="store_true", help="leave out columns that the model does not know")
    p.add_argument("--fill-missing", action="store_true", help="read absent columns as missing where that is allowed")
    p.add_argument("--ignore-schema", action="store_true", help="do not check the rows against schema.yaml")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.epilog = (
        "examples:\n"
        "  mlnb score rows.parquet out.parquet\n"
        "  mlnb score 'in/2026-*.csv' out.parquet --keep customer --quarantine bad.jsonl\n"
        "  mlnb score june.xlsx out.csv --sheet June\n"
        "  mlnb score s3://bucket/rows/ s3://bucket/out.parquet --run 20260102-0304\n\n"
        "Rows are processed in parts, and the output appears complete at the end. After a kill the same command\n"
        "continues where it stopped. Without --quarantine the first invalid row stops the job. `row` counts from 0\n"
        "in each file. The predictions are those of the service, bit for bit. Where the project has a schema.yaml\n"
        "(see `mlnb schema`), a violation is listed and nothing is scored.\n\n"
        "exit codes: 0 success, 2 usage error or an invalid row, 3 violation of the schema, or a process was killed,\n"
        "6 disk full"
    )


def main(args: argparse.Namespace) -> int:
    """Score the rows, print progress and the counts; return 0."""
    if args.workers < 1:
        raise UsageError(f"--workers is {args.workers}; expected 1 or more.")
    project = Project.find()
    run = find_packaged_run(project, run_reference(project, args.run))
    bundle = Bundle.read(run.load("service"))
    options = JobOptions(
        args.sources,
        args.output,
        bundle.folder / "model",
        bundle.model_tag,
        tuple(args.keep),
        args.quarantine,
        args.workers,
        ignore_unknown=args.ignore_unknown,
        fill_missing=args.fill_missing,
        sheet=args.sheet,
    )
    use_project_files(project)
    if not args.ignore_schema:
        _check_schema(project, bundle, args.sources, args.sheet)
    scratch = project.store_root / "score" / digest_value([args.sources, args.output])[:12]
    import_lightgbm_alone()
    start = time.monotonic()
    counts = run_job(options, scratch, Progress())
    seconds = time.monotonic() - start
    result = {"rows": counts.read, "scored": counts.scored, "bad": counts.bad, "output": args.output, "run": run.id}
    if args.json:
        print(json.dumps(result | {"model": bundle.model_tag, "seconds": round(seconds, 3)}))
        return 0
    print(f"{args.output}  ({counts.scored:,} rows in {seconds:.1f} s, by {bundle.model_tag} of run {run.id})")
    if counts.bad:
        print(f"{Path(args.quarantine)}  ({counts.bad:,} invalid rows of {counts.read:,})")
    return 0


def _check_schema(project: Project, bundle: Bundle, sources: list[str], sheet: str) -> None:
    """Raise `DataError` when rows violate the schema that the project owns; nothing without one."""
    expected = read_project_schema(project.root / SCHEMA_FILE)
    if expected is None:
        return
    schema = ModelParts.load(bundle.folder / "model").schema
    refuse_violations(find_violations(sources, schema, expected, features_only=True, sheet=sheet), ", ".join(sources))


class Progress:
    """Prints a line of progress on standard error every `INTERVAL` seconds."""

    def __init__(self) -> None:
        self.start = self.last = time.monotonic()
        self.first: int | None = None

    def __call__(self, counts: Counts, total: int | None) -> None:
        """Print the progress, unless a line was printed just before."""
        now = time.monotonic()
        if self.first is None:
            self.first = counts.read
            if counts.read:
                print(f"  continuing after row {counts.read:,}", file=sys.stderr, flush=True)
        if now - self.last < INTERVAL:
            return
        self.last = now
        rate = (counts.read - self.first) / (now - self.start)
        left = f" of {total:,}, {(total - counts.read) / rate:,.0f} s left" if total and rate else ""
        print(f"  {counts.read:,} rows{left}, {rate:,.0f} per second", file=sys.stderr, flush=True)
