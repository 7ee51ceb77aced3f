"""Messages between the process that schedules notebooks and its worker processes: one JSON object a line."""

from typing import Any

import msgspec

from mlnb.kernels.protocol.messages import Message, decode, encode


class SnapshotPlan(Message, frozen=True, kw_only=True):
    """Which snapshots of a notebook's state to take, and which one to restore.

    Cells are numbered as in the notebook's source, without the one that papermill adds. `snapshots` maps a cell to the
    id of the snapshot before it; `code_cells` are the cells with code, in order. Outputs are logged to `output_log`.
    The first one is taken, and each next one once the cells since the last have taken `min_seconds`. `group`,
    `ttl_minutes`, `max_bytes` and `labels` are those of `SnapshotInfo`. Snapshots end with a notebook that succeeds
    unless `keep_on_success`. `restore` is the snapshot to continue from, `restore_log` its output log, and
    `variables` are set in it.
    """

    snapshots: dict[int, str]
    code_cells: tuple[int, ...]
    output_log: str
    group: str
    ttl_minutes: float
    max_bytes: float
    min_seconds: float = 0.0
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    keep_on_success: bool = False
    restore: str | None = None
    restore_log: str = ""
    variables: dict[str, Any] = msgspec.field(default_factory=dict)


class NotebookJob(Message, frozen=True, kw_only=True, tag_field="type", tag=True):
    """Asks a worker to execute the notebook `source` in `folder` and write it to `target`.

    `environment` is added to the worker's own; the values of `secrets` are redacted from outputs. Before the source
    cell `pause_before` the worker waits for a `ResumeJob`. `cell_timeout` is in seconds.
    """

    source: str
    target: str
    parameters: dict[str, Any]
    folder: str
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    secrets: dict[str, str] = msgspec.field(default_factory=dict)
    cell_timeout: float | None = None
    pause_before: int | None = None
    snapshots: SnapshotPlan | None = None


class ResumeJob(Message, frozen=True, kw_only=True, tag_field="type", tag=True):
    """Asks a worker to continue the job that it has paused."""

    snapshots: SnapshotPlan | None


AnyJob = NotebookJob | ResumeJob


class WorkerEvent(Message, frozen=True, kw_only=True, tag_field="type", tag=True):
    """Base of what a worker reports."""


class WorkerReady(WorkerEvent, frozen=True, kw_only=True):
    """The worker has imported its libraries."""


class WorkerWarning(WorkerEvent, frozen=True, kw_only=True):
    """Something that the user should know, in a sentence."""

    text: str


class CellStarted(WorkerEvent, frozen=True, kw_only=True):
    """A cell starts: its index among `cells` cells, and the heading above it."""

    cell: int
    cells: int
    heading: str


class JobResult(WorkerEvent, frozen=True, kw_only=True):
    """How a job ended: `finished`, or `failed`, `timeout`, `died` or `interrupted` with the cell and the cause.

    `cause` is "ErrorName: text"; `restored` is whether the notebook continued from a snapshot.
    """

    state: str
    cell: int | None = None
    heading: str = ""
    cause: str = ""
    restored: bool = False


AnyEvent = WorkerReady | WorkerWarning | CellStarted | JobResult


def decode_job(line: str) -> AnyJob:
    """Return the job in a line. Raises `MessageError` for anything else."""
    return decode(line, AnyJob)  # type: ignore[arg-type]  # a union is not a type[T]


def decode_event(line: str) -> AnyEvent:
    """Return the event in a line. Raises `MessageError` for anything else."""
    return decode(line, AnyEvent)  # type: ignore[arg-type]  # a union is not a type[T]


def encode_line(message: Message) -> str:
    """Return a message as one line of JSON."""
    return encode(message).decode() + "\n"
