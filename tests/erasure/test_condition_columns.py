"""A condition on a column that nothing has is refused; columns of logs, labels, older runs and erasures exist."""

from pathlib import Path

import pytest
from data_runs import data_project, ingest

from mlnb.cli.main import main
from mlnb.engine.project import Project
from mlnb.erasure.condition_columns import require_columns
from mlnb.erasure.conditions import read_selection
from mlnb.errors import UsageError
from mlnb.monitoring.labels import add_labels

ERASE = ["--confirm", "--reason", "request"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a run that has read the columns id and mail."""
    monkeypatch.chdir(tmp_path)
    project = data_project(tmp_path)
    (tmp_path / "people.csv").write_text("id,mail\n1,ann@example.org\n2,bo@example.org\n")
    ingest(project, "people.csv", 1)
    return project


def test_unknown_columns_are_usage_errors_with_those_that_exist(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.root / "values.csv").write_text("id,mial\n1,ann@example.org\n")
    for options, name in (
        (["--where", "idd = 1"], "'idd'"),
        (["--where", "id = 1", "--where", "idd = 1"], "'idd'"),
        (["--values", "values.csv"], "'mial'"),
    ):
        for more in ([], ERASE):
            assert main(["erase", *options, *more]) == 2
            shown = capsys.readouterr().err
            assert f"has a column {name}" in shown and "The columns of the data: id, mail." in shown
    assert main(["erase", "--where", "id = 1 or id = 2"]) == 2


def test_columns_stay_known_after_the_tables_are_erased(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["erase", "--where", "mail = ann@example.org"]
    (project.root / "people.csv").unlink()
    assert main([*where, *ERASE]) == 0
    assert main(where) == 0 and "No location has these rows." in capsys.readouterr().out
    assert main(["erase", "--where", "id = 2"]) == 0 and main(["erase", "--where", "idd = 2"]) == 2


def test_fields_of_labels_and_declared_columns_exist(project: Project) -> None:
    labels = project.store_root / "labels" / "model.db"
    labels.parent.mkdir()
    add_labels(labels, [("", '{"store": "north"}', "1"), ("r", 0, "1")], at=2000.0)
    (project.root / "columns.toml").write_text('[columns.phone]\npersonal = "drop"\n')
    for name in ("store", "phone"):
        require_columns(project, [], [labels], read_selection(project, [f"{name} = 1"], None))
    with pytest.raises(UsageError, match=r"column 'stor'.* Did you mean 'store'"):
        require_columns(project, [], [labels], read_selection(project, ["stor = 1"], None))


def test_nothing_is_refused_where_no_column_is_known(tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path)
    require_columns(project, [], [], read_selection(project, ["id = 1"], None))
