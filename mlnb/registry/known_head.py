"""The head of the audit log as this project last saw it: a registry that lacks it was lost or replaced."""

from pathlib import Path

from mlnb.engine.digests import digest_bytes
from mlnb.engine.files import PRIVATE, read_json, warn_damaged, write_json
from mlnb.engine.project import Project


def head_path(project: Project) -> Path:
    """Return the file of the known heads."""
    return project.store_root / "audit_head.json"


def known_head(project: Project, url: str) -> str:
    """Return the head of a registry's audit log as last seen; empty when the project has seen none.

    Args:
        project: The project.
        url: SQLAlchemy URL of the registry.
    """
    return _read(project).get(_key(url), "")


def known_heads(project: Project) -> set[str]:
    """Return the heads of all registries that the project has seen, also under another path of the project."""
    return set(_read(project).values())


def remember_head(project: Project, url: str, head: str) -> None:
    """Write the head of a registry's audit log, for `known_head`."""
    heads = _read(project)
    if heads.get(_key(url)) != head:
        write_json(head_path(project), heads | {_key(url): head}, PRIVATE)


def registry_exists(project: Project) -> bool:
    """Return whether the project has a registry, be it lost: one is set, its file is there, or its head is known."""
    return (
        bool(project.settings.registry) or (project.store_root / "registry.db").exists() or head_path(project).exists()
    )


def _read(project: Project) -> dict[str, str]:
    """Return the head of each registry's log by the digest of its URL; empty, with a warning, when it is damaged."""
    path = head_path(project)
    heads = read_json(path)
    if heads is not None and not isinstance(heads, dict):
        warn_damaged(f"{path} is damaged and is ignored: found {type(heads).__name__}, expected an object.")
    return {name: str(head) for name, head in heads.items()} if isinstance(heads, dict) else {}


def _key(url: str) -> str:
    """Return the digest of a URL, as the URL may hold a password."""
    return digest_bytes(url.encode())
