"""What differs between two versions of data: columns, rows, and the distribution of each column."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from msgspec import field

from mlnb.codec import Record
from mlnb.engine.row_hashes import count_shared, hash_rows, row_hashes
from mlnb.errors import UsageError
from mlnb.methods.contracts.declarations import Declarations
from mlnb.methods.contracts.monitoring_records import ColumnDrift
from mlnb.methods.metrics.column_drift import compare_columns
from mlnb.methods.tables.columns import Column, Schema, column_array, nearest
from mlnb.methods.tables.spellings import stated_spelling
from mlnb.methods.tables.type_inference import clean

if TYPE_CHECKING:
    from mlnb.engine.row_hashes import Hashes

COMPARED = ("feature", "target")  # roles of columns whose distribution is compared


class ColumnChange(Record, frozen=True, kw_only=True):
    """A column that one version lacks, or that holds something else.

    Args:
        column: its name.
        before, after: what it holds, such as number; empty where the version lacks it.
    """

    column: str
    before: str
    after: str


class RowChanges(Record, frozen=True, kw_only=True):
    """How the rows of two versions differ, in the columns that both have.

    Args:
        key: columns that identify a row; empty: rows are compared by their content.
        before, after: number of rows.
        unchanged: rows that both versions have.
        added, removed: rows that only the second, or only the first version has.
        changed: rows with the same key and other values; 0 without a key, where such a row is removed and added.
        cells: number of changed rows by column, of columns in which any changed.
    """

    key: tuple[str, ...]
    before: int
    after: int
    unchanged: int
    added: int
    removed: int
    changed: int = 0
    cells: dict[str, int] = field(default_factory=dict)


class DataDifference(Record, frozen=True, kw_only=True):
    """What differs between two versions of data.

    Args:
        before, after: digest of a version, or name of a file.
        columns: columns that differ.
        rows: how the rows differ.
        drift: distribution shift of each column that both versions have with the same type, drifted ones first.
    """

    before: str
    after: str
    columns: tuple[ColumnChange, ...]
    rows: RowChanges
    drift: tuple[ColumnDrift, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both versions have the same columns and rows."""
        return not self.columns and not self.rows.added and not self.rows.removed and not self.rows.changed


class TypedVersion(NamedTuple):
    """The rows of a version with types as the stage `validate` infers them, and their schema."""

    name: str
    table: pd.DataFrame
    schema: Schema


def type_version(
    name: str, raw: pd.DataFrame, provenance: Mapping[str, Any], declarations: Declarations
) -> TypedVersion:
    """Return a version with types.

    Args:
        name: how it is called.
        raw: its rows as they were read.
        provenance: how they were read.
        declarations: what is declared about columns; columns that the version lacks are left out.
    """
    declared = {column: one for column, one in declarations.columns.items() if column in raw.columns}
    table, schema, _ = clean(raw, None, stated_spelling(provenance), declarations=declared)
    return TypedVersion(name, table, schema)


def compare_versions(before: TypedVersion, after: TypedVersion, key: Sequence[str] = ()) -> DataDifference:
    """Return what differs between two versions.

    Args:
        before: The first version.
        after: The second version.
        key: Columns that identify a row; empty: the first identifier that is unique in both, or none.

    Raises:
        UsageError: A version lacks a column of the key, or several of its rows have the same one.
    """
    shared = [name for name in before.schema.names if name in after.schema.names]
    drift: list[ColumnDrift] = []
    kinds = {
        name: before.schema.column(name).kind for name in shared if _is_compared(before.schema, after.schema, name)
    }
    if kinds and len(before.table) and len(after.table):
        first, second = (_arrays(one, kinds) for one in (before, after))
        drift = compare_columns(first, second, kinds)
    return DataDifference(
        before=before.name,
        after=after.name,
        columns=_compare_schemas(before.schema, after.schema),
        rows=_compare_rows(before, after, shared, key),
        drift=tuple(drift),
    )


def _arrays(version: TypedVersion, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return columns of a version as arrays by name."""
    return {name: column_array(version.table, version.schema.column(name)) for name in names}


def _is_compared(before: Schema, after: Schema, name: str) -> bool:
    """Return whether the distribution of a column is compared."""
    first, second = before.column(name), after.column(name)
    return first.kind == second.kind and first.role in COMPARED and second.role in COMPARED


def _compare_schemas(before: Schema, after: Schema) -> tuple[ColumnChange, ...]:
    """Return the columns that differ, in the order of the first version, then those that it lacks."""
    first = {column.name: _describe(column) for column in before.columns}
    second = {column.name: _describe(column) for column in after.columns}
    return tuple(
        ColumnChange(column=name, before=first.get(name, ""), after=second.get(name, ""))
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name)
    )


def _describe(column: Column) -> str:
    return "whole number" if column.kind == "number" and column.integer else column.kind


def _compare_rows(
    before: TypedVersion, after: TypedVersion, shared: Sequence[str], stated: Sequence[str]
) -> RowChanges:
    """Return how the rows differ, by key or by content."""
    size, new_size = len(before.table), len(after.table)
    key = _check_key(before, after, stated) if stated else _find_key(before, after, shared)
    if not key:
        first, second = (row_hashes(one.table[list(shared)]) for one in (before, after))
        assert first is not None and second is not None
        same = count_shared(first, second) if shared else 0
        return RowChanges(
            key=(), before=size, after=new_size, unchanged=same, added=new_size - same, removed=size - same
        )
    old, new = (hash_rows(one.table[list(key)]) for one in (before, after))
    _, rows, others = np.intersect1d(old, new, assume_unique=True, return_indices=True)
    differs = np.zeros(len(rows), dtype=bool)
    cells: dict[str, int] = {}
    for name in (name for name in shared if name not in key):
        moved = _hash_column(before, name)[rows] != _hash_column(after, name)[others]
        differs |= moved
        cells |= {name: int(moved.sum())} if moved.any() else {}
    changed = int(differs.sum())
    return RowChanges(
        key=tuple(key),
        before=size,
        after=new_size,
        unchanged=len(rows) - changed,
        added=new_size - len(rows),
        removed=size - len(rows),
        changed=changed,
        cells=dict(sorted(cells.items(), key=lambda item: -item[1])),
    )


def _hash_column(version: TypedVersion, name: str) -> "Hashes":
    return hash_rows(version.table[[name]])


def _check_key(before: TypedVersion, after: TypedVersion, key: Sequence[str]) -> Sequence[str]:
    """Return the key that was stated. Raises `UsageError` where it identifies no rows."""
    for version in (before, after):
        for name in key:
            if name not in version.schema.names:
                hint = nearest(name, version.schema.names)
                raise UsageError(f"--key {name}: version {version.name} has no such column{hint}.")
        if repeated := int(version.table.duplicated(list(key)).sum()):
            raise UsageError(
                f"--key {','.join(key)}: {repeated:,} rows of version {version.name} have the key of an earlier row; "
                "expected columns that identify a row. Leave out --key to compare rows by content."
            )
    return key


def _find_key(before: TypedVersion, after: TypedVersion, shared: Sequence[str]) -> Sequence[str]:
    """Return the first identifier of both versions that is unique and complete in them; none without one."""
    for name in shared:
        if all(
            one.schema.column(name).role == "identifier" and one.table[name].is_unique and one.table[name].notna().all()
            for one in (before, after)
        ):
            return (name,)
    return ()
