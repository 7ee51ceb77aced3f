"""Options that `mlnb run` and `mlnb plan` share, and the plans that they select."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mlnb.engine.graph import Graph, build_graph
from mlnb.engine.notebook import StageNotebook, read_notebooks
from mlnb.engine.parameter_values import DEFAULT, RequestedValues, Values, combinations, resolve_values
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import Step, select
from mlnb.engine.project import Project
from mlnb.engine.run_records import Outputs
from mlnb.engine.runs import newest_run_with, open_run
from mlnb.engine.snapshot_keys import LiveSnapshots
from mlnb.engine.upgrade_journal import unfinished
from mlnb.errors import ParameterError, ProjectError
from mlnb.registry.champion import fill_champion
from mlnb.suggestions import did_you_mean

EXAMPLES = """examples:
  mlnb run                                        run the default pipeline; unchanged stages are reused
  mlnb run --data churn.csv --target Churn        run it on another file
  mlnb run --profile smoke                        a short run that checks that everything works
  mlnb run -p tune.trials 50 -p seed 7            set parameters; a name without a stage sets it in every stage
  mlnb run -f params.yaml                         set many, as `tune.trials: 50` or nested by stage
  mlnb run -g tune.sampler=tpe,random -g seed=1,2 four runs; what they have in common runs once
  mlnb run --upto features                        stop after a stage; see also --from, --only and --force
  mlnb run -p ingest.data 'postgresql://u:${DB_PASSWORD}@host/db::customers'   the secret is not stored

Without --data, the data and target of the folder's last run are used and printed, unless notebooks, profile or -f name
the data.
columns.toml in the project folder declares columns: kind, role, date format, missing values, unit.
Precedence of values: notebook < --profile < -f < --data, --target and -p < -g.
`mlnb stages NAME` lists the parameters of a stage.
"""


class GridPlan(NamedTuple):
    """A planner, and the combination of grid values that it is for."""

    planner: Planner
    grid: tuple[tuple[str, str], ...]


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that select pipeline, stages and parameters."""
    p.add_argument("pipeline", nargs="?", help="pipeline of settings.ini (default: the setting `pipeline`)")
    p.add_argument("--data", metavar="DATA", help="data set: a file, a URL, SQL, or sklearn:NAME")
    p.add_argument("--target", metavar="COLUMN", help="column to predict: its name or, without a header, its position")
    p.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set stage.name, or name in every stage that has it",
    )
    p.add_argument("-f", "--file", action="append", default=[], type=Path, metavar="YAML", help="file of parameters")
    p.add_argument(
        "-g", "--grid", action="append", default=[], metavar="NAME=A,B", help="one run per combination of values"
    )
    p.add_argument("--inputs-from", metavar="RUN", help="run or version that supplies missing inputs")
    p.add_argument("--profile", help="profile of settings.ini")
    p.add_argument("--upto", metavar="STAGE", help="run this stage and the stages it depends on")
    p.add_argument("--from", dest="since", metavar="STAGE", help="run this stage and the stages that depend on it")
    p.add_argument("--only", nargs="+", default=[], metavar="STAGE", help="run these stages only")
    p.add_argument("--force", nargs="*", metavar="STAGE", help="run these stages (default: all) though unchanged")
    p.epilog = EXAMPLES


