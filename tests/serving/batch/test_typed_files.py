"""Files of typed columns: read in groups of rows, or at once."""

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import ipc

from mlnb.errors import UsageError
from mlnb.serving.batch.input_files import find_files
from mlnb.serving.batch.typed_files import column_names, count_groups, read_group


def test_record_batches_are_read_alone_and_in_slices(tmp_path):
    table = pa.table({"x": range(10), "other": range(10)})
    with ipc.new_file(tmp_path / "x.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=6)
    (file,) = find_files([str(tmp_path / "x.arrow")])
    assert file.kind == "arrow" and count_groups(file) == [6, 4] and column_names(file) == ["x", "other"]
    parts = list(read_group(file, 1, (1, 4), ["x"], [], 2))
    assert [part.to_pydict() for part in parts] == [{"x": [7]}, {"x": [8, 9]}]


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_a_damaged_file_is_an_error(tmp_path, name):
    (tmp_path / name).write_bytes(b"PAR1 damaged" if name == "x.parquet" else b"ARROW1 damaged")
    (file,) = find_files([str(tmp_path / name)])
    with pytest.raises(UsageError, match=f"{name} cannot be read as"):
        count_groups(file)


def test_two_sheets_with_the_columns_of_the_model_need_a_name(tmp_path):
    with pd.ExcelWriter(tmp_path / "x.xlsx") as writer:
        for sheet, value in (("May", 5), ("June", 6)):
            pd.DataFrame({"x": [value, value], "y": [1, 2]}).to_excel(writer, sheet_name=sheet, index=False)
        pd.DataFrame({"note": ["x"], "by": ["me"]}).to_excel(writer, sheet_name="notes", index=False)
    (file,) = find_files([str(tmp_path / "x.xlsx")], None, ("x", "y"))
    with pytest.raises(UsageError, match="the sheets 'May' and 'June' have the model's columns; state one: --sheet"):
        column_names(file)
    (file,) = find_files([str(tmp_path / "x.xlsx")], None, ("x", "y"), "June")
    assert next(read_group(file, 0, (0, 0), ["x"], [], 9)).to_pydict() == {"x": [6, 6]}
