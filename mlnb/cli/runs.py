"""`mlnb runs`: what has been tried, sorted and filtered by any metric or parameter, and two runs side by side."""

import argparse
import ast
import json
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from mlnb.cli.metric_comparison import compare, in_words
from mlnb.cli.text_tables import table
from mlnb.engine.parameters import nearest
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, list_runs, open_run
from mlnb.errors import UsageError
from mlnb.reports import formatting
from mlnb.tracking import run_facts

NEWEST = 20  # runs shown when nothing was asked for
SMALLER_IS_BETTER = {"log_loss", "brier_score", "rmse", "mae", "mape", "seconds"}
COMPARISON = re.compile(r"^\s*([^\s<>=!]+)\s*(>=|<=|!=|==|=|>|<)\s*(.*?)\s*$")
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
EPILOG = """examples:
  mlnb runs                                      the newest, a line each
  mlnb runs --sort roc_auc --last 50             the best of the last fifty first
  mlnb runs --filter 'metrics.roc_auc>0.9' --filter tune.sampler=tpe
  mlnb runs --filter state=failed --json
  mlnb runs compare latest 20260314-0915         what differs, and what was reused

names: any metric (roc_auc, metrics.roc_auc, evaluate.roc_auc), any parameter (tune.trials, trials),
       and id, state, pipeline, profile, group, started, seconds, winner, gate
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Add the options of `mlnb runs`."""
    p.add_argument("compare", nargs="*", metavar="compare A B", help="two runs side by side")
    p.add_argument("--sort", metavar="NAME", help="by a metric or parameter, the best first")
    p.add_argument("--reverse", action="store_true", help="the other way round")
    p.add_argument(
        "--filter", action="append", default=[], metavar="EXPR", help="only runs with NAME=VALUE, NAME>VALUE ..."
    )
    p.add_argument("--last", type=int, metavar="N", help=f"of the N newest runs (default: {NEWEST}, or all if asked)")
    p.add_argument("--json", action="store_true", help="as JSON")
    p.epilog = EPILOG


def main(args: argparse.Namespace) -> int:
    """Print the runs that were asked for."""
    project = Project.find()
    if args.compare:
        return _compare(project, args)
    runs = list_runs(project)
    last = args.last if args.last is not None else None if args.sort or args.filter else NEWEST
    chosen = [(run, describe(run)) for run in (runs[:last] if last else runs)]
    known = {name for _, about in chosen for name in about}
    for expression in args.filter:
        name, holds = condition(expression, known)
        chosen = [(run, about) for run, about in chosen if name in about and holds(about[name])]
    if args.sort:
        chosen = _sorted(chosen, _known(args.sort, known), args.reverse)
    elif args.reverse:
        chosen.reverse()
    if args.json:
        print(json.dumps([as_record(run) for run, _ in chosen], ensure_ascii=False, indent=1))
    elif not runs:
        print(f"No runs in {project.runs} yet. Start one: `mlnb run`.")
    elif not chosen:
        print(f"None of {len(runs)} runs is like that. `mlnb runs` lists them.")
    else:
        extra = [condition(expression, known)[0] for expression in args.filter]
        print(listing(chosen, [name for name in [args.sort, *extra] if name]))
        if last and len(runs) > last:
            print(f"\n{len(runs) - last} older runs: `mlnb runs --last {len(runs)}`")
    return 0


def describe(run: Run) -> dict[str, Any]:
    """Return everything that runs can be sorted and filtered by, under each of its names."""
    record = run.record
    about: dict[str, Any] = {}
    for full, entry in run_facts.parameters(record).items():
        about[full.partition(".")[2]] = about[full] = entry["value"]
    metrics = run_facts.load(run, "metrics") or {}
    numbers = {f"evaluate.{name}": entry["value"] for name, entry in (metrics.get("standard") or {}).items()}
    for full, value in (run_facts.metrics(record) | numbers).items():
        bare = full.partition(".")[2]
        about.update({full: value, bare: value, f"metrics.{bare}": value, f"metrics.{full}": value})
    for name in ("pipeline", "profile", "group", "started", "seconds"):
        about[name] = record.get(name)
    return about | {"id": run.id, "state": run.state, **run_facts.verdict(run)}


