"""The cells in which the notebooks of two revisions differ."""

from collections.abc import Mapping

from msgspec import field

from mlnb.codec import Record
from mlnb.engine.notebook import FILE_NAME
from mlnb.engine.notebook_document import DocumentCell, read_document
from mlnb.errors import NotebookError
from mlnb.tracking.cell_changes import ChangedCell, changed_cells


class NotebookChanges(Record, frozen=True, kw_only=True):
    """What differs in the code of a notebook.

    Args:
        path: Its path, relative to the project; the former one where it was removed.
        change: "added", "removed", "renamed" or "changed".
        cells: Its code cells that differ.
        note: The former path, or why no cells are compared; empty otherwise.
    """

    path: str
    change: str
    cells: list[ChangedCell] = field(default_factory=list)
    note: str = ""


def changed_notebooks(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[NotebookChanges]:
    """Return the notebooks with code cells that differ, by path; a stage with another number is the same notebook.

    Args:
        before, after: Bytes of each notebook by path.
    """
    former = {_identity(path): path for path in before if path not in after}
    changes = []
    for path, data in after.items():
        old_path = path if path in before else former.pop(_identity(path), None)
        if old_path is not None and before[old_path] == data and old_path == path:
            continue
        old = before[old_path] if old_path is not None else None
        change = "added" if old is None else "changed" if old_path == path else "renamed"
        compared = _compare(path, change, old, data, f"from {old_path}" if change == "renamed" else "")
        changes += [compared] if compared.cells or compared.note or change != "changed" else []
    changes += [_compare(path, "removed", before[path], None) for path in former.values()]
    return sorted(changes, key=lambda one: one.path)


def code_differs(old: bytes, new: bytes) -> bool:
    """Return whether code cells of two notebooks differ; a file that is no notebook differs from every other."""
    compared = _compare("", "changed", old, new)
    return bool(compared.cells or compared.note)


def _compare(path: str, change: str, old: bytes | None, new: bytes | None, note: str = "") -> NotebookChanges:
    try:
        cells = changed_cells(_cells(old, path), _cells(new, path))
    except NotebookError as error:
        return NotebookChanges(path=path, change=change, note=f"{note} {error}".strip())
    return NotebookChanges(path=path, change=change, cells=cells, note=note)


def _cells(data: bytes | None, path: str) -> tuple[DocumentCell, ...]:
    return read_document(data, path).cells if data is not None else ()


def _identity(path: str) -> str:
    """Return a path without the number of its stage."""
    folder, _, name = path.rpartition("/")
    stage = FILE_NAME.fullmatch(name.removesuffix(".ipynb"))
    return f"{folder}/{stage[2]}" if stage else path
