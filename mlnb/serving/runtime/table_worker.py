"""Decodes and encodes Arrow and Parquet bodies in a separate process: `python -P table_worker.py BYTES`.

Whatever a body holds, this process takes at most BYTES more memory than at its start, and can be killed. It imports
nothing of mlnb, and the service nothing of pyarrow. Both pipes carry frames: their length as 8 bytes, then their bytes.
A request is a frame of JSON and one with the body, answered by the names of the columns; each further frame begins with
a letter: N for the next slice of rows, W with responses to write, F for the end of the response, S to stop.
"""

import json
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.abc import MetaPathFinder
from typing import Any, BinaryIO

LENGTH = struct.Struct("<Q")
SLICE_ROWS = 4_096  # rows of a slice
SLICE_CELLS = 200_000  # values of a slice
MAX_COLUMNS = 10_000
NEXT, WRITE, FINISH, STOP = b"N", b"W", b"F", b"S"
ARROW, PARQUET = "arrow", "parquet"
OUT_OF_MEMORY = 3  # exit code


class Refused(Exception):
    """A body that is not decoded, with the HTTP status, and what was found and expected."""

    def __init__(self, status: int, found: str, expected: str, column: str | None = None) -> None:
        super().__init__(found)
        self.reply = {"status": status, "found": found, "expected": expected, "column": column}


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return the next frame; None at the end."""
    head = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def write_frame(stream: BinaryIO, frame: bytes) -> None:
    """Write a frame."""
    stream.write(LENGTH.pack(len(frame)))
    stream.write(frame)
    stream.flush()


def decode(body: bytes, options: dict[str, Any]) -> Iterator[bytes]:
    """Yield the description of a table's columns, then its rows in slices; nothing is read that is not validated.

    Args:
        body: of a request.
        options: its `kind`, the names of the `columns` whose values are read and of `numbers` among them,
            and the most `rows` and `bytes`.

    Raises:
        Refused: the table is too large, or holds values that cannot be read.
    """
    import pyarrow
    import pyarrow.parquet

    kind, max_rows, max_bytes = options["kind"], options["rows"], options["bytes"]
    wanted, numbers = frozenset(options["columns"]), frozenset(options["numbers"])
    source = pyarrow.BufferReader(body)
    if kind == PARQUET:
        file = pyarrow.parquet.ParquetFile(source, pre_buffer=False)
        schema = file.schema_arrow
        check_rows(file.metadata.num_rows, max_rows)
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        check_size(sum(group.total_byte_size for group in groups), max_bytes)
        # A text that a file holds once and every row refers to stays there once.
        coded = find_coded(groups)
        texts = [field.name for field in schema if field.name in wanted & coded and is_text(field.type)]
        file = pyarrow.parquet.ParquetFile(source, pre_buffer=False, read_dictionary=texts)
    else:
        reader = pyarrow.ipc.open_stream(source, options=pyarrow.ipc.IpcReadOptions(use_threads=False))
        schema = reader.schema
    if len(schema.names) > MAX_COLUMNS:
        raise Refused(413, f"{len(schema.names):,} columns", f"at most {MAX_COLUMNS:,} columns")
    types = {field.name: str(field.type)[:80] for field in schema if field.name in wanted and not is_flat(field.type)}
    yield json.dumps({"columns": schema.names, "unread": types}).encode()
    names = [name for name in schema.names if name in wanted and name not in types]
    slice_rows = max(1, min(SLICE_ROWS, SLICE_CELLS // max(1, len(names))))
    if kind == PARQUET:
        batches = file.iter_batches(slice_rows, columns=names, use_threads=False)
    else:
        batches = (batch.select(names) for batch in reader)
    rows = size = 0
    for batch in batches:
        rows += batch.num_rows
        check_rows(rows, max_rows)
        batch.validate(full=True)
        for start in range(0, batch.num_rows, slice_rows):
            packed = pack(batch.slice(start, slice_rows), numbers)
            size += len(packed)
            check_size(size, max_bytes)
            yield packed


def check_rows(rows: int, limit: int) -> None:
    """Raise `Refused` for more rows than `limit`."""
    if not 0 <= rows <= limit:
        raise Refused(413, f"more than {limit:,} rows", f"at most {limit:,} rows in one request")


def check_size(size: int, limit: int) -> None:
    """Raise `Refused` for more bytes than `limit`."""
    if size > limit:
        raise Refused(413, f"more than {limit:,} bytes unpacked", f"at most {limit:,} bytes")


def find_coded(groups: Iterable[Any]) -> set[str]:
    """Return the columns of a Parquet file whose values are positions in a dictionary, in all of its row groups."""
    coded: dict[str, bool] = {}
    for group in groups:
        for number in range(group.num_columns):
            column = group.column(number)
            positions = any("DICTIONARY" in encoding for encoding in column.encodings)
            others = any(encoding.startswith("DELTA") for encoding in column.encodings)
            coded[column.path_in_schema] = coded.get(column.path_in_schema, True) and positions and not others
    return {name for name, each in coded.items() if each}


def is_text(kind: Any) -> bool:
    """Return whether an Arrow type is that of texts."""
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def is_flat(kind: Any) -> bool:
    """Return whether values of an Arrow type are single values that a column of a model may hold."""
    from pyarrow import types

    tests = (types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_date)
    if types.is_dictionary(kind):
        return not types.is_dictionary(kind.value_type) and is_flat(kind.value_type)
    return any(test(kind) for test in (*tests, types.is_timestamp, is_text))


def pack(batch: Any, numbers: frozenset[str]) -> bytes:
    """Return a record batch as a line of JSON that describes it, and the bytes of its columns.

    A column of `numbers` is float64, NaN for null. Any other is int32: the positions of its values among the different
    ones, which the line lists; null is the position after them.
    """
    from pyarrow import types

    described, buffers = [], [b""]
    for name, column in zip(batch.schema.names, batch, strict=True):
        kind = column.type
        if name in numbers and (types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind)):
            array = column.cast("float64", safe=False).to_numpy(zero_copy_only=False)
            described.append({"name": name})
        else:
            array, values = encode(column, name)
            described.append({"name": name, "values": values})
        buffers.append(array.tobytes())
    return json.dumps({"rows": batch.num_rows, "columns": described}).encode() + b"\n" + b"".join(buffers)


def encode(column: Any, name: str) -> tuple[Any, list[Any]]:
    """Return the positions of a column's values, int32 (n,), and its different values as JSON; instants as ISO 8601.

    Raises:
        Refused: with status 422 for instants that Python has no values for.
    """
    import pyarrow
    from pyarrow import compute, types

    kind = column.type
    try:
        if types.is_timestamp(kind):
            column = column.cast(pyarrow.timestamp("us", kind.tz), safe=kind.unit != "ns")
        if types.is_dictionary(kind):  # of which this slice may use little
            codes, dictionary = column.indices, column.dictionary
        else:
            encoded = column.dictionary_encode()
            codes, dictionary = encoded.indices, encoded.dictionary
        used = codes.drop_null().unique()
        codes = compute.index_in(codes, value_set=used).fill_null(len(used))
        values = dictionary.take(used).to_pylist()
        if types.is_temporal(dictionary.type):
            values = [value if value is None else value.isoformat() for value in values]
    except (pyarrow.ArrowNotImplementedError, ArithmeticError, LookupError, TypeError, ValueError):
        expected = "dates from 1678 to 2261, in a known time zone"
        raise Refused(422, f"values of type {str(kind)[:80]} that cannot be read", expected, name) from None
    return codes.to_numpy(zero_copy_only=False).astype("int32"), values


class TableWriter:
    """Encodes responses as ARROW or PARQUET, one column a field, probabilities and intervals as structs."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.parts: list[bytes] = []
        self.position, self.closed = 0, False
        self.writer: Any = None

    def add(self, text: bytes) -> bytes:
        """Return the bytes of responses that are a JSON list."""
        import pyarrow

        values = json.loads(text)
        table = pyarrow.Table.from_pylist(values, schema=self.schema if self.writer else None)
        if self.writer is None:
            self._start(table.schema)
        self.writer.write_table(table)
        return self._take()

    def finish(self) -> bytes:
        """Return the last bytes."""
        import pyarrow

        if self.writer is None:
            self._start(pyarrow.schema([]))
        self.writer.close()
        return self._take()

    def write(self, data: Any) -> None:
        """Keep bytes: this object is the file that pyarrow writes to."""
        self.parts.append(bytes(data))
        self.position += len(self.parts[-1])

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.position

    def flush(self) -> None:
        """Do nothing."""

    def _take(self) -> bytes:
        data, self.parts = b"".join(self.parts), []
        return data

    def _start(self, schema: Any) -> None:
        import pyarrow
        import pyarrow.parquet

        self.schema, sink = schema, pyarrow.PythonFile(self, mode="w")
        if self.kind == PARQUET:
            self.writer = pyarrow.parquet.ParquetWriter(sink, schema)
        else:
            self.writer = pyarrow.ipc.new_stream(sink, schema)


