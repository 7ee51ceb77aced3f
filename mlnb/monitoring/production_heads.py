"""The heads of a model's prediction log and labels, which `mlnb monitor` records in the audit log."""

import platform
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mlnb.engine.digests import digest_value
from mlnb.engine.project import Project
from mlnb.monitoring.labels import read_head
from mlnb.monitoring.monitoring_paths import label_database
from mlnb.registry.audit_log import Entry, ProductionHead
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry
from mlnb.serving.runtime.log_segments import CHAIN, ChainEntry, parse_entry


def record_heads(project: Project, registry: Registry, version: ModelVersion, log: Path) -> Entry | None:
    """Record the heads that have moved since they were last recorded; return the entry, None when none has.

    Args:
        project: The project.
        registry: Its registry.
        version: The version that is monitored.
        log: Folder of its prediction log.

    Raises:
        RegistryError: The registry cannot be read or written.
    """
    recorded: dict[str, int] = {}
    for entry in registry.log():
        links = entry.evidence.erasure.links if entry.evidence.erasure else ()
        heads_then = (*entry.evidence.production, *(link.after for link in links))
        recorded |= {head.file: head.count for head in heads_then if is_own(project, head)}
    current = _current_heads(project, version.model, log)
    heads = tuple(head for head in current if head.count > recorded.get(head.file, 0))
    return registry.record_production(version, heads) if heads else None


def is_own(project: Project, head: ProductionHead) -> bool:
    """Return whether a head is of this project's store; of a registry that only this project uses, every head is."""
    return not project.settings.registry or head.store == store_identity(project)


def read_chain(path: Path) -> list[ChainEntry]:
    """Return the entries of a chain; a last line without an end is still being written.

    Raises:
        ValueError: A line is no entry; the message has its number.
    """
    entries = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if line.endswith(b"\n"):
            try:
                entries.append(parse_entry(line))
            except ValueError as error:
                raise ValueError(f"entry {number} is damaged: {error}") from None
    return entries


def _current_heads(project: Project, model: str, log: Path) -> Iterator[ProductionHead]:
    """Yield the heads of all chains and of the labels; `mlnb verify` reports those that are damaged."""
    for path in sorted(log.glob(f"*{CHAIN}")):
        with suppress(ValueError, OSError):
            if entries := read_chain(path):
                yield make_head(project, path, len(entries), entries[-1].own_digest)
    database = label_database(project, model)
    with suppress(sqlite3.DatabaseError):
        head = read_head(database)
        if head.number:
            yield make_head(project, database, head.number, head.digest)


def make_head(project: Project, path: Path, count: int, digest: str) -> ProductionHead:
    """Return the head of a chain or of labels."""
    file = path.relative_to(project.store_root).as_posix()
    return ProductionHead(file=file, count=count, digest=digest, store=store_identity(project))


def store_identity(project: Project) -> str:
    """Return what distinguishes a store from those of other projects: this machine, and the folder."""
    return digest_value([platform.node(), str(project.store_root)])[:12]
