"""How each kind of object is written: tables, arrays, JSON, text and folders first, a pickle last."""

import io
import json
import math
import pickle
import pickletools
from pathlib import Path
from typing import Any

from mlnb.codec import Record, decode, encode
from mlnb.engine.store import Store
from mlnb.errors import ContractBroken


def save_object(store: Store, value: Any) -> tuple[str, str, int]:
    """Keep `value` in `store`; return (format, digest, bytes).

    DataFrame -> table (Parquet), ndarray -> array (.npy), str -> text, Record/dict/list/number/bool/None -> json,
    Path of a folder -> tree, Path of a file -> file, anything else -> pickle.
    Raises `ContractBroken` for objects whose class lives in the notebook, as nothing else could load them.
    """
    if isinstance(value, Path):
        if value.is_dir():
            size = sum(path.stat().st_size for path in value.rglob("*") if path.is_file())
            return "tree", store.put_tree(value), size
        if not value.is_file():
            raise ContractBroken(f"{value} was to be saved, but no such file or folder is there.")
        return "file", store.put_file(value), value.stat().st_size
    kind, data = _encode(value)
    return kind, store.put_bytes(data), len(data)


def load_object(store: Store, kind: str, digest: str, record: type[Record] | None = None, where: str = "") -> Any:
    """Return the object that is stored under `digest`, verified.

    Args:
        store: where it is.
        kind: its format, from `save_object`.
        digest: of its bytes.
        record: the class of a typed record that was saved as JSON.
        where: what is read, for the message of a `SchemaError`.

    Raises:
        StoreCorrupted: the bytes are not what their digest says.
        SchemaError: a record of another schema or version.
    """
    if kind == "tree":
        return store.unpack(digest)
    if kind == "table":
        import pandas

        with store.open(digest) as file:
            table = pandas.read_parquet(file)
        _let_go()
        return table
    data = store.read(digest)
    if kind == "file":
        return store.path(digest)
    if record is not None:
        return decode(record, data, where)
    if kind == "json":
        return json.loads(data)
    if kind == "text":
        return data.decode()
    if kind == "array":
        import numpy

        return numpy.load(io.BytesIO(data), allow_pickle=False)
    return pickle.loads(data)


def _let_go() -> None:
    """Give back to the system what Arrow has kept for later: of a long table as much again as the table takes."""
    import pyarrow

    pyarrow.default_memory_pool().release_unused()


def _encode(value: Any) -> tuple[str, bytes]:
    name = type(value).__name__
    library = type(value).__module__.partition(".")[0]
    if isinstance(value, Record):
        return "json", encode(value)
    if isinstance(value, str):
        return "text", value.encode()
    if library == "pandas" and name == "DataFrame":
        buffer = io.BytesIO()
        value.to_parquet(buffer, engine="pyarrow", compression="zstd")
        _let_go()
        return "table", buffer.getvalue()
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
    """Return `value` as JSON can hold it: keys are text, arrays are lists, NaN and infinities are null.

    Raises `ContractBroken` for anything else.
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
    data = pickle.dumps(value, protocol=5)
    for operation, argument, _ in pickletools.genops(data):
        if operation.name in ("GLOBAL", "SHORT_BINUNICODE", "BINUNICODE") and str(argument).startswith("__main__"):
            raise ContractBroken(
                f"A {type(value).__name__} defined in the notebook can be loaded nowhere else. "
                "Put its class in an exported cell and import it from the module, or save a table, an array or JSON."
            )
    return pickle.dumps(pickle.loads(data), protocol=5)
