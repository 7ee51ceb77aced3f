"""Files to score against the project's Pandera schema, read as scoring reads them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mlnb.errors import DataError
from mlnb.methods.contracts.findings import Finding
from mlnb.methods.tables.columns import Column, Schema
from mlnb.methods.tables.pseudonyms import Protection
from mlnb.serving.batch.arrow_columns import ColumnValues, read_column
from mlnb.serving.batch.input_files import InputFile, find_files
from mlnb.serving.batch.input_units import split_files
from mlnb.serving.batch.protected_tables import protect_rows
from mlnb.serving.batch.unit_tables import all_names, read_tables, text_names
from mlnb.settings import ProcessSettings

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pandera

SCHEMA_FILE = "schema.yaml"  # in a project's folder
SHOWN = 8  # violations that a message lists


def read_project_schema(path: Path) -> "pandera.DataFrameSchema | None":
    """Return the Pandera schema that a project owns; None where it has none.

    Args:
        path: the file SCHEMA_FILE of its folder.

    Raises:
        SchemaError: the file is no Pandera schema.
    """
    if not path.exists():
        return None
    from mlnb.methods.audit.project_schema import read_schema  # pandera, which takes a second to import

    return read_schema(path)


def find_violations(
    sources: Sequence[str],
    schema: Schema,
    expected: "pandera.DataFrameSchema",
    features_only: bool = False,
    sheet: str = "",
) -> list[Finding]:
    """Return the violations of the rows of files.

    Args:
        sources: files, globs, folders or URLs.
        schema: of the model, by which values are read.
        expected: the project's schema.
        features_only: whether only the values of features are checked: unknown and absent columns, and values that do
            not fit their column, are left to scoring.
        sheet: Excel: name of the sheet; empty: the one with the model's columns.

    Raises:
        UsageError: a file cannot be read.
    """
    from mlnb.methods.audit.project_schema import SchemaCheck  # pandera, which takes a second to import
    from mlnb.methods.tables.type_inference import finding

    files = find_files(list(sources), schema.layout, schema.names, sheet)
    names = [column.name for column in schema.columns]
    check = SchemaCheck(expected, [column.name for column in schema.features] if features_only else names)

    def note(column: str, rows: int | None, message: str, action: str) -> None:
        if not features_only:
            check.note(finding("schema", "error", column, rows, message, action))

    for file in [] if features_only else files:
        present = all_names(file, names)
        for unknown in [name for name in present if name not in expected.columns]:
            note(unknown, None, f"found column {unknown!r}, expected no such column", "leave it out")
        features = [column.name for column in schema.features if column.name in expected.columns]
        for absent in [name for name in features if name not in present]:
            note(absent, None, f"found no column {absent!r}, expected the column", "add it")
    protection = Protection.of(schema, ProcessSettings().personal_key)
    for file, table in _read(files, names):
        protected = protect_rows(table, protection)
        typed, wrong = _type_rows(protected, schema, text_names(file, protected))
        for name, (rows, example) in wrong.items():
            kind = schema.column(name).kind
            note(name, rows, f"found {example!r}, expected the type {kind}", "correct the data")
        check.add(typed)
    return check.findings()


def refuse_violations(findings: Sequence[Finding], file: str) -> None:
    """Raise `DataError` that lists the violations of a file; nothing without any."""
    if not findings:
        return
    lines = [f"  {describe_violation(one)}" for one in findings[:SHOWN]]
    lines += [f"  and {len(findings) - SHOWN} more"] * (len(findings) > SHOWN)
    raise DataError(
        "\n".join([f"{file} violates the project's schema:", *lines])
        + f"\nCorrect the data, edit {SCHEMA_FILE}, or ignore it: --ignore-schema"
    )


def describe_violation(finding: Finding) -> str:
    """Return a violation as a line: column, what was found, what was expected, rows."""
    rows = f" ({finding.rows:,} rows)" if finding.rows else ""
    return f"{finding.column or 'table'}: {finding.message}{rows}"


def _read(files: Sequence[InputFile], names: list[str]) -> Iterator[tuple[InputFile, pa.Table]]:
    """Yield the rows of the files in parts."""
    for unit in split_files(list(files), (0, 0), 1):
        file = files[unit.file]
        for table in read_tables(file, unit, (), names):
            yield file, table


def _type_rows(
    table: pa.Table, schema: Schema, text: Sequence[str]
) -> "tuple[pd.DataFrame, dict[str, tuple[int, object]]]":
    """Return the typed rows whose values fit; and of each column the number of those that do not, and the first."""
    import pandas as pd

    columns, wrong, fits = {}, dict[str, tuple[int, object]](), np.ones(len(table), dtype=bool)
    for column in schema.columns:
        if column.name not in table.column_names:
            continue
        array = table.column(column.name).combine_chunks()
        values = read_column(array, column, len(table), column.name in text)
        columns[column.name] = _to_pandas(values, column)
        if values.bad is not None and values.bad.any():
            wrong[column.name] = int(values.bad.sum()), array[int(np.flatnonzero(values.bad)[0])].as_py()
            fits &= ~values.bad
    return pd.DataFrame(columns)[fits], wrong


def _to_pandas(values: ColumnValues, column: Column) -> "pd.Series":
    """Return values as a column of a typed table."""
    import pandas as pd

    rows = values.values if values.codes is None else values.values[values.codes]
    if column.kind == "date":
        return pd.Series(pd.to_datetime(rows, unit="s").to_numpy("datetime64[us]"))
    if column.kind == "boolean":
        return pd.Series(pd.array([None if value != value else bool(value) for value in rows], dtype="boolean"))
    return pd.Series(rows)
