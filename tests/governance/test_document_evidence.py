"""Where evidence comes from: the stage and the cell that saved an artifact, and which cells have changed since."""

import json
from pathlib import Path

from mlnb.governance.document_evidence import FILES, changed_cells, read_code
from mlnb.methods.documentation.documents import TEMPLATES


def write(path: Path, *cells: str) -> Path:
    code = [{"cell_type": "code", "metadata": {}, "source": [cell]} for cell in cells]
    injected = {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "source": ["seed = 1"]}
    path.write_text(json.dumps({"cells": [injected, *code]}))
    return path


def test_changed_cells_are_found_without_comments(tmp_path: Path) -> None:
    executed = write(tmp_path / "executed.ipynb", "a = 1", "b = 2", "%matplotlib inline")
    assert [index for index, _ in read_code(executed)] == [1, 2, 3]
    current = write(tmp_path / "current.ipynb", "a = 1  # a comment", "b = 2", "%matplotlib inline")
    assert changed_cells(executed, current) == []
    assert changed_cells(executed, write(tmp_path / "current.ipynb", "a = 1", "b = 3")) == [2, 3]
    assert read_code(None) == read_code(tmp_path / "none.ipynb") == []


def test_every_document_has_a_file() -> None:
    assert FILES.keys() == TEMPLATES.keys()
