"""Three-way merges of notebooks: which cells are taken, how conflicts are marked, and invariants."""

import json
from collections.abc import Sequence

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlnb.engine.notebook_document import (
    CONFLICT_TITLE,
    Document,
    DocumentCell,
    conflict_places,
    read_document,
    validate_document,
    write_document,
)
from mlnb.engine.notebook_merge import NotebookMerge, merge_notebooks
from mlnb.engine.three_way import Status
from mlnb.errors import NotebookError

SOURCES = [
    "# Features\n\n> Learns the encoder.",
    "#| default_exp stages.features",
    'run: str = "draft"  # id of the run\nwidth: int = 8  # columns [1..]',
    "#| export\ndef double(x):\n    return 2 * x",
    "assert double(2) == 4",
    "## Run the stage",
    "#| stage\nencoded = double(load())",
    "#| stage\nshow(encoded)",
]


def document(sources: Sequence[str], ids: Sequence[str] | None = None) -> Document:
    """Make a notebook; a heading makes Markdown, the line of `run` the parameters cell."""
    return Document(
        tuple(
            DocumentCell(
                "markdown" if source.startswith(("# ", "## ")) else "code",
                source,
                (ids or [f"c{number:02}" for number in range(len(sources))])[index],
                {"tags": ["parameters"]} if source.startswith("run:") else {},
                {} if source.startswith(("# ", "## ")) else {"outputs": [], "execution_count": None},
            )
            for index, source in enumerate(sources)
        )
    )


def edited(index: int, source: str | None) -> Document:
    """Return the notebook with one cell changed, or deleted for None."""
    sources = [source if number == index else old for number, old in enumerate(SOURCES)]
    ids = [f"c{number:02}" for number, source in enumerate(sources) if source is not None]
    return document([source for source in sources if source is not None], ids)


def sources_of(merge: NotebookMerge) -> list[str]:
    validate_document(write_document(merge.document), "merged.ipynb")
    return [cell.source for cell in merge.document.cells]


BASE = document(SOURCES)


@pytest.mark.parametrize("index", range(len(SOURCES)))
def test_a_cell_changed_on_one_side_is_taken_from_it(index: int) -> None:
    source = SOURCES[index].replace("8", "9") if index == 2 else SOURCES[index] + "\n# größer 日本 🙂"
    other = edited(index, source)
    for ours, theirs, status in ((other, BASE, Status.KEPT), (BASE, other, Status.UPDATED)):
        merge = merge_notebooks(BASE, ours, theirs)
        assert sources_of(merge) == [cell.source for cell in other.cells]
        assert merge.counts[status] >= 1 and not merge.conflicts


def test_changes_of_different_cells_are_both_taken() -> None:
    merge = merge_notebooks(
        BASE, edited(3, "#| export\ndef double(x):\n    return x + x"), edited(7, "#| stage\ndraw()")
    )
    assert sources_of(merge)[3].endswith("x + x") and sources_of(merge)[7].endswith("draw()")
    assert (merge.counts[Status.KEPT], merge.counts[Status.UPDATED]) == (7, 1)


def test_a_conflict_is_a_note_our_cell_and_the_new_version_as_a_raw_cell() -> None:
    ours, theirs = edited(6, "#| stage\nencoded = mine()"), edited(6, "#| stage\nencoded = 'neu'")
    merge = merge_notebooks(BASE, ours, theirs)
    sources = sources_of(merge)
    note, cell, raw = merge.document.cells[6:9]
    assert note.source.startswith(CONFLICT_TITLE) and note.tags == raw.tags == ("conflict",)
    assert (cell.kind, cell.source, cell.tags) == ("code", "#| stage\nencoded = mine()", ())
    assert (raw.kind, raw.source) == ("raw", "#| stage\nencoded = 'neu'")
    assert sources[:6] + sources[9:] == SOURCES[:6] + SOURCES[7:]
    assert (merge.conflicts, list(conflict_places(merge.document))) == (1, ["cell 6 (Run the stage)"])
    assert merge_notebooks(BASE, ours, ours).conflicts == 0, "the same change on both sides"


def test_a_conflict_of_markdown_keeps_both_texts() -> None:
    merge = merge_notebooks(BASE, edited(0, "# Merkmale\n\n> Größen."), edited(0, "# Features\n\n> Fits the encoder."))
    assert [cell.kind for cell in merge.document.cells[:3]] == ["markdown", "markdown", "raw"]


