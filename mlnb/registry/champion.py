"""The current champion as values that `evaluate` compares with: its bundle, and the rows that it was trained on."""

from contextlib import suppress
from typing import Any

from mlnb.codec import Record, convert, to_json
from mlnb.engine.formats import load_object
from mlnb.engine.parameter_values import DEFAULT, Values
from mlnb.engine.project import Project
from mlnb.engine.run_records import ParameterValue
from mlnb.engine.runs import open_run
from mlnb.errors import StoreCorrupted, UnknownRun
from mlnb.registry.known_head import registry_exists

ORIGIN = "registry"  # where such a value comes from


class Champion(Record, frozen=True, kw_only=True):
    """A champion: what it predicts, its run, the digest of what its bento is built from, and its segment, if any."""

    target: str | None
    run: str
    service: str
    segment: str = ""


def fill_champion(project: Project, values: Values) -> Values:
    """Return the values with the champion filled in for stages with the parameter, where none is stated."""
    stages = [name for name, own in values.items() if {"champion", "champion_rows"} <= own.keys()]
    stages = [name for name in stages if values[name]["champion"].origin == DEFAULT]
    if not stages or not registry_exists(project):
        return values
    target = values["problem"]["target"].value if "target" in values.get("problem", {}) else ""
    segment = next((own["segment"].value for own in values.values() if own.get("segment")), "")
    result = champion_values(project, str(target or ""), str(segment))
    filled = {name: ParameterValue(value=value, origin=ORIGIN) for name, value in result.items()}
    return {name: own | filled if name in stages else own for name, own in values.items()}


def champion_values(project: Project, target: str, segment: str = "") -> dict[str, Any]:
    """Return `champion` and `champion_rows` of the only champion for a target (empty: any), or nothing.

    Args:
        project: The project.
        target: What it predicts.
        segment: Whose model it is; empty: that of all rows.
    """
    champions = [one for one in find_champions(project) if target in ("", one.target) and one.segment == segment]
    if len(champions) != 1:
        return {}
    rows = ""
    with suppress(UnknownRun):  # deleted: then its training rows are unknown
        output = open_run(project, champions[0].run).output("training")
        rows = str(project.store.path(output.digest)) if output and project.store.fetch([output.digest]) else ""
    with suppress(StoreCorrupted):
        return {"champion": str(load_object(project.store, "tree", champions[0].service)), "champion_rows": rows}
    return {}


def find_champions(project: Project) -> list[Champion]:
    """Return all champions; a registry in a file is read only when the file has changed."""
    file = None if project.settings.registry else project.store_root / "registry.db"
    cached = project.file_cache.get(file) if file is not None and file.exists() else None
    if isinstance(cached, list):
        return convert(cached, list[Champion])
    from mlnb.registry.registry import CHAMPION, Registry  # imports for longer than a run with nothing to do may take

    registry = Registry(project)
    versions = [version for version in registry.versions() if CHAMPION in version.aliases]
    registry.engine.dispose()
    champions = [
        Champion(
            target=version.metadata.problem.target,
            run=version.run,
            service=version.service,
            segment=version.metadata.segment,
        )
        for version in versions
    ]
    if file is not None and file.exists():
        project.file_cache.put(file, [to_json(champion) for champion in champions])
    return champions
