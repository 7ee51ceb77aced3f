"""What a run is to do, as options of `mlnb run` or arguments of `mlnb.run` state it, and its plan."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlnb.engine.code_sources import CodeSources
from mlnb.engine.files import relative_name
from mlnb.engine.finished_runs import matching_run
from mlnb.engine.graph import Graph, build_graph, unproduced
from mlnb.engine.notebook import StageNotebook, read_notebooks
from mlnb.engine.parameter_values import DEFAULT, RequestedValues, Values, combinations, resolve_values
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import select
from mlnb.engine.project import Project
from mlnb.engine.run_records import Outputs
from mlnb.engine.runs import Run, newest_run_with
from mlnb.engine.snapshot_keys import LiveSnapshots
from mlnb.engine.stage_orders import LOCAL
from mlnb.engine.upgrade_journal import unfinished
from mlnb.errors import ParameterError, ProjectError
from mlnb.registry.champion import fill_champion
from mlnb.suggestions import similar_file

if TYPE_CHECKING:
    from mlnb.engine.initial_record import RunOptions

RUN = ("mlnb", "run")


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What a run is to do.

    Attributes:
        pipeline: name of a pipeline of settings.ini; None: the setting `pipeline`.
        data: data set: a file, a URL, SQL, sklearn:NAME or source:NAME.
        target: column to predict: its name or, without a header, its position.
        pairs: names and texts of parameters; a name without a stage sets it in every stage that has it.
        values: typed values of parameters by name; they override `pairs`.
        files: YAML or JSON files of parameters.
        grid: "name=a,b" each: one run per combination of values.
        inputs_from: run or version that supplies inputs of another pipeline; None: the newest with all of them.
        profile: name of a profile of settings.ini.
        upto: a stage: it and the stages it depends on are run.
        since: a stage: it and the stages that depend on it are run.
        only: stages: no others are run.
        force: stages that run though unchanged; empty: all; None: none.
        segment: the segment whose model it trains; empty: all rows.
        program: words of the command that makes such requests; others than `mlnb run` choose pipeline and files.
    """

    pipeline: str | None = None
    data: str | None = None
    target: str | None = None
    pairs: Sequence[tuple[str, str]] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    files: Sequence[Path] = ()
    grid: Sequence[str] = ()
    inputs_from: str | None = None
    profile: str | None = None
    upto: str | None = None
    since: str | None = None
    only: Sequence[str] = ()
    force: Sequence[str] | None = None
    segment: str = ""
    program: Sequence[str] = RUN

    def command(self) -> tuple[str, ...]:
        """Return the words of the command with the same data, target and parameters.

        Selections of stages and the grid are not part of it.
        """
        own = self.program == RUN
        words = [*self.program, *([self.pipeline] if self.pipeline and own else [])]
        for option, text in (("--data", self.data), ("--target", self.target), ("--profile", self.profile)):
            words += [option, text] if text is not None else []
        for path in self.files if own else ():
            words += ["-f", str(path)]
        texts = {name: item if isinstance(item, str) else json.dumps(item) for name, item in self.values.items()}
        for name, text in (*self.pairs, *texts.items()):
            words += ["-p", name, text]
        return tuple(words)


class GridPlan(NamedTuple):
    """A planner, and the combination of grid values that it is for."""

    planner: Planner
    grid: tuple[tuple[str, str], ...]


def plan_request(project: Project, request: RunRequest, sources: CodeSources | None = None) -> list[GridPlan]:
    """Return a planner for every combination of the grids.

    Args:
        project: The project.
        request: What to run.
        sources: The code as other plans of the project have read it, if it is current; None: it is read.

    Raises:
        UsageError: The request names something that does not exist or has a wrong value.
    """
    for message in unfinished(project.root, project.store_root):
        raise ProjectError(message)
    if project.store.remote is not None and not (project.store_root / "keys").exists():
        project.store.remote.start()  # a fresh clone has no results
    notebooks = read_notebooks(project.notebooks, project.source_cache)
    project.check_stage_sections(notebooks)
    names = project.pipeline(request.pipeline)
    graph = build_graph(notebooks, names, pipeline_inputs(project, notebooks, names, request))
    selection = select(graph, request.upto, request.since, request.only, request.force)
    pairs = list(request.pairs)
    if request.target is not None:
        pairs.insert(0, ("target", request.target))
        ingest = graph.stages.get("ingest")
        if ingest is not None and any(one.name == "known_column" for one in ingest.parameters):
            pairs.insert(0, ("ingest.known_column", request.target))
    if request.data is not None:
        pairs.insert(0, ("data", request.data))
    pairs = [(name, _relative_to_root(project, name, text)) for name, text in pairs]
    plans, sources = [], sources or CodeSources(project)
    for grid in combinations(request.grid):
        requested = RequestedValues(
            request.profile, project.profile(request.profile), request.files, pairs, grid, request.values
        )
        values = fill_champion(project, resolve_values(notebooks, list(graph.stages), requested))
        check_files(project, graph, values)
        plans.append(GridPlan(Planner(project, graph, values, selection, find_snapshots, sources), grid))
    return plans


def match_plan(project: Project, request: RunRequest, plan: GridPlan) -> Run | None:
    """Return a finished run with exactly the stages of a plan in which no stage runs; else None."""
    if plan.planner.must_run():  # a new project: its other stages are planned while the first one runs
        return None
    return matching_run(project, pipeline_name(project, request), plan.planner.plan())


def run_options(
    project: Project, request: RunRequest, plan: GridPlan, command: Sequence[str], group: str | None = None
) -> "RunOptions":
    """Return what the run of a plan is started with; `group` is what it shares with other runs."""
    from mlnb.engine.initial_record import RunOptions  # which a run with nothing to do does not need

    return RunOptions(
        pipeline=pipeline_name(project, request),
        command=tuple(command),
        profile=request.profile,
        group=group,
        grid=dict(plan.grid),
        segment=request.segment,
    )


def pipeline_name(project: Project, request: RunRequest) -> str:
    """Return the name of the selected pipeline."""
    return str(request.pipeline or project.settings.pipeline)


def pipeline_inputs(
    project: Project, notebooks: Mapping[str, StageNotebook], names: Sequence[str], request: RunRequest
) -> Outputs:
    """Return the artifacts that the pipeline takes from a run of another one: that of `inputs_from`, or the newest."""
    pipeline = pipeline_name(project, request)
    missing = unproduced(notebooks, names)
    if not missing or not (request.inputs_from or pipeline in project.input_pipelines):
        return {}
    if request.inputs_from:
        from mlnb.registry.run_references import open_referenced  # versions, which only few runs refer to

        run = open_referenced(project, request.inputs_from)
    else:
        run = newest_run_with(project, project.input_pipelines[pipeline], missing)
    return {artifact: output for artifact in missing if (output := run.output(artifact)) is not None}


def find_snapshots(project: Project) -> LiveSnapshots:
    """Return the snapshots that a run could continue from; those of workers on other machines are not known."""
    if project.settings.executor != LOCAL:
        return {}
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
            if value.value and ":" not in value.value and "${" not in value.value and not os.path.exists(path):
                missing = f"{value.origin} {name}.{parameter.name}: no file {value.value!r}."
                raise ParameterError(missing + similar_file(value.value, project.root))


def _relative_to_root(project: Project, name: str, text: str) -> str:
    """Return the path of a data file relative to the project, from one relative to the working directory."""
    path = Path(text)
    if name.rpartition(".")[2] != "data" or "://" in text or not os.path.exists(path):
        return text
    return relative_name(Path(os.path.abspath(path)), project.root)