def condition(expression: str, known: set[str]) -> tuple[str, Callable[[Any], bool]]:
    """Return the name that an expression such as "metrics.roc_auc>0.9" is about, and its test.

    Raises `UsageError` when it cannot be read, or no run has that name.
    """
    found = COMPARISON.match(expression)
    if found is None:
        raise UsageError(f"--filter {expression!r} cannot be read; expected a name, one of > < >= <= = != and a value.")
    name, sign, text = found.groups()
    name = _known(name, known)
    try:
        wanted = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        wanted = {"true": True, "false": False, "none": None, "null": None}.get(text.lower(), text)

    def holds(value: Any) -> bool:
        if isinstance(value, str) != isinstance(wanted, str) and sign in ("=", "==", "!="):
            return bool(OPERATORS[sign](str(value), str(wanted)))
        try:
            return bool(OPERATORS[sign](value, wanted))
        except TypeError:
            return False

    return name, holds


def listing(chosen: Sequence[tuple[Run, dict[str, Any]]], extra: Sequence[str] = ()) -> str:
    """Return one line a run, with a column for each name in `extra` that is not there anyway."""
    heads = ["run", "state", "when", "took", "winner", "metric", "test", "interval", "gate"]
    shown = (*heads, "id", "value", "seconds", "started")
    extra = [name for name in dict.fromkeys(name.removeprefix("metrics.") for name in extra) if name not in shown]
    rows = []
    for run, about in chosen:
        gate = {True: "passed", False: "missed", None: ""}[about["gate"]]
        when = formatting.moment(run.record.get("started")).replace(" UTC", "")
        facts_of_run = [run.id, run.state, when, formatting.seconds(run.record.get("seconds")), about["winner"] or ""]
        result = [about["metric"] or "", formatting.number(about["value"]), formatting.interval(about), gate]
        rows.append([*facts_of_run, *result, *(formatting.number(about.get(name)) for name in extra)])
    return table([*heads, *extra], rows, right=("took", "test", *extra))


def as_record(run: Run) -> dict[str, Any]:
    """Return a run as a JSON value: what it is, what it came to, its parameters and metrics."""
    record = run.record
    names = ("pipeline", "profile", "group", "started", "finished", "seconds", "git", "mlnb", "python")
    return {
        "id": run.id,
        "state": run.state,
        **{name: record.get(name) for name in names},
        **run_facts.verdict(run),
        "parameters": {name: entry["value"] for name, entry in run_facts.parameters(record).items()},
        "metrics": run_facts.metrics(record),
        "stages": {name: entry["state"] for name, entry in run_facts.stages(record).items()},
    }


def _compare(project: Project, args: argparse.Namespace) -> int:
    if args.compare[0] != "compare" or len(args.compare) != 3:
        raise UsageError(
            f"Found `mlnb runs {' '.join(args.compare)}`; expected `mlnb runs` or `mlnb runs compare A B`."
        )
    first, second = (open_run(project, ref) for ref in args.compare[1:])
    differences = compare(first, second)
    print(json.dumps(differences, ensure_ascii=False, indent=1) if args.json else in_words(differences))
    return 0


def _known(name: str, known: set[str]) -> str:
    if name not in known and known:
        raise UsageError(f"No run has a metric or parameter {name!r}." + nearest(name, sorted(known)))
    return name


def _sorted(chosen: list[tuple[Run, dict[str, Any]]], name: str, reverse: bool) -> list[tuple[Run, dict[str, Any]]]:
    having = [item for item in chosen if isinstance(item[1].get(name), int | float)]
    others = [item for item in chosen if not isinstance(item[1].get(name), int | float)]
    smaller = name.rpartition(".")[2] in SMALLER_IS_BETTER
    having.sort(key=lambda item: item[1][name], reverse=smaller == reverse)
    others.sort(key=lambda item: str(item[1].get(name)), reverse=reverse)
    return having + others
