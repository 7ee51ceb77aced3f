"""The head of the audit log as this project last saw it: a registry that lacks it was lost or replaced."""

from pathlib import Path

import msgspec
from msgspec import field

from mlnb.codec import Record
from mlnb.engine.digests import digest_bytes
from mlnb.engine.files import PRIVATE, write_json
from mlnb.engine.project import Project
from mlnb.engine.stage_files import read_record


class KnownHeads(Record, frozen=True, kw_only=True):
    """The digest of the last entry of each registry's audit log, by the digest of the registry's URL."""

    heads: dict[str, str] = field(default_factory=dict)


def head_path(project: Project) -> Path:
    """Return the file of the known heads."""
    return project.store_root / "audit_head.json"


def known_head(project: Project, url: str) -> str:
    """Return the head of a registry's audit log as last seen; empty when the project has seen none.

    Args:
        project: The project.
        url: SQLAlchemy URL of the registry.
    """
    record = read_record(KnownHeads, head_path(project))
    return record.heads.get(_key(url), "") if record else ""


def remember_head(project: Project, url: str, head: str) -> None:
    """Write the head of a registry's audit log, for `known_head`."""
    record = read_record(KnownHeads, head_path(project)) or KnownHeads()
    if record.heads.get(_key(url)) != head:
        write_json(head_path(project), msgspec.to_builtins(KnownHeads(heads=record.heads | {_key(url): head})), PRIVATE)


def registry_exists(project: Project) -> bool:
    """Return whether the project has a registry, be it lost: one is set, its file is there, or its head is known."""
    return (
        bool(project.settings.registry) or (project.store_root / "registry.db").exists() or head_path(project).exists()
    )


def _key(url: str) -> str:
    """Return the digest of a URL, as the URL may hold a password."""
    return digest_bytes(url.encode())
