"""Cells in which two runs differ: changed, added and removed ones, and notebooks that are missing."""

import json

import planted
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.codec import replace
from mlnb.engine.notebook_document import DocumentCell
from mlnb.engine.run_records import KeyInputs
from mlnb.tracking.cell_changes import changed_cells, changed_code

TITLE = DocumentCell("markdown", "## The *first* `part`")


def code(source, **more):
    return DocumentCell("code", source, **more)


def lines(cell):
    return [line.sign + line.text for line in cell.lines]


def test_changed_added_and_removed_cells_have_their_heading_and_lines():
    old = [TITLE, code("a = 1\nb = 2"), code("import numpy as np\nprint(np.pi)")]
    new = [TITLE, code("a = 1\nb = 3"), code("completely = different()")]
    changed, added, removed = changed_cells(old, new)
    assert (changed.change, changed.heading, lines(changed)) == (
        "changed",
        "The first part",
        [" a = 1", "-b = 2", "+b = 3"],
    )
    assert (added.change, lines(added)) == ("added", ["+completely = different()"])
    assert (removed.change, lines(removed)) == ("removed", ["-import numpy as np", "-print(np.pi)"])


@settings(max_examples=40)
@given(st.lists(st.text(max_size=8), max_size=4), st.lists(st.text(max_size=8), max_size=4))
def test_the_lines_of_all_changes_lead_from_one_notebook_to_the_other(before, after):
    old, new = [code(source) for source in before], [code(source) for source in after]
    assert changed_cells(old, old) == []
    for cell in changed_cells(old, new):
        sources = [[line.text for line in cell.lines if line.sign != sign] for sign in "+-"]
        allowed = [["", *before], ["", *after]]
        for source, contents in zip(sources, allowed, strict=True):
            assert source in [text.strip("\n").splitlines() for text in contents]


def run(project, source, module="aa"):
    planned = planted.plant_run(project, {}, notebook="notebooks/50_tune.ipynb")
    keys = KeyInputs(
        contract="", code=source, parameters={}, modules={"shop.prices": module}, libraries={}, python="3.13", inputs={}
    )
    planned.record = replace(planned.record, stages={"tune": replace(planned.stages["tune"], key_inputs=keys)})
    injected = {"cell_type": "code", "source": f"trials = {source!r}", "metadata": {"tags": ["injected-parameters"]}}
    cells = [injected, {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}]
    (planned.folder / "notebooks" / "50_tune.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))
    planned.save()
    return planned


def test_stages_with_the_same_code_are_left_out_and_parameters_are_no_code(tmp_path):
    project = planted.plant_project(tmp_path / "shop")
    first, same, other = run(project, "a = 1"), run(project, "a = 1"), run(project, "a = 2", "bb")
    assert changed_code(first, same) == []
    (stage,) = changed_code(first, other)
    assert (stage.stage, stage.modules, stage.missing) == ("tune", ["shop.prices"], [])
    assert [lines(cell) for cell in stage.cells] == [["-a = 1", "+a = 2"]]
    (other.folder / "notebooks" / "50_tune.ipynb").unlink()
    (stage,) = changed_code(first, other)
    assert stage.cells == [] and stage.missing == [other.id]
