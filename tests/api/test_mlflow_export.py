"""A run in a tracking store of MLflow in a folder: what is logged, and predictions that equal those of the service."""

import json
import logging
import warnings

import mlflow
import pandas as pd
import pytest
from data_runs import data_project, ingest
from small_models import make_model, make_rows

from mlnb.api import mlflow_export
from mlnb.api.mlflow_export import export_to_mlflow
from mlnb.api.packaged_model import PackagedModel
from mlnb.cli import export
from mlnb.cli.main import main
from mlnb.codec import encode
from mlnb.engine.formats import save_object
from mlnb.errors import UsageError
from mlnb.serving.packaging.bundles import MANIFEST, BundleManifest


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with a packaged model."""
    project = data_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("a,b\n1,2\n")
    run = ingest(project, "people.csv", 1)
    bundle = tmp_path / "bundle"
    make_model(bundle / "model", "linear")
    (bundle / MANIFEST).write_bytes(encode(BundleManifest(name="small", service="tabular")))
    outputs = {**run.stages["ingest"].outputs, "service": save_object(project.store, bundle)}
    run.update_stage("ingest", outputs=outputs, metrics={"rows": 1.0, "precision_at@0.05": 0.5})
    run.update(finished="2026-03-14T09:02:00.000Z")
    run.save()
    return run


@pytest.fixture(autouse=True)
def quiet():
    """Warnings and log lines of MLflow and of the migration of its database are not errors here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("alembic").setLevel(logging.ERROR)
        yield


def test_a_run_is_logged_with_a_model_that_predicts_as_the_service(run, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # the migrations of a database take seconds
    uri = f"file://{run.project.root}/tracking"
    monkeypatch.setattr(export, "find_packaged_run", lambda *_: run)
    assert main(["export", "--to", "mlflow", "--uri", uri, "--experiment", "churn", "--json"]) == 0
    logged = json.loads(capsys.readouterr().out)
    assert (logged["run"], logged["experiment"], logged["rows"]) == (run.id, "churn", 40)
    stored = mlflow.MlflowClient(uri).get_run(logged["mlflow_run"])
    assert stored.info.status == "FINISHED" and stored.info.run_name == run.id
    assert stored.info.end_time - stored.info.start_time == 60_000
    assert stored.data.params == {"ingest.data": "people.csv"}
    assert stored.data.metrics == {"ingest.rows": 1.0, "ingest.precision_at_0.05": 0.5}
    assert stored.data.tags["mlnb.run"] == run.id and len(stored.data.tags["mlnb.data"]) == 64
    names = {file.path for file in mlflow.MlflowClient(uri).list_artifacts(logged["mlflow_run"])}
    assert "run.json" in names
    mlflow.set_tracking_uri(uri)
    model = mlflow.pyfunc.load_model(logged["model"])
    inputs = {column.name: str(column.type) for column in model.metadata.signature.inputs}
    assert inputs["age"] == "Any" and inputs["sex"] == "DataType.string" and len(inputs) == 6
    rows = [{name: row[name] for name in inputs} for row in make_rows(50, seed=3)]
    frame = pd.DataFrame(rows).assign(age=range(50))  # int64
    rows = [{**row, "age": number} for number, row in enumerate(rows)]
    expected = PackagedModel(run.load("service") / "model").predict_table(rows)
    assert model.predict(frame).reset_index(drop=True).equals(expected)
    with pytest.raises(UsageError, match=r"has run .* already"):
        export_to_mlflow(run, uri, "churn")


def test_whole_numbers_and_a_failed_attempt_do_not_prevent_an_export(run, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = f"file://{run.project.root}/tracking"
    golden = PackagedModel(run.load("service") / "model").golden_rows[:5]
    rows = [{**row, "age": 30 + number} for number, row in enumerate(golden)]
    monkeypatch.setattr(PackagedModel, "golden_rows", rows)
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_export, "_signature", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export_to_mlflow(run, uri, "churn")
    assert export_to_mlflow(run, uri, "churn").rows == 5


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--to", "mlflow"], "needs --uri"),
        (["--to", "text", "--uri", "sqlite:///a.db"], "are for `mlnb export --to mlflow`"),
        (["--to", "mlflow", "--uri", "nothing://x"], "cannot be used"),
        (["--to", "mlflow", "--uri", "sqlite:////proc/x/mlflow.db"], "/proc/x/mlflow.db: unable to open"),
    ],
)
def test_wrong_arguments(run, monkeypatch, capsys, arguments, expected):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(export, "find_packaged_run", lambda *_: run)
    assert main(["export", *arguments]) == 2
    assert expected in capsys.readouterr().err
