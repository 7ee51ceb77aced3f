"""What scikit-learn's users pass as X, as a frame that training and prediction read alike."""

from typing import Any

import pandas as pd
from sklearn.utils.validation import validate_data

from mlnb.api.table_slices import slice_frame, to_frame
from mlnb.errors import UsageError
from mlnb.methods.tables.columns import Schema
from mlnb.methods.tables.formatted_columns import read_as_trained
from mlnb.methods.tables.one_type import one_type
from mlnb.serving.runtime.table_bodies import read_columns

AS_TEXT = (pd.PeriodDtype, pd.IntervalDtype)  # types of pandas whose values are read as the text that it prints


def to_columns(estimator: Any, X: Any, reset: bool) -> pd.DataFrame:
    """Return X as a frame whose columns have text names and one type each.

    Args:
        estimator: gets the attributes of scikit-learn for the columns, or has them from its fit.
        X: a data frame of pandas or polars, an Arrow table, or an array (n, d).
        reset: whether this is a fit; otherwise columns of other names have those of the fit, by their positions.

    Raises:
        UsageError: X has no rows or columns, or a column of values that no model reads.
        ValueError: scikit-learn refuses X, as for another number of columns.
    """
    frame = to_frame(X)
    if frame is None:
        array = validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite="allow-nan")
        frame = pd.DataFrame(array, columns=[f"x{index}" for index in range(array.shape[1])])
    else:
        validate_data(estimator, frame, reset=reset, skip_check_array=True)
    if not frame.shape[0] or not frame.shape[1]:
        raise UsageError(f"Found a frame of shape {frame.shape}; expected at least one row and one column.")
    names = [str(name) for name in frame.columns]
    if not reset and {*names} != {*estimator.columns_}:
        names = list(estimator.columns_)
    return pd.DataFrame({name: _plain(frame.iloc[:, index], name) for index, name in enumerate(names)})


def read_frame(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the features, with the text of numbers and dates read in the formats of the training rows.

    Args:
        frame: from `to_columns`.
        schema: of the training rows.

    Raises:
        UsageError: a cell does not fit the format of its column.
    """
    try:
        return read_as_trained(frame[[column.name for column in schema.features]], schema)
    except ValueError as error:
        remedy = "correct the cell, or convert the column to values of one kind"
        raise UsageError(f"{str(error).replace('the training format', 'what most cells hold')}; {remedy}") from None


def check_training_rows(frame: pd.DataFrame, schema: Schema) -> None:
    """Raise `UsageError` for rows that could be learned from, but not predicted.

    Args:
        frame: from `to_columns`.
        schema: learned from it.
    """
    request = Schema(schema.features)
    for table in slice_frame(read_frame(frame, schema), request, whole=False):
        read_columns(table, request)


def _plain(values: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    """Return a column in a type that files have, too. Raises `UsageError` where there is none."""
    dtype = values.dtype.categories.dtype if isinstance(values.dtype, pd.CategoricalDtype) else values.dtype
    if isinstance(dtype, AS_TEXT):
        values = values.astype(object).map(str, na_action="ignore")
    elif dtype.kind in "cV":
        raise UsageError(
            f"Column {name!r}: found the type {dtype}; expected numbers, text, dates or booleans: convert the column."
        )
    return one_type(values.reset_index(drop=True)).rename(name)
