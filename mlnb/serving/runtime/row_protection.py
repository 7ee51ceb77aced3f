"""Personal data in requests: dropped, masked or pseudonymized before anything else sees a row, as in training."""

from typing import Any

import numpy as np

from mlnb.errors import SettingsError
from mlnb.methods.contracts.responses import RowProblem
from mlnb.methods.tables.columns import Schema
from mlnb.methods.tables.pseudonyms import Protection
from mlnb.serving.runtime.model_parts import Row
from mlnb.serving.runtime.request_bodies import SHOWN, BadRows
from mlnb.serving.runtime.table_bodies import TableSlice
from mlnb.settings import ProcessSettings


class RowProtection:
    """Removes personal data from the rows of requests; a request that needs a key which the service lacks is refused.

    Args:
        schema: of the model, with what was declared about its columns.
    """

    def __init__(self, schema: Schema) -> None:
        self._protection = Protection.of(schema, ProcessSettings().personal_key)

    def __bool__(self) -> bool:
        """Return whether requests may hold personal data."""
        return bool(self._protection)

    def rows(self, rows: list[Row]) -> list[Row]:
        """Return rows without personal data; the rows themselves where there is none. Raises `BadRows`."""
        if not self._protection:
            return rows
        problems: list[RowProblem] = []
        protected: list[Row] = []
        for number, row in enumerate(rows):
            try:
                protected.append(self._protection.row(row))
            except SettingsError as error:
                problems.append(self._problem(number, row, error))
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
            except SettingsError as error:
                raise BadRows([self._problem(0, {name: ""}, error)]) from None
        return TableSlice(table.rows, numbers, coded)

    def _problem(self, number: int, row: Row, error: SettingsError) -> RowProblem:
        """Return the problem of a row, without its values."""
        hashed = [name for name in row if name in self._protection.columns]
        column = next((name for name in hashed if self._protection.columns[name].personal == "pseudonymize"), None)
        return RowProblem(row=number, column=column, found="personal data", expected=f"a pseudonym: {error}")


def _distinct(numbers: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the different numbers, None last, and the position of each row's number among them."""
    different, codes = np.unique(numbers, return_inverse=True)
    values: list[Any] = [None if value != value else value for value in different.tolist()]
    return [*values, None], codes.astype(np.int32)
