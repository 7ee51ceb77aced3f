"""A stage notebook is checked before anything runs."""

import json
from pathlib import Path

import pytest
import toys

from mlnb.engine.notebook import read_notebook, read_notebooks
from mlnb.errors import NotebookError


def write(folder: Path, document: object, name: str = "40_features.ipynb") -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def features(**changes: str) -> dict[str, object]:
    document = toys.stage("features", "pass", ["table"], {"encoder": "what it learned"}, "seed: int = 0  # seed [0..]")
    for cell in document["cells"]:
        for old, new in changes.items():
            cell["source"] = cell["source"].replace(old, new)
    return document


def test_reads_the_contract_without_running(tmp_path: Path) -> None:
    stage = read_notebook(write(tmp_path, features()))
    assert (stage.name, stage.number, stage.reads) == ("features", 40, ("table",))
    assert stage.writes == {"encoder": "what it learned"}
    assert stage.title == "Features" and stage.description == "It does features."
    assert "mlnb.open_stage" in stage.imports


def test_prose_layout_and_comments_do_not_count_as_code(tmp_path: Path) -> None:
    document = features()
    first = read_notebook(write(tmp_path, document))
    document["cells"][0]["source"] += "\nMore prose."  # type: ignore[index]
    document["cells"][3]["source"] = "#| export\nimport math   # a comment"  # type: ignore[index]
    again = read_notebook(write(tmp_path, document))
    assert again.code_digest == first.code_digest
    document["cells"][3]["source"] = "#| export\nimport cmath"  # type: ignore[index]
    assert read_notebook(write(tmp_path, document)).code_digest != first.code_digest


def test_magics_are_accepted(tmp_path: Path) -> None:
    document = features()
    document["cells"].insert(4, {"cell_type": "code", "metadata": {}, "source": "%time x = 1\n!ls"})  # type: ignore[attr-defined]
    document["cells"].insert(4, {"cell_type": "code", "metadata": {}, "source": "%%bash\nls (("})  # type: ignore[attr-defined]
    assert len(read_notebook(write(tmp_path, document)).code_digest) == 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages.features": "stages.other"}, "default_exp stages.features"),
        ({'open_stage("features"': 'open_stage("other"'}, "expected `stage = open_stage"),
        ({"reads=['table']": "reads=names"}, "must be literals"),
        ({"reads=['table']": "reads='table'"}, "list of artifact names"),
        ({"{'encoder': 'what it learned'}": "{'encoder': ''}"}, "a sentence each"),
        ({"stage.close()": "pass"}, "stage.close"),
        ({"stage = open_stage": "stage = other"}, "no `open_stage"),
        ({"#| stage\npass": "#| stage\nthis is (not python"}, "is not Python"),
    ],
)
def test_a_broken_contract_names_the_rule(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(NotebookError, match=message):
        read_notebook(write(tmp_path, features(**changes)))


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_parameters_cell_is_required(tmp_path: Path, count: int) -> None:
    document = features()
    tagged = document["cells"][2]  # type: ignore[index]
    if count:
        document["cells"].insert(3, tagged)  # type: ignore[attr-defined]
    else:
        tagged["metadata"] = {}
    with pytest.raises(NotebookError, match="exactly one"):
        read_notebook(write(tmp_path, document))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 3}'])
def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "40_features.ipynb"
    path.write_text(text)
    with pytest.raises(NotebookError, match="not a notebook"):
        read_notebook(path)


def test_names_carry_number_and_stage(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match="expected a name like"):
        read_notebook(write(tmp_path, features(), "features.ipynb"))
    with pytest.raises(NotebookError, match="No stage notebooks"):
        read_notebooks(tmp_path / "nowhere")
    write(tmp_path, features())
    write(tmp_path, features(), "50_features.ipynb")
    (tmp_path / "features.ipynb").unlink()
    with pytest.raises(NotebookError, match="both stage 'features'"):
        read_notebooks(tmp_path)