def limit_memory(amount: int) -> None:
    """Limit the memory of this process to `amount` bytes more than it has; nothing where the system cannot do that."""
    with suppress(ImportError, OSError, ValueError, StopIteration):
        import resource

        with open("/proc/self/status", encoding="ascii") as status:
            data = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
        resource.setrlimit(resource.RLIMIT_DATA, (data + amount, data + amount))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class WithoutPandas(MetaPathFinder):
    """Finds no pandas, which pyarrow would import to recognize its values: it takes half a second and much memory."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Raise `ImportError` for pandas."""
        if name == "pandas":
            raise ImportError("not needed here")


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Reply to requests until there is none."""
    import pyarrow

    while (request := read_frame(requests)) is not None:
        options = json.loads(request)
        try:
            slices = decode(read_frame(requests) or b"", options)
            write_frame(replies, next(slices))
            writer = TableWriter(options["kind"])
            while (frame := read_frame(requests) or STOP) != STOP:
                if frame == NEXT:
                    write_frame(replies, next(slices, b""))
                else:
                    write_frame(replies, writer.finish() if frame == FINISH else writer.add(frame[1:]))
        except Refused as refused:
            write_frame(replies, json.dumps(refused.reply).encode())
        except MemoryError:
            os._exit(OUT_OF_MEMORY)  # memory may be in pieces: the next request gets a new process
        except (pyarrow.ArrowException, OSError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            text = "".join(letter for letter in str(error)[:200] if letter.isascii() and letter.isprintable())
            write_frame(replies, json.dumps(Refused(400, text, "").reply).encode())


if __name__ == "__main__":
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # other pools reserve more than they use
    sys.meta_path.insert(0, WithoutPandas())
    import pyarrow.parquet  # noqa: F401 -- before memory is limited

    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # only frames go to the parent
    limit_memory(int(sys.argv[1]))
    serve(sys.stdin.buffer, output)
