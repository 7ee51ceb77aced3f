"""Records of a run: run.json, each of its stages, and the stored result of a stage key."""

from enum import StrEnum
from typing import Any, ClassVar

from msgspec import field

from mlnb.codec import Record
from mlnb.errors import GateFailed


class RunState(StrEnum):
    """How far a run is, or how it ended; a run whose process is gone without a record was killed."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    KILLED = "killed"


class StageState(StrEnum):
    """How far a stage of a run is, or how it ended."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    REUSED = "reused"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"

    @property
    def has_outputs(self) -> bool:
        """Whether all declared outputs of the stage are in the store."""
        return self in (StageState.FINISHED, StageState.REUSED)


class OutputRecord(Record, frozen=True, kw_only=True):
    """One artifact: where its bytes are in the store, and what it is.

    Args:
        digest: SHA-256 of the bytes, 64 hexadecimal digits; of a folder, of the list of its files.
        format: table, array, json, text, tree, file or pickle.
        bytes: Size.
        description: The sentence that the stage declared in `writes`.
    """

    digest: str
    format: str
    bytes: int
    description: str


Outputs = dict[str, OutputRecord]  # by artifact name


class ParameterValue(Record, frozen=True, kw_only=True):
    """A parameter's value and its origin: `default`, `profile smoke`, `-f params.yaml`, `-p`, `-g` or `registry`."""

    value: Any
    origin: str


