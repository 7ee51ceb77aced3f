"""Where the evidence of a run's documents comes from: digest, stage and cell of each artifact."""

import ast
import json
from pathlib import Path
from typing import Any, ClassVar

from mlnb.codec import Record
from mlnb.engine.digests import digest_bytes, parse_python
from mlnb.engine.runs import Run
from mlnb.methods.documentation.evidence import DocumentEvidence, Evidence

FOLDER = "documents"  # in the folder of a run
EVIDENCE = "evidence.json"  # in that folder
FILES = {  # artifact -> name of its file, without suffix
    "card": "model_card",
    "data_sheet": "data_sheet",
    "technical_documentation": "technical_documentation",
}


class ArtifactOrigin(Record, frozen=True, kw_only=True):
    """Where an artifact of a run comes from.

    Args:
        digest: SHA-256 of the artifact.
        stage: the stage that saved it.
        cell: index of the cell of the executed notebook that saved it; None where it is not found.
        source: SHA-256 of that cell's source.
    """

    digest: str
    stage: str
    cell: int | None = None
    source: str = ""


class RunEvidence(Record, frozen=True, kw_only=True):
    """The file evidence.json: the spans of each document, and the origin of the artifacts that they refer to.

    Args:
        artifacts: name -> origin; the requirements of the law have none, as they are part of mlnb.
        documents: name of the artifact that holds the document -> its evidence.
    """

    SCHEMA: ClassVar[str] = "run-evidence"

    artifacts: dict[str, ArtifactOrigin]
    documents: dict[str, DocumentEvidence]


def document_path(run: Run, artifact: str, suffix: str = ".md") -> Path:
    """Return the file of a document of a run."""
    return run.folder / FOLDER / f"{FILES[artifact]}{suffix}"


def collect_evidence(run: Run) -> RunEvidence:
    """Return the evidence of a run's documents. Raises `UnknownRun` without any."""
    evidence = run.load("evidence", Evidence)
    names = {span.artifact for document in evidence.documents.values() for span in document.spans}
    origins = {name: origin for name in sorted(names) if (origin := find_origin(run, name)) is not None}
    return RunEvidence(artifacts=origins, documents=evidence.documents)


def find_origin(run: Run, artifact: str) -> ArtifactOrigin | None:
    """Return where an artifact comes from; None when the run has none of that name."""
    for name, stage in run.stages.items():
        if artifact in stage.outputs:
            cells = read_code(run.notebook_file(name))
            saved = [(index, source) for index, source in cells if f'save("{artifact}"' in source]
            index, source = saved[-1] if saved else (None, "")
            digest = digest_bytes(source.encode(errors="backslashreplace")) if saved else ""
            return ArtifactOrigin(digest=stage.outputs[artifact].digest, stage=name, cell=index, source=digest)
    return None


def read_code(path: Path | None) -> list[tuple[int, str]]:
    """Return index and source of the code cells of a notebook, without the cell of injected parameters."""
    try:
        cells: list[Any] = json.loads(path.read_bytes())["cells"] if path else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [
        (index, "".join(cell["source"]))
        for index, cell in enumerate(cells)
        if cell.get("cell_type") == "code" and "injected-parameters" not in cell.get("metadata", {}).get("tags", [])
    ]


def changed_cells(executed: Path | None, current: Path) -> list[int]:
    """Return the code cells of an executed notebook that the notebook of the project no longer has.

    Args:
        executed: The executed notebook; None: there is none.
        current: The notebook of the project.
    """
    present = {_without_comments(source) for _, source in read_code(current)}
    return [index for index, source in read_code(executed) if _without_comments(source) not in present]


def _without_comments(source: str) -> str:
    """Return code without comments and layout; other text as it is."""
    try:
        return ast.unparse(parse_python(source))
    except SyntaxError:
        return source
