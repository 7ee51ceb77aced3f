"""`mlnb diff`: what a change of the notebooks does to stages, metrics, gate and findings, between two git revisions."""

import argparse
import json
from pathlib import Path

from mlnb.cli.diff_blocks import diff_blocks
from mlnb.cli.diff_formats import diff_markdown, diff_text
from mlnb.cli.revision_diff import RevisionDiff, compare_revisions
from mlnb.codec import to_json
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.errors import UsageError

FORMATS = ("text", "markdown", "json")
EPILOG = """examples:
  mlnb diff                                  from the merge base with the default branch to the working tree
  mlnb diff HEAD                             from the last commit to the working tree
  mlnb diff v1.2..HEAD                       between two revisions
  mlnb diff main...HEAD                      from their merge base
  mlnb diff "$BASE..HEAD" --format markdown --output diff.md    for a comment on a pull request

The run of a commit is the newest that was started in a clean checkout of it, or of a commit that differs in prose
only; the run of what is checked out has the stage keys of its plan. Without a run, changed cells and invalidated
stages are shown. `mlnb new` writes a workflow for GitHub that comments on pull requests.

exit codes: 0 the gate of the second revision passed, or its pipeline has none; 4 it failed; 2 there is no run of the
            second revision, or a wrong argument
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb diff`."""
    p.add_argument("revisions", nargs="?", default="", metavar="BASE..HEAD", help="git revisions to compare")
    p.add_argument("--format", choices=FORMATS, default="text", help="text (default), markdown or json")
    p.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead of the terminal")
    p.add_argument("--pipeline", metavar="P", help="pipeline of the runs (default: the setting `pipeline`)")
    p.epilog = EPILOG


def main(args: argparse.Namespace) -> int:
    """Print or write what differs; return the exit code of the second revision's gate."""
    if args.output is not None and (args.output.is_dir() or not args.output.absolute().parent.is_dir()):
        raise UsageError(f"--output: {str(args.output)!r} is no file in an existing folder; expected one, as diff.md.")
    diff = compare_revisions(Project.find(), args.revisions, args.pipeline)
    data = f"{diff_as(diff, args.format).rstrip()}\n".encode(errors="backslashreplace")
    if args.output is None:
        print(data.decode(), end="")
    else:
        write_whole(args.output, data)
        print(args.output)
    return diff.exit_code


def diff_as(diff: RevisionDiff, to: str) -> str:
    """Return a diff in one of `FORMATS`."""
    if to == "json":
        return json.dumps(to_json(diff), ensure_ascii=False, indent=1)
    title = f"{diff.base.name} .. {diff.head.name}"
    return diff_markdown(diff_blocks(diff), title) if to == "markdown" else diff_text(diff_blocks(diff), title)
