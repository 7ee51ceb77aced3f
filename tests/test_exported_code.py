"""The exported cells of a notebook, and files that are none."""

from pathlib import Path

import pytest
from custom_families import CODE, write_family

from mlnb.errors import NotebookError
from mlnb.exported_code import read_exported_code


def test_exported_cells_alone_are_read(tmp_path: Path) -> None:
    path = write_family(tmp_path)
    assert read_exported_code(path, "halves") == CODE
    assert read_exported_code(write_family(tmp_path, code=CODE.replace("#| export", "#|exporti")), "halves")
    assert read_exported_code(write_family(tmp_path, code="x = 1"), "halves") == ""


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cells": [1]}', '{"cells": [{"cell_type": "code"}]}', "\xff"])
def test_a_file_that_is_no_notebook_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.ipynb").write_text(text, "latin-1")
    with pytest.raises(NotebookError, match=r"models/a.ipynb is not a notebook that can be read"):
        read_exported_code(tmp_path / "a.ipynb", "models/a.ipynb")
