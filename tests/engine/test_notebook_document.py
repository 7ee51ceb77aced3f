"""Notebook files as typed cells: reading, writing in nbdev's layout, ids, and marks of conflicts."""

import json
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.engine.notebook_document import (
    Document,
    DocumentCell,
    conflict_places,
    read_document,
    refuse_conflicts,
    validate_document,
    with_unique_ids,
    write_document,
)
from mlnb.errors import NotebookError

cells = st.builds(
    DocumentCell,
    kind=st.sampled_from(["code", "markdown", "raw"]),
    source=st.text(max_size=20),
    id=st.sampled_from(["", "a", "b", "not valid", "x" * 65]),
)


@given(st.lists(cells, max_size=5).map(lambda items: Document(tuple(items))))
def test_a_written_notebook_is_valid_and_reads_back(document: Document) -> None:
    data = write_document(document)
    nbformat.validate(json.loads(data))
    again = read_document(data, "a.ipynb")
    assert [(cell.kind, cell.source) for cell in again.cells] == [(c.kind, c.source) for c in document.cells]
    assert write_document(again) == data


@given(st.lists(cells, max_size=6))
def test_ids_are_unique_and_valid_ones_stay(items: list[DocumentCell]) -> None:
    ids = [cell.id for cell in with_unique_ids(items)]
    assert len(set(ids)) == len(ids) and all(0 < len(id) <= 64 for id in ids)
    assert [cell.id for cell in with_unique_ids(with_unique_ids(items))] == ids
    first = next((index for index, cell in enumerate(items) if cell.id == "a"), None)
    assert first is None or ids[first] == "a"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b'{"cells": 1}', b'{"cells": [], "nbformat": 3}', b'{"cells": [1]}',
        b'{"cells": [{"cell_type": "heading"}]}', b"\xff",
    ],
)  # fmt: skip
def test_a_file_that_is_no_notebook_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(NotebookError, match=r"^a\.ipynb"):
        read_document(data, "a.ipynb")


def test_an_invalid_notebook_is_refused() -> None:
    value: dict[str, Any] = json.loads(write_document(Document((DocumentCell("code", "1", "a"),))))
    validate_document(json.dumps(value).encode(), "a.ipynb")
    del value["cells"][0]["outputs"]
    with pytest.raises(NotebookError, match=r"a\.ipynb would not be a valid notebook"):
        validate_document(json.dumps(value).encode(), "a.ipynb")


def test_conflicts_are_located_by_the_heading_above() -> None:
    note = DocumentCell("markdown", "**Conflict: yours / new version**")
    document = Document((DocumentCell("markdown", "# Title\n## Fit"), note, DocumentCell("code", "1")))
    assert list(conflict_places(document)) == ["cell 1 (Fit)"]
    with pytest.raises(NotebookError, match=r"a\.ipynb: cell 1 \(Fit\) is an unresolved conflict .* one of 1"):
        refuse_conflicts(document, "a.ipynb")
    refuse_conflicts(Document(document.cells[:1]), "a.ipynb")
