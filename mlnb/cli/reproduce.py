"""`mlnb reproduce`: execute a run again from what was recorded, and compare the digests of its outputs."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.errors import NotReproducible, UsageError
from mlnb.governance.output_comparison import StageComparison
from mlnb.governance.reproduction import Reproduction, ReproductionOptions, Verdict, reproduce
from mlnb.registry.run_references import open_referenced

DIGITS = 12  # of a digest in the table
DIFFERENCES = 10  # of the environment that are printed


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb reproduce`."""
    p.add_argument("run", nargs="?", default="latest", help="run or version (default: latest)")
    p.add_argument("--here", action="store_true", help="use this environment instead of a fresh one")
    p.add_argument("--wheels", type=Path, metavar="FOLDER", help="install from these wheels alone, offline")
    p.add_argument("--keep", action="store_true", help="keep the folder of the reproduction")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.epilog = (
        "examples:\n  mlnb reproduce                            the latest run, in a fresh environment\n"
        "  mlnb reproduce @champion --wheels wheels  without any network\n"
        "  mlnb reproduce 20260314 --here            with the packages that are installed here\n\n"
        "The packages of the run's manifest are installed with pip into a virtual environment, as pip is configured\n"
        "for you, and verified against the recorded digests. The code comes from the executed notebooks and from the\n"
        "store, data from the same paths if their digests are as recorded; else the stored outputs of the stage that\n"
        "has read them are used. Nothing else of the store is reused, and searches end after the recorded number of\n"
        "trials. All of it happens in a temporary folder of the store (.mlnb/reproductions).\n\n"
        "verdicts: identical (the outputs of all repeated stages), equal predictions (of the test rows; other outputs\n"
        "differ), different, impossible (what is missing is named)\n\n"
        "exit codes: 0 identical or equal predictions, 1 different, 2 usage error, 7 impossible"
    )


def main(args: argparse.Namespace) -> int:
    """Print the comparison and the verdict; return the exit code."""
    if args.here and args.wheels is not None:
        raise UsageError("--here installs nothing, and --wheels names what to install from; expected one of them.")
    if args.wheels is not None and not args.wheels.is_dir():
        raise UsageError(
            f"--wheels {args.wheels}: no such folder. Fill one: pip download -r requirements.txt -d wheels"
        )
    project = Project.find()
    run = open_referenced(project, args.run)
    options = ReproductionOptions(
        here=args.here,
        wheels=args.wheels.resolve() if args.wheels else None,
        keep=args.keep,
        report=partial(print, " ", file=sys.stderr, flush=True),
    )
    try:
        result = reproduce(run, options)
    except NotReproducible as error:
        result = Reproduction(run=run.id, verdict=Verdict.IMPOSSIBLE, missing=str(error))
    print(json.dumps(to_json(result), ensure_ascii=False, indent=1) if args.json else _text(result))
    codes = {Verdict.DIFFERENT: 1, Verdict.IMPOSSIBLE: NotReproducible.exit_code}
    return codes.get(result.verdict, 0)


def _text(result: Reproduction) -> str:
    """Return the result as text: a table of digests, the first difference, the environment, notes and the verdict."""
    lines = [f"run {result.run}"]
    if result.stages:
        rows = [_row(stage) for stage in result.stages]
        heads = ["stage", "recorded", "reproduced", "result"]
        lines += ["", table(heads, rows, whole=heads)]
    if result.difference:
        lines += ["", "first difference:", *(f"  {line}" for line in result.difference)]
    if result.environment:
        more = len(result.environment) - DIFFERENCES
        lines += ["", "environment, recorded -> now:", *(f"  {line}" for line in result.environment[:DIFFERENCES])]
        lines += [f"  and {more} more: --json lists them"] if more > 0 else []
    lines += ["", *(f"note: {note}" for note in result.notes)] if result.notes else []
    lines += ["", f"missing: {result.missing}"] if result.missing else []
    lines += [f"kept: {result.folder}"] if result.folder else []
    return "\n".join([*lines, "", f"verdict: {result.verdict}"])


def _row(stage: StageComparison) -> list[str]:
    if stage.stored:
        result = f"stored: {stage.stored}"
    elif not stage.reproduced:
        result = "not finished"
    else:
        result = f"different: {', '.join(stage.differing)}" if stage.differing else "identical"
    return [stage.stage, stage.recorded[:DIGITS], stage.reproduced[:DIGITS] or "-", result]
