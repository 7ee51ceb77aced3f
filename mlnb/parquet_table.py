"""A long table in a Parquet file: each column is read when it is used, which takes the memory of one, not of all."""

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mlnb.column_files import IN_MEMORY, ColumnFiles

if TYPE_CHECKING:
    import pandas
    import pyarrow

GROUP = 1 << 17  # rows of a row group: one is written while the next is read, and few are in memory
BATCH = 1 << 16  # rows of which a sample is taken at a time
CELL_BYTES, TEXT_BYTES = 8, 16  # of a cell in memory: a number or a date, and at least a short text with its offset


class ParquetTable:
    """A table of n rows by m columns.

    Attributes:
        path: The file.
        columns: Names of the columns.
        nbytes: Estimate of its size in memory as a DataFrame.
    """

    def __init__(self, path: Path) -> None:
        """Read the footer of a file.

        Args:
            path: Of a file that pandas or `write_texts` wrote.
        """
        from pyarrow import parquet  # here and below: few commands read tables

        with path.open("rb") as file:  # a path would be searched for partitions
            footer = parquet.read_metadata(file)
        self.path = path
        self.columns: list[str] = footer.schema.to_arrow_schema().names
        self._footer, self._rows = footer, int(footer.num_rows)
        self.nbytes = memory_bytes(footer)
        self._described: dict[str, Any] = json.loads((footer.metadata or {}).get(b"pandas", b"{}"))

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rows and of columns."""
        return self._rows, len(self.columns)

    @property
    def is_plain(self) -> bool:
        """Whether the index is 0 to n - 1, and the columns have different names, all of them texts."""
        index = self._described.get("index_columns", [None])
        ranged = len(index) == 1 and isinstance(index[0], dict) and (index[0]["start"], index[0]["step"]) == (0, 1)
        if not ranged or len(set(self.columns)) < len(self.columns):
            return False
        return [each["pandas_type"] for each in self._described["column_indexes"]] == ["unicode"]

    def __getitem__(self, name: str) -> "pandas.Series[Any]":
        """Return a column (n,). Raises `KeyError` for an unknown name."""
        if name not in self.columns:
            raise KeyError(name)
        with self._open() as file:
            column: pandas.Series[Any] = self._read(file, name)[name]
        return column

    def to_pandas(self, files: ColumnFiles = IN_MEMORY) -> "pandas.DataFrame":
        """Return the whole table, read column by column: neither Arrow's form of all nor a copy is ever in memory.

        Args:
            files: For the columns of a table that is larger than its limit.
        """
        import pandas

        columns, attrs = dict[str, Any](), dict[Any, Any]()
        keep = files.keeper(self.nbytes)
        with self._open() as file:
            for name in self.columns:
                part = self._read(file, name)
                columns[name], attrs = keep(part[name]), part.attrs
        table = pandas.DataFrame(columns, copy=False)
        table.attrs = attrs
        return table

    def sample(self, step: int) -> "pandas.DataFrame":
        """Return every `step`-th row, with its number as index."""
        import pandas
        import pyarrow

        picked, first = list[Any](), 0
        with self._open() as file:
            for batch in file.iter_batches(BATCH):
                picked.append(batch.take(pyarrow.array(range(-first % step, len(batch), step), pyarrow.int64())))
                first += len(batch)
            table = pyarrow.Table.from_batches(picked, file.schema_arrow).to_pandas()
        return table.set_axis(pandas.RangeIndex(0, self._rows, step))

    def head(self, rows: int = 5) -> "pandas.DataFrame":
        """Return the first rows."""
        import pyarrow

        with self._open() as file:
            batches = list(islice(file.iter_batches(max(1, rows)), 1))
            return pyarrow.Table.from_batches(batches, file.schema_arrow).slice(0, rows).to_pandas()

    def rewrite(self, path: Path, convert: Callable[["pandas.DataFrame"], "pandas.DataFrame"]) -> "ParquetTable":
        """Write the table with converted values to another file, and delete this one.

        Args:
            path: Of the file to write.
            convert: Rows -> rows of the same columns, each value converted for itself.
        """
        import pyarrow

        groups = map(convert, self._groups())
        first = next(groups)
        schema = pyarrow.Table.from_pandas(first).schema
        for position, field in enumerate(schema):
            if pyarrow.types.is_null(field.type):  # the first rows are missing, others may be text
                schema = schema.set(position, field.with_type(pyarrow.string()))
        schema = _of_length(schema, self._rows)
        tables = (pyarrow.Table.from_pandas(each, schema=schema) for each in (first, *groups))
        _write(path, schema, tables)
        self.path.unlink()
        return ParquetTable(path)

    def _read(self, file: Any, name: str) -> "pandas.DataFrame":
        """Return a column of the open file, as a table."""
        import pyarrow

        # In other threads Arrow would keep what each of them took, out of reach of `release_unused`.
        read = file.read([name], use_threads=False, use_pandas_metadata=True)
        part: pandas.DataFrame = read.to_pandas(use_threads=False)
        part.attrs = json.loads((self._footer.metadata or {}).get(b"PANDAS_ATTRS", b"{}"))
        del read
        pyarrow.default_memory_pool().release_unused()
        return part

    def _open(self) -> Any:
        """Return the open file, whose footer is not read again: that of a wide table is long."""
        from pyarrow import parquet

        return parquet.ParquetFile(self.path, metadata=self._footer)

    def _groups(self) -> Iterator["pandas.DataFrame"]:
        with self._open() as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, use_threads=False).to_pandas()


def write_texts(path: Path, names: list[str], rows: int, batches: Iterable["pyarrow.Table"]) -> ParquetTable:
    """Write a table of texts as pandas would write it in groups of GROUP rows, to the byte, with few of them in memory.

    Args:
        path: Of the file.
        names: Of the columns.
        rows: Number of all rows.
        batches: Rows in order, columns of type large_string.
    """
    import pandas
    import pyarrow

    empty = pandas.DataFrame({name: pandas.Series([], dtype="str") for name in names})
    _write(path, schema := _of_length(pyarrow.Schema.from_pandas(empty), rows), _grouped(batches, schema))
    return ParquetTable(path)


def write_frame(file: BinaryIO, frame: "pandas.DataFrame") -> None:
    """Write a table as pandas would write it in groups of GROUP rows, to the byte, with few of them in Arrow's form.

    Args:
        file: To write to.
        frame: n rows with the index 0 to n - 1, as `is_plain_frame` accepts them.
    """
    import pyarrow

    schema = pyarrow.Schema.from_pandas(frame)
    starts = range(0, len(frame), GROUP)
    parts = (frame.iloc[start : start + GROUP] for start in starts)
    _write(file, schema, (pyarrow.Table.from_pandas(part, schema=schema) for part in parts))


def is_plain_frame(frame: "pandas.DataFrame") -> bool:
    """Return whether the index is 0 to n - 1 and the columns have different names, all of them texts; no attributes."""
    import pandas

    index, names = frame.index, frame.columns
    if not (isinstance(index, pandas.RangeIndex) and index.equals(pandas.RangeIndex(len(frame))) and not frame.attrs):
        return False
    return (
        index.name is None and names.name is None and names.is_unique and all(isinstance(name, str) for name in names)
    )


def memory_bytes(metadata: Any) -> int:
    """Return an estimate of the bytes of a table in memory from the footer of its file."""
    size = 0
    for column in range(metadata.num_columns):
        least = TEXT_BYTES if metadata.schema.column(column).physical_type == "BYTE_ARRAY" else CELL_BYTES
        stored = sum(
            metadata.row_group(g).column(column).total_uncompressed_size for g in range(metadata.num_row_groups)
        )
        size += max(int(stored), least * metadata.num_rows)
    return size


def _grouped(batches: Iterable["pyarrow.Table"], schema: "pyarrow.Schema") -> Iterator["pyarrow.Table"]:
    """Yield the rows in tables of GROUP rows, the last one shorter."""
    import pyarrow

    held, rows = list[Any](), 0
    for batch in batches:
        held.append(batch.replace_schema_metadata(schema.metadata))
        rows += len(batch)
        while rows >= GROUP:
            table = pyarrow.concat_tables(held)
            yield table.slice(0, GROUP)
            held, rows = [table.slice(GROUP)], rows - GROUP
    if rows:
        yield pyarrow.concat_tables(held)


def _of_length(schema: "pyarrow.Schema", rows: int) -> "pyarrow.Schema":
    """Return the schema of a table whose index is 0 to `rows` - 1."""
    described = json.loads(schema.metadata[b"pandas"])
    described["index_columns"][0]["stop"] = rows
    return schema.with_metadata({b"pandas": json.dumps(described).encode()})


def _write(path: Path | BinaryIO, schema: "pyarrow.Schema", groups: Iterable["pyarrow.Table"]) -> None:
    """Write tables of at most GROUP rows, each as a row group, while the next one is read."""
    import pyarrow
    from pyarrow import parquet

    written: Future[None] | None = None
    with parquet.ParquetWriter(path, schema, compression="zstd") as file, ThreadPoolExecutor(1) as writer:
        for group in groups:
            if written is not None:
                written.result()
                pyarrow.default_memory_pool().release_unused()
            written = writer.submit(file.write_table, group, row_group_size=GROUP)
        if written is not None:
            written.result()
    pyarrow.default_memory_pool().release_unused()