def test_parameters_are_merged_line_by_line() -> None:
    ours = edited(2, SOURCES[2].replace("= 8", "= 16"))
    theirs = edited(2, SOURCES[2] + "\nmore: int = 1  # more [1..]")
    merge = merge_notebooks(BASE, ours, theirs)
    assert sources_of(merge)[2] == SOURCES[2].replace("= 8", "= 16") + "\nmore: int = 1  # more [1..]"
    assert merge.document.cells[2].tags == ("parameters",) and not merge.conflicts


def test_a_conflicting_parameter_keeps_our_default_and_shows_the_new_line_alone() -> None:
    theirs = edited(2, SOURCES[2].replace("= 8", "= 4") + "\nmore: int = 1  # more [1..]")
    merge = merge_notebooks(BASE, edited(2, SOURCES[2].replace("= 8", "= 16")), theirs)
    note, cell, raw = merge.document.cells[2:5]
    assert "width: int = 16" in cell.source and "more: int" in cell.source and cell.tags == ("parameters",)
    assert (raw.kind, raw.source) == ("raw", "width: int = 4  # columns [1..]")
    assert note.is_conflict and sources_of(merge)


def test_added_deleted_and_moved_cells_are_merged() -> None:
    mine = ["# mine at the top", *SOURCES[:4], "print('größe')", *SOURCES[5:]]  # without the assertion
    ours = document(mine, ["u1", "c00", "c01", "c02", "c03", "u2", "c05", "c06", "c07"])
    theirs = document([*SOURCES[:3], SOURCES[4], SOURCES[3], *SOURCES[5:], "#| stage\nlast()"])
    merge = merge_notebooks(BASE, ours, theirs)
    assert sources_of(merge) == [*mine, "#| stage\nlast()"]
    moved = document(
        [*SOURCES[:3], *SOURCES[5:], *SOURCES[3:5]], ["c00", "c01", "c02", "c05", "c06", "c07", "c03", "c04"]
    )
    changed = edited(3, SOURCES[3] + "  # twice")
    assert sources_of(merge_notebooks(BASE, moved, changed))[6] == SOURCES[3] + "  # twice", "moved here, changed there"


def test_a_cell_deleted_on_one_side_and_changed_on_the_other_is_a_conflict() -> None:
    merge = merge_notebooks(BASE, edited(4, None), edited(4, "assert double(3) == 6"))
    assert merge.conflicts == 1 and merge.document.cells[5].kind == "raw" and "deleted" in sources_of(merge)[4]
    merge = merge_notebooks(BASE, edited(4, "assert double(3) == 6"), edited(4, None))
    assert merge.conflicts == 1 and merge.document.cells[5].kind == "code" and "removed" in sources_of(merge)[4]
    assert merge_notebooks(BASE, edited(4, None), BASE).counts[Status.KEPT] == 7
    assert merge_notebooks(BASE, BASE, edited(4, None)).counts[Status.REMOVED] == 1


def test_cells_are_matched_by_content_when_ids_are_missing_or_renumbered() -> None:
    anonymous = document([*SOURCES[:6], SOURCES[6] + "\n# mine", SOURCES[7]], [""] * 8)
    assert merge_notebooks(BASE, anonymous, BASE).counts[Status.KEPT] == 8
    inserted = [*SOURCES[:3], "import numpy as np\n\nvalues = np.arange(3)", *SOURCES[3:]]
    merge = merge_notebooks(BASE, edited(6, SOURCES[6] + "\n# mine"), document(inserted))
    assert sources_of(merge) == [*inserted[:7], SOURCES[6] + "\n# mine", SOURCES[7]]
    assert merge.counts[Status.ADDED] == 1 and not merge.conflicts


def test_a_cell_rewritten_under_its_id_is_the_same_cell() -> None:
    merge = merge_notebooks(BASE, edited(7, "#| stage\nfrom x import y; y(1, 2, 3)"), edited(7, "#| stage\nplot(a=b)"))
    assert merge.conflicts == 1 and len(merge.document.cells) == len(SOURCES) + 2


def test_outputs_stay_with_the_source_that_made_them() -> None:
    shown = {"outputs": [{"output_type": "stream", "name": "stdout", "text": "1\n"}], "execution_count": 3}
    cells = [
        cell if cell.kind != "code" else DocumentCell("code", cell.source, cell.id, {}, shown) for cell in BASE.cells
    ]
    merge = merge_notebooks(BASE, Document(tuple(cells)), edited(7, "#| stage\ndraw()"))
    assert merge.document.cells[6].rest == shown
    assert merge.document.cells[7].rest == {"outputs": [], "execution_count": None}


