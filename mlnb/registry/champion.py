"""The model in charge, as values that `evaluate` compares with: its bundle, and the rows that it has learned from."""

from contextlib import suppress
from typing import Any

from mlnb.engine.formats import load_object
from mlnb.engine.parameter_values import DEFAULT, Values
from mlnb.engine.project import Project
from mlnb.engine.run_records import ParameterValue
from mlnb.engine.runs import open_run
from mlnb.errors import StoreCorrupted, UnknownRun
from mlnb.registry.known_head import registry_exists

ORIGIN = "registry"  # where such a value comes from


def fill_champion(project: Project, values: Values) -> Values:
    """Return the values with the champion in them, where a stage asks for one, none is stated, and there is one."""
    asking = [name for name, own in values.items() if {"champion", "champion_rows"} <= own.keys()]
    asking = [name for name in asking if values[name]["champion"].origin == DEFAULT]
    if not asking or not registry_exists(project):
        return values
    target = values["problem"]["target"].value if "target" in values.get("problem", {}) else ""
    result = champion_values(project, str(target or ""))
    filled = {name: ParameterValue(value=value, origin=ORIGIN) for name, value in result.items()}
    return {name: own | filled if name in asking else own for name, own in values.items()}


def champion_values(project: Project, target: str) -> dict[str, Any]:
    """Return `champion` and `champion_rows` of the only champion for a target (empty: any), or nothing."""
    champions = [one for one in find_champions(project) if target in ("", one["target"])]
    if len(champions) != 1:
        return {}
    rows = ""
    with suppress(UnknownRun):  # cleaned away: then it is not known what it has learned from
        output = open_run(project, champions[0]["run"]).output("training")
        path = project.store.path(output.digest) if output else None
        rows = str(path) if path and path.exists() else ""
    with suppress(StoreCorrupted):
        return {"champion": str(load_object(project.store, "tree", champions[0]["service"])), "champion_rows": rows}
    return {}


def find_champions(project: Project) -> list[dict[str, str]]:
    """Return target, run and service of each champion; a registry in a file is asked when the file has changed."""
    file = None if project.settings.registry else project.store_root / "registry.db"
    cached = project.file_cache.get(file) if file is not None and file.exists() else None
    if isinstance(cached, list):
        return cached
    from mlnb.registry.registry import CHAMPION, Registry  # imports for longer than a run with nothing to do may take

    registry = Registry(project)
    champions = [version for version in registry.versions() if CHAMPION in version.aliases]
    registry.engine.dispose()
    result = [
        {"target": version.facts["problem"]["target"], "run": version.run, "service": version.service}
        for version in champions
    ]
    if file is not None and file.exists():
        project.file_cache.put(file, result)
    return result
