"""Messages between a process that uses the remote store and the helper process that holds the client; JSON lines."""

from typing import ClassVar

from msgspec import field, json

from mlnb.codec import Record
from mlnb.engine.run_records import KeyInputs, Outputs, ParameterValue, StageResult


class SharedStage(Record, frozen=True, kw_only=True):
    """The result of a stage key in the remote store.

    Args:
        key: Stage key.
        result: The result.
        person: Who has run the stage.
        platform: Operating system, architecture and CPU family that it ran on.
    """

    key: str
    result: StageResult
    person: str
    platform: str


class SharedRun(Record, frozen=True, kw_only=True):
    """A run in the remote store.

    Args:
        id: Its id.
        person: Who has run it.
        platform: Operating system, architecture and CPU family that it ran on.
        pipeline, state, started, seconds: From its record.
        metrics: Numbers that its stages logged, as `stage.metric`.
        files: Digest of each file of its folder, by path.
    """

    id: str
    person: str
    platform: str
    pipeline: str
    state: str
    started: str
    seconds: float | None
    metrics: dict[str, float]
    files: dict[str, str]


class CheckResult(Record, frozen=True, kw_only=True):
    """One result of a check of the remote store: ok, note or wrong, what was checked, what was found, what to do."""

    state: str
    topic: str
    result: str
    advice: str = ""


class FindStages(Record, frozen=True, kw_only=True, tag=True):
    """Return the results of stage keys, and of the stage keys that recipes lead to."""

    keys: tuple[str, ...]
    recipes: tuple[str, ...] = ()


class Pull(Record, frozen=True, kw_only=True, tag=True):
    """Write objects into the local store."""

    digests: tuple[str, ...]


class PushStage(Record, frozen=True, kw_only=True, tag=True):
    """Begin to push the result of a stage key with its objects; the reply does not wait for them."""

    key: str
    recipe: str
    result: StageResult


class WaitForPushes(Record, frozen=True, kw_only=True, tag=True):
    """Reply when the results before are pushed."""


class PushRun(Record, frozen=True, kw_only=True, tag=True):
    """Push a run's files when its stages are pushed.

    Args:
        id: Its id.
        plan: Digest of its stage keys; empty: it has not finished.
        objects: Digests of other objects that it needs.
    """

    id: str
    plan: str = ""
    objects: tuple[str, ...] = ()


class PlannedRun(Record, frozen=True, kw_only=True):
    """A plan whose stages can be run on other machines.

    Args:
        pipeline: Name of the pipeline.
        values: Value and origin of each parameter, by stage.
        inputs: Artifacts that a run of another pipeline supplies.
        files: Digest of each file of the project that the stages need, by path.
        recipes: Recipe of each stage, by which it is requested.
        key_inputs: What is known of each stage's key before any stage has run.
    """

    SCHEMA: ClassVar[str] = "planned-run"

    pipeline: str
    values: dict[str, dict[str, ParameterValue]]
    inputs: Outputs
    files: dict[str, str]
    recipes: dict[str, str]
    key_inputs: dict[str, KeyInputs]


class PushPlan(Record, frozen=True, kw_only=True, tag=True):
    """Push a plan with the files of its project, when the results before are pushed."""

    plan: PlannedRun


class FindPlan(Record, frozen=True, kw_only=True, tag=True):
    """Return the plan with a recipe."""

    recipe: str


class FindRun(Record, frozen=True, kw_only=True, tag=True):
    """Return the run with an id, a part of one, or the digest of its stage keys."""

    reference: str = ""
    plan: str = ""


class PullRun(Record, frozen=True, kw_only=True, tag=True):
    """Write a run's files into a folder of `runs`."""

    run: SharedRun


class ListRuns(Record, frozen=True, kw_only=True, tag=True):
    """Return the newest runs."""

    count: int


class Erase(Record, frozen=True, kw_only=True, tag=True):
    """Delete objects, and mark them so that no clone pushes them again."""

    digests: tuple[str, ...]


class Probe(Record, frozen=True, kw_only=True, tag=True):
    """Check what the remote store supports."""


Request = (
    FindStages
    | Pull
    | PushStage
    | WaitForPushes
    | PushRun
    | PushPlan
    | FindPlan
    | FindRun
    | PullRun
    | ListRuns
    | Erase
    | Probe
)


class Numbered(Record, frozen=True, kw_only=True):
    """A request and its number."""

    number: int
    request: Request


class Reply(Record, frozen=True, kw_only=True):
    """The reply to a request.

    Args:
        number: That of the request.
        warnings: Sentences for the user.
        down: Why the store cannot be used by this process any more; empty: it can.
        stages: Results that were found.
        failed: Reason by the digest of each object that could not be pulled.
        runs: Runs that were found.
        pushed: Number of stages and runs that were pushed since the last reply to `PushRun`.
        checks: Results of a probe.
        plan: The plan that was requested; None when there is none.
    """

    number: int
    warnings: tuple[str, ...] = ()
    down: str = ""
    stages: tuple[SharedStage, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    runs: tuple[SharedRun, ...] = ()
    pushed: int = 0
    checks: tuple[CheckResult, ...] = ()
    plan: PlannedRun | None = None


requests = json.Decoder(Numbered)
replies = json.Decoder(Reply)


def line(message: Numbered | Reply) -> bytes:
    """Return a message as one line."""
    return json.encode(message) + b"\n"
