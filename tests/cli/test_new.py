"""`mlnb new`: a complete project, or no files at all."""

import argparse
import configparser
from pathlib import Path

import pytest

from mlnb.api.run_request import plan_request
from mlnb.cli.arguments import add_options, read_request
from mlnb.cli.ci_workflow import WORKFLOW_FILE, workflow_text
from mlnb.cli.main import main
from mlnb.cli.new import create, library_name
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.project import Project, builtin_folder
from mlnb.errors import ParameterError, ProjectError
from mlnb.methods.contracts.declarations import Declarations
from mlnb.methods.tables.column_declarations import parse_declarations


def test_a_new_project_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(tmp_path / "Shop 1")]) == 0
    folder = tmp_path / "Shop 1"
    assert "mlnb run" in capsys.readouterr().out
    project = Project.find(folder)
    assert (project.root, project.is_builtin) == (folder, False)
    builtin = Project.find(builtin_folder())
    assert list(read_notebooks(project.notebooks)) == list(read_notebooks(builtin.notebooks))
    assert (project.pipelines, project.profiles) == (builtin.pipelines, builtin.profiles)
    assert (folder / "bentos" / "tabular" / "service.py").is_file()
    assert (folder / WORKFLOW_FILE).read_text() == workflow_text()
    settings = configparser.ConfigParser()
    settings.read(folder / "settings.ini")
    assert settings["DEFAULT"]["lib_name"] == "shop_1"
    assert (folder / "shop_1" / "__init__.py").is_file()
    example = (folder / "columns.toml").read_text()
    assert parse_declarations(example) == Declarations()
    uncommented = "\n".join(line[2:] for line in example.splitlines()[2:])
    assert list(parse_declarations(uncommented).columns) == ["price", "sold on", "email"]
    assert [path.name for path in tmp_path.iterdir()] == ["Shop 1"], "no other files are left"


def test_an_empty_folder_becomes_a_project(tmp_path: Path) -> None:
    create(tmp_path / "empty")
    (tmp_path / "other").mkdir()
    assert create(tmp_path / "other") == "other"


def test_a_folder_with_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").touch()
    assert main(["new", str(tmp_path)]) == 2
    assert "not empty; expected a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ProjectError, match=r"is a file; expected a new folder"):
        create(tmp_path / "mine.txt")


def test_a_project_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProjectError, match="cannot be created"):
        create(tmp_path / "file" / "shop")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("churn", "churn"),
        ("Churn Model", "churn_model"),
        ("2026-sales", "project_2026_sales"),
        ("json", "json_project"),
        ("pandas", "pandas_project"),
        ("mlnb", "mlnb_project"),
        ("日本", "project"),
    ],
)
def test_a_library_name_does_not_collide_with_other_packages(name: str, library: str) -> None:
    assert library_name(name) == library


def test_data_and_target_are_written_into_the_notebooks(tmp_path, monkeypatch, capsys):
    """The plan of `mlnb run` is that of `mlnb run --data --target` with the example's notebooks."""
    monkeypatch.chdir(tmp_path)
    target = 'how "big" \\ größe'
    quoted = target.replace('"', '""')
    (tmp_path / "my data.csv").write_text(f'kind,"{quoted}"\na,1\nb,2\n')
    assert main(["new", "shop", "--data", "my data.csv", "--target", target]) == 0
    assert "mlnb run    run the pipeline on my data.csv" in capsys.readouterr().out
    create(tmp_path / "plain")
    values = []
    for name, options in (("shop", []), ("plain", ["--data", "../my data.csv", "--target", target])):
        monkeypatch.chdir(tmp_path / name)
        parser = argparse.ArgumentParser()
        add_options(parser)
        (plan,) = plan_request(Project.find(), read_request(parser.parse_args(options)))
        values.append({s: {n: v.value for n, v in items.items()} for s, items in plan.planner.values.items()})
    own, stated = (values[number]["ingest"].pop("data") for number in (0, 1))
    assert (tmp_path / "shop" / own).samefile(stated) and not Path(own).is_absolute()
    assert values[0] == values[1] and values[0]["problem"]["target"] == target
    assert main(["check"]) == 0
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match=r"no file 'my dat.csv'. Did you mean 'my data.csv'"):
        create(tmp_path / "wrong", "my dat.csv")
    assert not (tmp_path / "wrong").exists()
    create(tmp_path / "table", "sklearn:wine")
    assert '"sklearn:wine\\"' in (tmp_path / "table" / "nbs" / "stages" / "10_ingest.ipynb").read_text()


def test_parameters_are_written_into_the_notebooks_of_their_stages(tmp_path):
    create(tmp_path / "sales", pairs=[("problem.task", "forecasting"), ("seed", "7"), ("tune.families", '["ets"]')])
    notebooks = read_notebooks(tmp_path / "sales" / "nbs" / "stages")
    values = {f"{stage}.{one.name}": one.default for stage, book in notebooks.items() for one in book.parameters}
    assert values["problem.task"] == "forecasting" and values["tune.families"] == ["ets"]
    assert {value for name, value in values.items() if name.endswith(".seed")} == {7}
    with pytest.raises(ParameterError, match=r"Stage 'problem' has no parameter 'tsk'\. Did you mean 'task'"):
        create(tmp_path / "wrong", pairs=[("problem.tsk", "forecasting")])
    with pytest.raises(ParameterError, match="`run` is set by mlnb itself"):
        create(tmp_path / "wrong", pairs=[("run", "draft")])
    with pytest.raises(ParameterError, match=r"tune\.trials"):
        create(tmp_path / "wrong", pairs=[("tune.trials", "many")])
    assert not (tmp_path / "wrong").exists()