class ParameterFingerprint(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a parameter that its stage key depends on: the value, or the contents of the file it names.

    Args:
        value: The value, when it names no file.
        file: Digest of the file's bytes.
        suffix: The last two suffixes of the file's name.
        query: The table or query of a SQLite file.
        folder: Digest of each file of a folder, by relative path.
    """

    value: Any = None
    file: str = ""
    suffix: str = ""
    query: str = ""
    folder: dict[str, str] | None = None

    def show(self) -> str:
        """Return a short text for a message."""
        if self.file:
            return f"file {self.file[:8]}"
        text = f"folder of {len(self.folder)} files" if self.folder is not None else repr(self.value)
        return text if len(text) <= 60 else text[:57] + "..."


class KeyInputs(Record, frozen=True, kw_only=True):
    """Everything that a stage's outputs depend on; the stage key is its digest.

    Args:
        contract: Digest of the stage's reads and writes.
        code: Digest of its code cells.
        parameters: Fingerprint of each parameter.
        modules: Digest of each project module that the code imports, directly or not.
        libraries: Version of each library that the code imports.
        python: Minor version of Python.
        inputs: Digest of each artifact that it reads.
    """

    contract: str
    code: str
    parameters: dict[str, ParameterFingerprint]
    modules: dict[str, str]
    libraries: dict[str, str]
    python: str
    inputs: dict[str, str]


class StageFailure(Record, frozen=True, kw_only=True):
    """Why a stage failed.

    Args:
        error: Name of the class in `mlnb.errors`; `KeyboardInterrupt` when it was interrupted.
        stage: The stage.
        cell: Index of the failed cell in the executed notebook, from 0; None outside of cells.
        heading: The heading above the cell.
        message: Type and text of the exception.
        notebook: Path of the executed notebook in the run's folder.
    """

    error: str
    stage: str
    cell: int | None = None
    heading: str = ""
    message: str = ""
    notebook: str | None = None


class StageAttempt(Record, frozen=True, kw_only=True):
    """An attempt at a stage that failed with a transient error, and was repeated.

    Args:
        started, finished: ISO 8601 in UTC.
        error: Name of the class in `mlnb.errors`.
        message: Type and text of the exception.
        cell: Index of the failed cell in the executed notebook, from 0; None outside of cells.
        wait: Seconds until the next attempt.
    """

    started: str
    finished: str
    error: str
    message: str
    wait: float
    cell: int | None = None


class StageRecord(Record, frozen=True, kw_only=True):
    """One stage of a run.

    Args:
        state: How far it is.
        reason: Why it runs or is reused.
        title, description: From the notebook.
        key: Stage key; None before it is known.
        key_inputs: What the key is the digest of.
        notebook: Path of the executed notebook in the run's folder.
        started, finished: ISO 8601 in UTC.
        seconds: Duration of the execution that made the outputs.
        parameters: Value and origin of each parameter.
        reads: Digest of each artifact that it reads; None before it is known.
        producers: Stage that makes each artifact that it reads.
        outputs: Artifacts that it made.
        metrics: Numbers that it logged.
        held_out: Digest of each held-out artifact that the execution loaded.
        from_run: Run whose execution made the outputs.
        error: Why it failed.
        attempts: Attempts that failed before, with a transient error.
    """

    state: StageState = StageState.WAITING
    reason: str = ""
    title: str = ""
    description: str = ""
    key: str | None = None
    key_inputs: KeyInputs | None = None
    notebook: str | None = None
    started: str | None = None
    finished: str | None = None
    seconds: float | None = None
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    reads: dict[str, str | None] = field(default_factory=dict)
    producers: dict[str, str] = field(default_factory=dict)
    outputs: Outputs = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    held_out: dict[str, str] = field(default_factory=dict)
    from_run: str | None = None
    error: StageFailure | None = None
    attempts: tuple[StageAttempt, ...] = ()

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the libraries that it imports, by name."""
        return self.key_inputs.libraries if self.key_inputs else {}


class GitState(Record, frozen=True, kw_only=True):
    """The git commit of the project, and whether files differ from it."""

    commit: str
    dirty: bool


class RunRecord(Record, frozen=True, kw_only=True):
    """A run: runs/<id>/run.json.

    Args:
        pid, pid_started: The process and when it started, to notice that it was killed.
        command: The command line.
        group: What sibling runs of a grid share.
        grid: The values of this run's combination.
        segment: The segment whose model it made, of a run with `--each`; empty: all rows.
        order: Names of the stages in the order of execution.
        stages: The stages by name, in that order.
    """

    SCHEMA: ClassVar[str] = "run"

    id: str
    pid: int
    pid_started: str | None
    started: str
    pipeline: str
    state: RunState = RunState.RUNNING
    finished: str | None = None
    seconds: float | None = None
    command: tuple[str, ...] = ()
    profile: str | None = None
    group: str | None = None
    grid: dict[str, str] = field(default_factory=dict)
    segment: str = ""
    mlnb_version: str = ""
    python_version: str = ""
    platform: str = ""
    git: GitState | None = None
    order: tuple[str, ...] = ()
    stages: dict[str, StageRecord] = field(default_factory=dict)

    @property
    def failure(self) -> StageFailure | None:
        """The error of the first stage that failed, or None."""
        return next((stage.error for stage in self.stages.values() if stage.error is not None), None)

    @property
    def failed_gate(self) -> bool:
        """Whether the run ended because its gate failed."""
        return self.failure is not None and self.failure.error == GateFailed.__name__


class StageResult(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What the execution of a stage key made.

    Args:
        outputs: Its artifacts.
        metrics: Numbers that it logged.
        notebook: Digest of the executed notebook.
        run: Id of the run that executed it.
        started, finished: ISO 8601 in UTC.
        seconds: Duration.
        held_out: Digest of each held-out artifact that it loaded.
    """

    outputs: Outputs
    metrics: dict[str, float]
    notebook: str
    run: str
    started: str
    finished: str
    seconds: float
    held_out: dict[str, str] = field(default_factory=dict)

    def record_fields(self) -> dict[str, Any]:
        """Return the fields of a `StageRecord` that the result determines."""
        return {
            "outputs": self.outputs,
            "metrics": self.metrics,
            "held_out": self.held_out,
            "from_run": self.run,
            "started": self.started,
            "finished": self.finished,
            "seconds": self.seconds,
        }


def digests_of(result: StageResult) -> set[str]:
    """Return the digests of a result's notebook and outputs; files of folders are not among them."""
    return {result.notebook, *(output.digest for output in result.outputs.values())}


class StoredResult(Record, frozen=True, kw_only=True):
    """The file of a stage key in the store; the checksum notices damage."""

    SCHEMA: ClassVar[str] = "stage-result"

    result: StageResult
    checksum: str
