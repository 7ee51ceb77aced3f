"""A version of data, or a file that no run has read, as rows with types."""

from pathlib import Path
from typing import Any

import pandas as pd

from mlnb.engine.formats import load_object
from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.errors import DataError, UnknownRun
from mlnb.governance.data_differences import TypedVersion, type_version
from mlnb.governance.data_versions import PROVENANCE, DataVersion, VersionState, find_version
from mlnb.methods.contracts.declarations import Declarations
from mlnb.methods.tables.column_declarations import match_declarations, read_declarations
from mlnb.methods.tables.data_sources import read_table
from mlnb.methods.tables.personal_columns import protect_table
from mlnb.settings import ProcessSettings
from mlnb.tracking.artifact_views import load_optional, load_record

DECLARATIONS = "columns.toml"  # file of a project


def read_version(project: Project, reference: str) -> TypedVersion:
    """Return the rows of a version with types.

    Args:
        project: The project.
        reference: As for `find_version`; or a file, a URL or a data set, when no version has that name.

    Raises:
        UnknownRun: There is neither such a version nor such a file.
        DataError: The version was erased, is in no store, or the file cannot be read.
        StoreCorrupted: The bytes of the version are damaged.
    """
    if "://" in reference or reference.startswith("sklearn:") or Path(reference).exists():
        return _read_file(project, reference)
    return _read_stored(project, find_version(project, reference))


def stored_table(project: Project, version: DataVersion) -> pd.DataFrame:
    """Return the newest table of a version that is here or in the remote store. Raises `DataError` without one."""
    if version.state == VersionState.ERASED:
        raise DataError(f"Data version {version.digest[:12]} was erased on {version.erased}; its rows are gone.")
    raw = next((digest for digest in version.raw if project.store.fetch([digest])), None)
    if raw is None:
        where = f" or in {project.store.remote.url}" if project.store.remote is not None else ""
        raise DataError(
            f"Data version {version.digest[:12]} ({version.source}) is not in the store{where}; `mlnb run` stores it "
            "again while its source has the same bytes."
        )
    table: pd.DataFrame = load_object(project.store, "table", raw)
    return table


def _read_stored(project: Project, version: DataVersion) -> TypedVersion:
    table, run = stored_table(project, version), open_run(project, version.last)
    provenance: dict[str, Any] = load_optional(run, PROVENANCE) or {}
    declared = load_record(run, "declarations", Declarations) or Declarations()
    return type_version(version.digest[:12], table, provenance, declared)


def _read_file(project: Project, source: str) -> TypedVersion:
    """Return a file as `mlnb run` would read it, with the declarations of the project."""
    try:
        raw, provenance = read_table(source)
    except FileNotFoundError as error:
        raise UnknownRun(f"{source}: {error}") from None
    path = project.root / DECLARATIONS
    declared = read_declarations(path, DECLARATIONS) if path.exists() else Declarations()
    present = {name: one for name, one in declared.columns.items() if name in raw.columns}
    matched = match_declarations(Declarations(columns=present), provenance["columns"], provenance.get("unusable"))
    raw, matched = protect_table(raw, matched, ProcessSettings().personal_key)
    return type_version(source, raw, provenance, matched)
