"""Hashes of a table's rows, by which rows are recognized in other tables, whatever the order of rows and columns."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Hashes = np.ndarray[Any, np.dtype[np.uint64]]

EXACT = 2**53  # integers up to this size are exact as floats
MISSING = 0x9E3779B97F4A7C15  # hash of a missing value of any type
FACTORS = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)  # of the finalizer of MurmurHash3


def row_hashes(value: Any) -> "Hashes | None":
    """Return a 64-bit hash of each row of a table or array, sorted; None for a value without rows.

    Equal rows have equal hashes when the columns have another order or type, such as integers as floats. A row that
    occurs k times has k different hashes, so that the rows that two tables share are the hashes that they share.

    Args:
        value: A data frame (n, m), an array (n,) or (n, m), or any other object.

    Returns:
        Distinct numbers (n,), uint64, in ascending order.
    """
    import numpy as np
    import pandas as pd

    if isinstance(value, np.ndarray) and value.ndim in (1, 2):
        value = pd.DataFrame(value)
    if not isinstance(value, pd.DataFrame):
        return None
    total = np.sort(hash_rows(value))
    starts = np.flatnonzero(np.r_[True, total[1:] != total[:-1]]) if len(total) else np.zeros(0, dtype=np.intp)
    runs = np.diff(np.r_[starts, len(total)])
    occurrence = np.arange(len(total)) - np.repeat(starts, runs)  # 0 for the first of equal rows, then 1, 2, ...
    return np.sort(np.where(occurrence == 0, total, _mix(total + occurrence.astype(np.uint64))))


def hash_rows(table: Any) -> "Hashes":
    """Return a 64-bit hash of each row in the order of the rows; equal rows have equal hashes, as in `row_hashes`.

    Args:
        table: A data frame (n, m).

    Returns:
        Numbers (n,), uint64.
    """
    import numpy as np

    total = np.zeros(len(table), dtype=np.uint64)
    for position, name in enumerate(table.columns):
        name_hash = _hash_texts(np.array([str(name)], dtype=object))[0]
        total += _mix(_hash_column(table.iloc[:, position]) ^ name_hash)
    return _mix(total)


def count_shared(first: "Hashes", second: "Hashes") -> int:
    """Return the number of rows that two tables share, from the hashes of `row_hashes`."""
    import numpy as np

    return len(np.intersect1d(first, second, assume_unique=True))


def _hash_column(column: Any) -> "Hashes":
    """Return a hash of each value of a column."""
    import numpy as np
    import pandas as pd

    kinds = pd.api.types
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype if not column.hasnans else object).infer_objects()
    elif column.dtype == object:
        column = column.infer_objects()
    missing = column.isna().to_numpy()
    if kinds.is_datetime64_any_dtype(column.dtype):
        moments = pd.DatetimeIndex(column)
        moments = moments.tz_convert("UTC").tz_localize(None) if moments.tz is not None else moments
        hashes = _hash_bits(moments.as_unit("ns").asi8)
    elif kinds.is_integer_dtype(column.dtype) and not missing.any():
        numbers = column.to_numpy()
        if not numbers.size or max(abs(int(numbers.min())), abs(int(numbers.max()))) > EXACT:
            hashes = _hash_bits(numbers.astype(np.uint64))
        else:
            hashes = _hash_bits(numbers.astype(np.float64))
    elif kinds.is_numeric_dtype(column.dtype) and not kinds.is_complex_dtype(column.dtype):
        hashes = _hash_bits(column.to_numpy(np.float64, na_value=np.nan) + 0.0)  # -0.0 becomes 0.0
    else:
        texts = column if isinstance(column.dtype, pd.StringDtype) else column.map(str)
        codes, distinct = pd.factorize(texts)
        hashes = _hash_texts(np.append(np.asarray(distinct, dtype=object), ""))[
            codes
        ]  # the code of a missing one is -1
    return np.where(missing, np.uint64(MISSING), hashes)


def _hash_bits(values: Any) -> "Hashes":
    """Return a hash of each number of eight bytes."""
    import numpy as np

    return _mix(np.ascontiguousarray(values).view(np.uint64))


def _hash_texts(texts: Any) -> "Hashes":
    """Return the hash of each text; SipHash, which pandas computes."""
    import pandas as pd

    hashes: Hashes = pd.util.hash_array(texts, categorize=False)
    return hashes


def _mix(values: "Hashes") -> "Hashes":
    """Return the 64-bit finalizer of MurmurHash3 of each number: each bit of the input changes half of the result."""
    import numpy as np

    for factor in FACTORS:
        values = (values ^ (values >> np.uint64(33))) * np.uint64(factor)
    return values ^ (values >> np.uint64(33))
