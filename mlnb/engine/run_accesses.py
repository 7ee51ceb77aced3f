"""Accesses to held-out artifacts in the records of a project's runs; each record is read once, until it changes."""

from typing import Any

from mlnb.engine.digests import StatCache
from mlnb.engine.files import warn_damaged
from mlnb.engine.project import Project
from mlnb.engine.runs import read_run
from mlnb.engine.test_set_access import Access, recorded_accesses
from mlnb.errors import SchemaError


def accesses_of_runs(project: Project) -> set[Access]:
    """Return the accesses that the records of all runs name; damaged records are left out, with a warning for each."""
    cache = StatCache(project.store_root / "cache" / "accesses.json")
    accesses: set[Access] = set()
    for path in sorted(project.runs.glob("*-*/run.json")):
        if (cached := _read_accesses(cache.get(path))) is None:
            try:
                cached = recorded_accesses([read_run(project, path.parent).record])
            except (SchemaError, OSError) as error:
                warn_damaged(f"{error} The run is left out.")
                continue
            cache.put(path, sorted(cached))
        accesses |= cached
    cache.save(prune=True)
    return accesses


def _read_accesses(value: Any) -> set[Access] | None:
    """Return the accesses of a cached value; None when there is none, or it is damaged."""
    if not isinstance(value, list):
        return None
    entries = [entry for entry in value if isinstance(entry, list) and [type(item) for item in entry] == [str] * 3]
    return {Access(*entry) for entry in entries} if len(entries) == len(value) else None
