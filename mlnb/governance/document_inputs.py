"""The artifacts of a run that its machine-readable documents describe, as typed values."""

from typing import Any, NamedTuple

from mlnb.engine.runs import Run
from mlnb.methods.contracts.certificates import ParityCertificate
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.documentation.open_questions import Answers

MEDIA_TYPES = {  # by suffix, else by the format in which the file was read
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonlines",
    "ndjson": "application/jsonlines",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "gz": "application/gzip",
    "zip": "application/zip",
}


class DataColumn(NamedTuple):
    """A column of the raw data: name, kind and role; whether its numbers are integers; and what it holds of people."""

    name: str
    kind: str
    role: str
    integer: bool
    personal: str


class DataFile(NamedTuple):
    """The data that a run was trained and tested on.

    Args:
        source: As the user wrote it, without secrets.
        digest: SHA-256 of the file; empty where the data are no single file.
        size: Bytes of the file; None where that is not known.
        rows: Number of rows.
        media_type: Of the file; empty where it has none that is registered.
        licence, owner: As stated; empty where they are not.
        columns: The columns.
    """

    source: str
    digest: str
    size: int | None
    rows: int
    media_type: str
    licence: str
    owner: str
    columns: tuple[DataColumn, ...]

    @property
    def name(self) -> str:
        """Last part of the source, as of a path or URL."""
        return self.source.rstrip("/").rpartition("/")[2] or self.source


class DocumentInputs(NamedTuple):
    """What the machine-readable documents of a run describe; `certificate` is None for a model without a bento."""

    run: Run
    contract: ProblemContract
    metrics: Metrics
    answers: Answers
    certificate: ParityCertificate | None
    data: DataFile

    @property
    def model(self) -> tuple[str, str]:
        """Name and version of the model: its tag; without a bento its target and run."""
        if self.certificate is None:
            return self.contract.target or "anomalies", self.run.id
        name, _, version = self.certificate.model.partition(":")
        return name, version

    def answer(self, question: str) -> str:
        """Return the answer to a question; empty where it is open."""
        answer = self.answers.answers.get(question)
        return "" if answer is None else answer.text


def read_inputs(run: Run) -> DocumentInputs:
    """Return the artifacts of a run that has documents. Raises `UnknownRun` without one of them."""
    return DocumentInputs(
        run,
        run.load("contract", ProblemContract),
        run.load("metrics", Metrics),
        run.load("answers", Answers),
        run.load("certificate", ParityCertificate) if run.has("certificate") else None,
        _describe_data(run.load("provenance"), run.load("schema")),
    )


def _describe_data(provenance: dict[str, Any], schema: dict[str, Any]) -> DataFile:
    suffix, kind = str(provenance["source"]).rpartition(".")[2].lower(), str(provenance.get("format", ""))
    single = "bytes" in provenance and "files" not in provenance
    columns = {column["name"]: column for column in schema["columns"]}
    return DataFile(
        source=str(provenance["source"]),
        digest=str(provenance["digest"]) if single else "",
        size=int(provenance["bytes"]) if single else None,
        rows=int(provenance["rows"]),
        media_type=MEDIA_TYPES.get(suffix) or MEDIA_TYPES.get(kind, ""),
        licence=str(provenance.get("licence", "")),
        owner=str(provenance.get("owner", "")),
        columns=tuple(_describe_column(name, columns.get(name, {})) for name in provenance["columns"]),
    )


def _describe_column(name: str, column: dict[str, Any]) -> DataColumn:
    return DataColumn(
        name,
        str(column.get("kind", "text")),
        str(column.get("role", "")),
        bool(column.get("integer")),
        str(column.get("personal", "")),
    )
