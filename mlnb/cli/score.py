"""`mlnb score`: predictions for the rows of files of any size."""

import argparse
import json
import sys
import time
from pathlib import Path

from mlnb.engine.digests import digest_value
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.serving.batch.batch_job import JobOptions, count_cores, run_job
from mlnb.serving.batch.job_checkpoints import Counts
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.packaging.run_bento import LATEST, find_winner
from mlnb.serving.runtime.row_scorers import import_alone

EVERY = 2.0  # seconds between two lines of progress


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb score`."""
    p.add_argument(
        "sources", nargs="+", metavar="IN", help="CSV or Parquet: files, globs, folders, s3://, gs://, az://"
    )
    p.add_argument("output", metavar="OUT", help="a .parquet or .csv file, or its URL")
    p.add_argument("--run", default=LATEST, help="a run's id, or its start (default: the newest proven)")
    p.add_argument("--keep", nargs="+", default=[], metavar="COLUMN", help="columns of the input to write too")
    p.add_argument("--quarantine", metavar="FILE", help="put bad rows aside, as JSON lines, and go on")
    p.add_argument("--workers", type=int, default=count_cores(), help="processes (default: one a core, %(default)s)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.epilog = (
        "examples:\n"
        "  mlnb score rows.parquet out.parquet\n"
        "  mlnb score 'in/2026-*.csv' out.parquet --keep customer --quarantine bad.jsonl\n"
        "  mlnb score s3://bucket/rows/ s3://bucket/out.parquet --run 20260102-0304\n\n"
        "Rows are never held all at once, and the output appears whole, at the end. After a kill the same command\n"
        "goes on where it stopped. Without --quarantine the first bad row stops the job. `row` counts from 0 in\n"
        "each file. The numbers are the service's, to the last bit.\n\n"
        "exit codes: 0 scored, 2 asked wrongly or a bad row, 3 a process was killed, 6 disk full"
    )


def main(args: argparse.Namespace) -> int:
    """Score, tell how far it is, and print what became of the rows."""
    if args.workers < 1:
        raise UsageError(f"--workers {args.workers}: expected at least 1.")
    project = Project.find()
    run = find_winner(project, args.run)
    bundle = Bundle.read(run.load("service"))
    options = JobOptions(
        args.sources,
        args.output,
        bundle.folder / "model",
        bundle.model_tag,
        tuple(args.keep),
        args.quarantine,
        args.workers,
    )
    scratch = project.store_root / "score" / digest_value([args.sources, args.output])[:12]
    import_alone()
    began = time.monotonic()
    counts = run_job(options, scratch, Progress())
    seconds = time.monotonic() - began
    facts = {"rows": counts.read, "scored": counts.scored, "bad": counts.bad, "output": args.output, "run": run.id}
    if args.json:
        print(json.dumps(facts | {"model": bundle.model_tag, "seconds": round(seconds, 3)}))
        return 0
    print(f"{args.output}  ({counts.scored:,} rows in {seconds:.1f} s, by {bundle.model_tag} of run {run.id})")
    if counts.bad:
        print(f"{Path(args.quarantine)}  ({counts.bad:,} rows that do not fit; {counts.read:,} in all)")
    return 0


class Progress:
    """A line now and then on standard error."""

    def __init__(self) -> None:
        self.began = self.told = time.monotonic()
        self.first: int | None = None

    def __call__(self, counts: Counts, total: int | None) -> None:
        """Tell how far it is, unless that was told just now."""
        now = time.monotonic()
        if self.first is None:
            self.first = counts.read
            if counts.read:
                print(f"  going on after row {counts.read:,}", file=sys.stderr, flush=True)
        if now - self.told < EVERY:
            return
        self.told = now
        rate = (counts.read - self.first) / (now - self.began)
        left = f" of {total:,}, {(total - counts.read) / rate:,.0f} s left" if total and rate else ""
        print(f"  {counts.read:,} rows{left}, {rate:,.0f} a second", file=sys.stderr, flush=True)
