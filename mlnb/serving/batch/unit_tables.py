"""The rows of a unit as Arrow tables, with the columns that are in use."""

from collections.abc import Iterator
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from mlnb.errors import UsageError
from mlnb.methods.tables.arrow_tables import expand_names, find_vectors, split_vectors
from mlnb.methods.tables.delimited import cut_cells, repair_rows
from mlnb.methods.tables.layouts import BLANKS, columns_of
from mlnb.serving.batch.input_units import InputFile, Unit

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
    wanted = {*keep, *features}
    if unit.body is not None:
        yield from _read_csv(file, unit.body, wanted)
        return
    metadata, present = _read_footer(file)
    sizes = find_vectors(features, present)
    names = [name for name in present if name in wanted or name in sizes]
    with file.open() as opened:
        # Texts are read as distinct values and codes, as the encoder needs them.
        parquet = pq.ParquetFile(opened, metadata=metadata, read_dictionary=[n for n in names if n in features])
        first, stop = unit.slice
        at = 0
        for batch in parquet.iter_batches(ROWS, row_groups=[unit.group], columns=names, use_threads=False):
            low, high = max(first - at, 0), min(stop - at, len(batch))
            at += len(batch)
            if high > low:
                table = pa.Table.from_batches([batch.slice(low, high - low)])
                try:
                    yield split_vectors(table, sizes)
                except ValueError as error:
                    raise UsageError(f"{file.url}: {error}.") from None
            if at >= stop:
                return


def all_names(file: InputFile, features: list[str]) -> list[str]:
    """Return the names of all columns of a file, vector columns as the columns that the model needs of them."""
    if file.kind == "csv":
        return list(file.layout.names)
    present = _read_footer(file)[1]
    return expand_names(present, find_vectors(features, present))


@lru_cache(maxsize=1)
def _read_footer(file: InputFile) -> tuple[pq.FileMetaData, list[str]]:
    """Return a Parquet file's metadata and the names of its columns, read once for all row groups."""
    with file.open() as opened:
        whole = pq.ParquetFile(opened)
        return whole.metadata, list(whole.schema_arrow.names)


def _read_csv(file: InputFile, body: bytes, wanted: set[str]) -> Iterator[pa.Table]:
    """Yield lines of CSV with every cell as text."""
    layout = file.layout
    cut = "," if layout.separator == BLANKS else layout.separator
    names = columns_of(layout)
    columns = [name for name in names if name in wanted]
    try:
        table = cut_cells(body, cut, names, False, columns, pa.string())
    except pa.ArrowInvalid:
        pad = file.trained is not None and file.trained.short_rows > 0
        try:
            repaired, _ = repair_rows(body, cut, len(names), None, pad)
            table = cut_cells(repaired, cut, names, False, columns, pa.string())
        except (ValueError, pa.ArrowInvalid) as error:
            raise UsageError(f"{file.url} cannot be split into rows: {error}") from None
    for at in range(0, len(table), ROWS):
        yield table.slice(at, ROWS)
