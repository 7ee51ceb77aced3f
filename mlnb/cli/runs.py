"""`mlnb runs`: runs sorted and filtered by any metric or parameter, and two runs side by side."""

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlnb.cli.comparison_text import comparison_text
from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.engine.runs import list_runs
from mlnb.errors import UsageError
from mlnb.registry.run_references import active_elsewhere, open_referenced
from mlnb.reports import formatting
from mlnb.tracking import run_results
from mlnb.tracking.run_comparison import compare_runs
from mlnb.tracking.run_table import RunRow, check_name, condition, describe, short_data, sort_rows

NEWEST = 20  # runs that are shown without options
EPILOG = """examples:
  mlnb runs                                      list the newest runs
  mlnb runs --sort roc_auc --last 50             sort the last fifty, the best first
  mlnb runs --filter 'metrics.roc_auc>0.9' --filter tune.sampler=tpe
  mlnb runs --filter state=failed --json
  mlnb runs compare latest 20260314-0915         compare two runs
  mlnb runs --remote                             list the runs of all clones; `mlnb show ID` pulls one

With the setting `database`, runs of other machines that are running, killed or interrupted are listed, too.

names: any metric (roc_auc, metrics.roc_auc, evaluate.roc_auc), any parameter (tune.trials, trials),
       and id, state, data, target, segment, pipeline, profile, group, started, seconds, winner, gate
`mlnb report --compare A B` writes a page with plots and changed cells as well; `mlnb ui` shows it in the browser.
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb runs`."""
    p.add_argument("compare", nargs="*", metavar="compare A B", help="compare two runs")
    p.add_argument("--sort", metavar="NAME", help="sort by a metric or parameter, the best first")
    p.add_argument("--reverse", action="store_true", help="reverse the order")
    p.add_argument(
        "--filter", action="append", default=[], metavar="EXPR", help="show runs with NAME=VALUE, NAME>VALUE ..."
    )
    p.add_argument("--last", type=int, metavar="N", help=f"use the N newest runs (default: {NEWEST}, or all if sorted)")
    p.add_argument("--remote", action="store_true", help="list the runs in the remote store, and who ran them")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.epilog = EPILOG


def main(args: argparse.Namespace) -> int:
    """Print the selected runs; return 0."""
    project = Project.find()
    if args.compare:
        return _compare(project, args)
    if args.last is not None and args.last < 1:
        raise UsageError(f"--last is {args.last}; expected 1 or more.")
    if args.remote:
        return _list_remote(project, args)
    others = active_elsewhere(project)
    machines = {each.run.id: each.host for each in others}
    runs = sorted([each.run for each in others] + list_runs(project), key=lambda run: run.record.started, reverse=True)
    last = args.last if args.last is not None else None if args.sort or args.filter else NEWEST
    rows = [describe(run) for run in (runs[:last] if last else runs)]
    names = {name for row in rows for name in row.values}
    for expression in args.filter:
        name, holds = condition(expression, names)
        rows = [row for row in rows if name in row.values and holds(row.values[name])]
    if args.sort:
        rows = sort_rows(rows, check_name(args.sort, names), args.reverse)
    elif args.reverse:
        rows.reverse()
    if args.json:
        listed = [as_json(row) | {"machine": machines.get(row.run.id, "")} for row in rows]
        print(json.dumps(listed, ensure_ascii=False, indent=1))
    elif not runs:
        print(f"No runs in {project.runs}. Start one: `mlnb run`.")
    elif not rows:
        print(f"None of {formatting.count(len(runs), 'run')} matches the filter. `mlnb runs` lists all.")
    else:
        filtered = [condition(expression, names)[0] for expression in args.filter]
        print(listing(rows, [name for name in [args.sort, *filtered] if name], machines))
        if last and len(runs) > last:
            print(f"\n{formatting.count(len(runs) - last, 'older run')}: --last {len(runs)} shows all")
    return 0


def _list_remote(project: Project, args: argparse.Namespace) -> int:
    """Print the newest runs in the remote store; return 0."""
    if args.sort or args.filter:
        raise UsageError("--remote lists the newest runs; expected no --sort and no --filter with it.")
    if project.store.remote is None:
        raise UsageError("There is no remote store: set `remote` in settings.ini, or MLNB_REMOTE.")
    runs = list(project.store.remote.list_runs(args.last or NEWEST))
    if args.reverse:
        runs.reverse()
    if args.json:
        print(json.dumps([to_json(run) for run in runs], ensure_ascii=False, indent=1))
    elif not runs:
        print(f"No runs in {project.store.remote.url}. `mlnb run` pushes its run.")
    else:
        rows = [
            [run.id, run.state, run.person, run.pipeline, formatting.seconds(run.seconds), run.platform] for run in runs
        ]
        print(table(["run", "state", "person", "pipeline", "duration", "platform"], rows, right=("duration",)))
    return 0


def listing(rows: Sequence[RunRow], extra: Sequence[str] = (), machines: Mapping[str, str] | None = None) -> str:
    """Return a line per run, with a column for each name in `extra` that is not shown anyway.

    Args:
        rows: The runs.
        extra: Names of metrics or parameters.
        machines: The machine of each run that is not here, by id.
    """
    segmented = ["segment"] if any(row.run.record.segment for row in rows) else []
    elsewhere = ["machine"] if machines else []
    heads = ["run", "state", *elsewhere, "duration", "data", *segmented]
    heads += ["target", "winner", "metric", "test", "interval", "gate"]
    shown = (*heads, "id", "value", "seconds")
    extra = [name for name in dict.fromkeys(name.removeprefix("metrics.") for name in extra) if name not in shown]
    lines = []
    for run, verdict, values in rows:
        gate = formatting.gate(verdict.gate, verdict.metric)
        about = [run.id, run.state, *([(machines or {}).get(run.id, "")] if elsewhere else [])]
        about += [formatting.seconds(run.record.seconds)]
        about += [short_data(values.get("data")), *([run.record.segment] if segmented else [])]
        about += [str(values.get("target") or ""), verdict.winner or ""]
        result = [verdict.metric or "", formatting.number(verdict.value), formatting.interval(verdict), gate]
        lines.append([*about, *result, *(formatting.number(values.get(name)) for name in extra)])
    return table(
        [*heads, *extra], lines, right=("duration", "test", *extra), optional=("interval", "duration", "metric", "gate")
    )


def as_json(row: RunRow) -> dict[str, Any]:
    """Return a run as a JSON object: identity, verdict, parameters and metrics."""
    run, record = row.run, to_json(row.run.record)
    names = (
        "pipeline",
        "profile",
        "group",
        "segment",
        "started",
        "finished",
        "seconds",
        "git",
        "mlnb_version",
        "python_version",
    )
    return {
        "id": run.id,
        "state": run.state,
        **{name: record[name] for name in names},
        **to_json(row.verdict),
        "parameters": run_results.parameter_values(run),
        "metrics": run_results.metrics(run),
        "stages": {name: stage.state for name, stage in run.stages.items()},
    }


def _compare(project: Project, args: argparse.Namespace) -> int:
    if args.compare[0] != "compare" or len(args.compare) != 3:
        raise UsageError(
            f"Found `mlnb runs {' '.join(args.compare)}`; expected `mlnb runs` or `mlnb runs compare A B`."
        )
    first, second = (open_referenced(project, reference) for reference in args.compare[1:])
    comparison = compare_runs(first, second)
    if args.json:
        print(json.dumps(to_json(comparison), ensure_ascii=False, indent=1))
    else:
        print(comparison_text(comparison))
    return 0
