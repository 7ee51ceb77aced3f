"""The registry as the dashboard shows it: versions by model, champion, approvals and audit log; nothing is written."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mlnb.codec import Record
from mlnb.engine.project import Project
from mlnb.errors import RegistryError
from mlnb.registry.audit_log import Entry
from mlnb.registry.known_head import registry_exists
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry
from mlnb.registry.verified_approvals import name_people

ENTRIES = 500  # entries of the audit log that are shown, the newest ones


class RegistryView(Record, frozen=True, kw_only=True):
    """A registry.

    Args:
        models: The versions of each model, newest first.
        approvals: Who has approved each version that anybody has, and the number of people who count, by its name.
        needed: Number of approvals that a promotion needs.
        log: The newest entries of the audit log, newest first.
        entries: Number of all entries.
        faults: What is wrong with the audit log; empty when it is unaltered.
    """

    models: dict[str, list[ModelVersion]]
    approvals: dict[str, tuple[str, int]]
    needed: int
    log: list[Entry]
    entries: int
    faults: list[str]


def read_registry(project: Project) -> RegistryView:
    """Return what a project's registry has. Raises `RegistryError` when it cannot be read."""
    models: dict[str, list[ModelVersion]] = {}
    log: list[Entry] = []
    faults: list[str] = []
    approvals: dict[str, tuple[str, int]] = {}
    entries = 0
    with _opened(project) as registry:
        if registry is not None:
            for version in reversed(registry.versions()):
                models.setdefault(version.model, []).append(version)
            faults, entries, _ = registry.verify(remember=False)
            with suppress(RegistryError):  # an entry that cannot be read is among the faults
                log = registry.log()[::-1][:ENTRIES]
                approvals = _name_approvals(registry, models)
    return RegistryView(
        models=dict(sorted(models.items())),
        approvals=approvals,
        needed=project.settings.approvals,
        log=log,
        entries=entries,
        faults=faults,
    )


def _name_approvals(registry: Registry, models: dict[str, list[ModelVersion]]) -> dict[str, tuple[str, int]]:
    given = registry.approvals()
    approved = [version for versions in models.values() for version in versions if version.approved_by]
    return {
        version.name: (name_people(given.get((version.model, version.number), ())), len(registry.people(version)))
        for version in approved
    }


def read_versions(project: Project) -> list[ModelVersion]:
    """Return all versions of a project; empty without a registry. Raises `RegistryError` when it cannot be read."""
    with _opened(project) as registry:
        return registry.versions() if registry is not None else []


@contextmanager
def _opened(project: Project) -> Iterator[Registry | None]:
    """Yield the registry, closed at the end; None where the project has none, as opening it would create it."""
    if not registry_exists(project):
        yield None
        return
    registry = Registry(project)
    try:
        yield registry
    finally:
        if "engine" in registry.__dict__:
            registry.engine.dispose()
