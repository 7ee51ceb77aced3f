"""Events of OpenLineage (https://openlineage.io): what a run and its stages read and write, as typed records."""

from uuid import NAMESPACE_URL, uuid5

from msgspec import field

from mlnb import __version__
from mlnb.codec import Json, Record, to_json

PRODUCER = f"urn:mlnb:{__version__}"
SPEC = "https://openlineage.io/spec"
EVENT_SCHEMA = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"


def facet_schema(name: str, version: str) -> str:
    """Return the URL of the schema of a facet."""
    return f"{SPEC}/facets/{version}/{name}.json#/$defs/{name}"


class Part(Record, frozen=True, kw_only=True, rename="camel"):
    """Base of all parts of an event; fields that are None are left out."""


class Facet(Part, frozen=True, kw_only=True):
    """Base of all facets."""

    schema: str = field(name="_schemaURL")
    producer: str = field(name="_producer", default=PRODUCER)


class VersionFacet(Facet, frozen=True, kw_only=True):
    """The version of a data set: a SHA-256 digest."""

    dataset_version: str
    schema: str = field(name="_schemaURL", default=facet_schema("DatasetVersionDatasetFacet", "1-0-1"))


class SchemaField(Part, frozen=True, kw_only=True):
    """A column and its type."""

    name: str
    type: str


class SchemaFacet(Facet, frozen=True, kw_only=True):
    """The columns of a data set."""

    fields: tuple[SchemaField, ...]
    schema: str = field(name="_schemaURL", default=facet_schema("SchemaDatasetFacet", "1-2-0"))


class ColumnMetrics(Part, frozen=True, kw_only=True):
    """Missing values of a column, and values that are not missing."""

    null_count: int
    count: int


class QualityFacet(Facet, frozen=True, kw_only=True):
    """Metrics of the quality of an input, which never hold a value of it."""

    row_count: int
    bytes: int
    column_metrics: dict[str, ColumnMetrics]
    schema: str = field(name="_schemaURL", default=facet_schema("DataQualityMetricsInputDatasetFacet", "1-0-3"))


class OutputFacet(Facet, frozen=True, kw_only=True):
    """The size of an output; of a table with its number of rows."""

    size: int
    row_count: int | None = None
    schema: str = field(name="_schemaURL", default=facet_schema("OutputStatisticsOutputDatasetFacet", "1-0-2"))


class DatasetFacets(Part, frozen=True, kw_only=True):
    """What is known about a data set."""

    version: VersionFacet
    schema: SchemaFacet | None = None


class InputFacets(Part, frozen=True, kw_only=True):
    """What is known about an input."""

    data_quality_metrics: QualityFacet | None = None


class OutputFacets(Part, frozen=True, kw_only=True):
    """What is known about an output."""

    output_statistics: OutputFacet


class Dataset(Part, frozen=True, kw_only=True):
    """A source or an artifact: input facets where it is read, output facets where it is written."""

    namespace: str
    name: str
    facets: DatasetFacets
    input_facets: InputFacets | None = None
    output_facets: OutputFacets | None = None


class ParentRun(Part, frozen=True, kw_only=True):
    """The id of a run."""

    run_id: str


class ParentJob(Part, frozen=True, kw_only=True):
    """The name of a job."""

    namespace: str
    name: str


class ParentFacet(Facet, frozen=True, kw_only=True):
    """The run that a stage belongs to."""

    run: ParentRun
    job: ParentJob
    schema: str = field(name="_schemaURL", default=facet_schema("ParentRunFacet", "1-2-0"))


class EngineFacet(Facet, frozen=True, kw_only=True):
    """What has executed the run."""

    version: str = __version__
    name: str = "mlnb"
    schema: str = field(name="_schemaURL", default=facet_schema("ProcessingEngineRunFacet", "1-1-1"))


class ErrorFacet(Facet, frozen=True, kw_only=True):
    """Why a run or a stage failed."""

    message: str
    programming_language: str = "PYTHON"
    schema: str = field(name="_schemaURL", default=facet_schema("ErrorMessageRunFacet", "1-0-1"))


class RunFacets(Part, frozen=True, kw_only=True):
    """What is known about a run."""

    processing_engine: EngineFacet = field(name="processing_engine", default=EngineFacet())
    parent: ParentFacet | None = None
    error_message: ErrorFacet | None = None


class JobTypeFacet(Facet, frozen=True, kw_only=True):
    """The kind of a job: PIPELINE or STAGE."""

    job_type: str
    processing_type: str = "BATCH"
    integration: str = "MLNB"
    schema: str = field(name="_schemaURL", default=facet_schema("JobTypeJobFacet", "2-0-4"))


class DocumentationFacet(Facet, frozen=True, kw_only=True):
    """What a stage does."""

    description: str
    schema: str = field(name="_schemaURL", default=facet_schema("DocumentationJobFacet", "1-1-0"))


class JobFacets(Part, frozen=True, kw_only=True):
    """What is known about a job."""

    job_type: JobTypeFacet
    documentation: DocumentationFacet | None = None


class LineageRun(Part, frozen=True, kw_only=True):
    """An execution of a job."""

    run_id: str
    facets: RunFacets


class LineageJob(Part, frozen=True, kw_only=True):
    """A pipeline or a stage of it."""

    namespace: str
    name: str
    facets: JobFacets


class RunEvent(Part, frozen=True, kw_only=True):
    """One event: START, COMPLETE, FAIL, ABORT, or OTHER for an attempt that is repeated."""

    event_type: str
    event_time: str
    run: LineageRun
    job: LineageJob
    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    producer: str = PRODUCER
    schema: str = field(name="schemaURL", default=EVENT_SCHEMA)

    def as_json(self) -> Json:
        """Return the event as JSON values, without fields that are None."""
        return _without_none(to_json(self))


def run_uuid(*names: str) -> str:
    """Return the UUID of a run or stage, the same for the same names."""
    return str(uuid5(NAMESPACE_URL, "/".join(["mlnb:", *names])))


def _without_none(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _without_none(item) for name, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
