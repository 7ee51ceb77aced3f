"""Messages between the driver, the warm parent and the kernels: typed, frozen, and written as JSON by one codec.

Types are checked when a message is read. `encode` uses the standard library's JSON because environments and paths may
hold bytes that are not UTF-8, and parameters NaN; both survive there, and not in msgspec's own encoder.
"""

import json
from typing import Any, TypeVar

import msgspec

from mlnb.kernels.protocol.process_context import ProcessContext

JupyterMessage = dict[str, Any]  # header, parent_header, metadata and content, as jupyter_client defines them
T = TypeVar("T")


class MessageError(ValueError):
    """Bytes are not the message that was expected; the text names what differs."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every message."""


class SnapshotInfo(Message, frozen=True, kw_only=True):
    """Describes the snapshot of a notebook's state before one cell.

    Two notebooks with the same `id` before a cell are in the same state there. `output_log` is the file with the
    outputs of the cells before it; `labels` are the caller's own (stage and run). The snapshot ends `ttl_minutes`
    after its last use, or earlier when all snapshots take more than `max_bytes`.
    """

    id: str
    cell: int
    group: str
    output_log: str
    ttl_minutes: float
    max_bytes: float
    labels: dict[str, str] = {}


class SnapshotStatus(SnapshotInfo, frozen=True, kw_only=True):
    """A snapshot that is alive: its process id, and when it was last used and expires (seconds since the epoch)."""

    pid: int
    used: float
    expires: float


class RestoreSnapshot(Message, frozen=True, kw_only=True):
    """Asks for a kernel that continues from a snapshot, with these environment variables and notebook variables set.

    It first runs `cells`, code that ran after the snapshot, up to one that fails.
    """

    id: str
    environment: dict[str, str]
    variables: dict[str, Any]
    cells: tuple[str, ...] = ()


class Request(Message, frozen=True, kw_only=True, tag_field="type", tag=True):
    """Base of the requests to a warm parent."""


class StartKernel(Request, frozen=True, kw_only=True):
    """Asks for a kernel.

    The warm parent imports `imports` before it forks. `notebook_imports` are those of the notebook itself, None when
    they are unknown. A `nested` kernel was requested by another kernel's notebook and does not wait for capacity. The
    notebook of a `pausing` one waits before a cell for stages that may need kernels, until `ResumedKernel`. With
    `jupyter_sockets` the kernel opens the ZeroMQ sockets of `connection_file`; without, it uses this connection.
    """

    context: ProcessContext
    connection_file: str
    session_key: str
    notebook: str
    imports: list[str]
    max_kernels: int
    arguments: list[str] = []
    notebook_imports: list[str] | None = None
    nested: bool = False
    pausing: bool = False
    jupyter_sockets: bool = False
    restore: RestoreSnapshot | None = None


class PreloadImports(Request, frozen=True, kw_only=True):
    """Reports modules that a notebook imported, to be preloaded for the next kernel; no response."""

    modules: list[str]


class RegisterSnapshot(Request, frozen=True, kw_only=True):
    """Registers the sending process as a snapshot; the connection stays open as long as the snapshot is wanted."""

    info: SnapshotInfo


class DropSnapshots(Request, frozen=True, kw_only=True):
    """Ends the snapshots of a group, or all of them with None; no response."""

    group: str | None


class ResumedKernel(Request, frozen=True, kw_only=True):
    """Reports that the notebook of a pausing kernel goes on; no response."""

    pid: int


class GetExitStatus(Request, frozen=True, kw_only=True):
    """Asks how a kernel's process ended; answered by `ExitStatus`."""

    pid: int


class GetStatus(Request, frozen=True, kw_only=True):
    """Asks what the parent runs and keeps; answered by `ParentStatus`."""


class StopParent(Request, frozen=True, kw_only=True):
    """Ends the parent and its snapshots, and with `kill_kernels` the kernels too; answered by `Stopped`."""

    kill_kernels: bool = False


