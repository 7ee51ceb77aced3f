"""Pipelines become tasks: groups one after the other, or stages with what they wait for."""

import toys

from mlnb.engine.graph import build_graph
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.project import Project, builtin_folder
from mlnb.orchestration.task_graphs import Granularity, make_task_graph, task_actions


def test_the_built_in_pipeline_has_four_groups():
    project = Project.find(builtin_folder())
    names = project.pipeline("train")
    graph = build_graph(read_notebooks(project.notebooks), names)
    groups = make_task_graph("train", graph, Granularity.GROUP)
    assert [task.name for task in groups.tasks] == ["prepare", "tune", "train", "package"]
    assert [stage for task in groups.tasks for stage in task.stages] == [*graph.stages]
    assert [task.upstream for task in groups.tasks] == [(), ("prepare",), ("tune",), ("train",)]
    assert groups.command(groups.tasks[2]) == ("mlnb", "run", "train", "--only", "train", "evaluate")
    stages = make_task_graph("train", graph, Granularity.STAGE)
    assert {task.name: task.stages for task in stages.tasks} == {name: (name,) for name in names}
    assert "tune" in next(task.upstream for task in stages.tasks if task.name == "train")


def test_other_pipelines_are_one_group_and_keep_their_branches_as_stages(tmp_path):
    notebooks = read_notebooks(toys.chain(tmp_path) / "nbs" / "stages")
    graph = build_graph(notebooks, ["number", "double", "note", "total"])
    (group,) = make_task_graph("train", graph, Granularity.GROUP).tasks
    assert group.name == "train" and group.upstream == ()
    stages = make_task_graph("train", graph, Granularity.STAGE, ["--profile", "quick"])
    assert {task.name: task.upstream for task in stages.tasks} == {
        "number": (), "double": ("number",), "note": ("number",), "total": ("double", "note"),
    }  # fmt: skip
    assert stages.leaves == ("total",)
    assert stages.plan_command[:5] == ("mlnb", "plan", "train", "--profile", "quick")
    assert stages.finish_command == ("mlnb", "run", "train", "--profile", "quick")


def test_a_group_is_reused_when_all_of_its_stages_are():
    groups = {"prepare": ("ingest", "split"), "tune": ("tune",), "none": ()}
    assert task_actions(groups, ["ingest", "split"]) == {"prepare": "reuse", "tune": "run", "none": "reuse"}
    assert task_actions(groups, ["ingest", "tune"]) == {"prepare": "run", "tune": "reuse", "none": "reuse"}
