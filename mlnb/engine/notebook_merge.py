"""Three-way merge of a notebook, cell by cell: the project's edits and the new version's, conflicts marked as cells."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from mlnb.engine.cell_matching import match_cells
from mlnb.engine.notebook_document import (
    CONFLICT_TAG,
    CONFLICT_TITLE,
    Document,
    DocumentCell,
    Json,
    with_unique_ids,
)
from mlnb.engine.parameter_merge import merge_parameters
from mlnb.engine.three_way import MergedItem, Status, merge_items

BOTH = "The next cell is yours, the raw cell after it is the new version."
PARAMETERS = "The next cell is yours, merged as far as possible; the raw cell after it has the lines that conflict."
DELETED = "You have deleted this cell; the new version has changed it to the raw cell below."
REMOVED = "You have changed the next cell; the new version has removed it."
RESOLVE = (
    f"Keep what you want, then delete the cells tagged `{CONFLICT_TAG}`. Until then `mlnb run` refuses the notebook."
)


@dataclass(frozen=True)
class Content:
    """What counts when cells are compared: their kind and source, blanks at the ends left out."""

    kind: str
    source: str


@dataclass(frozen=True)
class NotebookMerge:
    """A merged notebook, and the number of its cells by what was done with them."""

    document: Document
    counts: dict[Status, int]

    @property
    def conflicts(self) -> int:
        """The number of conflicts."""
        return self.counts[Status.CONFLICT]


def merge_notebooks(base: Document, ours: Document, theirs: Document) -> NotebookMerge:
    """Return the three-way merge of a notebook. Every cell that the user has added is in the result, unchanged.

    Args:
        base: the notebook as the project got it.
        ours: the project's copy.
        theirs: the new version.
    """
    sides = _Sides(base, ours, theirs)
    contents = [{key: _content(cell) for key, cell in side.items()} for side in sides.keyed]
    items = merge_items(contents[0], contents[1], contents[2], sides.combine)
    cells = [cell for item in items for cell in sides.cells(item)]
    present = [item for item in items if item.value is not None or item.status is not Status.KEPT]
    counts = {status: sum(item.status is status for item in present) for status in Status}
    metadata = _merge_metadata(base.metadata, ours.metadata, theirs.metadata)
    return NotebookMerge(Document(with_unique_ids(cells), metadata), counts)


class _Sides:
    """The cells of the three notebooks under common keys."""

    def __init__(self, base: Document, ours: Document, theirs: Document) -> None:
        to_ours, to_theirs = (match_cells(base.cells, side.cells) for side in (ours, theirs))
        names_ours = {j: f"base {i}" for i, j in to_ours.items()}
        names_theirs = {j: f"base {i}" for i, j in to_theirs.items()}
        new_ours = [j for j in range(len(ours.cells)) if j not in names_ours]
        new_theirs = [j for j in range(len(theirs.cells)) if j not in names_theirs]
        for j in new_ours:
            names_ours[j] = f"ours {j}"
        for j in new_theirs:  # a cell that the project has taken over from the new version already
            twin = next((i for i in new_ours if _content(ours.cells[i]) == _content(theirs.cells[j])), None)
            names_theirs[j] = f"theirs {j}" if twin is None else f"ours {twin}"
            if twin is not None:
                new_ours.remove(twin)
        self.base = {f"base {i}": cell for i, cell in enumerate(base.cells)}
        self.ours = _keyed(ours.cells, names_ours)
        self.theirs = _keyed(theirs.cells, names_theirs)
        self.keyed = (self.base, self.ours, self.theirs)
        self.template_ids = {cell.id for cell in theirs.cells}
        self.parameters = {key for key, cell in self.theirs.items() if "parameters" in cell.tags}

    def combine(
        self, key: str, base: Content | None, ours: Content, theirs: Content
    ) -> tuple[Content, Content | None] | None:
        """Merge parameters cells line by line; other cells are not combined."""
        if key not in self.parameters or ours.kind != "code":
            return None
        merged = merge_parameters(base.source if base else "", ours.source, theirs.source)
        if merged is None:
            return None
        source, conflict = merged
        return Content("code", source), Content("code", conflict) if conflict else None

    def cells(self, item: MergedItem[Content]) -> Iterator[DocumentCell]:
        """Yield the cells that stand for an item: itself, between a note and the new version in a conflict."""
        cell = self._merged(item)
        if item.status is Status.CONFLICT:
            if cell is None:
                reason = DELETED
            elif item.theirs is None:
                reason = REMOVED
            else:
                reason = PARAMETERS if item.key in self.parameters else BOTH
            yield _mark("markdown", f"{CONFLICT_TITLE}\n\n{reason} {RESOLVE}")
        if cell is not None:
            yield cell
        if item.status is Status.CONFLICT and item.theirs is not None:
            yield _mark("raw", item.theirs.source)

    def _merged(self, item: MergedItem[Content]) -> DocumentCell | None:
        if item.value is None:
            return None
        base, ours, theirs = (side.get(item.key) for side in self.keyed)
        if ours is None:
            return theirs
        cell = ours
        if _content(ours) != item.value:  # its outputs are those of another source
            source = theirs.source if theirs is not None and _content(theirs) == item.value else item.value.source
            rest = theirs.rest if theirs is not None and theirs.kind == item.value.kind else {}
            cell = DocumentCell(item.value.kind, source, ours.id, ours.metadata, rest)
        if theirs is None:
            return msgspec.structs.replace(cell, id="") if cell.id in self.template_ids else cell
        metadata = _merge_metadata(base.metadata if base else {}, ours.metadata, theirs.metadata)
        return msgspec.structs.replace(cell, id=theirs.id, metadata=metadata)


def _keyed(cells: Sequence[DocumentCell], names: dict[int, str]) -> dict[str, DocumentCell]:
    return {names[index]: cell for index, cell in enumerate(cells)}


def _content(cell: DocumentCell) -> Content:
    return Content(cell.kind, cell.source.strip("\n").rstrip())


def _mark(kind: str, source: str) -> DocumentCell:
    return DocumentCell(kind, source, metadata={"tags": [CONFLICT_TAG]})


def _merge_metadata(base: Json, ours: Json, theirs: Json) -> Json:
    """Return merged metadata; ours where both sides have changed an entry. Tags are merged tag by tag."""
    merged: Json = {}
    for name in dict.fromkeys([*ours, *theirs]):
        sides = [side.get(name) for side in (base, ours, theirs)]
        if name == "tags" and all(isinstance(side, list | None) for side in sides):
            old, mine, new = (list(map(str, side)) if isinstance(side, list) else [] for side in sides)
            tags = [tag for tag in mine if tag in new or tag not in old] + [tag for tag in new if tag not in mine + old]
            value: object = tags or None
        else:
            value = sides[2] if sides[1] == sides[0] else sides[1]
        if value is not None:
            merged[name] = value
    return merged