def test_metadata_is_merged_entry_by_entry_and_tags_tag_by_tag() -> None:
    def tagged(metadata: dict[str, object], top: dict[str, object]) -> Document:
        return Document((*BASE.cells[:7], DocumentCell("code", SOURCES[7], "c07", metadata)), top)

    base = tagged({"tags": ["a", "b"]}, {"kernelspec": {"name": "python3"}})
    ours = tagged({"tags": ["a", "b", "mine"], "collapsed": True}, {"kernelspec": {"name": "shop"}})
    theirs = tagged({"tags": ["a", "new"]}, {"kernelspec": {"name": "python3"}, "more": 1})
    merge = merge_notebooks(base, ours, theirs)
    assert merge.document.cells[7].metadata == {"tags": ["a", "mine", "new"], "collapsed": True}
    assert merge.document.metadata == {"kernelspec": {"name": "shop"}, "more": 1}


def test_a_file_that_is_no_notebook_is_refused_by_name() -> None:
    bad = [
        b"{",
        b"[]",
        b'{"cells": 1}',
        b'{"cells": [], "nbformat": 3}',
        b'{"cells": [1]}',
        b'{"cells": [{}]}',
        b"\xff",
    ]
    for data in bad:
        with pytest.raises(NotebookError, match=r"^x\.ipynb"):
            read_document(data, "x.ipynb")
    with pytest.raises(NotebookError, match=r"x\.ipynb would not be a valid notebook"):
        validate_document(
            b'{"cells": [{"cell_type": "code", "id": "a"}], "nbformat": 4, "nbformat_minor": 5}', "x.ipynb"
        )


# The property: any edits on both sides give a valid notebook that holds every cell that the user has added.

texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=30)
marks = st.sampled_from(["x = 1", "# Größe", "## Teil", "run: str = 1", "日本 = '🙂'", "", "%%bash\nls", '"""'])


@st.composite
def edits(draw: st.DrawFn, side: str) -> tuple[Document, list[str]]:
    """Return the notebook after random edits, and the sources of the cells that were added."""
    cells, added = list(BASE.cells), []
    for number in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["add", "change", "delete", "move", "renumber", "retag"]))
        index = draw(st.integers(0, max(len(cells) - 1, 0)))
        if kind == "add" or not cells:
            source = f"# {side} {number}\n{draw(marks)}\n{draw(texts)}|"
            id = draw(st.sampled_from(["", "c01", "c05", "new", "not valid!"]))
            cells.insert(index, DocumentCell(draw(st.sampled_from(["code", "markdown", "raw"])), source, id))
            added.append(source)
        elif kind == "change" and cells[index].source not in added:
            old = cells[index]
            cells[index] = DocumentCell(old.kind, old.source + draw(texts), old.id, old.metadata, old.rest)
        elif kind == "delete" and cells[index].source not in added:
            del cells[index]
        elif kind == "move":
            cells.insert(draw(st.integers(0, len(cells) - 1)), cells.pop(index))
        elif kind == "renumber":
            cells = [DocumentCell(c.kind, c.source, f"c{i:02}", c.metadata, c.rest) for i, c in enumerate(cells)]
        elif kind == "retag":
            tags = draw(st.lists(st.sampled_from(["parameters", "a", "b"]), unique=True))
            cells[index] = DocumentCell(cells[index].kind, cells[index].source, cells[index].id, {"tags": tags})
    return Document(tuple(cells)), added


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(edits("ours"), edits("theirs"))
def test_a_merge_is_a_valid_notebook_with_every_cell_that_the_user_added(
    ours: tuple[Document, list[str]], theirs: tuple[Document, list[str]]
) -> None:
    merge = merge_notebooks(BASE, ours[0], theirs[0])
    data = write_document(merge.document)
    notebook = nbformat.reads(data.decode(), as_version=4)
    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    sources = [cell.source for cell in merge.document.cells]
    assert all(source in sources for source in ours[1])
    assert [cell.source for cell in notebook.cells] == sources
    written = [(cell.kind, cell.source, cell.id, cell.metadata) for cell in read_document(data, "merged").cells]
    assert written == [(cell.kind, cell.source, cell.id, cell.metadata) for cell in merge.document.cells]
    assert merge_notebooks(BASE, ours[0], BASE).conflicts == merge_notebooks(BASE, BASE, theirs[0]).conflicts == 0
    assert json.loads(data)["nbformat_minor"] == 5
