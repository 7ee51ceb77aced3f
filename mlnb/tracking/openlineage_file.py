"""A listener that appends the events of runs to a file in the form of OpenLineage; nothing is sent anywhere."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from mlnb.engine.events import (
    Event,
    RunFinished,
    RunStarted,
    StageEvent,
    StageFailed,
    StageFinished,
    StageRetried,
    StageReused,
    StageStarted,
)
from mlnb.engine.files import make_folder
from mlnb.engine.run_records import OutputRecord, RunState, StageRecord, StageState
from mlnb.engine.runs import Run, now
from mlnb.errors import SettingsError
from mlnb.methods.tables.data_sources import hide_secrets
from mlnb.tracking.artifact_views import View, load_view
from mlnb.tracking.openlineage_events import (
    ColumnMetrics,
    Dataset,
    DatasetFacets,
    DocumentationFacet,
    ErrorFacet,
    InputFacets,
    JobFacets,
    JobTypeFacet,
    LineageJob,
    LineageRun,
    OutputFacet,
    OutputFacets,
    ParentFacet,
    ParentJob,
    ParentRun,
    QualityFacet,
    RunEvent,
    RunFacets,
    SchemaFacet,
    SchemaField,
    VersionFacet,
    run_uuid,
)

ENDINGS = {RunState.FINISHED: "COMPLETE", RunState.FAILED: "FAIL", RunState.INTERRUPTED: "ABORT"}


class SourceView(View, frozen=True, kw_only=True):
    """The digest of what a stage has read from its source."""

    digest: str


class TableMetadata(NamedTuple):
    """Columns and numbers of a stored table."""

    schema: SchemaFacet
    rows: int
    metrics: dict[str, ColumnMetrics]


class OpenLineageFile:
    """Appends a line of JSON for each event of a run, a stage, and an attempt that is repeated."""

    def __init__(self, path: Path) -> None:
        """Append to a file, which need not exist.

        Args:
            path: The file.

        Raises:
            SettingsError: It cannot be written.
        """
        self.path = path
        try:
            make_folder(path.parent)
            self._append()
        except OSError as error:
            raise SettingsError(
                f"The setting openlineage names {path}, which cannot be written: {error.strerror}. Expected a file in "
                "a folder that you may write, or nothing for no events."
            ) from error

    def __call__(self, event: Event) -> None:
        """Append the lines of an event."""
        run = event.run
        if isinstance(event, RunStarted):
            self._append(_run_event(run, "START"))
        elif isinstance(event, RunFinished):
            self._append(_run_event(run, ENDINGS.get(run.record.state, "OTHER")))
        elif isinstance(event, StageStarted):
            if not run.stages[event.stage].attempts:
                self._append(_stage_event(event, "START"))
        elif isinstance(event, StageReused):
            self._append(_stage_event(event, "START"), _stage_event(event, "COMPLETE"))
        elif isinstance(event, StageFinished):
            self._append(_stage_event(event, "COMPLETE"))
        elif isinstance(event, StageRetried):
            self._append(_stage_event(event, "OTHER", event.message))
        elif isinstance(event, StageFailed):
            interrupted = run.stages[event.stage].state == StageState.INTERRUPTED
            self._append(_stage_event(event, "ABORT" if interrupted else "FAIL", event.message))

    def _append(self, *events: RunEvent) -> None:
        """Append events in one write, so that lines of several processes do not mix."""
        text = "".join(json.dumps(event.as_json(), ensure_ascii=False) + "\n" for event in events)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)


def _namespace(run: Run) -> str:
    return f"mlnb:{run.project.name}"


def _run_event(run: Run, kind: str) -> RunEvent:
    """Return an event of a run: it reads sources, and writes the artifacts that no stage of it reads."""
    record = run.record
    stages = [(name, stage) for name, stage in run.stages.items() if stage.state.has_outputs]
    read = {artifact for _, stage in stages for artifact in stage.reads}
    written = {name: output for _, stage in stages for name, output in stage.outputs.items() if name not in read}
    failure = record.failure
    message = f"{failure.stage}: {failure.message}" if failure and kind != "START" else None
    return RunEvent(
        event_type=kind,
        event_time=now(),
        run=LineageRun(run_id=run_uuid(run.project.name, run.id), facets=_run_facets(message)),
        job=LineageJob(
            namespace=_namespace(run),
            name=record.pipeline,
            facets=JobFacets(job_type=JobTypeFacet(job_type="PIPELINE")),
        ),
        inputs=tuple(source for _, stage in stages for source in _sources(run, stage)),
        outputs=_outputs(run, written) if kind == "COMPLETE" else (),
    )


def _stage_event(event: StageEvent, kind: str, message: str | None = None) -> RunEvent:
    """Return an event of a stage."""
    run, stage = event.run, event.run.stages[event.stage]
    described = DocumentationFacet(description=stage.description) if stage.description else None
    done = kind == "COMPLETE"
    parent = ParentFacet(
        run=ParentRun(run_id=run_uuid(run.project.name, run.id)),
        job=ParentJob(namespace=_namespace(run), name=run.record.pipeline),
    )
    return RunEvent(
        event_type=kind,
        event_time=now(),
        run=LineageRun(run_id=run_uuid(run.project.name, run.id, event.stage), facets=_run_facets(message, parent)),
        job=LineageJob(
            namespace=_namespace(run),
            name=f"{run.record.pipeline}.{event.stage}",
            facets=JobFacets(job_type=JobTypeFacet(job_type="STAGE"), documentation=described),
        ),
        inputs=(*_inputs(run, stage), *(_sources(run, stage) if done else ())),
        outputs=_outputs(run, stage.outputs) if done else (),
    )


def _run_facets(message: str | None, parent: ParentFacet | None = None) -> RunFacets:
    error = ErrorFacet(message=message) if message else None
    return RunFacets(parent=parent, error_message=error)


def _inputs(run: Run, stage: StageRecord) -> Iterable[Dataset]:
    """Yield the artifacts that a stage reads, as far as they are known."""
    for artifact, digest in stage.reads.items():
        output = run.output(artifact)
        if output is not None and digest in (None, output.digest):
            yield _input(run, _namespace(run), artifact, output.digest, output)


def _sources(run: Run, stage: StageRecord) -> Iterable[Dataset]:
    """Yield the source that a stage has read, whose version is the digest of its bytes."""
    value = stage.parameters["data"].value if "data" in stage.parameters else None
    raw = stage.outputs.get("raw")
    if raw is None or "provenance" not in stage.outputs or not isinstance(value, str):
        return
    source = load_view(run, "provenance", SourceView)
    if source is not None:
        yield _input(run, *_name_source(run, value), source.digest, raw)


def _name_source(run: Run, source: str) -> tuple[str, str]:
    """Return namespace and name of a source: scheme with host, and path; those of a local file as `file`."""
    if "://" not in source:
        scheme, _, name = source.partition(":")
        return (scheme, name) if name else ("file", (run.project.root / source).as_posix())
    parts = urlsplit(hide_secrets(source))
    namespace = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return namespace, parts.path.lstrip("/") or "/"


def _input(run: Run, namespace: str, name: str, version: str, output: OutputRecord) -> Dataset:
    metadata = _read_metadata(run, output)
    quality = None
    if metadata is not None:
        quality = QualityFacet(row_count=metadata.rows, bytes=output.bytes, column_metrics=metadata.metrics)
    return Dataset(
        namespace=namespace,
        name=name,
        facets=DatasetFacets(
            version=VersionFacet(dataset_version=version), schema=metadata.schema if metadata else None
        ),
        input_facets=InputFacets(data_quality_metrics=quality),
    )


def _outputs(run: Run, outputs: dict[str, OutputRecord]) -> tuple[Dataset, ...]:
    """Return artifacts that are written."""
    datasets = []
    for name, output in outputs.items():
        metadata = _read_metadata(run, output)
        statistics = OutputFacet(size=output.bytes, row_count=metadata.rows if metadata else None)
        version = VersionFacet(dataset_version=output.digest)
        datasets.append(
            Dataset(
                namespace=_namespace(run),
                name=name,
                facets=DatasetFacets(version=version, schema=metadata.schema if metadata else None),
                output_facets=OutputFacets(output_statistics=statistics),
            )
        )
    return tuple(datasets)


def _read_metadata(run: Run, output: OutputRecord) -> TableMetadata | None:
    """Return what the file of a table states about it; None for other artifacts, and where the file is not here."""
    if output.format != "table":
        return None
    with suppress(OSError, ValueError):
        return _parquet_metadata(run.project.store.path(output.digest))
    return None


@cache
def _parquet_metadata(path: Path) -> TableMetadata:
    """Return columns, rows and missing values from the footer of a Parquet file; its values are not read."""
    import pyarrow.parquet  # only a run with the setting needs it here

    with pyarrow.parquet.ParquetFile(path) as file:
        schema, footer = file.schema_arrow, file.metadata
    missing: dict[str, int] = dict.fromkeys(schema.names, 0)
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            column = footer.row_group(group).column(index)
            if column.path_in_schema in missing and column.statistics is not None:
                missing[column.path_in_schema] += column.statistics.null_count or 0
    rows = footer.num_rows
    metrics = {name: ColumnMetrics(null_count=count, count=rows - count) for name, count in missing.items()}
    fields = tuple(SchemaField(name=name, type=str(schema.field(name).type)) for name in schema.names)
    return TableMetadata(SchemaFacet(fields=fields), rows, metrics)
