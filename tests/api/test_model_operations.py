"""Promotion and reports from Python do what `mlnb promote` and `mlnb report` do, for one model and for several."""

from pathlib import Path

import pytest
from many_models import add_models

import mlnb
from mlnb.api.several_models import ModelFilter, select_models
from mlnb.engine.project import Project
from mlnb.errors import ProjectError, UsageError
from mlnb.registry.audit_log import last_entry
from mlnb.registry.registry import Registry


@pytest.fixture(scope="module")
def project(tmp_path_factory, example) -> Project:
    """A project with three models; the run of one is in another project."""
    project = example.make_project(tmp_path_factory.mktemp("models") / "titanic")
    run = example.make_run(project)
    add_models(run, ["churn.berlin", "churn.koln"])
    (project.runs / f"{run.id}-churn.koln").rename(project.root / "elsewhere")
    return project


def champions(project: Project) -> set[str]:
    return {version.name for version in Registry(project).versions() if "champion" in version.aliases}


def test_one_version_is_promoted_and_errors_are_raised(project, monkeypatch):
    monkeypatch.chdir(project.root)
    (outcome,) = mlnb.promote("churn.koln:1", reason="first")
    assert outcome.result == "promoted" and outcome.note.startswith("churn.koln:1 promoted as champion. Entry 2")
    assert champions(project) == {"churn.koln:1"}
    registry = Registry(project)
    assert last_entry(registry.engine) == registry.log()[-1].number == 2
    for arguments, message in (
        ({"version": "churn.koln:1", "reason": "again"}, "already"),
        ({"version": "churn.koln:9", "reason": "x"}, "No version 9|has no version|no version"),
        ({"version": "churn.koln:1", "reason": "x", "all_models": True}, "names one version"),
        ({"name": "none*", "reason": "x"}, "No model is selected"),
        ({"reason": "x"}, "No version is named"),
    ):
        with pytest.raises(UsageError, match=message):
            mlnb.promote(**arguments)
    with pytest.raises(ProjectError, match="there is no folder"):
        mlnb.promote("1", reason="x", folder="nowhere")


def test_failures_of_several_models_are_isolated(project):
    for arguments, message in (
        ({"reason": ""}, "A reason is needed"),
        ({"reason": "x", "alias": "no alias"}, "'no alias' is no alias"),
        ({"reason": "x", "segment": 5}, "segment is of type int; expected a text"),
    ):
        with pytest.raises(UsageError, match=message):  # wrong for each model: nothing was tried
            mlnb.promote(all_models=True, folder=project.root, **arguments)
    outcomes = mlnb.promote(name="churn.*", reason="report read", folder=project.root)
    frame = outcomes.frame()
    assert frame["result"].to_dict() == {"churn.berlin:1": "promoted", "churn.koln:1": "unchanged"}
    assert not outcomes.failed and [one.code for one in outcomes] == [0, 0] and outcomes[0:1][0] == outcomes[0]
    assert repr(outcomes).endswith("churn.koln:1: unchanged (champion already)")


def test_the_reports_of_several_models_are_written(project):
    outcomes = mlnb.write_reports(name="churn.*", folder=project.root)
    assert [one.result for one in outcomes] == ["written", "skipped"]
    assert Path(outcomes[0].note).is_file() and (project.runs / "index.html").is_file()
    with pytest.raises(UsageError, match="all_models=True, name or segment"):
        mlnb.write_reports(folder=project.root)


def test_a_filter_selects_by_name_and_segment(project):
    registry = Registry(project)
    assert [one.model for one in select_models(registry, ModelFilter("churn.b*"))] == ["churn.berlin"]
    assert len(select_models(registry, ModelFilter())) == 3
    with pytest.raises(UsageError, match=r"No model is selected; there is churn\.berlin"):
        select_models(registry, ModelFilter(segment="Berlin"))
