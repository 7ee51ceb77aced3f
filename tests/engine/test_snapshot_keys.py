"""Snapshot keys: equal code, parameters and inputs give equal keys; prose and later cells do not count."""

import json
from pathlib import Path

import pytest
import toys

from mlnb.codec import replace
from mlnb.engine.code_sources import CodeSources
from mlnb.engine.notebook import read_notebook
from mlnb.engine.project import Project
from mlnb.engine.run_records import KeyInputs, ParameterFingerprint
from mlnb.engine.snapshot_keys import LiveSnapshot, SnapshotKeys, latest_cell, snapshot_keys

INPUTS = KeyInputs(
    contract="c", code="d", parameters={"x": ParameterFingerprint(value=1)}, modules={}, libraries={},
    python="3.12", inputs={"table": "x"},
)  # fmt: skip


def keys_of(folder: Path, inputs: KeyInputs = INPUTS, **changes: str) -> SnapshotKeys:
    document = toys.stage("fit", "x = 1", ["table"], {"model": "a model"})
    document["cells"].insert(8, {"cell_type": "code", "id": "more", "metadata": {}, "source": "#| stage\ny = 2"})
    for cell in document["cells"]:
        for old, new in changes.items():
            cell["source"] = cell["source"].replace(old, new)
    path = folder / "10_fit.ipynb"
    path.write_text(json.dumps(document))
    return snapshot_keys(read_notebook(path), inputs, CodeSources(Project(folder, folder)))


def test_states_are_before_the_stage_cells_from_the_opening_cell_on(tmp_path: Path) -> None:
    keys = keys_of(tmp_path)
    assert list(keys.before) == [5, 7, 8, 9] and len(set(keys.before.values())) == 4
    assert set(keys.before) <= set(keys.code_cells)


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"It does fit": "It fits"}, []),
        ({"stage.close()": "stage.close()  # now"}, []),
        ({"x = 1": "x = 3"}, [8, 9]),
        ({"y = 2": "y = 3"}, [9]),
        ({"import math": "import cmath"}, [5, 7, 8, 9]),
    ],
)
def test_a_change_of_code_changes_the_keys_after_it(
    tmp_path: Path, changes: dict[str, str], changed: list[int]
) -> None:
    before, after = keys_of(tmp_path).before, keys_of(tmp_path, **changes).before
    assert [cell for cell in before if before[cell] != after[cell]] == changed


@pytest.mark.parametrize(
    "change",
    [{"parameters": {}}, {"inputs": {"table": "y"}}, {"python": "3.13"}],
    ids=lambda change: next(iter(change)),
)
def test_parameters_inputs_and_python_are_part_of_every_key(tmp_path: Path, change: dict[str, object]) -> None:
    before, after = keys_of(tmp_path), keys_of(tmp_path, replace(INPUTS, **change))
    assert before.family != after.family and not set(before.before.values()) & set(after.before.values())


def test_the_latest_kept_state_is_used(tmp_path: Path) -> None:
    keys = keys_of(tmp_path)

    def live(*cells: int) -> dict[str, LiveSnapshot]:
        snapshot = LiveSnapshot(key="", cell=0, stage="fit", run="r", scratch="", log="", parent="")
        return {keys.before[cell]: snapshot for cell in cells} | {"other": snapshot}

    assert latest_cell(keys, live(5, 8)) == 8
    assert latest_cell(keys, live()) is None