AnyRequest = (
    StartKernel
    | PreloadImports
    | RegisterSnapshot
    | DropSnapshots
    | ResumedKernel
    | GetExitStatus
    | GetStatus
    | StopParent
)


class Response(Message, frozen=True, kw_only=True, tag_field="type", tag=True):
    """Base of the responses of a warm parent."""


class Queued(Response, frozen=True, kw_only=True):
    """The request waits for capacity at this position of the queue."""

    position: int


class Restarting(Response, frozen=True, kw_only=True):
    """The parent restarts; send the request again."""

    reason: str


class Refused(Response, frozen=True, kw_only=True):
    """The parent cannot fork kernels on this system."""

    reason: str


class ExitStatus(Response, frozen=True, kw_only=True):
    """The wait status of a kernel's process; None when it still runs or is unknown."""

    wait_status: int | None


class Stopped(Response, frozen=True, kw_only=True):
    """The parent with this process id ends."""

    pid: int


class SnapshotForked(Response, frozen=True, kw_only=True):
    """A snapshot has forked a kernel with this process id."""

    pid: int


class ParentStatus(Response, frozen=True, kw_only=True):
    """What a warm parent runs and keeps: times in seconds (`started` since the epoch), memory in bytes.

    `kernels` maps process ids to notebooks; `rejected` maps modules that are not preloaded to the reason.
    """

    pid: int
    started: float
    executable: str
    python_version: str
    preloaded: list[str]
    rejected: dict[str, str]
    snapshots: list[SnapshotStatus]
    snapshot_memory: int
    kernels: dict[int, str]
    queued: int
    served: int
    idle_seconds: float
    memory: int


AnyResponse = Queued | Restarting | Refused | ExitStatus | Stopped | SnapshotForked | ParentStatus


class KernelReady(Message, frozen=True, kw_only=True):
    """A kernel accepts requests: its process id, and the id of the snapshot it continues from."""

    pid: int
    snapshot: str | None = None


class SnapshotResult(Message, frozen=True, kw_only=True):
    """Whether a kernel has taken a snapshot; `error` is why not."""

    error: str | None = None


class InheritedSnapshot(Message, frozen=True, kw_only=True):
    """A snapshot that a restarting parent hands to its next incarnation: the open descriptor of its connection."""

    descriptor: int
    info: SnapshotInfo
    used: float


class PreloadRecord(Message, frozen=True, kw_only=True):
    """What a warm parent remembers across restarts, in a file.

    `importing` is the import that was running: a parent that died in it does not try again. `packages` are times and
    sizes of the installed packages' folders: with other packages, rejected imports are tried again. `process` and
    `snapshots` are set when the parent restarts in the same process.
    """

    imports: list[str] = []
    rejected: dict[str, str] = {}
    importing: str = ""
    packages: list[tuple[int, int]] = []
    process: str = ""
    snapshots: list[InheritedSnapshot] = []


def encode(message: Message) -> bytes:
    """Return a message as JSON."""
    return json.dumps(msgspec.to_builtins(message)).encode()


def decode(data: bytes | str, kind: type[T]) -> T:
    """Return the message in JSON. Raises `MessageError` when it is not of that type."""
    try:
        return msgspec.convert(json.loads(data), kind, str_keys=True)
    except ValueError as error:
        raise MessageError(f"expected {getattr(kind, '__name__', kind)}, found other bytes: {error}") from error


def decode_request(data: bytes) -> AnyRequest:
    """Return a request to a warm parent. Raises `MessageError` for anything else."""
    return decode(data, AnyRequest)  # type: ignore[arg-type]  # a union is not a type[T]


def decode_response(data: bytes) -> AnyResponse:
    """Return a response of a warm parent. Raises `MessageError` for anything else."""
    return decode(data, AnyResponse)  # type: ignore[arg-type]  # a union is not a type[T]
