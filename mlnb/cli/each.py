"""`mlnb run --each`: one model for each value of a column, or for each file; what they share runs once.

With `--with-global` one model of all rows is trained, too, and compared on the rows that are held out of all of them.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence

from mlnb.api.progress import progress_listener
from mlnb.api.run_request import RunRequest
from mlnb.api.segment_training import (
    MOST,
    SegmentOptions,
    SegmentTraining,
    compare_global,
    find_segments,
    train_global,
)
from mlnb.cli.arguments import Once, at_least_one, not_empty
from mlnb.cli.found_program import as_found
from mlnb.cli.run_summary import failure_summary
from mlnb.cli.segment_table import comparison_table, segment_table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.errors import UsageError
from mlnb.tracking.run_results import INTERRUPTED, exit_code
from mlnb.tracking.segment_results import SegmentResult, SegmentState


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options of one model for each segment."""
    p.add_argument(
        "--each",
        action=Once,
        type=not_empty,
        metavar="COLUMN",
        help="train one model for each value of a column, or for each file of a pattern",
    )
    p.add_argument(
        "--with-global", action="store_true", help="with --each COLUMN: also train one model of all rows, and compare"
    )
    p.add_argument(
        "--least-rows", type=at_least_one, metavar="N", help="with --each: rows that a model needs (default: 50)"
    )
    p.add_argument(
        "--most",
        type=at_least_one,
        metavar="N",
        help=f"with --each: most models to train (default: {MOST})",
    )


def check_options(args: argparse.Namespace) -> None:
    """Raise `UsageError` for an option of several models without --each, which would do nothing."""
    for option, value in (
        ("--with-global", args.with_global or None), ("--least-rows", args.least_rows), ("--most", args.most)
    ):  # fmt: skip
        if args.each is None and value is not None:
            raise UsageError(f"{option} is for several models; expected --each, too.")


def run_each(
    project: Project, request: RunRequest, args: argparse.Namespace, workers: int, words: Sequence[str] = ()
) -> int:
    """Train a model for each segment, print a table of the results, and return the highest exit code.

    Args:
        project: The project.
        request: What each run is to do.
        args: The options of `mlnb run`.
        workers: Number of stages, and of segments, at a time.
        words: Options that the user did not state, for the records.

    Raises:
        UsageError: There are more segments than --most, or the request is wrong.
    """
    options = SegmentOptions(
        each=args.each,
        with_global=args.with_global,
        least_rows=args.least_rows,
        most=args.most or MOST,
        workers=workers,
        report=not args.no_report,
        command=("mlnb", *sys.argv[1:], *words),
    )
    try:
        return _train_each(project, request, args, options)
    except KeyboardInterrupt:  # between two runs: one that is interrupted has a result
        print(f"mlnb run: interrupted.\n\n  continue  {as_found(shlex.join(options.command))}", file=sys.stderr)
        return INTERRUPTED


def _train_each(project: Project, request: RunRequest, args: argparse.Namespace, options: SegmentOptions) -> int:
    """Train the models of the segments and, if requested, of all rows; print the results, return the exit code."""
    segments, shared = find_segments(project, request, options, progress_listener(args.json))
    if not segments and shared is not None:
        return _explain_failure(shared, options)
    from mlnb.api.queue_progress import QueueProgress  # imports for longer than a run with nothing to do may take

    training = SegmentTraining(project, segments, options, QueueProgress(len(segments), args.json))
    results = training.run()
    if args.json:
        states = [result.state for result in results]
        counts = {str(state): states.count(state) for state in SegmentState if state in states}
        print(json.dumps({"event": "segments", "states": counts}))
    else:
        print(segment_table(args.each, results))
    codes = [INTERRUPTED if training.interrupted else 0, *(result.code for result in results)]
    if args.with_global and not training.interrupted:
        codes.append(_compare_global(project, request, options, args.json, results))
    code = max(codes)
    if code:
        print(f"\n  continue  {as_found(shlex.join(options.command))}", file=sys.stderr)
    return code


def _compare_global(
    project: Project, request: RunRequest, options: SegmentOptions, as_json: bool, results: Sequence[SegmentResult]
) -> int:
    """Train one model of all rows, print its comparison with those of the segments, and return the exit code."""
    whole = train_global(project, request, options, progress_listener(as_json))
    code = _explain_failure(whole, options)
    comparison = compare_global(project, whole, results)
    if comparison is None:
        print("\nNothing to compare: the models were not evaluated.", file=sys.stderr)
    elif as_json:
        print(json.dumps({"event": "comparison", "run": whole.id, **to_json(comparison)}, ensure_ascii=False))
    else:
        print(comparison_table(whole.id, comparison))
    return code


def _explain_failure(run: Run, options: SegmentOptions) -> int:
    """Return the exit code of a run; explain why it failed."""
    code = exit_code(run.record)
    if code:
        print(failure_summary(run, shlex.join(options.command)), file=sys.stderr)
    return code
