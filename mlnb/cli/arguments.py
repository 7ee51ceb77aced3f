"""What `mlnb run` and `mlnb plan` share: the options that say which run is meant, and the plan they make."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlnb.engine.graph import Graph, build_graph
from mlnb.engine.notebook import StageNotebook, read_notebooks
from mlnb.engine.parameter_values import Asked, Values, combinations, resolve_values
from mlnb.engine.parameters import nearest
from mlnb.engine.plan import Planner, Step, select
from mlnb.engine.project import Project
from mlnb.engine.runs import giver, open_run
from mlnb.engine.upgrade_journal import unfinished
from mlnb.errors import ParameterError, ProjectError
from mlnb.registry.champion import fill_champion

if TYPE_CHECKING:
    from mlnb.engine.snapshot_keys import Living

EXAMPLES = """examples:
  mlnb run                                        everything; what has not changed is reused
  mlnb run --data churn.csv --target Churn        a file of yours
  mlnb run --profile smoke                        small and quick, to see that all of it works
  mlnb run -p tune.trials 50 -p seed 7            a stage's parameter; a bare name reaches every stage that has it
  mlnb run -f params.yaml                         many values, as `tune.trials: 50` or nested by stage
  mlnb run -g tune.sampler=tpe,random -g seed=1,2 four sibling runs that share what they have in common
  mlnb run --upto features                        as far as a stage; --from, --only and --force likewise
  mlnb run -p ingest.data 'postgresql://u:${DB_PASSWORD}@host/db::customers'   the secret stays outside

A value's precedence: the notebook's cell < --profile < -f < --data, --target and -p < -g.
`mlnb stages NAME` lists a stage's parameters.
"""


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that say which run is meant."""
    p.add_argument("pipeline", nargs="?", help="a pipeline of settings.ini (default: its `pipeline` setting)")
    p.add_argument("--data", metavar="DATA", help="the data set: a file, URL, SQL, or sklearn:NAME")
    p.add_argument(
        "--target", metavar="COLUMN", help="the column to predict, by name or, without a header, by position"
    )
    p.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a parameter, as stage.name; a bare name reaches every stage that has it",
    )
    p.add_argument("-f", "--file", action="append", default=[], type=Path, metavar="YAML", help="a file of parameters")
    p.add_argument(
        "-g", "--grid", action="append", default=[], metavar="NAME=A,B", help="one sibling run a combination"
    )
    p.add_argument("--given", metavar="RUN", help="the run or version that gives what the pipeline does not make")
    p.add_argument("--profile", help="a profile of settings.ini")
    p.add_argument("--upto", metavar="STAGE", help="this stage and what it depends on")
    p.add_argument("--from", dest="since", metavar="STAGE", help="this stage and what depends on it; the rest as it is")
    p.add_argument("--only", nargs="+", default=[], metavar="STAGE", help="these stages alone; the rest as it is")
    p.add_argument("--force", nargs="*", metavar="STAGE", help="run these (all, when none is named) though unchanged")
    p.epilog = EXAMPLES


def planners(project: Project, args: argparse.Namespace) -> list[tuple[Planner, tuple[tuple[str, str], ...]]]:
    """Return a planner for every combination of the grids, with the combination. Raises `UsageError`s."""
    for message in unfinished(project.root, project.store_root):
        raise ProjectError(message)
    known = read_notebooks(project.notebooks, project.sources)
    chosen = project.pipeline(args.pipeline)
    graph = build_graph(known, chosen, given(project, known, chosen, args))
    selection = select(graph, args.upto, args.since, args.only, args.force)
    pairs = [(name, text) for name, text in args.parameter]
    if args.target is not None:
        pairs.insert(0, ("target", args.target))
    if args.data is not None:
        pairs.insert(0, ("data", args.data))
    pairs = [(name, _from_root(project, name, text)) for name, text in pairs]
    found = []
    for grid in combinations(args.grid):
        asked = Asked(args.profile, project.profile(args.profile), args.file, pairs, grid)
        values = fill_champion(project, resolve_values(known, list(graph.stages), asked))
        check_files(project, graph, values)
        found.append((Planner(project, graph, values, selection, living), grid))
    return found


def given(
    project: Project, known: Mapping[str, StageNotebook], chosen: Sequence[str], args: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Return what the pipeline takes from a run of another: of the one that --given names, else of the newest."""
    pipeline = args.pipeline or project.settings["pipeline"]
    made = {artifact for name in chosen if name in known for artifact in known[name].writes}
    wanted = {artifact for name in chosen if name in known for artifact in known[name].reads} - made
    if not wanted or not (args.given or pipeline in project.givers):
        return {}
    if args.given:
        from mlnb.registry.registry import meant  # a database, which only few runs need

        run = open_run(project, meant(project, args.given))
    else:
        run = giver(project, project.givers[pipeline], wanted)
    return {artifact: output for artifact in wanted if (output := run.output(artifact)) is not None}


def living(project: Project) -> "Living":
    """Return the states that are kept on this machine."""
    from mlnb.executors import kept_snapshots

    return kept_snapshots.living(project)


def check_files(project: Project, graph: Graph, values: Values) -> None:
    """Raise `ParameterError` for a file that was asked for and is not there, before anything is started."""
    for name, stage in graph.stages.items():
        for parameter in stage.parameters:
            value = values[name].get(parameter.name)
            if value is None or value.origin == "cell" or not parameter.is_file or not isinstance(value.value, str):
                continue
            path = project.root / value.value
            if value.value and ":" not in value.value and "${" not in value.value and not path.exists():
                names = sorted(other.name for other in path.parent.iterdir()) if path.parent.is_dir() else []
                raise ParameterError(
                    f"{value.origin} {name}.{parameter.name}: there is no file {value.value!r}."
                    + nearest(path.name, names)
                )


def _from_root(project: Project, name: str, text: str) -> str:
    """Return a file's path as the project sees it: a user's relative path is relative to where the user is."""
    path = Path(text)
    if name.rpartition(".")[2] != "data" or "://" in text or not path.exists():
        return text
    absolute = Path(os.path.abspath(path))
    return absolute.relative_to(project.root).as_posix() if absolute.is_relative_to(project.root) else str(absolute)


def plan_lines(planner: Planner, steps: list[Step]) -> list[str]:
    """Return the plan as text: a line a stage with what happens and why, then every value that is not its cell's."""
    words = {"maybe": "run?", "given": "given", "skip": "-"}
    width = max(len(step.name) for step in steps)
    lines = [f"  {step.name:<{width}}  {words.get(step.action, step.action):<6}  {step.why}" for step in steps]
    values = [
        f"  {stage}.{name} = {value.value!r}   ({value.origin})"
        for stage, items in planner.values.items()
        for name, value in items.items()
        if value.origin != "cell"
    ]
    return lines + (["", "values that are not the cells':", *values] if values else [])
