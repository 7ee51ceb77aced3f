"""The registered versions as the tables of the registry hold them, and the version that a reference names."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from mlnb.codec import decode
from mlnb.errors import UnknownRun, UsageError
from mlnb.registry.database import ALIASES, APPROVALS, VERSIONS
from mlnb.registry.model_versions import ModelVersion, VersionMetadata, split_reference
from mlnb.suggestions import did_you_mean


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


def find_version(every: Sequence[ModelVersion], reference: str) -> ModelVersion:
    """Return the version of a reference, of all registered versions; see `Registry.find`."""
    if called := [version for version in every if version.is_called(reference)]:
        return called[-1]
    model, number, alias = split_reference(reference)
    model = choose_model(model, {version.model for version in every})
    mine = [version for version in every if version.model == model]
    if number is None and not alias:
        return mine[-1]
    for version in mine:
        if version.number == number or (alias and alias in version.aliases):
            return version
    present = sorted({name for version in mine for name in version.aliases})
    what = f"version {number}; it has 1 to {mine[-1].number}" if number is not None else f"alias {alias!r}"
    hint = did_you_mean(alias, present) if alias else ""
    raise UnknownRun(f"{model} has no {what}.{hint} `mlnb models` lists all versions.")


def choose_model(model: str, models: Iterable[str]) -> str:
    """Return the model, or the only one when none is named.

    Raises:
        UnknownRun: There is none of that name.
        UsageError: None is named, and there are several.
    """
    names = sorted(models)
    if not names:
        raise UnknownRun("No model is registered yet. `mlnb run` trains one and registers it.")
    if not model and len(names) > 1:
        raise UsageError(f"There are {len(names)} models: {', '.join(names[:10])}. Name one, such as {names[0]}:1.")
    if model and model not in names:
        raise UnknownRun(f"No model is called {model!r}; there is {', '.join(names[:10])}.{did_you_mean(model, names)}")
    return model or names[0]
