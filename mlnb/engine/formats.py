"""File formats of artifacts: tables, arrays, JSON, text and folders; a pickle where nothing else fits."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from mlnb.codec import Record, decode, encode
from mlnb.column_files import IN_MEMORY, ColumnFiles
from mlnb.engine.run_records import OutputRecord
from mlnb.engine.store import Store
from mlnb.engine.written_objects import put_written
from mlnb.errors import ContractBroken, MlnbError, SchemaError
from mlnb.parquet_table import ParquetTable, is_plain_frame, write_frame

LONG = 100_000  # rows of a table from which it is written in groups of rows and read column by column
LARGE = 1 << 24  # bytes of an array from which it is written without a copy in memory


def save_object(store: Store, value: Any, description: str = "") -> OutputRecord:
    """Store an object; return its record.

    DataFrame or ParquetTable -> table (Parquet), ndarray -> array (.npy), str -> text, Record/dict/list/number/bool/
    None -> json, Path of a folder -> tree, Path of a file -> file, anything else -> pickle.

    Raises:
        ContractBroken: The path does not exist, the value has no JSON form, or its class is defined in the notebook,
            where no other process could load it from.
    """
    if isinstance(value, Path):
        if value.is_dir():
            size = sum(path.stat().st_size for path in value.rglob("*") if path.is_file())
            return OutputRecord(digest=store.put_tree(value), format="tree", bytes=size, description=description)
        if not value.is_file():
            raise ContractBroken(f"No file or folder {value}; expected the path of an existing one.")
        size = value.stat().st_size
        return OutputRecord(digest=store.put_file(value), format="file", bytes=size, description=description)
    if isinstance(value, ParquetTable):
        size, digest = value.path.stat().st_size, store.put_file(value.path)
        return OutputRecord(digest=digest, format="table", bytes=size, description=description)
    if (large := _writer(value)) is not None:
        kind, write = large
        digest, size = put_written(store, write)
        return OutputRecord(digest=digest, format=kind, bytes=size, description=description)
    kind, data = _encode(value)
    return OutputRecord(digest=store.put_bytes(data), format=kind, bytes=len(data), description=description)


def load_object(
    store: Store,
    kind: str,
    digest: str,
    record: type[Record] | None = None,
    where: str = "",
    unpickle: bool = False,
    files: ColumnFiles = IN_MEMORY,
) -> Any:
    """Return the object that is stored under `digest`, verified.

    Args:
        store: The artifact store.
        kind: The format, as `save_object` recorded it.
        digest: The digest of its bytes.
        record: The class of a typed record that was saved as JSON; None for any other object.
        where: What is read, for the message of a `SchemaError`.
        unpickle: Whether a pickle is loaded, which runs the code that it names: in stages alone, never to show a run.
        files: For the columns of a table that does not fit in memory.

    Raises:
        StoreCorrupted: The bytes do not match the digest.
        SchemaError: A record of another schema or version, bytes of another format, or a pickle without `unpickle`.
    """
    where = where or f"object {digest[:12]}"
    if kind == "tree":
        return store.unpack(digest)
    if record is not None:
        return decode(record, store.read(digest), where)
    if kind == "file":
        store.open(digest).close()
        return store.path(digest)
    if kind == "pickle" and unpickle:
        import pickle  # here and below: few runs need it

        return pickle.loads(store.read(digest))
    if kind not in _READERS:
        described = "a pickle, which could run any code" if kind == "pickle" else f"of format {kind!r}"
        raise SchemaError(f"{where} is {described}; expected {', '.join(_READERS)}, tree or file.")
    try:
        return _READERS[kind](store, digest, files)
    except (ValueError, OSError, RecursionError, MemoryError) as error:
        if isinstance(error, MlnbError):
            raise
        raise SchemaError(f"{where} is no {kind}, though its digest matches: {error}.") from error


def _read_table(store: Store, digest: str, files: ColumnFiles) -> Any:
    table = open_table(store, digest)
    return table.to_pandas(files) if isinstance(table, ParquetTable) else table


def open_table(store: Store, digest: str) -> Any:
    """Return a stored table: a long one as a `ParquetTable`, from which columns are read, others as a DataFrame.

    Raises:
        StoreCorrupted: The bytes do not match the digest.
    """
    import pandas

    with store.open(digest) as file:
        table = ParquetTable(store.path(digest))
        if len(table) >= LONG and table.is_plain:
            return table
        frame = pandas.read_parquet(file)
        _release_arrow_memory()
    return frame


def _read_array(store: Store, digest: str, files: ColumnFiles) -> Any:
    import numpy

    with store.open(digest) as file:
        return numpy.lib.format.read_array(file, allow_pickle=False)


_READERS: dict[str, Callable[[Store, str, ColumnFiles], Any]] = {
    "table": _read_table,
    "array": _read_array,
    "json": lambda store, digest, _: json.loads(store.read(digest)),
    "text": lambda store, digest, _: store.read(digest).decode(),
}


def _release_arrow_memory() -> None:
    """Return unused memory of Arrow to the system: after a long table as much as the table takes."""
    import pyarrow

    pyarrow.default_memory_pool().release_unused()


def _writer(value: Any) -> tuple[str, Callable[[BinaryIO], None]] | None:
    """Return the format of a long table or a large array, and what writes it to a file; None for any other object."""
    kind = type(value)
    if kind.__name__ == "DataFrame" and kind.__module__.startswith("pandas") and len(value) >= LONG:
        return ("table", lambda file: write_frame(file, value)) if is_plain_frame(value) else None
    if kind.__name__ == "ndarray" and value.dtype != object and value.nbytes >= LARGE:
        import numpy

        return "array", lambda file: numpy.save(file, numpy.ascontiguousarray(value), allow_pickle=False)
    return None


def _encode(value: Any) -> tuple[str, bytes | memoryview]:
    name = type(value).__name__
    library = type(value).__module__.partition(".")[0]
    if isinstance(value, Record):
        return "json", encode(value)
    if isinstance(value, str):
        return "text", value.encode()
    if library == "pandas" and name == "DataFrame":
        buffer = io.BytesIO()
        value.to_parquet(buffer, engine="pyarrow", compression="zstd")
        _release_arrow_memory()
        return "table", buffer.getbuffer()
    if library == "numpy" and name == "ndarray" and value.dtype != object:
        import numpy

        buffer = io.BytesIO()
        numpy.save(buffer, numpy.ascontiguousarray(value), allow_pickle=False)
        return "array", buffer.getvalue()
    if isinstance(value, dict | list | tuple | int | float | bool) or value is None or library == "numpy":
        text = json.dumps(as_json(value), sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
        return "json", text.encode()
    return "pickle", _pickle(value)


def as_json(value: Any) -> Any:
    """Return `value` as a JSON value: keys become text, arrays lists, NaN and infinities null.

    Raises:
        ContractBroken: The value has no JSON form.
    """
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist") and type(value).__module__.partition(".")[0] == "numpy":
        return as_json(value.tolist())
    raise ContractBroken(f"{type(value).__name__} cannot be saved as JSON; convert it, or save a table or an array.")


def _pickle(value: Any) -> bytes:
    import pickle
    import pickletools

    data = pickle.dumps(value, protocol=5)
    for operation, argument, _ in pickletools.genops(data):
        if operation.name in ("GLOBAL", "SHORT_BINUNICODE", "BINUNICODE") and str(argument).startswith("__main__"):
            raise ContractBroken(
                f"The class of this {type(value).__name__} is defined in the notebook: no other process can load it. "
                "Move the class to an exported cell and import it from the module, or save a table, an array or JSON."
            )
    return pickle.dumps(pickle.loads(data), protocol=5)
