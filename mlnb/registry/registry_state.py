"""The state of the registry: as the audit log leads to it, as the tables hold it, and where both differ."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa

from mlnb.engine.digests import digest_value
from mlnb.registry.audit_log import Entry
from mlnb.registry.database import ALIASES, APPROVALS, VERSIONS


@dataclass
class RegistryState:
    """What the registry's tables have to hold.

    Attributes:
        versions: digest of each version's metadata, by model and number.
        aliases: number of the version by model and alias.
        approvals: (model, number, person).
    """

    versions: dict[tuple[str, int], str] = field(default_factory=dict)
    aliases: dict[tuple[str, str], int] = field(default_factory=dict)
    approvals: set[tuple[str, int, str]] = field(default_factory=set)


def replay(log: Iterable[Entry]) -> RegistryState:
    """Return the state that the entries lead to."""
    state = RegistryState()
    for entry in log:
        if entry.what in ("promoted", "rolled back"):
            state.aliases[entry.model, entry.alias] = entry.version
        elif entry.what == "registered":
            state.versions[entry.model, entry.version] = entry.evidence.metadata
        elif entry.what == "approved":
            state.approvals.add((entry.model, entry.version, entry.who))
        elif entry.what == "removed":
            state.aliases.pop((entry.model, entry.alias), None)
    return state


def metadata_digest(run: str, service: str, text: str) -> str:
    """Return the digest of a version: its run, its service and its metadata as JSON."""
    return digest_value([run, service, json.loads(text)])


def read_state(connection: sa.Connection) -> RegistryState:
    """Return the state that the tables hold."""
    lines = connection.execute(sa.select(VERSIONS))
    aliases, approvals = connection.execute(sa.select(ALIASES)), connection.execute(sa.select(APPROVALS))
    return RegistryState(
        {(line.model, line.number): metadata_digest(line.run, line.service, line.metadata) for line in lines},
        {(line.model, line.alias): line.number for line in aliases},
        {(line.model, line.number, line.who) for line in approvals},
    )


def compare_states(logged: RegistryState, stored: RegistryState) -> list[str]:
    """Return the differences between the state that the log leads to and that of the tables as text."""
    faults = []
    for model, number in sorted(logged.versions.keys() | stored.versions.keys()):
        expected, digest = logged.versions.get((model, number)), stored.versions.get((model, number))
        if expected != digest:
            fault = "is not in the log" if expected is None else "is missing" if digest is None else "was altered"
            faults.append(f"version {model}:{number} {fault}")
    for model, alias in sorted(logged.aliases.keys() | stored.aliases.keys()):
        target, version = logged.aliases.get((model, alias)), stored.aliases.get((model, alias))
        if target != version:
            faults.append(
                f"{alias} of {model} is version {version}, in the log {target}: an entry or the alias was altered"
            )
    for model, number, who in sorted(logged.approvals ^ stored.approvals):
        faults.append(f"the approval of {model}:{number} by {who} is only in the log or only in the table")
    return faults
