"""Which columns exist: a condition on any other one would select nothing, and look as if the rows were erased."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.engine.tombstones import read_erasures
from mlnb.erasure.conditions import DECLARATIONS, Selection
from mlnb.errors import UsageError
from mlnb.governance.data_versions import read_sources
from mlnb.methods.tables.column_declarations import read_declarations
from mlnb.monitoring.labels import read_events
from mlnb.suggestions import did_you_mean, list_names


def require_columns(project: Project, runs: Iterable[Run], databases: Iterable[Path], selection: Selection) -> None:
    """Refuse conditions on columns that no table, log or earlier run has.

    A project in which no column is known has nothing to search, so that nothing is refused.

    Args:
        project: The project.
        runs: Its runs; the tables of older ones may be erased or deleted, while their provenance has the columns.
        databases: Labels of models.
        selection: The conditions, whose tables were searched.

    Raises:
        UsageError: A column is unknown; names the closest one and lists those that exist.
    """
    if not selection.unknown_columns():
        return
    sources = {name for read in read_sources(runs) for name in read.provenance.columns}
    recorded = {
        name for stored in read_erasures(project.store.root) if stored.erasure for name in stored.erasure.columns
    }
    recorded |= {*read_declarations(project.root / DECLARATIONS).columns, *_label_fields(databases)}
    unknown = [name for name in selection.unknown_columns() if name not in sources | recorded]
    existing = sources or selection.seen | recorded
    if not unknown or not existing:
        return
    hint = did_you_mean(unknown[0], sorted(existing))
    raise UsageError(
        f"No table, prediction log, restored file or earlier run has a column {unknown[0]!r}, so "
        f"no row is selected and nothing was erased.{hint} The columns of the data: {list_names(existing)}."
    )


def _label_fields(databases: Iterable[Path]) -> Iterator[str]:
    """Yield the fields by which labels name series and items."""
    for event in (event for path in databases for event in read_events(path)):
        with suppress(ValueError):
            fields = json.loads(event.row) if isinstance(event.row, str) else None
            yield from fields if isinstance(fields, dict) else ()
