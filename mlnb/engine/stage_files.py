"""Files by which a run and the notebooks of its stages exchange inputs, results and progress.

They are in runs/<id>/stages: `<stage>.inputs.json` is read when the notebook opens the stage, `<stage>.report.json` has
what it saved and logged, `<stage>.error.json` the class of the exception that it raised. A random attempt id separates
the files of different attempts: it is in the environment of the notebook's kernel (MLNB_ATTEMPT). Other processes can
follow a run by `<stage>.cell.json` and `<stage>.progress.json`, which have the cell and the progress of a stage.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Generic

from msgspec import field

from mlnb.codec import R, Record, decode, encode
from mlnb.engine.digests import Signature, signature_of
from mlnb.engine.files import PRIVATE, write_private, write_whole
from mlnb.engine.run_records import Outputs
from mlnb.engine.transient_errors import is_transient
from mlnb.errors import MlnbError, SchemaError, error_class, own_error_class


class StageInputs(Record, frozen=True, kw_only=True):
    """What a stage's notebook is given.

    Args:
        attempt: Id of this attempt.
        key: Stage key.
        parameters: The values that the run planned.
        inputs: Records of the artifacts that it reads.
        scratch: Key of the scratch folder.
        snapshots: Snapshot key of the state before each cell, by index of the cell.
        low_priority: Whether a stage that more stages depend on runs at the same time.
    """

    SCHEMA: ClassVar[str] = "stage-inputs"

    attempt: str
    key: str
    parameters: dict[str, Any]
    inputs: Outputs
    scratch: str
    snapshots: dict[int, str] = field(default_factory=dict)
    low_priority: bool = False


class StageReport(Record, frozen=True, kw_only=True):
    """What a stage has made so far.

    Args:
        attempt: Id of the attempt; empty in an interactive session.
        outputs: Artifacts that it has saved.
        metrics: Numbers that it has logged.
        held_out: Digest of each held-out artifact that it has loaded.
        closed: Whether the stage is closed, which means that the report is complete.
    """

    SCHEMA: ClassVar[str] = "stage-report"

    attempt: str = ""
    outputs: Outputs = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    held_out: dict[str, str] = field(default_factory=dict)
    closed: bool = False


class ProgressNote(Record, frozen=True, kw_only=True):
    """How far a stage is: `done` of `total`, and a text."""

    done: float
    total: float
    text: str


class CellNote(Record, frozen=True, kw_only=True):
    """Which cell of a stage is executed: its index from 0, the number of cells, and the heading above it."""

    cell: int
    cells: int
    heading: str


class ErrorNote(Record, frozen=True, kw_only=True):
    """The exception of a cell.

    Args:
        attempt: The attempt.
        error: Name of its class in `mlnb.errors`; empty for any other class.
        transient: Whether the stage may succeed when it is repeated.
    """

    attempt: str
    error: str = ""
    transient: bool = False

    @property
    def error_class(self) -> type[MlnbError] | None:
        """Its class in `mlnb.errors`; None for any other class."""
        return error_class(self.error) if self.error else None


REPORT = ".report.json"
ERROR_BYTES = 200  # size of the file with an `ErrorNote`


def inputs_path(folder: Path, stage: str) -> Path:
    """Return the file of a stage's inputs."""
    return folder / f"{stage}.inputs.json"


def report_path(folder: Path, stage: str) -> Path:
    """Return the file of a stage's report."""
    return folder / f"{stage}{REPORT}"


def progress_path(folder: Path, stage: str) -> Path:
    """Return the file of a stage's progress."""
    return folder / f"{stage}.progress.json"


def cell_path(folder: Path, stage: str) -> Path:
    """Return the file of a stage's `CellNote`."""
    return folder / f"{stage}.cell.json"


def write_cell(folder: Path, stage: str, note: CellNote) -> None:
    """Write which cell of a stage is executed; an `OSError` is ignored, as a run does not depend on it."""
    with suppress(OSError):
        write_private(cell_path(folder, stage), encode(note))


def error_path(folder: Path, stage: str) -> Path:
    """Return the file of a stage's `ErrorNote`."""
    return folder / f"{stage}.error.json"


def reserve_error(folder: Path, stage: str) -> None:
    """Create the file of a stage's `ErrorNote`, so that it can be overwritten in place when the disk is full."""
    write_private(error_path(folder, stage), b" " * ERROR_BYTES)


def write_error(folder: Path, stage: str, attempt: str, error: BaseException) -> None:
    """Overwrite a stage's `ErrorNote`; an `OSError` is ignored, as the exception itself is reported anyway."""
    own = own_error_class(type(error))
    note = ErrorNote(attempt=attempt, error=own.__name__ if own else "", transient=is_transient(error))
    with suppress(OSError), error_path(folder, stage).open("r+b") as file:
        file.write(encode(note).ljust(ERROR_BYTES))


def read_error(folder: Path, stage: str, attempt: str) -> ErrorNote | None:
    """Return the exception that a cell of a stage raised in this attempt, or None."""
    note = read_record(ErrorNote, error_path(folder, stage))
    return note if note is not None and note.attempt == attempt else None


def read_record(kind: type[R], path: Path) -> R | None:
    """Return the record in a file; None when the file is missing, incomplete or of another schema."""
    try:
        return decode(kind, path.read_bytes(), str(path))
    except (FileNotFoundError, NotADirectoryError, SchemaError):
        return None


class WatchedRecord(Generic[R]):
    """The record in a file that another process replaces; it is read again only when the file has changed.

    Args:
        kind: class of the record.
        path: the file.
    """

    def __init__(self, kind: type[R], path: Path) -> None:
        self._kind = kind
        self._path = path
        self._name = str(path)
        self._signature: Signature | None = None
        self._record: R | None = None

    def read(self) -> R | None:
        """Return the record; None when the file is missing, incomplete or of another schema."""
        signature = signature_of(self._name)
        if signature != self._signature:
            self._record = None if signature is None else read_record(self._kind, self._path)
            self._signature = signature
        return self._record


def write_record(path: Path, record: Record) -> None:
    """Write a record, completely or not at all. Raises `StoreFull`."""
    write_whole(path, encode(record), PRIVATE)
