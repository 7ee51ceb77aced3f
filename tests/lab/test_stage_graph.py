"""The graph of the panel: rows by depth, independent stages side by side, no arrow that a longer path implies."""

from mlnb.engine.notebook import read_notebooks
from mlnb.engine.project import Project, builtin_folder
from mlnb.lab.stage_graph import StageGraph, stage_graph


def test_the_built_in_pipeline_branches_where_stages_are_independent():
    project = Project.find(builtin_folder())
    notebooks, names = read_notebooks(project.notebooks), project.pipelines["train"]
    graph = stage_graph(names, notebooks)
    assert set(graph.places) == set(names) and len(set(graph.places.values())) == len(names)
    assert graph.parents["evaluate"] == ("train",) and "ingest" not in graph.parents["train"]
    assert graph.places["explore"][0] == graph.places["split"][0], "both depend on the validated table alone"
    for path in graph.arrows:
        assert [row for row, _ in path] == list(range(path[0][0], path[-1][0] + 1))


def test_unknown_stages_are_left_out():
    assert stage_graph(["nothing"], {}) == StageGraph()
