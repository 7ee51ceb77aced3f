"""The rows of a unit as Arrow tables, with the columns that are in use."""

from collections.abc import Iterator

import pyarrow as pa

from mlnb.errors import UsageError
from mlnb.methods.tables.arrow_tables import expand_names, find_vectors
from mlnb.methods.tables.delimited import check_last_row, cut_cells, last_line, repair_rows
from mlnb.methods.tables.layouts import BLANKS, columns_of
from mlnb.serving.batch.input_files import InputFile
from mlnb.serving.batch.input_units import Unit
from mlnb.serving.batch.typed_files import column_names, read_group

ROWS = 65_536  # scored at a time: enough that the cost of a call is small


def read_tables(file: InputFile, unit: Unit, keep: tuple[str, ...], features: list[str]) -> Iterator[pa.Table]:
    """Yield a unit's rows, at most `ROWS` at a time, with the columns in use.

    Args:
        file: that the unit is a part of.
        unit: consecutive rows.
        keep: columns of the input that the output repeats.
        features: columns that the model needs.

    Raises:
        UsageError: the lines have different lengths, or the lists of a vector column.
    """
    wanted = [*features, *keep]
    if unit.body is not None:
        tables = _read_csv(file, unit.body, set(wanted))
    else:
        tables = read_group(file, unit.group, unit.slice, wanted, features, ROWS)
    partition = [(name, value) for name, value in file.partition if name in wanted]
    for table in tables:
        for name, value in partition:
            table = table.drop_columns(name) if name in table.column_names else table
            table = table.append_column(name, pa.repeat(pa.scalar(value), len(table)))
        yield table


def all_names(file: InputFile, features: list[str]) -> list[str]:
    """Return the names of all columns of a file, vector columns as the columns that the model needs of them."""
    present = list(file.layout.names) if file.kind == "csv" else column_names(file)
    names = [*present, *(name for name, _ in file.partition if name not in present)]
    return names if file.kind == "csv" else expand_names(names, find_vectors(features, names))


def text_names(file: InputFile, table: pa.Table) -> list[str]:
    """Return the columns of a unit's rows whose values are all text: those of CSV and of folders' names."""
    return list(table.column_names) if file.kind == "csv" else [name for name, _ in file.partition]


def _read_csv(file: InputFile, body: bytes, wanted: set[str]) -> Iterator[pa.Table]:
    """Yield lines of CSV with every cell as text."""
    layout = file.layout
    cut = "," if layout.separator == BLANKS else layout.separator
    names = columns_of(layout)
    columns = [name for name in names if name in wanted]
    try:
        table = cut_cells(body, cut, names, False, columns, pa.string())
        if body.count(b'"') % 2:  # the last cell may have all further lines, also of a column that is not wanted
            check_last_row(cut_cells(body, cut, names, False), last_line(body), 0, None)
    except pa.ArrowInvalid:
        pad = file.trained is not None and file.trained.short_rows > 0
        try:
            repaired, _ = repair_rows(body, cut, len(names), None, pad)
            table = cut_cells(repaired, cut, names, False, columns, pa.string())
        except (ValueError, pa.ArrowInvalid) as error:
            raise UsageError(f"{file.shown} cannot be split into rows: {error}") from None
    except ValueError as error:
        raise UsageError(f"{file.shown} cannot be split into rows: {error}") from None
    for at in range(0, len(table), ROWS):
        yield table.slice(at, ROWS)
