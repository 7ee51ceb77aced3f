"""The registered versions as the tables of the registry hold them."""

import sqlalchemy as sa

from mlnb.codec import decode
from mlnb.registry.database import ALIASES, APPROVALS, VERSIONS
from mlnb.registry.model_versions import ModelVersion, VersionMetadata


def read_versions(connection: sa.Connection, model: str = "") -> list[ModelVersion]:
    """Return all versions, or those of one model, in the order of registration."""
    aliases: dict[tuple[str, int], list[str]] = {}
    for line in connection.execute(sa.select(ALIASES).order_by(ALIASES.c.alias)):
        aliases.setdefault((line.model, line.number), []).append(line.alias)
    approvals: dict[tuple[str, int], list[str]] = {}
    for line in connection.execute(sa.select(APPROVALS).order_by(APPROVALS.c.who)):
        approvals.setdefault((line.model, line.number), []).append(line.who)
    result = []
    for line in connection.execute(sa.select(VERSIONS).order_by(VERSIONS.c.model, VERSIONS.c.number)):
        if not model or line.model == model:
            key = (line.model, line.number)
            version = ModelVersion(
                model=line.model,
                number=line.number,
                run=line.run,
                service=line.service,
                metadata=decode(VersionMetadata, line.metadata.encode(), f"version {line.model}:{line.number}"),
                aliases=tuple(aliases.get(key, ())),
                approved_by=tuple(approvals.get(key, ())),
            )
            result.append(version)
    return result
