"""Entries of the remote store: names of its objects, and records in envelopes that are signed when there is a key.

objects/ab/cdef…            bytes by their digest
stages/PLATFORM/KEY         result of a stage key, written after its objects and never replaced
recipes/PLATFORM/RECIPE     stage key that a recipe has led to, which saves round trips
runs/ID                     a run: who has run it, and the digests of its files
plans/PLATFORM/DIGEST       id of a finished run with these stage keys
planned/RECIPE              digest of the plan with this recipe: its project, parameters and recipes
erased/DIGEST               mark of an object that must not be pushed again
"""

from typing import ClassVar, TypeVar

from mlnb.codec import Record, decode, encode
from mlnb.engine.confined_names import is_confined, is_digest, is_plain_name
from mlnb.engine.project import Project
from mlnb.engine.remote_messages import PlannedRun, SharedRun, SharedStage
from mlnb.engine.runs import now
from mlnb.errors import SchemaError
from mlnb.signing.envelopes import SignatureState, check_signatures, make_envelope, open_envelope
from mlnb.signing.signing_keys import find_key
from mlnb.signing.trusted_keys import keys_path, read_trusted_keys

RUNS, ERASED = "runs", "erased"  # folders that are listed
E = TypeVar("E", bound=Record)


class StageEntry(Record, frozen=True, kw_only=True):
    """The object of a stage key."""

    SCHEMA: ClassVar[str] = "remote-stage"

    stage: SharedStage


class RunEntry(Record, frozen=True, kw_only=True):
    """The object of a run."""

    SCHEMA: ClassVar[str] = "remote-run"

    run: SharedRun


class PlanEntry(Record, frozen=True, kw_only=True):
    """The object of a plan."""

    SCHEMA: ClassVar[str] = "remote-plan"

    plan: PlannedRun


class Entries:
    """Wraps and opens the entries of a project, with the user's key and the keys that the project trusts."""

    def __init__(self, project: Project) -> None:
        """Read the keys.

        Raises:
            SettingsError, MissingExtra: The user's key cannot be used.
            SchemaError: The file of the trusted keys is damaged.
        """
        self._key = find_key()
        self._trusted = read_trusted_keys(keys_path(project))

    def wrap(self, entry: StageEntry | RunEntry | PlanEntry) -> bytes:
        """Return the bytes of an entry, signed when this user has a key."""
        return make_envelope(_kind(type(entry)), encode(entry), self._key)

    def open_stage(self, data: bytes, key: str, platform: str) -> SharedStage:
        """Return the result of a stage key from the bytes of its entry. Raises `SchemaError` for one not to be used."""
        stage = self._open(StageEntry, data, f"the remote result of stage key {key[:12]}").stage
        outputs = [output.digest for output in stage.result.outputs.values()]
        names = [*stage.result.outputs, stage.result.run]
        if (stage.key, stage.platform) != (key, platform):
            raise SchemaError(f"The remote result of stage key {key[:12]} is that of another one.")
        if not all(map(is_digest, (stage.result.notebook, *outputs, *stage.result.held_out.values()))):
            raise SchemaError(f"The remote result of stage key {key[:12]} has a text that is no digest.")
        if not all(map(is_plain_name, names)):
            raise SchemaError(f"The remote result of stage key {key[:12]} has a name that leaves its folder.")
        return stage

    def open_run(self, data: bytes, name: str) -> SharedRun:
        """Return a run from the bytes of its entry. Raises `SchemaError` for one that is not to be used."""
        run = self._open(RunEntry, data, f"the remote run {name}").run
        confined = all(is_confined(path) and is_digest(digest) for path, digest in run.files.items())
        if run.id != name or not is_plain_name(name) or not confined or "run.json" not in run.files:
            raise SchemaError(f"The remote run {name} has a name that leaves its folder, or lacks its record.")
        return run

    def open_plan(self, data: bytes, recipe: str) -> PlannedRun:
        """Return a plan from the bytes of its entry. Raises `SchemaError` for one that is not to be used."""
        plan = self._open(PlanEntry, data, f"the plan of {recipe[:12]}").plan
        confined = all(is_confined(path) and is_digest(digest) for path, digest in plan.files.items())
        if recipe not in plan.recipes.values() or not confined:
            raise SchemaError(f"The plan of {recipe[:12]} is another one, or has a name that leaves its folder.")
        return plan

    def _open(self, kind: type[E], data: bytes, where: str) -> E:
        payload, signatures = open_envelope(data, _kind(kind), where)
        if self._trusted.keys:  # by the keys that count now: a result that is not used is computed again
            check = check_signatures(signatures, _kind(kind), payload, self._trusted, now())
            if check.state != SignatureState.SIGNED:
                raise SchemaError(f"{where} is {check.state} {check.who}".rstrip() + "; expected a trusted signature.")
        return decode(kind, payload, where)


def _kind(record: type[Record]) -> str:
    return f"application/vnd.mlnb.{record.SCHEMA}+json"


def object_name(digest: str) -> str:
    """Return the name of an object."""
    return f"objects/{digest[:2]}/{digest[2:]}"


def stage_name(platform: str, key: str) -> str:
    """Return the name of the entry of a stage key."""
    return f"stages/{platform}/{key}"


def recipe_name(platform: str, recipe: str) -> str:
    """Return the name of the object with the stage key of a recipe."""
    return f"recipes/{platform}/{recipe}"


def run_name(run: str) -> str:
    """Return the name of the entry of a run."""
    return f"{RUNS}/{run}"


def plan_name(platform: str, plan: str) -> str:
    """Return the name of the object with the id of a run."""
    return f"plans/{platform}/{plan}"


def planned_name(recipe: str) -> str:
    """Return the name of the object with the digest of a plan."""
    return f"planned/{recipe}"


def erased_name(digest: str) -> str:
    """Return the name of the mark of an object that was erased."""
    return f"{ERASED}/{digest}"
