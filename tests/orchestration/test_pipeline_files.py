"""`mlnb schedule` for orchestrators: files of each, and requests that are refused."""

import pytest
import toys
from workflow_engine import IMAGE

from mlnb.cli.main import main
from mlnb.engine.project import Project
from mlnb.errors import ProjectError, UsageError
from mlnb.orchestration.pipeline_files import ORCHESTRATORS, PipelineFiles, write_pipeline
from mlnb.orchestration.task_graphs import Granularity


@pytest.mark.parametrize("to", ORCHESTRATORS)
def test_each_orchestrator_gets_a_file_with_every_command(tmp_path, monkeypatch, to):
    monkeypatch.chdir(toys.chain(tmp_path / "Größe 5"))
    command = ["schedule", "--to", to, "--pipeline", "train", "--image", IMAGE, "--write", "out", "--", "--profile"]
    assert main([*command, "quick"]) == 0
    (path,) = (each for each in (tmp_path / "Größe 5" / "out").rglob("*") if each.is_file())
    assert path.stem == "mlnb-train" and (to == "github-actions") == (path.parent.name == "workflows")
    text = path.read_text()
    assert IMAGE in text and "quick" in text and "total" in text and "import mlnb" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "argo"}, "argo needs an image"),
        ({"to": "kubeflow", "image": "registry.internal/mlnb:1"}, "expected a digest"),
        ({"to": "github-actions", "granularity": Granularity.STAGE}, "--by group"),
        ({"to": "kubeflow", "image": IMAGE, "when": "0 3 * * 1"}, "Leave out --when"),
        ({"to": "airflow", "when": "every hour"}, "no cron expression"),
    ],
)
def test_requests_that_cannot_be_expressed_are_refused(tmp_path, options, message):
    project = Project.find(toys.chain(tmp_path))
    values = {"pipeline": None, "granularity": Granularity.GROUP, **options}
    with pytest.raises(UsageError, match=message):
        write_pipeline(project, PipelineFiles(**values))
    with pytest.raises(ProjectError, match="trian"):
        write_pipeline(project, PipelineFiles("airflow", "trian", Granularity.GROUP))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "cron", "--pipeline", "train"], "--pipeline: cron runs monitoring cycles"),
        (["--to", "airflow", "--", "--only", "double"], "each runs its stages"),
        (["--to", "airflow", "--", "--trgt", "x"], "no options of `mlnb run`"),
        (["--to", "airflow", "--", "-p", "seed"], "expected 2 arguments"),
        (["--to", "airflow", "--", "train"], "names the pipeline"),
    ],
)
def test_wrong_options_of_the_command_are_reported(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(toys.chain(tmp_path))
    assert main(["schedule", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_pipeline_that_reads_another_one_has_tasks_before_that_has_run(tmp_path):
    root = toys.chain(tmp_path)
    with (root / "settings.ini").open("a") as file:
        file.write("\n[pipeline late]\nstages = total\ninputs_from = train\n")
    (text,) = write_pipeline(Project.find(root), PipelineFiles("airflow", "late", Granularity.STAGE)).values()
    assert '"total": "mlnb run late --only total"' in text


def test_plans_have_the_action_of_each_group(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(toys.chain(tmp_path))
    assert main(["plan", "--group", "first=number,double", "--actions", "actions"]) == 0
    assert (tmp_path / "actions" / "first").read_text() == "run"
    assert "groups:\n  first run\n" in capsys.readouterr().out
    for group, message in (("number", "expected NAME=STAGE"), ("../up=number", "expected NAME"), ("a=nmber", "nmber")):
        assert main(["plan", "--group", group]) == 2
        assert message in capsys.readouterr().err
