"""The requests of `mlnb run --each`: one for what all segments share, and one for each segment."""

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlnb.api.run_request import RunRequest, pipeline_inputs, pipeline_name
from mlnb.engine.formats import load_object
from mlnb.engine.graph import Graph, build_graph
from mlnb.engine.notebook import StageNotebook, read_notebooks
from mlnb.engine.parameter_values import DEFAULT, RequestedValues, resolve_values
from mlnb.engine.project import Project
from mlnb.engine.run_records import Outputs
from mlnb.engine.store import Store
from mlnb.errors import UsageError

if TYPE_CHECKING:
    from mlnb.methods.training_data.segments import SegmentSize

COLUMN, VALUE = "each", "segment"  # parameters of the stage that selects the rows of a segment
SPLIT = "split"  # the built-in stage with these parameters
NEEDED = ("contract", "table")  # artifacts of the shared stages from which the segments are read
SINGLE = ("workers", "threads")  # parameters of stages that share the processors with the runs of other segments
GLOB = frozenset("*?[")


@dataclass(frozen=True, kw_only=True)
class SegmentRequest:
    """A segment, and the run that trains its model.

    Attributes:
        name: of the segment.
        request: what its run is to do; None for a segment that gets no model.
        rows: number of its rows; None where that is known after the run.
        skipped: why it gets no model; empty for one that does.
    """

    name: str
    request: RunRequest | None
    rows: int | None = None
    skipped: str = ""


@dataclass(frozen=True, kw_only=True)
class SharedStages:
    """The stages of a pipeline that run once for all segments, and the one that selects the rows of a segment."""

    graph: Graph
    selecting: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, project: Project, request: RunRequest) -> "SharedStages":
        """Return the shared stages of the pipeline of a request.

        Raises:
            UsageError: No stage selects the rows of a segment, the request ends before that stage, or the stages
                before it do not make what the segments are read from, or a value selects rows already.
        """
        notebooks = read_notebooks(project.notebooks, project.source_cache)
        graph = _graph(project, request, notebooks)
        selecting = next(
            (name for name, stage in graph.stages.items() if stage.parameter(COLUMN) and stage.parameter(VALUE)), None
        )
        if selecting is None and SPLIT not in graph.stages:
            raise UsageError(
                f"--each trains one model for each segment, and the pipeline {pipeline_name(project, request)} has no "
                f"stage {SPLIT} that selects the rows of one; expected a pipeline such as train. `mlnb monitor --all` "
                "and `mlnb retrain --all` are for the models of segments."
            )
        if selecting is None:
            raise UsageError(
                f"No stage of the pipeline has the parameters {COLUMN!r} and {VALUE!r}, which select the rows of a "
                "segment; expected them in the stage split. `mlnb upgrade` merges the newer notebook."
            )
        profile = project.profile(request.profile)
        requested = RequestedValues(request.profile, profile, request.files, list(request.pairs), (), request.values)
        stated = resolve_values(notebooks, list(graph.stages), requested)[selecting]
        for name in (COLUMN, VALUE):
            if stated[name].origin != DEFAULT:
                raise UsageError(
                    f"{selecting}.{name} ({stated[name].origin}) selects the rows of one segment, and --each those of "
                    "every segment; leave out one of them."
                )
        own = graph.descendants(selecting) | {selecting}
        if request.upto is not None and graph.check_name(request.upto) not in own:
            raise UsageError(
                f"--upto {request.upto} ends before the models differ; expected {selecting} or a stage after it. "
                "Leave out --each."
            )
        names = tuple(name for name in graph.stages if name not in own)
        created = {artifact for name in names for artifact in graph.stages[name].writes}
        if missing := [artifact for artifact in NEEDED if artifact not in created]:
            raise UsageError(
                f"The segments are read from the artifact {missing[0]!r}, which the stages before {selecting} do not "
                f"make; found {', '.join(sorted(created)) or 'none'}."
            )
        return cls(graph=graph, selecting=selecting, names=names)

    def request(self, request: RunRequest) -> RunRequest:
        """Return the request for the shared stages."""
        force = request.force and [name for name in request.force if name in self.names]
        wanted = None if request.force and not force else force
        return replace(request, upto=None, since=None, only=self.names, force=wanted)

    def own_force(self, request: RunRequest) -> Sequence[str] | None:
        """Return the stages that the runs of the segments repeat though unchanged: shared ones have run once."""
        if request.force is None:
            return None
        own = [name for name in self.graph.stages if name not in self.names]
        return [name for name in own if not request.force or name in request.force] or None


