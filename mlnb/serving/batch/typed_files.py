"""Files of typed columns: Parquet, Arrow and ORC by groups of rows, all others at once as `ingest` reads them."""

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from mlnb.errors import UsageError
from mlnb.methods.tables.arrow_tables import find_vectors, split_vectors
from mlnb.methods.tables.data_sources import read_table
from mlnb.serving.batch.input_files import InputFile


def count_groups(file: InputFile) -> list[int | None]:
    """Return the rows of each row group (Parquet), record batch (Arrow) or stripe (ORC, where the number is unknown).

    Raises:
        UsageError: the file is damaged.
    """
    try:
        if file.kind == "parquet":
            metadata = _read_footer(file)
            return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        with file.open() as opened:
            if file.kind == "arrow":
                reader = pa.ipc.open_file(opened)
                return [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
            return [None] * _orc(opened).nstripes
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{file.shown} cannot be read as {file.kind}: {error}.") from None


def column_names(file: InputFile) -> list[str]:
    """Return the names of a file's columns, also of those that cannot be read."""
    if file.kind == "whole":
        return _read_whole(file)[1]
    return list(_read_schema(file).names)


def read_group(
    file: InputFile, group: int, bounds: tuple[int, int], names: Sequence[str], coded: Sequence[str], rows: int
) -> Iterator[pa.Table]:
    """Yield the rows of a group, at most `rows` at a time.

    Args:
        file: of typed columns.
        group: the row group, record batch or stripe.
        bounds: first row in the group, and the one after the last; (0, 0): all rows.
        names: of the model's columns and those that are kept; others are left out.
        coded: columns whose texts are read as distinct values and codes, as the encoder needs them.
        rows: of a table.

    Raises:
        UsageError: the lists of a vector column have different lengths.
    """
    if file.kind == "whole":
        table = _read_whole(file)[0]
        selected = table.select([name for name in table.column_names if name in names])
        yield from (selected.slice(at, rows) for at in range(0, len(selected), rows))
        return
    present = column_names(file)
    sizes = find_vectors(names, present)
    _refuse_nested(file, names, sizes)
    used = [name for name in present if name in names or name in sizes]
    first, stop = bounds
    at = 0
    with file.open() as opened:
        for table in _groups(file, opened, group, used, [name for name in used if name in coded], rows):
            low, high = max(first - at, 0), min(stop - at, len(table)) if stop else len(table)
            at += len(table)
            if high > low:
                try:
                    yield split_vectors(table.slice(low, high - low), sizes)
                except ValueError as error:
                    raise UsageError(f"{file.shown}: {error}.") from None
            if stop and at >= stop:
                return


def _refuse_nested(file: InputFile, names: Sequence[str], sizes: Collection[str]) -> None:
    """Raise `UsageError` for a column in use that holds structs, maps or lists, other than a vector column."""
    for column in _read_schema(file):
        if column.name in names and column.name not in sizes and pa.types.is_nested(column.type):
            raise UsageError(
                f"{file.shown}, column {column.name!r}: found values of the type {column.type}, expected "
                "single values; write them as columns of numbers or text."
            )


def _groups(
    file: InputFile, opened: object, group: int, names: list[str], coded: list[str], rows: int
) -> Iterator[pa.Table]:
    """Yield the tables of a group."""
    if file.kind == "parquet":
        parquet = pq.ParquetFile(opened, metadata=_read_footer(file), read_dictionary=coded)
        for batch in parquet.iter_batches(rows, row_groups=[group], columns=names, use_threads=False):
            yield pa.Table.from_batches([batch])
        return
    batch = _orc(opened).read_stripe(group, names) if file.kind == "orc" else pa.ipc.open_file(opened).get_batch(group)
    table = pa.Table.from_batches([batch]).select(names)
    yield from (table.slice(at, rows) for at in range(0, len(table), rows))


@lru_cache(maxsize=1)
def _read_footer(file: InputFile) -> pq.FileMetaData:
    """Return a Parquet file's metadata, read once for all row groups."""
    with file.open() as opened:
        return pq.ParquetFile(opened).metadata


@lru_cache(maxsize=1)
def _read_schema(file: InputFile) -> pa.Schema:
    """Return the names and types of the columns of a Parquet, Arrow or ORC file."""
    if file.kind == "parquet":
        return _read_footer(file).schema.to_arrow_schema()
    with file.open() as opened:
        return _orc(opened).schema if file.kind == "orc" else pa.ipc.open_file(opened).schema


@lru_cache(maxsize=1)
def _read_whole(file: InputFile) -> tuple[pa.Table, list[str]]:
    """Return the rows of a file that is read at once, and the names of all its columns."""
    try:
        frame, provenance = read_table(
            file.source, sheet=file.sheet, name=file.url, expected=file.expected, base64_columns=file.expected
        )
        needed = set(file.expected) & set(map(str, frame.columns))
        for sheet in [] if file.sheet else provenance.get("other_sheets", []):
            other, _ = read_table(
                file.source, sheet=sheet, name=file.url, expected=file.expected, base64_columns=file.expected
            )
            if needed and needed <= set(map(str, other.columns)):
                chosen = provenance["sheet"]
                raise UsageError(
                    f"{file.shown}: the sheets {chosen!r} and {sheet!r} have the model's columns; state one: --sheet"
                )
    except (ValueError, OSError) as error:
        raise error if isinstance(error, UsageError) else UsageError(f"{error}.") from None
    arrays = {str(name): pa.array(frame[name], from_pandas=True) for name in frame.columns}
    return pa.table(arrays), [*arrays, *provenance.get("unusable", {})]


def _orc(opened: object) -> "pa.orc.ORCFile":
    """Return the reader of an ORC file."""
    from pyarrow import orc  # not part of every build of pyarrow

    return orc.ORCFile(opened)
