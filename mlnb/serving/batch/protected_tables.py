"""Personal data in files to score: dropped, masked or pseudonymized before a row is scored or written anywhere."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlnb.methods.tables.pseudonyms import Protection
from mlnb.serving.batch.arrow_columns import to_list


def protect_rows(table: pa.Table, protection: Protection) -> pa.Table:
    """Return a table without personal data; the table itself where there is none.

    Args:
        table: rows of a file.
        protection: of the model's columns.

    Raises:
        SettingsError: a pseudonym is needed, and there is no key or another one.
    """
    for name in protection.columns:
        if name in table.column_names:
            encoded = table.column(name).combine_chunks()
            if not pa.types.is_dictionary(encoded.type):
                encoded = pc.dictionary_encode(encoded)
            values: list[Any] = [protection.value(name, value) for value in to_list(encoded.dictionary)]
            array = pa.array(values, pa.string()).take(encoded.indices)
            table = table.set_column(table.column_names.index(name), name, array)
    return table
