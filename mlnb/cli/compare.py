"""`mlnb compare`: two versions side by side."""

import argparse
import json
from typing import Any

from mlnb.cli.text_tables import table
from mlnb.engine.project import Project
from mlnb.registry.registry import Registry
from mlnb.registry.version_comparison import compare
from mlnb.reports import formatting


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb compare`."""
    p.add_argument("first", help="model:3, model@champion, @champion, or 3 where there is one model alone")
    p.add_argument("second", help="the other one")
    p.add_argument("--json", action="store_true", help="as JSON, for machines")
    p.epilog = (
        "examples:\n  mlnb compare @champion @challenger\n  mlnb compare 3 4\n\n"
        "Two versions that were tested on the very same rows are compared in pairs, by bootstrap.\n"
        "`mlnb runs compare` has the parameters and stages in which two runs differ."
    )


def main(args: argparse.Namespace) -> int:
    """Print the comparison."""
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    found = compare(project, registry.find(args.first), registry.find(args.second))
    print(json.dumps(found, ensure_ascii=False, indent=1) if args.json else _in_words(found))
    return 0


def _in_words(found: dict[str, Any]) -> str:
    rows = [[name, formatting.number(a), formatting.number(b)] for name, (a, b) in found["metrics"].items()]
    parts = [table(["metric", *found["versions"]], rows, right=found["versions"])]
    parts.append("\n".join(f"{name}: {'the same' if same else 'different'}" for name, same in found["same"].items()))
    if found["libraries"]:
        changed = [[name, a or "–", b or "–"] for name, (a, b) in found["libraries"].items()]
        parts.append(table(["library", *found["versions"]], changed))
    gap = found["difference"]
    if "why" in gap:
        parts.append(f"No interval of the difference: {gap['why']}.")
    else:
        better = "larger" if gap["direction"] == "maximize" else "smaller"
        parts.append(
            f"{gap['metric']} ({better} is better), {found['versions'][1]} minus {found['versions'][0]}: "
            f"{gap['value']:+.4g} [{gap['low']:+.4g}, {gap['high']:+.4g}] on the same {gap['rows']:,} test rows; "
            f"{found['versions'][1]} is better in {gap['second is better in']:.0%} of the resamples"
        )
    return "\n\n".join(parts)