def column_segments(
    shared: SharedStages,
    request: RunRequest,
    column: str,
    store: Store,
    outputs: Outputs,
    least_rows: int | None = None,
) -> list[SegmentRequest]:
    """Return the segments of a column, those without a model included.

    Args:
        shared: From `SharedStages.of`.
        request: What the runs are to do.
        column: Whose values are the segments.
        store: The project's.
        outputs: Artifacts of the shared stages.
        least_rows: Rows that a model needs; None: the default of `SegmentSize.too_small`.

    Raises:
        ParameterError: There is no such column, or it is the target.
    """
    result: list[SegmentRequest] = []
    tags: dict[str, str] = {}
    for size in _sizes(store, outputs, column):
        reason = size.too_small() if least_rows is None else size.too_small(least_rows)
        first = tags.setdefault(size.name.lower(), size.name)
        if not reason and first != size.name:
            reason = f"differs from {first!r} in upper and lower case only: their models would have one name"
        own = None
        if not reason:
            values = {f"{shared.selecting}.{COLUMN}": column, f"{shared.selecting}.{VALUE}": size.name}
            own = segment_request(shared.graph, replace(request, force=shared.own_force(request)), size.name, values)
        result.append(SegmentRequest(name=size.name, request=own, rows=size.rows, skipped=reason))
    return result


def file_segments(project: Project, request: RunRequest, pattern: str) -> list[SegmentRequest]:
    """Return a segment for each file of a pattern, named by the file without its suffix.

    Raises:
        UsageError: No file matches, two files have one name, or the request names other data.
    """
    if request.data is not None:
        raise UsageError(f"--each {pattern} and --data {request.data} both name the data; leave out one of them.")
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    if not paths:
        raise UsageError(f"--each {pattern}: no file matches; expected files such as 'data/*.csv', or a column.")
    graph, result = _graph(project, request, read_notebooks(project.notebooks, project.source_cache)), []
    names: dict[str, str] = {}
    for path in paths:
        name = Path(path).name.partition(".")[0] or Path(path).name
        if (other := names.setdefault(name.lower(), path)) != path:
            raise UsageError(f"--each {pattern}: {other} and {path} would both be the model {name!r}; rename one.")
        own = segment_request(graph, replace(request, data=path), name, {})
        result.append(SegmentRequest(name=name, request=own))
    return result


def names_files(text: str) -> bool:
    """Return whether the text of `--each` names files rather than a column."""
    return bool(GLOB.intersection(text)) or os.path.isfile(text)


def segment_request(graph: Graph, request: RunRequest, name: str, values: Mapping[str, object]) -> RunRequest:
    """Return the request for the run of one segment.

    Args:
        graph: The pipeline.
        request: What the runs of all segments are to do.
        name: Of the segment.
        values: Parameters that select its rows.

    The stages use one thread each where nothing else is stated, as several segments run at once.
    """
    stated = {pair[0] for pair in request.pairs} | request.values.keys()
    stated |= {text.partition("=")[0].strip() for text in request.grid}
    single = {
        f"{stage}.{parameter}": 1
        for stage, notebook in graph.stages.items()
        for parameter in SINGLE
        if notebook.parameter(parameter) and not stated.intersection((parameter, f"{stage}.{parameter}"))
    }
    named = {
        f"{stage}.{VALUE}": name  # of a stage that selects no rows by it: it names the model
        for stage, notebook in graph.stages.items()
        if notebook.parameter(VALUE) and not notebook.parameter(COLUMN)
    }
    return replace(request, values={**single, **request.values, **values, **named}, segment=name)


def _sizes(store: Store, outputs: Outputs, column: str) -> "list[SegmentSize]":
    """Return the segments of a column in a table, of which only that column and the target are read."""
    import pandas as pd

    from mlnb.methods.contracts.problems import ProblemContract
    from mlnb.methods.training_data.segments import segment_sizes
    from mlnb.parquet_table import ParquetTable

    contract, digest = outputs["contract"], outputs["table"].digest
    problem = load_object(store, contract.format, contract.digest, ProblemContract, "artifact 'contract'")
    store.fetch([digest])
    table = ParquetTable(store.path(digest))
    needed = [name for name in (column, problem.target) if name in table.columns]
    few = (
        pd.DataFrame({name: table[name] for name in needed})
        if column in needed
        else pd.DataFrame(columns=table.columns)
    )
    return segment_sizes(few, column, problem)


def _graph(project: Project, request: RunRequest, notebooks: Mapping[str, StageNotebook]) -> Graph:
    names = project.pipeline(request.pipeline)
    return build_graph(notebooks, names, pipeline_inputs(project, notebooks, names, request))
