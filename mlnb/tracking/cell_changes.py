"""The cells in which the executed notebooks of two runs differ, stage by stage, as lines."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from mlnb.codec import Record
from mlnb.engine.cell_matching import match_cells
from mlnb.engine.files import warn_damaged
from mlnb.engine.notebook_document import DocumentCell, read_document
from mlnb.engine.runs import Run
from mlnb.errors import NotebookError
from mlnb.tracking.notebook_plots import HEADING, MARK

INJECTED = "injected-parameters"  # tag of the cell with the parameters of the run, which are compared as such


class ChangedLine(NamedTuple):
    """A line of a cell: its sign, "-" only in the first run, "+" only in the second, " " in both, and its text."""

    sign: str
    text: str


class ChangedCell(NamedTuple):
    """A code cell that differs: changed, added or removed, the heading above it, and its lines."""

    change: str
    heading: str
    lines: list[ChangedLine]


class StageChanges(Record, frozen=True, kw_only=True):
    """What differs in the code of a stage: cells of its notebook, and modules of the project that it imports.

    Args:
        stage: The stage.
        cells: Its cells that differ.
        modules: The modules that differ.
        missing: Ids of the runs whose executed notebook is missing or damaged, so that no cells are compared.
    """

    stage: str
    cells: list[ChangedCell]
    modules: list[str]
    missing: list[str]


def changed_code(first: Run, second: Run) -> list[StageChanges]:
    """Return the changes of each stage that both runs have, without stages whose code is the same."""
    changes = []
    for name in second.stages:
        keys = first.stages[name].key_inputs if name in first.stages else None, second.stages[name].key_inputs
        if keys[0] is None or keys[1] is None:
            continue
        imported = keys[0].modules, keys[1].modules
        modules = sorted(
            module for module in imported[0] | imported[1] if imported[0].get(module) != imported[1].get(module)
        )
        cells, missing = [], []
        if keys[0].code != keys[1].code:
            old, new = _cells(first, name), _cells(second, name)
            missing = [run.id for run, read in ((first, old), (second, new)) if not read]
            cells = [] if missing else changed_cells(old, new)
        if cells or modules or missing:
            changes.append(StageChanges(stage=name, cells=cells, modules=modules, missing=missing))
    return changes


def changed_cells(old: Sequence[DocumentCell], new: Sequence[DocumentCell]) -> list[ChangedCell]:
    """Return the code cells that differ between two notebooks, in the order of the second, removed ones last."""
    matches = {j: i for i, j in match_cells(old, new).items()}
    changes = []
    for j, cell in enumerate(new):
        if cell.kind != "code":
            continue
        before = old[matches[j]].source if j in matches else ""
        if before.strip() != cell.source.strip():
            changes.append(
                ChangedCell("changed" if j in matches else "added", _heading(new, j), _lines(before, cell.source))
            )
    for i, cell in enumerate(old):
        if cell.kind == "code" and i not in matches.values() and cell.source.strip():
            changes.append(ChangedCell("removed", _heading(old, i), _lines(cell.source, "")))
    return changes


def _cells(run: Run, stage: str) -> list[DocumentCell]:
    """Return the cells of a stage's executed notebook without the run's parameters; empty without a notebook."""
    path = run.notebook_file(stage)
    if path is None:
        return []
    try:
        document = read_document(path.read_bytes(), str(path))
    except NotebookError as error:
        warn_damaged(f"{error} Its cells are not compared.")
        return []
    return [cell for cell in document.cells if INJECTED not in cell.tags]


def _heading(cells: Sequence[DocumentCell], index: int) -> str:
    """Return the last heading above a cell; empty without one."""
    for cell in reversed(cells[:index]):
        headings = HEADING.findall(cell.source) if cell.kind == "markdown" else []
        if headings:
            return MARK.sub("", headings[-1])
    return ""


def _lines(before: str, after: str) -> list[ChangedLine]:
    """Return the lines of two sources, those of both once."""
    old, new = before.strip("\n").splitlines(), after.strip("\n").splitlines()
    lines = []
    for kind, i, i_end, j, j_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [ChangedLine(" ", text) for text in new[j:j_end]]
            continue
        lines += [ChangedLine("-", text) for text in old[i:i_end]]
        lines += [ChangedLine("+", text) for text in new[j:j_end]]
    return lines
