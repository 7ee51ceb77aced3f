"""Columns of a table that does not fit in memory, in memory-mapped files.

Values are stored as they are in memory, and a column has the same type and values as before.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mlnb.array_files import ArrayFiles

if TYPE_CHECKING:
    import pandas

CHUNK = 1 << 20  # texts of a chunk


class ColumnFiles(ArrayFiles):
    """A folder for columns of long tables, and for the arrays that are made of them."""

    def keeper(self, size: float) -> "Callable[[pandas.Series[Any]], pandas.Series[Any]]":
        """Return what is to be done with each column of a table of `size` bytes: `keep`, or nothing."""
        return self.keep if self.holds(size) else _leave

    def keep(self, values: "pandas.Series[Any]") -> "pandas.Series[Any]":
        """Return the same column with its values in a file; one of Python objects as it is."""
        import pandas

        stored: Any
        kind = values.dtype
        if isinstance(kind, pandas.CategoricalDtype):
            stored = pandas.Categorical.from_codes(self.keep_array(values.cat.codes.to_numpy()), dtype=kind)
        elif isinstance(kind, pandas.BooleanDtype):
            truth = self.keep_array(values.to_numpy(bool, na_value=False))
            stored = pandas.arrays.BooleanArray(truth, self.keep_array(values.isna().to_numpy()))
        elif isinstance(kind, pandas.StringDtype) and kind.storage == "pyarrow":
            stored = pandas.array(self._keep_texts(values), dtype=kind)
        elif kind.kind in "biufM" and not isinstance(kind, pandas.api.extensions.ExtensionDtype):
            stored = self.keep_array(values.to_numpy())
        else:
            return values
        return pandas.Series(stored, values.index, name=values.name, copy=False)

    def _keep_texts(self, values: "pandas.Series[Any]") -> Any:
        """Return the values of a column of text as an Arrow array whose buffers are in a file."""
        import pyarrow

        table = pyarrow.table({"values": values.array.__arrow_array__()})

        def write(file: BinaryIO) -> None:
            with pyarrow.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table, max_chunksize=CHUNK)

        return pyarrow.ipc.open_file(pyarrow.py_buffer(self.map_file(write))).read_all().column("values")


IN_MEMORY = ColumnFiles(Path(), math.inf)


def _leave(values: "pandas.Series[Any]") -> "pandas.Series[Any]":
    """Return the column as it is."""
    return values
