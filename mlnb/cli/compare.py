"""`mlnb compare`: compare two model versions."""

import argparse
import json

from mlnb.cli.comparison_text import reuse_lines
from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.registry.registry import Registry
from mlnb.registry.version_comparison import VersionComparison, compare_versions
from mlnb.reports import formatting


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb compare`."""
    p.add_argument("first", help="model:3, model@champion, @champion, or 3 when there is one model")
    p.add_argument("second", help="the other version")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.epilog = (
        "examples:\n  mlnb compare @champion @challenger\n  mlnb compare 3 4\n\n"
        "Versions that were tested on the same rows are compared by a paired bootstrap.\n"
        "`mlnb runs compare` shows the parameters and stages in which two runs differ."
    )


def main(args: argparse.Namespace) -> int:
    """Print the comparison; return 0."""
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    comparison = compare_versions(project, registry.find(args.first), registry.find(args.second))
    print(json.dumps(to_json(comparison), ensure_ascii=False, indent=1) if args.json else _comparison_text(comparison))
    return 0


def _comparison_text(comparison: VersionComparison) -> str:
    versions = comparison.versions
    rows = [[name, formatting.number(a), formatting.number(b)] for name, (a, b) in comparison.metrics.items()]
    parts = [table(["metric", *versions], rows, right=versions)]
    parts.append("\n".join(f"{name}: {'the same' if same else 'different'}" for name, same in comparison.same.items()))
    parts += reuse_lines(versions, comparison.reuse)
    if comparison.libraries:
        changed = [[name, a or "–", b or "–"] for name, (a, b) in comparison.libraries.items()]
        parts.append(table(["library", *versions], changed))
    gap = comparison.difference
    if gap is None:
        parts.append(f"No confidence interval of the difference: {comparison.why}.")
    else:
        better = "larger" if gap.direction == "maximize" else "smaller"
        parts.append(
            f"{gap.metric} ({better} is better), {versions[1]} minus {versions[0]}: "
            f"{gap.value:+.4g} [{gap.low:+.4g}, {gap.high:+.4g}] on the same {gap.rows:,} test rows; "
            f"{versions[1]} is better in {gap.second_better:.0%} of the resamples"
        )
    return "\n\n".join(parts)
