"""Personal data in requests: dropped, masked or pseudonymized before anything else sees a row, as in training."""

import logging
from typing import Any

import numpy as np

from mlnb.errors import SettingsError
from mlnb.methods.contracts.responses import RowProblem
from mlnb.methods.tables.columns import Schema
from mlnb.methods.tables.pseudonyms import Protection
from mlnb.serving.runtime.model_parts import Row
from mlnb.serving.runtime.request_bodies import SHOWN, BadRows
from mlnb.serving.runtime.row_vectors import split_rows, vector_sizes
from mlnb.serving.runtime.structured_logs import log_event
from mlnb.serving.runtime.table_bodies import TableSlice
from mlnb.settings import ProcessSettings

NO_KEY = f"a pseudonym: the service lacks the key of training ({ProcessSettings.personal_key.variable})"


class RowProtection:
    """Removes personal data from the rows of requests; a request that needs a key which the service lacks is refused.

    Lists of vector columns become the columns that the model has of them.

    Args:
        schema: of the model, with what was declared about its columns.
    """

    def __init__(self, schema: Schema) -> None:
        self._protection = Protection.of(schema, ProcessSettings().personal_key)
        self.vectors, self._names = vector_sizes(schema), frozenset(schema.names)

    def check_key(self) -> None:
        """Log a warning when pseudonyms need a key and there is none: requests may hold pseudonyms already.

        Raises:
            SettingsError: the key is another one than that of training, or too short.
        """
        if self._protection.pseudonymized and not ProcessSettings().personal_key:
            message = "no key for pseudonyms: requests with personal data are refused"
            columns = ", ".join(self._protection.pseudonymized)
            log_event(message, logging.WARNING, columns=columns, variable=ProcessSettings.personal_key.variable)
            return
        self._protection.check()

    def __bool__(self) -> bool:
        """Return whether rows may be changed: requests may hold personal data or vectors."""
        return bool(self._protection) or bool(self.vectors)

    def rows(self, rows: list[Row]) -> list[Row]:
        """Return rows without personal data and lists; the rows themselves where there are none. Raises `BadRows`."""
        if self.vectors:
            rows = split_rows(rows, self.vectors, self._names)
        if not self._protection:
            return rows
        problems: list[RowProblem] = []
        protected: list[Row] = []
        for number, row in enumerate(rows):
            try:
                protected.append(self._protection.row(row))
            except SettingsError:
                problems.append(self._problem(number, row))
                if len(problems) == SHOWN:
                    break
        if problems:
            raise BadRows(problems)
        return protected

    def table(self, table: TableSlice) -> TableSlice:
        """Return a table without personal data; the table itself where there is none. Raises `BadRows`."""
        names = [name for name in self._protection.columns if name in table.numbers or name in table.coded]
        if not names:
            return table
        numbers = {name: values for name, values in table.numbers.items() if name not in names}
        coded = {name: values for name, values in table.coded.items() if name not in names}
        for name in names:
            values, codes = table.coded[name] if name in table.coded else _distinct(table.numbers[name])
            try:
                coded[name] = [self._protection.value(name, value) for value in values], codes
            except SettingsError:
                raise BadRows([self._problem(0, {name: ""})]) from None
        return TableSlice(table.rows, numbers, coded)

    def _problem(self, number: int, row: Row) -> RowProblem:
        """Return the problem of a row, without its values and without anything that depends on a key."""
        column = next((name for name in row if name in self._protection.pseudonymized), None)
        return RowProblem(row=number, column=column, found="personal data", expected=NO_KEY)


def _distinct(numbers: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the different numbers, None last, and the position of each row's number among them."""
    different, codes = np.unique(numbers, return_inverse=True)
    values: list[Any] = [None if value != value else value for value in different.tolist()]
    return [*values, None], codes.astype(np.int32)
