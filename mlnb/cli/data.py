"""`mlnb data`: list the versions of data that runs have read, compare two of them, or restore one to a file."""

import argparse
import json
from pathlib import Path

from mlnb.cli.text_tables import shorten, table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.governance.data_versions import DataVersion, find_version, list_versions
from mlnb.reports import formatting

ACTIONS = {"list": (), "diff": ("A", "B"), "restore": ("VERSION",)}  # and the names of its arguments
NEWEST = 20  # versions that are listed without options
DIFFERENT = 1  # exit code of `mlnb data diff`


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb data`."""
    p.add_argument("action", nargs="?", choices=ACTIONS, default="list", help="default: %(default)s")
    p.add_argument(
        "versions", nargs="*", metavar="VERSION", help="digest or a start of it, run, @champion, or (diff) a file"
    )
    p.add_argument(
        "--last", type=int, default=NEWEST, metavar="N", help="list: show the N newest (default: %(default)s)"
    )
    p.add_argument(
        "--key", action="append", default=[], metavar="COLUMN", help="diff: a column that identifies rows; repeatable"
    )
    p.add_argument("--to", type=Path, metavar="FILE", help="restore: the file to write (.csv, .tsv, .parquet)")
    p.add_argument("--dvc", action="store_true", help="restore: also write FILE.dvc, and the cache of a DVC repository")
    p.add_argument("--force", action="store_true", help="restore: replace an existing file")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.epilog = (
        "examples:\n"
        "  mlnb data                                   list the versions, those read last first\n"
        "  mlnb data diff 3f9a2c51 latest              columns, rows and distributions that differ\n"
        "  mlnb data diff @champion june.csv           the champion's data and a file that no run has read\n"
        "  mlnb data diff 3f9a latest --key customer   rows are the same when the customer is\n"
        "  mlnb data restore 3f9a2c51 --to march.csv   write the rows of a version to a file\n"
        "  mlnb data restore 3f9a --to march.csv --dvc                and march.csv.dvc, the pointer of DVC\n\n"
        "A version is the SHA-256 digest of the bytes of the source; of a database, of its table. Columns are typed\n"
        "as `mlnb run` types them. Without --key, rows are identified by the first unique identifier that both\n"
        "versions have, else by their content. Distributions are compared with the tests of `mlnb monitor`.\n\n"
        "restore copies the source where it still has these bytes (byte-equal); else it writes the table of the\n"
        "store, local or remote, reads the file again, and refuses what is not the same table (table-equal). The\n"
        "store records the file, so that `mlnb erase` finds it wherever it is.\n\n"
        "exit codes: 0 success, and no difference; 1 diff: the versions differ; 2 usage error; 3 the version was\n"
        "            erased, or is in no store, or a file is no table"
    )


def main(args: argparse.Namespace) -> int:
    """List, compare or restore versions; return the exit code."""
    expected = ACTIONS[args.action]
    if len(args.versions) != len(expected):
        names = " ".join(["mlnb data", args.action, *expected])
        raise UsageError(f"Found `mlnb data {' '.join([args.action, *args.versions])}`; expected `{names}`.")
    if (args.to is None) == (args.action == "restore") or (args.action != "restore" and (args.force or args.dvc)):
        raise UsageError("--to, --dvc and --force are for `mlnb data restore VERSION --to FILE`, which needs --to.")
    if args.key and args.action != "diff":
        raise UsageError("--key is for `mlnb data diff A B --key COLUMN`.")
    if args.last < 1:
        raise UsageError(f"--last is {args.last}; expected 1 or more.")
    project = Project.find()
    if args.action == "diff":
        return _diff(project, args)
    if args.action == "restore":
        return _restore(project, args)
    return _list(project, args)


def _list(project: Project, args: argparse.Namespace) -> int:
    versions = list_versions(project)
    shown = versions[: args.last]
    if args.json:
        print(json.dumps([to_json(version) for version in shown], ensure_ascii=False, indent=1))
    elif not versions:
        print(f"No run in {project.runs} has read data. Start one: `mlnb run`.")
    else:
        heads = ["version", "rows", "columns", "size", "source", "runs", "first run", "last run", "state"]
        rows = [_row(version) for version in shown]
        print(table(heads, rows, right=("rows", "columns", "size", "runs"), optional=("runs", "columns", "first run")))
        for version in shown:
            if version.erased:
                print(f"\n{version.digest[:12]} was erased on {version.erased}.")
        if len(versions) > len(shown):
            more = formatting.count(len(versions) - len(shown), "older version")
            print(f"\n{more}: --last {len(versions)} shows all")
    return 0


def _row(version: DataVersion) -> list[str]:
    size = formatting.size(version.bytes if version.bytes is not None else version.stored_bytes)
    row = [formatting.short(version.digest), f"{version.rows:,}", str(version.columns), size, shorten(version.source)]
    return [*row, str(version.runs), version.first, version.last, str(version.state)]


def _diff(project: Project, args: argparse.Namespace) -> int:
    from mlnb.cli.data_difference import difference_text
    from mlnb.governance.data_differences import compare_versions
    from mlnb.governance.typed_versions import read_version

    before, after = (read_version(project, name) for name in args.versions)
    keys = [name for text in args.key for name in text.split(",")]
    difference = compare_versions(before, after, keys)
    if args.json:
        print(json.dumps(to_json(difference), ensure_ascii=False, indent=1))
    else:
        print(difference_text(difference))
    return 0 if difference.is_empty else DIFFERENT


def _restore(project: Project, args: argparse.Namespace) -> int:
    from mlnb.governance.data_restoration import STORE, restore_version

    restored = restore_version(project, find_version(project, args.versions[0]), args.to, args.force, args.dvc)
    if args.json:
        print(json.dumps(to_json(restored), ensure_ascii=False))
        return 0
    size = f"{restored.rows:,} rows, {formatting.size(restored.bytes)}"
    origin = "the tables of the store" if restored.origin == STORE else restored.origin
    print(f"{restored.path}  {restored.equality} with version {restored.version[:12]} ({size}, from {origin})")
    if restored.pointer:
        print(f"  pointer: {restored.pointer}")
    if restored.protected:
        print(
            f"  personal data: {', '.join(restored.protected)} as the store has them, without the values of the source"
        )
    return 0