def make_planners(project: Project, args: argparse.Namespace) -> list[GridPlan]:
    """Return a planner for every combination of the grids.

    Raises:
        UsageError: An option names something that does not exist or has a wrong value.
    """
    for message in unfinished(project.root, project.store_root):
        raise ProjectError(message)
    notebooks = read_notebooks(project.notebooks, project.source_cache)
    names = project.pipeline(args.pipeline)
    graph = build_graph(notebooks, names, pipeline_inputs(project, notebooks, names, args))
    selection = select(graph, args.upto, args.since, args.only, args.force)
    pairs = [(name, text) for name, text in args.parameter]
    if args.target is not None:
        pairs.insert(0, ("target", args.target))
        ingest = graph.stages.get("ingest")
        if ingest is not None and any(one.name == "known_column" for one in ingest.parameters):
            pairs.insert(0, ("ingest.known_column", args.target))
    if args.data is not None:
        pairs.insert(0, ("data", args.data))
    pairs = [(name, _relative_to_root(project, name, text)) for name, text in pairs]
    plans = []
    for grid in combinations(args.grid):
        requested = RequestedValues(args.profile, project.profile(args.profile), args.file, pairs, grid)
        values = fill_champion(project, resolve_values(notebooks, list(graph.stages), requested))
        check_files(project, graph, values)
        plans.append(GridPlan(Planner(project, graph, values, selection, find_snapshots), grid))
    return plans


def pipeline_name(project: Project, args: argparse.Namespace) -> str:
    """Return the name of the selected pipeline."""
    return str(args.pipeline or project.settings.pipeline)


def pipeline_inputs(
    project: Project, notebooks: Mapping[str, StageNotebook], names: Sequence[str], args: argparse.Namespace
) -> Outputs:
    """Return the artifacts that the pipeline takes from a run of another one: that of --inputs-from, or the newest."""
    pipeline = pipeline_name(project, args)
    produced = {artifact for name in names if name in notebooks for artifact in notebooks[name].writes}
    missing = {artifact for name in names if name in notebooks for artifact in notebooks[name].reads} - produced
    if not missing or not (args.inputs_from or pipeline in project.input_pipelines):
        return {}
    if args.inputs_from:
        from mlnb.registry.registry import run_reference  # a database, which only few runs need

        run = open_run(project, run_reference(project, args.inputs_from))
    else:
        run = newest_run_with(project, project.input_pipelines[pipeline], missing)
    return {artifact: output for artifact in missing if (output := run.output(artifact)) is not None}


def find_snapshots(project: Project) -> LiveSnapshots:
    """Return the snapshots that a run could continue from."""
    from mlnb.executors import live_snapshots  # a run with nothing to do needs none

    return live_snapshots.find_usable(project)


def check_files(project: Project, graph: Graph, values: Values) -> None:
    """Raise `ParameterError` for a parameter that names a missing file, before anything is started."""
    for name, stage in graph.stages.items():
        for parameter in stage.parameters:
            value = values[name].get(parameter.name)
            if value is None or value.origin == DEFAULT or not parameter.is_file or not isinstance(value.value, str):
                continue
            path = project.root / value.value
            if value.value and ":" not in value.value and "${" not in value.value and not path.exists():
                files = sorted(other.name for other in path.parent.iterdir()) if path.parent.is_dir() else []
                raise ParameterError(
                    f"{value.origin} {name}.{parameter.name}: no file {value.value!r}." + did_you_mean(path.name, files)
                )


def _relative_to_root(project: Project, name: str, text: str) -> str:
    """Return the path of a data file relative to the project, from one relative to the working directory."""
    path = Path(text)
    if name.rpartition(".")[2] != "data" or "://" in text or not path.exists():
        return text
    absolute = Path(os.path.abspath(path))
    return absolute.relative_to(project.root).as_posix() if absolute.is_relative_to(project.root) else str(absolute)


def plan_lines(planner: Planner, steps: list[Step]) -> list[str]:
    """Return the plan as text: a line per stage with action and reason, then the values that are not defaults."""
    labels = {"pending": "run?", "skip": "-"}
    width = max(len(step.name) for step in steps)
    lines = [f"  {step.name:<{width}}  {labels.get(step.action, step.action):<6}  {step.reason}" for step in steps]
    values = [
        f"  {stage}.{name} = {value.value!r}   ({value.origin})"
        for stage, items in planner.values.items()
        for name, value in items.items()
        if value.origin != DEFAULT
    ]
    return lines + (["", "values that are not defaults:", *values] if values else [])
