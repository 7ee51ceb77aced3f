"""Legal holds, as entries of the audit log: in the meantime nothing is erased and no retention setting deletes."""

from mlnb.codec import Record
from mlnb.engine.project import Project
from mlnb.errors import ProjectError, UsageError
from mlnb.registry.audit_log import Entry, Evidence
from mlnb.registry.known_head import registry_exists
from mlnb.registry.registry import Registry

PLACED, REMOVED = "held", "released"


class LegalHold(Record, frozen=True, kw_only=True):
    """A hold: the number of its entry in the audit log, when and by whom it was placed, and why."""

    number: int
    when: str
    who: str
    reason: str


def read_holds(project: Project) -> list[LegalHold]:
    """Return the holds that are in force, oldest first; none without a registry."""
    holds: dict[int, LegalHold] = {}
    for entry in Registry(project).log() if registry_exists(project) else ():
        if entry.what == PLACED:
            holds[entry.number] = LegalHold(number=entry.number, when=entry.when, who=entry.who, reason=entry.why)
        elif entry.what == REMOVED and entry.evidence.hold is not None:
            holds.pop(entry.evidence.hold, None)
    return list(holds.values())


def place_hold(project: Project, reason: str) -> Entry:
    """Place a hold; return its entry. Raises `UsageError` without a reason."""
    if not reason.strip():
        raise UsageError("A hold needs a reason: mlnb hold add 'lawsuit 12/26'")
    return Registry(project).record_change(PLACED, reason.strip(), Evidence())


def remove_hold(project: Project, number: int, reason: str) -> Entry:
    """Remove a hold; return the entry that records it. Raises `UsageError` when there is none of that number."""
    holds = {hold.number for hold in read_holds(project)}
    if number not in holds:
        names = ", ".join(map(str, sorted(holds))) or "none"
        raise UsageError(f"There is no hold {number}; in force: {names}. `mlnb hold` lists them.")
    if not reason.strip():
        raise UsageError("A reason is needed for the audit log; add --reason 'lawsuit ended'")
    return Registry(project).record_change(REMOVED, reason.strip(), Evidence(hold=number))


def refuse_held(project: Project) -> None:
    """Raise `ProjectError` when a hold is in force; the message names it."""
    if holds := read_holds(project):
        hold = holds[0]
        more = f", and {len(holds) - 1} more" if len(holds) > 1 else ""
        raise ProjectError(
            f"Legal hold {hold.number} by {hold.who} ({hold.reason}){more}: nothing may be erased. "
            f"`mlnb hold remove {hold.number} --reason 'lawsuit ended'` removes it."
        )
