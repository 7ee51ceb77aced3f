"""Code that is edited between the plan and the first cell of a stage."""

from pathlib import Path

import pytest
import toys

from mlnb.engine.code_check import CodeCheck
from mlnb.engine.graph import build_graph
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.parameter_values import RequestedValues, resolve_values
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import select
from mlnb.engine.project import Project


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("nbs/stages/10_number.ipynb", "stage.log(number=number)", "stage.log(number=0)", True),
        ("nbs/stages/10_number.ipynb", "stage.log(number=number)", "stage.log(number=number)  # as it is", False),
        ("nbs/stages/10_number.ipynb", "one number", "the number", True),  # what it writes
        ("nbs/stages/20_double.ipynb", "factor *", "2 *", False),
        ("helper.py", "1", "2", True),
        ("other.py", "1", "2", False),
        ("other.py", "1", "1", False),
    ],
)
def test_code_of_the_stage_is_compared_once(toy_root: Path, file: str, old: str, new: str, changed: bool) -> None:
    toys.chain(toy_root)
    toys.edit(toy_root, "10_number", "import math", "import helper")
    for name in ("helper.py", "other.py"):
        (toy_root / name).write_text("X = 1")
    project = Project.find(toy_root)
    graph = build_graph(read_notebooks(project.notebooks), ["number", "double", "note", "total"])
    planner = Planner(
        project, graph, resolve_values(graph.stages, list(graph.stages), RequestedValues()), select(graph)
    )
    check = CodeCheck(planner, planner.step("number", {}))
    path = toy_root / file
    path.write_text(path.read_text().replace(old, new))
    assert check.has_changed is None
    check.compare()
    path.unlink()
    check.compare()
    assert check.has_changed is changed
